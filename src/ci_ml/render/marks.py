"""The sign beside a gate on a page: its kind, a symbol and a word, so that nothing hangs on colour. Layer: render."""

from dataclasses import dataclass

from ci_ml.core.report import ComparisonPart
from ci_ml.core.types import Outcome, Status
from ci_ml.render import cells

KINDS = {Outcome.PASS: "pass", Outcome.WARN: "warn", Outcome.UNDECIDED: "undecided", Outcome.FAIL: "fail"}
SYMBOLS = {"pass": "✓", "warn": "!", "undecided": "?", "fail": "✕", "info": "i", "small": "·"}
MEANS = {
    "fail": ("blocks", "block"),
    "undecided": ("undecided", "undecided"),
    "warn": ("warns", "warn"),
    "info": ("only reported", "only reported"),
    "pass": ("passes", "pass"),
    "small": ("too small to judge", "too small to judge"),
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """`kind` is what became of a gate, and `word` its status."""

    kind: str
    word: str

    @property
    def symbol(self) -> str:
        """One character."""
        return SYMBOLS[self.kind]


# What is expected of a table has not regressed where it is broken: nobody asked how it was before.
_EXPECTED = {Status.REGRESSED: "broken", Status.HELD: "holds"}


def mark(item: ComparisonPart) -> Mark:
    """What became of a comparison; one that only reports is no success when it lost, nor is one that nobody judged."""
    if item.too_small:
        return Mark(kind="small", word="too small")
    word = _EXPECTED.get(item.status, item.status.value) if item.absolute else item.status.value
    word = cells.moved(item) if item.moved else word
    return Mark(kind="info" if cells.only_reported(item) else KINDS[item.impact], word=word)


def worse(one: Mark, other: Mark) -> bool:
    """Whether the first is worse news than the second."""
    kinds = list(MEANS)
    return kinds.index(one.kind) < kinds.index(other.kind)


def of(outcome: Outcome) -> str:
    """The kind of a verdict."""
    return KINDS[outcome]
