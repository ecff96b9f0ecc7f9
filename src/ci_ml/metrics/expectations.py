"""What breaks the rules of a table, counted: all of them in one scan. Layer: metrics.

One aggregate counts the rows that break each rule, and the rows of the table. Only uniqueness needs more: a group-by
for each set of columns. Checks ignore missing values, as those of pandera do, for whether a value may be missing is a
rule of its own; NaN is missing, and breaks a range as well, because it compares with nothing.
"""

import datetime as dt
import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ibis
from ibis.common.exceptions import IbisError

from ci_ml.core import expressions
from ci_ml.core.expectations import ColumnType, Kind, Rule, said
from ci_ml.core.types import Gap
from ci_ml.metrics.columns import Source, Unusable, shown, there
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.expressions import Translation

_INTEGER = r"\A[+-]?[0-9]+\z"
_NUMBER = r"\A[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\z"
_DATE = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"
_ZONE = r"([Zz]|[+-][0-9]{2}:?[0-9]{2})\z"
_TIME = (
    r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?\z"
)
_TRUE, _FALSE = ("1", "true", "True", "TRUE"), ("0", "false", "False", "FALSE")
_LARGEST = 2**63
_AT_ONCE = 500  # rules in one aggregate: a table of a thousand columns takes several scans


@dataclass(frozen=True, kw_only=True)
class Broken:
    """How many rows break a rule, and some of the values that do, where they were asked for.

    `why` says what is wrong with all of them at once, such as the type of the column.
    """

    rows: int
    why: str = ""
    examples: tuple[str, ...] = ()


Found = Broken | Gap


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The rows of a table, and what became of each rule."""

    n: int
    found: Mapping[Rule, Found]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How many values that break a rule are shown, and the column that names their rows."""

    most: int = 0
    id: str | None = None


def count(engine: Engine, source: Source, rules: Sequence[Rule], examples: Shown | None = None) -> Counted:
    """Count what breaks each rule. What cannot be counted is a gap with the reason, and never nothing.

    Raises Unusable when the table cannot be read at all.
    """
    examples = examples or Shown()
    reader = _Reader(source, rules)
    asked = {rule: reader.asked(rule) for rule in rules}
    wrong = {rule: rows for rule, rows in asked.items() if isinstance(rows, ibis.Value)}
    n, counts = _scanned(engine, source.table, wrong)
    if n == 0:
        return Counted(n=0, found=dict.fromkeys(rules, Gap(reason=f"{source.name} has no rows")))
    found: dict[Rule, Found] = {}
    for rule, answer in asked.items():
        if isinstance(answer, Gap):
            found[rule] = answer
        elif isinstance(answer, str):
            found[rule] = Broken(rows=n, why=answer)
        elif rule in counts:
            rows = counts[rule]
            shown_ = _examples(engine, reader, rule, wrong[rule], examples) if rows else ()
            found[rule] = Broken(rows=rows, examples=shown_)
        elif rule.kind is Kind.UNIQUE and not reader.spares(rule):
            found[rule] = _repeated(engine, reader, rule, examples)
    return Counted(n=n, found=found)


def _scanned(engine: Engine, table: ibis.Table, wrong: Mapping[Rule, ibis.Value]) -> tuple[int, dict[Rule, int]]:
    every = list(wrong.items())
    found: dict[Rule, int] = {}
    n = 0
    for start in range(0, max(len(every), 1), _AT_ONCE):
        part = every[start : start + _AT_ONCE]
        sums = {f"r{index}": table.count(where=broken) for index, (_, broken) in enumerate(part)}
        (row,) = engine.rows(table.aggregate(n=table.count(), **sums))
        n = int(row["n"])
        found |= {rule: int(row[f"r{index}"] or 0) for index, (rule, _) in enumerate(part)}
    return n, found


def _examples(engine: Engine, reader: "_Reader", rule: Rule, wrong: ibis.Value, asked: Shown) -> tuple[str, ...]:
    if not asked.most:
        return ()
    table = reader.raw
    names = [name for name in reader.about(rule) if name in table.columns]
    key = [asked.id] if asked.id in table.columns and asked.id not in names else []
    chosen = {f"c{index}": table[name].cast("string") for index, name in enumerate([*key, *names])}
    rows = engine.rows(table.filter(wrong).select(**chosen).distinct().order_by(list(chosen)).limit(asked.most))
    return tuple(
        ", ".join(f"{shown(name)} {shown(row[f'c{index}'])}" for index, name in enumerate([*key, *names]))
        for row in rows
    )


