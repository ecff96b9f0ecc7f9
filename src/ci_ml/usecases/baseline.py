"""Which commit a change is compared with, and why that one. Layer: usecases.

The tip of the target branch, the merge base and a pull request's `base.sha` are three different commits; comparing
with the wrong one blames a change for what others merged. The report always says which was used.
"""

from collections.abc import Callable
from dataclasses import replace

from ci_ml.core.references import IN_PRODUCTION, Reference
from ci_ml.core.types import Change, Gap, Revision
from ci_ml.errors import UsageError
from ci_ml.ports import History

_DEEPEN = (50, 500, 5000)
# The commit that made the model which has an alias; an absent Gap where nothing has it.
Promoted = Callable[[Reference], "str | Gap"]
_HINT = "name a commit to compare with: --base REV"


class FirstCommit(UsageError):
    """There is nothing before what is checked out."""


def head(history: History, change: Change) -> Revision:
    """The state that is judged: HEAD and the work tree on top of it. Raises UsageError before the first commit."""
    sha = history.commit("HEAD")
    if sha is None:
        raise UsageError("the repository has no commit yet", "commit first: there is nothing to compare with")
    return Revision(sha=sha, ref=history.branch() or change.ref, dirty=history.is_dirty(), why="the work tree")


def require_change(history: History, at: Revision, change: Change) -> None:
    """Raises UsageError when what is checked out is not the change that the CI system runs this job for.

    On `pull_request_target` GitHub checks out the base: judging that would pass every change.
    """
    if change.head is None or at.sha is None or change.head in (at.sha, *history.parents(at.sha)):
        return
    if history.commit(change.head) is None or history.merge_base(change.head, at.sha) != change.head:
        raise UsageError(
            f"this job has checked out {at.short}, which does not contain the change {change.head[:7]}",
            "run on pull_request instead of pull_request_target, or check out the change",
        )


def resolve(
    history: History,
    configured: str,
    explicit: str | None,
    at: Revision,
    change: Change,
    promoted: Promoted | None = None,
) -> Revision:
    """The base: `explicit` (--base), else what the configuration says, else the best guess of `auto`.

    `promoted` says which commit made the model that has an alias.

    Raises UsageError when there is no such commit, and when base and head are the same clean commit.
    """
    production = IN_PRODUCTION.fullmatch(explicit or configured)
    if production and promoted is not None:
        base = _promoted(history, production["reference"], promoted, at, change)
    elif explicit:
        base = _named(history, explicit, "named with --base")
    elif configured.startswith("rev:"):
        base = _named(history, configured[4:], "baseline in ci-ml.yaml")
    elif configured.startswith("branch:"):
        base = _branch(history, configured[7:])
    else:
        base = _automatic(history, at, change, merge_parent=configured == "auto")
    if base.sha == at.sha and not at.dirty:
        raise UsageError(f"base and head are the same commit {at.short} ({base.why}) and the work tree is clean", _HINT)
    return base


def _promoted(history: History, reference: str, promoted: Promoted, at: Revision, change: Change) -> Revision:
    """The commit behind what is in production; while nothing is, as `auto` has it: the first model has to pass, too.

    So has what is in production itself, when its own commit is judged again.
    """
    found = promoted(Reference.parse(reference))
    if isinstance(found, Gap):
        if not found.absent:
            raise UsageError(
                f"{found.reason} (baseline in ci-ml.yaml)", "promote it with `ci-ml promote`, which says so"
            )
        later = "it is what has the alias once `ci-ml promote` has set it"
        return _instead(_automatic(history, at, change, merge_parent=True), f"nothing is {reference} yet", later)
    base = replace(_named(history, found, f"the commit of {reference}"), ref=reference)
    if base.sha != at.sha or (at.dirty and change.forge is None):
        return base
    later = "a model is not compared with itself"
    return _instead(_automatic(history, at, change, merge_parent=True), f"{at.short} is {reference} itself", later)


def _instead(base: Revision, because: str, more: str) -> Revision:
    """The base of `auto` in the place of what is in production."""
    notice = f"{because}, so the base is that of `baseline: auto`; {more}"
    return replace(base, why=f"{base.why}; {because}", notices=(notice,))


def _named(history: History, revision: str, why: str) -> Revision:
    if not is_plain(revision):
        raise UsageError(f"{revision!r} is not the name of a revision ({why})", _HINT)
    sha = history.commit(revision)
    if sha is None and history.is_shallow() and (remote := history.remote()):
        history.fetch("--depth=1", remote, revision)
        sha = history.commit("FETCH_HEAD")
    if sha is None:
        raise UsageError(
            f"{revision} is not a commit of this clone ({why})", "check the name, or fetch it first: git fetch --tags"
        )
    return Revision(sha=sha, ref=revision, why=why)


def is_plain(revision: str) -> bool:
    """Whether git can take a revision for nothing else: not for an option, nor for a refspec that writes refs."""
    return bool(revision) and not revision.startswith(("-", "+")) and ":" not in revision and revision.isprintable()


