"""Which comparisons a reader sees first, and what is collapsed and counted. Layer: render."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Direction, Outcome, Status
from ci_ml.render.cells import ends, only_reported, outside_bounds

_WARNED_SLICES = 10


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What needs attention, and the rest: slices that only warn beyond the first few, whole sets, slices."""

    loud: Sequence[ComparisonPart]
    warned: Sequence[ComparisonPart]
    whole: Sequence[ComparisonPart]
    slices: Sequence[ComparisonPart]


def divide(items: Sequence[ComparisonPart]) -> Parts:
    """Everything that blocks is loud, and of slices that warn as many as a reader takes in."""
    loud = [item for item in items if not _is_quiet(item)]
    warned = [item for item in loud if item.slice and item.impact is Outcome.WARN][_WARNED_SLICES:]
    beyond = {id(item) for item in warned}
    return Parts(
        loud=[item for item in loud if id(item) not in beyond],
        warned=warned,
        whole=[item for item in items if _is_quiet(item) and not item.slice],
        slices=by_loss(item for item in items if _is_quiet(item) and item.slice),
    )


def loss(item: ComparisonPart) -> float:
    """How much of its margin a metric lost, to put the worst first: of several gates, too."""
    if item.moved and item.head is not None:
        return item.head / (item.ceiling or 1.0)
    if item.delta is None:
        return 0.0
    worse = -item.delta if item.direction is Direction.HIGHER else item.delta
    return worse / (item.margin_absolute or abs(item.base or 0.0) or 1.0)


def _is_quiet(item: ComparisonPart) -> bool:
    """Whether a row can be collapsed: what passes, and a slice whose only news is that it is new.

    A column that drifted is news, also where only the share of such columns blocks.
    """
    if item.moved and item.status is Status.REGRESSED:
        return False
    return item.impact is Outcome.PASS or (
        item.slice is not None and item.status is Status.NEW and item.impact is Outcome.WARN
    )


def by_loss(items: Iterable[ComparisonPart]) -> list[ComparisonPart]:
    """Slices with the worst change first; those too small to judge come last, for their changes are mostly noise."""
    return sorted(items, key=lambda item: (item.too_small, -loss(item)))


def held(items: Sequence[ComparisonPart], noun: str) -> str:
    """`22 slices held, none improved, 3 too small to judge`."""
    if items and all(item.absolute for item in items):
        moved = sum(item.moved and not item.tally for item in items)
        rules = len(items) - moved
        hold = f"{rules:,} expectation{' holds' if rules == 1 else 's hold'}"
        return ", ".join([hold] * bool(rules) + [f"{moved:,} did not drift"] * bool(moved))
    small = sum(item.too_small for item in items)
    reported = sum(only_reported(item) for item in items)
    new = sum(item.status is Status.NEW and not item.too_small for item in items)
    improved = sum(item.status is Status.IMPROVED for item in items)
    good = len(items) - small - reported - new
    counts = [(good, "held"), (small, "too small to judge"), (new, "new"), (reported, "only reported")]
    said = [f"{count:,} {word}" for count, word in counts if count]
    if good:
        said.insert(1, f"{improved:,} of them improved" if improved else "none improved")
    first, _, rest = (", ".join(said) or "0 held").partition(" ")
    return f"{first} {noun}{'' if first == '1' else 's'} {rest}"


def reasons(content: Report) -> tuple[list[str], list[str]]:
    """Why, beyond the first sentence: what stands above the table, and what cannot be decided, which stands below it.

    What a row or a count says already is not said again.
    """
    undecided = {item.reason for item in content.comparisons if item.status is Status.INCONCLUSIVE}
    said = {content.verdict.sentence, *(item.reason for item in content.comparisons if _says_it_all(item))}
    others = [reason for reason in content.verdict.reasons if reason not in said]
    return (
        [reason for reason in others if reason not in undecided],
        [reason for reason in others if reason in undecided],
    )


def _says_it_all(item: ComparisonPart) -> bool:
    """Whether the row of a slice, with its change and interval, or the count of new ones leaves nothing to be said."""
    if item.slice is None:
        return False
    is_plain = item.status is Status.REGRESSED and ends(item) is not None and not outside_bounds(item)
    return is_plain or (item.status is Status.NEW and _is_quiet(item))
