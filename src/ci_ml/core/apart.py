"""What is measured now against what was recorded, on different examples. Layer: core. Pure."""

from collections.abc import Sequence

from ci_ml.core import compare
from ci_ml.core.compare import Comparison
from ci_ml.core.gates import Gate
from ci_ml.core.types import Contrast, Gap, Metric
from ci_ml.stats import independent
from ci_ml.stats.estimate import Estimate


def comparisons(recorded: Sequence[Comparison], current: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of the same gates on other examples: each side was measured by itself.

    A slice that was not recorded is new; one that nobody asks for any more is left out, as it is of examples.
    """
    known = {(item.gate.metric, item.gate.slice): item for item in recorded}
    found: list[Comparison] = []
    slices: dict[Metric, list[tuple[Gate, Contrast | Gap]]] = {}
    for item in current:
        measured = _measured(known.get((item.gate.metric, item.gate.slice)), item)
        if item.gate.slice is None:
            found.append(compare.compare_measured(item.gate, measured))
        else:
            slices.setdefault(item.gate.metric, []).append((item.gate, measured))
    return [*found, *(one for pairs in slices.values() for one in compare.compare_slices(pairs))]


def _measured(recorded: Comparison | None, current: Comparison) -> Contrast | Gap:
    mine = _estimate(current)
    if isinstance(mine, Gap):
        return mine
    if recorded is None:
        assert current.contrast is not None
        return current.contrast  # new
    theirs = _estimate(recorded)
    if isinstance(theirs, Gap):
        return Gap(reason=f"as recorded, {theirs.reason}")
    return Contrast.of(independent.difference(theirs, mine), (mine.low, mine.high))


def _estimate(item: Comparison) -> Estimate | Gap:
    found = item.contrast
    if found is None:
        return _gap(item)
    if found.head_interval is None or found.confidence is None or found.n is None:
        return Gap(reason="there is no interval of it")
    low, high = found.head_interval
    return Estimate(
        value=found.head,
        low=low,
        high=high,
        confidence=found.confidence,
        method=found.method,
        n=found.n,
        clusters=found.n_clusters,
    )


def _gap(item: Comparison) -> Gap:
    assert isinstance(item.head, Gap)
    return item.head
