"""A gate as a page shows it: its numbers, its plot, its account, its history and its slices. Layer: render."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ci_ml.core import numbers
from ci_ml.core.exhibits import HistoryPart
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Outcome, Require
from ci_ml.render import cells, explain, explorer, figures, forest, parts, safe, words
from ci_ml.render.figures import Figure
from ci_ml.render.marks import KINDS, Mark, mark, worse

_SLICES = 6


@dataclass(frozen=True, kw_only=True)
class Row:
    """A comparison in a table. `link` is the id of the part of the page that says more."""

    mark: Mark
    metric: str
    where: str
    groups: str
    base: str
    head: str
    moved: str
    interval: str
    allows: str
    count: str
    plot: forest.Row | None
    is_loud: bool
    link: str = ""
    is_alone: bool = False  # judged without a base


@dataclass(frozen=True, kw_only=True)
class Card:
    """A gate, or the slices of one. `facts` and `account` are labels and sentences.

    `worst` is the sign of the gate or of its worst slice, and `also` says how many slices are that much worse.
    """

    id: str
    row: Row
    worst: Mark
    also: str
    name: str
    reason: str
    facts: Sequence[tuple[str, str]]
    account: Sequence[tuple[str, str]]
    doubts: Sequence[str]
    plot_label: str
    edge: str
    declared: str
    history: str | None
    slices: Sequence[Row]
    slices_said: Sequence[str]
    count: int
    metric: int
    is_open: bool


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The cards of a report, harm first, of which `left_out` have no room."""

    cards: Sequence[Card]
    links: Mapping[int, str]
    left_out: int


MOST = 300  # more is what the explorer is for


def gates(content: Report, draw: Callable[[Figure], str], elsewhere: Mapping[str, str]) -> Gates:
    """A card for every gate, and where each comparison's card is, by its id(). `draw` takes a chart and names it.

    What is shown `elsewhere` on the page, by its metric, has no card.
    """
    grouped: dict[str, list[ComparisonPart]] = {}
    for item in content.comparisons:
        grouped.setdefault(item.metric, []).append(item)
    order = {name: index for index, name in enumerate(_metrics(content.comparisons))}
    past = {part.metric: part for part in content.history}
    found: list[Card] = []
    links: dict[int, str] = {}
    left_out, both = 0, words.sides(content)
    for metric, items in grouped.items():
        whole = [item for item in items if not item.slice]
        slices = [item for item in items if item.slice]
        if metric in elsewhere:
            links |= {id(item): elsewhere[metric] for item in items}
            continue
        heads = whole or slices[:1]
        if len(found) + len(heads) > MOST:
            left_out += len(heads)
            continue
        for index, item in enumerate(heads):
            name = f"gate-{len(found) + 1}"
            links[id(item)] = name
            own = slices if not index else []
            links |= {id(part): name for part in own}
            found.append(_card(name, item, own, past.get(metric) if not index else None, order[metric], draw, both))
    return Gates(cards=found, links=links, left_out=left_out)


def _metrics(items: Sequence[ComparisonPart]) -> list[str]:
    """The metrics as the explorer numbers them."""
    return list(dict.fromkeys(item.metric for item in explorer.ordered(items)))


def _card(
    name: str,
    item: ComparisonPart,
    slices: Sequence[ComparisonPart],
    past: HistoryPart | None,
    metric: int,
    draw: Callable[[Figure], str],
    sides: tuple[str, str],
) -> Card:
    is_whole = not item.slice
    drawn = figures.history(past, item if is_whole else None) if past else None
    divided = parts.divide(slices)
    loud = [*divided.loud, *divided.warned]
    shown = [*loud, *divided.slices][:_SLICES] if loud else []
    told = safe.shortened(item.name if is_whole else item.metric)
    own = row(item) if is_whole else _only_slices(item)
    worst, also = _worst(own.mark, divided.loud)
    return Card(
        id=name,
        row=own,
        worst=worst,
        also=also,
        name=told,
        reason=safe.brief(item.reason, [item.name]) if is_whole else "This gate judges slices only.",
        facts=_facts(item, sides) if is_whole else [],
        account=[(label, safe.brief(said, [item.name])) for label, said in explain.account(item)] if is_whole else [],
        doubts=[
            doubt for doubt in (explain.warning(item) if is_whole else None, explain.warning_of_slices(slices)) if doubt
        ],
        plot_label=forest.said(item, cells.change(item)) if is_whole else "",
        edge=_edge(item),
        declared=_place(item),
        history=draw(drawn) if drawn else None,
        slices=[row(part) for part in shown],
        slices_said=_said(divided, slices),
        count=len(slices),
        metric=metric,
        is_open=item.impact is not Outcome.PASS or worst != own.mark,
    )


