"""What is expected of tables: read, counted, judged. Layer: usecases.

Importing this costs half a second (Ibis): only a configuration with `data` pays for it.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ci_ml.core import compare, demands, drifted, expectations, gates
from ci_ml.core.compare import Comparison
from ci_ml.core.config import Config
from ci_ml.core.demands import Topic
from ci_ml.core.drifts import BASE, Drift, DriftConfig
from ci_ml.core.expectations import NONE, Expected, Limit, RowsConfig, SameConfig
from ci_ml.core.types import Contrast, DataKey, Gap, Severity
from ci_ml.errors import UsageError
from ci_ml.metrics import expectations as counting
from ci_ml.metrics import integrity, leakage, skew
from ci_ml.metrics.columns import Source, Unusable, shown
from ci_ml.metrics.expectations import Shown
from ci_ml.ports import OpenTables, Tables
from ci_ml.stats.variation import total_variation
from ci_ml.usecases import drift
from ci_ml.usecases.evidence import Side

_LISTED = 5
_MOST_LABELS = 10_000

# The rules of a user's own model, FILE.py:NAME, for a table as it is. Raises Unusable.
Schema = Callable[[str, Source], Expected]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which tables are judged (all, where none is named), and how many values are shown whatever the policy says."""

    tables: Sequence[str] = ()
    examples: int | None = None


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What became of every expectation, and the drift of tables by their names."""

    comparisons: list[Comparison]
    drifts: Mapping[str, Drift]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a table as such; `said` is what there is to say about it."""

    value: float
    n: int
    said: str
    interval: tuple[float, float] | None = None
    new: bool = False


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One thing that is expected of a table as such, and how it is measured."""

    gate: gates.Gate
    measure: Callable[[], Measured]


def judge(
    config: Config, base: Side, head: Side, open_tables: OpenTables, schema: Schema, wanted: Wanted | None = None
) -> Judged:
    """Judge the tables of the head by what is expected of them.

    Raises UsageError for a table that is not configured, and when the engine cannot be had.
    """
    wanted = wanted or Wanted()
    if unknown := [name for name in wanted.tables if name not in config.data]:
        known = f"there are: {', '.join(config.data)}" if config.data else "ci-ml.yaml names none under `data`"
        raise UsageError(f"there is no table {unknown[0]} under data", known)
    names = [name for name in config.data if not wanted.tables or name in wanted.tables]
    with tempfile.TemporaryDirectory(prefix="ci-ml-data-") as folder:
        places = _places(config, names, base, head, Path(folder))
        found = [place for place in places.values() if isinstance(place, Path)]
        with open_tables(config.engine, found) as tables:
            read = _Read(config, tables, (base, head), places)
            judging = [_Judging(config, name, read, schema, wanted) for name in names]
            comparisons = [one for table in judging for one in table.comparisons()]
            return Judged(comparisons=comparisons, drifts={table.name: table.moved for table in judging if table.moved})


_Place = tuple[str, bool]  # a table's name, and whether it is that of the base


def _places(config: Config, names: Sequence[str], base: Side, head: Side, folder: Path) -> dict[_Place, Path | Gap]:
    """The files of the tables that are judged, of those that they are compared with, and of the base."""
    wanted: dict[_Place, Side] = {}
    for name in names:
        about = config.data[name]
        others = [other.table for other in (about.disjoint_from, about.same_columns_as) if other]
        away = about.drift.reference if about.drift else None
        others += [away] if away not in (None, BASE) else []
        wanted |= {(one, False): head for one in (name, *others)}
        if about.integrity or about.balance is not None or (about.rows and about.rows.change) or away == BASE:
            wanted[name, True] = base
    found: dict[_Place, Path | Gap] = {}
    for (name, is_base), side in wanted.items():
        inside = folder / ("base" if is_base else "head") / name  # two tables of one name are fetched side by side
        inside.mkdir(parents=True)
        found[name, is_base] = side.place(config.data[name].path, inside)
    return found


class _Read:
    """The tables of both sides, each read once."""

    def __init__(
        self, config: Config, tables: Tables, sides: tuple[Side, Side], places: Mapping[_Place, Path | Gap]
    ) -> None:
        self.confidence, self.tables, self.places = config.confidence, tables, places
        self._config, self._sides = config, sides
        self._known: dict[_Place, Source | Unusable] = {}

    def source(self, name: str, *, base: bool = False) -> Source:
        """A table of the head, or of the base. Raises Unusable with the reason why there is none."""
        place = (name, base)
        if place not in self._known:
            try:
                self._known[place] = self._source(place)
            except Unusable as error:
                self._known[place] = error
        found = self._known[place]
        if isinstance(found, Unusable):
            raise found
        return found

    def _source(self, place: _Place) -> Source:
        where, path = self.places[place], self._config.data[place[0]].path
        side = self._sides[0 if place[1] else 1]
        tree = f"the base {side.revision.short}" if place[1] else "the work tree"
        if isinstance(where, Gap):
            raise Unusable(f"in {tree}, {where.reason}")
        return self.tables.source(where, path, f"{path} of {tree}" if place[1] else path)

    def is_new(self, name: str) -> bool:
        """Whether the base never had this table."""
        place = self.places[name, True]
        return isinstance(place, Gap) and place.absent


class _Judging:
    """One table: everything that is expected of it."""

    def __init__(self, config: Config, name: str, read: _Read, schema: Schema, wanted: Wanted) -> None:
        self.name, self.about, self.read, self.schema = name, config.data[name], read, schema
        most = self.about.examples if wanted.examples is None else wanted.examples
        self.examples = Shown(most=most, id=self.about.id)
        self.gap: Gap | None = None  # why there is no table, once that is known
        self.moved: Drift | None = None  # from what it is compared with, once that is known
        # what is wrong with its columns, and was in the base
        self.sound: tuple[integrity.Integrity, integrity.Integrity | None] | None = None

    def comparisons(self) -> Iterator[Comparison]:
        """What became of every expectation, in the order of the keys."""
        own = expectations.expected(self.about)
        try:
            source = self.read.source(self.name)
        except Unusable as error:
            yield from self._all(own, Gap(reason=str(error)))
            return
        expected, trouble = self._with_schema(own, source)
        yield from self._of_rules(source, expected)
        if trouble is not None:
            key = DataKey(table=self.name, subject="", what=f"as {self.about.schema_} says")
            yield compare.compare_data(gates.on_data(key, NONE, self.about.severity), trouble)
        yield from map(self._measured, self._asked(source, expected))
        if self.about.drift is not None:
            yield from self._drift(source, self.about.drift)

    def _drift(self, source: Source, asked: DriftConfig) -> Iterator[Comparison]:
        is_base = asked.reference == BASE
        if is_base and self.read.is_new(self.name):
            yield drifted.new(self.name, self.about.severity)
            return
        try:
            other = self.read.source(self.name, base=True) if is_base else self.read.source(asked.reference)
            found = drift.drift(self.read.tables.engine, other, source, asked, examples=self.examples.most)
        except Unusable as error:
            yield drifted.unmeasured(self.name, Gap(reason=str(error)), self.about.severity)
            return
        self.moved = found
        yield from drifted.comparisons(self.name, found, self.about.severity)

    def _all(self, own: Expected, gap: Gap) -> Iterator[Comparison]:
        """Everything missing for the same reason, which is told once."""
        keys = [(rule.key(self.name), rule.limit) for rule in own.rules]
        every = [gates.on_data(key, limit, self.about.severity) for key, limit in keys]
        every += [one.gate for one in demands.of_table(self.name, self.about, closed=own.closed is not None)]
        if self.about.schema_ is not None:
            key = DataKey(table=self.name, subject="", what=f"as {self.about.schema_} says")
            every.append(gates.on_data(key, NONE, self.about.severity))
        if self.about.drift is not None:
            every.append(drifted.unmeasured(self.name, gap, self.about.severity).gate)
        first = None
        for gate in every:
            why = gap if first is None else Gap(reason=f"for the same reason as {first}")
            first = first or gate.metric
            yield compare.compare_data(gate, why)

    def _with_schema(self, own: Expected, source: Source) -> tuple[Expected, Gap | None]:
        if self.about.schema_ is None:
            return own, None
        try:
            return expectations.joined(own, self.schema(self.about.schema_, source)), None
        except Unusable as error:
            return own, Gap(reason=str(error))

    def _of_rules(self, source: Source, expected: Expected) -> Iterator[Comparison]:
        if not expected.rules:
            return
        try:
            counted = counting.count(self.read.tables.engine, source, expected.rules, self.examples)
        except Unusable as error:
            counted = counting.Counted(n=0, found=dict.fromkeys(expected.rules, Gap(reason=str(error))))
        for rule, found in counted.found.items():
            severity = Severity.WARN if rule.warns else self.about.severity
            gate = gates.on_data(rule.key(self.name), rule.limit, severity)
            if isinstance(found, Gap):
                yield compare.compare_data(gate, found)
                continue
            value = found.rows / counted.n if rule.limit.share else found.rows
            measured = Contrast(base=None, head=value, n=counted.n, method="count")
            said = f"does not hold: {found.why}" if found.why else ""
            yield compare.compare_data(gate, measured, said, "; ".join(found.examples))

    def _measured(self, asked: _Asked) -> Comparison:
        try:
            found = asked.measure()
        except (Unusable, ValueError) as error:
            return compare.compare_data(asked.gate, Gap(reason=str(error)))
        contrast = Contrast(
            base=None,
            head=found.value,
            n=found.n,
            method="count",
            head_interval=found.interval,
            confidence=self.read.confidence if found.interval else None,
        )
        gate = asked.gate
        if found.new:  # there is nothing that it could be measured against
            gate = dataclasses.replace(gate, absolute=False, ceiling=None)
        return compare.compare_data(gate, contrast, found.said)

    def _asked(self, source: Source, expected: Expected) -> Iterator[_Asked]:
        """What is expected of the table as such."""
        for demand in demands.of_table(self.name, self.about, closed=expected.closed is not None):
            yield _Asked(gate=demand.gate, measure=partial(self._measures(expected)[demand.topic], source))

    def _measures(self, expected: Expected) -> Mapping[Topic, Callable[[Source], Measured]]:
        """How each is measured, for those that are asked for."""
        about, closed = self.about, expected.closed or frozenset()
        rows, other, same = about.rows or RowsConfig(), about.disjoint_from, about.same_columns_as
        found: dict[Topic, Callable[[Source], Measured]] = {
            Topic.CLOSED: lambda source: _others(source, closed),
            Topic.LEAST: lambda source: self._size(source, rows.min or 0, 1),
            Topic.MOST: lambda source: self._size(source, rows.max or 0, -1),
            Topic.CHANGE: lambda source: self._change(source, rows.change),
            Topic.BALANCE: self._balance,
            **{topic: partial(self._worse, topic) for topic in (Topic.CONSTANT, Topic.EMPTY, Topic.COPIES)},
        }
        if other is not None:
            found[Topic.SHARED] = lambda source: self._shared(source, other.by, other.shared, given=True)
            found[Topic.SHARED_ROWS] = lambda source: self._shared_rows(source, other.shared)
        if same is not None:
            found[Topic.SAME_COLUMNS] = partial(self._same, same)
            found[Topic.COVERED] = partial(self._covered, same)
        return found

    # --- How many rows

    def _size(self, source: Source, end: int, sign: int) -> Measured:
        n = self._count(source)
        beyond = max(0, sign * (end - n))
        there = f"there {'is' if n == 1 else 'are'} {n:,}"
        return Measured(value=beyond, n=n, said=f"{'does not hold' if beyond else 'holds'}: {there}")

    def _change(self, source: Source, limit: Limit | None) -> Measured:
        n = self._count(source)
        if self.read.is_new(self.name):
            return Measured(value=n, n=n, said=f"is new: {n:,} {_rows(n)}; the base has no such table", new=True)
        before = self._count(self.read.source(self.name, base=True))
        if not before:
            raise Unusable("the base has no rows")
        share = abs(n - before) / before
        is_share = limit is not None and limit.share
        value = share if is_share else abs(n - before)
        holds = "holds" if limit is not None and value <= limit.value else "does not hold"
        return Measured(value=value, n=n, said=f"{holds}: {n:,} {_rows(n)}, {before:,} in the base ({share:.1%})")

    def _count(self, source: Source) -> int:
        (row,) = self.read.tables.engine.rows(source.table.aggregate(n=source.table.count()))
        return int(row["n"])

    # --- What is shared with another table

    def _shared_rows(self, source: Source, limit: Limit) -> Measured:
        names = [name for name in source.table.columns if name != self.about.id]
        if not names:
            raise Unusable("it has no columns but the id")
        return self._shared(source, names, limit, given=False)

    def _shared(self, source: Source, names: Sequence[str], limit: Limit, *, given: bool) -> Measured:
        assert self.about.disjoint_from is not None
        name = self.about.disjoint_from.table
        other = self.read.source(name)
        rows, n = leakage.shared(self.read.tables.engine, source, other, names, given=given)
        value = rows / n if limit.share else rows
        said = f"does not hold for {rows:,} of {n:,} {_rows(n)}" if rows else f"holds for all {n:,} {_rows(n)}"
        return Measured(value=value, n=n, said=said)

    # --- Labels

    def _balance(self, source: Source) -> Measured:
        head = self._labels(source)
        n = sum(head.values())
        if self.read.is_new(self.name):
            return Measured(value=0, n=n, said="is new: the base has no such table", new=True)
        base = self._labels(self.read.source(self.name, base=True))
        every = sorted({*base, *head})
        counts = [np.array([side.get(name, 0) for name in every], dtype=float) for side in (base, head)]
        distance, low = total_variation(counts[0], counts[1], self.read.confidence)
        limit = self.about.balance or 0.0
        shares = [side / side.sum() for side in counts]
        moved = int(np.argmax(np.abs(shares[1] - shares[0])))
        most = f"{shown(every[moved])} went from {shares[0][moved]:.1%} to {shares[1][moved]:.1%}"
        verb = "does not hold" if low > limit else "holds" if distance <= limit else "cannot be told"
        sure = f"at least {low:.3f} with {self.read.confidence:.0%} confidence"
        said = f"{verb}: the distance is {distance:.3f}, {sure}, and {limit:g} is allowed; {most}"
        return Measured(value=distance, n=n, said=said, interval=(low, distance))

    def _labels(self, source: Source) -> dict[str, int]:
        label = self.about.label
        if label not in source.table.columns:
            raise Unusable(f"{source.name} has no column {shown(label)}")
        column = source.table[label]
        groups = source.table.group_by(value=column.cast("string")).aggregate(n=source.table.count())
        rows = self.read.tables.engine.rows(groups.limit(_MOST_LABELS + 1))
        if len(rows) > _MOST_LABELS:
            raise Unusable(
                f"{shown(label)} of {source.name} has more than {_MOST_LABELS:,} values, which are no labels"
            )
        if not rows:
            raise Unusable(f"{source.name} has no rows")
        if missing := next((int(row["n"]) for row in rows if row["value"] is None), 0):
            raise Unusable(f"{missing:,} {_rows(missing)} of {source.name} have no {shown(label)}")
        return {str(row["value"]): int(row["n"]) for row in rows}

    # --- Columns as such

    def _worse(self, topic: Topic, source: Source) -> Measured:
        if self.sound is None:
            engine, read = self.read.tables.engine, self.read
            base = None if read.is_new(self.name) else integrity.integrity(engine, read.source(self.name, base=True))
            self.sound = integrity.integrity(engine, source), base
        return _worse(*self.sound, topic.value, len(source.table.columns))

    # --- What a model is served

    def _same(self, about: SameConfig, source: Source) -> Measured:
        other, ignored = self.read.source(about.table), self._ignored(about)
        found = skew.differing(source, other, ignored)
        n = len(set(source.table.columns) - ignored)
        said = f"does not hold: {_some(found)}" if found else f"holds for {n:,} column{'' if n == 1 else 's'}"
        return Measured(value=len(found), n=n, said=said)

    def _covered(self, about: SameConfig, source: Source) -> Measured:
        other, ignored = self.read.source(about.table), self._ignored(about)
        names = [name for name in source.table.columns if name in other.table.columns and name not in ignored]
        found = skew.beyond(self.read.tables.engine, source, other, names)
        value = found.rows / found.n if about.beyond.share else found.rows
        where = f"most are beyond in {shown(found.column)}: {found.rows:,} of {found.n:,} {_rows(found.n)}"
        if not found.rows:
            return Measured(value=0, n=found.n, said=f"holds for all {found.n:,} {_rows(found.n)} of {about.table}")
        holds = f"holds, within the allowed {about.beyond}" if value <= about.beyond.value else "does not hold"
        return Measured(value=value, n=found.n, said=f"{holds}: {where} of {about.table}")

    def _ignored(self, about: SameConfig) -> frozenset[str]:
        return frozenset(name for name in (self.about.id, self.about.label, *about.ignore) if name)


def _rows(n: int) -> str:
    return "row" if n == 1 else "rows"


def _some(found: Sequence[str]) -> str:
    more = f"; and {len(found) - _LISTED:,} more" if len(found) > _LISTED else ""
    return "; ".join(found[:_LISTED]) + more


def _others(source: Source, known: frozenset[str]) -> Measured:
    names = source.table.columns
    other = [shown(name) for name in names if name not in known]
    n = len(names)
    said = f"does not hold: there {'is' if len(other) == 1 else 'are'} {_some(other)}" if other else "holds"
    return Measured(value=len(other), n=n, said=said)


def _worse(mine: integrity.Integrity, theirs: integrity.Integrity | None, what: str, n: int) -> Measured:
    """The columns that are wrong now, and were not in the base."""
    now, before = getattr(mine, what), getattr(theirs, what) if theirs else {}
    new = sorted(name for name in now if name not in before)
    names = [f"{shown(name)} equals {shown(now[name])}" if what == "copies" else shown(name) for name in new]
    old = f"; {len(now) - len(new):,} as in the base" if len(now) > len(new) else ""
    said = f"does not hold: {_some(names)}{old}" if new else f"holds{old}"
    return Measured(value=len(new), n=n, said=said)