def _repeated(engine: Engine, reader: "_Reader", rule: Rule, asked: Shown) -> Found:
    """How many rows have the same values as another one; of a single column what is missing does not count."""
    try:
        columns = [reader.column(name) for name in rule.columns]
    except Unusable as error:
        return Gap(reason=str(error))
    table = reader.raw
    if len(columns) == 1:
        table = table.filter(columns[0].notnull())
    keys = [table[name] for name in rule.columns]
    groups = table.group_by(keys).aggregate(ci_ml_rows=table.count())
    again = groups.filter(groups.ci_ml_rows > 1)
    (row,) = engine.rows(again.aggregate(n=again.ci_ml_rows.sum()))
    rows = int(row["n"] or 0)
    if not rows or not asked.most:
        return Broken(rows=rows)
    chosen = {f"c{index}": again[name].cast("string") for index, name in enumerate(rule.columns)}
    listed = engine.rows(again.select(**chosen).order_by(list(chosen)).limit(asked.most))
    examples = (
        ", ".join(f"{shown(name)} {shown(one[f'c{index}'])}" for index, name in enumerate(rule.columns))
        for one in listed
    )
    return Broken(rows=rows, examples=tuple(examples))


class _Reader:
    """The columns of a table, and of each rule which rows break it."""

    def __init__(self, source: Source, rules: Iterable[Rule]) -> None:
        self.source, self.raw = source, source.table
        self.types = {rule.columns[0]: rule.type for rule in rules if rule.type is not None and len(rule.columns) == 1}
        self._trees: dict[str, expressions.Node] = {}

    def column(self, name: str) -> ibis.Value:
        """A column as it was read. Raises Unusable."""
        if name not in self.raw.columns:
            raise Unusable(f"{self.source.name} has no column {shown(name)}; it has: {there(self.raw.columns)}")
        return self.raw[name]

    def about(self, rule: Rule) -> tuple[str, ...]:
        """The columns that a rule reads."""
        return expressions.columns(self._tree(rule)) if rule.kind is Kind.HOLDS else rule.columns

    def spares(self, rule: Rule) -> bool:
        """Whether a rule expects nothing of this table, which has no such column and needs none."""
        return rule.optional and not set(rule.columns) <= set(self.raw.columns)

    def asked(self, rule: Rule) -> ibis.Value | str | Gap | None:
        """As `broken`, with a gap where it cannot be told."""
        try:
            return self.broken(rule)
        except Unusable as error:
            return Gap(reason=str(error))
        except (IbisError, TypeError, ValueError) as error:  # types that do not go together
            return Gap(reason=f"it cannot be asked of {self.source.name}: {shown(str(error).partition(chr(10))[0])}")

    def broken(self, rule: Rule) -> ibis.Value | str | None:
        """Which rows break a rule; or why all of them do; None where that takes a pass of its own, or nothing is asked.

        Raises Unusable where it cannot be told.
        """
        if self.spares(rule):
            return None
        if rule.kind is Kind.REFUSED:
            raise Unusable(str(rule.value))
        if rule.kind is Kind.UNIQUE:
            return None
        if rule.kind is Kind.HOLDS:
            return self._not_holding(rule)
        column = self.column(rule.columns[0])
        if rule.kind is Kind.MISSING:
            return _missing(column)
        if rule.kind is Kind.TYPE:
            return self._of_another_type(column, rule)
        if rule.kind in (Kind.PATTERN, Kind.LENGTH):
            return self._misformed(column, rule)
        if rule.kind in (Kind.ALLOWED, Kind.FORBIDDEN):
            return self._not_among(column, rule)
        return self._beyond(column, rule)

    # --- Types

    def _of_another_type(self, column: ibis.Value, rule: Rule) -> ibis.Value | str:
        wanted = rule.value if isinstance(rule.value, ColumnType) else rule.type
        if wanted is None:
            raise Unusable(f"{shown(str(rule.value))} is no type that is known here")
        if not self.source.typed:
            if wanted is ColumnType.STRING:
                return ibis.literal(False)
            unread = column.notnull() & parsed(column, wanted).isnull()
            return unread | self._mixed_zones(column) if wanted is ColumnType.TIMESTAMP else unread
        if column.type().is_null():
            return ibis.literal(False)
        kind = column.type().copy(nullable=True)
        is_it = _TYPED[wanted](kind) if isinstance(rule.value, ColumnType) else str(kind) == str(rule.value)
        return ibis.literal(False) if is_it else f"the column is {kind}"

    def _mixed_zones(self, column: ibis.Value) -> ibis.Value:
        """The times without a zone, where others have one: nobody knows when they were."""
        zoned = column.re_search(_ZONE)
        other = self.raw.aggregate(some=zoned.any()).some.as_scalar()
        return column.notnull() & ~zoned & other

    def _typed(self, column: ibis.Value, name: str, otherwise: ColumnType | None) -> ibis.Value:
        """A column as what it is expected to be: text is read strictly, and null where it is something else."""
        if self.source.typed or not column.type().is_string():
            return column
        kind = self.types.get(name) or otherwise
        return column if kind in (None, ColumnType.STRING) else parsed(column, kind)

    # --- Values

    def _beyond(self, column: ibis.Value, rule: Rule) -> ibis.Value:
        if rule.kind is Kind.RANGE:
            low, high, *includes = rule.value
            kinds = (Kind.MIN if includes[0] else Kind.ABOVE, Kind.MAX if includes[1] else Kind.BELOW)
            ends = (replace(rule, kind=kind, value=end) for kind, end in zip(kinds, (low, high), strict=True))
            return functools.reduce(operator.or_, (self._beyond(column, one) for one in ends))
        end = rule.value
        otherwise = ColumnType.NUMBER
        if isinstance(end, dt.date):
            otherwise = ColumnType.TIMESTAMP if isinstance(end, dt.datetime) else ColumnType.DATE
        value = self._typed(column, rule.columns[0], otherwise)
        one, other = _comparable(value, end, rule, zoned=not self.source.typed)
        within = _WITHIN[rule.kind](one, other)
        return _any(_unread(column, value), _nan(value), ~within)

    def _not_among(self, column: ibis.Value, rule: Rule) -> ibis.Value:
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in rule.value)
        value = self._typed(column, rule.columns[0], ColumnType.NUMBER if numeric else None)
        literals = [_literal_like(value, one, rule) for one in rule.value]
        among = value.isin(literals)
        return _any(_unread(column, value), among if rule.kind is Kind.FORBIDDEN else ~among)

    def _misformed(self, column: ibis.Value, rule: Rule) -> ibis.Value:
        if not column.type().is_string():
            raise _unfit(column, rule)
        if rule.kind is Kind.PATTERN:
            return ~column.re_search(rule.value)
        least, most = rule.value
        length = column.length()
        ends = [length < least] if least is not None else []
        ends += [length > most] if most is not None else []
        return functools.reduce(operator.or_, ends)

    def _tree(self, rule: Rule) -> expressions.Node:
        text = str(rule.value)
        if text not in self._trees:
            try:
                self._trees[text] = expressions.parse(text, 100 * expressions.LONGEST)
            except ValueError as error:
                raise Unusable(f"{shown(text)} {error}") from None
        return self._trees[text]

    def _not_holding(self, rule: Rule) -> ibis.Value:
        """Where it does not hold, or cannot be worked out though no value is missing: as a number divided by 0."""
        tree = self._tree(rule)
        names = expressions.columns(tree)
        if not names:
            raise Unusable(f"{shown(rule.value)} is about no column")
        holds = Translation(lambda name: self._typed(self.column(name), name, None)).boolean(tree)
        raw = [self.column(name) for name in names]
        complete = functools.reduce(operator.and_, (column.notnull() for column in raw))
        broken = _not(holds).fill_null(complete)
        if expressions.asks_for_nan(tree):
            return broken
        return _any(broken, *map(_nan, raw))