def _worst(own: Mark, loud: Sequence[ComparisonPart]) -> tuple[Mark, str]:
    """The sign of the worst slice where it is worse than the gate's own, and how many slices have it."""
    found = [mark(item) for item in loud]
    if not found or not worse(found[0], own):
        return own, ""
    count = found.count(found[0])
    return found[0], f"{count:,} slice{'' if count == 1 else 's'} {found[0].word}"


def row(item: ComparisonPart, link: str = "") -> Row:
    """A comparison with every cell finished."""
    base, head = cells.values(item)
    ends = cells.ends(item)
    return Row(
        mark=mark(item),
        metric=explorer.brief(item.metric),
        where=explorer.brief(str(item.where)) if item.slice else "",
        groups=explorer.brief(" vs ".join(cells.groups(item))) if item.between else "",
        base="" if item.absolute else base,
        head=head,
        moved=cells.moved(item),
        interval=cells.bracketed(ends) if ends else "",
        allows=cells.allows(item),
        count=f"{item.n:,}" if item.n is not None else "",
        plot=forest.row(item),
        is_loud=item.impact in (Outcome.FAIL, Outcome.UNDECIDED),
        link=link,
        is_alone=item.absolute,
    )


def _only_slices(worst: ComparisonPart) -> Row:
    word = {Outcome.PASS: "slices held"}.get(worst.impact, f"a slice {worst.status.value}")
    return Row(
        mark=Mark(kind=KINDS[worst.impact], word=word),
        metric=explorer.brief(worst.metric),
        where="",
        groups="",
        base="",
        head="",
        moved="",
        interval="",
        allows="",
        count="",
        plot=None,
        is_loud=False,
    )


def _facts(item: ComparisonPart, sides: tuple[str, str]) -> list[tuple[str, str]]:
    base, head = cells.values(item)
    if item.absolute:
        _, value, limit = cells.found_titles([item])
        alone = [
            (value, head),
            (limit, cells.allows(item)),
            ("became", cells.moved(item)),
            ("of", f"{item.n:,} {'columns' if item.unit == 'columns' else 'rows'}" if item.n is not None else ""),
        ]
        return [(label, said) for label, said in alone if said]
    ends = cells.ends(item)
    found = [
        (sides[0], base),
        (sides[1], head),
        ("change", cells.moved(item)),
        (f"{cells.level(item.confidence)} interval", cells.bracketed(ends) if ends else ""),
        ("gate asks for", cells.allows(item)),
        ("measured on", cells.counted(item) if item.n is not None else ""),
    ]
    return [(label, said) for label, said in found if said]


def _edge(item: ComparisonPart) -> str:
    """What stands at the margin."""
    if not item.margin_absolute or item.require in (Require.REPORT, Require.IMPROVEMENT):
        return ""
    sign = numbers.MINUS if item.direction.value == "higher" else "+"
    if isinstance(item.margin, str):
        return f"{sign}{item.margin}"
    return f"{sign}{numbers.amount(item.margin, rate=item.rate)}"


def _place(item: ComparisonPart) -> str:
    """Where the gate is declared."""
    if item.declared is None:
        return ""
    line = f":{item.declared.line}" if item.declared.line else ""
    return safe.shortened(f"{item.declared.path}{line}")


def _said(divided: parts.Parts, slices: Sequence[ComparisonPart]) -> list[str]:
    """What became of the slices, and what was corrected."""
    if not slices:
        return []
    loud = len(divided.loud) + len(divided.warned)
    held = parts.held(divided.slices, "slice") if divided.slices else ""
    did_not = f"{loud:,} slice{'' if loud == 1 else 's'} did not hold" if loud else ""
    return [f"{'; '.join(filter(None, (did_not, held)))}.", *(text for text in [explain.holm(slices)] if text)]
