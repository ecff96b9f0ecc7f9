"""`ci-ml.yaml`: its models, and every mistake in it at once with file, line and key path. Layer: core.

The models are the values themselves (frozen); the JSON Schema of `ci-ml schema` comes from them.
"""

import difflib
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ci_ml.core import catalogue, documents, expectations, naming
from ci_ml.core.catalogue import Asked, Family, Task
from ci_ml.core.drifts import BASE, DriftConfig, LimitsConfig
from ci_ml.core.expectations import ColumnConfig, DataConfig, DisjointConfig, LengthConfig, RowsConfig, SameConfig
from ci_ml.core.models import PERCENT, Column, Finite, Model, finite, table_path
from ci_ml.core.monitoring import LabelsConfig, MonitorConfig, TableConfig
from ci_ml.core.pipelines import CredentialsConfig, PipelineConfig, PythonConfig
from ci_ml.core.references import IN_PRODUCTION
from ci_ml.core.registry import AliasConfig, ModelName, RegisteredConfig, ServeConfig
from ci_ml.core.rescoring import RescoreConfig
from ci_ml.core.retraining import BudgetConfig, RefreshConfig, RetrainConfig, SearchConfig
from ci_ml.core.signing import AuditConfig, IdentityConfig, PublicKeyConfig
from ci_ml.core.sources import SourceConfig, WindowConfig
from ci_ml.core.testsets import TestSetConfig, TestSetName
from ci_ml.core.types import Direction, Margin, Metric, MetricKey, Require, Severity, TableKey
from ci_ml.errors import ConfigError

FILE_NAME = naming.FILE_NAME
DOCS = "docs/configuration.md"

NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$"
NAME_LENGTH = 80

_BASELINE = re.compile(r"auto|merge-base|(branch|rev):[^-+\s:]\S*")
_TABLE = re.compile(
    r"(?P<table>[A-Za-z][A-Za-z0-9_-]*)\.(?P<metric>[A-Za-z][^:/]*|[a-z][a-z0-9_]*(?:\[.+\]|\(.+\)))", re.DOTALL
)


def _margin(value: Any) -> Margin:
    if isinstance(value, Margin):
        return value
    if isinstance(value, str) and (match := PERCENT.fullmatch(value)):
        return Margin(value=float(match[1]) / 100, relative=True)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return Margin(value=float(value))
    raise ValueError(f"must be a number in the metric's units or a percentage such as 2%, not {value!r}")


def _asked(text: str) -> tuple[str, Asked] | None:
    """The table and the metric, if this has the form TABLE.METRIC of a metric that is known."""
    match = _TABLE.fullmatch(text)
    if match is None:
        return None
    try:
        return match["table"], catalogue.parse(match["metric"])
    except ValueError:
        return None


# What is known of each table before it is checked: its task, whether it has scores, and whether it has clusters.
_Kinds = Mapping[str, tuple[Task, bool, bool] | None]


def _kinds(document: Any) -> _Kinds:
    tables = document.get("predictions")
    return {str(name): _kind(about) for name, about in tables.items()} if isinstance(tables, dict) else {}


def _kind(about: Any) -> tuple[Task, bool, bool] | None:
    try:
        return Task(about["task"]), about.get("score") is not None, about.get("cluster") is not None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _unfit(table: str, asked: Asked, kinds: _Kinds) -> str | None:
    """Why a table cannot have a metric; None when it can, or when the table itself is wrong."""
    if table not in kinds:
        close = difflib.get_close_matches(table, kinds, n=1)
        known = f"there are: {', '.join(kinds)}" if kinds else "none is named"
        return f"no table {table} under predictions; {f'did you mean {close[0]}?' if close else known}"
    kind = kinds[table]
    return catalogue.unfit(asked, kind[0], scored=kind[1], clustered=kind[2]) if kind else None


def _located(problem: str, *place: str | int) -> ValidationError:
    """A problem at a place inside what is validated."""
    kind = PydanticCustomError("value_error", "{error}", {"error": problem})
    return ValidationError.from_exception_data("ci-ml.yaml", [{"type": kind, "loc": place, "input": problem}])


