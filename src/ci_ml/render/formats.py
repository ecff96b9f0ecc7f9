"""Every form that a report has beside the one for a terminal, by its name. Layer: render."""

from collections.abc import Callable, Mapping

from ci_ml.core.report import Report
from ci_ml.render import annotations, codequality, junit, markdown, openmetrics, table

Render = Callable[[Report], str]


def _json(content: Report) -> str:
    return content.to_json().replace("##[", "\\u0023#[")  # a command to GitHub's runner


FORMATS: Mapping[str, Render] = {
    "markdown": markdown.report,
    "json": _json,
    "junit": junit.report,
    "openmetrics": openmetrics.report,
    "codequality": codequality.report,
    "annotations": annotations.report,
    "csv": table.report,
}
