"""A report on stdout, in the form that was asked for. Layer: cli."""

from collections.abc import Mapping
from typing import Any

import click

from ci_ml.cli import boundary

PAGE = 120  # columns of a text that goes to a file


def own(config: str | None, output: str | None, format: str) -> Mapping[str, str]:
    """The project's own templates, for a form that is made from some."""
    from ci_ml.wiring import reports

    return reports.templates(config, output) if format in ("markdown", "html") else {}


def show(report: Any, format: str, explain: str | None = None, *, templates: Mapping[str, str]) -> None:
    """Print a report."""
    text = rendered(report, format, explain, width=boundary.width(), color=boundary.color(), templates=templates)
    if format == "markdown":  # on a terminal, where a runner reads along
        from ci_ml.render import safe

        text = safe.inert(text)
    click.echo(text, nl=False)


def rendered(
    report: Any, format: str, explain: str | None, *, width: int, color: bool, templates: Mapping[str, str]
) -> str:
    """A report as text."""
    if format != "terminal":
        from ci_ml.render import formats

        return formats.render(format, report, templates)
    from ci_ml.render import terminal

    if explain is None:
        return terminal.report(report, width=width, color=color)
    return terminal.explain(report, explain, width=width, color=color)