def _metric(value: Any, info: ValidationInfo) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text: TABLE.METRIC of predictions, or FILE:KEY, for example metrics.json:accuracy")
    if match := _TABLE.fullmatch(value):
        try:
            asked = catalogue.parse(match["metric"])
        except ValueError as error:
            stranger = isinstance(error, catalogue.UnknownMetric) and error.close is None
            if not stranger or match["table"] in (info.context or ()):
                raise  # else it may well be a file, such as score.txt
        else:
            if info.context is not None and (problem := _unfit(match["table"], asked, info.context)):
                raise ValueError(problem)
            return value
    path = value.partition(":")[0]
    if not path or (":" not in value and "/" not in path and "." not in path):
        raise ValueError(f"{value!r} names no file: write FILE:KEY, for example metrics.json:{value.lstrip(':')}")
    if path.startswith("/") or "\\" in path:
        raise ValueError("the file is relative to the folder of ci-ml.yaml, with / between folders")
    return value


def _positive(value: Any) -> Any:
    if value is True:
        return None  # which is what its absence means
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise ValueError(f"must be the label of a class, text or a whole number, not {value!r}")
    return value


def _baseline(value: Any) -> str:
    if isinstance(value, str) and IN_PRODUCTION.fullmatch(value):
        return value
    if not isinstance(value, str) or not _BASELINE.fullmatch(value) or ":" in value.partition(":")[2]:
        raise ValueError(
            f"must be auto, merge-base, branch:NAME, rev:REVISION or mlflow:models:/NAME@alias, not {value!r}"
        )
    return value


_MARGIN_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*%\s*$"},
    ]
}
MarginField = Annotated[Margin, BeforeValidator(_margin), WithJsonSchema(_MARGIN_SCHEMA)]


def _columns(value: Any) -> Any:
    """`by: plan`, `by: [country, plan]` (one after the other) or `by: [[country, plan]]` (crossed)."""
    if isinstance(value, str):
        return ((value,),)
    if isinstance(value, list | tuple):
        return tuple(item if isinstance(item, list | tuple) else (item,) for item in value)
    return value


Cuts = Annotated[tuple[Annotated[tuple[Column, ...], Field(min_length=1)], ...], BeforeValidator(_columns)]
_CUTS_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}},
    ]
}


