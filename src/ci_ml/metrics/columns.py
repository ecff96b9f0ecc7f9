"""One side's table: its columns checked, and made into those that families read. Layer: metrics.

Whatever is wrong with a table is found in one pass over it, and told with the number of rows and the first of them.
"""

import functools
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import ibis

from ci_ml.core.catalogue import Task
from ci_ml.core.config import PredictionsConfig
from ci_ml.core.types import Gap
from ci_ml.metrics.engine import Engine, Row

# A user's own metric: from a table with one row per example, a number for each.
Custom = Callable[[ibis.Table], ibis.Value]

_SHOWN = 3
_MOST_NAMES = 20
_LONGEST = 60
# Sums of squares of what is beyond this are not numbers any more.
_LARGEST = 1e140
_TRUE, _FALSE = ("1", "1.0", "true", "True", "TRUE"), ("0", "0.0", "false", "False", "FALSE")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table as it was read; `name` is how errors call it. `typed`: its columns have types, as in Parquet."""

    table: ibis.Table
    name: str
    typed: bool


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What gates ask of a table beyond its id, labels and predictions.

    `slices` are columns, `means` further columns of numbers by the metric that reads them (`mean(seconds)`), and
    `customs` a user's own functions likewise. `ids`: examples keep theirs once they are paired. `shares`: scores of
    several classes are read as probabilities, so they have to add up to 1.
    """

    slices: Sequence[str] = ()
    means: Mapping[str, str] = field(default_factory=dict)
    customs: Mapping[str, Custom] = field(default_factory=dict)
    ids: bool = False
    shares: bool = False


class Unusable(Exception):
    """A table cannot be used; the text says why, with the file, the column and examples of the rows."""


class _Count(int):
    """How many, with the endings of words that go with so many."""

    def __str__(self) -> str:
        return f"{int(self):,}"

    def __format__(self, spec: str) -> str:
        return str(self)

    def __call__(self, one: str, many: str) -> str:
        """The word for one, or for several."""
        return one if self == 1 else many


# How many are wrong, said in words.
_Words = Callable[[_Count], str]


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """Rows that are wrong: which, what is said of so many, and what to show of them."""

    rows: ibis.Value
    words: _Words
    shown: ibis.Value


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side, ready to be joined: the number of rows, and columns as `Paired` names them, without their side."""

    table: ibis.Table
    n: int
    name: str
    classes: tuple[str, ...]
    slices: frozenset[str]


def side(engine: Engine, source: Source, about: PredictionsConfig, wanted: Wanted) -> Side:
    """Check a table and choose its columns. Raises Unusable."""
    reader = _Reader(source, about, wanted)
    table = reader.table()
    problems = reader.problems
    counts = {f"p{index}": problem.rows.cast("int64").sum() for index, problem in enumerate(problems)}
    (row,) = engine.rows(source.table.aggregate(n=source.table.count(), **counts))
    n = int(row["n"])
    if n == 0:
        raise Unusable(f"{source.name} has no rows")
    for index, problem in enumerate(problems):
        if count := int(row[f"p{index}"] or 0):
            examples = _examples(engine, source, about, problem)
            raise Unusable(f"{source.name}: {problem.words(_Count(count))} ({examples})")
    return Side(table=table, n=n, name=source.name, classes=reader.classes, slices=reader.slices)


def _examples(engine: Engine, source: Source, about: PredictionsConfig, problem: _Problem) -> str:
    """The first of them; held before they are looked for, because engines look for NaN where they think it can be."""
    raw = source.table
    held = engine.hold(
        raw.select(key=raw[about.id].cast("string"), shown=problem.shown.cast("string"), wrong=problem.rows)
    )
    found = engine.rows(held.filter(held.wrong).select("key", "shown").order_by(["key", "shown"]).limit(_SHOWN))
    return ", ".join(f"{shown(about.id)} {shown(row['key'])}: {shown(row['shown'])}" for row in found)


def infinite(number: ibis.Value) -> ibis.Value:
    """Whether a float is infinite. What Ibis makes of `isinf` is false for every number on Spark."""
    return (number.abs() > ibis.literal(sys.float_info.max, type="float64")) & ~number.isnan()


def shown(value: object) -> str:
    """A name or a value of a stranger's table in a sentence: on one line, not long, nothing a terminal would obey."""
    if value is None:
        return "nothing"
    text = str(value)
    plain = text.isprintable() and text == text.strip() != ""
    text = text if plain else text.encode("unicode_escape").decode()
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return text if plain else f"'{text}'"


def listed(names: Sequence[str]) -> str:
    """Some of many names."""
    return ", ".join(map(shown, names[:_MOST_NAMES])) + (", …" if len(names) > _MOST_NAMES else "")


def there(names: Sequence[str]) -> str:
    """The columns of a table, with what is probably wrong if that is one whose name looks like several."""
    one = len(names) == 1 and any(sign in names[0] for sign in ";\t|,")
    return listed(names) + (" (are its values separated by something else than its name says?)" if one else "")


