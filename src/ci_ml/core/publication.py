"""What is said about a change on its forge: one comment, one status, and who waived what. Layer: core. Pure.

A comment is found again by a marker that nobody sees, `<!-- ci-ml:report name=… head=… run=… -->`, and belongs to us
only when we wrote it: anybody can write a marker. The marker says which run wrote it, so that an older run never
overwrites what a newer one has said.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ci_ml.core.types import Outcome, Run

WAIVER_LABEL = "ci-ml: accept regression"
_MARKER = re.compile(r"\A<!-- ci-ml:report name=(\S{1,250}) head=([0-9a-f]{0,64}) run=(\d{1,18})\.(\d{1,18}) -->")


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Which report a comment is, about which commit, by which run."""

    name: str
    head: str
    run: Run = field(default_factory=Run)

    def __str__(self) -> str:
        return f"<!-- ci-ml:report name={_word(self.name)} head={self.head} run={self.run} -->"

    @classmethod
    def of(cls, body: str) -> "Marker | None":
        """The marker that a comment opens with; None when there is none."""
        found = _MARKER.match(body.lstrip())
        if found is None:
            return None
        return cls(name=found[1], head=found[2], run=Run(number=int(found[3]), attempt=int(found[4])))

    def is_same_report(self, other: "Marker") -> bool:
        """Whether both are the report of this name."""
        return _word(self.name) == _word(other.name)


def _word(name: str) -> str:
    return name.replace(" ", "%20")  # a name holds no percent sign


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment that we wrote on the request `number`."""

    id: int
    number: int
    body: str
    url: str | None

    @property
    def marker(self) -> Marker | None:
        """Which report this is; None when it is none."""
        return Marker.of(self.body)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A pull or merge request as it is now; `comments` is how many it has, where the forge tells."""

    number: int
    head: str
    is_open: bool
    labels: tuple[str, ...] = ()
    comments: int | None = None


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """Who set a label, and when (ISO 8601); `doubt` says why it does not count, if it does not."""

    by: str
    at: str
    doubt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a commit status says; `outcome` is None when nothing could be judged.

    `url` is the page of the run. Forges keep it, and it says later which run has set a status.
    """

    name: str
    outcome: Outcome | None
    sentence: str
    url: str | None = None


def latest(marker: Marker, comments: Sequence[Comment]) -> Comment | None:
    """The comment with this report that the newest run wrote (of equals, the oldest comment); None without any."""
    ours = [item for item in comments if (found := item.marker) and found.is_same_report(marker)]
    return max(ours, key=lambda item: (item.marker.run if item.marker else Run(), -item.id), default=None)


def same(one: str, other: str) -> bool:
    """Whether two bodies are the same after what forges do to line ends."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def shortened(text: str, longest: int) -> str:
    """The beginning of a text, with an ellipsis where it is cut."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
