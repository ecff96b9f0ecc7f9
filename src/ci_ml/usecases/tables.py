"""Gates on tables of predictions: found, paired, measured, compared. Layer: usecases.

Importing this costs half a second (Ibis): only a configuration with such gates pays for it.
"""

import dataclasses
import difflib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ci_ml.core import compare, gates
from ci_ml.core.catalogue import CRITERIA, Asked, Family, Task
from ci_ml.core.compare import Comparison
from ci_ml.core.config import Config, GateConfig, PredictionsConfig
from ci_ml.core.exhibits import ConfusionPart, CurvePart
from ci_ml.core.types import Contrast, Gap, Slice
from ci_ml.errors import CiMlError
from ci_ml.metrics import gaps, registry, repeats
from ci_ml.metrics.columns import Source, Unusable, Wanted
from ci_ml.metrics.engine import Row
from ci_ml.metrics.paired import Cut, Paired, by_cut, number
from ci_ml.metrics.pairing import Pairing, pair
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.ports import OpenTables, Tables
from ci_ml.usecases import curves
from ci_ml.usecases.curves import Drawn
from ci_ml.usecases.evidence import Side

MOST_SLICES = 10_000
_LISTED = 5

Measured = Contrast | Gap


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What became of the gates on tables."""

    comparisons: tuple[Comparison, ...] = ()
    notices: tuple[str, ...] = ()
    curves: tuple[CurvePart, ...] = ()
    confusions: tuple[ConfusionPart, ...] = ()


def judge(config: Config, base: Side, head: Side, open_tables: OpenTables, *, shown: bool = False) -> Judged:
    """Judge every gate on predictions; with `shown`, also draw what was judged.

    Raises UsageError or DependencyError when the engine cannot be had.
    """
    found: list[Judged] = []
    for name in config.predictions:
        with measuring(config, name, base, head, open_tables) as one:
            found.append(_judged(name, one, shown=shown) if isinstance(one, Measuring) else one)
    return Judged(
        comparisons=tuple(item for one in found for item in one.comparisons),
        notices=tuple(notice for one in found for notice in one.notices),
        curves=tuple(curve for one in found for curve in one.curves),
        confusions=tuple(matrix for one in found for matrix in one.confusions),
    )


def _judged(name: str, measuring: "Measuring", *, shown: bool) -> Judged:
    pairings = measuring.pairings()
    judged = measuring.judge(pairings)
    if not shown or isinstance(pairings, Judged) or not any(item.contrast for item in judged.comparisons):
        return judged
    drawn = _drawn(name, measuring, pairings, judged.comparisons)
    return dataclasses.replace(
        judged, notices=(*judged.notices, *drawn.notices), curves=drawn.curves, confusions=drawn.confusions
    )


def _drawn(name: str, measuring: "Measuring", pairings: "list[Pairing]", comparisons: Sequence[Comparison]) -> Drawn:
    """Curves of what was judged; no verdict depends on them, so what goes wrong is a notice."""
    engine, about = measuring.tables.engine, measuring.about
    try:
        found = curves.draw(engine, name, about, pairings[0].paired, comparisons, new=not measuring.base)
    except (Unusable, CiMlError) as error:
        return Drawn(notices=(f"{name}: there are no curves: {error}",))
    if len(pairings) == 1:
        return found
    seeds = f"{name}: curves are of the first of {len(pairings)} pairs of tables"
    return dataclasses.replace(found, notices=(seeds, *found.notices))


def paths(about: PredictionsConfig, side: Side) -> list[str]:
    """The files of a table on one side, relative to the project: one, or one per seed."""
    return [about.path] if about.path else side.paths(about.repeats or "")


@contextmanager
def measuring(
    config: Config, name: str, base: Side, head: Side, open_tables: OpenTables
) -> Iterator["Measuring | Judged"]:
    """What measures the gates on one table while its engine is open, or what became of them without measuring."""
    about = config.predictions[name]
    asked = [gate for gate in config.gates if gate.asked and gate.asked[0] == name]
    if not asked:
        yield Judged()
        return
    with tempfile.TemporaryDirectory(prefix="ci-ml-predictions-") as folder:
        mine, theirs = (placed(about, side, Path(folder)) for side in (head, base))
        if isinstance(mine, Gap):
            yield _all(asked, mine)
        elif isinstance(theirs, Gap) and not theirs.absent:
            yield _all(asked, theirs)
        else:
            known = {} if isinstance(theirs, Gap) else theirs
            with open_tables(config.engine, [*mine.values(), *known.values()]) as tables:
                yield _opened(about, asked, config.confidence, tables, (base, known), (head, mine))


def _opened(
    about: PredictionsConfig,
    asked: Sequence[GateConfig],
    confidence: float,
    tables: Tables,
    base: tuple[Side, Mapping[str, Path]],
    head: tuple[Side, Mapping[str, Path]],
) -> "Measuring | Judged":
    try:
        one, two = (sources(tables, *side) for side in (base, head))
    except Unusable as error:
        return _all(asked, Gap(reason=str(error)))
    return Measuring(about, asked, confidence, tables, one, two)


def sources(tables: Tables, side: Side, places: Mapping[str, Path]) -> list[Source]:
    """The tables of one side."""
    return [tables.source(place, path, f"{path} of {side.name}") for path, place in places.items()]


def placed(about: PredictionsConfig, side: Side, folder: Path) -> dict[str, Path] | Gap:
    """The files of a table on disk, by their path in the project."""
    found: dict[str, Path] = {}
    for path in paths(about, side):
        place = side.place(path, folder)
        if isinstance(place, Gap):
            where = side.name if side.commit is None else f"the base {side.name}"
            return dataclasses.replace(place, reason=f"in {where}, {place.reason}")
        found[path] = place
    if not found:
        return Gap(reason=f"no file matches {about.repeats}", absent=True)
    return found


def _all(asked: Sequence[GateConfig], gap: Gap) -> Judged:
    """Every gate on a table, missing for the same reason, which is told once."""
    again = dataclasses.replace(gap, reason=f"for the same reason as {asked[0].key}")
    reasons = (gap, *(again for _ in asked[1:]))
    found = (compare.compare_measured(gates.of(gate, gate.key), why) for gate, why in zip(asked, reasons, strict=True))
    return Judged(comparisons=tuple(found))


class Measuring:
    """One table's gates, and what it takes to measure them; without a base everything is new."""

    def __init__(
        self,
        about: PredictionsConfig,
        asked: Sequence[GateConfig],
        confidence: float,
        tables: Tables,
        base: Sequence[Source],
        head: Sequence[Source],
    ) -> None:
        self.about, self.gates, self.confidence, self.tables = about, asked, confidence, tables
        self.base, self.head = base, head
        self.ids = False  # whether examples keep their ids once they are paired
        self.notices: list[str] = []

    def pairings(self) -> "list[Pairing] | Judged":
        """Both sides joined, once per seed; or what became of the gates where they do not pair."""
        if self.about.repeats and min(len(self.head), len(self.base) or 2) < 2:
            reason = f"{self.about.repeats} is one table on a side: what a seed does can be told from 2 or more"
            return _all(self.gates, Gap(reason=reason))
        try:
            return list(self._paired(self._wanted()))
        except Unusable as error:
            return _all(self.gates, Gap(reason=str(error)))

    def _paired(self, wanted: Wanted) -> Iterator[Pairing]:
        """Each seed of the side that has more of them, with one of the other."""
        for k in range(max(len(self.base), len(self.head))):
            base = self.base[k % len(self.base)] if self.base else None
            yield pair(self.tables.engine, self.about, base, self.head[k % len(self.head)], wanted)

    def judge(self, pairings: "list[Pairing] | Judged") -> Judged:
        """Measure everything that the gates ask for, and compare."""
        if isinstance(pairings, Judged):
            return pairings
        try:
            return self._judged(pairings)
        except Unusable as error:
            return _all(self.gates, Gap(reason=str(error)))

    def _judged(self, pairings: "list[Pairing]") -> Judged:
        base, head = len(self.base) or len(self.head), len(self.head)
        first = pairings[0]
        self.notices += dict.fromkeys(notice for pairing in pairings for notice in pairing.notices)
        if self.about.repeats and self.base:
            seeds = f"{head} trainings of the head and {base} of the base"
            self.notices.append(f"{self.about.repeats}: {seeds}, each with another seed")
        cuts = self._cuts(first)
        found = [
            registry.measure(self.tables.engine, pairing.paired, self._metrics(first.paired, cuts), self.confidence)
            for pairing in pairings
        ]
        statistics = repeats.combined(found, base, head) if self.about.repeats else found[0]
        sizes = self._sizes(first.paired, [cut for cut, crowd in cuts.items() if crowd is None])
        if self.about.positive is not None and not sizes[None].labels["1"]:
            # Else every label is the other one's, and a model that finds nothing would be right.
            raise Unusable(f"no {self.about.label} of {self.head[0].name} is {self.about.positive} (`positive`)")
        results = _Results(self, first.paired, statistics, sizes, cuts, new=not self.base)
        comparisons = tuple(one for gate in self.gates for one in results.compared(gate))
        return Judged(comparisons=comparisons, notices=tuple(self.notices))

    def _wanted(self) -> Wanted:
        columns = {str(asked): asked.argument or "" for asked in self._asked() if asked.name == "mean"}
        customs = {
            str(asked): self.tables.custom(asked.argument or "") for asked in self._asked() if asked.name == "custom"
        }
        slices = dict.fromkeys(name for gate in self.gates for cut in _cuts_of(gate) for name in cut)
        shares = any(asked.name in ("log_loss", "brier", "ece") for asked in self._asked())
        return Wanted(slices=tuple(slices), means=columns, customs=customs, ids=self.ids, shares=shares)

    def _asked(self) -> Iterator[Asked]:
        for gate in self.gates:
            assert gate.asked is not None
            yield gate.asked[1]

    def _cuts(self, pairing: Pairing) -> dict[Cut, int | None]:
        """Every cut that is asked for, with the number of its slices where there are too many."""
        found: dict[Cut, int | None] = {}
        for cut in dict.fromkeys(cut for gate in self.gates for cut in _cuts_of(gate)):
            most = 1
            for name in cut:
                most *= pairing.sizes[name]
            if most > MOST_SLICES:
                keys = pairing.paired.table.select(*pairing.paired.keys(cut)).distinct()
                (row,) = self.tables.engine.rows(keys.aggregate(n=keys.count()))
                most = int(row["n"])
            found[cut] = most if most > MOST_SLICES else None
        return found

    def _metrics(self, paired: Paired, cuts: Mapping[Cut, int | None]) -> Iterator[tuple[Asked, Cut]]:
        for gate in self.gates:
            for asked in measured_for(gate):
                if unknown_class(asked, paired) is None:
                    if gate.gap is None:
                        yield asked, ()
                    yield from ((asked, cut) for cut in _cuts_of(gate) if cuts[cut] is None)

    def _sizes(self, paired: Paired, cuts: Sequence[Cut]) -> dict[Slice | None, "_Size"]:
        """How many examples every slice has, and of which class."""
        few = self.about.task is not Task.REGRESSION and len(paired.classes) <= _MOST_COUNTED
        found = by_cut(self.tables.engine, paired, [(), *cuts], ["label"] if few else [], {"n": paired.table.one})
        classes = paired.classes or ("0", "1")
        return {where: _Size.of(rows, classes if few else ()) for where, rows in found}


