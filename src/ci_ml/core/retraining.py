"""When a retraining may start, and the record of those that have. Layer: core. Pure.

The record is a list of entries: one when a retraining starts and one when it ends, each with why. It lives on a ref of
the repository, where a push that is not on top of the last entry is refused: that is what keeps two from starting.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError, model_validator

from ci_ml.core.models import Model, Texts
from ci_ml.core.part import Part
from ci_ml.core.pipeline import Pipeline, covering
from ci_ml.core.spans import Span, words
from ci_ml.core.types import Direction, FileChange, Outcome
from ci_ml.errors import UsageError

SCHEMA: Literal["ci-ml/retraining/v1"] = "ci-ml/retraining/v1"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._/-]*$"


class BudgetConfig(Model):
    """How much retraining there may be in a period."""

    per: Span = Field(description="The period, such as 7d, counted back from now.")
    runs: Annotated[int, Field(ge=1)] | None = Field(default=None, description="At most this many retrainings.")
    minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="None is started once those of the period have taken this long together."
    )

    @model_validator(mode="after")
    def _some(self) -> "BudgetConfig":
        if self.runs is None and self.minutes is None:
            raise ValueError("a budget is a number of `runs`, of `minutes`, or both")
        return self


class RefreshConfig(Model):
    """How new data arrive before training."""

    stages: Texts = Field(
        default=(),
        description="Stages of dvc.yaml that fetch data: they run whether DVC thinks that they have to or not.",
    )
    command: Texts = Field(
        default=(), description="A program and its arguments, run in the folder of ci-ml.yaml without a shell."
    )
    update: Texts = Field(default=(), description="Imports (.dvc files) that `dvc update` brings up to date.")

    @model_validator(mode="after")
    def _one(self) -> "RefreshConfig":
        if sum(map(bool, (self.stages, self.command, self.update))) != 1:
            raise ValueError("name one of `stages`, `command` and `update`")
        return self


def _number(value: str) -> str:
    """A number in a file, FILE:KEY, and one only. Raises ValueError."""
    path, _, key = value.partition(":")
    if not path or not key or "*" in value or "?" in value:
        raise ValueError(f"must be one number in a file, FILE:KEY, such as eval/validation.json:auc, not {value!r}")
    if path.startswith("/") or "\\" in path:
        raise ValueError("the file is relative to the folder of ci-ml.yaml, with / between folders")
    return value


class SearchConfig(Model):
    """A search for better parameters: a queue of experiments, one for each combination."""

    params: Texts = Field(
        min_length=1,
        description="Ranges and choices as `dvc exp run --set-param` takes them: all of their combinations.",
        examples=[["train.lr=choice(0.01,0.1)", "train.depth=range(2,6)"]],
    )
    metric: Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_number)] = Field(
        description="The number in a file, FILE:KEY, by which the best is chosen. Take one of a validation set: a "
        "search that looks at the test set makes it worthless for the judgement.",
        examples=["eval/validation.json:roc_auc"],
    )
    direction: Direction = Field(description="Which way that number is better.")
    trials: Annotated[int, Field(ge=1, le=1000)] = Field(default=20, description="At most this many experiments.")
    jobs: Annotated[int, Field(ge=1, le=64)] = Field(default=1, description="Experiments that run at a time.")


class Merge(StrEnum):
    """On which outcome the proposal is merged without a person."""

    NEVER = "never"
    IMPROVED = "improved"
    HELD = "held"


class RetrainConfig(Model):
    """Continuous training: how a challenger is made, judged and proposed."""

    refresh: RefreshConfig | None = Field(
        default=None, description="How new data arrive; without it, what is committed is trained anew."
    )
    branch: Annotated[str, Field(min_length=1, max_length=200, pattern=_NAME)] = Field(
        default="ci-ml/retrain", description="The branch that the challenger is proposed from."
    )
    labels: Texts = Field(default=("retraining",), description="Labels of the pull or merge request.")
    merge: Merge = Field(
        default=Merge.NEVER,
        description="never: a person merges. improved: it is merged once its pipelines pass if a gated metric improved "
        "and none got worse. held: also if all of them held.",
    )
    cool_down: Span | None = Field(
        default=None, description="How long after one retraining no other starts, such as 24h."
    )
    budget: BudgetConfig | None = Field(default=None, description="How much retraining there may be in a period.")
    longest: Span = Field(
        default=timedelta(hours=24),
        json_schema_extra={"default": "24h"},
        description="One that has not said for so long that it ended is taken for dead, and another may start.",
    )
    search: SearchConfig | None = Field(default=None, description="Search for better parameters first.")


class Entry(Part):
    """One line of the record: that a retraining started, or how it ended."""

    schema_: Literal["ci-ml/retraining/v1"] = Field(default=SCHEMA, alias="schema")
    id: str = Field(min_length=1, max_length=64)
    event: Literal["started", "ended"]
    at: AwareDatetime
    why: str = Field(max_length=2000)
    commit: str | None = Field(default=None, max_length=64)
    outcome: Outcome | Literal["unchanged", "error"] | None = None
    sentence: str = Field(default="", max_length=2000)
    proposal: str | None = Field(default=None, max_length=2000)
    run_url: str | None = Field(default=None, max_length=2000)

    def to_line(self) -> str:
        """One line of strict JSON."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), ensure_ascii=False, allow_nan=False) + "\n"


