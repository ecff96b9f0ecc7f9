"""What a training did: its events while it runs, and the record it leaves (training.json, version 1). Layer: core."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ci_ml.core.exhibits import BeforePart

SCHEMA = "ci-ml/training/v1"


class StageState(StrEnum):
    """What became of a stage: its command ran, its outputs came from a cache, nothing had changed, or it failed."""

    RAN = "ran"
    CACHED = "cached"
    SKIPPED = "skipped"
    FAILED = "failed"


class TrainingOutcome(StrEnum):
    """How the whole training ended."""

    SUCCESS = "success"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class StageStarted:
    """DVC looks at a stage now."""

    name: str


@dataclass(frozen=True, kw_only=True)
class CommandStarted:
    """The stage has to run, and its commands start."""

    name: str
    commands: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OutputLine:
    """A line that a stage wrote; `transient` lines are overwritten by the next (progress bars)."""

    name: str | None
    text: str
    transient: bool = False


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """A stage that is done, and how long it took in seconds."""

    name: str
    state: StageState
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why the training stopped: a stage's command, or DVC itself (then `command` is None).

    `refused` says that nothing was begun, because there is no such target.
    """

    stage: str | None
    message: str
    command: str | None = None
    code: int | None = None
    refused: bool = False


Event = StageStarted | CommandStarted | OutputLine | StageRun | Failure


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The machine and the Python environment that trained.

    `runs_stages` says whether the interpreter is known, by their commands, to be what the stages that ran ran with.
    `gpu` are its accelerators, of which there may be none; None where nobody could say.
    """

    interpreter: Mapping[str, str]
    packages: Mapping[str, str]
    packages_digest: str
    os: str
    cpu: str
    gpu: tuple[str, ...] | None = None
    runs_stages: bool = False


@dataclass(frozen=True, kw_only=True)
class Training:
    """Everything about one training that somebody may ask later."""

    outcome: TrainingOutcome
    commit: str | None
    dirty: bool
    started: str
    seconds: float
    stages: tuple[StageRun, ...]
    environment: Environment | None = None
    run_url: str | None = None
    lock: str | None = None
    data: Mapping[str, str | None] = field(default_factory=dict)
    code: Mapping[str, str | None] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, str | None] = field(default_factory=dict)
    failure: str | None = None
    mlflow_run: str | None = None
    mlflow_uri: str | None = None
    linked_runs: tuple[str, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether any command ran."""
        return any(stage.state is StageState.RAN for stage in self.stages)

    def to_json(self) -> str:
        """Strict JSON, ending in a line break."""
        document = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """The training behind the base's numbers, as far as a tracker knows it."""

    part: BeforePart
    environment: Environment | None = None


_CREDENTIALS = re.compile(r"(?<=://)(?:[^\s/@:]+:(?!\d+/)[^\s@]+@(?:[^\s/@]+@)*|(?:[^\s/@]+@)+)")
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_KEY")


def secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of environment variables whose names say that they are secret, longest first."""
    found = {value for name, value in environment.items() if _SECRET_NAME.search(name.upper()) and len(value) >= 6}
    return tuple(sorted(found, key=len, reverse=True))


def redact(text: str, hidden: tuple[str, ...]) -> str:
    """A text without secrets and without credentials in URLs."""
    for secret in hidden:
        text = text.replace(secret, "***")
    return _CREDENTIALS.sub("***@", text)


def lacking(said: str) -> str | None:
    """What to do when DVC says that it lacks the package for a kind of remote; None when it says something else."""
    kind = re.search(r"requires 'dvc-(azure|gs|s3|ssh)' to be installed", said)
    return f"install ci-ml[{kind[1]}]; in CI, name {kind[1]} in CI_ML_REMOTES" if kind else None
