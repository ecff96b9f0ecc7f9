"""Pictures made of characters. Layer: render."""

import math
from collections.abc import Sequence

WIDTH = 16
_ZERO = 8
_MARGIN = 4
# Wide and low, and a blue that shows on both grounds: the one of Mermaid's light theme hardly does.
_MERMAID = """\
---
config:
  xyChart:
    width: 700
    height: 260
  themeVariables:
    xyChart:
      plotColorPalette: "#2f81f7"
---
"""
_HEIGHTS = "▁▂▃▄▅▆▇█"


def forest(better: float, margin: float, interval: tuple[float, float] | None = None) -> str:
    """One row of a forest plot, 16 characters wide.

    `better` is the change turned so that right is better, `margin` the loss that is allowed, `interval` the change's
    interval turned likewise. Every row is drawn in units of its own margin, so that rows compare: `┊` is minus the
    margin, `│` zero, `●` the estimate, `├─┤` the interval, `◂ ▸` where it leaves the picture.
    """
    unit = margin or max(abs(better), *(map(abs, interval) if interval else ()), 0.0) or 1.0
    cells = ["·"] * WIDTH
    if interval:
        _bar(cells, *(_position(edge, unit) for edge in sorted(interval)))
    if margin:
        cells[_ZERO - _MARGIN] = "┊"
    cells[_ZERO] = "│"
    spot = _position(better, unit)
    cells[min(max(spot, 0), WIDTH - 1)] = "◂" if spot < 0 else "▸" if spot >= WIDTH else "●"
    return "".join(cells)


def _position(value: float, unit: float) -> int:
    share = value / unit * _MARGIN
    return _ZERO + round(min(max(share, -WIDTH), WIDTH))


def _bar(cells: list[str], low: int, high: int) -> None:
    for index in range(max(low, 0), min(high, WIDTH - 1) + 1):
        cells[index] = "─"
    if low < 0:
        cells[0] = "◂"
    elif low < WIDTH:
        cells[low] = "├"
    if high >= WIDTH:
        cells[-1] = "▸"
    elif high >= 0:
        cells[high] = "┤"


def sparkline(values: Sequence[float]) -> str:
    """One character for each value, as high as it lies between the smallest and the largest; `▄` when all are equal."""
    low, high = min(values), max(values)
    if low == high:
        return "▄" * len(values)
    steps = len(_HEIGHTS) - 1
    # Halved first: the distance of two finite numbers may be infinite.
    return "".join(_HEIGHTS[round((value / 2 - low / 2) / (high / 2 - low / 2) * steps)] for value in values)


def mermaid(title: str, values: Sequence[float], labels: Sequence[str]) -> str:
    """A line chart that GitHub and GitLab draw: https://mermaid.js.org/syntax/xyChart.html.

    Values of the same label would be drawn at one place. `title` and `labels` lose what could end them.
    """
    # Mermaid reads no exponents: six digits of the largest value, and of small ones as many decimals as that takes.
    largest = max(map(abs, values), default=0.0)
    decimals = min(max(0, 5 - math.floor(math.log10(largest))), 30) if largest else 0
    numbers = ", ".join(f"{value:.{decimals}f}" for value in values)
    axis = ", ".join(f'"{_quoted(label)}"' for label in labels)
    lines = [
        *_MERMAID.splitlines(),
        "xychart-beta",
        f'  title "{_quoted(title)}"',
        f"  x-axis [{axis}]",
        f"  line [{numbers}]",
    ]
    return "\n".join(["```mermaid", *lines, "```"])


def _quoted(text: str) -> str:
    return "".join(char if char.isalnum() or char in " .,:;/_-+=[]()@*" else " " for char in text)
