"""All comparisons as rows that a browser sorts and filters. Layer: render.

A row is a list, because 20,000 of them are sent: texts as they are shown, and the numbers that they sort by.
"""

from collections.abc import Sequence
from typing import Any

from ci_ml.core.report import ComparisonPart
from ci_ml.render import cells, explain, forest, parts, safe
from ci_ml.render.marks import Mark, mark

_LONGEST = 120
# The names under which the page's script finds what is in a row, in this order.
FIELDS = "metric where base head change interval n p mark plot base_value head_value delta loss n_value p_value".split()


def data(items: Sequence[ComparisonPart]) -> dict[str, Any]:
    """Everything that the page's script needs: metrics and marks by number, and a row for each comparison."""
    metrics: dict[str, int] = {}
    marks: dict[Mark, int] = {}
    rows = [
        _row(
            item,
            metrics.setdefault(item.metric, len(metrics)),
            marks.setdefault(mark(item), len(marks)),
        )
        for item in ordered(items)
    ]
    return {
        "fields": FIELDS,
        "metrics": [brief(name) for name in metrics],
        "marks": [[found.kind, found.symbol, found.word] for found in marks],
        "rows": rows,
    }


def ordered(items: Sequence[ComparisonPart]) -> list[ComparisonPart]:
    """Harm first; what held by how much of its margin it lost."""
    divided = parts.divide(items)
    return [*divided.loud, *divided.warned, *divided.whole, *divided.slices]


def _row(item: ComparisonPart, metric: int, found: int) -> list[Any]:
    base, head = cells.values(item)
    ends = cells.ends(item)
    plot = forest.row(item)
    p = item.corrected if item.corrected is not None else item.p_value
    return [
        metric,
        brief(str(item.where)) if item.slice else "",
        base,
        head,
        cells.moved(item),
        cells.bracketed(ends) if ends else "",
        f"{item.n:,}" if item.n is not None else "",
        explain.p_value(p),
        found,
        plot.packed if plot else 0,
        *(_short(value) for value in (item.base, item.head, item.delta, parts.loss(item))),
        item.n,
        _short(p),
    ]


def _short(value: float | None) -> float | None:
    """What is enough to sort by."""
    return None if value is None else float(f"{value:.6g}")


def brief(name: str) -> str:
    """A name that fits a row, with nothing hidden in it."""
    return safe.shortened(safe.printable(name), _LONGEST)
