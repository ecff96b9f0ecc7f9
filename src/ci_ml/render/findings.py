"""What is told at a line of a file: gates that did not hold, and what changed beside them. Layer: render."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ci_ml.core.config import FILE_NAME
from ci_ml.core.exhibits import LocationPart
from ci_ml.core.report import ComparisonPart, ParamPart, Report, StageChangePart
from ci_ml.core.types import Outcome, Status
from ci_ml.render import cells, safe, words

_BLOCKED = (Outcome.FAIL, Outcome.UNDECIDED)
_LONGEST = 1000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One of them. `check` is what was found, `subject` what it is about, by names alone: the same in every run."""

    check: str
    subject: tuple[str, ...]
    outcome: Outcome
    title: str
    text: str
    place: LocationPart | None


def findings(report: Report) -> list[Finding]:
    """What did not hold, the worst first; where that blocks, the params and stages that changed."""
    found = [*_verdict(report), *(_gate(item) for item in report.comparisons if _is_told(item))]
    if any(item.outcome in _BLOCKED for item in found):
        found += [*_params(report.params), *_stages(report.stages)]
    return found


def unexplained(report: Report) -> bool:
    """Whether the verdict is worse than every gate: none is there, or their numbers are not from this code."""
    judged = max((item.outcome for item in report.verdict.waivers), key=_rank, default=report.verdict.outcome)
    return judged.rank > max((item.impact.rank for item in report.comparisons), default=0)


def said(item: ComparisonPart) -> str:
    """Why a gate came to what it did, on one line that holds nothing hidden."""
    wanted = item.impact is Outcome.FAIL and item.status in (Status.HELD, Status.UNCHANGED)
    reason = f"{item.reason.removesuffix('.')}; the gate asks for an improvement." if wanted else item.reason
    return line(safe.brief(reason, [item.name], _LONGEST))


def line(text: str) -> str:
    """A sentence on one line, which no runner takes for a command."""
    return safe.inert(safe.printable(text))


def label(text: str) -> str:
    """A name on one line, of bounded length."""
    return safe.shortened(line(text))


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The names, with a number where two would be the same: those who read a report drop the second."""
    seen: set[str] = set()
    for name in names:
        count, one = 1, name
        while one in seen:
            count += 1
            one = f"{name} ({count})"
        seen.add(one)
        yield one


def _rank(outcome: Outcome) -> int:
    return outcome.rank


def _is_told(item: ComparisonPart) -> bool:
    """A slice whose only news is that it is new says nothing that its gate does not."""
    if item.slice is not None and item.status is Status.NEW and item.impact is Outcome.WARN:
        return False
    return item.impact is not Outcome.PASS or cells.only_reported(item)


def _verdict(report: Report) -> Iterator[Finding]:
    if unexplained(report):
        yield Finding(
            check="verdict",
            subject=(),
            outcome=report.verdict.outcome,
            title=f"{report.name} {words.headline(report)}",
            text=line(safe.shortened(report.verdict.sentence, _LONGEST)),
            place=None,
        )


def _gate(item: ComparisonPart) -> Finding:
    return Finding(
        check=item.status.value,
        subject=(item.metric, *(f"{column}={value}" for column, value in (item.slice or {}).items())),
        outcome=item.impact,
        title=f"{label(item.name)}: {item.status.value}",
        text=said(item),
        place=item.declared or LocationPart(path=FILE_NAME),
    )


def _params(params: Iterable[ParamPart]) -> Iterator[Finding]:
    for item in params:
        if item.location is not None:
            name = label(item.key or item.path)
            yield Finding(
                check="param",
                subject=(item.path, item.key),
                outcome=Outcome.PASS,
                title=f"{name} changed",
                text=f"{name} {_moved(item)}.",
                place=item.location,
            )


def _moved(item: ParamPart) -> str:
    base, head = (line(words.text(value)) for value in (item.base, item.head))
    if item.base is None:
        return f"is new: {head}"
    return f"is gone, and was {base}" if item.head is None else f"changed from {base} to {head}"


def _stages(stages: Iterable[StageChangePart]) -> Iterator[Finding]:
    for item in stages:
        if item.location is not None:
            what = f": {label(', '.join(item.what))}" if item.what else ""
            yield Finding(
                check="stage",
                subject=(item.name,),
                outcome=Outcome.PASS,
                title=f"stage {label(item.name)} {item.change}",
                text=f"The stage {label(item.name)} was {item.change}{what}.",
                place=item.location,
            )
