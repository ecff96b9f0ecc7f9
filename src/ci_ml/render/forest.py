"""Where a change and its interval lie on the row of a forest plot, for pictures made of lines. Layer: render.

Every row is in units of its own margin, so that rows compare; right is better, whatever the metric's direction.
"""

from dataclasses import dataclass

from ci_ml.core.report import ComparisonPart
from ci_ml.core.types import Direction

REACH = 2.0  # margins to either side of zero
LIMIT = 50 * (1 - 1 / REACH)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Percent of the width, from 0 to 100: the estimate and its interval, and which of them lie beyond the picture."""

    at: float
    low: float | None = None
    high: float | None = None
    beyond: int = 0  # the estimate: -1 to the left, 1 to the right
    opens_left: bool = False
    opens_right: bool = False
    has_margin: bool = True

    @property
    def packed(self) -> list[float]:
        """The same for JavaScript: at, beyond, has a margin; of an interval low, high, opens left, opens right."""
        found = [self.at, self.beyond, int(self.has_margin)]
        ends = [self.low, self.high, int(self.opens_left), int(self.opens_right)]
        return found if self.low is None else [*found, *(end for end in ends if end is not None)]


def row(item: ComparisonPart) -> Row | None:
    """The row of one comparison; None where there is no change."""
    if item.delta is None:
        return None
    sign = 1 if item.direction is Direction.HIGHER else -1
    better = sign * item.delta
    ends = sorted(sign * end for end in item.interval) if item.interval and not item.identical else None
    margin = item.margin_absolute or 0.0
    unit = margin or max(abs(better), *(map(abs, ends) if ends else ()), 0.0) or 1.0
    at, beyond = _place(better / unit)
    if ends is None:
        return Row(at=at, beyond=beyond, has_margin=bool(margin))
    (low, left), (high, right) = (_place(end / unit) for end in ends)
    return Row(
        at=at, beyond=beyond, low=low, high=high, opens_left=left < 0, opens_right=right > 0, has_margin=bool(margin)
    )


def _place(value: float) -> tuple[float, int]:
    """Percent of the width, and on which side it leaves the picture."""
    if abs(value) > REACH:
        return (100.0, 1) if value > 0 else (0.0, -1)
    return round(50 + value / REACH * 50, 1), 0


def said(item: ComparisonPart, change: str) -> str:
    """The row in words, for who does not see it."""
    return f"change of {item.name}: {change}" + (f"; the gate allows {item.allows}" if item.allows else "")