_TYPED: Mapping[ColumnType, Callable[[Any], bool]] = {
    ColumnType.INTEGER: lambda kind: kind.is_integer() or (kind.is_decimal() and kind.scale == 0),
    ColumnType.NUMBER: lambda kind: kind.is_numeric() and not kind.is_boolean(),
    ColumnType.STRING: lambda kind: kind.is_string(),
    ColumnType.BOOLEAN: lambda kind: kind.is_boolean(),
    ColumnType.DATE: lambda kind: kind.is_date(),
    ColumnType.TIMESTAMP: lambda kind: kind.is_timestamp(),
}
_WITHIN: Mapping[Kind, Callable[[Any, Any], Any]] = {
    Kind.MIN: operator.ge,
    Kind.ABOVE: operator.gt,
    Kind.MAX: operator.le,
    Kind.BELOW: operator.lt,
}


def parsed(text: ibis.Value, wanted: ColumnType) -> ibis.Value:
    """Text as a value of a type; null for what is not written as one, to the letter: no blanks, no guesses.

    A whole number that 64 bits do not hold is none, and a time with a zone is that of UTC.
    """
    if wanted is ColumnType.INTEGER:
        return text.re_search(_INTEGER).ifelse(text.try_cast("int64"), ibis.null("int64"))
    if wanted is ColumnType.NUMBER:
        return text.re_search(_NUMBER).ifelse(text.try_cast("float64"), ibis.null("float64"))
    if wanted is ColumnType.BOOLEAN:
        return ibis.cases((text.isin(_TRUE), True), (text.isin(_FALSE), False), else_=ibis.null("boolean"))
    if wanted is ColumnType.DATE:
        return text.re_search(_DATE).ifelse(text.try_cast("date"), ibis.null("date"))
    if wanted is ColumnType.TIMESTAMP:
        local = text.re_replace(_ZONE, "").try_cast("timestamp")
        zone = text.re_extract(r"([+-])([0-9]{2}):?([0-9]{2})\z", 0)
        minutes = zone.substr(1, 2).try_cast("int64") * 60 + zone.right(2).try_cast("int64")
        signed = zone.startswith("-").ifelse(-minutes, minutes)
        moved = local - signed.fill_null(0).as_interval("m")
        return text.re_search(_TIME).ifelse(moved, ibis.null("timestamp"))
    return text


