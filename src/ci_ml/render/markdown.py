"""The comment on a change, as GitHub and GitLab render it. Layer: render.

Decisions are made here and the template gets finished text, all of it escaped. The order is what a reviewer needs:
verdict, the number that decided, the gates with harm first, what cannot be decided and what would settle it, then
slices, what changed and how it was judged, collapsed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ci_ml.core.publication import WAIVER_LABEL
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Outcome
from ci_ml.render import cells, parts, safe, words

_NBSP = "\N{NO-BREAK SPACE}"
_HELD_ROWS = 10
_LONGEST_SLICE = 60  # more would push the table beyond what a page shows without scrolling
_HOW_SURE = re.compile(r" \(|: ")


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
    undecided: int = 5
    notices: int = 20
    words: int = 1000
    left_out: str = ""


# What goes first is what a reviewer misses least. Every step says what it leaves out; the last one always fits.
_MOST = "most gates, what changed, notices"
LADDER = (
    Detail(),
    Detail(collapsed_rows=40, left_out="all but 40 rows of each part below"),
    Detail(collapsed_rows=40, held=False, left_out="what held"),
    Detail(rows=100, held=False, changes=False, loud=False, undecided=3, left_out="what held, what changed"),
    Detail(rows=25, held=False, changes=False, loud=False, undecided=3, left_out="most gates, what changed"),
    Detail(rows=5, held=False, changes=False, loud=False, others=1, undecided=1, notices=3, words=200, left_out=_MOST),
    Detail(rows=0, held=False, changes=False, loud=False, others=0, undecided=0, notices=0, words=100, left_out=_MOST),
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
    divided = parts.divide(content.comparisons)
    collapsed = divided.whole if len(divided.whole) > min(_HELD_ROWS, detail.rows) else []
    rows = [*divided.loud[: detail.rows], *(() if collapsed else divided.whole)]
    names = {item.name: item for item in content.comparisons}
    sections = [
        _more([*divided.loud[detail.rows :], *divided.warned], detail) if detail.loud else None,
        _section(collapsed, "gate", detail) if detail.held else None,
        _section(divided.slices, "slice", detail) if detail.held else None,
        _changes(content, detail) if detail.changes else None,
        _judged(content, place),
    ]
    others, undecided = parts.reasons(content)
    return _render(
        "comment.md.j2",
        marker=place.marker,
        symbol=words.SYMBOL[content.verdict.outcome],
        name=safe.prose(content.name),
        headline=words.HEADLINE[content.verdict.outcome],
        sentence=_headline(content.verdict.sentence, names, detail),
        waivers=[safe.prose(line) for line in words.waivers(content)],
        others=[_sentence(text, names, detail) for text in others[: detail.others]]
        + _and_more(len(others) - detail.others),
        plot_title=_together(cells.PLOT_TITLE),
        change_title=cells.change_title(rows),
        rows=[_row(item) for item in rows],
        undecided=_undecided(undecided, names, detail),
        sections=[section for section in sections if section],
        notices=[
            safe.prose(notice, detail.words)
            for notice in (*place.troubles[: detail.notices], *content.notices[: detail.notices])
        ],
        left_out=f"Left out here: {detail.left_out}. {_pointer(place)}" if detail.left_out else None,
        next_step=_next(content, names),
    )


def _sentence(text: str, names: Mapping[str, ComparisonPart], detail: Detail) -> str:
    return safe.sentence(text, names, detail.words, lambda name: _called(names[name], " on "))


def _headline(text: str, names: Mapping[str, ComparisonPart], detail: Detail) -> str:
    """The sentence that decided, in bold; of one with an interval what happened, and not how sure that is."""
    name = safe.named(text, names)
    if name is None or not cells.ends(names[name]):
        return f"**{_sentence(text, names, detail)}**"
    said = text.partition(name)[2]
    rest = _HOW_SURE.search(said)
    after = said[rest.start() :] if rest else ""
    return f"**{_sentence(text.removesuffix(after), names, detail)}**{safe.prose(after, detail.words)}"


def _undecided(reasons: Sequence[str], names: Mapping[str, ComparisonPart], detail: Detail) -> list[str]:
    said = [_sentence(text, names, detail) for text in reasons[: detail.undecided]]
    hidden = len(reasons) - len(said)
    return [*said, f"{hidden:,} more cannot be decided."] if said and hidden else said


def _pointer(place: Place) -> str:
    return f"All of it is in [the run]({place.run_url})." if place.run_url else "All of it is in report.json."


def _next(content: Report, names: Mapping[str, ComparisonPart]) -> str | None:
    step = words.next_step(content)
    if step is None:
        return None
    text = _sentence(step, names, Detail())
    if content.verdict.outcome in (Outcome.FAIL, Outcome.UNDECIDED):
        label = safe.code(WAIVER_LABEL)
        command = safe.code(words.explanation(content) or "ci-ml check")
        return f"{text.removesuffix('.')}; a maintainer can accept this with the label {label}. Locally: {command}."
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
    base, head = cells.values(item)
    strong = item.impact in (Outcome.FAIL, Outcome.UNDECIDED) and item.delta is not None
    moved, found = cells.moved(item), cells.ends(item)
    change = f"**{moved}**" if strong else moved
    gate = _called(item)
    if item.between:
        gate += f"{_NBSP}· {safe.code(_together(' vs '.join(cells.groups(item))), _LONGEST_SLICE)}"
    return Row(
        symbol=words.symbol(item),
        gate=gate,
        values=_together(f"{base} → {head}"),
        plot=f"`{cells.plot(item)}`" if item.delta is not None else "",
        change=f"{_together(change)} {_together(cells.bracketed(found))}" if found else _together(change),
    )


def _called(item: ComparisonPart, between: str = f"{_NBSP}· ") -> str:
    """A gate by its metric, and the slice where it is about one: each a code span, and each whole where a line ends."""
    metric = safe.code(item.metric)
    if item.slice:
        return f"{metric}{between}{safe.code(_together(str(item.where)), _LONGEST_SLICE)}"
    return metric


def _together(text: str) -> str:
    """A cell that keeps on one line."""
    return text.replace(" ", _NBSP)


def _table(header: Sequence[str], align: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, align, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _more(items: Sequence[ComparisonPart], detail: Detail) -> Section | None:
    if not items:
        return None
    nouns = [noun for noun, found in (("gates", False), ("slices", True)) if any(bool(i.slice) is found for i in items)]
    return Section(summary=f"{len(items)} more {' and '.join(nouns)} that did not hold", body=_gates(items, detail))


def _section(items: Sequence[ComparisonPart], noun: str, detail: Detail) -> Section | None:
    return Section(summary=parts.held(items, noun), body=_gates(items, detail, noun)) if items else None


def _gates(items: Sequence[ComparisonPart], detail: Detail, noun: str = "gate") -> str:
    shown = items[: detail.collapsed_rows]
    header, align = [noun, "base", "head", "change"], [":--", "--:", "--:", "--:"]
    rows = [[_called(item), *cells.values(item), _together(cells.moved(item))] for item in shown]
    if any(item.n is not None for item in shown):
        confidence = {item.confidence for item in shown if cells.ends(item)}
        header += [_together(f"{cells.level(confidence.pop())} interval" if len(confidence) == 1 else "interval"), "n"]
        align += [":-:", "--:"]
        rows = [[*row, _interval(item), _count(item)] for row, item in zip(rows, shown, strict=True)]
    hidden = len(items) - len(shown)
    more = [f"and {hidden} more, in the full report"] if hidden > 0 else []
    return "\n\n".join([_table(header, align, rows), *more])


def _interval(item: ComparisonPart) -> str:
    found = cells.ends(item)
    return _together(" … ".join(found)) if found else ""


def _count(item: ComparisonPart) -> str:
    """How many examples, and how many there would have to be."""
    if item.n is None:
        return ""
    return _together(f"{item.n:,} < {item.min_n:,}".replace("<", "&lt;") if item.too_small else f"{item.n:,}")


def _changes(content: Report, detail: Detail) -> Section | None:
    summary = words.changed(content)
    if summary is None:
        return None
    rows: list[tuple[str, str, str]] = []
    for param in content.params:
        both = (safe.code(words.text(param.base)), safe.code(words.text(param.head)))
        rows.append((f"{safe.code(param.path)} {safe.prose(param.key)}", *both))
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
    found = [body, "\n".join(stages), *_and_more(hidden)]
    return Section(summary=f"What changed: {summary}", body="\n\n".join(filter(None, found)))


def _judged(content: Report, place: Place) -> Section:
    lines = [safe.prose(line) for line in words.provenance(content)]
    if place.run_url:
        lines.append(f"[run]({place.run_url})")
    return Section(summary="How this was judged", body=" · ".join(lines))
