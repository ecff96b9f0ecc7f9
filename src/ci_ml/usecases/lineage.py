"""Whether one commit comes before another, asked in a clone that may lack some of both. Layer: usecases."""

from collections.abc import Callable

from ci_ml.errors import UsageError
from ci_ml.ports import History


def precedes(history: History, one: str, other: str, say: Callable[[str], None]) -> bool:
    """Whether one commit is among the ancestors of another; what this clone lacks is fetched.

    A commit that a whole clone cannot get is in the repository no more, and comes before and after nothing: `say` is
    told. Raises UsageError in a shallow clone, where no would be a guess.
    """
    absent = _absent(history, one, other)
    if not absent and history.merge_base(one, other) == one:
        return True
    remote = history.remote()
    if history.is_shallow() and remote and history.fetch("--unshallow", remote):
        absent = _absent(history, one, other)
        if not absent and history.merge_base(one, other) == one:
            return True
    if history.is_shallow():
        lacks = absent[0][:7] if absent else "older commits"
        raise UsageError(
            f"whether {one[:7]} comes before {other[:7]} cannot be known: this is a shallow clone without {lacks}, "
            "and the history could not be fetched",
            "fetch it (fetch-depth: 0, or GIT_DEPTH: 0; `git fetch --unshallow`)",
        )
    if absent:
        say(
            f"{absent[0][:7]} is not in this clone, and the repository does not give it: nobody knows whether "
            f"{one[:7]} comes before {other[:7]}, and it is taken not to"
        )
    return False


def _absent(history: History, *commits: str) -> list[str]:
    """Those that are not here, and could not be fetched."""
    remote = history.remote()
    for sha in commits:
        if remote and history.commit(sha) is None:
            history.fetch(remote, sha)
    return [sha for sha in commits if history.commit(sha) is None]
