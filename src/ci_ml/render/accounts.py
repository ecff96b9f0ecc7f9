"""Gates explained on a terminal. Layer: render."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ci_ml.core.report import ComparisonPart
from ci_ml.core.types import Outcome, Status
from ci_ml.render import board, cells, explain, parts, safe
from ci_ml.render.layout import STYLE, grid, line

_SLICES = 30
_REASONS = 5


def account(item: ComparisonPart) -> RenderableType:
    """One gate explained: its sentence, what there is to say line by line, and what is wrong with its margin."""
    heading = Text.assemble(board.mark(item), " ", line(safe.shortened(item.name)))
    heading.stylize("bold")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    for label, said in explain.account(item):
        table.add_row(label, line(safe.brief(said, [item.name])))
    body = Group(_reason(item), table, *_warned(explain.warning(item)))
    return Group(heading, Padding(body, (0, 0, 0, 2)))


def slices(items: Sequence[ComparisonPart]) -> RenderableType:
    """The slices of one gate explained: what was corrected and why, then each in a row, harm first."""
    divided = parts.divide(items)
    ordered = [*divided.loud, *divided.warned, *divided.slices]
    # A row says all there is to say about a slice that got worse; the others need their sentence.
    open_ = [item for item in ordered if item.impact is not Outcome.PASS and item.status is not Status.REGRESSED]
    said = [line(text) for text in [explain.holm(items)] if text]
    reasons = [_reason(item) for item in open_[:_REASONS]]
    if len(open_) > _REASONS:
        reasons.append(line(f"and {len(open_) - _REASONS:,} more", style="dim"))
    body = Group(
        *said, _table(ordered), *([line("")] if reasons else []), *reasons, *_warned(explain.warning_of_slices(items))
    )
    title = f"{safe.shortened(items[0].metric)}: {len(items):,} slice{'' if len(items) == 1 else 's'}"
    return Group(line(title, style="bold"), Padding(body, (0, 0, 0, 2)))


def _table(items: Sequence[ComparisonPart]) -> RenderableType:
    columns = ("", "slice", cells.change_title(items), "n", "p, corrected", "")
    table = grid(*((title, "right" if title.startswith(("n", "p")) else "left") for title in columns), gap=1)
    for item in items[:_SLICES]:
        status = "too small" if item.too_small else item.status.value
        count = f"{item.n:,}" if item.n is not None else ""
        row = (cells.change(item), count, explain.p_value(item.corrected), status)
        table.add_row(board.mark(item), line(board.about(item)), *map(line, row), style=board.style(item))
    hidden = len(items) - _SLICES
    return Group(table, line(f"and {hidden:,} more, in report.json", style="dim")) if hidden > 0 else table


def _reason(item: ComparisonPart) -> Text:
    return line(safe.brief(item.reason, [item.name]))


def _warned(doubt: str | None) -> list[Text]:
    return [line(f"! {doubt}", style=STYLE[Outcome.WARN])] if doubt else []
