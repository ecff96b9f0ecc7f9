"""One gate and what was measured under it: the status and one sentence for a human. Layer: core. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ci_ml.core import sentences
from ci_ml.core.gates import Gate
from ci_ml.core.types import Contrast, Direction, Gap, Measurement, Reading, Status
from ci_ml.stats import holm, relative
from ci_ml.stats.points import exceeds


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A gate, what was measured under it (a contrast, or the gap that prevented one), its status, and why.

    `corrected` is the p-value after Holm's correction over the slices of the gate, `family` how many there are.
    """

    gate: Gate
    contrast: Contrast | None
    base: Reading
    head: Reading
    status: Status
    reason: str
    corrected: float | None = None
    family: int | None = None

    @property
    def too_small(self) -> bool:
        """Whether this is a slice with fewer examples than its gate asks for: it is shown, and blocks nothing."""
        return too_small(self.gate.min_n, self.n)

    @property
    def n(self) -> int | None:
        """How many examples were measured, or were there to be."""
        return self.contrast.n if self.contrast else self.head.n if isinstance(self.head, Gap) else None


def too_small(min_n: int | None, n: int | None) -> bool:
    """Whether a slice has fewer examples than its gate asks for."""
    return min_n is not None and n is not None and n < min_n


def compare(gate: Gate, base: Reading, head: Reading) -> Comparison:
    """Judge two readings under one gate; the rules are those of docs/gates.md, first that holds."""
    contrast = _contrast(base, head)
    if contrast is None:
        status, reason = Status.MISSING, sentences.missing(gate, base, head)
    else:
        status = judge(gate, contrast)
        reason = sentences.point(gate, contrast, status, beyond=violates(gate, contrast))
    return Comparison(gate=gate, contrast=contrast, base=base, head=head, status=status, reason=reason)


def compare_measured(gate: Gate, measured: Contrast | Gap) -> Comparison:
    """Judge what a table of predictions says, or why it does not say it."""
    return _compared(gate, measured)


def compare_data(gate: Gate, measured: Contrast | Gap, said: str = "", shown: str = "") -> Comparison:
    """Judge what is expected of a table: it holds or it does not, whatever the base was.

    `said` is what there is to say about it where it is not about rows, and `shown` are some rows that are wrong.
    """
    if isinstance(measured, Contrast) and not math.isfinite(measured.head):
        measured = Gap(reason="it came out as no finite number")
    if isinstance(measured, Gap):
        return _compared(gate, measured)
    status = judge(gate, measured)
    reason = sentences.expectation(gate, measured, status, said, shown)
    absent = Gap(reason=f"the base says nothing of {gate.metric}", absent=True)
    base = absent if measured.base is None else Measurement(value=measured.base, source=str(gate.metric))
    head = Measurement(value=measured.head, source=str(gate.metric))
    return Comparison(gate=gate, contrast=measured, base=base, head=head, status=status, reason=reason)


def compare_slices(slices: Sequence[tuple[Gate, Contrast | Gap]]) -> list[Comparison]:
    """Judge the slices of one gate; Holm corrects the claims that one regressed, over those that are judged."""
    judged = [
        index
        for index, (gate, found) in enumerate(slices)
        if isinstance(found, Contrast) and found.p_value is not None and not too_small(gate.min_n, found.n)
    ]
    p_values = [found.p_value for _, found in (slices[index] for index in judged) if isinstance(found, Contrast)]
    corrected = dict(zip(judged, holm.adjusted([p for p in p_values if p is not None]), strict=True))
    family = len(judged)
    return [
        _compared(gate, found, corrected.get(index) if family > 1 else None, family)
        for index, (gate, found) in enumerate(slices)
    ]


def _compared(
    gate: Gate, measured: Contrast | Gap, corrected: float | None = None, family: int | None = None
) -> Comparison:
    if isinstance(measured, Gap):
        small = too_small(gate.min_n, measured.n)
        return Comparison(
            gate=gate,
            contrast=None,
            base=measured,
            head=measured,
            status=Status.INCONCLUSIVE if small else Status.MISSING,
            reason=sentences.small(gate, measured.n, measured.reason)
            if small
            else sentences.unmeasured(gate, measured),
            family=family,
        )
    measured = _with_allowance(gate, measured)
    source = str(gate.metric)
    absent = Gap(reason=f"the base has no {source}", absent=True)
    if too_small(gate.min_n, measured.n):
        status, reason = Status.INCONCLUSIVE, sentences.small(gate, measured.n)
    else:
        status = judge(gate, measured, corrected)
        reason = sentences.interval(gate, measured, status, corrected, family)
    return Comparison(
        gate=gate,
        contrast=measured,
        base=absent if measured.base is None else Measurement(value=measured.base, source=source),
        head=Measurement(value=measured.head, source=source),
        status=status,
        reason=reason,
        corrected=corrected,
        family=family,
    )


