"""The comment on a change, as GitHub and GitLab render it. Layer: render.

Decisions are made here and the template gets finished text, all of it escaped. The order is what a reviewer needs:
verdict, the number that decided, the gates with harm first, then what changed and how it was judged, collapsed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ci_ml.core.publication import WAIVER_LABEL
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Direction, Outcome, Status
from ci_ml.render import charts, safe, words

_NBSP = "\N{NO-BREAK SPACE}"
_HELD_ROWS = 10


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


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How much a comment says: rows of the table and of each collapsed part, and which of those there are."""

    rows: int = 200
    collapsed_rows: int = 200
    held: bool = True
    changes: bool = True
    loud: bool = True
    others: int = 5
    notices: int = 20
    words: int = 1000
    left_out: str = ""


# What goes first is what a reviewer misses least. Every step says what it leaves out; the last one always fits.
_MOST = "most gates, what changed, notices"
LADDER = (
    Detail(),
    Detail(collapsed_rows=40, left_out="all but 40 rows of each part below"),
    Detail(collapsed_rows=40, held=False, left_out="the gates that held"),
    Detail(rows=100, held=False, changes=False, loud=False, left_out="the gates that held, what changed"),
    Detail(rows=25, held=False, changes=False, loud=False, left_out="most gates, what changed"),
    Detail(rows=5, held=False, changes=False, loud=False, others=1, notices=3, words=200, left_out=_MOST),
    Detail(rows=0, held=False, changes=False, loud=False, others=0, notices=0, words=100, left_out=_MOST),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a text goes: how long it may be there, how that is measured, and what links from it lead to."""

    longest: int | None = None
    measure: Callable[[str], int] = len
    marker: str = ""
    run_url: str | None = None
    troubles: tuple[str, ...] = ()


def utf16(text: str) -> int:
    """Length as GitHub counts it: in UTF-16 code units, of which most emoji have two."""
    return len(text.encode("utf-16-le")) // 2


def utf8(text: str) -> int:
    """Length in bytes."""
    return len(text.encode())


def report(content: Report, place: Place | None = None) -> str:
    """The whole comment, or as much of it as the place takes: whole parts are left out, the least important first."""
    place = place or Place()
    text = ""
    for detail in LADDER:
        text = _report(content, place, detail)
        if place.longest is None or place.measure(text) <= place.longest:
            break
    return text


def _report(content: Report, place: Place, detail: Detail) -> str:
    loud = [item for item in content.comparisons if item.impact is not Outcome.PASS]
    held = [item for item in content.comparisons if item.impact is Outcome.PASS]
    collapsed = held if len(held) > min(_HELD_ROWS, detail.rows) else []
    rows = loud[: detail.rows] if collapsed else [*loud[: detail.rows], *held]
    sections = [
        _more(loud[detail.rows :], detail) if detail.loud else None,
        _held(collapsed, detail) if detail.held else None,
        _changes(content, detail) if detail.changes else None,
        _judged(content, place),
    ]
    names = [item.metric for item in content.comparisons]
    others = [reason for reason in content.verdict.reasons if reason != content.verdict.sentence]
    return _render(
        "comment.md.j2",
        marker=place.marker,
        symbol=words.SYMBOL[content.verdict.outcome],
        name=safe.prose(content.name),
        headline=words.HEADLINE[content.verdict.outcome],
        sentence=f"**{safe.sentence(content.verdict.sentence, names, detail.words)}**",
        waivers=[safe.prose(line) for line in words.waivers(content)],
        others=[safe.sentence(text, names, detail.words) for text in others[: detail.others]]
        + _and_more(len(others) - detail.others),
        plot_title="−m ┊ 0 │ better".replace(" ", _NBSP),
        rows=[_row(item) for item in rows],
        sections=[section for section in sections if section],
        notices=[
            safe.prose(notice, detail.words)
            for notice in (*place.troubles[: detail.notices], *content.notices[: detail.notices])
        ],
        left_out=f"Left out here: {detail.left_out}. {_pointer(place)}" if detail.left_out else None,
        next_step=_next(content, names),
    )


def _pointer(place: Place) -> str:
    return f"All of it is in [the run]({place.run_url})." if place.run_url else "All of it is in report.json."


def _next(content: Report, names: Sequence[str]) -> str | None:
    step = words.next_step(content)
    if step is None:
        return None
    text = safe.sentence(step, names)
    if content.verdict.outcome in (Outcome.FAIL, Outcome.UNDECIDED):
        label = safe.code(WAIVER_LABEL)
        return f"{text.removesuffix('.')}; a maintainer can accept this with the label {label}. Locally: `ci-ml check`."
    return text


def failure(name: str, what: str, hint: str | None, place: Place) -> str:
    """The comment when nothing could be judged: a crash never looks like a verdict."""
    return _render(
        "failure.md.j2",
        marker=place.marker,
        name=safe.prose(name),
        what=safe.prose(what),
        hint=safe.prose(hint) if hint else None,
        run_url=place.run_url,
        troubles=[safe.prose(text) for text in place.troubles],
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


def _more(items: Sequence[ComparisonPart], detail: Detail) -> Section | None:
    if not items:
        return None
    return Section(summary=f"{len(items)} more gates that did not hold", body=_gates(items, detail))


def _held(items: Sequence[ComparisonPart], detail: Detail) -> Section | None:
    if not items:
        return None
    improved = sum(item.status is Status.IMPROVED for item in items)
    said = f"{improved} improved" if improved else "none improved"
    return Section(summary=f"{len(items)} gates held, {said}", body=_gates(items, detail))


def _gates(items: Sequence[ComparisonPart], detail: Detail) -> str:
    shown = items[: detail.collapsed_rows]
    rows = [(safe.code(item.metric), *words.values(item), _together(words.change(item))) for item in shown]
    table = _table(("gate", "base", "head", "change"), (":--", "--:", "--:", "--:"), rows)
    hidden = len(items) - len(shown)
    return f"{table}\n\nand {hidden} more, in the full report" if hidden > 0 else table


def _changes(content: Report, detail: Detail) -> Section | None:
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
    body = _table(("", "base", "head"), (":--", "--:", "--:"), rows[: detail.collapsed_rows]) if rows else ""
    hidden = max(0, len(rows) - detail.collapsed_rows) + max(0, len(content.stages) - detail.collapsed_rows)
    stages = [
        f"- stage {safe.code(stage.name)}: {', '.join(map(safe.prose, stage.what)) or stage.change}"
        for stage in content.stages[: detail.collapsed_rows]
    ]
    parts = [body, "\n".join(stages), *_and_more(hidden)]
    return Section(summary=f"What changed: {summary}", body="\n\n".join(filter(None, parts)))


def _judged(content: Report, place: Place) -> Section:
    lines = [safe.prose(line) for line in words.provenance(content)]
    if place.run_url:
        lines.append(f"[run]({place.run_url})")
    return Section(summary="How this was judged", body=" · ".join(lines))
