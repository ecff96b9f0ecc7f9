"""From comparisons to one outcome, its reasons and its exit code. Layer: core. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ci_ml.core.compare import Comparison
from ci_ml.core.gates import MOVED
from ci_ml.core.types import Outcome, Require, Severity, Status

EXIT_CODES = {Outcome.PASS: 0, Outcome.WARN: 0, Outcome.UNDECIDED: 11, Outcome.FAIL: 10}

# How harmful a status is, worst first: the order of every table.
HARM = (
    Status.REGRESSED,
    Status.MISSING,
    Status.INCONCLUSIVE,
    Status.NEW,
    Status.HELD,
    Status.UNCHANGED,
    Status.IMPROVED,
)

_IMPACT: dict[Require, dict[Status, Outcome]] = {
    Require.NO_REGRESSION: {
        Status.REGRESSED: Outcome.FAIL,
        Status.MISSING: Outcome.UNDECIDED,
        Status.INCONCLUSIVE: Outcome.WARN,
        Status.NEW: Outcome.WARN,
    },
    Require.NON_INFERIOR: {
        Status.REGRESSED: Outcome.FAIL,
        Status.MISSING: Outcome.UNDECIDED,
        Status.INCONCLUSIVE: Outcome.UNDECIDED,
        Status.NEW: Outcome.WARN,
    },
    Require.IMPROVEMENT: {
        Status.REGRESSED: Outcome.FAIL,
        Status.HELD: Outcome.FAIL,
        Status.UNCHANGED: Outcome.FAIL,
        Status.MISSING: Outcome.UNDECIDED,
        Status.INCONCLUSIVE: Outcome.UNDECIDED,
        Status.NEW: Outcome.UNDECIDED,
    },
    Require.REPORT: {},
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome, the sentence that says it with the number that decided, and every reason behind it."""

    outcome: Outcome
    sentence: str
    reasons: tuple[str, ...] = ()


def impact(comparison: Comparison) -> Outcome:
    """What one comparison alone would make of the verdict."""
    gate = comparison.gate
    return weigh(gate.require, gate.severity, comparison.status, too_small=comparison.too_small)


def weigh(require: Require, severity: Severity, status: Status, *, too_small: bool = False) -> Outcome:
    """What a status means to a gate: docs/gates.md has the table. A slice that is too small means nothing."""
    if too_small:
        return Outcome.PASS
    outcome = _IMPACT[require].get(status, Outcome.PASS)
    if severity is Severity.WARN and outcome.rank > Outcome.WARN.rank:
        return Outcome.WARN
    return outcome


def by_harm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The order of every table: what decides first, then by status, then by how much of the base was lost."""
    return sorted(comparisons, key=lambda item: (-impact(item).rank, HARM.index(item.status), -_loss(item)))


def decide(comparisons: Sequence[Comparison], warnings: Sequence[str] = (), doubts: Sequence[str] = ()) -> Verdict:
    """The verdict on a change.

    The worst impact decides. No gates is undecided, never a pass; when everything is new, that is a warning.
    `warnings` are reasons from outside the gates that forbid a silent pass; `doubts` are reasons why the numbers say
    nothing about this change, such as a stale stage behind them, and forbid any pass.
    """
    if doubts:
        without = decide(comparisons, warnings)
        if without.outcome.rank < Outcome.UNDECIDED.rank:
            reasons = (*doubts, *without.reasons)
            return Verdict(outcome=Outcome.UNDECIDED, sentence=doubts[0], reasons=reasons)
        return replace(without, reasons=(*without.reasons, *doubts))
    if not comparisons:
        sentence = "No gates: nothing was judged."
        return Verdict(outcome=Outcome.UNDECIDED, sentence=sentence, reasons=(sentence, *warnings))
    judged = [item for item in comparisons if not item.too_small]
    if all(item.status is Status.NEW for item in judged):
        one = len(judged) == 1
        count = "The one metric under a gate is new" if one else f"All {len(judged)} metrics under gates are new"
        first = f"{count}: there is nothing to compare with yet."
        reasons = (*(item.reason for item in judged), *warnings)
        return Verdict(outcome=Outcome.WARN, sentence=first, reasons=reasons)
    ordered = by_harm(comparisons)
    noticed = [item for item in ordered if impact(item) is not Outcome.PASS]
    outcome = impact(ordered[0])
    if warnings and outcome is Outcome.PASS:
        return Verdict(outcome=Outcome.WARN, sentence=warnings[0], reasons=tuple(warnings))
    if outcome is Outcome.PASS:
        return Verdict(outcome=outcome, sentence=_pass(comparisons))
    reasons = (*(_reason(item) for item in noticed), *warnings)
    return Verdict(outcome=outcome, sentence=_reason(ordered[0]), reasons=reasons)


def _reason(comparison: Comparison) -> str:
    wanted = comparison.gate.require is Require.IMPROVEMENT and comparison.status in (Status.HELD, Status.UNCHANGED)
    return f"{comparison.reason.removesuffix('.')}; the gate asks for an improvement." if wanted else comparison.reason


def _loss(comparison: Comparison) -> float:
    """How far the metric moved the wrong way, as a share of the base, or the table of its limit: the worst first."""
    contrast, gate = comparison.contrast, comparison.gate
    if contrast is not None and gate.absolute and gate.unit in MOVED:
        return contrast.head / (gate.ceiling or 1.0)
    if contrast is None or contrast.base is None or contrast.delta is None:
        return 0.0
    worse = -contrast.delta if gate.direction.value == "higher" else contrast.delta
    return worse / (abs(contrast.base) or 1.0)


def _still(comparisons: Sequence[Comparison]) -> str:
    drifted = any(item.status is Status.REGRESSED for item in comparisons if item.gate.unit in MOVED)
    return "drift stays within its limits" if drifted else "nothing drifted"


def _pass(comparisons: Sequence[Comparison]) -> str:
    if len(comparisons) == 1:
        return comparisons[0].reason
    asked = [item for item in comparisons if item.gate.require is not Require.REPORT and not item.too_small]
    if not asked:
        return "No gate asks for anything: every one of them only reports."
    if any(item.status in (Status.REGRESSED, Status.MISSING, Status.INCONCLUSIVE) for item in asked):
        return "Nothing that blocks got worse."
    moved = [item for item in asked if item.gate.absolute and item.gate.unit in MOVED]
    expected = [item for item in asked if item.gate.absolute and item.gate.unit not in MOVED]
    metrics = len(asked) - len(expected) - len(moved)
    held = f"all {metrics} gated metrics held" if metrics > 1 else "the one gated metric held"
    hold = f"all {len(expected)} expectations hold" if len(expected) > 1 else "the one expectation holds"
    total = " and ".join([held] * (metrics > 0) + [hold] * bool(expected) + [_still(comparisons)] * bool(moved))
    total = f"{total[0].upper()}{total[1:]}"
    improved = [item for item in asked if item.status is Status.IMPROVED]
    if not improved:
        return f"{total}."
    # What a team blocks on is what it cares about most.
    best = max(improved, key=lambda item: (item.gate.severity is Severity.BLOCK, -_loss(item)))
    return f"{total}, {len(improved)} improved: {best.reason}"
