"""One side's table: its columns checked, and made into those that families read. Layer: metrics.

Whatever is wrong with a table is found in one pass over it, and told with the number of rows and the first of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ibis

from ci_ml.core.catalogue import Task
from ci_ml.core.config import PredictionsConfig
from ci_ml.core.types import Gap
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.paired import PRESENT

# A user's own metric: from a table with one row per example, a number for each.
Custom = Callable[[ibis.Table], ibis.Value]

_SHOWN = 3
_TRUE, _FALSE = ("1", "1.0", "true", "True"), ("0", "0.0", "false", "False")


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
    `customs` a user's own functions likewise. `score` says that a metric reads the scores.
    """

    slices: Sequence[str] = ()
    means: Mapping[str, str] = field(default_factory=dict)
    customs: Mapping[str, Custom] = field(default_factory=dict)


class Unusable(Exception):
    """A table cannot be used; the text says why, with the file, the column and examples of the rows."""


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """Rows that are wrong: which, in how many words, and the column to show of them."""

    rows: ibis.Value
    words: str
    shown: str


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
    there = _Reader(source, about, wanted)
    table = there.table()
    problems = list(there.problems())
    counts = {f"p{index}": problem.rows.cast("int64").sum() for index, problem in enumerate(problems)}
    raw = there.raw
    (row,) = engine.rows(raw.aggregate(n=raw.count(), **counts))
    n = int(row["n"])
    if n == 0:
        raise Unusable(f"{source.name} has no rows")
    for index, problem in enumerate(problems):
        if count := int(row[f"p{index}"] or 0):
            examples = _examples(engine, raw, about.id, problem)
            raise Unusable(f"{source.name}: {problem.words.format(count=f'{count:,}')} ({examples})")
    return Side(table=table, n=n, name=source.name, classes=there.classes, slices=there.slices)


def _examples(engine: Engine, raw: ibis.Table, key: str, problem: _Problem) -> str:
    chosen = raw.filter(problem.rows).select(key=raw[key].cast("string"), shown=raw[problem.shown].cast("string"))
    rows = engine.rows(chosen.order_by(["key", "shown"]).limit(_SHOWN))
    return ", ".join(f"{key} {_quoted(row['key'])}: {_quoted(row['shown'])}" for row in rows)


def _quoted(value: Any) -> str:
    if value is None:
        return "nothing"
    text = str(value)
    return ascii(text if len(text) <= 40 else f"{text[:37]}...").strip("'\"") or "''"


