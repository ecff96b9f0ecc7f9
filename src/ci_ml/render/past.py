"""What metrics were before the change, in words and in pictures. Layer: render."""

from dataclasses import dataclass

from ci_ml.core import numbers
from ci_ml.core.exhibits import HistoryPart
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.render import charts, safe

_LONGEST = 40  # points of a sparkline, or characters of a name: what a phone shows on one line
_TITLE = 80


@dataclass(frozen=True, kw_only=True)
class Past:
    """One metric: the gate that is about it, and its values with the head's as the last."""

    gate: ComparisonPart
    values: tuple[float, ...]
    labels: tuple[str, ...]

    @property
    def sparkline(self) -> str:
        """The newest values as one line of characters; the last of them is the change's."""
        return charts.sparkline(self.values[-_LONGEST:])

    @property
    def span(self) -> str:
        """`0.821 → 0.840, now 0.836`."""
        first, last, now = self.values[0], self.values[-2], self.values[-1]
        digits = numbers.decimals(first, last, now - last, last - first)
        return f"{numbers.plain(first, digits)} → {numbers.plain(last, digits)}, now {numbers.plain(now, digits)}"

    @property
    def chart(self) -> str:
        """The same as a Mermaid chart."""
        return charts.mermaid(safe.shortened(self.gate.metric, _TITLE), self.values, self.labels)


def pasts(content: Report) -> list[Past]:
    """Every metric that is known from before and has a value now; the one whose gate or slice did most harm first."""
    known = {item.metric: item for item in content.history if item.points}
    whole = {item.metric: item for item in reversed(content.comparisons) if item.slice is None}
    order = dict.fromkeys(item.metric for item in content.comparisons if item.metric in known and item.metric in whole)
    return [_past(whole[metric], known[metric]) for metric in order if whole[metric].head is not None]


def _past(gate: ComparisonPart, history: HistoryPart) -> Past:
    assert gate.head is not None
    points = history.points
    names = [point.sha[:7] for point in points]
    if len(set(names)) < len(names):
        names = [str(number) for number, _ in enumerate(names, start=1)]
    return Past(
        gate=gate,
        values=(*(point.value for point in points), gate.head),
        labels=(*names, "now"),
    )


def title(found: list[Past], branch: str) -> str:
    """What the section holds, with the first metric's picture: `History: test.recall ▁▃▂▇█▇ on main, and 2 more`."""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"History: {safe.shortened(found[0].gate.metric, _LONGEST)} {found[0].sparkline} on {branch}{more}"
