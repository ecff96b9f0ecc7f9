"""`data:` of ci-ml.yaml: what is expected of tables, and the rules that follow from it. Layer: core.

A rule is one thing that is expected of a column or of a table, wherever it was written: in YAML, or in a model of
pandera. `metrics.expectations` counts what breaks it.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from ci_ml.core import expressions, numbers
from ci_ml.core.drifts import DriftConfig
from ci_ml.core.models import PERCENT, Column, Finite, Model, table_path
from ci_ml.core.types import DataKey, Severity

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=80)]
MOST_VALUES = 10_000
_LISTED = 5
_LONGEST = 60


# --- Limits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How much of something is acceptable: so many, or such a share of all."""

    value: float = 0
    share: bool = False

    def __str__(self) -> str:
        return f"{self.value * 100:.12g}%" if self.share else numbers.plain(self.value)


NONE, ANY = Limit(), Limit(value=1, share=True)


def _limit(value: Any) -> Limit:
    if isinstance(value, Limit):
        return value
    if isinstance(value, str) and (match := PERCENT.fullmatch(value)) and float(match[1]) <= 100:
        return Limit(value=float(match[1]) / 100, share=True)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return Limit(value=value)
    raise ValueError(f"must be a number of rows, or a share of them such as 1%, not {value!r}")


_LIMIT_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*%\s*$"},
    ]
}
LimitField = Annotated[Limit, BeforeValidator(_limit), WithJsonSchema(_LIMIT_SCHEMA)]


# --- Values and patterns ----------------------------------------------------------------------------------------------

Value = int | float | bool | str | dt.date | dt.datetime
_HUGE = 10**38  # beyond it no engine has whole numbers


def moment(text: str) -> dt.date | dt.datetime | None:
    """A date, or a date with a time, as ISO 8601 writes it; None for any other text."""
    try:
        return dt.date.fromisoformat(text) if len(text) == len("2024-01-31") else dt.datetime.fromisoformat(text)
    except ValueError:
        return None


def _bound(value: Any) -> Any:
    """The end of a range: a number, or a date."""
    if isinstance(value, str) and (found := moment(value)) is not None:
        return found
    if isinstance(value, dt.date) or _is_number(value):
        return value
    raise ValueError(f"must be a number, or a date such as 2024-01-31, not {value!r}")


def _value(value: Any) -> Any:
    """A value of a column, as YAML writes it."""
    if isinstance(value, str | bool | dt.date) or _is_number(value):
        return value
    raise ValueError(f"must be text, a number, a date, true or false, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE  # NaN is not


_BOUND_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string"}]}
_PLAIN_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
Bound = Annotated[Any, BeforeValidator(_bound), WithJsonSchema(_BOUND_SCHEMA)]
Plain = Annotated[Any, BeforeValidator(_value), WithJsonSchema(_PLAIN_SCHEMA)]

_BEYOND_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|\\[1-9]|\\[AZ]|[*+?}]\+")
_REPEATED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_MOST_REPEATED = 1000


def pattern(text: str) -> str:
    """A regular expression that RE2 understands as Python does. Raises ValueError.

    RE2 takes time in proportion to a text's length, whatever the expression is, and so has no references to groups,
    no looking ahead or behind, and no more than 1000 repetitions: https://github.com/google/re2/wiki/Syntax
    """
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is no regular expression: {error}") from None
    bare = re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "x", text.replace("\\\\", "x"))
    if found := _BEYOND_RE2.search(bare):
        raise ValueError(f"{found[0]} is not supported: patterns are those of RE2, which never looks back")
    if any(int(end or 0) > _MOST_REPEATED for match in _REPEATED.finditer(bare) for end in match.groups()):
        raise ValueError(f"more than {_MOST_REPEATED} repetitions are not supported")
    return text


_MODEL = re.compile(r"(?!/)(?!(?:.*/)?\.\./)[^:\\]+\.py:[A-Za-z_][A-Za-z0-9_]*")
Pattern = Annotated[str, Field(min_length=1, max_length=1000)]


# --- The models -------------------------------------------------------------------------------------------------------


class ColumnType(StrEnum):
    """What the values of a column are."""

    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class LengthConfig(Model):
    """How long texts are, in characters."""

    min: int | None = Field(default=None, ge=0, description="The least number of characters.")
    max: int | None = Field(default=None, ge=0, description="The largest number of characters.")

    @model_validator(mode="after")
    def _ordered(self) -> "LengthConfig":
        if self.min is None and self.max is None:
            raise ValueError("give `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: no text could pass")
        return self


