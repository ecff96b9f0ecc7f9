"""Rows that two tables share. Layer: metrics. A group-by over both, in which a missing value equals another one."""

from collections.abc import Sequence

import ibis

from ci_ml.metrics.columns import Source, Unusable, key, shown, there
from ci_ml.metrics.engine import Engine


def shared(engine: Engine, one: Source, other: Source, names: Sequence[str], *, given: bool) -> tuple[int, int]:
    """How many rows of `one` have the same values in these columns as a row of `other`, and of how many.

    `given`: rows without a value are left out, because nobody knows who they are. Raises Unusable.
    """
    sides = [_side(source, names, (one, other), mine=source is one, given=given) for source in (one, other)]
    both = ibis.union(*sides)
    keys = [f"k{index}" for index in range(len(names))]
    groups = both.group_by(keys).aggregate(mine=both.mine.sum(), theirs=(1 - both.mine).sum())
    (row,) = engine.rows(
        groups.aggregate(
            shared=groups.mine.sum(where=groups.theirs > 0), n=groups.mine.sum(), other=groups.theirs.sum()
        )
    )
    for source, n in ((one, row["n"]), (other, row["other"])):
        if not n:
            raise Unusable(f"{source.name} has no rows{f' with {there(names)}' if given else ''}")
    return int(row["shared"] or 0), int(row["n"])


def _side(source: Source, names: Sequence[str], both: tuple[Source, Source], *, mine: bool, given: bool) -> ibis.Table:
    table = source.table
    chosen = {f"k{index}": _column(source, name, both) for index, name in enumerate(names)}
    if given:
        table = table.filter([table[name].notnull() for name in names])
    return table.select(**chosen, mine=ibis.literal(1 if mine else 0, type="int64"))


def _column(source: Source, name: str, both: tuple[Source, Source]) -> ibis.Value:
    """A column of one of both tables; as text, where it is of another type in the other one."""
    for table in both:
        if name not in table.table.columns:
            raise Unusable(f"{table.name} has no column {shown(name)}; it has: {there(table.table.columns)}")
    one, other = (table.table[name].type().copy(nullable=True) for table in both)
    column = source.table[name]
    return column if one == other else key(column)
