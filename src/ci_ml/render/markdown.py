"""The comment on a change, as GitHub and GitLab render it. Layer: render.

Decisions are made here and the template gets finished text, all of it escaped. The order is what a reviewer needs:
verdict, the number that decided, the gates with harm first, then what changed and how it was judged, collapsed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Direction, Outcome, Status
from ci_ml.render import charts, safe, words

_NBSP = "\N{NO-BREAK SPACE}"
_HELD_ROWS = 10
_ALSO = 5
_ROWS = 200


@dataclass(frozen=True, kw_only=True)
class Row:
    """One gate in the table, every cell finished."""

    symbol: str
    gate: str
    values: str
    plot: str
    change: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A collapsed part; its summary says whether it is worth opening."""

    summary: str
    body: str


def report(content: Report) -> str:
    """The whole comment."""
    loud = [item for item in content.comparisons if item.impact is not Outcome.PASS]
    held = [item for item in content.comparisons if item.impact is Outcome.PASS]
    collapsed = held if len(held) > _HELD_ROWS else []
    rows = loud[:_ROWS] if collapsed else [*loud[:_ROWS], *held]
    outcome = content.verdict.outcome
    others = [reason for reason in content.verdict.reasons if reason != content.verdict.sentence]
    sections = [_more(loud[_ROWS:]), _held(collapsed), _changes(content), _judged(content)]
    step = words.next_step(content)
    names = [item.metric for item in content.comparisons]
    return _render(
        "comment.md.j2",
        marker=f"<!-- ci-ml:report name={content.name.replace(' ', '_')} head={(content.head.sha or '')[:40]} -->",
        symbol=words.SYMBOL[outcome],
        name=safe.prose(content.name),
        headline=words.HEADLINE[outcome],
        sentence=f"**{safe.sentence(content.verdict.sentence, names)}**",
        others=[safe.sentence(text, names) for text in others[:_ALSO]] + _and_more(len(others) - _ALSO),
        plot_title="−m ┊ 0 │ better".replace(" ", _NBSP),
        rows=[_row(item) for item in rows],
        sections=[section for section in sections if section],
        notices=[safe.prose(notice) for notice in content.notices],
        next_step=safe.sentence(step, names) if step else None,
    )


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=PackageLoader("ci_ml.render"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


def _and_more(count: int) -> list[str]:
    return [f"and {count} more, in the full report"] if count > 0 else []


def _row(item: ComparisonPart) -> Row:
    base, head = words.values(item)
    change = words.change(item)
    strong = item.impact in (Outcome.FAIL, Outcome.UNDECIDED) and item.delta is not None
    return Row(
        symbol=words.SYMBOL[item.impact],
        gate=safe.code(item.metric),
        values=_together(f"{base} → {head}"),
        plot=f"`{_plot(item)}`" if item.delta is not None else "",
        change=_together(f"**{change}**" if strong else change),
    )


def _plot(item: ComparisonPart) -> str:
    assert item.delta is not None
    sign = 1 if item.direction is Direction.HIGHER else -1
    interval = item.interval and (sign * item.interval[0], sign * item.interval[1])
    return charts.forest(sign * item.delta, item.margin_absolute or 0.0, interval)


def _together(text: str) -> str:
    """A cell that keeps on one line."""
    return text.replace(" ", _NBSP)


def _table(header: Sequence[str], align: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, align, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _more(items: Sequence[ComparisonPart]) -> Section | None:
    if not items:
        return None
    return Section(summary=f"{len(items)} more gates that did not hold", body=_gates(items))


def _held(items: Sequence[ComparisonPart]) -> Section | None:
    if not items:
        return None
    improved = sum(item.status is Status.IMPROVED for item in items)
    said = f"{improved} improved" if improved else "none improved"
    return Section(summary=f"{len(items)} gates held, {said}", body=_gates(items))


def _gates(items: Sequence[ComparisonPart]) -> str:
    rows = [(safe.code(item.metric), *words.values(item), _together(words.change(item))) for item in items[:_ROWS]]
    table = _table(("gate", "base", "head", "change"), (":--", "--:", "--:", "--:"), rows)
    hidden = len(items) - _ROWS
    return f"{table}\n\nand {hidden} more, in the full report" if hidden > 0 else table


def _changes(content: Report) -> Section | None:
    summary = words.changed(content)
    if summary is None:
        return None
    rows: list[tuple[str, str, str]] = []
    for param in content.params:
        cells = (safe.code(words.text(param.base)), safe.code(words.text(param.head)))
        rows.append((f"{safe.code(param.path)} {safe.prose(param.key)}", *cells))
    rows.extend(
        (safe.code(item.path), safe.code(words.digest(item.base)), safe.code(words.digest(item.head)))
        for item in content.data
    )
    body = _table(("", "base", "head"), (":--", "--:", "--:"), rows[:_ROWS]) if rows else ""
    hidden = max(0, len(rows) - _ROWS) + max(0, len(content.stages) - _ROWS)
    stages = [
        f"- stage {safe.code(stage.name)}: {', '.join(map(safe.prose, stage.what)) or stage.change}"
        for stage in content.stages[:_ROWS]
    ]
    parts = [body, "\n".join(stages), *_and_more(hidden)]
    return Section(summary=f"What changed: {summary}", body="\n\n".join(filter(None, parts)))


def _judged(content: Report) -> Section:
    lines = [safe.prose(line) for line in words.provenance(content)]
    return Section(summary="How this was judged", body=" · ".join(lines))
