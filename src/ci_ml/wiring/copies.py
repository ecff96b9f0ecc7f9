"""Copies of the work tree, elsewhere: what runs there changes nothing here. Layer: wiring."""

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path

from ci_ml.adapters.git import Git
from ci_ml.core.pipeline import covering
from ci_ml.errors import DependencyError
from ci_ml.wiring.workspace import Workspace

_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
_COMMITTER = ("-c", "user.name=ci-ml", "-c", "user.email=ci-ml@localhost", "-c", "commit.gpgSign=false")


def copied(space: Workspace, root: Path, without: Iterable[str] = (), *, at: str | None = None) -> Workspace:
    """The repository with the work tree's files but `without` some of them, at `root`, which is not there yet.

    It shares git's objects, DVC's cache and remotes with the original, and holds none of DVC's data: stages are given
    what they need. What git ignores is not in it. With `at` it holds that commit, and nothing of the work tree. Unlike
    what `git worktree` makes, the original knows nothing of it: killed at any time, it has nothing to prune.
    """
    history, sha = space.history, at or space.head.sha
    assert sha is not None
    left = dict.fromkeys(without)
    history.tell("clone", "--quiet", "--shared", "--no-checkout", "--", str(history.root), str(root))
    there = dataclasses.replace(history, root=root, access={})
    if at is not None and there.commit(sha) is None:
        _fetched(history, there, sha)
    there.tell(*_NO_HOOKS, "checkout", "--quiet", "--detach", sha)
    for change in history.changed(sha) if at is None else ():
        if covering(change.path, left) is None:
            _take(history.root, change.path, root)
    inner = dataclasses.replace(space.project, root=root)
    dvc = space.project.dvc or ""
    # Where data are is a matter of today, also for a commit of another time, whose remotes may have moved since.
    for name in ("config.local", "config")[: 1 if at is None else 2]:
        _configured(history.root / dvc / ".dvc" / name, root, root / dvc / ".dvc" / name)
    assert space.data is not None
    space.data.share(root)
    return dataclasses.replace(space, project=inner, history=there, output=root / inner.folder / ".ci-ml")


class NoCommit(DependencyError):
    """Neither this clone nor its remote has a commit."""


def _fetched(history: Git, there: Git, sha: str) -> None:
    """Fetch a commit into the copy: the original stays as shallow as it is. Raises NoCommit."""
    place = history.address()
    knowing = dataclasses.replace(there, access=history.access)
    if place is None or not knowing.fetch("--depth=1", place, sha) or there.commit(sha) is None:
        raise NoCommit(f"this clone does not have the commit {sha[:7]}, and it could not be fetched")


def settled(copy: Workspace) -> None:
    """Commit in the copy what is in it, to go back to with `reset`."""
    copy.history.tell("add", "--all", "--", ":/")
    options = (*_NO_HOOKS, *_COMMITTER)
    copy.history.tell(*options, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", "as it was")


def reset(copy: Workspace) -> Workspace:
    """The copy as it was settled, but for what git ignores; read anew."""
    copy.history.tell(*_NO_HOOKS, "reset", "--quiet", "--hard")
    copy.history.tell("clean", "--quiet", "--force", "-d", "--", ":/")
    return dataclasses.replace(copy)


def _configured(source: Path, root: Path, target: Path) -> None:
    """Take over a file of DVC's configuration, if there is one. Raises DependencyError behind a link to elsewhere."""
    if not source.is_file():
        return
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise DependencyError(f"{target.parent.name} of this commit is a link out of the repository")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # it may be a link itself
    shutil.copyfile(source, target)


def _take(source: Path, path: str, target: Path) -> None:
    """A file of the work tree as it is there, which may be gone."""
    place, copy = source / path, target / path
    if copy.is_symlink() or copy.exists():
        copy.unlink()
    if place.is_symlink() or place.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(place, copy, follow_symlinks=False)
