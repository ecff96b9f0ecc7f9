"""Annotations on the lines of a pull request: workflow commands for GitHub's runner, one a line. Layer: render.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from collections.abc import Iterator, Sequence

from ci_ml.core.report import Report
from ci_ml.core.types import Outcome
from ci_ml.render import safe
from ci_ml.render.findings import Finding, findings

MOST = 10  # of each level, of one step: the runner drops the others without a word
_LEVEL = {Outcome.FAIL: "error", Outcome.UNDECIDED: "error", Outcome.WARN: "warning", Outcome.PASS: "notice"}


def report(content: Report) -> str:
    """Errors for what blocks, warnings, and notices for what changed beside it; a waiver takes the errors back."""
    levels: dict[str, list[Finding]] = {"error": [], "warning": [], "notice": []}
    for item in findings(content):
        level = _LEVEL[item.outcome]
        levels["warning" if content.verdict.waivers and level == "error" else level].append(item)
    return "".join(f"{line}\n" for level, items in levels.items() for line in _commands(level, items, content.name))


def _commands(level: str, items: Sequence[Finding], name: str) -> Iterator[str]:
    shown = items if len(items) <= MOST else items[: MOST - 1]
    for item in shown:
        place = {}
        if item.place is not None:
            line = {"line": str(item.place.line)} if item.place.line else {}
            place = {"file": safe.printable(item.place.path), **line}
        yield _command(level, item.text, {**place, "title": f"{name}: {item.title}"})
    if left := len(items) - len(shown):
        yield _command(
            level, f"{left:,} more are in the job summary and in report.json.", {"title": f"{name}: and more"}
        )


def _command(level: str, message: str, properties: dict[str, str]) -> str:
    given = ",".join(
        f"{key}={_data(value).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items()
    )
    return f"::{level} {given}::{_data(message)}"


def _data(text: str) -> str:
    """As the runner takes it apart again: everything else is text."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
