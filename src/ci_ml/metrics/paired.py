"""The joined table that every family reads, and how it is cut into slices. Layer: metrics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import ibis
import numpy as np

from ci_ml.core.catalogue import Task
from ci_ml.core.types import Slice
from ci_ml.metrics.engine import Engine, Row
from ci_ml.stats.influence import Totals

Cut = tuple[str, ...]

# A value of a slice column in the joined table: text after this sign, or the empty text where it is missing.
PRESENT = "="

# Up to this many combinations of slice columns, one pass over the examples makes the cells that all slices are sums of.
_CELLS = 20_000


@dataclass(frozen=True, kw_only=True)
class Paired:
    """One row per test example, with both sides beside each other.

    Columns: `label` (0/1, the class's name, or a number), `base_class` and `head_class`, `base_score` and `head_score`
    (binary) or `base_score_0` … in the order of `classes` (multiclass), `base_value` and `head_value` (regression),
    `cluster`, `one` (1), `changed` (1 where the sides predict differently), and what `columns` and `cuts` name: both
    sides' of another column, and a slice column's own.
    """

    table: ibis.Table
    task: Task
    n: int
    cuts: Mapping[str, str] = field(default_factory=dict)
    combinations: int = 1
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
        values = [str(row[self.cuts[name]]) for name in cut]
        return Slice(parts=tuple((name, value[1:] if value else None) for name, value in zip(cut, values, strict=True)))


def total(table: ibis.Table, keys: Sequence[str], sums: Mapping[str, ibis.Value]) -> ibis.Table:
    """Sums by group; one row of sums without keys."""
    wanted = {name: value.sum() for name, value in sums.items()}
    return table.group_by(list(keys)).aggregate(**wanted) if keys else table.aggregate(**wanted)


def by_cut(
    engine: Engine, paired: Paired, cuts: Sequence[Cut], keys: Sequence[str], sums: Mapping[str, ibis.Value]
) -> Iterator[tuple[Slice | None, list[Row]]]:
    """Sums over the examples of every slice, by `keys`, in as few passes over the examples as can be."""
    table = paired.table
    if len(cuts) > 1 and paired.combinations <= _CELLS:
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
