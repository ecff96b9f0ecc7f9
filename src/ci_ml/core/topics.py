"""What ci-ml keeps on a forge beyond comments: an issue that says how a model does, a request that proposes one.

Layer: core. Pure. Like a comment it is found again by a marker that nobody sees and by who wrote it: anybody can write
a marker. The marker says which run wrote it, so that an older run never overwrites what a newer one has said.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ci_ml.core.types import Run

_MARKER = re.compile(r"\A<!-- ci-ml:(monitor|retrain) name=(\S{1,250}) run=(\d{1,18})\.(\d{1,18}) -->")


class Kind(StrEnum):
    """What a topic is on its forge."""

    ISSUE = "issue"
    REQUEST = "request"  # GitHub's pull request, GitLab's merge request


class Merging(StrEnum):
    """How a request becomes part of its target; GitLab's projects know only whether commits are squashed."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"


@dataclass(frozen=True, kw_only=True)
class Sign:
    """The marker at the beginning of a topic's text: `about` is who keeps it (monitor, retrain), `name` of what."""

    about: str
    name: str
    run: Run = field(default_factory=Run)

    def __str__(self) -> str:
        return f"<!-- ci-ml:{self.about} name={self.name.replace(' ', '%20')} run={self.run} -->"

    @classmethod
    def of(cls, body: str) -> "Sign | None":
        """The marker that a text opens with; None when there is none."""
        found = _MARKER.match(body.lstrip())
        if found is None:
            return None
        run = Run(number=int(found[3]), attempt=int(found[4]))
        return cls(about=found[1], name=found[2].replace("%20", " "), run=run)

    def is_same(self, other: "Sign | None") -> bool:
        """Whether both stand for the same topic."""
        return other is not None and (self.about, self.name) == (other.about, other.name)


@dataclass(frozen=True, kw_only=True)
class Topic:
    """An issue, or a pull or merge request, as it is now.

    `branch`, `target` and `head` (the newest commit) are those of a request. `waits`: it is merged once it may be.
    """

    kind: Kind
    number: int
    title: str
    body: str
    is_open: bool
    labels: tuple[str, ...] = ()
    url: str | None = None
    branch: str | None = None
    target: str | None = None
    head: str | None = None
    waits: bool = False

    @property
    def sign(self) -> Sign | None:
        """What it is about; None when nothing of ours wrote it."""
        return Sign.of(self.body)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A request that is to be opened: from a branch of this repository into another."""

    branch: str
    target: str
    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels that a topic is to have, and those that it is not to have; what people set beside them stays."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    def added(self, present: Iterable[str]) -> tuple[str, ...]:
        """Those that are missing. Forges take capitals for the same letters."""
        known = {label.casefold() for label in present}
        return tuple(label for label in self.wanted if label.casefold() not in known)

    def removed(self, present: Iterable[str]) -> tuple[str, ...]:
        """Those that are there and should not be, as they are written there."""
        wanted = {label.casefold() for label in self.wanted}
        against = {label.casefold() for label in self.unwanted} - wanted
        return tuple(label for label in present if label.casefold() in against)


def chosen(sign: Sign, topics: Sequence[Topic]) -> tuple[Topic | None, tuple[Topic, ...]]:
    """The topic that is kept, and open ones beside it that are too many.

    That is the oldest open one, as for every run that looks; without an open one it is the newest of the closed.
    """
    ours = sorted((topic for topic in topics if sign.is_same(topic.sign)), key=lambda topic: topic.number)
    opened = [topic for topic in ours if topic.is_open]
    if opened:
        return opened[0], tuple(opened[1:])
    return (ours[-1] if ours else None), ()


def newest(sign: Sign, topics: Sequence[Topic]) -> Run:
    """The newest run that has written about it."""
    return max((known.run for topic in topics if (known := topic.sign) and sign.is_same(known)), default=Run())