def _cuts_of(gate: GateConfig) -> tuple[Cut, ...]:
    return gate.slices.by if gate.slices else (gate.gap.by,) if gate.gap else ()


def measured_for(gate: GateConfig) -> tuple[Asked, ...]:
    """The metrics that a gate is made of: its own, or those whose gaps a fairness criterion compares."""
    assert gate.asked is not None
    asked = gate.asked[1]
    if asked.known.family is Family.GAPS:
        return tuple(Asked(name=name) for name in CRITERIA[asked.name])
    return (asked,)


def unknown_class(asked: Asked, paired: Paired) -> str | None:
    """Why a class cannot be measured; None when it can, or none is asked for."""
    if asked.which is None or paired.task is not Task.MULTICLASS or asked.which in paired.classes:
        return None
    close = difflib.get_close_matches(asked.which, paired.classes, n=1)
    known = f"perhaps {close[0]} is meant" if close else f"there are: {'; '.join(paired.classes[:20])}"
    return f"there is no class {asked.which}; {known}"


_MOST_COUNTED = 100


@dataclass(frozen=True, kw_only=True)
class _Size:
    """How many examples a slice has, and how many of each class (empty where that is not counted)."""

    n: int
    labels: Mapping[str, int]

    @staticmethod
    def of(rows: Sequence[Row], classes: Sequence[str]) -> "_Size":
        labels = dict.fromkeys(classes, 0)
        labels |= {str(row["label"]): int(number(row["n"])) for row in rows if classes}
        return _Size(n=sum(int(number(row["n"])) for row in rows), labels=labels)

    def measured(self, asked: Asked) -> int:
        """How many examples there are of those that a metric measures: recall is about one class alone."""
        own = self.labels.get("1" if asked.which is None else asked.which, self.n)
        if asked.average is None and asked.name in ("recall", "f1"):
            return own
        if asked.average is None and asked.name in ("specificity", "false_positive_rate"):
            return self.n - own
        if asked.which is not None and asked.name in ("roc_auc", "average_precision"):
            return min(own, self.n - own)
        every = asked.name in ("roc_auc", "average_precision", "balanced_accuracy", "mcc", "kappa")
        return min(self.labels.values(), default=self.n) if every or asked.average == "macro" else self.n


