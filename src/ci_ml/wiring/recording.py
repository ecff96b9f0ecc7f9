"""`ci-ml record`: what is merged becomes the next baseline. Layer: wiring."""

from collections.abc import Iterable, Sequence

from ci_ml.adapters.dvc import commands
from ci_ml.adapters.git import Git
from ci_ml.core.handover import Handover
from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Change
from ci_ml.errors import DependencyError, UsageError
from ci_ml.wiring import publishing, stages
from ci_ml.wiring.workspace import Workspace, require_dvc

# Who commits on GitHub: https://github.com/actions/checkout#push-a-commit-using-the-built-in-token
_GITHUB = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")


def record(space: Workspace) -> str:
    """Push the data of what other jobs trained, and commit dvc.lock and metrics to the branch; returns what was done.

    The commit comes right after the one that was judged, or not at all: where the branch has moved on, the run of what
    is there now records. Raises UsageError where it is not clear which branch that is, DependencyError when the data or
    the commit could not be pushed.
    """
    require_dvc(space)
    commit, branch = space.head.sha, space.change.ref or space.history.branch()
    assert commit is not None
    if branch is None or space.change.number is not None:
        raise UsageError("record is for a push to a branch, and this is none", "run it on the default branch")
    received = stages.receive(space)
    names = [one.stage for handover in received for one in handover.stages]
    if not names:
        return "no stage was trained: there is nothing to record"
    _push_data(space, received)
    changed = _changed(space.history, _paths(space, received))
    if not changed:
        return f"dvc.lock is as {commit[:7]} has it: there is nothing to commit"
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
    """A commit of these files on top of HEAD, without the hooks of whoever's machine this is."""
    history, change = space.history, space.change
    history.tell("add", "--", *_literal(paths))
    shown = "".join(f"- {name}\n" for name in names)
    message = f"Record what training made of {(space.head.sha or '')[:7]}\n\nStages:\n{shown}"
    if change.run_url:
        message += f"\n{change.run_url}\n"
    options = ("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", *_author(space))
    history.tell(*options, "commit", "--quiet", "--file=-", "--", *_literal(paths), stdin=message.encode())
    made = history.commit("HEAD")
    assert made is not None
    return made


def _author(space: Workspace) -> tuple[str, ...]:
    if space.change.forge is None or space.history.line("config", "user.email"):
        return ()
    host = space.env.get("CI_SERVER_HOST", "localhost")
    name, address = _GITHUB if space.change.forge == "github" else ("ci-ml", f"ci-ml@noreply.{host}")
    return ("-c", f"user.name={name}", "-c", f"user.email={address}")


def _pushed(space: Workspace, made: str, judged: str, branch: str) -> str:
    history = space.history
    place = publishing.repository(space.change, space.env) or history.remote()
    if place is None:
        return f"committed {made[:7]}; there is no remote to push it to"
    options = ["--push-option=ci.skip"] if space.change.forge == "gitlab" else []
    done = history.call("push", "--quiet", "--no-verify", *options, place, f"{made}:refs/heads/{branch}")
    if done.code == 0:
        return f"recorded as {made[:7]} on {branch}"
    there = history.call("ls-remote", place, f"refs/heads/{branch}").out.decode("utf-8", "replace").partition("\t")[0]
    if there and there != judged:
        return f"{branch} has moved on to {there[:7]}, whose own run records"
    words = " ".join(redact(done.err, secrets(space.env)).split())
    raise DependencyError(f"the commit could not be pushed to {branch}: {words[-400:]}", _hint(space.change))


def _hint(change: Change) -> str:
    if change.forge == "gitlab":
        return "let CI_ML_TOKEN be a token with write_repository whose role may push to the branch"
    return "let the job's token write (contents: write), and the branch's rules let it push; or leave `record` out"
