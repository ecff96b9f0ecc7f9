"""`ci-ml record`: what is merged becomes the next baseline. Layer: wiring."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci_ml.adapters import files
from ci_ml.adapters.dvc import commands
from ci_ml.adapters.git import Git
from ci_ml.core.handover import Handover
from ci_ml.errors import UsageError
from ci_ml.wiring import branches, publishing, stages
from ci_ml.wiring.workspace import Workspace, require_dvc

# What GitLab hands on to later jobs as variables: https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv
FILE = "record.env"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What was done, in words, and the commit whose dvc.lock says what was trained; None where the branch moved on."""

    said: str
    commit: str | None


def record(space: Workspace) -> Recorded:
    """Push the data of what other jobs trained, and commit dvc.lock and metrics to the branch.

    The commit comes right after the one that was judged, or not at all: where the branch has moved on, the run of what
    is there now records. Later jobs of the CI system get to know the commit. Raises UsageError where it is not clear
    which branch that is, DependencyError when the data or the commit could not be pushed.
    """
    done = _recorded(space)
    publishing.outputs(space.env, {"commit": done.commit or ""})
    if space.change.forge == "gitlab":
        files.make_output(space.output)
        files.write(space.output / FILE, f"CI_ML_RECORDED={done.commit or ''}\n")
    return done


def _recorded(space: Workspace) -> Recorded:
    require_dvc(space)
    commit, branch = space.head.sha, space.change.ref or space.history.branch()
    assert commit is not None
    if branch is None or space.change.number is not None:
        raise UsageError("record is for a push to a branch, and this is none", "run it on the default branch")
    received = stages.receive(space)
    names = [one.stage for handover in received for one in handover.stages]
    if not names:
        return Recorded(said="no stage was trained: there is nothing to record", commit=commit)
    _push_data(space, received)
    changed = _changed(space.history, _paths(space, received))
    if not changed:
        return Recorded(said=f"dvc.lock is as {commit[:7]} has it: there is nothing to commit", commit=commit)
    made = _committed(space, changed, names)
    return _pushed(space, made, commit, branch)


def _push_data(space: Workspace, received: Iterable[Handover]) -> None:
    """What came as artifacts is in this machine's cache only; what went through the remote is there already."""
    names = [one.stage for handover in received if handover.transfer == "artifacts" for one in handover.stages]
    if names:
        root = space.project.root / (space.project.dvc or "")
        env = publishing.without_token(space.change, space.env)
        commands.run([["push", "--", *names]], cwd=root, env=env)


def _paths(space: Workspace, received: Iterable[Handover]) -> list[str]:
    """The files that training may have changed: every dvc.lock, and outputs that git tracks."""
    locks = [path for path in space.head_tree.files() if path == "dvc.lock" or path.endswith("/dvc.lock")]
    return [*locks, *(path for handover in received for path in handover.files)]


def _changed(history: Git, paths: Sequence[str]) -> list[str]:
    """Those that differ from HEAD, and that git does not ignore."""
    listed = history.tell(
        "status", "--porcelain", "--no-renames", "--untracked-files=all", "-z", "--", *_literal(paths)
    )
    return [line[3:].decode("utf-8", "surrogateescape") for line in listed.split(b"\0") if line]


def _literal(paths: Iterable[str]) -> list[str]:
    return [f":(top,literal){path}" for path in paths]


def _committed(space: Workspace, paths: Sequence[str], names: Sequence[str]) -> str:
    """A commit of these files on top of HEAD."""
    shown = "".join(f"- {name}\n" for name in names)
    message = f"Record what training made of {(space.head.sha or '')[:7]}\n\nStages:\n{shown}"
    if space.change.run_url:
        message += f"\n{space.change.run_url}\n"
    assert space.head.sha is not None
    return space.history.committed(space.head.sha, paths, message, branches.author(space))


def _pushed(space: Workspace, made: str, judged: str, branch: str) -> Recorded:
    place = branches.place(space)
    if place is None:
        return Recorded(said=f"committed {made[:7]}; there is no remote to push it to", commit=made)
    tip = branches.pushed(space, made, place, branch, judged)
    if tip == made:
        return Recorded(said=f"recorded as {made[:7]} on {branch}", commit=made)
    if tip is None:
        return Recorded(said=f"{branch} is gone: there is nothing to record for", commit=None)
    return Recorded(said=f"{branch} has moved on to {tip[:7]}, whose own run records", commit=None)
