"""The words that every rendering of a report shares. Layer: render."""

import datetime as dt
import json
import re
import shlex
from collections.abc import Sequence

from ci_ml.core import numbers
from ci_ml.core.exhibits import CodePart
from ci_ml.core.listing import some
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.staleness import STALE_LOCK
from ci_ml.core.types import Outcome, Require, Status
from ci_ml.render import cells, evidence, safe

HEADLINE = {
    Outcome.PASS: "passed",
    Outcome.WARN: "passed with warnings",
    Outcome.UNDECIDED: "undecided",
    Outcome.FAIL: "blocked",
}
_PRODUCTION = {
    Outcome.PASS: "production is within its limits",
    Outcome.WARN: "production passes with warnings",
    Outcome.UNDECIDED: "production cannot be compared",
    Outcome.FAIL: "the model got worse in production",
}
_DRIFTED = "production has drifted"
SYMBOL = {Outcome.PASS: "✅", Outcome.WARN: "⚠️", Outcome.UNDECIDED: "❔", Outcome.FAIL: "❌"}
_REPORTED = "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}"
NONE = cells.NONE
# A name that can stand in a command that people copy.
_PLAIN_NAME = re.compile(r"[\w./:()\[\]][\w./:()\[\] -]*")
_LONGEST_NAME = 60
_OURS = re.compile(r"`(ci-ml (?:re)?train|drift)`")


def headline(report: Report) -> str:
    """What the verdict is called: of a change whether it may be merged, of production what it has become."""
    outcome = report.verdict.outcome
    if report.subject == "change":
        return HEADLINE[outcome]
    if outcome is Outcome.FAIL and any(item.moved and item.impact is outcome for item in report.comparisons):
        return _DRIFTED
    return _PRODUCTION[outcome]


def sides(report: Report) -> tuple[str, str]:
    """What both sides are called."""
    return ("base", "head") if report.subject == "change" else ("recorded", "production")


def symbol(item: ComparisonPart) -> str:
    """What became of a gate; one that only reports is no success when it lost."""
    return _REPORTED if cells.only_reported(item) else SYMBOL[item.impact]


def provenance(report: Report) -> list[str]:
    """How it was judged: both commits and why, whose gates, by what."""
    if report.subject == "production":
        gates = f"gates from ci-ml.yaml at {report.head.label} ({report.policy.digest[:14]}…)"
        return [report.base.why, report.head.why, gates, *evidence.lines(report.comparisons)]
    lines = [
        f"base {report.base.label} ({report.base.why})",
        f"head {head(report)}{f' on {report.head.ref}' if report.head.ref else ''}",
        f"gates from {'the base' if report.policy.source == 'base' else 'the change'} ({report.policy.digest[:14]}…)",
    ]
    lines.extend(evidence.lines(report.comparisons))
    lines.extend(looks(report))
    return lines


def looks(report: Report) -> list[str]:
    """The how manieth result each test set judges, and what that means."""
    return [one.sentence for one in report.testsets]


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
    """How much changed, in one line; None when nothing did. What it runs in is told apart."""
    counts = [
        count(len(report.params), "param"),
        count(len(report.data), "data set"),
        count(len(report.stages), "stage"),
        count(len(report.code), "file"),
    ]
    said = [text for text in counts if text]
    return ", ".join(said) or None


def edited(item: CodePart) -> str:
    """What became of a file: `+14 −3, read by train`."""
    lines = f"+{item.added} \N{MINUS SIGN}{item.removed}" if item.added is not None else "not text"
    said = lines if item.change == "changed" else item.change if item.added is None else f"{item.change}, {lines}"
    return f"{said}, read by {some(item.stages, 3)}" if item.stages else said


def with_commands(step: str) -> list[tuple[str, bool]]:
    """A step in pieces, and which of them are commands or keys of ours, for they stand as code."""
    return [(piece, index % 2 == 1) for index, piece in enumerate(_OURS.split(step)) if piece]


def count(number: int, noun: str) -> str | None:
    """`2 files`; nothing for none."""
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else None


