"""Commits that ci-ml makes: who makes them, and how they get to the branch of a server. Layer: wiring."""

from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Change
from ci_ml.errors import DependencyError
from ci_ml.wiring import publishing
from ci_ml.wiring.workspace import Workspace

# Who commits on GitHub: https://github.com/actions/checkout#push-a-commit-using-the-built-in-token
_GITHUB = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")


def author(space: Workspace) -> tuple[str, ...]:
    """Who commits, where nobody has said it: options of git."""
    if space.change.forge is None or space.history.line("config", "user.email"):
        return ()
    host = space.env.get("CI_SERVER_HOST", "localhost")
    name, address = _GITHUB if space.change.forge == "github" else ("ci-ml", f"ci-ml@noreply.{host}")
    return ("-c", f"user.name={name}", "-c", f"user.email={address}")


def place(space: Workspace) -> str | None:
    """Where to push: the repository of this job, else the clone's remote; None without one."""
    return publishing.repository(space.change, space.env) or space.history.remote()


def pushed(
    space: Workspace, made: str, place: str, branch: str, expected: str | None, *, quiet: bool = True
) -> str | None:
    """Push a commit to a branch that is at `expected`; returns where the branch is then.

    `quiet`: it starts no pipeline, as on GitHub nothing does that a workflow's own token pushes. Raises DependencyError
    with what to do.
    """
    options = ["--push-option=ci.skip"] if quiet and space.change.forge == "gitlab" else []
    try:
        return space.history.push(made, place, branch, expected=expected, options=options)
    except DependencyError as error:
        words = redact(error.what, secrets(space.env))
        raise DependencyError(f"the commit could not be pushed to {branch}: {words}", hint(space.change)) from None


def hint(change: Change) -> str:
    """What lets a job push."""
    if change.forge == "gitlab":
        return "let CI_ML_TOKEN be a token with write_repository whose role may push to the branch"
    if change.forge is None:
        return "see that you may push to the remote, and that its rules let you"
    return "let the job's token write (contents: write), and the branch's rules let it push"
