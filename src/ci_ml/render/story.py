"""The story of a model as one page, for terminals, as Markdown and HTML; a ledger to read offline. Layer: render."""

import html
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType

from ci_ml.core.chain import Entry, short
from ci_ml.core.story import Answer, Sheet, Story, moment
from ci_ml.render import safe
from ci_ml.render.layout import grid, line, to_text

_SHOWN = 15
# Nothing is fetched and nothing runs: an auditor reads this on a machine of their own.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1f2328}"
    "table{border-collapse:collapse;margin:.5rem 0 1rem;width:100%}"
    "th,td{border-bottom:1px solid #d0d7de;padding:.25rem .6rem .25rem 0;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}"
    "th{font-weight:600}.missing{color:#9a6700}.gap{background:#fff8c5;padding:.4rem .6rem;margin:.2rem 0}"
    "code{font:13px ui-monospace,monospace}"
)


def terminal(found: Story, *, width: int = 120, color: bool = False) -> str:
    """The page on a terminal; long lists are cut, for `--format json` has them whole."""
    said: list[RenderableType] = [line(found.title, "bold"), *(line(f"! {doubt}", "yellow") for doubt in found.doubts)]
    for number, answer in enumerate(found.answers, start=1):
        said += [line(""), line(f"{number}. {answer.question}", "bold")]
        facts = grid(("", "left"), ("", "left"))
        facts.show_header = False
        for fact in answer.facts:
            style = "yellow" if fact.missing else ""
            facts.add_row(line(f"  {fact.name}", "dim"), line(fact.value, style))
        said.append(facts)
        for sheet in answer.sheets:
            said += [line(""), line(f"  {sheet.title}", "dim"), _table(sheet)]
    said += [line(""), line("Records", "bold")]
    said += [line(f"  {kind} {digest}, {where}", "dim") for kind, digest, where in found.records]
    said += [line(f"missing: {gap}", "yellow") for gap in found.gaps]
    return to_text(Group(*said), width=width, color=color)


def _table(sheet: Sheet) -> RenderableType:
    rows = grid(*((f"  {name}" if not index else name, "left") for index, name in enumerate(sheet.columns)))
    for row in sheet.rows[:_SHOWN]:
        rows.add_row(*(line(f"  {cell}" if not index else cell) for index, cell in enumerate(row)))
    more = sheet.more + max(0, len(sheet.rows) - _SHOWN)
    if not more:
        return rows
    return Group(rows, line(f"  and {more} more, with --format json or markdown", "dim"))


def markdown(found: Story) -> str:
    """The page as Markdown."""
    lines = [f"## {safe.prose(found.title)}", ""]
    lines += [f"**{safe.prose(doubt)}**\n" for doubt in found.doubts]
    for number, answer in enumerate(found.answers, start=1):
        lines += [f"### {number}. {answer.question}", "", *_markdown(answer)]
    lines += ["### Records", ""]
    lines += [f"- {kind} {safe.code(digest)}: {safe.prose(where)}" for kind, digest, where in found.records]
    if found.gaps:
        lines += ["", "### What is missing", "", *(f"- {safe.prose(gap)}" for gap in found.gaps)]
    return "\n".join(lines) + "\n"


def _markdown(answer: Answer) -> Iterator[str]:
    yield from (f"- {fact.name}: {safe.prose(fact.value)}" for fact in answer.facts)
    for sheet in answer.sheets:
        yield from ("", f"**{sheet.title}**", "")
        yield f"| {' | '.join(sheet.columns)} |"
        yield f"|{' :-- |' * len(sheet.columns)}"
        yield from (f"| {' | '.join(safe.prose(cell) for cell in row)} |" for row in sheet.rows)
        if sheet.more:
            yield from ("", f"and {sheet.more} more")
    yield ""


def page(title: str, stories: Iterable[Story], entries: Sequence[Entry], places: dict[str, str], said: str) -> str:
    """A ledger as one page of HTML, without scripts: what became of each model, then every entry with its record.

    `places` are the files of records, by their digests; `said` is what was found when it was exported.
    """
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">',
        '<meta name=viewport content="width=device-width">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style><body><h1>{_text(title)}</h1><p>{_text(said)}</p>",
        "<p>Check it yourself: <code>python3 verify.py</code>, beside this file, needs nothing but Python.</p>",
    ]
    for story in stories:
        parts += _html(story)
    parts.append("<h2>Every entry</h2>")
    columns = ("number", "when", "kind", "about", "by", "run", "record")
    rows = [
        (
            str(entry.number),
            moment(entry.at.isoformat()),
            entry.kind.value,
            entry.subject,
            entry.by or "",
            entry.run_url or "",
            places.get(entry.record, ""),
        )
        for entry in entries
    ]
    parts.append(_html_table(columns, rows, link=True))
    return "\n".join(parts) + "\n"


def _html(story: Story) -> Iterator[str]:
    yield f"<h2>{_text(story.title)}</h2>"
    yield from (f"<p class=gap>{_text(gap)}</p>" for gap in story.gaps)
    for answer in story.answers:
        yield f"<h3>{_text(answer.question)}</h3><table>"
        for fact in answer.facts:
            mark = " class=missing" if fact.missing else ""
            yield f"<tr><th>{_text(fact.name)}<td{mark}>{_text(fact.value)}"
        yield "</table>"
        for sheet in answer.sheets:
            yield f"<h4>{_text(sheet.title)}</h4>{_html_table(sheet.columns, sheet.rows)}"
            if sheet.more:
                yield f"<p>and {sheet.more} more</p>"
    yield "<h4>Records</h4><ul>"
    yield from (f"<li>{_text(kind)} {_text(short(name))}, {_text(where)}" for kind, name, where in story.records)
    yield "</ul>"


def _html_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, link: bool = False) -> str:
    """A table; with `link` the last cell is a file beside the page."""
    parts = ["<table><tr>", *(f"<th>{_text(name)}" for name in columns)]
    for row in rows:
        parts.append("<tr>")
        parts += [f"<td>{_text(cell)}" for cell in (row[:-1] if link else row)]
        if link:
            last = html.escape(row[-1], quote=True)
            parts.append(f'<td><a href="{last}"><code>{last[-17:]}</code></a>' if last else "<td>")
    return "".join([*parts, "</table>"])


def _text(value: str) -> str:
    return html.escape(safe.printable(value), quote=True)