def next_step(report: Report) -> str | None:
    """What to do now; None when there is nothing to do."""
    outcome = report.verdict.outcome
    if report.verdict.waivers:
        return "merge it, or take the label away to be judged again."
    worst = [item for item in report.comparisons if item.impact is outcome]
    if outcome is Outcome.PASS:
        return None
    if report.subject == "production":
        return _next_look(report, worst)
    if not report.comparisons:
        return "add gates to ci-ml.yaml: without any, nothing can pass."
    if all(item.status is Status.NEW for item in report.comparisons):
        return "merge it to set the baseline; from then on every change is compared with it."
    if outcome is Outcome.FAIL:
        return _next_repair(report, worst[0] if worst else report.comparisons[0])
    if outcome is Outcome.UNDECIDED:
        return _next_decision(worst[0]) if worst else _next_training(report.verdict.sentence)
    return None


def _next_repair(report: Report, first: ComparisonPart) -> str:
    """What to do about a change that blocks, by what decided."""
    name = brief_name(first)
    if first.status is not Status.REGRESSED:
        return f"improve {name}, or change what its gate requires on the base branch."
    if first.moved:
        return f"look at what changed {_drifted(report) or name}, or allow it under `drift` on the base branch."
    if first.absolute:
        return f"correct the data behind {name}, or change what is expected of it on the base branch."
    if cells.outside_bounds(first):
        return f"bring {name} back within its bounds, or change its gate on the base branch."
    return f"restore {name}, or raise its margin on the base branch."


def _drifted(report: Report) -> str:
    """The columns that drifted, in as many words as a sentence bears."""
    columns = [column.column for table in report.drifts for column in table.columns if column.drifted]
    return some(map(safe.shortened, columns), 3)


def _next_look(report: Report, worst: Sequence[ComparisonPart]) -> str | None:
    """What to do about production, which nobody proposed and nobody can refuse."""
    if not report.comparisons:
        return "say in ci-ml.yaml what production is compared with: nothing was."
    if report.verdict.outcome is Outcome.UNDECIDED and worst:
        name = brief_name(worst[0])
        return f"mend what keeps {name} from being compared: what is missing is not known to be as it was."
    if report.verdict.outcome is not Outcome.FAIL:
        return None
    if not any(item.moved for item in worst):
        name = brief_name(worst[0])
        return f"look at what {name} gets wrong now, and run `ci-ml retrain` with what has arrived since."
    feeds = _drifted(report) or "production"
    return f"look at what feeds {feeds} and mend what is broken; where the world has changed, run `ci-ml retrain`."


def _next_training(doubt: str) -> str:
    """What to do about numbers that are not from this code."""
    if doubt.startswith(STALE_LOCK):
        return "run `ci-ml train`, commit dvc.lock and what it wrote, and check again."
    return "let the stages of the base make these numbers, or change the stages on the base branch first."


def _next_decision(item: ComparisonPart) -> str:
    """What to do about a gate that cannot be decided."""
    name = brief_name(item)
    if item.status is Status.MISSING:
        if item.slice or item.reason.startswith(f"{item.name} cannot be judged"):
            return f"mend what keeps {name} from being judged: what is missing cannot pass."
        return f"write {item.metric} on both sides: what is missing cannot pass."
    if item.status is Status.NEW:
        return f"let the gate of {name} ask for less until the base has it: there is nothing to improve on yet."
    if item.require is Require.IMPROVEMENT:
        return f"improve {name} by more than its noise, or measure it on more examples."
    if cells.unclear_bound(item):
        return f"bring {name} clear of its bounds, or measure it on more examples."
    if not item.margin_absolute:
        return f"give {name} a margin on the base branch{f': {item.settles}' if item.settles else ''}."
    more = f" ({item.settles})" if item.settles else ""
    return f"measure {name} on more examples{more}, or raise its margin on the base branch."


def explanation(report: Report) -> str | None:
    """The command that explains what decided; None where there is no more to say than the report does."""
    if report.subject == "production":
        return None
    decided = next((item for item in report.comparisons if item.impact is report.verdict.outcome), None)
    if decided is None or not cells.ends(decided):
        return None
    is_plain = len(decided.metric) <= _LONGEST_NAME and _PLAIN_NAME.fullmatch(decided.metric)
    return f"ci-ml check --explain {shlex.quote(decided.metric) if is_plain else 'all'}"


def brief_name(item: ComparisonPart) -> str:
    """A name for a sentence: text from strangers may be very long."""
    return safe.shortened(item.name)


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
