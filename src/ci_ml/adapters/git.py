"""git, through its command line: revisions, ancestry, files of a commit or the work tree, and commits of our own.

Layer: adapters.
"""

import os
import posixpath
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ci_ml.adapters import proc
from ci_ml.core.documents import MAX_BYTES, too_large
from ci_ml.core.types import FileChange, Gap
from ci_ml.errors import DependencyError, UsageError

_TIMEOUT = 600.0
_PUSHES = 4
# What a server says that will say the same again. https://git-scm.com/docs/git-push (under "rejected")
_FINAL = ("remote rejected", "hook declined", "returned error: 40", "denied", "authentication failed", "not found")
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True, kw_only=True)
class Git:
    """One repository; `root` is the top of its work tree, `env` the environment its commands get.

    `access` is what those get on top that fetch and push: how to say who asks.
    """

    root: Path
    env: Mapping[str, str] = field(repr=False)
    access: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = _TIMEOUT

    def ask(self, *arguments: str, stdin: bytes | None = None) -> proc.Completed:
        """Run a git command here and hand back how it ended, whatever that was."""
        return proc.run(["git", *arguments], cwd=self.root, env=self.env, stdin=stdin, timeout=self.timeout)

    def call(self, *arguments: str) -> proc.Completed:
        """Run a git command that talks to a server."""
        env = {**self.env, **self.access}
        options = ("-c", "credential.interactive=never")
        return proc.run(["git", *options, *arguments], cwd=self.root, env=env, timeout=self.timeout)

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

    def address(self) -> str | None:
        """Where that remote is, which may hold credentials; None when there is none."""
        name = self.remote()
        return self.line("remote", "get-url", "--", name) if name else None

    def tracked(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of `paths` that git tracks, committed or staged."""
        wanted = [f":(top,literal){path}" for path in paths]
        listing = self.tell("ls-files", "-z", "--full-name", "--", *wanted) if wanted else b""
        return frozenset(name.decode("utf-8", "surrogateescape") for name in listing.split(b"\0") if name)

    def fetch(self, *arguments: str) -> bool:
        """Fetch without tags or submodules; whether it worked. The caller explains when it did not."""
        command = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *arguments)
        if self.ask("-c", "credential.interactive=never", *command).code == 0:
            return True  # as the clone knows how to
        return bool(self.access) and self.call(*command).code == 0

    def changed(self, sha: str) -> tuple[FileChange, ...]:
        """The files of the work tree that differ from a commit; those that git would not track do not count."""
        known = self.tell(
            "diff", "--no-renames", "--no-ext-diff", "--no-textconv", "--raw", "--numstat", "-z", sha, "--"
        )
        lines = iter(known.split(b"\0")[:-1])
        states: dict[str, str] = {}
        found: list[FileChange] = []
        for line in lines:
            if line.startswith(b":"):
                states[_text(next(lines))] = line[-1:].decode()
                continue
            added, removed, name = line.split(b"\t", 2)
            counts = [None if count == b"-" else int(count) for count in (added, removed)]
            change = _STATES.get(states[_text(name)], "changed")
            found.append(FileChange(path=_text(name), change=change, added=counts[0], removed=counts[1]))
        new = self.tell("ls-files", "-z", "--others", "--exclude-standard", "--full-name", ":/").split(b"\0")[:-1]
        return (*found, *(FileChange(path=_text(name), change="added") for name in new))

    def differing(self, one: str, other: str) -> tuple[str, ...]:
        """The files in which two commits differ."""
        listing = self.tell("diff-tree", "-r", "-z", "--name-only", "--no-renames", one, other, "--")
        return tuple(_text(name) for name in listing.split(b"\0")[:-1])

    def log(self, sha: str, paths: Iterable[str], most: int) -> tuple[tuple[str, str], ...]:
        """Of a commit and its first parents those that changed one of the files, newest first, and when (ISO 8601)."""
        wanted = [f":(top,literal){path}" for path in paths]
        options = ("--first-parent", f"--max-count={most}", "--format=%H %cI")
        listing = self.tell("log", *options, sha, "--", *wanted).decode() if wanted else ""
        return tuple((line.partition(" ")[0], line.partition(" ")[2]) for line in listing.splitlines())

    def committed(self, parent: str, paths: Iterable[str], message: str, author: Sequence[str] = ()) -> str:
        """A commit on top of `parent` with these files as they are on disk (or gone); returns its sha.

        Nothing else moves: no branch, no file, not what somebody has staged, and no hook runs. `author` are options
        that say who commits. Raises DependencyError.
        """
        with tempfile.TemporaryDirectory(prefix="ci-ml-index-") as folder:
            aside = Git(root=self.root, env={**self.env, "GIT_INDEX_FILE": str(Path(folder) / "index")})
            aside.tell("read-tree", parent)
            listed = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
            aside.tell("update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=listed)
            tree = aside.tell("write-tree").decode().strip()
        options = (*_NO_HOOKS, "-c", "commit.gpgSign=false", *author)
        made = self.tell(*options, "commit-tree", "-p", parent, "-F", "-", tree, stdin=message.encode())
        return made.decode().strip()

    def tip(self, place: str, branch: str) -> str | None:
        """The commit that a branch of a remote is at now, None when there is no such branch. Raises DependencyError."""
        done = self.call("ls-remote", "--", place, f"refs/heads/{branch}")
        if done.code != 0:
            raise DependencyError(f"git ls-remote failed: {' '.join(done.err.split())[-400:]}")
        return done.out.decode("utf-8", "replace").partition("\t")[0] or None

    def push(
        self,
        made: str,
        place: str,
        branch: str,
        *,
        expected: str | None,
        options: Sequence[str] = (),
        pause: Callable[[float], None] = time.sleep,
    ) -> str | None:
        """Let a branch of a remote be at `made`, if it is at `expected` (None: not there yet); where it is then.

        That is `made` when it worked, also when only the answer was lost. What may pass is tried again. Raises
        DependencyError with git's words when the server does not take it.
        """
        lease = f"--force-with-lease=refs/heads/{branch}:{expected or ''}"
        command = (*_NO_HOOKS, "push", "--quiet", "--no-verify", lease, *options, "--", place)
        said = ""
        for attempt in range(_PUSHES):
            if attempt:
                pause(2.0 ** (attempt - 1))
            done = self.call(*command, f"{made}:refs/heads/{branch}")
            if done.code == 0:
                return made
            said = " ".join(done.err.split())[-400:]
            try:
                tip = self.tip(place, branch)
            except DependencyError:
                tip = expected
            if tip != expected:
                return tip
            if any(words in said.lower() for words in _FINAL):
                break
        raise DependencyError(f"git push to {branch} failed: {said}")

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


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


_STATES: dict[str, Literal["added", "removed", "changed"]] = {"A": "added", "D": "removed"}
_LINK, _SUBMODULE = "120000", "160000"
_MOST_LINKS = 40  # as many as Linux follows


@dataclass(frozen=True, kw_only=True)
class CommitTree:
    """The files of one commit, read in batches from git's object store."""

    git: Git
    sha: str

    @cached_property
    def _entries(self) -> dict[str, tuple[str, str]]:
        """Mode and object of every file. Objects are then asked for by their id, for a name can hold anything."""
        listing = self.git.tell("ls-tree", "-r", "-z", "--full-tree", self.sha)
        entries = {}
        for line in listing.split(b"\0")[:-1]:
            about, _, name = line.partition(b"\t")
            mode, _, object_id = about.decode().split(" ")
            entries[name.decode("utf-8", "surrogateescape")] = (mode, object_id)
        return entries

    @cached_property
    def _folders(self) -> frozenset[str]:
        folders = {""}
        for path in self._entries:
            while (path := path.rpartition("/")[0]) not in folders:
                folders.add(path)
        return frozenset(folders)

    @cached_property
    def _links(self) -> dict[str, str]:
        """Where each symbolic link leads."""
        links = {path: object_id for path, (mode, object_id) in self._entries.items() if mode == _LINK}
        contents = self._contents(set(links.values()))
        return {path: contents[object_id].decode("utf-8", "surrogateescape") for path, object_id in links.items()}

    def files(self) -> frozenset[str]:
        """Every file, relative to the root of the repository."""
        return frozenset(self._entries)

    def read(self, paths: Iterable[str]) -> dict[str, bytes | Gap]:
        """The content of files, or why there is none; files that are too large are not loaded."""
        found: dict[str, bytes | Gap] = {}
        objects: dict[str, str] = {}
        for path in dict.fromkeys(paths):
            place = self._followed(path)
            mode, object_id = self._entries.get(place, ("", "")) if place is not None else ("", "")
            if place is None:
                found[path] = _outside(path)
            elif place in self._folders or mode == _SUBMODULE:
                found[path] = Gap(reason=f"{path} is a folder")
            elif object_id:
                objects[path] = object_id
            elif module := self._submodule(place):
                found[path] = Gap(
                    reason=f"{path} is in the submodule {module}, whose files this repository does not hold"
                )
            else:
                found[path] = Gap(reason=f"no file {path}", absent=True)
        sizes = self._sizes(set(objects.values()))
        contents = self._contents({object_id for object_id, size in sizes.items() if size <= MAX_BYTES})
        for path, object_id in objects.items():
            known = contents.get(object_id)
            found[path] = Gap(reason=too_large(path, sizes[object_id])) if known is None else known
        return found

    def place(self, path: str, folder: Path) -> Path | Gap:
        """A copy of a file in `folder`, whatever its size, or why there is none."""
        place = self._followed(path)
        mode, object_id = self._entries.get(place, ("", "")) if place is not None else ("", "")
        if not object_id or mode == _SUBMODULE:
            found = self.read([path])[path]
            assert isinstance(found, Gap)
            return found
        copy = folder / object_id
        copy.write_bytes(self.git.tell("cat-file", "blob", object_id))
        return copy

    def _submodule(self, path: str) -> str | None:
        parts = path.split("/")
        heads = ("/".join(parts[:end]) for end in range(1, len(parts)))
        return next((head for head in heads if self._entries.get(head, ("", ""))[0] == _SUBMODULE), None)

    def _followed(self, path: str) -> str | None:
        """The path behind every symbolic link in it; None when that is outside the repository, or nowhere."""
        for _ in range(_MOST_LINKS):
            parts = path.split("/")
            heads = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
            link = next((head for head in heads if head in self._links), None)
            if link is None:
                return None if path == ".." or path.startswith(("../", "/")) else path
            path = posixpath.normpath(posixpath.join(posixpath.dirname(link), self._links[link], path[len(link) + 1 :]))
        return None

    def _sizes(self, objects: set[str]) -> dict[str, int]:
        if not objects:
            return {}
        answer = self.git.tell("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=_lines(objects))
        sizes = dict(line.split(" ") for line in answer.decode().splitlines())
        if absent := [name for name, size in sizes.items() if size == "missing"]:
            raise DependencyError(f"this clone lacks the object {absent[0]} of commit {self.sha[:7]}", "clone it anew")
        return {name: int(size) for name, size in sizes.items()}

    def _contents(self, objects: set[str]) -> dict[str, bytes]:
        if not objects:
            return {}
        answer = self.git.tell("cat-file", "--batch=%(objectname) %(objectsize)", stdin=_lines(objects))
        contents, position = {}, 0
        while position < len(answer):
            start = answer.index(b"\n", position) + 1
            name, size = answer[position : start - 1].decode().split(" ")
            contents[name] = answer[start : start + int(size)]
            position = start + int(size) + 1
        return contents


def _lines(objects: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in objects).encode()


def _outside(path: str) -> Gap:
    # To its reader such a file is not there; it may still be in DVC's cache, where links of an outside cache lead.
    return Gap(reason=f"{path} leads out of the repository, or nowhere", absent=True)


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
        top = os.path.realpath(self.git.root)
        return {path: self._read(path, top) for path in dict.fromkeys(paths)}

    def place(self, path: str, folder: Path) -> Path | Gap:  # noqa: ARG002  the file is there, no copy is needed
        """The file itself, whatever its size, or why there is none."""
        return self._placed(path, os.path.realpath(self.git.root))

    def _read(self, path: str, top: str) -> bytes | Gap:
        place = self._placed(path, top)
        if isinstance(place, Gap):
            return place
        try:
            size = place.stat().st_size
            return Gap(reason=too_large(path, size)) if size > MAX_BYTES else place.read_bytes()
        except OSError as error:
            return Gap(reason=f"{path} cannot be read: {error.strerror}")

    def _placed(self, path: str, top: str) -> Path | Gap:
        place = self.git.root / path
        try:
            if not Path(os.path.realpath(place)).is_relative_to(top):
                return _outside(path)
            status = place.stat()
            if stat.S_ISDIR(status.st_mode):
                return Gap(reason=f"{path} is a folder")
            if not stat.S_ISREG(status.st_mode):
                return Gap(reason=f"{path} is not a regular file")
            return place
        except (FileNotFoundError, NotADirectoryError):
            return Gap(reason=f"no file {path}", absent=True)
        except (OSError, ValueError) as error:
            return Gap(reason=f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
