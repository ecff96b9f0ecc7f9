"""What `ci-ml doctor` found: lines for people, JSON for machines. Layer: render."""

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType

from ci_ml.core import doctor
from ci_ml.core.doctor import Finding, Health
from ci_ml.render.layout import grid, line, to_text
from ci_ml.render.safe import inert_json, shortened

_MARK = {Health.OK: "✓", Health.PROBLEM: "✗", Health.UNKNOWN: "?"}
_STYLE = {Health.OK: "green", Health.PROBLEM: "red", Health.UNKNOWN: "magenta"}
_LONGEST = 500


def terminal(findings: Sequence[Finding], *, width: int = 100, color: bool = False) -> str:
    """A line per check, its fix below it, and how many problems there are."""
    table = grid(("", "left"), ("", "left"), ("", "left"))
    table.show_header = False
    for one in findings:
        style = _STYLE[one.health]
        parts: list[RenderableType] = [line(shortened(one.sentence, _LONGEST))]
        if one.fix and one.health is not Health.OK:
            parts.append(line(f"fix: {shortened(one.fix, _LONGEST)}", style="bold"))
        table.add_row(line(_MARK[one.health], style=style), line(one.check.value, style=style), Group(*parts))
    return to_text(Group(table, line(""), line(_summary(findings), style="bold")), width=width, color=color)


def _summary(findings: Sequence[Finding]) -> str:
    problems = sum(one.health is Health.PROBLEM for one in findings)
    unknown = sum(one.health is Health.UNKNOWN for one in findings)
    said = "nothing is wrong" if not problems else "1 problem" if problems == 1 else f"{problems} problems"
    return f"{said}; {unknown} could not be looked at" if unknown else said


def data(forge: str | None, repository: str | None, findings: Sequence[Finding]) -> str:
    """`ci-ml/doctor/v1`."""
    document = {
        "schema": doctor.SCHEMA,
        "exit_code": doctor.exit_code(findings),
        "forge": None if forge is None else {"kind": forge, "repository": repository},
        "checks": [
            {
                "check": one.check.value,
                "health": one.health.value,
                "sentence": one.sentence,
                "fix": one.fix,
                "exit_code": one.exit_code,
            }
            for one in findings
        ],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return inert_json(text)
