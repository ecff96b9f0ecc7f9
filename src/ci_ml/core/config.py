"""`ci-ml.yaml`: its models, and every mistake in it at once with file, line and key path. Layer: core.

The models are the values themselves (frozen); the JSON Schema of `ci-ml schema` comes from them.
"""

import difflib
import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import ErrorDetails

from ci_ml.core import documents
from ci_ml.core.types import Direction, Margin, MetricKey, Require, Severity
from ci_ml.errors import ConfigError

FILE_NAME = "ci-ml.yaml"
DOCS = "docs/configuration.md"

NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$"
NAME_LENGTH = 80

_BASELINE = re.compile(r"auto|merge-base|(branch|rev):[^-+\s:]\S*")
_PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%\s*")


def _margin(value: Any) -> Margin:
    if isinstance(value, Margin):
        return value
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        return Margin(value=float(match[1]) / 100, relative=True)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return Margin(value=float(value))
    raise ValueError(f"must be a number in the metric's units or a percentage such as 2%, not {value!r}")


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"must be a finite number, not {value!r}")
    return float(value)


def _metric(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text of the form FILE:KEY, for example metrics.json:accuracy")
    path = value.partition(":")[0]
    if not path or (":" not in value and "/" not in path and "." not in path):
        raise ValueError(f"{value!r} names no file: write FILE:KEY, for example metrics.json:{value.lstrip(':')}")
    if path.startswith("/") or "\\" in path:
        raise ValueError("the file is relative to the folder of ci-ml.yaml, with / between folders")
    return value


def _baseline(value: Any) -> str:
    if not isinstance(value, str) or not _BASELINE.fullmatch(value) or ":" in value.partition(":")[2]:
        raise ValueError(f"must be auto, merge-base, branch:NAME or rev:REVISION, not {value!r}")
    return value


_MARGIN_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*%\s*$"},
    ]
}
MarginField = Annotated[Margin, BeforeValidator(_margin), WithJsonSchema(_MARGIN_SCHEMA)]
Finite = Annotated[float, BeforeValidator(_finite)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class GateConfig(_Model):
    """One thing that must not get worse."""

    metric: Annotated[str, BeforeValidator(_metric)] = Field(
        description="A number in a file: FILE:DOTTED.KEY, relative to the folder of ci-ml.yaml. "
        "`*`, `?` and `**` are globs in both parts.",
        examples=["eval/metrics.json:accuracy", "eval/*.json:test.*"],
    )
    direction: Direction = Field(description="Which way is better. Never guessed from a name.")
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
    floor: Finite | None = Field(default=None, description="The head's value must not be below this.")
    ceiling: Finite | None = Field(default=None, description="The head's value must not be above this.")

    @model_validator(mode="after")
    def _bounds(self) -> "GateConfig":
        if self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            raise ValueError(f"floor {self.floor:g} is above ceiling {self.ceiling:g}: no value could pass")
        return self

    @property
    def pattern(self) -> MetricKey:
        """The metric's file and key, either of which may hold globs."""
        path, _, key = self.metric.partition(":")
        return MetricKey(path=path, key=key)


class TrainConfig(_Model):
    """How `ci-ml train` and `ci-ml ci` reproduce the pipeline."""

    targets: tuple[str, ...] = Field(default=(), description="DVC targets to reproduce; the whole pipeline when empty.")
    when: Literal["stale", "always", "never"] = Field(
        default="stale",
        description="stale: reproduce what changed. always: reproduce everything. never: a stale dvc.lock is exit 12.",
    )
    track: bool = Field(
        default=True, description="Log the run to MLflow: MLFLOW_TRACKING_URI, else a local SQLite store."
    )


class Config(_Model):
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
        "branch), merge-base, branch:NAME, rev:REVISION.",
    )
    train: TrainConfig = Field(default=TrainConfig(), description="How the pipeline is reproduced.")
    gates: tuple[GateConfig, ...] = Field(
        default=(), description="What must not get worse. No gates is undecided, never a pass."
    )

    @model_validator(mode="after")
    def _no_twins(self) -> "Config":
        seen: dict[str, int] = {}
        for index, gate in enumerate(self.gates):
            if gate.metric in seen:
                raise ValueError(f"gates.{index} and gates.{seen[gate.metric]} judge the same metric {gate.metric}")
            seen[gate.metric] = index
        return self


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
    try:
        config = Config.model_validate(document.value, strict=False)
    except ValidationError as error:
        problems = [_problem(name, detail, document) for detail in error.errors()]
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(
            f"{name} has {count}", problems, hint=f"every key is in {DOCS}, or run `ci-ml schema`"
        ) from None
    return LoadedConfig(config=config, digest=f"sha256:{hashlib.sha256(data).hexdigest()}")


def _problem(name: str, detail: ErrorDetails, document: documents.Document) -> str:
    path = tuple(detail["loc"])
    line = next((document.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in document.lines), None)
    return _line(name, line, ".".join(map(str, path)), _message(detail))


# What pydantic says in its own terms, in those of a YAML file.
_IN_YAML = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "invalid_key": "a key must be text",
    "model_type": "must be a mapping",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
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


def _known_keys(location: Sequence[Any]) -> list[str]:
    models: dict[str, type[BaseModel]] = {"gates": GateConfig, "train": TrainConfig}
    model = models.get(str(location[0]), Config) if location else Config
    return list(model.model_fields)


def _line(name: str, line: int | None, key: str, message: str) -> str:
    place = f"{name}:{line}" if line else name
    return f"{place}: {key}: {message}" if key else f"{place}: {message}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `ci-ml.yaml`."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "ci-ml.yaml"}
