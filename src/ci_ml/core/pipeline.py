"""The pipeline as dvc.yaml defines it and dvc.lock remembers it. Layer: core.

Every path here is relative to the root of the git repository, with `/` between folders.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

# The hash of DVC 2: md5 of the content, with CRLF read as LF in text files.
DVC_2 = "md5-dos2unix"
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_BLOCK = 1024 * 1024


def content_digest(stream: BinaryIO, algorithm: str) -> str:
    """The digest of a stream as DVC computes it. Raises ValueError for an algorithm that Python does not have."""
    hasher = hashlib.new("md5" if algorithm == DVC_2 else algorithm, usedforsecurity=False)
    while block := stream.read(_BLOCK):  # DVC 2 asked of each block anew whether it is text
        fold = algorithm == DVC_2 and _is_text(block[:512])
        hasher.update(block.replace(b"\r\n", b"\n") if fold else block)
    return hasher.hexdigest()


def _is_text(block: bytes) -> bool:
    """DVC's guess from a first block: no NUL byte, and at most 30 % of bytes that text does not hold."""
    if b"\0" in block:
        return False
    return not block or len(block.translate(None, _TEXT)) / len(block) <= 0.30


@dataclass(frozen=True, kw_only=True)
class Digest:
    """What DVC recorded of a file or folder: the algorithm's name (`md5`, or `md5-dos2unix` of DVC 2) and value."""

    algorithm: str
    value: str
    size: int | None = None
    files: int | None = None

    @property
    def is_folder(self) -> bool:
        """Whether this is the digest of a folder's listing."""
        return self.value.endswith(".dir")

    def matches(self, data: bytes) -> bool:
        """Whether `data` is the content of the file that was recorded, as far as this Python can tell."""
        try:
            return content_digest(io.BytesIO(data), self.algorithm) == self.value
        except ValueError:
            return True

    def __str__(self) -> str:
        return f"{self.algorithm.removesuffix('-dos2unix')}:{self.value}"


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a stage or a .dvc file produces; `recorded` is the digest in dvc.lock or the .dvc file, if any.

    What is not `pushed` never gets to a remote, however much of it is cached.
    """

    path: str
    cached: bool = True
    pushed: bool = True
    metric: bool = False
    plot: bool = False
    recorded: Digest | None = None


@dataclass(frozen=True, kw_only=True)
class ParamsFile:
    """A parameters file a stage depends on: the dotted keys, or every key when `keys` is empty."""

    path: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LockedStage:
    """A stage's entry in dvc.lock: the command, digests and parameter values of its last run."""

    command: tuple[str, ...]
    deps: Mapping[str, Digest | None] = field(default_factory=dict)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outs: Mapping[str, Digest | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage with everything resolved; `name` is its DVC address (`train`, `models/dvc.yaml:train@de`)."""

    name: str
    file: str
    command: tuple[str, ...]
    wdir: str
    deps: tuple[str, ...] = ()
    params: tuple[ParamsFile, ...] = ()
    outs: tuple[Output, ...] = ()
    frozen: bool = False
    always: bool = False
    locked: LockedStage | None = None


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A .dvc file: data that DVC tracks and no stage makes.

    `imported`: `dvc pull` gets it from where it was imported, another repository or an address, and needs no remote.
    """

    file: str
    outs: tuple[Output, ...]
    imported: bool = False


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """All stages and data of a repository at one revision, and the files it declares as metrics and parameters.

    `plots` are the dvc.yaml files that define any, at their top level or as outputs of stages.
    `unreadable` says why DVC's files could not be read; then everything else is empty.
    """

    stages: tuple[Stage, ...] = ()
    sources: tuple[DataSource, ...] = ()
    metrics: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    unreadable: str | None = None

    def outputs(self) -> dict[str, tuple[Output, Stage | DataSource]]:
        """Every output by path, with what makes it."""
        made: dict[str, tuple[Output, Stage | DataSource]] = {}
        makers: list[Stage | DataSource] = [*self.sources, *self.stages]
        for maker in makers:
            for out in maker.outs:
                made[out.path] = (out, maker)
        return made


def part(pipeline: Pipeline, folder: str) -> Pipeline:
    """What belongs to the project in `folder`: its stages, all they depend on, and the data of either.

    In a repository of several projects none is judged by what another does. The whole pipeline for the root.
    """
    if not folder:
        return pipeline
    _, upstream = in_order(pipeline.stages)
    names = {stage.name for stage in pipeline.stages if _within(stage.file, folder)}
    waiting = list(names)
    while waiting:
        more = upstream[waiting.pop()] - names
        names |= more
        waiting.extend(more)
    stages = tuple(stage for stage in pipeline.stages if stage.name in names)
    needed = {dep for stage in stages for dep in stage.deps}
    return Pipeline(
        stages=stages,
        sources=tuple(
            source
            for source in pipeline.sources
            if _within(source.file, folder) or any(_touches(out.path, needed) for out in source.outs)
        ),
        metrics=tuple(path for path in pipeline.metrics if _within(path, folder)),
        params=tuple(path for path in pipeline.params if _within(path, folder)),
        plots=tuple(path for path in pipeline.plots if _within(path, folder)),
        unreadable=pipeline.unreadable,
    )


def _within(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _touches(path: str, needed: set[str]) -> bool:
    return any(path == dep or _within(path, dep) or _within(dep, path) for dep in needed)


def conflicts(pipeline: Pipeline) -> str | None:
    """Why DVC would refuse this pipeline: two owners of one output, an output inside another, or a cycle.

    A frozen stage depends on nothing when stages run, but DVC wants a graph without cycles all the same.
    """
    owners: dict[str, str] = {}
    makers: list[Stage | DataSource] = [*pipeline.sources, *pipeline.stages]
    for maker in makers:
        name = maker.file if isinstance(maker, DataSource) else f"stage {maker.name}"
        for out in maker.outs:
            if out.path in owners:
                return f"{out.path} is an output of both {owners[out.path]} and {name}"
            owners[out.path] = name
    for path, name in owners.items():
        around = covering(path.rpartition("/")[0], owners) if "/" in path else None
        if around:
            return f"{path}, an output of {name}, is inside {around}, an output of {owners[around]}"
    upstream = _upstream(pipeline.stages)
    ordered = _topological(pipeline.stages, upstream)
    place = {stage.name: index for index, stage in enumerate(ordered)}
    for stage in ordered:
        if stage.name in upstream[stage.name]:
            return f"stage {stage.name} depends on what it makes itself"
        late = sorted(name for name in upstream[stage.name] if place[name] > place[stage.name])
        if late:
            return f"stages {stage.name} and {late[0]} depend on each other"
    return None


def covering(path: str, made: Mapping[str, Any]) -> str | None:
    """The output that is `path` or a folder around it, or None."""
    parts = path.split("/")
    for end in range(len(parts), 0, -1):
        candidate = "/".join(parts[:end])
        if candidate in made:
            return candidate
    return None


def in_order(stages: tuple[Stage, ...]) -> tuple[tuple[Stage, ...], dict[str, set[str]]]:
    """Stages so that each comes after those it depends on, and for each name the names directly upstream of it.

    An output that is a folder is upstream of everything inside it, and a dependency on a folder is downstream of every
    output inside it, as in DVC. Frozen stages have no upstream. Where stages depend on each other, some come too early.
    """
    frozen = {stage.name for stage in stages if stage.frozen}
    upstream = {name: set() if name in frozen else names - {name} for name, names in _upstream(stages).items()}
    return _topological(stages, upstream), upstream


def _upstream(stages: tuple[Stage, ...]) -> dict[str, set[str]]:
    """For each name the names of the stages that make what it depends on, frozen or not; its own if it does."""
    made = {out.path: stage.name for stage in stages for out in stage.outs}
    parents: dict[str, list[str]] = {}
    for path in made:
        parts = path.split("/")
        for end in range(1, len(parts)):
            parents.setdefault("/".join(parts[:end]), []).append(path)
    upstream: dict[str, set[str]] = {}
    for stage in stages:
        names: set[str] = set()
        for dep in (*stage.deps, *(params.path for params in stage.params)):
            owner = covering(dep, made)
            names.update([made[owner]] if owner else [])
            names.update(made[path] for path in parents.get(dep, ()))
        upstream[stage.name] = names
    return upstream


def _topological(stages: tuple[Stage, ...], upstream: Mapping[str, set[str]]) -> tuple[Stage, ...]:
    by_name = {stage.name: stage for stage in stages}
    done: dict[str, Stage] = {}
    for stage in stages:
        pending = [stage.name]
        visiting: set[str] = set()
        while pending:
            name = pending[-1]
            waiting = [up for up in sorted(upstream[name]) if up not in done and up not in visiting]
            if name in done or not waiting:
                done.setdefault(name, by_name[name])
                pending.pop()
            else:
                visiting.add(name)
                pending.extend(waiting)
    return tuple(done.values())
