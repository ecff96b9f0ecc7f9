"""The collapsed parts of a comment: what held, what was before, what changed, how it was trained and judged.

Layer: render.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ci_ml.core.report import ComparisonPart, Report
from ci_ml.render import cells, environments, parts, past, safe, sketches, spent, words

_NBSP = "\N{NO-BREAK SPACE}"
_DRIFTED = 20
# Of a metric's name in a table as well: more would push it beyond what a page shows without scrolling.
LONGEST_SLICE = 60


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
    history: bool = True
    others: int = 5
    undecided: int = 5
    notices: int = 20
    words: int = 1000
    left_out: str = ""


# What goes first is what a reviewer misses least. Every step says what it leaves out; the last one always fits.
_MOST = "most gates, what changed, notices"
_FEW = Detail(collapsed_rows=40, history=False)
_BARE = replace(_FEW, held=False, changes=False, loud=False)
LADDER = (
    Detail(),
    Detail(collapsed_rows=40, left_out="all but 40 rows of each part below"),
    replace(_FEW, left_out="all but 40 rows of each part below, history"),
    replace(_FEW, held=False, left_out="what held, history"),
    replace(_BARE, rows=100, undecided=3, left_out="what held, what changed"),
    replace(_BARE, rows=25, undecided=3, left_out="most gates, what changed"),
    replace(_BARE, rows=5, others=1, undecided=1, notices=3, words=200, left_out=_MOST),
    replace(_BARE, rows=0, others=0, undecided=0, notices=0, words=100, left_out=_MOST),
)


def collapsed(
    content: Report, divided: parts.Parts, whole: Sequence[ComparisonPart], detail: Detail, run_url: str | None
) -> list[Section]:
    """Every collapsed part that there is; `whole` are the gates that held and are not in the table."""
    both = words.sides(content)
    found = [
        _more([*divided.loud[detail.rows :], *divided.warned], detail, both) if detail.loud else None,
        _section(whole, "gate", detail, both) if detail.held else None,
        _section(divided.slices, "slice", detail, both) if detail.held else None,
        _drift(content, detail) if detail.changes else None,
        _history(content, detail) if detail.history else None,
        _changes(content, detail) if detail.changes else None,
        _training(content, detail) if detail.changes else None,
        _environment(content, detail) if detail.changes else None,
        _judged(content, run_url),
    ]
    return [section for section in found if section]


def called(item: ComparisonPart) -> str:
    """A gate in a sentence: by its metric, and the slice where it is about one."""
    metric = safe.span(item.metric)
    return f"{metric} on {safe.span(together(str(item.where)), LONGEST_SLICE)}" if item.slice else metric


def cell(item: ComparisonPart) -> str:
    """A gate in a table, as narrow as a phone needs it: the metric, and the slice or the groups that it is about."""
    about = [str(item.where)] if item.slice else []
    about += [" vs ".join(cells.groups(item))] if item.between else []
    return f"{_NBSP}· ".join(
        [safe.folded(item.metric, LONGEST_SLICE), *(safe.folded(text, LONGEST_SLICE) for text in about)]
    )


def together(text: str) -> str:
    """A cell that keeps on one line."""
    return text.replace(" ", _NBSP)


def and_more(count: int) -> list[str]:
    """That there is more, where there is."""
    return [f"and {count} more, in the full report"] if count > 0 else []


def _table(header: Sequence[str], align: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, align, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _more(items: Sequence[ComparisonPart], detail: Detail, both: tuple[str, str]) -> Section | None:
    if not items:
        return None
    nouns = [noun for noun, found in (("gates", False), ("slices", True)) if any(bool(i.slice) is found for i in items)]
    return Section(
        summary=f"{len(items)} more {' and '.join(nouns)} that did not hold", body=_gates(items, detail, sides=both)
    )


def _section(items: Sequence[ComparisonPart], noun: str, detail: Detail, both: tuple[str, str]) -> Section | None:
    return Section(summary=parts.held(items, noun), body=_gates(items, detail, noun, both)) if items else None


def _gates(
    items: Sequence[ComparisonPart], detail: Detail, noun: str = "gate", sides: tuple[str, str] = ("base", "head")
) -> str:
    shown = items[: detail.collapsed_rows]
    if all(item.absolute for item in items):
        return "\n\n".join([_expectations(shown), *and_more(len(items) - len(shown))])
    title = cells.interval_title(shown)
    counted = any(item.n is not None for item in shown)
    header = [noun, "change", *([together(title)] if title else []), *sides, *(["n"] if counted else [])]
    align = [":--", "--:", *([":-:"] if title else []), "--:", "--:", *(["--:"] if counted else [])]
    rows = [
        [cell(item), together(cells.moved(item))]
        + ([_interval(item)] if title else [])
        + [*cells.values(item), *([_count(item)] if counted else [])]
        for item in shown
    ]
    return "\n\n".join([_table(header, align, rows), *and_more(len(items) - len(shown))])


def _expectations(items: Sequence[ComparisonPart]) -> str:
    rows = [
        [called(item), together(cells.values(item)[1]), together(cells.allows(item)), _count(item)] for item in items
    ]
    return _table([*cells.found_titles(items), "of"], [":--", "--:", "--:", "--:"], rows)


def _interval(item: ComparisonPart) -> str:
    found = cells.ends(item)
    return together(" … ".join(found)) if found else ""


def _count(item: ComparisonPart) -> str:
    """How many examples, and how many there would have to be."""
    if item.n is None:
        return ""
    return together(f"{item.n:,} < {item.min_n:,}".replace("<", "&lt;") if item.too_small else f"{item.n:,}")


def _drift(content: Report, detail: Detail) -> Section | None:
    """Both distributions of the columns that drifted, in characters; of categories the sentence says it."""
    found = [column for table in content.drifts for column in table.columns if column.drifted]
    if not found:
        return None
    rows = []
    for column in found[: min(detail.collapsed_rows, _DRIFTED)]:
        before, now = sketches.numbers(column.histogram) if column.histogram else ("", "")
        said = safe.sentence(column.reason, [column.column], 300)
        rows.append((safe.folded(column.column), *(f"`{side}`" if side else "" for side in (before, now)), said))
    table = _table(("column", "reference", "current", "what happened"), (":--", ":--", ":--", ":--"), rows)
    noun = "column" if len(found) == 1 else "columns"
    return Section(
        summary=f"How {len(found):,} {noun} drifted", body="\n\n".join([table, *and_more(len(found) - len(rows))])
    )


def _history(content: Report, detail: Detail) -> Section | None:
    found = past.pasts(content)
    if not found:
        return None
    shown = found[: detail.collapsed_rows]
    rows = [(cell(item.gate), item.sparkline, together(safe.prose(item.span))) for item in shown]
    table = _table(("gate", "up to this change", "from → to"), (":--", ":--", ":--"), rows)
    chart = [found[0].chart] if len(found[0].values) > 2 else []
    body = [table, *and_more(len(found) - len(shown)), *chart]
    branch = safe.shortened(content.base.ref or "the base", 60)
    return Section(summary=safe.markup(past.title(found, branch)), body="\n\n".join(body))


def _changes(content: Report, detail: Detail) -> Section | None:
    summary = words.changed(content)
    if summary is None:
        return None
    most = detail.collapsed_rows
    values = _values(content)
    table = _table(("", "base", "head"), (":--", "--:", "--:"), values[:most]) if values else ""
    hidden = max(0, len(values) - most)
    found = [table]
    for lines in (_stages(content), _code(content)):
        found.append("\n".join(lines[:most]))
        hidden += max(0, len(lines) - most)
    return Section(summary=f"What changed: {summary}", body="\n\n".join(filter(None, [*found, *and_more(hidden)])))


def _values(content: Report) -> list[tuple[str, str, str]]:
    """Params and data, with what they are on both sides."""
    rows = [
        (f"{safe.code(item.path)} {safe.prose(item.key)}", *_both(words.text(item.base), words.text(item.head)))
        for item in content.params
    ]
    rows += [(safe.code(item.path), *_both(words.digest(item.base), words.digest(item.head))) for item in content.data]
    return rows


def _both(base: str, head: str) -> tuple[str, str]:
    return safe.code(base), safe.code(head)


def _stages(content: Report) -> list[str]:
    return [
        f"- stage {safe.span(stage.name)}: {', '.join(map(safe.prose, stage.what)) or stage.change}"
        for stage in content.stages
    ]


def _code(content: Report) -> list[str]:
    return [f"- {safe.span(item.path)}: {safe.prose(words.edited(item))}" for item in content.code]


def _training(content: Report, detail: Detail) -> Section | None:
    training = content.training
    if training is None or not training.stages:
        return None
    shown = spent.stages(training)
    rows = [
        (safe.code(item.name), item.became, together(item.before), together(item.took), together(item.change))
        for item in shown[: detail.collapsed_rows]
    ]
    if not any(item.change for item in shown):  # nothing is known of the base's
        table = _table(("stage", "", "time"), (":--", ":--", "--:"), [(row[0], row[1], row[3]) for row in rows])
    else:
        table = _table(("stage", "", "base", "head", "change"), (":--", ":--", "--:", "--:", "--:"), rows)
    return Section(
        summary=safe.markup(spent.summary(training)),
        body="\n\n".join([table, *and_more(len(shown) - len(rows))]),
    )


def _environment(content: Report, detail: Detail) -> Section | None:
    """What both sides ran in, and who says so."""
    summary = environments.summary(content)
    if summary is None:
        return None
    found = environments.rows(content)
    shown = [
        (safe.prose(safe.shortened(row.name, 60)), *_both(row.base, row.head), ", ".join(map(_source, row.sources)))
        for row in found[: detail.collapsed_rows]
    ]
    table = [_table(("", "base", "head", "source"), (":--", "--:", "--:", ":--"), shown)] if shown else []
    missing = [safe.prose(text)] if (text := environments.missing(content)) else []
    body = [*table, *and_more(len(found) - len(shown)), *missing]
    return Section(summary=summary, body="\n\n".join(body or ["By the records of both trainings."]))


def _source(name: str) -> str:
    return name if name == environments.TRAINING else safe.code(name)


def _judged(content: Report, run_url: str | None) -> Section:
    lines = [safe.prose(line) for line in words.provenance(content)]
    if run_url:
        lines.append(f"[run]({run_url})")
    return Section(summary="How this was judged", body=" · ".join(lines))