def entries(data: bytes, place: str) -> tuple[Entry, ...]:
    """The entries of a record. Raises UsageError, with the line, for what is none: nobody may guess at a budget."""
    found = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            found.append(Entry.model_validate(json.loads(line)))
        except (ValueError, ValidationError, RecursionError):
            what = f"{place}, line {number}, is no entry of a record of retrainings"
            raise UsageError(what, "somebody has edited it: set the ref back to the commit before") from None
    return tuple(found)


class Run(Model):
    """A retraining as the record has it; one that never ended took until now, and `longest` at most."""

    id: str
    why: str
    began: datetime
    took: timedelta
    running: bool
    ended: Entry | None = None

    @property
    def outcome(self) -> str:
        """How it ended, in one word."""
        return "running" if self.running else self.ended.outcome or "error" if self.ended else "lost"


def runs(record: Iterable[Entry], now: datetime, longest: timedelta) -> tuple[Run, ...]:
    """The retrainings of a record, in the order in which they began."""
    started: dict[str, Entry] = {}
    ended: dict[str, Entry] = {}
    for entry in record:
        (started if entry.event == "started" else ended).setdefault(entry.id, entry)
    found = []
    for name, first in started.items():
        last = ended.get(name)
        took = min(now - first.at, longest) if last is None else last.at - first.at
        running = last is None and now - first.at < longest
        took = max(took, timedelta(0))
        found.append(Run(id=name, why=first.why, began=first.at, took=took, running=running, ended=last))
    return tuple(sorted(found, key=lambda run: run.began))


def loose(changed: Iterable[FileChange], pipeline: Pipeline) -> tuple[str, ...]:
    """New files that belong to no challenger: neither DVC's own, nor made or read by a stage."""
    known = dict.fromkeys([*pipeline.outputs(), *(dep for stage in pipeline.stages for dep in stage.deps)])
    new = (change.path for change in changed if change.change == "added")
    return tuple(path for path in new if not _of_dvc(path) and covering(path, known) is None)


def _of_dvc(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in ("dvc.lock", ".gitignore") or name.endswith(".dvc")


def refusal(record: Sequence[Entry], chosen: RetrainConfig, now: datetime) -> str | None:
    """Why none may start now: one is running, another was just there, or the budget is used up; None when it may."""
    known = runs(record, now, chosen.longest)
    if running := next((run for run in known if run.running), None):
        return f"one is running since {moment(running.began)} ({running.why})"
    if not known:
        return None
    last = max(run.began + run.took for run in known)
    if chosen.cool_down and (left := last + chosen.cool_down - now) > timedelta(0):
        return f"the last one ended at {moment(last)}, and another may start in {words(left)} (cool_down)"
    budget = chosen.budget
    if budget is None:
        return None
    counted = [run for run in known if run.began + run.took > now - budget.per]
    if budget.runs is not None and len(counted) >= budget.runs:
        return (
            f"there were {len(counted)} in the last {words(budget.per)}, and the budget is {budget.runs} (budget.runs)"
        )
    spent = sum((run.took for run in counted), timedelta(0))
    if budget.minutes is not None and spent >= timedelta(minutes=budget.minutes):
        allowed = words(timedelta(minutes=budget.minutes))
        return (
            f"those of the last {words(budget.per)} took {words(spent)}, and the budget is {allowed} (budget.minutes)"
        )
    return None


def moment(at: datetime) -> str:
    """When that was, for people."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
