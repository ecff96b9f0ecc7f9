"""The words and cells that every rendering of a report shares. Layer: render."""

import datetime as dt
import json

from ci_ml.core import numbers
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Outcome, Status

HEADLINE = {
    Outcome.PASS: "passed",
    Outcome.WARN: "passed with warnings",
    Outcome.UNDECIDED: "undecided",
    Outcome.FAIL: "blocked",
}
SYMBOL = {Outcome.PASS: "✅", Outcome.WARN: "⚠️", Outcome.UNDECIDED: "❔", Outcome.FAIL: "❌"}
NONE = "\N{EN DASH}"


def values(item: ComparisonPart) -> tuple[str, str]:
    """Base and head with the digits that show their difference."""
    digits = numbers.decimals(item.base, item.head, *([item.delta] if item.delta is not None else []))
    return tuple(NONE if value is None else numbers.plain(value, digits) for value in (item.base, item.head))  # type: ignore[return-value]


def change(item: ComparisonPart) -> str:
    """The change in the unit of its margin: a share for a relative margin, else the metric's own."""
    if item.delta is None:
        return item.status.value
    if isinstance(item.margin, str) and item.base:
        return numbers.percent(item.delta / abs(item.base))
    digits = numbers.decimals(item.base, item.head, item.delta)
    return numbers.signed(item.delta, digits)


def allows(item: ComparisonPart) -> str:
    """What the gate asks for, in a cell's width."""
    parts = []
    if item.require.value == "report":
        parts.append("report only")
    elif item.require.value == "improvement":
        parts.append("an improvement")
    elif isinstance(item.margin, str):
        parts.append(f"{'−' if item.direction.value == 'higher' else '+'}{item.margin}")
    elif item.margin == 0:
        parts.append("no loss" if item.direction.value == "higher" else "no rise")
    else:
        parts.append(f"{'−' if item.direction.value == 'higher' else '+'}{numbers.plain(item.margin)}")
    if item.floor is not None:
        parts.append(f"≥ {numbers.plain(item.floor)}")
    if item.ceiling is not None:
        parts.append(f"≤ {numbers.plain(item.ceiling)}")
    return ", ".join(parts)


def provenance(report: Report) -> list[str]:
    """How it was judged: both commits and why, whose gates, by what."""
    lines = [
        f"base {report.base.label} ({report.base.why})",
        f"head {head(report)}{f' on {report.head.ref}' if report.head.ref else ''}",
        f"gates from {'the base' if report.policy.source == 'base' else 'the change'} ({report.policy.digest[:14]}…)",
    ]
    if report.comparisons and all(item.interval is None for item in report.comparisons):
        lines.append("point estimates: numbers in files carry no interval, so noise is not accounted for")
    if report.training and report.training.stages:
        ran = sum(stage.state == "ran" for stage in report.training.stages)
        total = len(report.training.stages)
        lines.append(f"training {seconds(report.training.seconds)}, {ran} of {total} stages ran")
    return lines


def head(report: Report) -> str:
    """The commit that was proposed, and the merge of it that was judged where a CI system made one."""
    proposed = report.change.head if report.change else None
    if not proposed or proposed == report.head.sha:
        return report.head.label
    return f"{proposed[:7]}, judged as its merge {report.head.label}"


def waivers(report: Report) -> list[str]:
    """Who accepted what, and when."""
    return [
        f"Accepted by {item.by} on {moment(item.at)} with the label {item.label}; "
        f"without it this would be {HEADLINE[item.outcome]}."
        for item in report.verdict.waivers
    ]


def moment(text: str) -> str:
    """A point in time as people read it: 2026-11-21 14:02 UTC."""
    try:
        at = dt.datetime.fromisoformat(text)
        return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if at.tzinfo else text
    except (ValueError, OverflowError):
        return text


def seconds(value: float) -> str:
    """A duration as people say it: 3.2 s, 4 min 28 s, 2 h 5 min."""
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def changed(report: Report) -> str | None:
    """How much changed, in one line; None when nothing did."""
    counts = [
        _count(len(report.params), "param"),
        _count(len(report.data), "data set"),
        _count(len(report.stages), "stage"),
    ]
    said = [text for text in counts if text]
    return ", ".join(said) or None


def _count(number: int, noun: str) -> str | None:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else None


def next_step(report: Report) -> str | None:
    """What to do now; None when there is nothing to do."""
    outcome = report.verdict.outcome
    if report.verdict.waivers:
        return "merge it, or take the label away to be judged again."
    worst = [item for item in report.comparisons if item.impact is outcome]
    if outcome is Outcome.PASS:
        return None
    if not report.comparisons:
        return "add gates to ci-ml.yaml: without any, nothing can pass."
    if all(item.status is Status.NEW for item in report.comparisons):
        return "merge it to set the baseline; from then on every change is compared with it."
    if outcome is Outcome.FAIL:
        first = worst[0] if worst else report.comparisons[0]
        if first.status is not Status.REGRESSED:
            return f"improve {first.metric}, or change what its gate requires on the base branch."
        if _outside_bounds(first):
            return f"bring {first.metric} back within its bounds, or change its gate on the base branch."
        return f"restore {first.metric}, or raise its margin on the base branch."
    if outcome is Outcome.UNDECIDED:
        if not worst:
            return "run `ci-ml train`, commit dvc.lock and what it wrote, and check again."
        return f"write {worst[0].metric} on both sides: what is missing cannot pass."
    return None


def _outside_bounds(item: ComparisonPart) -> bool:
    if item.head is None:
        return False
    below = item.floor is not None and item.head < item.floor
    return below or (item.ceiling is not None and item.head > item.ceiling)


def text(value: object) -> str:
    """A parameter's value in a cell: numbers with their digits, nothing for absent, everything else as written."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return numbers.plain(float(value)) if abs(value) < 1e300 else str(value)
    written = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return written if len(written) <= 60 else f"{written[:57]}..."


def digest(value: str | None) -> str:
    """A digest in a cell: its first seven digits."""
    return value.rpartition(":")[2][:7] if value else NONE
