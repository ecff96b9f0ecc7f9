"""What a job that ran stages hands on to those after it: handover.json, version 1. Layer: core.

It is made and read by jobs of one run, but what is in it was made by the change's own code: everything is checked.
"""

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ci_ml.core import documents
from ci_ml.core.pipeline import Pipeline, Stage
from ci_ml.core.training import StageRun, StageState
from ci_ml.errors import UsageError

SCHEMA: Literal["ci-ml/handover/v1"] = "ci-ml/handover/v1"
FILE = "handover.json"
FOLDER = "handover"
MOST_BYTES = documents.MAX_BYTES

_OBJECT = re.compile(r"(?:md5|md5-dos2unix)/[0-9a-f]{2}/[0-9a-f]{30}(?:\.dir)?")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Handed(_Model):
    """A stage that ran: its entry in dvc.lock, and how it went."""

    stage: str = Field(min_length=1, max_length=4096)
    entry: dict[str, Any]
    state: StageState
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Handover(_Model):
    """The stages of one job. `files` are outputs that DVC does not cache, `objects` what it caches, by place.

    Of the files some may be `executable`; `folders` are those of the outputs that hold nothing. `transfer` says whether
    all objects come along, or those that DVC pushes are on the remote.
    """

    schema_: Literal["ci-ml/handover/v1"] = Field(alias="schema")
    commit: str = Field(pattern=r"^[0-9a-f]{40,64}$")
    transfer: Literal["remote", "artifacts"]
    stages: tuple[Handed, ...]
    files: tuple[str, ...] = ()
    executable: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()

    def runs(self) -> tuple[StageRun, ...]:
        """How long each stage took."""
        return tuple(StageRun(name=one.stage, state=one.state, seconds=one.seconds) for one in self.stages)

    def to_json(self) -> str:
        """Strict JSON, ending in a line break."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), ensure_ascii=False, allow_nan=False) + "\n"


def read(data: bytes, place: str) -> Handover:
    """Raises UsageError for what is no handover."""
    try:
        return Handover.model_validate(documents.parse(data, FILE).value)
    except documents.DocumentError as error:
        raise UsageError(f"{place}: {error}", "run the job again that wrote it") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{place}: {where}: {first['msg']}", "run the job again that wrote it") from None


def refuse(found: Handover, place: str, pipeline: Pipeline, commit: str) -> None:
    """Raises UsageError for a handover of another commit, and for a stage, file or object that is out of place."""
    if found.commit != commit:
        raise UsageError(
            f"{place} is of the commit {found.commit[:7]}, and this is {commit[:7]}",
            "a job of another run wrote it: run the whole pipeline again",
        )
    stages = {stage.name: stage for stage in pipeline.stages}
    if strange := next((one.stage for one in found.stages if one.stage not in stages), None):
        raise UsageError(f"{place}: there is no stage {strange!r} here", "run the whole pipeline again")
    declared = _uncached(stages[one.stage] for one in found.stages)
    listed = (*found.files, *found.executable, *found.folders)
    if (bad := next((path for path in listed if not _within(path, declared)), None)) is not None:
        raise UsageError(f"{place}: {bad!r} is no output of its stages that git would track", "run the job again")
    if (bad := next((name for name in found.objects if not _OBJECT.fullmatch(name)), None)) is not None:
        raise UsageError(f"{place}: {bad!r} is no object of DVC's cache", "run the job again")


def _uncached(stages: Iterable[Stage]) -> frozenset[str]:
    return frozenset(out.path for stage in stages for out in stage.outs if not out.cached)


# What git, DVC, ci-ml and the CI systems obey: no training makes it, whatever dvc.yaml declares.
_OBEYED = frozenset({".git", ".dvc", ".ci-ml", ".github", ".gitlab", ".gitlab-ci.yml", ".gitattributes", ".gitmodules"})
_POLICY = frozenset({"ci-ml.yaml", "dvc.yaml", "dvc.lock", ".gitignore", ".dvcignore"})


def harmless(path: str) -> bool:
    """Whether a path stays where it is put, and is nothing that git, DVC or a CI system would obey."""
    if posixpath.normpath(path) != path or path.startswith("/") or "\\" in path or "\0" in path:
        return False
    return not any(part == ".." or part.lower() in _OBEYED for part in path.split("/"))


def _within(path: str, declared: frozenset[str]) -> bool:
    """Whether a path is one of the outputs, or a file in one that is a folder."""
    parts = path.split("/")
    if not harmless(path) or parts[-1].lower() in _POLICY:
        return False
    return any("/".join(parts[:end]) in declared for end in range(1, len(parts) + 1))


def missing(planned: Iterable[str], found: Iterable[Handover]) -> tuple[str, ...]:
    """The stages that had to run, and that no job has handed on."""
    there = {one.stage for handover in found for one in handover.stages}
    return tuple(name for name in planned if name not in there)


def failed(needs: str) -> Mapping[str, str]:
    """The jobs that a gate needs and that did not succeed, with their result, from GitHub's `toJSON(needs)`.

    A job that was skipped is no failure by itself: `missing` knows whether it had to run. Raises UsageError for
    anything else than that JSON.
    """
    try:
        listed = json.loads(needs)
        results = {str(job): str(about["result"]) for job, about in listed.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UsageError(
            "CI_ML_NEEDS is not what GitHub's toJSON(needs) gives", "pass `needs: ${{ toJSON(needs) }}`"
        ) from None
    return {job: result for job, result in results.items() if result not in ("success", "skipped")}
