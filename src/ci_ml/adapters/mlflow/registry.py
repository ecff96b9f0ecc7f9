"""MLflow's registry: versions of models and their aliases. Layer: adapters.

Every method may be called again after it was killed half-way: files are put in a place that their digest names, a
version is found again by its tags, and the rest sets what is to be.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci_ml.adapters.mlflow.client import ABSENT, asking, connected
from ci_ml.adapters.mlflow.tracking import Tracking, pages
from ci_ml.core.bundle import Bundle, Staged
from ci_ml.core.training import redact
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError

_FOLDER = "ci-ml/models"  # among the artifacts of a run
_UPLOADED = "ci-ml.uploaded."  # and the digest's first characters: a tag of the run once every file is there
_EXISTS = "RESOURCE_ALREADY_EXISTS"
_LONGEST_TAG = 5000
_RETRY = "nothing has been registered, and no alias has moved: run the same command again, it goes on from here"


@dataclass(frozen=True, kw_only=True)
class Models:
    """The registered models of one tracking server or store; `registry` is another address for them, if any."""

    tracking: Tracking
    registry: str | None = field(default=None, repr=False)
    keeps_aliases: bool = True
    chooses: bool = True  # what number a version gets
    limits: tuple[str, ...] = ()
    _clients: list[Any] = field(default_factory=list, repr=False, compare=False)

    @property
    def address(self) -> str:
        """Where that is, without a password."""
        return redact(self.registry or self.tracking.address(), ())

    def targets(self, model: str) -> Mapping[str, str]:
        """The aliases of a model and their versions; none for a model that is not there yet."""
        with asking(_hint()) as refused:
            try:
                found = self._client().get_registered_model(model)
            except refused as error:
                if error.error_code not in ABSENT:
                    raise
                return {}
            return {str(alias): str(version) for alias, version in found.aliases.items()}

    def stage(self, bundle: Bundle, run: str | None, lock: str | None, marks: Mapping[str, str]) -> Staged:
        """Put the model's files with the run that made it, or with one of ours where none is known.

        Files are streamed. Raises DependencyError when the store does not take them all.
        """
        with asking(_RETRY, files=True):
            client = self._client()
            found = self._run(client, run, lock) or self._own(client, bundle, marks)
            run_id = str(found.info.run_id)
            name = bundle.mark.partition(":")[2].replace("/", "_").replace("+", "-")[:20]
            place = f"{_FOLDER}/{name}"
            if found.data.tags.get(f"{_UPLOADED}{name}") != bundle.mark:
                if bundle.is_folder:
                    _upload(client, run_id, bundle, place)
                else:
                    client.log_artifact(run_id, str(bundle.place), place)
                client.set_tag(run_id, f"{_UPLOADED}{name}", bundle.mark)
            inner = place if bundle.is_folder else f"{place}/{bundle.place.name}"
            return Staged(run=run_id, source=f"{str(found.info.artifact_uri).rstrip('/')}/{inner}")

    def find(self, model: str, staged: Staged, marks: Mapping[str, str]) -> str | None:
        """The version that has these marks and these files, the first where there are several."""
        with asking(_hint()):
            wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in marks.items())
            name = model.replace("'", "")
            found = list(pages(self._client().search_model_versions, filter_string=f"name = '{name}' and {wanted}"))
            ours = [int(item.version) for item in found if item.name == model and item.source == staged.source]
            return str(min(ours)) if ours else None

    def register(
        self,
        model: str,
        staged: Staged,
        marks: Mapping[str, str],
        wanted: str | None,  # noqa: ARG002  MLflow counts its versions itself
        bundle: Bundle,  # noqa: ARG002  its files are there already
    ) -> str:
        """The version with these marks, made when it is not there yet."""
        if found := self.find(model, staged, marks):
            return found
        with asking(_hint()) as refused:
            client = self._client()
            try:
                client.create_registered_model(model)
            except refused as error:
                if error.error_code != _EXISTS:
                    raise
            tags = {key: value[:_LONGEST_TAG] for key, value in marks.items()}
            made = client.create_model_version(model, staged.source, run_id=staged.run, tags=tags)
            if str(made.status) not in ("READY", "ModelVersionStatus.READY"):
                raise DependencyError(f"MLflow: version {made.version} of {model} is {made.status}", _RETRY)
            return str(made.version)

    def point(self, model: str, alias: str, version: str) -> None:
        """Let an alias be a version."""
        with asking(_hint()):
            self._client().set_registered_model_alias(model, alias, version)

    def mark(self, model: str, version: str, marks: Mapping[str, str]) -> None:
        """Put tags on a version; what is there already costs no request."""
        with asking(_hint()):
            client = self._client()
            known = client.get_model_version(model, version).tags
            for key, value in marks.items():
                if known.get(key) != value:
                    client.set_model_version_tag(model, version, key, value[:_LONGEST_TAG])

    def marks(self, model: str, version: str) -> Mapping[str, str] | Gap:
        """The tags of a version, with the run that has its files as `run`."""
        with asking(_hint()) as refused:
            try:
                found = self._client().get_model_version(model, version)
            except refused as error:
                if error.error_code not in ABSENT:
                    raise
                return Gap(reason=f"there is no version {version} of {model}", absent=True)
            return {**{str(key): str(value) for key, value in found.tags.items()}, "run": str(found.run_id or "")}

    def versions(self, model: str) -> Mapping[str, Mapping[str, str]]:
        """Every version of a model, with its tags."""
        with asking(_hint()):
            found = pages(self._client().search_model_versions, filter_string=f"name = '{model.replace(chr(39), '')}'")
            return {str(item.version): dict(item.tags) for item in found if item.name == model}

    def commit(self, model: str, version: str) -> str | Gap:
        """The commit that a version was made from: as a promotion has tagged it, else as its run has."""
        found = self.marks(model, version)
        if isinstance(found, Gap):
            return found
        if sha := found.get("ci-ml.commit"):
            return sha
        if run := found["run"]:
            with asking(_hint()):
                tags = self._client().get_run(run).data.tags
            if sha := tags.get("ci-ml.commit") or tags.get("mlflow.source.git.commit"):
                return str(sha)
        return Gap(reason=f"nothing says which commit made version {version} of {model}")

    def fetch(self, model: str, version: str, folder: Path) -> Path:
        """The files of a version, as whoever serves it gets them."""
        with asking(_hint(), files=True):
            from mlflow.artifacts import download_artifacts

            client = self._client()
            place = client.get_model_version_download_uri(model, version)
            there = download_artifacts(artifact_uri=place, dst_path=str(folder), tracking_uri=self.tracking.address())
            return Path(there)

    def _client(self) -> Any:
        if not self._clients:
            self._clients.append(connected(self.tracking.address(), self.registry))
        return self._clients[0]

    def _run(self, client: Any, run: str | None, lock: str | None) -> Any:
        """The training that made the model: the run that the report names, else the newest that made this dvc.lock."""
        from mlflow.exceptions import MlflowException

        if run is not None:
            with contextlib.suppress(MlflowException):
                found = client.get_run(run)
                if found.info.lifecycle_stage == "active":
                    return found
        return next(iter(self.tracking.trainings(client, lock)), None) if lock else None

    def _own(self, client: Any, bundle: Bundle, marks: Mapping[str, str]) -> Any:
        """A run of ours for a model whose training is not known here, found again by the model's digest."""
        experiment = self.tracking.experiment_id(client)
        wanted = f"tags.`ci-ml.promoted` = '{bundle.mark}'"
        if found := client.search_runs([experiment], wanted, max_results=1):
            return found[0]
        tags = {
            **{key: value[:_LONGEST_TAG] for key, value in marks.items()},
            "ci-ml.promoted": bundle.mark,
            "mlflow.source.type": "JOB",
            "mlflow.source.name": "ci-ml promote",
        }
        made = client.create_run(experiment, run_name=f"ci-ml promote {bundle.path}"[:250], tags=tags)
        client.set_terminated(str(made.info.run_id), "FINISHED")
        return made


def _upload(client: Any, run_id: str, bundle: Bundle, place: str) -> None:
    """The files that were hashed, and no others: what DVC ignores is no part of the model."""
    for name in bundle.files:
        inner = f"{place}/{name}".rpartition("/")[0]
        client.log_artifact(run_id, str(bundle.place / name), inner)


def _hint() -> str:
    return "run the same command again once MLflow answers: what is done already is not done twice"
