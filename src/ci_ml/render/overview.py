"""The gates of a report as a picture: a forest plot in SVG, for places that show images. Layer: render."""

from collections.abc import Sequence
from dataclasses import dataclass

from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Direction, Outcome
from ci_ml.render import cells, parts, safe, templating, words

WIDTH = 860
_ROW, _TOP, _BOTTOM = 28, 44, 12
_MOST = 30
_NAME = 44  # characters that fit beside the plot
_LEFT, _RIGHT = 360, 640
_ZERO = (_LEFT + _RIGHT) / 2
_UNIT = 70  # of a margin
# Readable on white, and told apart by whoever sees no red or green by where they lie.
_COLOR = {Outcome.FAIL: "#cf222e", Outcome.UNDECIDED: "#8250df", Outcome.WARN: "#9a6700", Outcome.PASS: "#1a7f37"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A gate: texts and places in the picture, all of it finished."""

    y: int
    name: str
    change: str
    color: str
    spot: float
    beyond: int = 0  # -1 or 1 where it lies to the left or the right of the plot
    low: float | None = None
    high: float | None = None


def gates(content: Report) -> str:
    """The picture; every row is drawn in units of its own margin, and right is better."""
    divided = parts.divide(content.comparisons)
    items = [item for item in (*divided.loud, *divided.warned, *divided.whole) if item.delta is not None]
    shown = items[:_MOST]
    more = len(content.comparisons) - len(shown)
    height = _TOP + _ROW * len(shown) + (_ROW if more else _BOTTOM)
    values = {
        "width": WIDTH,
        "height": height,
        "title": text(content),
        "zero": _ZERO,
        "margin": _ZERO - _UNIT,
        "right": _RIGHT,
        "rows": [_row(item, _TOP + _ROW * index) for index, item in enumerate(shown)],
        "left_out": f"{more:,} more gates and slices are in the report" if more else None,
    }
    return templating.render("gates.svg.j2", {}, values, escape=True)


def text(content: Report) -> str:
    """What the picture says, for who does not see it."""
    counts = [(outcome, sum(item.impact is outcome for item in content.comparisons)) for outcome in reversed(Outcome)]
    said = ", ".join(f"{count:,} {words.HEADLINE[outcome]}" for outcome, count in counts if count)
    return f"Gates of {content.name} with their intervals: {said}"


def _row(item: ComparisonPart, y: int) -> Row:
    assert item.delta is not None
    sign = 1 if item.direction is Direction.HIGHER else -1
    ends = sorted(sign * end for end in item.interval) if item.interval else []
    unit = item.margin_absolute or max([abs(item.delta), *map(abs, ends)]) or 1.0
    low, high = _places(ends, unit) or (None, None)
    return Row(
        y=y,
        name=safe.shortened(safe.printable(item.name), _NAME),
        change=safe.printable(cells.change(item)),
        color=_COLOR[item.impact],
        spot=_place(sign * item.delta, unit),
        beyond=_beyond(sign * item.delta, unit),
        low=low,
        high=high,
    )


def _places(ends: Sequence[float], unit: float) -> tuple[float, float] | None:
    return (_place(ends[0], unit), _place(ends[1], unit)) if ends else None


def _beyond(value: float, unit: float) -> int:
    where = _ZERO + value / unit * _UNIT
    return -1 if where < _LEFT else 1 if where > _RIGHT else 0


def _place(value: float, unit: float) -> float:
    """Where a change is drawn; what lies beyond the plot is at its edge."""
    return round(min(max(_ZERO + value / unit * _UNIT, _LEFT), _RIGHT), 1)
