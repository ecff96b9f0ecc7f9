"""The digest of a file or folder as DVC computes it, without DVC. Layer: adapters.

A file is the md5 of its bytes; DVC 2 folded CRLF in text files first. A folder is the md5 of a JSON list of its files
(dvc_data/hashfile/tree.py, `Tree.as_bytes`). Data that DVC tracks is opened only when its size or its time of change
says that it may differ, for the question is about what was committed, and data can be large.
"""

import hashlib
import json
import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci_ml.core.pipeline import DVC_2, Digest, Output, content_digest
from ci_ml.errors import DependencyError
from ci_ml.ports import Tree

# Tracked data up to this size is always hashed: a git switch touches dvc.lock, and small files often keep their size.
_HASHED = 8 * 1024 * 1024
_ALWAYS_IGNORED = frozenset({".git", ".hg", ".dvc"})


@dataclass(frozen=True, kw_only=True)
class Digests:
    """Digests of the files on disk below `root`; calling it answers `core.staleness.Digests`.

    `stamp` is when dvc.lock and the .dvc files were last written, in seconds since 1970: data older than that, and of
    the recorded size, is taken to be what they say.
    """

    root: Path
    outputs: Mapping[str, Output]
    stamp: float
    ignore: Callable[[str], bool]
    _known: dict[tuple[str, str], Digest | None] = field(default_factory=dict, repr=False)

    def __call__(self, path: str, like: Digest) -> Digest | None:
        """The digest of `path` now, by the algorithm of `like`; None when it, or a part of it, is not here."""
        key = (path, like.algorithm)
        if key not in self._known:
            try:
                self._known[key] = self._compute(path, like)
            except FileNotFoundError:  # a link in a folder that leads nowhere
                self._known[key] = None
            except PermissionError as error:
                raise DependencyError(f"{path} cannot be read: {error.strerror}") from None
        return self._known[key]

    def _compute(self, path: str, like: Digest) -> Digest | None:
        place = self.root / path
        try:
            status = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        tracked = path in self.outputs and self.outputs[path].cached
        if stat.S_ISDIR(status.st_mode):
            return self._folder(path, like, tracked=tracked)
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait for a writer for ever
            return Digest(algorithm=like.algorithm, value="not a regular file")
        untouched = tracked and status.st_mtime <= self.stamp and status.st_size > _HASHED
        if untouched and like.size == status.st_size:
            return like
        return Digest(algorithm=like.algorithm, value=file_digest(place, like.algorithm), size=status.st_size)

    def _folder(self, path: str, like: Digest, *, tracked: bool) -> Digest | None:
        stats = {name: (self.root / path / name).stat() for name in self._walk(path)}
        entries = {name: entry for name, entry in stats.items() if stat.S_ISREG(entry.st_mode)}
        total = sum(entry.st_size for entry in entries.values())
        untouched = tracked and total > _HASHED and all(entry.st_mtime <= self.stamp for entry in entries.values())
        if untouched and (like.files, like.size) == (len(entries), total):
            return like
        listing = {name: file_digest(self.root / path / name, like.algorithm) for name in entries}
        for name, recorded in self._absent(path, entries).items():
            # The listing of a folder that is not here is unknown, and so is a file hashed in another way.
            if recorded is None or recorded.is_folder or recorded.algorithm != like.algorithm:
                return None
            listing[name] = recorded.value
        return Digest(algorithm=like.algorithm, value=f"{listing_digest(listing, like.algorithm)}.dir")

    def _absent(self, folder: str, entries: Mapping[str, object]) -> dict[str, Digest | None]:
        """Outputs inside a folder that are not on disk, by their path in it."""
        inside = {path[len(folder) + 1 :]: out for path, out in self.outputs.items() if path.startswith(f"{folder}/")}
        return {
            name: out.recorded
            for name, out in inside.items()
            if out.cached and name not in entries and not any(entry.startswith(f"{name}/") for entry in entries)
        }

    def _walk(self, folder: str) -> Iterator[str]:
        """The files of a folder by their path in it, without what .dvcignore leaves out."""
        top = self.root / folder
        for place, folders, files in os.walk(top):
            inner = posixpath.normpath(Path(place).relative_to(top).as_posix())
            inner = "" if inner == "." else f"{inner}/"
            folders[:] = [name for name in folders if not self.ignore(f"{folder}/{inner}{name}/")]
            yield from (f"{inner}{name}" for name in files if not self.ignore(f"{folder}/{inner}{name}"))


def file_digest(place: Path, algorithm: str) -> str:
    """The digest of a file's bytes; `md5-dos2unix` reads CRLF as LF in text files.

    Raises DependencyError for an algorithm that is not known here.
    """
    with place.open("rb") as stream:
        try:
            return content_digest(stream, algorithm)
        except ValueError:
            raise DependencyError(f"dvc.lock uses the hash {algorithm}, which this Python does not have") from None


def listing_digest(listing: Mapping[str, str], algorithm: str) -> str:
    """The digest of a folder's listing: relative path to digest."""
    key = "md5" if algorithm == DVC_2 else algorithm
    entries = [{key: listing[path], "relpath": path} for path in sorted(listing)]
    name = "md5" if algorithm == DVC_2 else algorithm
    return hashlib.new(name, json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def ignore_rules(tree: Tree, dvc_root: str) -> Callable[[str], bool]:
    """What DVC does not see: its own and git's folders, and what the .dvcignore files say.

    The returned function takes a path relative to the repository, with a `/` at the end of a folder.
    """
    rules: list[tuple[str, Any]] = []
    ours = [name for name in tree.files() if posixpath.basename(name) == ".dvcignore" and _inside(name, dvc_root)]
    contents = tree.read(ours)
    for path in sorted(ours, key=lambda name: -name.count("/")):  # the innermost has the last word
        data = contents[path]
        lines = data.decode("utf-8", "replace").splitlines() if isinstance(data, bytes) else []
        if any(line.strip() and not line.lstrip().startswith("#") for line in lines):
            import pathspec

            rules.append((path.removesuffix(".dvcignore"), pathspec.GitIgnoreSpec.from_lines(lines)))

    def ignored(path: str) -> bool:
        name = posixpath.basename(path.rstrip("/"))
        if name == ".git" or (name in _ALWAYS_IGNORED and path.endswith("/")):
            return True
        said = (spec.check_file(path[len(folder) :]).include for folder, spec in rules if path.startswith(folder))
        return next((answer for answer in said if answer is not None), False)

    return ignored


def _inside(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")
