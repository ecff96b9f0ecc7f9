"""Every comparison as a row of a CSV file, with all of its numbers. Layer: render."""

import csv
import io
from collections.abc import Callable

from ci_ml.core.report import ComparisonPart, Report
from ci_ml.render import safe

_FORMULA = tuple("=+-@")
# A column by its name: the field of a comparison, or what is made of one.
_COLUMNS: dict[str, Callable[[ComparisonPart], object]] = {
    "metric": lambda item: item.metric,
    "slice": lambda item: str(item.where) if item.where else None,
    "between": lambda item: " and ".join(item.between) if item.between else None,
    "direction": lambda item: item.direction.value,
    "base": lambda item: item.base,
    "head": lambda item: item.head,
    "delta": lambda item: item.delta,
    "low": lambda item: item.interval[0] if item.interval else None,
    "high": lambda item: item.interval[1] if item.interval else None,
    "head_low": lambda item: item.head_interval[0] if item.head_interval else None,
    "head_high": lambda item: item.head_interval[1] if item.head_interval else None,
    "confidence": lambda item: item.confidence,
    "p_value": lambda item: item.p_value,
    "corrected": lambda item: item.corrected,
    "family": lambda item: item.family,
    "n": lambda item: item.n,
    "n_clusters": lambda item: item.n_clusters,
    "min_n": lambda item: item.min_n,
    "method": lambda item: item.method,
    "margin": lambda item: item.margin,
    "margin_absolute": lambda item: item.margin_absolute,
    "allowed": lambda item: item.allowed,
    "smallest_margin": lambda item: item.smallest_margin,
    "floor": lambda item: item.floor,
    "ceiling": lambda item: item.ceiling,
    "require": lambda item: item.require.value,
    "severity": lambda item: item.severity.value,
    "status": lambda item: item.status.value,
    "impact": lambda item: item.impact.value,
    "reason": lambda item: item.reason,
    "file": lambda item: item.declared.path if item.declared else None,
    "line": lambda item: item.declared.line if item.declared else None,
}


def report(content: Report) -> str:
    """CSV with a header; what is absent is empty."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["report", *_COLUMNS])
    rows.writerows(
        [_cell(content.name), *(_cell(column(item)) for column in _COLUMNS.values())] for item in content.comparisons
    )
    return text.getvalue()


def _cell(value: object) -> str:
    """A number with every digit; a text on one line that no spreadsheet computes and no runner obeys."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return repr(value)
    text = safe.inert(safe.printable(str(value)))
    # https://owasp.org/www-community/attacks/CSV_Injection
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
