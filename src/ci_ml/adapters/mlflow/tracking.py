"""MLflow: one run per training, links to the runs that stages log themselves, and what is kept with a run.

Layer: adapters.

Stages are marked through MLFLOW_RUN_CONTEXT, which MLflow turns into tags on every run they start. MLFLOW_RUN_ID
would break them: it clashes with `mlflow.set_experiment`.
"""

import contextlib
import hashlib
import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci_ml.adapters.mlflow.client import ABSENT, asking, connected
from ci_ml.core import documents, environments
from ci_ml.core.exhibits import BeforePart
from ci_ml.core.references import Kept, Origin, Reference, Watch
from ci_ml.core.training import Earlier, Environment, StageState, Training, TrainingOutcome, redact
from ci_ml.core.types import Gap

CONTEXT_VARIABLE = "MLFLOW_RUN_CONTEXT"
MARK = "ci-ml.training"
_NAME = re.compile(r"[^\w.\-/ ]")
_EXPERIMENTS_PER_SEARCH = 50
_STAGES = "ci-ml.stage_seconds"
_LONGEST_TAG = 5000
_PARENT = "ci-ml.parent_run"
_FOLDER = "ci-ml"  # among the artifacts of a run
_KEPT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,120}")
_CANDIDATES = 20
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
        with asking():
            return self._log(training, mark, metrics)

    def _log(self, training: Training, mark: str, metrics: Mapping[str, float]) -> tuple[str, tuple[str, ...]]:
        client = self._client()
        run = client.create_run(self.experiment_id(client), run_name=f"ci-ml {(training.commit or '')[:7]}".strip())
        run_id = str(run.info.run_id)
        with _ended(client, run_id, succeeded=training.outcome is TrainingOutcome.SUCCESS):
            linked = _linked(client, mark, run_id)
            params = {_name(key): str(value)[:500] for key, value in training.params.items()}
            _write(client, run_id, int(run.info.start_time), metrics, params, _tags(training, mark, linked))
        return run_id, linked

    def watched(self, watch: Watch) -> str:
        """Log one look at production, in a run of its own below the one it was compared with; returns its id.

        Raises DependencyError when MLflow is down or refuses.
        """
        tags = {
            **watch.tags,
            "mlflow.source.type": "JOB",
            "mlflow.source.name": "ci-ml monitor",
            "mlflow.parentRunId": watch.reference or "",
            "ci-ml.monitor": watch.name,
            "ci-ml.outcome": watch.outcome,
            "ci-ml.reference": watch.reference or "",
            "ci-ml.run_url": watch.run_url or "",
        }
        with asking():
            client = self._client()
            name = f"ci-ml monitor {watch.name} {watch.at:%Y-%m-%d %H:%M}"
            run_id = str(client.create_run(self.experiment_id(client), run_name=name).info.run_id)
            with _ended(client, run_id, succeeded=True):
                known = {key: value for key, value in tags.items() if value}
                _write(client, run_id, int(watch.at.timestamp() * 1000), watch.metrics, {}, known)
            return run_id

    def keep(self, run_id: str, name: str, document: Any) -> None:
        """Keep a small document with a run, under a name of ours; a tag of the run has its digest.

        Raises DependencyError when MLflow is down or refuses, ValueError for what is too large or no strict JSON.
        """
        text = json.dumps(document, allow_nan=False, ensure_ascii=False, sort_keys=True)
        if not _KEPT.fullmatch(name) or len(text.encode()) > documents.MAX_BYTES:
            raise ValueError(f"{name} is too large to be kept, or no name")
        with asking():
            client = self._client()
            client.log_text(run_id, text, f"{_FOLDER}/{name}.json")
            client.set_tag(run_id, _digest_tag(name), _digest(text.encode()))

    def kept(self, reference: Reference, name: str) -> Kept | Gap:
        """A document that was kept with the training that is meant, or why there is none.

        A model's run is often one that a stage has logged: then it is kept with the training that ran the stage.
        Raises DependencyError when MLflow is down or refuses.
        """
        with asking():
            client = self._client()
            runs = self._meant(client, reference)
            if isinstance(runs, Gap):
                return runs
            for run in runs:
                if _digest_tag(name) in run.data.tags:
                    return _fetched(client, run, name)
        return Gap(reason=f"nothing was recorded as {name} with {reference}", absent=True)

    def _meant(self, client: Any, reference: Reference) -> list[Any] | Gap:
        """The runs that a reference may mean, the best first."""
        from mlflow.exceptions import MlflowException

        if reference.origin is Origin.LOCK:
            return self.trainings(client, reference.value)
        try:
            maker = _maker(client, reference)
            if not maker:
                return Gap(reason=f"MLflow does not say which run made {reference}")
            run = client.get_run(maker)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            said = redact(" ".join(error.message.split()), ())
            return Gap(reason=f"MLflow knows no {reference}: {said[:200]}", absent=True)
        if run.info.lifecycle_stage != "active":
            return Gap(reason=f"the run of {reference} was deleted")
        found = [run]
        with contextlib.suppress(MlflowException):  # it may be gone, or hidden
            if parent := run.data.tags.get(_PARENT):
                found.append(client.get_run(parent))
        return found

    def trainings(self, client: Any, lock: str) -> list[Any]:
        """The newest trainings that made a dvc.lock."""
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment is None:
            return []
        wanted = f"tags.`ci-ml.lock` = '{lock}' and tags.`ci-ml.outcome` = '{TrainingOutcome.SUCCESS.value}'"
        return list(client.search_runs([experiment.experiment_id], wanted, max_results=_CANDIDATES))

    def before(self, lock: str) -> Earlier | None:
        """The newest training that made a dvc.lock (by its digest) and whose stages are known; None without one.

        Raises DependencyError when MLflow is down or refuses.
        """
        with asking():
            for run in self.trainings(self._client(), lock):
                with contextlib.suppress(ValueError, TypeError, AttributeError):
                    stages = json.loads(run.data.tags.get(_STAGES, "{}"))
                    if stages:
                        seconds = float(run.data.tags["ci-ml.seconds"])
                        part = BeforePart(seconds=seconds, stages=stages, run=str(run.info.run_id))
                        return Earlier(part=part, environment=_environment(run.data.tags))
        return None

    def _client(self) -> Any:
        return connected(self.address())

    def experiment_id(self, client: Any) -> str:
        """The experiment that runs are logged to, made when it is not there yet."""
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        location = None
        if self.uri is None:
            location = (self.folder.resolve() / "mlflow-artifacts").as_uri()
        return str(client.create_experiment(self.experiment, artifact_location=location))