def _with_allowance(gate: Gate, measured: Contrast) -> Contrast:
    """The contrast with what a margin that is a share of the base allows, given how noisy the base is."""
    if not gate.margin.relative or measured.found is None or measured.base is None:
        return measured
    higher = gate.direction is Direction.HIGHER
    return replace(measured, allowed=relative.allowed(measured.found, gate.margin.value, higher_is_better=higher))


def _contrast(base: Reading, head: Reading) -> Contrast | None:
    if isinstance(head, Gap) or (isinstance(base, Gap) and not base.absent):
        return None
    return Contrast(base=base.value if isinstance(base, Measurement) else None, head=head.value)


def judge(gate: Gate, found: Contrast, corrected: float | None = None) -> Status:
    """The status of what was measured. `corrected` is the p-value after Holm's correction, for a slice."""
    if not _is_numbers(found):  # NaN compares false with everything, and would pass
        return Status.MISSING
    chance = corrected is not None and found.confidence is not None and corrected > 1 - found.confidence
    if violates(gate, found) and not (gate.absolute and chance):
        return Status.REGRESSED
    if gate.absolute:
        return Status.HELD if clears(gate, found) else Status.INCONCLUSIVE
    if found.base is None:
        return Status.NEW
    if found.interval is None:
        return _moved(gate, found.base, found.head)
    better, low, high = turned(gate, found)
    margin = gate.margin.at(found.base)
    scale = max(abs(found.base), abs(found.head))
    if high < 0 and exceeds(-better, margin, scale=scale) and not chance:
        return Status.REGRESSED
    if found.identical and low == high == 0:
        return Status.UNCHANGED
    if clears(gate, found) and low > 0:
        return Status.IMPROVED
    if clears(gate, found) and not exceeds(-low, safe(gate, found), scale=scale):
        return Status.HELD
    return Status.INCONCLUSIVE


def _is_numbers(found: Contrast) -> bool:
    ends = (*(found.interval or ()), *(found.head_interval or ()))
    return not any(math.isnan(value) for value in (found.base or 0.0, found.head, found.allowed or 0.0, *ends))


def safe(gate: Gate, found: Contrast) -> float:
    """How far the bad end of the interval may lie from 0: the margin, less what a noisy base takes away from it."""
    assert found.base is not None
    margin = gate.margin.at(found.base)
    return margin if found.allowed is None else min(margin, found.allowed)


def turned(gate: Gate, found: Contrast) -> tuple[float, float, float]:
    """The change and both ends of its interval, turned so that positive is better."""
    assert found.delta is not None
    assert found.interval is not None
    low, high = found.interval
    return (found.delta, low, high) if gate.direction is Direction.HIGHER else (-found.delta, -high, -low)


def violates(gate: Gate, found: Contrast) -> bool:
    """Whether the head, or the whole of its interval, is beyond a bound."""
    low, high = found.head_interval or (found.head, found.head)
    below = gate.floor is not None and exceeds(gate.floor - high, 0.0, scale=gate.floor)
    return below or (gate.ceiling is not None and exceeds(low - gate.ceiling, 0.0, scale=gate.ceiling))


def clears(gate: Gate, found: Contrast) -> bool:
    """Whether the head, with the whole of its interval, is within its bounds."""
    low, high = found.head_interval or (found.head, found.head)
    above = gate.floor is None or not exceeds(gate.floor - low, 0.0, scale=gate.floor)
    return above and (gate.ceiling is None or not exceeds(high - gate.ceiling, 0.0, scale=gate.ceiling))


def _moved(gate: Gate, base: float, head: float) -> Status:
    """The status of two plain numbers."""
    if base == head:
        return Status.UNCHANGED
    better = head - base if gate.direction is Direction.HIGHER else base - head
    if better > 0:
        return Status.IMPROVED
    beyond = exceeds(-better, gate.margin.at(base), scale=max(abs(base), abs(head)))
    return Status.REGRESSED if beyond else Status.HELD