def _branch(history: History, name: str) -> Revision:
    found = _target(history, name) if is_plain(name) else None
    if found is None:
        raise UsageError(f"there is no branch {name} here (baseline in ci-ml.yaml)", f"git fetch origin {name}")
    return Revision(sha=history.commit(found), ref=name, why=f"tip of {found}")


def _automatic(history: History, at: Revision, change: Change, *, merge_parent: bool) -> Revision:
    assert at.sha is not None
    if merge_parent and change.is_merge and (base := _base_parent(history, at.sha, change)):
        return base
    if merge_parent and change.base and change.base != at.sha and (sha := _fetched(history, change.base)):
        why = (
            "what the merge queue put before it" if change.target else f"{change.ref or 'the branch'} before this push"
        )
        return Revision(sha=sha, ref=change.target or change.ref, why=why)
    target = _target(history, change.target) if change.target else history.target_branch()
    if target is None:
        return _without_target(history, at, change)
    sha = _merge_base(history, at.sha, target)
    if sha != at.sha:
        return Revision(sha=sha, ref=target.removeprefix("origin/"), why=f"merge base of HEAD and {target}")
    if at.dirty and change.forge is None:  # a CI job's work tree holds what the job made, not what is judged
        return Revision(sha=sha, ref=at.ref, why="HEAD, which the work tree is compared with")
    return _first_parent(history, at, f"it is part of {target}")


def _base_parent(history: History, sha: str, change: Change) -> Revision | None:
    """The parent of a CI system's merge commit that is not the change itself; the order is not relied on."""
    parents = history.parents(sha)
    if len(parents) != 2 or (change.head and change.head not in parents):
        return None  # not the CI system's merge: a job may check out the change itself, which may merge other branches
    base = next(parent for parent in parents if parent != change.head)
    if _fetched(history, base) is None:
        raise UsageError(
            f"this is a shallow clone without {base[:7]}, the base of the merge commit {sha[:7]}, "
            "and it could not be fetched",
            "check out with a depth of 2 (fetch-depth: 2, or GIT_DEPTH: 2)",
        )
    return Revision(sha=base, ref=change.target, why=f"base parent of the merge commit {sha[:7]}")


def _fetched(history: History, sha: str) -> str | None:
    """A commit that is here, or that could be fetched; None otherwise."""
    if history.commit(sha) is None and (remote := history.remote()):
        history.fetch("--depth=1", remote, sha)
    return history.commit(sha)


def _target(history: History, name: str) -> str | None:
    """A branch as this clone knows it, fetched when it is not here."""
    remote = history.remote()
    candidates = [f"{remote}/{name}", name] if remote else [name]
    found = next((candidate for candidate in candidates if history.commit(candidate)), None)
    if found is None and remote:
        depth = ["--depth=1"] if history.is_shallow() else []
        history.fetch(*depth, remote, f"+refs/heads/{name}:refs/remotes/{remote}/{name}")
        found = candidates[0] if history.commit(candidates[0]) else None
    return found


def _merge_base(history: History, sha: str, target: str) -> str:
    """The merge base, with a shallow clone deepened as far as it takes."""
    remote = history.remote()
    found = history.merge_base(sha, target)
    for depth in _DEEPEN if found is None and remote and history.is_shallow() else ():
        assert remote is not None
        if not history.fetch(f"--deepen={depth}", remote):
            break
        found = history.merge_base(sha, target)
        if found or not history.is_shallow():
            break
    if found is None and remote and history.is_shallow() and history.fetch("--unshallow", remote):
        found = history.merge_base(sha, target)
    if found:
        return found
    if history.is_shallow():
        raise UsageError(
            f"this is a shallow clone without the merge base of HEAD and {target}, "
            "and the older commits could not be fetched",
            "fetch the history (fetch-depth: 0, or GIT_DEPTH: 0), or name a commit to compare with: --base REV",
        )
    raise UsageError(f"HEAD and {target} have unrelated histories: there is no merge base", _HINT)


def _without_target(history: History, at: Revision, change: Change) -> Revision:
    if change.target:
        raise UsageError(f"the target branch {change.target} is not in this clone and could not be fetched", _HINT)
    if at.dirty and change.forge is None:
        return Revision(sha=at.sha, ref=at.ref, why="HEAD, which the work tree is compared with")
    return _first_parent(history, at, "there is no branch main or master to compare with")


def _first_parent(history: History, at: Revision, because: str) -> Revision:
    assert at.sha is not None
    parents = history.parents(at.sha)
    if not parents:
        raise FirstCommit(
            f"{at.short} is the first commit and the work tree is clean: there is nothing to compare with", _HINT
        )
    if history.commit(parents[0]) is None and (remote := history.remote()):
        history.fetch("--deepen=1", remote)
    if history.commit(parents[0]) is None:
        raise UsageError(
            f"this is a shallow clone without {parents[0][:7]}, the parent of HEAD, and it could not be fetched",
            "check out with a depth of 2 (fetch-depth: 2, or GIT_DEPTH: 2)",
        )
    return Revision(sha=parents[0], ref=at.ref, why=f"parent of HEAD, because {because}")
