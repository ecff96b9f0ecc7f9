"""Reproduce what is stale and write down what happened. Layer: usecases."""

import datetime as dt
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ci_ml.core import changes
from ci_ml.core.pipeline import Pipeline
from ci_ml.core.training import (
    CommandStarted,
    Environment,
    Event,
    Failure,
    OutputLine,
    StageRun,
    StageState,
    Training,
    TrainingOutcome,
    lacking,
    redact,
)
from ci_ml.core.types import Revision
from ci_ml.errors import CiMlError, DependencyError, StageFailed, UsageError

_LAST_LINES = 20
_LINE_LENGTH = 2000
_LOGGED = "ERROR: "


class Tracker(Protocol):
    """Where runs are logged."""

    def address(self) -> str: ...

    def log(self, training: Training, mark: str, metrics: Mapping[str, float]) -> tuple[str, tuple[str, ...]]: ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training: how to run it, how to show it, and how to learn what came out.

    `environment` is that of the stages that ran, by name; `result` reads the pipeline and the numbers anew after the
    run; `save` stores the record; `notice` tells the user.
    """

    head: Revision
    run_url: str | None
    mark: str
    events: Iterator[Event]
    show: Callable[[Event], None]
    environment: Callable[[Collection[str]], Environment]
    result: Callable[[], tuple[Pipeline, str | None, Mapping[str, float]]]
    save: Callable[[Training], None]
    notice: Callable[[str], None]
    tracker: Tracker | None
    hidden: tuple[str, ...] = ()


def train(job: Job) -> Training:
    """Run a training to its end; the record is saved however it ends.

    Raises StageFailed when a stage's command fails, DependencyError when DVC does, UsageError when there is no such
    target, KeyboardInterrupt when stopped.
    """
    watch = _Watch(job)
    try:
        watch.run()
    except KeyboardInterrupt:
        job.save(watch.record(TrainingOutcome.INTERRUPTED))
        raise
    if watch.failure is not None:
        failed = watch.record(TrainingOutcome.FAILED)
        job.save(_tracked(job, failed) if failed.trained else failed)
        raise watch.error()
    done = watch.record(TrainingOutcome.SUCCESS)
    done = _tracked(job, done) if done.trained else done
    job.save(done)
    return done


class _Watch:
    """Follows the events of one training."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._begun = time.monotonic()
        self._started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._stages: dict[str, StageRun] = {}
        self._tail: deque[str] = deque(maxlen=_LAST_LINES)
        self._tail_of: str | None = None
        self.failure: Failure | None = None

    def run(self) -> None:
        for event in self._job.events:
            shown = self._without_secrets(event)
            self._take(shown)
            self._job.show(shown)

    def _without_secrets(self, event: Event) -> Event:
        """What a stage prints may hold secrets: MLflow itself prints its address with the password in it."""
        if isinstance(event, OutputLine):
            return replace(event, text=redact(event.text, self._job.hidden))
        if isinstance(event, CommandStarted):
            return replace(event, commands=tuple(redact(command, self._job.hidden) for command in event.commands))
        return event

    def _take(self, event: Event) -> None:
        if isinstance(event, OutputLine) and not event.transient:
            if event.name != self._tail_of:
                self._tail.clear()
                self._tail_of = event.name
            self._tail.append(event.text)
        elif isinstance(event, StageRun):
            self._stages[event.name] = event  # a skipped stage runs after all when its outputs turn out to be needed
        elif isinstance(event, Failure):
            self.failure = event

    def error(self) -> CiMlError:
        failure = self.failure
        assert failure is not None
        message = redact(failure.message, self._job.hidden)
        lines = [line[:_LINE_LENGTH] for line in self._tail]
        if failure.refused:
            return UsageError(message, "`ci-ml verify` names every stage; see also `targets` in ci-ml.yaml")
        if failure.stage and failure.command:
            return StageFailed(failure.stage, redact(failure.command, self._job.hidden), failure.code, lines)
        where = f" at stage '{failure.stage}'" if failure.stage else ""
        # DVC logs why a transfer failed, and raises no more than that it did.
        cause = next(
            (line[len(_LOGGED) :] for line in reversed(lines) if line.startswith(f"{_LOGGED}failed to ")), None
        )
        message = f"{message}: {cause}" if cause else message
        return DependencyError(f"DVC failed{where}: {message}", _hint(message))

    def record(self, outcome: TrainingOutcome) -> Training:
        job = self._job
        ran = {stage.name for stage in self._stages.values() if stage.state in (StageState.RAN, StageState.FAILED)}
        record = Training(
            outcome=outcome,
            commit=job.head.sha,
            dirty=job.head.dirty,
            started=self._started,
            seconds=round(time.monotonic() - self._begun, 3),
            stages=tuple(self._stages.values()),
            environment=job.environment(ran) if outcome is not TrainingOutcome.INTERRUPTED else None,
            run_url=job.run_url,
            failure=redact(self.failure.message, job.hidden) if self.failure else None,
        )
        return record if outcome is not TrainingOutcome.SUCCESS else _with_result(record, job)


