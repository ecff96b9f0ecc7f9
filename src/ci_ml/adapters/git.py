"""git, through its command line: revisions, ancestry, and files of a commit or the work tree. Layer: adapters."""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ci_ml.adapters import proc
from ci_ml.core.documents import MAX_BYTES, too_large
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError, UsageError

_TIMEOUT = 600.0


@dataclass(frozen=True, kw_only=True)
class Git:
    """One repository; `root` is the top of its work tree, `env` the environment its commands get."""

    root: Path
    env: Mapping[str, str] = field(repr=False)

    def ask(self, *arguments: str, stdin: bytes | None = None) -> proc.Completed:
        """Run a git command here and hand back how it ended, whatever that was."""
        return proc.run(["git", *arguments], cwd=self.root, env=self.env, stdin=stdin, timeout=_TIMEOUT)

    def tell(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Run a git command that must succeed. Raises DependencyError with git's own words."""
        done = self.ask(*arguments, stdin=stdin)
        if done.code != 0:
            words = " ".join(done.err.splitlines()[-3:]) or f"exit code {done.code}"
            raise DependencyError(f"git {arguments[0]} failed: {words}")
        return done.out

    def line(self, *arguments: str) -> str | None:
        """The first line a command prints, or None when it fails."""
        done = self.ask(*arguments)
        return done.out.decode("utf-8", "replace").strip() if done.code == 0 else None

    def commit(self, revision: str) -> str | None:
        """The full sha of a revision, or None when this clone does not have it."""
        if revision.startswith("-"):
            return None
        return self.line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")

    def branch(self) -> str | None:
        """The branch that is checked out; None with a detached HEAD."""
        return self.line("symbolic-ref", "--quiet", "--short", "HEAD")

    def parents(self, sha: str) -> tuple[str, ...]:
        """The parents a commit names, in order, whether or not this clone has them."""
        header = self.tell("cat-file", "commit", sha).partition(b"\n\n")[0]
        return tuple(line[7:].decode() for line in header.splitlines() if line.startswith(b"parent "))

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor that this clone knows, or None."""
        return self.line("merge-base", one, other)

    def is_shallow(self) -> bool:
        """Whether this clone lacks older commits."""
        return self.line("rev-parse", "--is-shallow-repository") == "true"

    def is_dirty(self) -> bool:
        """Whether a tracked file differs from HEAD, or an untracked one is there that git does not ignore."""
        return bool(self.tell("status", "--porcelain", "--no-renames", "-z"))

    def target_branch(self) -> str | None:
        """The branch changes are merged into, as this clone knows it: origin's default, else main or master."""
        default = self.line("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        candidates = [*([default] if default else []), "origin/main", "origin/master", "main", "master"]
        return next((name for name in candidates if self.commit(name)), None)

    def remote(self) -> str | None:
        """The remote to fetch from, or None when there is none."""
        names = (self.line("remote") or "").split()
        return "origin" if "origin" in names else names[0] if names else None

    def fetch(self, *arguments: str) -> bool:
        """Fetch without tags or submodules; whether it worked. The caller explains when it did not."""
        done = self.ask(
            "-c", "credential.interactive=never", "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *arguments
        )
        return done.code == 0

    def tree(self, sha: str) -> "CommitTree":
        """The files of a commit."""
        return CommitTree(git=self, sha=sha)

    def work_tree(self) -> "WorkTree":
        """The files on disk."""
        return WorkTree(git=self)


def find(directory: Path, env: Mapping[str, str]) -> Git:
    """The repository around a folder.

    Raises UsageError when there is none, or when git does not trust its owner.
    """
    quiet = proc.environment(env, LC_ALL="C", GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0")
    done = proc.run(["git", "rev-parse", "--show-toplevel"], cwd=directory, env=quiet, timeout=_TIMEOUT)
    if done.code == 0:
        return Git(root=Path(os.fsdecode(done.out.rstrip(b"\n"))), env=quiet)
    if "dubious ownership" in done.err:
        raise UsageError(
            f"git does not trust {directory}: it belongs to another user",
            f"git config --global --add safe.directory {directory}",
        )
    raise UsageError(f"{directory} is not in a git repository", "run this inside a clone, or start one with `git init`")


@dataclass(frozen=True, kw_only=True)
class CommitTree:
    """The files of one commit, read in batches from git's object store."""

    git: Git
    sha: str

    @cached_property
    def _files(self) -> frozenset[str]:
        listing = self.git.tell("ls-tree", "-r", "-z", "--name-only", "--full-tree", self.sha)
        return frozenset(name.decode("utf-8", "surrogateescape") for name in listing.split(b"\0") if name)

    def files(self) -> frozenset[str]:
        """Every file, relative to the root of the repository."""
        return self._files

    def read(self, paths: Iterable[str]) -> dict[str, bytes | Gap]:
        """The content of files, or why there is none; files that are too large are not loaded."""
        wanted = list(dict.fromkeys(paths))
        found: dict[str, bytes | Gap] = {path: Gap(reason=f"no file {path}", absent=True) for path in wanted}
        # A line break in a name would end the request early: such names cannot be asked for in a batch.
        askable = [path for path in wanted if "\n" not in path and path]
        sizes = self._headers(askable)
        small = []
        for path, (kind, size) in sizes.items():
            if kind == "blob" and size <= MAX_BYTES:
                small.append(path)
            elif kind == "blob":
                found[path] = Gap(reason=too_large(path, size))
            elif kind == "tree":
                found[path] = Gap(reason=f"{path} is a folder")
        found.update(self._contents(small))
        return found

    def _request(self, paths: Iterable[str]) -> bytes:
        return b"".join(f"{self.sha}:{path}\n".encode("utf-8", "surrogateescape") for path in paths)

    def _headers(self, paths: list[str]) -> dict[str, tuple[str, int]]:
        if not paths:
            return {}
        answer = self.git.tell("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=self._request(paths))
        headers = {}
        for path, line in zip(paths, answer.split(b"\n"), strict=False):
            kind, _, size = line.rpartition(b" ")
            if kind in (b"blob", b"tree"):
                headers[path] = (kind.decode(), int(size))
        return headers

    def _contents(self, paths: list[str]) -> dict[str, bytes]:
        if not paths:
            return {}
        answer = self.git.tell("cat-file", "--batch=%(objectsize)", stdin=self._request(paths))
        contents, position = {}, 0
        for path in paths:
            start = answer.index(b"\n", position) + 1
            end = start + int(answer[position : start - 1])
            contents[path] = answer[start:end]
            position = end + 1
        return contents


@dataclass(frozen=True, kw_only=True)
class WorkTree:
    """The files on disk, below the root of the repository and nowhere else."""

    git: Git

    @cached_property
    def _files(self) -> frozenset[str]:
        listing = self.git.tell("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name", ":/")
        return frozenset(name.decode("utf-8", "surrogateescape") for name in listing.split(b"\0") if name)

    def files(self) -> frozenset[str]:
        """Every file that git tracks or would, relative to the root of the repository."""
        return frozenset(path for path in self._files if os.path.lexists(self.git.root / path))

    def read(self, paths: Iterable[str]) -> dict[str, bytes | Gap]:
        """The content of files, tracked or not, or why there is none; files that are too large are not loaded."""
        return {path: self._read(path) for path in dict.fromkeys(paths)}

    def _read(self, path: str) -> bytes | Gap:
        place = self.git.root / path
        try:
            status = place.stat()
            if stat.S_ISDIR(status.st_mode):
                return Gap(reason=f"{path} is a folder")
            if not stat.S_ISREG(status.st_mode):
                return Gap(reason=f"{path} is not a regular file")
            if status.st_size > MAX_BYTES:
                return Gap(reason=too_large(path, status.st_size))
            return place.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return Gap(reason=f"no file {path}", absent=True)
        except (OSError, ValueError) as error:
            return Gap(reason=f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
