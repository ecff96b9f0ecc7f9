"""Whether another table looks as this one: columns, types, ranges, categories. Layer: metrics.

A scan of this table for its ranges and categories, and one of the other for what is beyond them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis

from ci_ml.core.expectations import ColumnType
from ci_ml.metrics.columns import Source, Unusable, infinite, shown
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.expectations import parsed

# A text is one of categories when it has so many values at most, each of them in so many rows on average.
MOST_CATEGORIES = 1000
LEAST_EACH = 10


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """The column of which most rows of the other table are beyond what this one has, how many, and of how many."""

    column: str
    rows: int
    n: int


def differing(one: Source, other: Source, ignored: frozenset[str]) -> list[str]:
    """What the columns of two tables do not have in common, in words, column by column."""
    mine, theirs = ([name for name in source.table.columns if name not in ignored] for source in (one, other))
    found = [f"{shown(name)} is not there" for name in mine if name not in theirs]
    found += [f"{shown(name)} is only there" for name in theirs if name not in mine]
    if one.typed and other.typed:
        for name in (name for name in mine if name in theirs):
            kinds = [_family(source.table[name]) for source in (one, other)]
            if kinds[0] != kinds[1] and "nothing" not in kinds:
                found.append(f"{shown(name)} is {kinds[1]} and not {kinds[0]}")
    return found


def _family(column: ibis.Value) -> str:
    kind = column.type()
    if kind.is_null():
        return "nothing"
    for name, is_it in (("boolean", kind.is_boolean()), ("integer", kind.is_integer()), ("number", kind.is_numeric())):
        if is_it:
            return name
    return "time" if kind.is_timestamp() else str(kind.copy(nullable=True))


def beyond(engine: Engine, one: Source, other: Source, names: Sequence[str]) -> Beyond:
    """The column that lies most beyond. Raises Unusable when a table has no rows, or nothing can be compared."""
    ranges = {name: _ordered(one, name) for name in names}
    numeric = [name for name, column in ranges.items() if column is not None and _ordered(other, name) is not None]
    asked = {f"low{i}": ranges[name].min() for i, name in enumerate(numeric)}  # type: ignore[union-attr]
    asked |= {f"high{i}": ranges[name].max() for i, name in enumerate(numeric)}  # type: ignore[union-attr]
    texts = [name for name in names if one.table[name].type().is_string() and other.table[name].type().is_string()]
    unread = {f"text{i}": _unread(one, name) for i, name in enumerate(texts)}
    (row,) = engine.rows(one.table.aggregate(n=one.table.count(), **asked, **unread))
    if not row["n"]:
        raise Unusable(f"{one.name} has no rows")
    numbers = {name for i, name in enumerate(texts) if not row[f"text{i}"]}
    wrong: dict[str, ibis.Value] = {}
    for index, name in enumerate(numeric):
        low, high = row[f"low{index}"], row[f"high{index}"]
        if low is not None and (name not in texts or name in numbers):
            wrong[name] = _outside(other, name, low, high)
    for name in texts:
        if name not in wrong and (strange := _strange(engine, one, other, name)) is not None:
            wrong[name] = strange
    if not wrong:
        raise Unusable("no column has a range or categories that both tables can be asked for")
    counts = {f"w{index}": other.table.count(where=rows) for index, rows in enumerate(wrong.values())}
    (found,) = engine.rows(other.table.aggregate(n=other.table.count(), **counts))
    if not found["n"]:
        raise Unusable(f"{other.name} has no rows")
    worst = max(range(len(wrong)), key=lambda index: int(found[f"w{index}"] or 0))
    return Beyond(column=list(wrong)[worst], rows=int(found[f"w{worst}"] or 0), n=int(found["n"]))


def _ordered(source: Source, name: str) -> ibis.Value | None:
    """A column as numbers; None where it holds none."""
    column = source.table[name]
    kind = column.type()
    if kind.is_numeric() and not kind.is_boolean():
        number = column.cast("float64")
        return (number.isnan() | infinite(number)).ifelse(ibis.null("float64"), number)
    return parsed(column, ColumnType.NUMBER) if kind.is_string() and not source.typed else None


def _unread(source: Source, name: str) -> ibis.Value:
    """Whether any value of a text is no number."""
    column = source.table[name]
    if source.typed:
        return ibis.literal(1)
    return source.table.count(where=column.notnull() & parsed(column, ColumnType.NUMBER).isnull())


def _outside(other: Source, name: str, low: float, high: float) -> ibis.Value:
    number = _ordered(other, name)
    assert number is not None
    return other.table[name].notnull() & (number.isnull() | (number < low) | (number > high))


def _strange(engine: Engine, one: Source, other: Source, name: str) -> ibis.Value | None:
    """The rows of the other table with a category that this one has not; None where these are no categories."""
    given = one.table.filter(one.table[name].notnull())
    groups = given.group_by(value=given[name]).aggregate(n=given.count())
    held = engine.rows(groups.limit(MOST_CATEGORIES + 1))
    if len(held) > MOST_CATEGORIES or sum(row["n"] for row in held) < LEAST_EACH * len(held):
        return None
    column = other.table[name]
    values = [row["value"] for row in held]
    return column.notnull() & ~column.isin(values) if values else column.notnull()
