"""GitLab's model registry, which speaks a part of MLflow's API, within what it documents. Layer: adapters.

https://docs.gitlab.com/user/project/ml/experiment_tracking/mlflow_client/. It has no aliases, so the ledger alone says
which version is the champion; a version's number is semantic, chosen by who makes it, and its files come after it, into
one flat folder; versions cannot be searched, so one is found again by its number and recognised by the tags of its run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci_ml.adapters.mlflow.client import ABSENT, asking, connected
from ci_ml.adapters.mlflow.tracking import Tracking
from ci_ml.core.bundle import Bundle, Staged
from ci_ml.core.training import redact
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError, UsageError

_ADDRESS = re.compile(r"/api/v4/projects/[^/]+/ml/mlflow/?$")
_LARGEST = 5 * 10**9  # bytes of one file
_WHOLE = "ci-ml.uploaded"
_HINT = "run the same command again once GitLab answers: what is done already is not done twice"
_EXISTS = "RESOURCE_ALREADY_EXISTS"
LIMITS = (
    "GitLab's model registry has no aliases: the ledger alone says which version has which (`ci-ml history`)",
    "its versions carry the digest of the model as tags of their run, and cannot be searched by it",
)


def speaks(address: str) -> bool:
    """Whether an address is that of a GitLab project's registry."""
    return _ADDRESS.search(address.partition("?")[0]) is not None


@dataclass(frozen=True, kw_only=True)
class GitLabModels:
    """The models of one GitLab project."""

    tracking: Tracking
    keeps_aliases: bool = False
    chooses: bool = False
    limits: tuple[str, ...] = LIMITS
    _clients: list[Any] = field(default_factory=list, repr=False, compare=False)

    @property
    def address(self) -> str:
        """Where that is, without a password."""
        return redact(self.tracking.address(), ())

    def targets(self, model: str) -> Mapping[str, str]:  # noqa: ARG002  there is nothing to ask for
        """GitLab keeps no aliases."""
        return {}

    def stage(self, bundle: Bundle, run: str | None, lock: str | None, marks: Mapping[str, str]) -> Staged:  # noqa: ARG002
        """Nothing yet, for files belong to a version here; whether it can take them is said before anything is made."""
        folders = [name for name in bundle.files if "/" in name]
        if folders:
            what = f"GitLab's model registry takes no folders in a model, and {bundle.path} holds {folders[0]}"
            raise UsageError(what, "let the stage write its files into one folder, or pack them into one file")
        large = [name for name, part in bundle.files.items() if part.size > _LARGEST]
        if large:
            what = f"GitLab's model registry takes files of up to 5 GB, and {large[0]} of {bundle.path} is larger"
            raise UsageError(what, "let the stage write the model in parts")
        return Staged(source=f"gitlab:{bundle.mark}")

    def find(self, model: str, staged: Staged, marks: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """GitLab cannot be asked; `register` recognises a version by its number."""
        return None

    def register(self, model: str, staged: Staged, marks: Mapping[str, str], wanted: str | None, bundle: Bundle) -> str:
        """The version `wanted` with these marks and all files, as far as it is not there yet."""
        assert wanted is not None, staged
        with asking(_HINT, files=True) as refused:
            client = self._client()
            try:
                client.create_registered_model(model)
            except refused as error:
                if error.error_code != _EXISTS:
                    raise
            version = self._version(client, model, wanted)
            if version is None:
                made = client.create_model_version(model, "", tags={"gitlab.version": wanted})
                run = client.get_run(made.run_id)
            else:
                run = client.get_run(version.run_id)
            tags = run.data.tags
            if any(tags.get(key, value) != value for key, value in marks.items()) or (version and not tags):
                what = f"GitLab has a version {wanted} of {model} already, and it is another model"
                raise DependencyError(what, "somebody else has made it: take it away, or promote a newer commit")
            self._fill(client, str(run.info.run_id), tags, marks, bundle)
            return wanted

    def point(self, model: str, alias: str, version: str) -> None:
        """GitLab keeps no aliases: the ledger's entry is all there is."""

    def mark(self, model: str, version: str, marks: Mapping[str, str]) -> None:
        """Put tags on a version's run; one that is there is left, for GitLab does not change it."""
        with asking(_HINT):
            client = self._client()
            found = self._version(client, model, version)
            if found is None:
                raise DependencyError(f"GitLab has no version {version} of {model} any more", _HINT)
            self._tag(client, str(found.run_id), client.get_run(found.run_id).data.tags, marks)

    def marks(self, model: str, version: str) -> Mapping[str, str] | Gap:
        """The tags of a version's run, and the run."""
        with asking(_HINT):
            client = self._client()
            found = self._version(client, model, version)
            if found is None:
                return Gap(reason=f"there is no version {version} of {model}", absent=True)
            return {**client.get_run(found.run_id).data.tags, "run": str(found.run_id)}

    def versions(self, model: str) -> Mapping[str, Mapping[str, str]]:  # noqa: ARG002
        """GitLab cannot list them."""
        return {}

    def commit(self, model: str, version: str) -> str | Gap:
        """The commit that a version was made from, as its run's tags say."""
        found = self.marks(model, version)
        if isinstance(found, Gap):
            return found
        sha = found.get("ci-ml.commit")
        return sha or Gap(reason=f"nothing says which commit made version {version} of {model}")

    def fetch(self, model: str, version: str, folder: Path) -> Path:
        """The files of a version."""
        with asking(_HINT, files=True):
            client = self._client()
            found = self._version(client, model, version)
            if found is None:
                raise DependencyError(f"GitLab has no version {version} of {model} any more", _HINT)
            return Path(client.download_artifacts(found.run_id, "", str(folder)))

    def _fill(self, client: Any, run: str, tags: Mapping[str, str], marks: Mapping[str, str], bundle: Bundle) -> None:
        """The marks first, by which a version is known as ours when what follows is broken off."""
        self._tag(client, run, tags, marks)
        if tags.get(_WHOLE) == bundle.mark:
            return
        for name in bundle.files:
            client.log_artifact(run, str(bundle.place / name if bundle.is_folder else bundle.place), "")
        self._tag(client, run, tags, {_WHOLE: bundle.mark})

    def _tag(self, client: Any, run: str, known: Mapping[str, str], marks: Mapping[str, str]) -> None:
        for key, value in marks.items():
            if key not in known:
                client.set_tag(run, key, value[:5000])

    def _version(self, client: Any, model: str, version: str) -> Any | None:
        from mlflow.exceptions import MlflowException

        try:
            return client.get_model_version(model, version)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return None

    def _client(self) -> Any:
        if not self._clients:
            self._clients.append(connected(self.tracking.address()))
        return self._clients[0]
