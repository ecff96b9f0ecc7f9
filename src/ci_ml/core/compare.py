"""One gate, two readings: the status and one sentence for a human. Layer: core. Pure."""

from dataclasses import dataclass

from ci_ml.core import numbers
from ci_ml.core.gates import Gate, is_glob
from ci_ml.core.types import Contrast, Direction, Gap, Measurement, Reading, Status
from ci_ml.stats.points import exceeds


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A gate, what was measured under it (a contrast, or the gap that prevented one), its status, and why."""

    gate: Gate
    contrast: Contrast | None
    base: Reading
    head: Reading
    status: Status
    reason: str


def compare(gate: Gate, base: Reading, head: Reading) -> Comparison:
    """Judge two readings under one gate; the rules are those of docs/gates.md, first that holds."""
    contrast = _contrast(base, head)
    status, reason = _judge(gate, base, head, contrast)
    return Comparison(gate=gate, contrast=contrast, base=base, head=head, status=status, reason=reason)


def _contrast(base: Reading, head: Reading) -> Contrast | None:
    if isinstance(head, Gap) or (isinstance(base, Gap) and not base.absent):
        return None
    return Contrast(base=base.value if isinstance(base, Measurement) else None, head=head.value)


def _judge(gate: Gate, base: Reading, head: Reading, contrast: Contrast | None) -> tuple[Status, str]:
    if contrast is None:
        return Status.MISSING, _missing(gate, base, head)
    if violation := _violation(gate, contrast.head):
        return Status.REGRESSED, violation
    if contrast.base is None:
        value = numbers.plain(contrast.head, numbers.decimals(None, contrast.head))
        return Status.NEW, f"{gate.metric} is new: {value}; the base has nothing to compare it with."
    return _moved(gate, contrast.base, contrast.head)


def _missing(gate: Gate, base: Reading, head: Reading) -> str:
    if isinstance(head, Gap) and isinstance(base, Gap) and head.absent and base.absent:
        if is_glob(str(gate.metric)):
            return f"{gate.metric} matches no metric of the base or of the head."
        return f"{gate.metric} exists neither in the base nor in the head: {head.reason}."
    if isinstance(head, Gap):
        gone = " The base has it, so it disappeared." if head.absent and isinstance(base, Measurement) else ""
        return f"{gate.metric} cannot be read in the head: {head.reason}.{gone}"
    assert isinstance(base, Gap)
    return f"{gate.metric} cannot be read in the base: {base.reason}."


def _violation(gate: Gate, head: float) -> str | None:
    if gate.floor is not None and exceeds(gate.floor - head, 0.0, scale=gate.floor):
        digits = numbers.decimals(gate.floor, head, gate.floor - head)
        return f"{gate.metric} is {numbers.plain(head, digits)}, below its floor of {numbers.plain(gate.floor)}."
    if gate.ceiling is not None and exceeds(head - gate.ceiling, 0.0, scale=gate.ceiling):
        digits = numbers.decimals(gate.ceiling, head, head - gate.ceiling)
        return f"{gate.metric} is {numbers.plain(head, digits)}, above its ceiling of {numbers.plain(gate.ceiling)}."
    return None


def _moved(gate: Gate, base: float, head: float) -> tuple[Status, str]:
    if base == head:
        return Status.UNCHANGED, f"{gate.metric} is unchanged at {numbers.plain(head, numbers.decimals(base, head))}."
    better = head - base if gate.direction is Direction.HIGHER else base - head
    margin = gate.margin.at(base)
    movement = _movement(gate, base, head)
    if better > 0:
        return Status.IMPROVED, f"{movement}, which is better."
    if exceeds(-better, margin, scale=max(abs(base), abs(head))):
        return Status.REGRESSED, f"{movement}; the gate allows {allowance(gate, base)}."
    if margin == 0:
        return Status.HELD, f"{movement}, which is no more than rounding."
    return Status.HELD, f"{movement}, within the allowed {allowance(gate, base).removeprefix('a ')}."


def _movement(gate: Gate, base: float, head: float) -> str:
    delta = head - base
    digits = numbers.decimals(base, head, delta)
    verb = "rose" if delta > 0 else "fell"
    change = numbers.signed(delta, digits)
    share = f", {numbers.percent(delta / abs(base))}" if base and gate.margin.relative else ""
    return f"{gate.metric} {verb} from {numbers.plain(base, digits)} to {numbers.plain(head, digits)} ({change}{share})"


def allowance(gate: Gate, base: float) -> str:
    """What the gate lets a metric lose, in words: `a loss of 0.01`, `a rise of 20% (42.4)`, `no loss`."""
    noun = "loss" if gate.direction is Direction.HIGHER else "rise"
    if gate.margin.value == 0:
        return f"no {noun}"
    if gate.margin.relative:
        return f"a {noun} of {gate.margin} ({numbers.plain(gate.margin.at(base))})"
    return f"a {noun} of {numbers.plain(gate.margin.value)}"
