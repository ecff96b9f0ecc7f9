"""What an A/A test found: how often a gate said what, though neither side was better. Layer: core."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ci_ml.core.types import Outcome


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One gate (or all slices of one) under exchange: in how many of the draws it came to which status.

    `slices` counts the slices that are judged; then a draw counts as regressed when any of them did. `problem` says why
    a gate could not be tried.
    """

    gate: str
    draws: int
    regressed: int = 0
    held: int = 0
    slices: int = 0
    margin: str = ""
    n: int | None = None
    problem: str | None = None

    @property
    def false_alarms(self) -> float:
        """The share of draws that came out as regressed."""
        return self.regressed / self.draws

    @property
    def passed(self) -> float:
        """The share of draws in which the gate (or all of its slices) passed."""
        return self.held / self.draws

    def alarming(self, confidence: float) -> bool:
        """Whether there are more false alarms than the gate promises, beyond what so few draws explain (3 sigma).

        A gate promises half of 1 - confidence; the slices of a gate together, which Holm corrects, all of it.
        """
        promised = 1 - confidence if self.slices else (1 - confidence) / 2
        error = math.sqrt(promised * (1 - promised) / self.draws)
        return self.false_alarms > promised + 3 * error


def outcome(found: Sequence[Trial], confidence: float) -> Outcome:
    """What an A/A test comes to: false alarms fail it, and it is undecided when no gate could be tried."""
    tried = [trial for trial in found if trial.draws]
    if any(trial.alarming(confidence) for trial in tried):
        return Outcome.FAIL
    return Outcome.PASS if tried else Outcome.UNDECIDED