def _not(holds: ibis.Value) -> ibis.Value:
    """The contrary. Ibis writes NOT without brackets around it, where IS NULL or = after it would be read first."""
    return holds == ibis.literal(False)


def _missing(column: ibis.Value) -> ibis.Value:
    return _any(column.isnull(), _nan(column))


def _nan(column: ibis.Value) -> ibis.Value | None:
    """Where a value is NaN, which engines take for the largest number; None for a type that has none."""
    return column.isnan() if column.type().is_floating() else None


def _unread(column: ibis.Value, value: ibis.Value) -> ibis.Value | None:
    """Where a text is not what it is read as; None for what is not read as anything else."""
    return None if value is column else column.notnull() & value.isnull()


def _any(*conditions: ibis.Value | None) -> ibis.Value:
    """Where any of them holds; nothing is known, and so nothing is counted, where a value is missing."""
    return functools.reduce(operator.or_, (condition for condition in conditions if condition is not None))


def _unfit(column: ibis.Value, rule: Rule) -> Unusable:
    holds = "nothing" if column.type().is_null() else f"values of the type {column.type()}"
    return Unusable(f"the column {shown(rule.columns[0])} holds {holds}")


def _comparable(value: ibis.Value, end: Any, rule: Rule, *, zoned: bool) -> tuple[ibis.Value, ibis.Value]:
    """A column and the end of a range, of types that compare; `zoned`: times are those of UTC. Raises Unusable."""
    kind = value.type()
    if not isinstance(end, dt.date):
        if not kind.is_numeric() or kind.is_boolean():
            raise _unfit(value, rule)
        if kind.is_unsigned_integer() and end < 0:
            value = value.cast("float64")  # what is beyond 53 bits is not below 0 either
        return value, _number_like(value, end)
    if kind.is_date():
        return (
            (value.cast("timestamp"), ibis.literal(_naive(end)))
            if isinstance(end, dt.datetime)
            else (value, ibis.literal(end))
        )
    if not kind.is_timestamp():
        raise _unfit(value, rule)
    if isinstance(end, dt.datetime) and end.tzinfo is not None and kind.timezone is None and not zoned:
        raise Unusable(f"the times of {shown(rule.columns[0])} have no zone, and {said(end)} has one")
    return value.cast("timestamp") if kind.timezone else value, ibis.literal(_naive(end))


def _naive(end: dt.date) -> dt.datetime:
    """A moment in UTC, without saying so; a day begins at midnight."""
    if not isinstance(end, dt.datetime):
        return dt.datetime(end.year, end.month, end.day)  # noqa: DTZ001
    return end.astimezone(dt.UTC).replace(tzinfo=None) if end.tzinfo else end


def _number_like(value: ibis.Value, number: float) -> ibis.Value:
    """A number to compare a column with. 0.7 of single precision is less than 0.7, and means the same."""
    if value.type().is_float32():
        return ibis.literal(number, type="float32")
    if isinstance(number, int) and not -_LARGEST <= number < _LARGEST:
        return ibis.literal(float(number))
    return ibis.literal(number)


def _literal_like(value: ibis.Value, one: Any, rule: Rule) -> Any:
    """A value of the configuration as the column writes it. Raises Unusable where it never could."""
    kind = value.type()
    is_number = isinstance(one, int | float) and not isinstance(one, bool)
    if kind.is_string():
        return ibis.literal(said(one) if not isinstance(one, str) else one)
    if kind.is_boolean() and isinstance(one, bool):
        return ibis.literal(one)
    if kind.is_numeric() and not kind.is_boolean() and is_number:
        return _number_like(value, one)
    if kind.is_temporal() and isinstance(one, dt.date):
        return ibis.literal(_naive(one) if kind.is_timestamp() else one)
    raise Unusable(f"the column {shown(rule.columns[0])} holds values of the type {kind}, and {said(one)} is none")
