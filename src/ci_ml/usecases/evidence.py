"""Reading numbers out of files at one revision. Layer: usecases.

A file that git tracks comes out of git (or the disk) in one batch; only a file that DVC keeps in its cache goes
through DVC.
"""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ci_ml.core import documents
from ci_ml.core.config import GateConfig
from ci_ml.core.gates import is_glob, match_path, matches
from ci_ml.core.pipeline import DataSource, Digest, Output, Pipeline, Stage, content_digest, covering
from ci_ml.core.types import Evidence, Gap, MetricKey, Reading, Revision
from ci_ml.errors import UsageError
from ci_ml.ports import DataStore, Tree
from ci_ml.usecases.project import Project


@dataclass(frozen=True, kw_only=True)
class Side:
    """One state of the repository, and what it takes to read files of it."""

    project: Project
    revision: Revision
    tree: Tree
    pipeline: Pipeline
    data: DataStore | None
    commit: str | None = field(default=None)
    called: str | None = field(default=None)

    @property
    def name(self) -> str:
        """What sentences call this side."""
        return self.called or ("the work tree" if self.commit is None else self.revision.short)

    @cached_property
    def _made(self) -> dict[str, tuple[Output, Stage | DataSource]]:
        return self.pipeline.outputs()

    def paths(self, pattern: str) -> list[str]:
        """The files that a path pattern of ci-ml.yaml covers here, relative to the project."""
        if not is_glob(pattern):
            return [pattern]
        known = {*self.tree.files(), *(path for path, (out, _) in self._made.items() if not _is_folder(out))}
        fixed = self.project.inside(posixpath.dirname(pattern.partition("*")[0].partition("?")[0]))
        for path, (out, _) in self._made.items():
            if _is_folder(out) and out.cached and self.data and (_overlap(path, fixed)):
                known |= self.data.find(self.commit, path)
        relative = (self.project.outside(path) for path in known)
        inside = (path for path in relative if not path.startswith("../") or pattern.startswith("../"))
        return sorted(path for path in inside if match_path(pattern, path))

    def within(self, path: str) -> list[str]:
        """The files that an output or a file of git is made of; all paths are relative to the repository."""
        if (out := self._made.get(path)) and _is_folder(out[0]) and out[0].cached and self.data:
            return sorted(self.data.find(self.commit, path)) or [path]
        return sorted(name for name in self.tree.files() if name.startswith(f"{path}/")) or [path]

    def read(self, paths: Iterable[str]) -> dict[str, bytes | Gap]:
        """The content of files (relative to the project), from git, the disk or DVC, or why there is none."""
        names = {_printable(path): self.project.inside(path) for path in paths}
        contents = dict(self.tree.read(names.values()))
        cached = [
            path
            for path, found in contents.items()
            if isinstance(found, Gap) and found.absent and self._is_tracked(path)
        ]
        if cached and self.data:
            contents.update(self.data.read(self.commit, cached))
        contents.update({path: gap for path, found in contents.items() if (gap := self._foreign(path, found))})
        if why := self.pipeline.unreadable:  # what git does not have may be among DVC's: that is not the same as absent
            unknown = {path: found for path, found in contents.items() if isinstance(found, Gap) and found.absent}
            contents.update({path: Gap(reason=f"{found.reason} in git, and {why}") for path, found in unknown.items()})
        return {path: contents[name] for path, name in names.items()}

    def place(self, path: str, folder: Path) -> Path | Gap:
        """A file on disk with the content of `path` (relative to the project), or why there is none.

        Large files stay where they are: in the work tree or in DVC's cache. What is nowhere is fetched into `folder`.
        """
        name = self.project.inside(_printable(path))
        found = self.tree.place(name, folder)
        if isinstance(found, Gap) and found.absent and self._is_tracked(name) and self.data:
            found = self.data.place(self.commit, name, folder)
        if isinstance(found, Gap):
            if found.absent and (why := self.pipeline.unreadable):
                return Gap(reason=f"{found.reason} in git, and {why}")
            return found
        recorded = self._recorded(name)
        if recorded is not None and not _is(found, recorded):
            return _not_recorded(name)
        with found.open("rb") as stream:
            if stream.read(len(_LFS)) == _LFS:
                return Gap(reason=f"{path} is a pointer of Git LFS, not the file (`git lfs pull` fetches it)")
        return found

    def _recorded(self, path: str) -> Digest | None:
        out = self._made[path][0] if path in self._made else None
        return out.recorded if out and out.cached else None

    def _foreign(self, path: str, found: bytes | Gap) -> Gap | None:
        """Why a cached output on disk cannot be used: after `git switch` it may still be another revision's."""
        recorded = self._recorded(path)
        if isinstance(found, Gap) or recorded is None or recorded.matches(found):
            return None
        return _not_recorded(path)

    def _is_tracked(self, path: str) -> bool:
        owner = covering(path, self._made)
        return owner is not None and self._made[owner][0].cached and self._made[owner][0].recorded is not None