class ColumnConfig(Model):
    """What is expected of one column. One that is named has to be there, and may miss no value unless that is said."""

    type: ColumnType | None = Field(default=None, description="What every value is. In a text file, values are parsed.")
    required: bool = Field(default=True, description="false: nothing is expected where the table has no such column.")
    missing: LimitField = Field(
        default=NONE,
        json_schema_extra={"default": 0},
        description="How many values may be missing: a number of rows, or a share such as 1%. NaN is missing.",
    )
    unique: bool = Field(default=False, description="true: no value twice.")
    min: Bound | None = Field(default=None, description="No value below: a number, a date or a time.")
    max: Bound | None = Field(default=None, description="No value above.")
    above: Bound | None = Field(default=None, description="As `min`, and not this value itself.")
    below: Bound | None = Field(default=None, description="As `max`, and not this value itself.")
    allowed: Annotated[tuple[Plain, ...], Field(min_length=1, max_length=MOST_VALUES)] | None = Field(
        default=None, description="No other values than these."
    )
    forbidden: Annotated[tuple[Plain, ...], Field(min_length=1, max_length=MOST_VALUES)] | None = Field(
        default=None, description="None of these values."
    )
    matches: Pattern | None = Field(
        default=None, description="A regular expression (RE2) that covers the whole of every text."
    )
    length: LengthConfig | None = Field(default=None, description="How many characters a text has.")
    violations: LimitField = Field(
        default=NONE,
        json_schema_extra={"default": 0},
        description="In how many rows a value may be beyond its range, not allowed, or of another form.",
    )

    @field_validator("matches")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        return None if value is None else pattern(value)

    @model_validator(mode="after")
    def _fits(self) -> "ColumnConfig":
        for one, other in (("min", "above"), ("max", "below"), ("allowed", "forbidden")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"`{one}` and `{other}` say the same: leave one out")
        ends = [value for value in (self.min, self.above, self.max, self.below) if value is not None]
        kinds = {_family(value) for value in ends}
        if len(kinds) > 1:
            raise ValueError("both ends of a range are numbers, or both are dates, or both are times of the same kind")
        if len(ends) == 2 and (ends[0] > ends[1] or (ends[0] == ends[1] and None in (self.min, self.max))):
            raise ValueError(f"{said(ends[0])} to {said(ends[1])} is no range: no value could pass")
        wanted = _FAMILIES.get(self.type) if self.type else None
        if wanted is not None and not kinds <= wanted:
            raise ValueError(f"a range of {kinds.pop()} does not fit the type {self.type}")
        if self.type not in (None, ColumnType.STRING) and (self.matches or self.length):
            raise ValueError(f"`matches` and `length` are about text, and the type is {self.type}")
        return self


