"""What use cases need from the outside, as small Protocols. Layer: ports."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from ci_ml.core.types import Gap


class Tree(Protocol):
    """The files of a repository in one state; paths are relative to its root, with `/` between folders."""

    def files(self) -> frozenset[str]:
        """Every file that git tracks (or, in the work tree, would track)."""
        ...

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes | Gap]:
        """The content of each file, or why there is none; `Gap.absent` says that it does not exist."""
        ...


class History(Protocol):
    """Commits and branches of the repository."""

    def commit(self, revision: str) -> str | None: ...

    def branch(self) -> str | None: ...

    def parents(self, sha: str) -> tuple[str, ...]: ...

    def merge_base(self, one: str, other: str) -> str | None: ...

    def is_shallow(self) -> bool: ...

    def is_dirty(self) -> bool: ...

    def target_branch(self) -> str | None: ...

    def remote(self) -> str | None: ...

    def fetch(self, *arguments: str) -> bool: ...


class DataStore(Protocol):
    """Files that DVC keeps outside git. `sha` is a commit, or None for the work tree's dvc.lock."""

    def read(self, sha: str | None, paths: Iterable[str]) -> Mapping[str, bytes | Gap]:
        """The content of tracked files from the cache or the remote, or why there is none."""
        ...

    def find(self, sha: str | None, folder: str) -> frozenset[str]:
        """Every file inside a tracked folder; empty when its listing cannot be had."""
        ...
