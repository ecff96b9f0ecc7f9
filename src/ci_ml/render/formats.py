"""Every form that a report has beside the one for a terminal, by its name. Layer: render."""

from collections.abc import Callable, Mapping

from ci_ml.core.report import Report
from ci_ml.render import annotations, codequality, html, junit, markdown, openmetrics, safe, table

Render = Callable[[Report], str]
Templates = Mapping[str, str]


def _json(content: Report) -> str:
    return safe.inert_json(content.to_json())


FORMATS: Mapping[str, Render] = {
    "json": _json,
    "junit": junit.report,
    "openmetrics": openmetrics.report,
    "codequality": codequality.report,
    "annotations": annotations.report,
    "csv": table.report,
}
# Those that are made from templates, which a team may have of its own.
STYLED: Mapping[str, Callable[[Report, Templates], str]] = {
    "markdown": markdown.preview,
    "html": html.report,
}


def render(form: str, content: Report, own: Templates) -> str:
    """The report in a form. Raises UsageError when a template of `own` does not serve."""
    return STYLED[form](content, own) if form in STYLED else FORMATS[form](content)