def _family(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return "times" if value.tzinfo is None else "times with a zone"
    return "dates" if isinstance(value, dt.date) else "numbers"


_FAMILIES: Mapping[ColumnType, set[str]] = {
    ColumnType.INTEGER: {"numbers"},
    ColumnType.NUMBER: {"numbers"},
    ColumnType.STRING: set(),
    ColumnType.BOOLEAN: set(),
    ColumnType.DATE: {"dates"},
    ColumnType.TIMESTAMP: {"dates", "times", "times with a zone"},
}


class RowsConfig(Model):
    """How many rows a table has."""

    min: int | None = Field(default=None, ge=0, description="No fewer rows than this.")
    max: int | None = Field(default=None, ge=0, description="No more rows than this.")
    change: LimitField | None = Field(
        default=None, description="How many rows it may have gained or lost against the base: 500, or 20% of them."
    )

    @model_validator(mode="after")
    def _ordered(self) -> "RowsConfig":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: no table could pass")
        return self


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_NAMES_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


class DisjointConfig(Model):
    """A table that may share nothing with this one: what is tested on was not trained on."""

    table: Name = Field(description="The other table, by its name under `data`.")
    by: Annotated[tuple[Column, ...], BeforeValidator(_several), WithJsonSchema(_NAMES_SCHEMA)] = Field(
        default=(), description="Columns that both have, such as the customer: no combination of values is in both."
    )
    rows: bool = Field(default=True, description="Whether no whole row may be in both, its id apart.")
    shared: LimitField = Field(
        default=NONE,
        json_schema_extra={"default": 0},
        description="How many rows of this table may be shared: a number, or a share such as 0.1%.",
    )


class SameConfig(Model):
    """A table that should look as this one: what a model is served is what it was trained on."""

    table: Name = Field(description="The other table, by its name under `data`.")
    beyond: LimitField = Field(
        default=Limit(value=0.01, share=True),
        json_schema_extra={"default": "1%"},
        description="How many rows of the other table may be beyond this table's ranges and categories, by column.",
    )
    ignore: Annotated[tuple[Column, ...], BeforeValidator(_several), WithJsonSchema(_NAMES_SCHEMA)] = Field(
        default=(), description="Columns that need not be alike; the id and the label never have to be."
    )


def _same(value: Any) -> Any:
    return {"table": value} if isinstance(value, str) else value


class DataConfig(Model):
    """What is expected of one table."""

    model_config = ConfigDict(populate_by_name=False)

    path: str = Field(
        min_length=1,
        description="The table: .parquet, .csv, .tsv or .jsonl (text also as .gz), tracked by DVC or git, relative to "
        "the folder of ci-ml.yaml.",
        examples=["data/train.parquet"],
    )
    columns: dict[Column, ColumnConfig] = Field(default={}, description="What is expected of columns, by name.")
    closed: bool = Field(default=False, description="true: there are no columns but those that are named.")
    rows: RowsConfig | None = Field(default=None, description="How many rows there are.")
    unique: Annotated[
        tuple[Annotated[tuple[Column, ...], BeforeValidator(_several), Field(min_length=1)], ...],
        WithJsonSchema({"type": "array", "items": _NAMES_SCHEMA}),
    ] = Field(default=(), description="Columns that together are never the same in two rows.")
    rules: dict[Annotated[str, Field(min_length=1, max_length=80)], Annotated[str, Field(min_length=1)]] = Field(
        default={},
        description="Expressions over columns that hold in every row, by a name of your own: `end >= start`. A row "
        "where one cannot be worked out because a value is missing is no violation.",
    )
    schema_: Annotated[str, Field(max_length=300)] | None = Field(
        default=None,
        alias="schema",
        description="A model of pandera, FILE.py:NAME; needs ci-ml[pandera]. Its file comes from the side that the "
        "gates come from.",
    )
    id: Column | None = Field(default=None, description="The column that names a row, where examples are shown.")
    label: Column | None = Field(default=None, description="The column of labels, for `balance`.")
    disjoint_from: Annotated[DisjointConfig, BeforeValidator(_same)] | None = Field(
        default=None, description="A table that shares no rows with this one, such as the test set."
    )
    balance: Annotated[Finite, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="How far the shares of labels may lie from those of the base: their total variation distance, "
        "from 0 to 1. Blocks when it is larger with `confidence`, so not by noise in a small table.",
    )
    integrity: bool = Field(
        default=False,
        description="true: no column is constant, empty or the copy of another, unless it was so in the base.",
    )
    same_columns_as: Annotated[SameConfig, BeforeValidator(_same)] | None = Field(
        default=None,
        description="A table with the same columns, types, ranges and categories, such as what a model is served.",
    )
    drift: DriftConfig | None = Field(
        default=None, description="Whether the table has drifted away from the base's, or from another table."
    )
    severity: Severity = Field(default=Severity.BLOCK, description="Whether what is not as expected blocks or warns.")
    examples: int = Field(
        default=0,
        ge=0,
        le=5,
        description="How many values that break a rule are shown. Reports are read by many, so it is none unless you "
        "say that these values may be seen.",
    )

    @field_validator("path")
    @classmethod
    def _place(cls, value: str) -> str:
        if "*" in value or "?" in value:
            raise ValueError("must be one file")
        return table_path(value)

    @field_validator("schema_")
    @classmethod
    def _module(cls, value: str | None) -> str | None:
        if value is not None and not _MODEL.fullmatch(value):
            raise ValueError(f"must be FILE.py:NAME, the file relative to the folder of ci-ml.yaml, not {value!r}")
        return value

    @field_validator("rules")
    @classmethod
    def _expressions(cls, rules: dict[str, str]) -> dict[str, str]:
        for name, text in rules.items():
            try:
                expressions.parse(text)
            except ValueError as error:
                raise ValueError(f"{name}: {shortened(text)} {error}") from None
        return rules

    @model_validator(mode="after")
    def _fits(self) -> "DataConfig":
        if self.balance is not None and self.label is None:
            raise ValueError("`balance` needs `label`, the column of labels")
        if self.closed and not self.columns and self.schema_ is None:
            raise ValueError("`closed` needs `columns` (or a `schema`): no column is named")
        return self


# --- Rules ------------------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a rule is about."""

    TYPE = "type"
    MISSING = "missing"
    UNIQUE = "unique"
    MIN = "min"
    MAX = "max"
    ABOVE = "above"
    BELOW = "below"
    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    PATTERN = "pattern"
    LENGTH = "length"
    RANGE = "range"
    HOLDS = "holds"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that is expected of the rows of a table; `columns` are those that it is about.

    `what` is how people call it. `type` is that of the column, by which its text is parsed. `optional`: it expects
    nothing of a table without the column. `warns`: it warns, whatever the severity of its table is. The value of one
    that is refused is the reason why it cannot be counted.
    """

    what: str
    kind: Kind
    columns: tuple[str, ...] = ()
    value: Any = None
    limit: Limit = NONE
    type: ColumnType | None = None
    optional: bool = False
    warns: bool = False

    def key(self, table: str) -> DataKey:
        """What it is called in reports."""
        column = self.columns[0] if len(self.columns) == 1 else ""
        return DataKey(table=table, subject=column, what=self.what)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Everything that is expected of the rows of a table, and which columns it may have if no others."""

    rules: tuple[Rule, ...]
    closed: frozenset[str] | None = None


def expected(about: DataConfig) -> Expected:
    """What the keys of a table say, its pandera model apart."""
    found = [rule for name, column in about.columns.items() for rule in of_column(name, column)]
    found += [
        Rule(what=f"{', '.join(names)} unique", kind=Kind.UNIQUE, columns=names)
        if len(names) > 1
        else _unique(names[0])
        for names in about.unique
    ]
    found += [Rule(what=name, kind=Kind.HOLDS, value=text) for name, text in about.rules.items()]
    return Expected(rules=distinct(found), closed=frozenset(about.columns) if about.closed else None)


def joined(one: Expected, other: Expected) -> Expected:
    """Both together; what both say is said once."""
    closed = [item.closed for item in (one, other) if item.closed is not None]
    every = (rule.columns for rule in (*one.rules, *other.rules) if rule.kind is not Kind.HOLDS)
    named = frozenset(name for names in every for name in names)
    return Expected(
        rules=distinct([*one.rules, *other.rules]), closed=frozenset().union(*closed, named) if closed else None
    )


def distinct(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules without those that are there already, and with a number where two others are called alike."""
    found: dict[tuple[tuple[str, ...], str], Rule] = {}
    for rule in dict.fromkeys(rules):
        what, number = rule.what, 1
        while (rule.columns, what) in found:
            number += 1
            what = f"{rule.what} ({number})"
        found[rule.columns, what] = replace(rule, what=what)
    return tuple(found.values())


def _unique(name: str) -> Rule:
    return Rule(what="unique", kind=Kind.UNIQUE, columns=(name,))


def of_column(name: str, about: ColumnConfig) -> Iterator[Rule]:
    """What is expected of a column, rule by rule."""
    rule = partial(Rule, columns=(name,), type=about.type, optional=not about.required)
    if about.type is not None:
        yield rule(what=about.type.value, kind=Kind.TYPE, value=about.type)
    what = "no missing values" if about.missing == NONE else f"at most {about.missing} missing"
    if about.missing != ANY:
        yield rule(what=what, kind=Kind.MISSING, limit=about.missing)
    if about.unique:
        yield rule(what="unique", kind=Kind.UNIQUE)
    for kind, words in _ENDS.items():
        if (value := getattr(about, kind.value)) is not None:
            yield rule(what=f"{words} {said(value)}", kind=kind, value=value, limit=about.violations)
    for kind, words in _LISTS.items():
        if values := getattr(about, kind.value):
            yield rule(what=f"{words} {listed(values)}", kind=kind, value=values, limit=about.violations)
    if about.matches is not None:
        yield rule(
            what=f"matches {shortened(about.matches)}",
            kind=Kind.PATTERN,
            value=rf"\A(?:{about.matches})\z",
            limit=about.violations,
        )
    if about.length is not None:
        ends = (about.length.min, about.length.max)
        yield rule(what=length(*ends), kind=Kind.LENGTH, value=ends, limit=about.violations)


_ENDS = {Kind.MIN: "at least", Kind.ABOVE: "above", Kind.MAX: "at most", Kind.BELOW: "below"}
_LISTS = {Kind.ALLOWED: "one of", Kind.FORBIDDEN: "none of"}


def length(least: int | None, most: int | None) -> str:
    """How many characters, in words."""
    if least is None or most is None:
        return f"at least {_characters(least)}" if most is None else f"at most {_characters(most)}"
    return _characters(most) if least == most else f"{least} to {most} characters"


def _characters(count: int | None) -> str:
    return f"{count} character{'' if count == 1 else 's'}"


def said(value: Any) -> str:
    """A value of the configuration in the name of a rule."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, float):
        return f"{value:.12g}"
    return shortened(str(value))


def listed(values: tuple[Any, ...]) -> str:
    """Some of many values."""
    more = f", … ({len(values):,} values)" if len(values) > _LISTED else ""
    return ", ".join(map(said, values[:_LISTED])) + more


def shortened(text: str) -> str:
    """The beginning of a text that is long."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
