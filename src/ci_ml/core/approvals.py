"""Who let a change pass: approvals on its pull or merge request, and which of them count. Layer: core. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A pull or merge request that a commit may have come with.

    `head` is its last commit; `commits` are those that stand for it once it is merged (merge, squash). `author` is who
    opened it.
    """

    number: int
    head: str
    author: str
    is_merged: bool
    commits: tuple[str, ...] = ()
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One person's approval of a request; `doubt` says why it does not count, None when it does."""

    by: str
    at: str
    what: str
    doubt: str | None = None


def brought(sha: str, found: Sequence[Merged]) -> tuple[Merged, ...]:
    """Those that brought a commit: merged, and it is the commit that stands for them."""
    return tuple(one for one in found if one.is_merged and sha in (*one.commits, one.head))


def counted(found: Sequence[Approval]) -> tuple[Approval, ...]:
    """Those that count, each person once."""
    first: dict[str, Approval] = {}
    for one in found:
        if one.doubt is None:
            first.setdefault(one.by.lower(), one)
    return tuple(first.values())
