"""What a table holds: types, ends, values, in one scan and a group-by for each column of few values. Layer: metrics."""

from collections.abc import Sequence
from typing import Any

import ibis

from ci_ml.core.expectations import ColumnType
from ci_ml.core.observed import MOST_VALUES, Seen, is_plain
from ci_ml.metrics.columns import Source, Unusable, infinite
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.expectations import parsed

_AT_ONCE = 50
# What a text is, the first that every value of it is written as.
_READ_AS = (ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.BOOLEAN)


def observe(engine: Engine, source: Source) -> tuple[int, list[Seen]]:
    """The rows of a table, and what each column holds. Raises Unusable for a table without any."""
    names = source.table.columns
    n, found = 0, []
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        n, kinds = _types(engine, source, part)
        if not n:
            raise Unusable(f"{source.name} has no rows")
        found += _seen(engine, source, part, kinds)
    return n, found


def _types(engine: Engine, source: Source, names: Sequence[str]) -> tuple[int, dict[str, ColumnType | None]]:
    table = source.table
    if source.typed:
        (row,) = engine.rows(table.aggregate(n=table.count()))
        return int(row["n"]), {name: _type(table[name].type()) for name in names}
    asked: dict[str, ibis.Value] = {}
    for index, name in enumerate(names):
        asked[f"given{index}"] = table[name].count()
        asked |= {f"{kind.value}{index}": parsed(table[name], kind).count() for kind in _READ_AS}
    (row,) = engine.rows(table.aggregate(n=table.count(), **asked))
    return int(row["n"]), {name: _read_as(row, index) for index, name in enumerate(names)}


def _read_as(row: Row, index: int) -> ColumnType | None:
    given = int(row[f"given{index}"])
    if not given:
        return None
    return next((kind for kind in _READ_AS if int(row[f"{kind.value}{index}"]) == given), ColumnType.STRING)


def _type(kind: Any) -> ColumnType | None:
    for found, is_it in (
        (ColumnType.BOOLEAN, kind.is_boolean()),
        (ColumnType.INTEGER, kind.is_integer()),
        (ColumnType.NUMBER, kind.is_numeric()),
        (ColumnType.STRING, kind.is_string()),
        (ColumnType.DATE, kind.is_date()),
        (ColumnType.TIMESTAMP, kind.is_timestamp()),
    ):
        if is_it:
            return found
    return None


def _seen(engine: Engine, source: Source, names: Sequence[str], kinds: dict[str, ColumnType | None]) -> list[Seen]:
    values = {name: _value(source, name, kinds[name]) for name in names}
    asked: dict[str, ibis.Value] = {}
    for index, name in enumerate(names):
        column, value = source.table[name], values[name]
        asked[f"given{index}"] = column.count()
        if kinds[name] is not None:
            asked[f"about{index}"] = value.approx_nunique()
        if kinds[name] in (ColumnType.INTEGER, ColumnType.NUMBER):
            number = value.cast("float64")
            fit = ~(number.isnan() | infinite(number))
            asked |= {
                f"odd{index}": source.table.count(where=number.isnan()),
                f"infinite{index}": source.table.count(where=infinite(number)),
                f"low{index}": value.min(where=fit),
                f"high{index}": value.max(where=fit),
            }
        elif kinds[name] in (ColumnType.DATE, ColumnType.TIMESTAMP):
            asked |= {f"low{index}": value.min().cast("string"), f"high{index}": value.max().cast("string")}
    (row,) = engine.rows(source.table.aggregate(**asked))
    return [_one(engine, source, name, index, row, values[name], kinds[name]) for index, name in enumerate(names)]


def _value(source: Source, name: str, kind: ColumnType | None) -> ibis.Value:
    column = source.table[name]
    return column if source.typed or kind is None else parsed(column, kind)


def _one(
    engine: Engine,
    source: Source,
    name: str,
    index: int,
    row: Row,
    value: ibis.Value,
    kind: ColumnType | None,
) -> Seen:
    given, about = int(row[f"given{index}"]), int(row.get(f"about{index}") or 0)
    low, high = row.get(f"low{index}"), row.get(f"high{index}")
    few = _few(engine, source, value) if 0 < about <= 2 * MOST_VALUES and kind in _LISTED else ()
    # An estimate is off by a few percent, so who may be unique is counted.
    is_unique = given > 1 and about >= 0.8 * given and _is_unique(engine, source, name, given)
    return Seen(
        name=name,
        type=kind,
        given=given,
        odd=int(row.get(f"odd{index}") or 0),
        infinite=int(row.get(f"infinite{index}") or 0),
        low=_plain(low),
        high=_plain(high),
        values=few if len(few) <= MOST_VALUES and all(map(is_plain, few)) else (),
        distinct=len(few),
        unique=is_unique,
    )


_LISTED = (ColumnType.INTEGER, ColumnType.STRING)


def _plain(value: Any) -> Any:
    """A number as Python has it: decimals become floats."""
    return value if value is None or isinstance(value, int | float | str) else float(value)


def _few(engine: Engine, source: Source, value: ibis.Value) -> tuple[Any, ...]:
    known = source.table.select(value=value).filter(ibis._.value.notnull()).distinct()
    return tuple(row["value"] for row in engine.rows(known.limit(4 * MOST_VALUES)))


def _is_unique(engine: Engine, source: Source, name: str, given: int) -> bool:
    table = source.table.filter(source.table[name].notnull())
    keys = table.group_by(table[name]).aggregate(ci_ml_rows=table.count())
    (row,) = engine.rows(keys.aggregate(n=keys.count()))
    return int(row["n"]) == given
