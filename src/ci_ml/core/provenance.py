"""A training as a record: SLSA's provenance, from the record of the training and what dvc.lock says. Layer: core. Pure.

https://slsa.dev/spec/v1.1/provenance
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ci_ml import __version__
from ci_ml.core import changes
from ci_ml.core.judgements import parts
from ci_ml.core.pipeline import Digest, Output, Pipeline, Stage
from ci_ml.core.statements import Kind, Statement, Subject, statement
from ci_ml.core.training import Training

BUILD = "urn:ci-ml:train:v1"
_LOCKS = re.compile(
    r"(^|/)(requirements[^/]*\.(txt|lock)|requirements/[^/]+\.(txt|lock)|uv\.lock|poetry\.lock|pdm\.lock|pixi\.lock|pylock(\.[^/]+)?\.toml|"
    r"Pipfile\.lock|conda[^/]*\.(ya?ml|lock)|environment[^/]*\.ya?ml|renv\.lock|Dockerfile[^/]*)$"
)
_SEED = re.compile(r"(^|[._/:\-])(seed|random_state|random_seed)s?$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Around:
    """What a record of a training holds that training.json does not.

    `files` are the SHA-256 of files at hand, by path: lock files of packages, dvc.lock, outputs. `repository` is where
    the commit can be had, `container` the digest or reference of the image, `builder` who ran it.
    """

    pipeline: Pipeline
    files: Mapping[str, str] = field(default_factory=dict)
    repository: str | None = None
    container: str | None = None
    builder: str = "urn:ci-ml:builder:local"
    invocation: str | None = None
    targets: tuple[str, ...] = ()


def training(record: Training, around: Around) -> Statement | None:
    """The record of a training that succeeded; None when nothing came out of it that has a digest."""
    stages = around.pipeline.stages
    made = [_made(out, around.files) for stage in stages for out in stage.outs if out.recorded]
    if not made:
        return None
    predicate = {
        "buildDefinition": {
            "buildType": BUILD,
            "externalParameters": {
                "commit": record.commit,
                "params": dict(_params(stages)),
                "targets": list(around.targets),
                "stages": {stage.name: _stage(stage) for stage in stages},
            },
            "internalParameters": {
                "dirty": record.dirty,
                "environment": _environment(record),
                "container": around.container,
                "seeds": {key: value for key, value in _params(stages) if _SEED.search(key)},
            },
            "resolvedDependencies": list(_dependencies(record, around)),
        },
        "runDetails": {
            "builder": {"id": around.builder, "version": {"ci-ml": __version__}},
            "metadata": {
                "invocationId": around.invocation or record.run_url,
                "startedOn": record.started,
                "finishedOn": _finished(record),
            },
            "byproducts": [
                {"name": "stages", "annotations": {"stages": [asdict(stage) for stage in record.stages]}},
                {"name": "mlflow", "annotations": {"run": record.mlflow_run, "uri": record.mlflow_uri}},
            ],
        },
    }
    commit = [Subject(name="commit", digest={"gitCommit": record.commit})] if record.commit else []
    return statement(Kind.TRAINING, [*made, *commit], predicate)


def locks(files: Iterable[str]) -> list[str]:
    """Of files those that say which packages there are, and every dvc.lock."""
    return sorted(path for path in files if _LOCKS.search(path) or path.rpartition("/")[2] == "dvc.lock")


def _made(out: Output, files: Mapping[str, str]) -> Subject:
    assert out.recorded is not None
    own = {"sha256": files[out.path]} if out.path in files else {}
    return Subject(name=out.path, digest={**_digest(out.recorded), **own})


def _digest(recorded: Digest) -> dict[str, str]:
    return parts(str(recorded)) or {recorded.algorithm: recorded.value}


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "command": list(stage.locked.command if stage.locked else stage.command),
        "folder": stage.wdir,
        "deps": list(stage.deps),
        "outs": [out.path for out in stage.outs],
        "frozen": stage.frozen,
    }


def _params(stages: Iterable[Stage]) -> Iterable[tuple[str, Any]]:
    """Every parameter that a stage was run with: the key alone in params.yaml of the root, else after its file."""
    for stage in stages:
        for path, values in (stage.locked.params if stage.locked else {}).items():
            prefix = "" if path == "params.yaml" else f"{path}:"
            for key, value in values.items():
                yield f"{prefix}{key}", changes.jsonable(value)


def _dependencies(record: Training, around: Around) -> Iterable[dict[str, Any]]:
    """The commit, what stages read and no stage makes, and lock files."""
    if record.commit:
        uri = {"uri": f"git+{around.repository}@{record.commit}"} if around.repository else {}
        yield {"name": "commit", **uri, "digest": {"gitCommit": record.commit}}
    stages = around.pipeline.stages
    made = {out.path for stage in stages for out in stage.outs}
    read: dict[str, Digest | None] = {}
    for stage in stages:
        read.update((path, found) for path, found in _read(stage) if path not in made)
    for path, found in sorted(read.items()):
        kind = "code" if changes.is_code(path) else "data"
        known = {"digest": _digest(found)} if found else {}
        yield {"name": path, **known, "annotations": {"kind": kind}}
    for path in locks(around.files):
        if path not in read and path not in made:
            yield {"name": path, "digest": {"sha256": around.files[path]}, "annotations": {"kind": "lock"}}


def _read(stage: Stage) -> Iterable[tuple[str, Digest | None]]:
    known = stage.locked.deps if stage.locked else {}
    return ((path, known.get(path)) for path in dict.fromkeys([*stage.deps, *known]))


def _environment(record: Training) -> dict[str, Any] | None:
    """What the stages ran in; a training in which none ran says nothing about that."""
    return asdict(record.environment) if record.environment and record.trained else None


def _finished(record: Training) -> str | None:
    try:
        ended = dt.datetime.fromisoformat(record.started) + dt.timedelta(seconds=record.seconds)
    except ValueError:
        return None
    return ended.isoformat(timespec="seconds")