class _Reader:
    """The columns of one table, and what may be wrong with each."""

    def __init__(self, source: Source, about: PredictionsConfig, wanted: Wanted) -> None:
        self.source, self.about, self.wanted = source, about, wanted
        self.raw = source.table
        self.found: list[_Problem] = []
        self.slices = frozenset(wanted.slices) & frozenset(self.raw.columns)
        self.classes = self._classes()

    def problems(self) -> Iterator[_Problem]:
        """What may be wrong, after `table` has looked at every column."""
        yield from self.found

    def table(self) -> ibis.Table:
        """The columns that families read."""
        about = self.about
        chosen: dict[str, ibis.Value] = {"id": self._given(about.id)}
        chosen["label"] = self._number(about.label) if about.task is Task.REGRESSION else self._label(about.label)
        chosen |= self._scores()
        if about.task is Task.REGRESSION:
            assert about.prediction is not None
            chosen["value"] = self._number(about.prediction)
        else:
            chosen["class"] = self._class(chosen)
        if about.cluster:
            chosen["cluster"] = self._given(about.cluster)
        for name in sorted(self.slices):
            chosen[f"slice {name}"] = ibis.coalesce(ibis.literal(PRESENT) + self._column(name).cast("string"), "")
        chosen |= {metric: self._number(column) for metric, column in self.wanted.means.items()}
        chosen |= {metric: self._custom(metric, custom) for metric, custom in self.wanted.customs.items()}
        return self.raw.select(**chosen)

    def _column(self, name: str) -> ibis.Value:
        if name not in self.raw.columns:
            has = ", ".join(self.raw.columns[:20]) + (", …" if len(self.raw.columns) > 20 else "")
            raise Unusable(f"{self.source.name} has no column {name}; it has: {has}")
        return self.raw[name]

    def _given(self, name: str) -> ibis.Value:
        """A column that may not be empty anywhere."""
        column = self._column(name)
        self._add(column.isnull(), f"{{count}} rows have no {name}", name)
        return column

    def _add(self, rows: ibis.Value, words: str, shown: str) -> None:
        self.found.append(_Problem(rows=rows, words=words, shown=shown))

    def _number(self, name: str) -> ibis.Value:
        """A column of finite numbers."""
        column = self._given(name)
        kind = column.type()
        if kind.is_numeric() or kind.is_boolean():
            number = column.cast("float64")
        elif kind.is_string() and not self.source.typed:
            number = column.try_cast("float64")
            self._add(column.notnull() & number.isnull(), f"{{count}} values of {name} are not numbers", name)
        else:
            raise Unusable(f"{self.source.name}: the column {name} holds {kind}, not numbers")
        self._add(number.isnan(), f"{{count}} values of {name} are NaN", name)
        self._add(number.isinf(), f"{{count}} values of {name} are infinite", name)
        return number

    def _score(self, name: str) -> ibis.Value:
        score = self._number(name)
        self._add((score < 0) | (score > 1), f"{{count}} scores in {name} are outside 0..1", name)
        return score

    def _classes(self) -> tuple[str, ...]:
        """The classes that have a column of scores, sorted."""
        if self.about.task is not Task.MULTICLASS or self.about.score is None:
            return ()
        start, _, end = self.about.score.partition("*")
        names = (name for name in self.raw.columns if name.startswith(start) and name.endswith(end))
        known = {self.about.id, self.about.label, self.about.prediction, self.about.cluster}
        found = sorted(
            name[len(start) : len(name) - len(end)]
            for name in names
            if len(name) > len(start) + len(end) and name not in known
        )
        if len(found) < 2:
            raise Unusable(f"{self.source.name} has no columns of scores {self.about.score}; name them with `score`")
        return tuple(found)

    def _scores(self) -> dict[str, ibis.Value]:
        if self.about.score is None:
            return {}
        if self.about.task is Task.BINARY:
            return {"score": self._score(self.about.score)}
        pattern = self.about.score
        return {f"score_{index}": self._score(pattern.replace("*", name)) for index, name in enumerate(self.classes)}

    def _label(self, name: str) -> ibis.Value:
        """A class: 1 or 0 of two, the name of several."""
        column = self._given(name)
        if self.about.task is Task.MULTICLASS:
            text = column.cast("string")
            if self.classes:
                self._add(~text.isin(self.classes), f"{{count}} classes in {name} have no column of scores", name)
            return text
        if self.about.positive is not None:
            return (column.cast("string") == str(self.about.positive)).cast("int64")
        if column.type().is_boolean():
            return column.cast("int64")
        text = column.cast("string")
        words = f"{{count}} values of {name} are neither 1 nor 0 (say which class is looked for with `positive`)"
        self._add(~text.isin((*_TRUE, *_FALSE)), words, name)
        return text.isin(_TRUE).cast("int64")

    def _class(self, chosen: Mapping[str, ibis.Value]) -> ibis.Value:
        if self.about.prediction is not None:
            return self._label(self.about.prediction)
        if self.about.task is Task.BINARY:
            return (chosen["score"] >= self.about.threshold).cast("int64")
        scores = [chosen[f"score_{index}"] for index in range(len(self.classes))]
        largest = ibis.greatest(*scores)
        return ibis.cases(
            *((score == largest, name) for score, name in zip(scores, self.classes, strict=True)), else_=""
        )

    def _custom(self, metric: str, custom: Custom) -> ibis.Value:
        try:
            return custom(self.raw).cast("float64")
        except Exception as error:  # noqa: BLE001  somebody else's function
            raise Unusable(f"{metric} failed on {self.source.name}: {type(error).__name__}: {error}") from None


def gap(error: Unusable) -> Gap:
    """The reason as a value."""
    return Gap(reason=str(error))
