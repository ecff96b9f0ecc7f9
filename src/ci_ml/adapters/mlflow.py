"""MLflow: one run per training, and links to the runs that stages log themselves. Layer: adapters.

Stages are marked through MLFLOW_RUN_CONTEXT, which MLflow turns into tags on every run they start. MLFLOW_RUN_ID
would break them: it clashes with `mlflow.set_experiment`.
"""

import contextlib
import json
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci_ml.core import environments
from ci_ml.core.exhibits import BeforePart
from ci_ml.core.training import Earlier, Environment, StageState, Training, TrainingOutcome, redact
from ci_ml.errors import DependencyError

CONTEXT_VARIABLE = "MLFLOW_RUN_CONTEXT"
MARK = "ci-ml.training"
_CLIENT_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
# Else it prints the address, password and all, on stdout.
_CLIENT_SETTINGS = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
_NAME = re.compile(r"[^\w.\-/ ]")
_EXPERIMENTS_PER_SEARCH = 50
_STAGES = "ci-ml.stage_seconds"
_LONGEST_TAG = 5000
_ENVIRONMENT = "ci-ml.environment."  # and a number: one tag is too short for the packages
_MOST_TAGS = 20


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where runs are logged: `uri`, else the SQLite store in `folder`."""

    uri: str | None = field(repr=False)
    folder: Path
    experiment: str

    def address(self) -> str:
        """The tracking URI that is used."""
        return self.uri or f"sqlite:///{self.folder.resolve() / 'mlflow.db'}"

    def log(self, training: Training, mark: str, metrics: Mapping[str, float]) -> tuple[str, tuple[str, ...]]:
        """Log a training; returns the id of its run and those of the runs its stages logged.

        Raises DependencyError when MLflow is down or refuses. A run that could not be completed is marked as failed.
        """
        with _limits():
            try:
                return self._log(training, mark, metrics)
            except Exception as error:
                words = redact(" ".join(str(error).split()), ())  # before it is cut, or half a password could remain
                raise DependencyError(f"MLflow: {words[:500] or type(error).__name__}") from error

    def _log(self, training: Training, mark: str, metrics: Mapping[str, float]) -> tuple[str, tuple[str, ...]]:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        for name in ("mlflow", "alembic"):  # importing it sets its own levels
            logging.getLogger(name).setLevel(logging.ERROR)
        client = MlflowClient(tracking_uri=self.address())
        run = client.create_run(self._experiment(client), run_name=f"ci-ml {(training.commit or '')[:7]}".strip())
        run_id = str(run.info.run_id)
        done = False
        try:
            when = int(run.info.start_time)
            values = [Metric(_name(key), value, when, 0) for key, value in metrics.items() if math.isfinite(value)]
            params = [Param(_name(key), str(value)[:500]) for key, value in training.params.items()]
            linked = _linked(client, mark, run_id)
            tags = [RunTag(key, value[:_LONGEST_TAG]) for key, value in _tags(training, mark, linked).items()]
            for start in range(0, max(len(values), len(params), len(tags)), 100):
                part = slice(start, start + 100)
                client.log_batch(run_id, metrics=values[part], params=params[part], tags=tags[part])
            done = True
        finally:
            with contextlib.suppress(Exception) if not done else contextlib.nullcontext():
                succeeded = done and training.outcome is TrainingOutcome.SUCCESS
                client.set_terminated(run_id, "FINISHED" if succeeded else "FAILED")
        return run_id, linked

    def before(self, lock: str) -> Earlier | None:
        """The newest training that made a dvc.lock (by its digest) and whose stages are known; None without one.

        Raises DependencyError when MLflow is down or refuses.
        """
        with _limits():
            try:
                return self._before(lock)
            except Exception as error:
                words = redact(" ".join(str(error).split()), ())
                raise DependencyError(f"MLflow: {words[:500] or type(error).__name__}") from error

    def _before(self, lock: str) -> Earlier | None:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.address())
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment is None:
            return None
        wanted = f"tags.`ci-ml.lock` = '{lock}' and tags.`ci-ml.outcome` = '{TrainingOutcome.SUCCESS.value}'"
        for run in client.search_runs([experiment.experiment_id], wanted, max_results=20):  # newest first
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                stages = json.loads(run.data.tags.get(_STAGES, "{}"))
                if stages:
                    seconds = float(run.data.tags["ci-ml.seconds"])
                    part = BeforePart(seconds=seconds, stages=stages, run=str(run.info.run_id))
                    return Earlier(part=part, environment=_environment(run.data.tags))
        return None

    def _experiment(self, client: Any) -> str:
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        location = None
        if self.uri is None:
            location = (self.folder.resolve() / "mlflow-artifacts").as_uri()
        return str(client.create_experiment(self.experiment, artifact_location=location))


def stage_environment(env: Mapping[str, str], mark: str) -> dict[str, str]:
    """The environment for stages: as it is, plus a tag that MLflow puts on the runs they start."""
    try:
        tags = json.loads(env.get(CONTEXT_VARIABLE) or "{}")
    except ValueError:
        return dict(env)
    return {**env, CONTEXT_VARIABLE: json.dumps({**tags, MARK: mark})} if isinstance(tags, dict) else dict(env)


def _tags(training: Training, mark: str, linked: tuple[str, ...]) -> dict[str, str]:
    ran = [stage.name for stage in training.stages if stage.state is StageState.RAN]
    tags = {
        MARK: mark,
        "mlflow.source.type": "JOB",
        "mlflow.source.name": "ci-ml train",
        "mlflow.source.git.commit": training.commit,
        "ci-ml.commit": training.commit,
        "ci-ml.dirty": str(training.dirty).lower(),
        "ci-ml.lock": training.lock,
        "ci-ml.run_url": training.run_url,
        "ci-ml.outcome": training.outcome.value,
        "ci-ml.seconds": f"{training.seconds:.3f}",
        "ci-ml.stages_run": " ".join(ran),
        _STAGES: _seconds(training),
        "ci-ml.packages": training.environment.packages_digest if training.environment else None,
        "ci-ml.linked_runs": " ".join(linked),
        **_in_parts(training.environment),
    }
    return {key: value for key, value in tags.items() if value}


def _in_parts(environment: Environment | None) -> dict[str, str]:
    """What a training ran in, over as many tags as it needs; a part of it would be worth nothing."""
    text = environments.dump(environment) if environment else ""
    parts = [text[start : start + _LONGEST_TAG] for start in range(0, len(text), _LONGEST_TAG)]
    return {f"{_ENVIRONMENT}{index}": part for index, part in enumerate(parts)} if len(parts) <= _MOST_TAGS else {}


def _environment(tags: Mapping[str, str]) -> Environment | None:
    parts = (tags.get(f"{_ENVIRONMENT}{index}", "") for index in range(_MOST_TAGS))
    return environments.load("".join(parts))


def _seconds(training: Training) -> str | None:
    """How long each stage ran, as JSON, where a tag can hold it."""
    ran = {stage.name: round(stage.seconds, 3) for stage in training.stages if stage.state is StageState.RAN}
    text = json.dumps(ran)
    return text if ran and len(text) <= _LONGEST_TAG else None


def _linked(client: Any, mark: str, run_id: str) -> tuple[str, ...]:
    """The runs that stages started, each tagged with the run of the training."""
    experiments = [str(item.experiment_id) for item in _pages(client.search_experiments)]
    found: list[str] = []
    for start in range(0, len(experiments), _EXPERIMENTS_PER_SEARCH):
        some = experiments[start : start + _EXPERIMENTS_PER_SEARCH]
        runs = _pages(client.search_runs, experiment_ids=some, filter_string=f"tags.`{MARK}` = '{mark}'")
        found.extend(str(run.info.run_id) for run in runs if run.info.run_id != run_id)
    for other in found:
        client.set_tag(other, "ci-ml.parent_run", run_id)
    return tuple(found)


def _pages(search: Any, **arguments: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return


def _name(key: str) -> str:
    return _NAME.sub("_", key).replace("..", "_")[:250].strip("/")


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Keep MLflow's client quiet, and from retrying for minutes unless the user chose limits of their own."""
    before = dict(os.environ)
    os.environ.update({**_CLIENT_LIMITS, **before, **_CLIENT_SETTINGS})
    try:
        yield
    finally:
        for key in (*_CLIENT_LIMITS, *_CLIENT_SETTINGS):
            os.environ.pop(key, None)
            if key in before:
                os.environ[key] = before[key]
