"""The comment on a change, as GitHub and GitLab render it. Layer: render.

Decisions are made here and the template gets finished text, all of it escaped. The order is what a reviewer needs:
verdict, the number that decided, the gates with harm first, what cannot be decided and what would settle it, then
slices, what changed and how it was judged, collapsed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ci_ml.core.publication import WAIVER_LABEL
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Outcome
from ci_ml.errors import UsageError
from ci_ml.render import cells, overview, parts, safe, templating, words
from ci_ml.render.sections import LADDER, Detail, and_more, called, cell, collapsed, together

_HELD_ROWS = 10
_COMMENT = "comment.md.j2"
_A_MARKER = "<!-- a marker -->"
_HOW_SURE = re.compile(r" \(|: ")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One gate in the table, every cell finished."""

    symbol: str
    gate: str
    change: str
    interval: str
    values: str
    plot: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a text goes: how long it may be there, how that is measured, and what links from it lead to.

    `templates` are the user's, by the names of ours; `picture` is the address of one of the gates.
    """

    longest: int | None = None
    measure: Callable[[str], int] = len
    marker: str = ""
    run_url: str | None = None
    troubles: tuple[str, ...] = ()
    templates: Mapping[str, str] = field(default_factory=dict)
    picture: str | None = None


def utf16(text: str) -> int:
    """Length as GitHub counts it: in UTF-16 code units, of which most emoji have two."""
    return len(text.encode("utf-16-le")) // 2


def utf8(text: str) -> int:
    """Length in bytes."""
    return len(text.encode())


def report(content: Report, place: Place | None = None) -> str:
    """The whole comment, or as much of it as the place takes: whole parts are left out, the least important first.

    Raises UsageError when a template of the user's is broken, or loses the marker by which a comment is found again.
    """
    place = place or Place()
    text = ""
    for detail in LADDER:
        text = _report(content, place, detail)
        if place.longest is None or place.measure(text) <= place.longest:
            return text
    return report(content, replace(place, templates={})) if place.templates else text


def fault(content: Report, templates: Mapping[str, str]) -> str | None:
    """What is wrong with the user's templates; None when they serve."""
    try:
        report(content, Place(marker=_A_MARKER, templates=templates))
    except UsageError as error:
        return error.what
    return None


def preview(content: Report, templates: Mapping[str, str]) -> str:
    """The comment without a marker. Raises UsageError for templates that would not serve with one, either."""
    if templates:
        report(content, Place(marker=_A_MARKER, templates=templates))
    return report(content, Place(templates=templates))


def _report(content: Report, place: Place, detail: Detail) -> str:
    text = templating.render(_COMMENT, place.templates, _values(content, place, detail))
    if place.marker and text.partition("\n")[0] != place.marker:
        raise UsageError(
            f"the template {_COMMENT} does not begin with the marker: the comment would not be found again",
            "begin with `{{ marker }}`, or extend ours: docs/reports.md",
        )
    return text


def _values(content: Report, place: Place, detail: Detail) -> dict[str, Any]:
    """Everything that the template gets, finished and escaped."""
    divided = parts.divide(content.comparisons)
    held = divided.whole if len(divided.whole) > min(_HELD_ROWS, detail.rows) else []
    rows = [*divided.loud[: detail.rows], *(() if held else divided.whole)]
    names = {item.name: item for item in content.comparisons}
    others, undecided = parts.reasons(content)
    is_alone = all(item.absolute for item in rows)
    return {
        "marker": place.marker,
        "symbol": words.SYMBOL[content.verdict.outcome],
        "name": safe.prose(content.name),
        "headline": words.headline(content),
        "sentence": _headline(content.verdict.sentence, names, detail),
        "waivers": [safe.prose(line) for line in words.waivers(content)],
        "others": [_sentence(text, names, detail) for text in others[: detail.others]]
        + and_more(len(others) - detail.others),
        "picture": f"![{safe.prose(overview.text(content))}]({place.picture})" if place.picture else None,
        **_titles(rows, words.sides(content)),
        "rows": [_row(item, is_alone=is_alone) for item in rows],
        "undecided": _undecided(undecided, names, detail),
        "sections": collapsed(content, divided, held, detail, place.run_url),
        "notices": [
            safe.prose(notice, detail.words)
            for notice in (*place.troubles[: detail.notices], *content.notices[: detail.notices])
        ],
        "left_out": f"Left out here: {detail.left_out}. {_pointer(place)}" if detail.left_out else None,
        "next_step": _next(content, names),
    }


def _titles(rows: Sequence[ComparisonPart], sides: tuple[str, str]) -> dict[str, str]:
    """What stands above the columns of the table: where tables alone are judged there is no base, and no plot."""
    first, found, allowed = cells.found_titles(rows)
    is_alone = all(item.absolute for item in rows)
    return {
        "gate_title": first if is_alone else "gate",
        "change_title": "" if is_alone else "change",
        "values_title": found if is_alone else " → ".join(sides),
        "plot_title": allowed if is_alone else together(cells.PLOT_TITLE),
        "interval_title": together(cells.interval_title(rows)),
    }


def _sentence(text: str, names: Mapping[str, ComparisonPart], detail: Detail) -> str:
    return safe.sentence(text, names, detail.words, lambda name: called(names[name]))


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
    text = "".join(
        safe.span(piece) if is_ours else _sentence(piece, names, Detail())
        for piece, is_ours in words.with_commands(step)
    )
    if content.subject == "change" and content.verdict.outcome in (Outcome.FAIL, Outcome.UNDECIDED):
        label = safe.span(WAIVER_LABEL)
        command = safe.span(words.explanation(content) or "ci-ml check")
        return f"{text.removesuffix('.')}; a maintainer can accept this with the label {label}. Locally: {command}."
    return text


def failure(name: str, what: str, hint: str | None, place: Place) -> str:
    """The comment when nothing could be judged: a crash never looks like a verdict."""
    values = {
        "marker": place.marker,
        "name": safe.prose(name),
        "what": safe.prose(what),
        "hint": safe.prose(hint) if hint else None,
        "run_url": place.run_url,
        "troubles": [safe.prose(text) for text in place.troubles],
    }
    return templating.render("failure.md.j2", {}, values)


def _row(item: ComparisonPart, *, is_alone: bool = False) -> Row:
    """A row of the table; `is_alone` where no row has a base, and what is allowed stands where the plot would."""
    base, head = cells.values(item)
    strong = item.impact in (Outcome.FAIL, Outcome.UNDECIDED) and item.delta is not None
    moved, found = cells.moved(item), cells.ends(item)
    return Row(
        symbol=words.symbol(item),
        gate=cell(item),
        change=together(f"**{moved}**" if strong else moved),
        interval=together(cells.bracketed(found)) if found else "",
        values=together(_found(item, head, is_alone=is_alone) if item.absolute else f"{base} → {head}"),
        plot=f"`{cells.plot(item)}`" if item.delta is not None else together(cells.allows(item)) if is_alone else "",
    )


def _found(item: ComparisonPart, head: str, *, is_alone: bool) -> str:
    """What was found of a table: among gates with the limit of how far it may move, which has no column there."""
    limit = cells.allows(item) if item.moved and not is_alone else ""
    return f"{head} ({limit})" if limit else head