def _with_result(record: Training, job: Job) -> Training:
    pipeline, lock, _ = job.result()
    made = {out.path for stage in pipeline.stages for out in stage.outs}
    inputs = {
        path: str(digest) if digest else None
        for stage in pipeline.stages
        for path, digest in (stage.locked.deps if stage.locked else {}).items()
        if path not in made
    }
    return replace(
        record,
        lock=lock,
        data={path: digest for path, digest in inputs.items() if not changes.is_code(path)},
        code={path: digest for path, digest in inputs.items() if changes.is_code(path)},
        params=dict(_params(pipeline)),
        outputs={
            out.path: str(out.recorded) if out.recorded else None for stage in pipeline.stages for out in stage.outs
        },
    )


def _params(pipeline: Pipeline) -> Iterable[tuple[str, Any]]:
    for stage in pipeline.stages:
        for path, values in (stage.locked.params if stage.locked else {}).items():
            prefix = "" if path.rpartition("/")[2] == "params.yaml" and "/" not in path else f"{path}/"
            for key, value in values.items():
                yield f"{prefix}{key}", changes.jsonable(value)


def _tracked(job: Job, record: Training) -> Training:
    """The record with its MLflow run. MLflow down or refusing is a notice: the training is not lost."""
    if job.tracker is None:
        return record
    try:
        _, _, metrics = job.result() if record.outcome is TrainingOutcome.SUCCESS else (None, None, {})
        run, linked = job.tracker.log(record, job.mark, metrics)
    except DependencyError as error:
        job.notice(f"the run was not logged: {redact(error.what, job.hidden)}")
        return record
    return replace(record, mlflow_run=run, mlflow_uri=redact(job.tracker.address(), job.hidden), linked_runs=linked)


def _hint(message: str) -> str:
    hints = (
        ("Unable to acquire lock", "another dvc runs in this repository; wait for it, or see .dvc/tmp"),
        ("is busy", "another dvc runs in this repository; wait for it, then try again"),
        ("Unable to locate credentials", "give the job credentials for the remote"),
        ("failed to connect", "check the remote and its credentials: `dvc remote list`, `dvc pull`"),
        ("remote", "check the remote and its credentials: `dvc remote list`, `dvc pull`"),
        ("checkout failed", "the data is neither here nor on the remote: `dvc push` it from where it is"),
        ("missing data", "the data is neither here nor on a remote: `dvc pull` shows what is missing"),
        ("does not exist", "it is neither in the repository nor on a remote: `dvc status -c` shows what is missing"),
    )
    found = (hint for words, hint in hints if words.lower() in message.lower() and hint)
    return lacking(message) or next(found, "`dvc repro -v` shows more of it")