class SlicesConfig(Model):
    """The same gate on parts of the test set."""

    by: Annotated[Cuts, WithJsonSchema(_CUTS_SCHEMA)] = Field(
        min_length=1,
        description="Columns: every value of each is a slice. A list inside the list crosses its columns.",
        examples=[["country", "plan"], [["country", "plan"]]],
    )
    margin: MarginField | None = Field(
        default=None,
        json_schema_extra={"default": None},
        description="The largest loss that is acceptable on a slice; the gate's own margin when absent.",
    )
    min_n: int = Field(
        default=100, ge=2, description="A slice with fewer examples is shown as too small, and never blocks."
    )
    floor: Finite | None = Field(
        default=None, description="As the gate's floor, for every slice; that of the gate is for all examples together."
    )
    ceiling: Finite | None = Field(
        default=None,
        description="As the gate's ceiling, for every slice; that of the gate is for all examples together.",
    )

    @field_validator("by")
    @classmethod
    def _no_twins(cls, by: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        if len({frozenset(cut) for cut in by}) < len(by) or any(len(set(cut)) < len(cut) for cut in by):
            raise ValueError("names the same column twice")
        return by

    @model_validator(mode="after")
    def _bounds(self) -> "SlicesConfig":
        _ordered(self.floor, self.ceiling)
        return self


class GapConfig(Model):
    """The gate is on how far the metric lies apart between groups."""

    by: Annotated[
        tuple[Column, ...],
        BeforeValidator(lambda by: (by,) if isinstance(by, str) else by),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = Field(min_length=1, description="The column whose values are the groups; several are crossed.")
    measure: Literal["difference", "ratio"] = Field(
        default="difference",
        description="difference: the highest less the lowest group. ratio: the lowest over the highest.",
    )
    min_n: int = Field(default=100, ge=2, description="A group with fewer examples is left out, and named.")


def _ordered(floor: float | None, ceiling: float | None) -> None:
    if floor is not None and ceiling is not None and floor > ceiling:
        raise ValueError(f"floor {floor:g} is above ceiling {ceiling:g}: no value could pass")


def _directed() -> dict[str, Any]:
    """Of the JSON Schema: a gate says which way is better unless its metric, or its gap, has a way of its own."""
    every = [name for name, known in catalogue.METRICS.items() if known.argument not in ("column", "name")]
    names = sorted(name for name in (*every, *catalogue.ALIASES) if catalogue.parse(name).known.direction)
    pattern = rf"^[A-Za-z][A-Za-z0-9_-]*\.({'|'.join(names)})(_(macro|micro|weighted))?(\[.+\]|\(.+\))?$"
    undirected = {"metric": {"not": {"pattern": pattern}}, "gap": {"type": "null"}}
    return {"if": {"properties": undirected, "required": ["metric"]}, "then": {"required": ["direction"]}}


# Whose values are never beyond 1.
_WITHIN_ONE = frozenset(Family) - {Family.MEANS, Family.QUANTILES}


def _is_glob(text: str) -> bool:
    return "*" in text or "?" in text


class GateConfig(Model):
    """One thing that must not get worse."""

    model_config = ConfigDict(json_schema_extra=_directed())

    metric: Annotated[str, BeforeValidator(_metric)] = Field(
        description="A metric of a table under `predictions`, TABLE.METRIC; or a number in a file: FILE:DOTTED.KEY, "
        "relative to the folder of ci-ml.yaml, where `*`, `?` and `**` are globs in both parts.",
        examples=["test.roc_auc", "test.recall[cat]", "eval/metrics.json:accuracy", "eval/*.json:test.*"],
    )
    gap: GapConfig | None = Field(default=None, description="Judge how far the metric lies apart between groups.")
    direction: Direction = Field(
        default=None,  # what it is then, `_known_direction` says
        validate_default=True,
        json_schema_extra={"default": None},
        description="Which way is better. Known for metrics of predictions; required for numbers in files, "
        "`mean(column)` and `custom(name)`, and never guessed from a name.",
    )
    margin: MarginField = Field(
        default=Margin(value=0.0),
        json_schema_extra={"default": 0},
        description="The largest loss that is acceptable: a number in the metric's units, or a share of the base "
        "value such as 2%. A loss of exactly the margin is acceptable.",
    )
    require: Require = Field(
        default=Require.NO_REGRESSION,
        description="no_regression: not worse by more than the margin. non_inferior: shown to be not worse. "
        "improvement: better. report: shown, never blocks.",
    )
    severity: Severity = Field(
        default=Severity.BLOCK, description="Whether an unmet gate blocks the change or only warns."
    )
    floor: Finite | None = Field(
        default=None, description="The head must not be below this; of predictions, no part of its interval."
    )
    ceiling: Finite | None = Field(
        default=None, description="The head must not be above this; of predictions, no part of its interval."
    )
    slices: SlicesConfig | None = Field(default=None, description="The same on parts of the test set.")
    repeats: bool = Field(
        default=False,
        description="The files that the metric's glob covers are trainings with different seeds: their mean is judged, "
        "with an interval that covers the choice of seeds.",
    )

    @field_validator("direction", mode="before")
    @classmethod
    def _known_direction(cls, value: Any, info: ValidationInfo) -> Any:
        metric, gap = info.data.get("metric"), info.data.get("gap")
        if metric is None:
            return value or Direction.HIGHER  # the metric itself is wrong, and that is said already
        asked = _asked(metric)
        known = asked[1].known.direction if asked else None
        if gap is not None:
            known = Direction.HIGHER if gap.measure == "ratio" else Direction.LOWER
        if value is None and known is None:
            raise PydanticCustomError("missing", "Field required")
        if value is not None and known is not None and value != known.value:
            what = f"the {gap.measure} between groups" if gap is not None else metric
            raise ValueError(f"{what} is better when it is {known.value}: leave `direction` out")
        return known or value

    @model_validator(mode="after")
    def _fits(self) -> "GateConfig":
        _ordered(self.floor, self.ceiling)
        asked = self.asked
        if asked is None and (self.slices or self.gap):
            raise ValueError("slices and gap need a metric of predictions: numbers in files have no examples")
        if asked and self.repeats:
            raise ValueError("repeats of predictions are named under predictions: `repeats: GLOB` instead of `path`")
        if self.repeats and not _is_glob(self.pattern.path):
            raise ValueError("repeats needs a glob that covers a file per seed, such as eval/seed-*.json:accuracy")
        if self.repeats and _is_glob(self.pattern.key):
            raise ValueError("repeats are one number in a file per seed: its key holds no glob")
        if asked and asked[1].known.family is Family.GAPS and self.gap is None:
            raise ValueError(f"{asked[1].name} compares groups: name their column, gap: {{by: COLUMN}}")
        if self.gap and self.slices:
            raise ValueError("a gap compares the slices already: leave `slices` out")
        if self.gap and asked and asked[1].known.family not in {Family.COUNTS, Family.MEANS, Family.RANKS, Family.GAPS}:
            raise ValueError(f"the gap of {asked[1]} between groups has no interval")
        if asked and asked[1].known.family in _WITHIN_ONE:
            self._within_one(str(asked[1]))
        self._can_lose()
        return self

    def _can_lose(self) -> None:
        """A margin that lets everything pass is a mistake."""
        if self.asked and self.asked[1].name == "flips_to_right" and self.margin.value:
            raise _located("the base has none of them, so no margin is ever lost: give a `floor`", "margin")
        for place, part in (((), self), (("slices",), self.slices)):
            margin = part.margin if part else None
            if margin and margin.relative and margin.value >= 1 and self.direction is Direction.HIGHER:
                raise _located(f"a loss of {margin.value:.0%} of the base would be everything", *place, "margin")

    def _within_one(self, name: str) -> None:
        """A margin of 5 where 5 percentage points are meant would let everything pass."""
        for place, part in (((), self), (("slices",), self.slices)):
            for key in ("margin", "floor", "ceiling") if part else ():
                limit = getattr(part, key)
                value = limit if not isinstance(limit, Margin) else 0.0 if limit.relative else limit.value
                if value is not None and abs(value) > 1:
                    raise _located(f"{value:g} is too much: {name} is at most 1, and 5 points are 0.05", *place, key)

    @property
    def asked(self) -> tuple[str, Asked] | None:
        """The table and the metric of it that is judged; None for a number in a file."""
        return _asked(self.metric)

    @property
    def pattern(self) -> MetricKey:
        """The metric's file and key, either of which may hold globs."""
        path, _, key = self.metric.partition(":")
        return MetricKey(path=path, key=key)

    @property
    def key(self) -> Metric:
        """What is judged."""
        if self.asked is None:
            return self.pattern
        table, asked = self.asked
        return TableKey(table=table, metric=str(asked), gap=self.gap.by if self.gap else ())


class PredictionsConfig(Model):
    """A table with one row per test example."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="The table: .parquet, .csv, .tsv or .jsonl (text also as .gz), tracked by DVC or git, relative to "
        "the folder of ci-ml.yaml.",
        examples=["eval/predictions.parquet"],
    )
    repeats: str | None = Field(
        default=None,
        min_length=1,
        description="Instead of `path`, a glob: one table per training with another seed, all of the same examples.",
        examples=["eval/seed-*/predictions.parquet"],
    )
    task: Task = Field(description="binary, multiclass or regression.")
    id: Column = Field(description="The column that pairs base with head, one row for each id.")
    label: Column = Field(description="The column of true labels.")
    positive: Annotated[str | int | None, BeforeValidator(_positive)] = Field(
        default=None, description="Binary: the label of the class that is looked for; 1 or true when absent."
    )
    score: Column | None = Field(
        default=None,
        description="Binary: the column of the positive class's probability. Multiclass: the columns of all classes, "
        "with `*` where the class's name stands, such as p_*.",
    )
    prediction: Column | None = Field(
        default=None,
        description="The column of the predicted class, or of the predicted number. Without it, a binary class follows "
        "from score and threshold, and one of several from the largest score.",
    )
    threshold: Annotated[float, Field(ge=0, le=1), BeforeValidator(finite)] = Field(
        default=0.5, description="Binary: the positive class is predicted where score >= threshold."
    )
    cluster: Column | None = Field(
        default=None, description="Examples with the same value here are not independent: customers, documents, …"
    )
    labels: Literal["same", "head"] = Field(
        default="same",
        description="same: labels that differ between base and head are an error. head: both are judged by the head's.",
    )

    @field_validator("path", "repeats")
    @classmethod
    def _place(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        table_path(value)
        if _is_glob(value) is not (info.field_name == "repeats"):
            raise ValueError("`path` is one file, and `repeats` a glob of several, such as eval/seed-*.parquet")
        return value

    @model_validator(mode="after")
    def _columns_fit(self) -> "PredictionsConfig":
        for key in ("positive", "threshold"):
            if self.task is not Task.BINARY and key in self.model_fields_set:
                raise ValueError(f"`{key}` belongs to a binary task")
        if self.prediction is not None and "threshold" in self.model_fields_set:
            raise ValueError("`threshold` makes classes from scores, and `prediction` names them: leave one out")
        columns = [name for name in (self.id, self.label, self.score, self.prediction) if name is not None]
        if twice := next((name for name in columns if columns.count(name) > 1), None):
            raise ValueError(f"the column {twice} cannot be two of id, label, score and prediction")
        return self

    @model_validator(mode="after")
    def _fits(self) -> "PredictionsConfig":
        if (self.path is None) == (self.repeats is None):
            raise ValueError("name its file with `path`, or its files with `repeats`, and not both")
        if self.task is Task.REGRESSION:
            if self.prediction is None:
                raise ValueError("a regression needs `prediction`, the column of the predicted number")
            if self.score is not None:
                raise ValueError("a regression has a `prediction` and no `score`")
        elif self.score is None and self.prediction is None:
            raise ValueError("name the column of scores with `score`, of predicted classes with `prediction`, or both")
        if self.task is Task.MULTICLASS and self.score is not None and self.score.count("*") != 1:
            raise ValueError("`score` of several classes holds one `*` where the class's name stands, such as p_*")
        return self


class CostConfig(Model):
    """What an hour of training costs, for the report."""

    per_hour: Annotated[float, Field(ge=0), BeforeValidator(finite)] = Field(
        description="The price of an hour on the machine that trains."
    )
    currency: Annotated[str, Field(min_length=1, max_length=20)] = Field(
        default="USD", description="What the price is in, as the report shows it."
    )


class ReportConfig(Model):
    """What reports show beside the verdict."""

    history: Annotated[int, Field(ge=0, le=200)] = Field(
        default=20,
        description="Of how many earlier commits of the base branch a metric is shown, where its file is in git; "
        "0 for none.",
    )
    images: bool = Field(
        default=False,
        description="A picture of the gates in comments. GitLab keeps it as an upload, GitHub on the branch "
        "ci-ml-pictures, for which the token needs `contents: write`.",
    )
    templates: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        default=None,
        description="A folder with templates that replace ours, or blocks of them, relative to the folder of "
        "ci-ml.yaml. They come from the side that the gates come from.",
    )


class TrainConfig(Model):
    """How `ci-ml train` and `ci-ml ci` reproduce the pipeline."""

    targets: tuple[str, ...] = Field(default=(), description="DVC targets to reproduce; the whole pipeline when empty.")
    when: Literal["stale", "always", "never"] = Field(
        default="stale",
        description="stale: reproduce what changed. always: reproduce everything. never: a stale dvc.lock is exit 12.",
    )
    track: bool = Field(
        default=True, description="Log the run to MLflow: MLFLOW_TRACKING_URI, else a local SQLite store."
    )
    cost: CostConfig | None = Field(default=None, description="What training costs; reports say it when it is known.")


class Config(Model):
    """The whole of `ci-ml.yaml`."""

    version: Literal[1] = Field(description="The format of this file.")
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=NAME_LENGTH,
        pattern=NAME,
        description="The report's name; the folder's name when absent. Two reports on one change need two names.",
    )
    baseline: Annotated[str, BeforeValidator(_baseline)] = Field(
        default="auto",
        description="What a change is compared with: auto (the base of the merge, else the merge base with the target "
        "branch), merge-base, branch:NAME, rev:REVISION, mlflow:models:/NAME@alias (the commit of the model "
        "that has the alias in MLflow's registry; auto while none has it).",
    )
    train: TrainConfig = Field(default=TrainConfig(), description="How the pipeline is reproduced.")
    predictions: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=80)], PredictionsConfig] = (
        Field(default={}, description="Tables with one row per test example, by name: they make a gate statistical.")
    )
    data: dict[expectations.Name, DataConfig] = Field(
        default={}, description="Tables by name, and what is expected of them: types, ranges, rows, no leakage."
    )
    gates: tuple[GateConfig, ...] = Field(
        default=(), description="What must not get worse. No gates is undecided, never a pass."
    )
    confidence: Annotated[float, Field(ge=0.5, le=0.9999), BeforeValidator(finite)] = Field(
        default=0.95, description="Of every interval; the interval that is shown is the interval that decides."
    )
    engine: Annotated[str, Field(pattern=r"^(duckdb$|[a-z][a-z0-9+-]*://)")] = Field(
        default="duckdb",
        description="What aggregates tables: duckdb, inside this process; or a URL that Ibis connects to.",
        examples=["duckdb", "pyspark://local"],
    )
    rescore: RescoreConfig | None = Field(
        default=None,
        description="How the base's model is scored on the head's test data, so that a change that brings other test "
        "data can be judged.",
    )
    monitor: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=80)], MonitorConfig] = Field(
        default={}, description="What is watched in production, by name, for `ci-ml monitor`."
    )
    registry: dict[ModelName, RegisteredConfig] = Field(
        default={},
        description="Models that `ci-ml promote` registers, by their names in MLflow, and what each alias asks for.",
    )
    retrain: RetrainConfig | None = Field(default=None, description="Continuous training, for `ci-ml retrain`.")
    audit: AuditConfig = Field(default=AuditConfig(), description="How records and models are signed.")
    testsets: dict[TestSetName, TestSetConfig] = Field(
        default={}, description="Test sets by name, and how often each may be used to decide before it is worn out."
    )
    report: ReportConfig = Field(default=ReportConfig(), description="History, pictures and templates of reports.")
    pipelines: tuple[PipelineConfig, ...] = Field(
        default=(), description="CI files to be written by `ci-ml generate`, one entry for each forge."
    )

    @model_validator(mode="after")
    def _judgeable(self) -> "Config":
        """No gate that its table cannot answer, none twice, and no forge twice."""
        forges = [one.forge for one in self.pipelines]
        if twice := next((index for index, forge in enumerate(forges) if forge in forges[:index]), None):
            raise _located(f"pipelines for {forges[twice].value} are declared already", "pipelines", twice, "forge")
        self._tables_exist()
        for name, registered in self.registry.items():
            if registered.serve is not None and registered.serve.predictions not in self.predictions:
                what = f"no table {registered.serve.predictions} under predictions"
                raise _located(what, "registry", name, "serve", "predictions")
        kinds = {name: (about.task, bool(about.score), bool(about.cluster)) for name, about in self.predictions.items()}
        seen: dict[str, int] = {}
        for index, gate in enumerate(self.gates):
            first = seen.setdefault(str(gate.key), index)
            problem = _unfit(*gate.asked, kinds) if gate.asked else None
            if first != index:
                problem = f"gates.{first} judges {gate.key} already"
            if problem:
                raise _located(problem, "gates", index, "metric")
        return self

    def _tables_exist(self) -> None:
        """A table is compared with another one, and that one is there."""
        for name, watched in self.monitor.items():
            if watched.reference is not None and watched.reference not in self.data:
                raise _located(f"no table {watched.reference} under data", "monitor", name, "reference")
            if watched.predictions is not None and watched.predictions not in self.predictions:
                raise _located(f"no table {watched.predictions} under predictions", "monitor", name, "predictions")
        for name, about in self.data.items():
            others: dict[tuple[str, ...], str | None] = {
                ("disjoint_from",): about.disjoint_from.table if about.disjoint_from else None,
                ("same_columns_as",): about.same_columns_as.table if about.same_columns_as else None,
                ("drift", "reference"): about.drift.reference if about.drift else None,
            }
            for key, other in others.items():
                if other is None or (key[0] == "drift" and other == BASE):
                    continue
                if other == name:
                    raise _located("names the table itself", "data", name, *key)
                if other not in self.data:
                    close = difflib.get_close_matches(other, self.data, n=1)
                    meant = f"; did you mean {close[0]}?" if close else ""
                    raise _located(f"no table {other} under data{meant}", "data", name, *key)


@dataclass(frozen=True, kw_only=True)
class LoadedConfig:
    """A configuration with the digest of the bytes it came from, `sha256:…`."""

    config: Config
    digest: str


def load(data: bytes, name: str) -> LoadedConfig:
    """Read `ci-ml.yaml` from its bytes; `name` is how errors call the file.

    Raises ConfigError with every problem, one line each: file, line, key path, what is wrong.
    """
    try:
        document = documents.parse(data, "ci-ml.yaml")
    except documents.DocumentError as error:
        problem = _line(name, error.line, "", error.reason)
        raise ConfigError(
            f"{name} cannot be read", [problem], hint=f"it has to be YAML; every key is in {DOCS}"
        ) from None
    if not isinstance(document.value, dict):
        raise ConfigError(
            f"{name} is not a configuration",
            [_line(name, 1, "", "it must hold keys such as version and gates")],
            hint=f"a minimal file is in the README; every key is in {DOCS}",
        )
    left = _left(_proposed(document.value))
    problems = [_line(name, document.lines.get(path), ".".join(map(str, path)), _OPEN) for path in left]
    config = None
    try:
        config = Config.model_validate(document.value, strict=False, context=_kinds(document.value))
    except ValidationError as error:
        details = [item for item in error.errors() if not any(item["loc"][: len(path)] == path for path in left)]
        problems += [_problem(name, item, document) for item in details if not _follows(item, details)]
    if problems or config is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{name} has {count}", problems, hint=f"every key is in {DOCS}, or run `ci-ml schema`")
    return LoadedConfig(config=config, digest=f"sha256:{hashlib.sha256(data).hexdigest()}")


# How `ci-ml init` writes what only the user knows, alone or as the key of a metric.
TODO = "TODO"
_OPEN = f"{TODO} is left for you: say here what only you can know"


def left_open(data: bytes) -> int:
    """How many values `ci-ml init` has left to its user, and nobody has filled in; 0 for what is no YAML."""
    try:
        return len(_left(_proposed(documents.parse(data, FILE_NAME).value)))
    except documents.DocumentError:
        return 0


def _proposed(document: Any) -> Any:
    """What `ci-ml init` writes: elsewhere TODO may be a value like any other, such as one that a column may have."""
    parts = ("predictions", "gates")
    return {key: document[key] for key in parts if key in document} if isinstance(document, dict) else document


def _left(value: Any, path: tuple[str | int, ...] = ()) -> tuple[tuple[str | int, ...], ...]:
    if isinstance(value, dict):
        return tuple(place for key, item in value.items() for place in _left(item, (*path, key)))
    if isinstance(value, list):
        return tuple(place for index, item in enumerate(value) for place in _left(item, (*path, index)))
    return (path,) if isinstance(value, str) and (value == TODO or value.endswith(f":{TODO}")) else ()


def _follows(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether this says only that a list is short of the items that other problems are about."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(place)] == place and other["loc"] != place for other in details
    )


def _problem(name: str, detail: ErrorDetails, document: documents.Document) -> str:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    line = next((document.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in document.lines), None)
    return _line(name, line, ".".join(map(str, path)), _message(detail))


# What pydantic says in its own terms, in those of a YAML file.
_IN_YAML = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "invalid_key": "a key must be text",
    "model_type": "must be a mapping",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
}
# What a key must be, where that says more than what is wrong with it.
_WANTED = {
    "[key]": "the name of a table is a letter, then letters, digits, _ and -",
    "confidence": "must be a share from 0.5 to 0.9999, such as 0.95",
    "engine": "must be duckdb, or a URL such as pyspark://local",
    "gap": "must be a mapping such as {by: country}",
    "name": "must be letters, digits, blanks and . _ / -, and start with a letter or digit",
    "slices": "must be a mapping such as {by: [country, plan]}",
    "threshold": "must be a number from 0 to 1",
}


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    wanted = _WANTED.get(str(detail["loc"][-1])) if detail["loc"] else None
    if detail["loc"][:1] == ("registry",) and detail["loc"][-1] == "[key]":
        wanted = None if kind == "value_error" else "the name of a model is a letter, then letters, digits, . _ and -"
    if wanted and kind not in ("missing", "extra_forbidden") and not isinstance(detail["input"], dict):
        given = detail["input"]
        return f"{wanted}, not {f'{given:g}' if isinstance(given, float) else repr(given)}"
    if kind in _IN_YAML:
        return _IN_YAML[kind]
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        close = difflib.get_close_matches(key, _known_keys(detail["loc"][:-1]), n=1)
        return f"unknown key{f'; did you mean {close[0]}?' if close else ''}"
    if kind == "missing":
        if detail["loc"][-1] == "direction":
            return "missing: say whether higher or lower is better; it is never guessed from a name"
        return "missing"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind in ("enum", "literal_error"):
        return f"must be {context['expected']}, not {detail['input']!r}".replace("'", "")
    text = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"must be {text}" if detail["msg"].startswith("Input should be ") else text


# Keys below which names stand that users have chosen.
_NAMED = ("predictions", "data", "columns", "monitor", "registry", "aliases", "testsets")


def _known_keys(location: Sequence[Any]) -> list[str]:
    models: dict[str, type[Model]] = {
        "gates": GateConfig,
        "train": TrainConfig,
        "predictions": PredictionsConfig,
        "slices": SlicesConfig,
        "gap": GapConfig,
        "pipelines": PipelineConfig,
        "python": PythonConfig,
        "credentials": CredentialsConfig,
        "rescore": RescoreConfig,
        "monitor": MonitorConfig,
        "production": TableConfig,
        "labels": LabelsConfig,
        "source": SourceConfig,
        "window": WindowConfig,
        "registry": RegisteredConfig,
        "aliases": AliasConfig,
        "serve": ServeConfig,
        "retrain": RetrainConfig,
        "budget": BudgetConfig,
        "refresh": RefreshConfig,
        "search": SearchConfig,
        "audit": AuditConfig,
        "public_keys": PublicKeyConfig,
        "identities": IdentityConfig,
        "data": DataConfig,
        "columns": ColumnConfig,
        "length": LengthConfig,
        "rows": RowsConfig,
        "disjoint_from": DisjointConfig,
        "same_columns_as": SameConfig,
        "drift": DriftConfig,
        "limits": LimitsConfig,
        "testsets": TestSetConfig,
    }
    found: type[Model] = Config
    is_name = False  # of a table or of a column, which may be called like a key
    for part in location:
        if not is_name:
            found = models.get(str(part), found)
        is_name = not is_name and part in _NAMED
    return [field.alias or name for name, field in found.model_fields.items()]


def _line(name: str, line: int | None, key: str, message: str) -> str:
    place = f"{name}:{line}" if line else name
    return f"{place}: {key}: {message}" if key else f"{place}: {message}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `ci-ml.yaml`."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "ci-ml.yaml"}