@contextlib.contextmanager
def _ended(client: Any, run_id: str, *, succeeded: bool) -> Iterator[None]:
    """A run that could not be completed is marked as failed."""
    done = False
    try:
        yield
        done = True
    finally:
        with contextlib.suppress(Exception) if not done else contextlib.nullcontext():
            client.set_terminated(run_id, "FINISHED" if done and succeeded else "FAILED")


def _write(
    client: Any,
    run_id: str,
    when: int,
    metrics: Mapping[str, float],
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    values = [Metric(_name(key), value, when, 0) for key, value in metrics.items() if math.isfinite(value)]
    given = [Param(key, value) for key, value in params.items()]
    marks = [RunTag(key, value[:_LONGEST_TAG]) for key, value in tags.items()]
    rows: Sequence[int] = range(0, max(len(values), len(given), len(marks)), 100)
    for start in rows:
        part = slice(start, start + 100)
        client.log_batch(run_id, metrics=values[part], params=given[part], tags=marks[part])


def _maker(client: Any, reference: Reference) -> str | None:
    """The id of the run that a reference names, or that made the model that it names."""
    if reference.origin is Origin.RUN:
        return reference.value
    if reference.origin is Origin.LOGGED:
        return client.get_logged_model(reference.value).source_run_id  # type: ignore[no-any-return]
    if reference.origin is Origin.ALIAS:
        version = client.get_model_version_by_alias(reference.model, reference.value)
    else:
        version = client.get_model_version(reference.model, reference.value)
    return version.run_id  # type: ignore[no-any-return]


def _fetched(client: Any, run: Any, name: str) -> Kept | Gap:
    run_id, place = str(run.info.run_id), f"{_FOLDER}/{name}.json"
    called = f"{name} of run {run_id}"
    listed = {item.path: item.file_size or 0 for item in client.list_artifacts(run_id, _FOLDER)}
    if place not in listed:
        return Gap(reason=f"{called} is gone from MLflow's artifacts")
    if listed[place] > documents.MAX_BYTES:
        return Gap(reason=documents.too_large(called, listed[place]))
    with tempfile.TemporaryDirectory(prefix="ci-ml-mlflow-") as folder:
        data = Path(client.download_artifacts(run_id, place, folder)).read_bytes()
    if _digest(data) != run.data.tags[_digest_tag(name)]:
        return Gap(reason=f"{called} is not what was recorded: somebody has changed it")
    try:
        return Kept(run=run_id, document=documents.parse(data, place).value)
    except documents.DocumentError as error:
        return Gap(reason=f"{called} cannot be read: {error}")


def _digest_tag(name: str) -> str:
    return f"ci-ml.kept.{name}"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


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
    experiments = [str(item.experiment_id) for item in pages(client.search_experiments)]
    found: list[str] = []
    for start in range(0, len(experiments), _EXPERIMENTS_PER_SEARCH):
        some = experiments[start : start + _EXPERIMENTS_PER_SEARCH]
        runs = pages(client.search_runs, experiment_ids=some, filter_string=f"tags.`{MARK}` = '{mark}'")
        found.extend(str(run.info.run_id) for run in runs if run.info.run_id != run_id)
    for other in found:
        client.set_tag(other, _PARENT, run_id)
    return tuple(found)


def pages(search: Any, **arguments: Any) -> Iterator[Any]:
    """Everything that a search of MLflow finds, page after page."""
    token = None
    while True:
        page = search(page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return


def _name(key: str) -> str:
    return _NAME.sub("_", key).replace("..", "_")[:250].strip("/")