class _Results:
    """What was measured, as what gates judge."""

    def __init__(
        self,
        measuring: Measuring,
        paired: Paired,
        statistics: Statistics,
        sizes: Mapping[Slice | None, _Size],
        cuts: Mapping[Cut, int | None],
        *,
        new: bool,
    ) -> None:
        self.confidence, self.notices = measuring.confidence, measuring.notices
        self.paired, self.statistics, self.sizes, self.cuts, self.new = paired, statistics, sizes, cuts, new

    def compared(self, gate: GateConfig) -> Iterator[Comparison]:
        """A gate's comparison, and those of its slices."""
        if gate.gap is not None:
            yield compare.compare_measured(gates.of(gate, gate.key), self._gap(gate))
            return
        (asked,) = measured_for(gate)
        whole = gates.of(gate, gate.key)
        if reason := unknown_class(asked, self.paired):
            yield compare.compare_measured(whole, Gap(reason=reason))
            return
        yield compare.compare_measured(whole, self._measured(asked, whole, None))
        yield from compare.compare_slices(list(self._slices(gate, asked)))

    def _slices(self, gate: GateConfig, asked: Asked) -> Iterator[tuple[gates.Gate, Measured]]:
        for cut in _cuts_of(gate):
            if (crowd := self.cuts[cut]) is not None:
                named = Slice(parts=tuple((name, f"({crowd:,} values)") for name in cut))
                reason = f"at most {MOST_SLICES:,} slices are judged, so name a coarser column"
                yield gates.on_slice(gate, named), Gap(reason=reason)
                continue
            for where in self._wheres(cut):
                one = gates.on_slice(gate, where)
                yield one, self._measured(asked, one, where)

    def _wheres(self, cut: Cut) -> list[Slice]:
        mine = (where for where in self.sizes if where and tuple(name for name, _ in where.parts) == cut)
        return sorted(mine, key=str)

    def _measured(self, asked: Asked, gate: gates.Gate, where: Slice | None) -> Measured:
        n = self.sizes[where].measured(asked)
        found = self.statistics.get((asked, where))
        if found is None:
            return Gap(reason="not every repeat has these examples", n=n)
        measured = contrast(found, self.confidence, new=self.new)
        if isinstance(measured, Gap):
            return dataclasses.replace(measured, n=n)
        if measured.head_interval is None and (gate.floor is not None or gate.ceiling is not None):
            try:
                found.value(self.confidence, True)
            except ValueError as error:
                return Gap(reason=str(error), n=n)
        return measured

    def _gap(self, gate: GateConfig) -> Measured:
        assert gate.gap is not None
        cut = gate.gap.by
        if (crowd := self.cuts[cut]) is not None:
            return Gap(reason=f"{' × '.join(cut)} has {crowd:,} values, which are no groups")
        every = measured_for(gate)
        if reason := next((why for asked in every if (why := unknown_class(asked, self.paired))), None):
            return Gap(reason=reason)
        sizes = {where: min(self.sizes[where].measured(asked) for asked in every) for where in self._wheres(cut)}
        if small := [f"{where} ({n:,})" for where, n in sizes.items() if n < gate.gap.min_n]:
            more = f"; and {len(small) - _LISTED:,} more" if len(small) > _LISTED else ""
            listed = f"{'; '.join(small[:_LISTED])}{more}"
            self.notices.append(f"{gate.key} leaves out groups of fewer than {gate.gap.min_n:,} examples: {listed}")
        ratio = gate.gap.measure == "ratio"
        groups = [where for where, n in sizes.items() if n >= gate.gap.min_n]
        if len(groups) < 2:
            there = f"{len(groups)} group{'' if len(groups) == 1 else 's'}"
            return Gap(reason=f"{there} of {gate.gap.min_n:,} examples or more: a gap needs 2")
        metrics = [{str(where): self.statistics[asked, where] for where in groups} for asked in every]
        measured = contrast(gaps.statistic(metrics, ratio=ratio), self.confidence, new=self.new)
        if isinstance(measured, Gap):
            return measured
        try:
            between = gaps.widest(metrics, self.confidence, head=True, ratio=ratio)
        except ValueError as error:
            return Gap(reason=str(error))
        return dataclasses.replace(measured, between=(between.higher, between.lower))


def contrast(found: Statistic, confidence: float, *, new: bool = False) -> Measured:
    """A statistic as what a gate judges, or why it cannot be estimated. `new`: the base has no such table."""
    own = None
    try:
        own = found.value(confidence, True)
    except ValueError as error:
        if new:
            return Gap(reason=str(error))
    interval = (own.low, own.high) if own else None
    if new:
        assert own is not None
        return Contrast(
            base=None, head=own.value, head_interval=interval, confidence=confidence, n=own.n, method=own.method
        )
    try:
        return Contrast.of(found.difference(confidence), interval)
    except ValueError as error:
        return Gap(reason=str(error))