class _Reader:
    """The columns of one table, and in `problems` what may be wrong with each."""

    def __init__(self, source: Source, about: PredictionsConfig, wanted: Wanted) -> None:
        self.source, self.about, self.wanted = source, about, wanted
        self.raw = source.table
        self.problems: list[_Problem] = []
        self.slices = frozenset(wanted.slices) & frozenset(self.raw.columns)
        self.classes = self._classes()

    def table(self) -> ibis.Table:
        """The columns that families read."""
        about = self.about
        chosen: dict[str, ibis.Value] = {"id": self._given(about.id)}
        if about.task is Task.REGRESSION:
            assert about.prediction is not None
            chosen["label"] = self._number(about.label)
            chosen["value"] = self._number(about.prediction)
        else:
            chosen["label"] = self._label(about.label)
            chosen |= self._scores()
            chosen["class"] = self._class(chosen)
        if about.cluster:
            chosen["cluster"] = self._given(about.cluster)
        chosen |= {f"slice {name}": self._column(name) for name in sorted(self.slices)}
        chosen |= {metric: self._number(column, flags=True) for metric, column in self.wanted.means.items()}
        chosen |= {metric: self._custom(metric, custom) for metric, custom in self.wanted.customs.items()}
        return self.raw.select(**chosen)

    def _column(self, name: str) -> ibis.Value:
        if name not in self.raw.columns:
            raise Unusable(f"{self.source.name} has no column {shown(name)}; it has: {there(self.raw.columns)}")
        return self.raw[name]

    def _given(self, name: str) -> ibis.Value:
        """A column that may not be empty anywhere."""
        column = self._column(name)
        absent = column.isnull()
        if column.type().is_floating() and name in (self.about.id, self.about.cluster):
            absent = absent | column.isnan()  # how pandas writes that there is none
        self._add(absent, lambda n: f"{n} {n('row has', 'rows have')} no {shown(name)}", column)
        return column

    def _add(self, rows: ibis.Value, words: _Words, what: ibis.Value) -> None:
        self.problems.append(_Problem(rows=rows, words=words, shown=what))

    def _values(self, rows: ibis.Value, name: str, one: str, many: str | None = None, *, what: ibis.Value) -> None:
        """Values of a column are such as they should not be."""
        self._add(
            rows,
            lambda n: f"{n} {n('value of', 'values of')} {shown(name)} {n(f'is {one}', f'are {many or one}')}",
            what,
        )

    def _number(self, name: str, *, flags: bool = False) -> ibis.Value:
        """A column of finite numbers; with `flags`, of yes and no as well, however a text spells them."""
        column = self._given(name)
        kind = column.type()
        if kind.is_numeric() or kind.is_boolean():
            number = column.cast("float64")
        elif kind.is_string() and not self.source.typed:
            number = column.try_cast("float64")
            if flags:
                number = ibis.cases((column.isin(_TRUE), 1.0), (column.isin(_FALSE), 0.0), else_=number)
            self._values(column.notnull() & number.isnull(), name, "not a number", "not numbers", what=column)
        else:
            raise self._other(name, "numbers")
        if not (kind.is_integer() or kind.is_boolean()):
            self._finite(number, name, column)
            self._values(number.abs() > _LARGEST, name, f"beyond ±{_LARGEST:g}", what=column)
        return number

    def _other(self, name: str, wanted: str) -> Unusable:
        kind = self.raw[name].type()
        holds = "nothing" if kind.is_null() else f"values of the type {kind}"
        return Unusable(f"{self.source.name}: the column {shown(name)} holds {holds}, not {wanted}")

    def _finite(self, number: ibis.Value, name: str, what: ibis.Value) -> None:
        self._values(number.isnan(), name, "NaN", what=what)
        self._values(infinite(number), name, "infinite", what=what)

    def _score(self, name: str) -> ibis.Value:
        score = self._number(name)
        outside = (score < 0) | (score > 1)
        self._add(
            outside,
            lambda n: f"{n} {n('score', 'scores')} in {shown(name)} {n('is', 'are')} outside 0..1",
            self.raw[name],
        )
        return score

    def _classes(self) -> tuple[str, ...]:
        """The classes that have a column of scores, sorted."""
        about = self.about
        if about.task is not Task.MULTICLASS or about.score is None:
            return ()
        start, _, end = about.score.partition("*")
        taken = {about.id, about.label, about.prediction, about.cluster, *self.wanted.slices}
        taken |= set(self.wanted.means.values())
        found = sorted(
            name[len(start) : len(name) - len(end)]
            for name in self.raw.columns
            if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end) and name not in taken
        )
        if len(found) < 2:
            has = listed(self.raw.columns)
            raise Unusable(f"{self.source.name} has no two columns of scores {about.score}; it has: {has}")
        return tuple(found)

    def _scores(self) -> dict[str, ibis.Value]:
        if self.about.score is None:
            return {}
        if self.about.task is Task.BINARY:
            return {"score": self._score(self.about.score)}
        pattern = self.about.score
        found = {f"score_{index}": self._score(pattern.replace("*", name)) for index, name in enumerate(self.classes)}
        if self.wanted.shares:
            total = functools.reduce(operator.add, found.values())
            # Scores that were rounded to two digits are off by half of the second each.
            off = (total - 1).abs() > min(0.005 * len(found) + 1e-6, 0.1)
            what = f"do not add up to 1 over the classes, and log_loss, brier and ece read {pattern} as probabilities"
            self._add(off, lambda n: f"the scores of {n} {n('row', 'rows')} {what}", total)
        return found

    def _label(self, name: str) -> ibis.Value:
        """A class: 1 or 0 of two, the name of several."""
        column = self._given(name)
        if self.about.task is Task.MULTICLASS:
            text = _name(column, typed=self.source.typed)
            if self.classes:
                self._add(
                    ~text.isin(self.classes),
                    lambda n: (
                        f"{n} {n('label', 'labels')} in {shown(name)} {n('has', 'have')} no column of scores "
                        f"{self.about.score}"
                    ),
                    column,
                )
            return text
        if self.about.positive is not None:
            return self._is_positive(column, name, str(self.about.positive)).cast("int8")
        kind = column.type()
        if kind.is_boolean():
            return column.cast("int8")
        numeric = kind.is_numeric()
        found, neither = (column == 1, column == 0) if numeric else (column.isin(_TRUE), column.isin(_FALSE))
        if not numeric and not kind.is_string():
            raise self._other(name, "classes")
        self._values(
            ~(found | neither), name, "neither 1 nor 0 (say which class is looked for with `positive`)", what=column
        )
        return found.cast("int8")

    def _is_positive(self, column: ibis.Value, name: str, positive: str) -> ibis.Value:
        """Whether a value is the class that is looked for, also where one is written 1 and the other 1.0 or true."""
        kind, number = column.type(), _as_number(positive)
        truth = positive in _TRUE if positive in (*_TRUE, *_FALSE) else None
        if kind.is_boolean() and truth is not None:
            return column if truth else ~column
        if kind.is_numeric() and number is not None:
            return column == number
        if not kind.is_string():
            raise Unusable(f"{self.source.name}: the column {shown(name)} is {kind}, so {shown(positive)} is not in it")
        if truth is not None and not self.source.typed:
            return column.isin(_TRUE if truth else _FALSE)
        return _name(column, typed=self.source.typed) == (positive if number is None else _whole(positive))

    def _class(self, chosen: Mapping[str, ibis.Value]) -> ibis.Value:
        if self.about.prediction is not None:
            return self._label(self.about.prediction)
        if self.about.task is Task.BINARY:
            return self._reached(chosen["score"]).cast("int8")
        scores = [chosen[f"score_{index}"] for index in range(len(self.classes))]
        largest = ibis.greatest(*scores)
        return ibis.cases(
            *((score == largest, name) for score, name in zip(scores, self.classes, strict=True)), else_=""
        )

    def _reached(self, score: ibis.Value) -> ibis.Value:
        """Whether a score reaches the threshold. 0.7 of single precision is less than 0.7, and means the same."""
        assert self.about.score is not None
        raw, threshold = self.raw[self.about.score], self.about.threshold
        if raw.type().is_float32():
            return raw >= ibis.literal(threshold, type="float32")
        return score >= threshold

    def _custom(self, metric: str, custom: Custom) -> ibis.Value:
        try:
            number = custom(self.raw).cast("float64")
            self.raw.select(number=number)  # not of another table, and one for each row
        except Exception as error:  # noqa: BLE001  somebody else's function
            what = str(error).partition("\n")[0]
            raise Unusable(f"{metric} failed on {self.source.name}: {type(error).__name__}: {what}") from None
        self._add(number.isnull(), lambda n: f"{n} {n('row has', 'rows have')} no {metric}", number)
        self._finite(number, metric, number)
        return number


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str) -> str:
    """A whole number as an integer is written."""
    head, _, tail = text.partition(".")
    return head if head.lstrip("-").isdigit() and not tail.strip("0") else text


def _name(column: ibis.Value, *, typed: bool) -> ibis.Value:
    """The name of a class. A whole number is the same class whether it is written 2 or, by another program, 2.0."""
    kind, text = column.type(), column.cast("string")
    if kind.is_floating() or kind.is_decimal():
        whole = column.try_cast("int64")
        return (column == whole).ifelse(whole.cast("string"), text)
    if kind.is_string() and not typed:
        return text.re_replace(r"^(-?[0-9]+)\.0*$", r"\1")
    return text


def key(column: ibis.Value) -> ibis.Value:
    """An id or a cluster as text, to be compared with one of another type."""
    return _name(column, typed=True)


def examples(rows: Sequence[Row], column: str) -> str:
    """Some ids."""
    return ", ".join(shown(row[column]) for row in rows)


def gap(error: Unusable) -> Gap:
    """The reason as a value."""
    return Gap(reason=str(error))
