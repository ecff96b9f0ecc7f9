"""The joined table that every family reads, and how it is cut into slices. Layer: metrics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import ibis
import numpy as np

from ci_ml.core.catalogue import Task
from ci_ml.core.types import Slice
from ci_ml.metrics.columns import Unusable
from ci_ml.metrics.engine import Engine, Row
from ci_ml.stats.influence import Totals

Cut = tuple[str, ...]

# Up to this many slices, one pass over the examples makes the cells that all of them are sums of.
_CELLS = 20_000


@dataclass(frozen=True, kw_only=True)
class Paired:
    """One row per test example, with both sides beside each other.

    Columns: `label` (0/1, the class's name, or a number), `base_class` and `head_class`, `base_score` and `head_score`
    (binary) or `base_score_0` … in the order of `classes` (multiclass), `base_value` and `head_value` (regression),
    `cluster`, `one` (1), `changed` (1 where the sides predict differently), and what `columns` and `cuts` name: both
    sides' of another column, and a slice column's own.

    A slice column holds numbers, which `values` spells out: grouping by text costs several times as much. A column of
    more values than can be slices has none there, and holds what the file holds.
    """

    table: ibis.Table
    task: Task
    n: int
    cuts: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    clustered: bool = False

    def keys(self, cut: Cut) -> list[str]:
        """The columns of the table that a cut groups by."""
        return [self.cuts[name] for name in cut]

    def slice(self, cut: Cut, row: Row) -> Slice | None:
        """Which slice a row of a grouped result belongs to; None for all examples."""
        if not cut:
            return None
        return Slice(parts=tuple((name, self._spelt(name)[int(row[self.cuts[name]])]) for name in cut))

    def _spelt(self, name: str) -> Sequence[str | None]:
        if name not in self.values:
            raise Unusable(f"{name} has too many values to make slices of")
        return self.values[name]

    def codes(self, cut: Cut, where: Slice | None) -> list[int]:
        """What the key columns of a slice hold."""
        parts = where.parts if where else ()
        return [self._spelt(name).index(value) for name, (_, value) in zip(cut, parts, strict=True)]

    def slices(self, cuts: Sequence[Cut]) -> int:
        """How many slices there may be when everything that these cuts name is crossed."""
        most = 1
        for name in dict.fromkeys(name for cut in cuts for name in cut):
            most *= len(self._spelt(name))
        return most


def total(table: ibis.Table, keys: Sequence[str], sums: Mapping[str, ibis.Value]) -> ibis.Table:
    """Sums by group; one row of sums without keys."""
    wanted = {name: value.sum() for name, value in sums.items()}
    return table.group_by(list(keys)).aggregate(**wanted) if keys else table.aggregate(**wanted)


def by_cut(
    engine: Engine, paired: Paired, cuts: Sequence[Cut], keys: Sequence[str], sums: Mapping[str, ibis.Value]
) -> Iterator[tuple[Slice | None, list[Row]]]:
    """Sums over the examples of every slice, by `keys`, in as few passes over the examples as can be."""
    table = paired.table
    if len(cuts) > 1 and paired.slices(cuts) <= _CELLS:
        every = list(dict.fromkeys(column for cut in cuts for column in paired.keys(cut)))
        table = engine.hold(total(table, [*every, *keys], sums))
        sums = {name: table[name] for name in sums}
    for cut in cuts:
        yield from sliced(paired, cut, engine.rows(total(table, [*paired.keys(cut), *keys], sums)))


def sliced(paired: Paired, cut: Cut, rows: Sequence[Row]) -> Iterator[tuple[Slice | None, list[Row]]]:
    """The rows of a grouped result, slice by slice."""
    if not cut:
        yield None, list(rows)
        return
    found: dict[Slice | None, list[Row]] = {}
    for row in rows:
        found.setdefault(paired.slice(cut, row), []).append(row)
    yield from found.items()


def beside(
    engine: Engine, paired: Paired, cut: Cut, table: ibis.Table, numbers: Mapping[Slice | None, Mapping[str, float]]
) -> ibis.Table:
    """A table with numbers of our own as further columns: those of the slice that each row belongs to.

    They are joined and not written into the expression, because an engine may read a decimal numeral a little off.
    """
    keys = paired.keys(cut)
    names = list(next(iter(numbers.values())))
    columns: dict[str, list[object]] = {name: [] for name in [*keys, *names]}
    for where, own in numbers.items():
        for name, code in zip(keys, paired.codes(cut, where), strict=True):
            columns[name].append(code)
        for name in names:
            columns[name].append(own[name])
    types = {name: str(table[name].type().copy(nullable=True)) for name in keys}
    known = engine.put(columns, {**types, **dict.fromkeys(names, "float64")})
    return table.join(known, keys) if keys else table.cross_join(known)


def totals(
    engine: Engine, paired: Paired, cuts: Sequence[Cut], columns: Sequence[ibis.Value], table: ibis.Table | None = None
) -> Iterator[tuple[Slice | None, Totals | ValueError]]:
    """Sums of the columns, and of their products, over examples or, where there are any, over clusters.

    One entry of a slice may be an error: too few clusters, or a sum that is not finite.
    """
    source = paired.table if table is None else table
    named = {f"x{index}": column for index, column in enumerate(columns)}
    pairs = [(i, j) for i in range(len(columns)) for j in range(i, len(columns))]
    for cut in cuts:
        keys = paired.keys(cut)
        if paired.clustered:
            units = total(source, [*keys, "cluster"], {**named, "one": source.one})
        else:
            units = source.select(*keys, one=source.one, **named)
        sums: dict[str, ibis.Value] = {"n": units.one, "units": units.one * 0 + 1}
        sums |= {name: units[name] for name in named}
        sums |= {f"p{i}_{j}": units[f"x{i}"] * units[f"x{j}"] for i, j in pairs}
        for where, rows in sliced(paired, cut, engine.rows(total(units, keys, sums))):
            yield where, _totals(rows[0], len(columns), pairs, clusters=paired.clustered)


def _totals(row: Row, size: int, pairs: Sequence[tuple[int, int]], *, clusters: bool) -> Totals | ValueError:
    products = np.zeros((size, size))
    for i, j in pairs:
        products[i, j] = products[j, i] = number(row[f"p{i}_{j}"])
    sums = np.array([number(row[f"x{index}"]) for index in range(size)])
    try:
        units = int(number(row["units"]))
        return Totals(n=int(number(row["n"])), units=units, sums=sums, products=products, clusters=clusters)
    except ValueError as error:
        return error


def number(value: object) -> float:
    """A sum as Python has it: engines answer integers, decimals, floats, or nothing for a sum of nothing."""
    return 0.0 if value is None else float(value)  # type: ignore[arg-type]