_LFS = b"version https://git-lfs.github.com/spec/"


def _is(place: Path, recorded: Digest) -> bool:
    """Whether a file has the content that was recorded, as far as this Python can tell."""
    try:
        with place.open("rb") as stream:
            return content_digest(stream, recorded.algorithm) == recorded.value
    except ValueError:
        return True


def _not_recorded(path: str) -> Gap:
    return Gap(reason=f"{path} is not the version that dvc.lock records (`dvc checkout` restores it)")


def _printable(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        name = ascii(path.encode("utf-8", "surrogateescape"))
        raise UsageError(f"the name {name} is not UTF-8: no report can hold it", "rename the file") from None
    return path


def _is_folder(out: Output) -> bool:
    return out.recorded is not None and out.recorded.is_folder


def _overlap(folder: str, fixed: str) -> bool:
    return not fixed or folder == fixed or folder.startswith(f"{fixed}/") or fixed.startswith(f"{folder}/")


def gather(side: Side, gates: Iterable[GateConfig]) -> Evidence:
    """Every reading of a file that the gates ask for or that their globs find."""
    asked = [gate for gate in gates if not gate.asked]
    files = {gate.pattern.path: side.paths(gate.pattern.path) for gate in asked}
    parsed = parse_all(side.read(dict.fromkeys(path for paths in files.values() for path in paths)))
    readings: dict[MetricKey, Reading] = {}
    others: dict[MetricKey, Reading] = {}
    for gate in asked:
        for path in files[gate.pattern.path]:
            values = parsed[path]
            if not isinstance(values, Gap):
                found = _readings(gate.pattern, path, values)
                readings.update(found)
                others.update(_others(gate.pattern, path, values))
                if gate.repeats and not found:  # a seed without its number is not left out
                    key = MetricKey(path=path, key=gate.pattern.key)
                    others[key] = _no_key(key, values)
    unreadable = {path: found for path, found in parsed.items() if isinstance(found, Gap)}
    return Evidence(revision=side.revision, readings=readings, unreadable=unreadable, others=others)


def parse_all(contents: Mapping[str, bytes | Gap]) -> dict[str, dict[str, Any] | Gap]:
    """The scalars of every file by dotted key, or why a file has none."""
    return {path: found if isinstance(found, Gap) else leaves(found, path) for path, found in contents.items()}


def leaves(data: bytes, path: str) -> dict[str, Any] | Gap:
    """The scalars of one file by dotted key, or why they cannot be had."""
    if not data.strip():
        return Gap(reason=f"{path} is empty")
    try:
        return dict(documents.scalars(documents.parse(data, path).value))
    except documents.DocumentError as error:
        return Gap(reason=f"{path}{f', line {error.line}' if error.line else ''}: {error.reason}")


def _readings(pattern: MetricKey, path: str, values: Mapping[str, Any]) -> dict[MetricKey, Reading]:
    if not is_glob(pattern.key):
        key = MetricKey(path=path, key=pattern.key)
        if pattern.key in values:
            return {key: documents.reading(values[pattern.key], str(key))}
        if is_glob(pattern.path):
            return {}
        return {key: _no_key(key, values)}
    return _matching(pattern, path, {name: value for name, value in values.items() if documents.is_numeric(value)})


def _others(pattern: MetricKey, path: str, values: Mapping[str, Any]) -> dict[MetricKey, Reading]:
    """What a glob of keys matches and is no number."""
    if not is_glob(pattern.key):
        return {}
    return _matching(pattern, path, {name: value for name, value in values.items() if not documents.is_numeric(value)})


def _matching(pattern: MetricKey, path: str, values: Mapping[str, Any]) -> dict[MetricKey, Reading]:
    keys = (MetricKey(path=path, key=name) for name in values)
    return {key: documents.reading(values[key.key], str(key)) for key in keys if matches(pattern, key)}


def _no_key(metric: MetricKey, values: Mapping[str, Any]) -> Gap:
    if any(name.startswith(f"{metric.key}.") for name in values):
        return Gap(reason=f"{metric.key} in {metric.path} is a mapping of further keys, not a number")
    return Gap(reason=f"{metric.path} has no key {metric.key}", absent=True)
