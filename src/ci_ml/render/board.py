"""The gates of a report on a terminal: what needs attention row by row, slices that held in one line. Layer: render."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ci_ml.core.report import ComparisonPart
from ci_ml.core.types import Outcome, Status
from ci_ml.render import cells, parts, safe
from ci_ml.render.layout import MARK, STYLE, grid, line

_LOUD = 100
_QUIET = 15
_GROUPS = 10
_LONGEST_SLICE = 60
_REPORTED = "i"
_SKIPPED = "·"
_LEAST = 14  # columns that a gate's name needs
_WIDE = 104  # where there is room for what is allowed


def gates(items: Sequence[ComparisonPart], width: int, sides: tuple[str, str] = ("base", "head")) -> RenderableType:
    """Every gate that needs attention, then as many of the others as fit a screen, then what became of slices."""
    divided = parts.divide(items)
    loud, quiet = divided.loud, divided.whole
    room = max(_QUIET - len(loud), 0) if len(loud) + len(quiet) > _QUIET else len(quiet)
    shown = [*loud[:_LOUD], *quiet[:room]]
    is_measured = any(cells.ends(item) for item in shown)
    gap = 2 if width >= _WIDE or not is_measured else 1
    table = _measured(shown, width, gap, sides) if is_measured else _points(shown, sides)
    found: list[RenderableType] = [table] if shown else []
    indent = " " * (gap + 1)
    held = f"and {len(quiet) - room} more that held" if len(quiet) > room else ""
    cut = f"and {len(loud) - _LOUD} more that did not" if len(loud) > _LOUD else ""
    if held or cut:
        found.append(line(f"{indent}{'; '.join(filter(None, (cut, held)))}; all are in report.json", style="dim"))
    if divided.warned:
        count = len(divided.warned)
        found.append(
            line(
                f"!{indent[1:]}and {count} more slice{'' if count == 1 else 's'} that only warn",
                style=STYLE[Outcome.WARN],
            )
        )
    return Group(*found, *_slices(divided.slices, gap))


def _points(items: Sequence[ComparisonPart], sides: tuple[str, str]) -> Table:
    if all(item.absolute for item in items):
        return _expectations(items)
    table = grid(
        ("", "left"), ("gate", "left"), *((side, "right") for side in sides), ("change", "right"), ("allowed", "left")
    )
    for item in items:
        base, head = cells.values(item)
        moved = line(cells.change(item), style=style(item))
        table.add_row(mark(item), _name(item, _WIDE), line(base), line(head), moved, _allowed(item))
    return table


def _expectations(items: Sequence[ComparisonPart]) -> Table:
    """What is expected of tables: how much breaks it, and how much may; or how far they moved."""
    first, found, allowed = cells.found_titles(items)
    table = grid(("", "left"), (first, "left"), (found, "right"), (allowed, "right"), ("", "left"))
    for item in items:
        moved = line("" if item.status is Status.HELD else cells.moved(item), style=style(item))
        table.add_row(mark(item), _name(item, _WIDE), line(cells.values(item)[1]), _allowed(item), moved)
    return table


def _measured(
    items: Sequence[ComparisonPart], width: int, gap: int, both: tuple[str, str], *, plot: bool = True
) -> Table:
    """Gates with intervals, whose numbers stay whole as long as they can: where there is no room the plot goes."""
    plots = [cells.plot(item) for item in items] if plot else None
    allowed = [cells.allows(item) for item in items] if width >= _WIDE else None
    columns = [*zip(*map(cells.values, items), strict=True), plots, [cells.change(item) for item in items], allowed]
    titles = [*both, cells.PLOT_TITLE, cells.change_title(items), "allowed"]
    shown = [(title, column) for title, column in zip(titles, columns, strict=True) if column is not None]
    room = width - 1 - gap - sum(gap + max(map(cell_len, (title, *column))) for title, column in shown)
    if plot and room < _LEAST:
        return _measured(items, width, gap, both, plot=False)
    sides = [(title, "right" if title in both else "left") for title, _ in shown]
    table = grid(("", "left"), ("gate", "left"), *sides, gap=gap)
    for column in table.columns[2:]:
        column.no_wrap = room >= _LEAST
    for item, *row in zip(items, *(column for _, column in shown), strict=True):
        found = [
            line(cell, style=style(item) if title.startswith("change") else "")
            for cell, (title, _) in zip(row, shown, strict=True)
        ]
        table.add_row(mark(item), _name(item, room), *found)
    return table


def _name(item: ComparisonPart, room: int) -> Text:
    """A gate and what it is about: on two lines where one has not enough room."""
    metric, rest = safe.printable(safe.shortened(item.metric)), safe.printable(about(item))
    if not rest:
        return Text(metric)
    return Text(f"{metric} · {rest}" if cell_len(f"{metric} · {rest}") <= room else f"{metric} ·\n{rest}")


def about(item: ComparisonPart) -> str:
    """The slice, or the groups of a gap."""
    if item.slice:
        return safe.shortened(str(item.where), _LONGEST_SLICE)
    return safe.shortened(" vs ".join(cells.groups(item)), _LONGEST_SLICE)


def mark(item: ComparisonPart) -> Text:
    """What became of a gate, in one character; neither what only reports nor what is too small is a success."""
    if item.too_small:
        return Text(_SKIPPED, style="dim")
    if cells.only_reported(item):
        return Text(_REPORTED, style="dim")
    return Text(MARK[item.impact], style=STYLE[item.impact])


def _allowed(item: ComparisonPart) -> Text:
    return line(cells.allows(item), style="dim")


def style(item: ComparisonPart) -> str:
    """The colour of a change."""
    if item.status is Status.IMPROVED:
        return "green"
    return STYLE[item.impact] if item.impact is not Outcome.PASS else ""


def _slices(items: Sequence[ComparisonPart], gap: int) -> list[RenderableType]:
    """One line for the slices of each metric, with the worst of those that were judged."""
    of_metric: dict[str, list[ComparisonPart]] = {}
    for item in items:
        of_metric.setdefault(item.metric, []).append(item)
    found: list[RenderableType] = []
    for metric, slices in list(of_metric.items())[:_GROUPS]:
        worst = next((item for item in slices if not item.too_small and cells.ends(item)), None)
        said = f"{safe.shortened(metric)}: {parts.held(slices, 'slice')}"
        said += f"; worst: {about(worst)} {cells.change(worst)}, n {worst.n:,}" if worst else ""
        sign = Text(MARK[Outcome.PASS], style=STYLE[Outcome.PASS]) if worst else Text(_SKIPPED, style="dim")
        row = Table.grid(padding=(0, gap, 0, 0))
        row.add_row(sign, line(said))
        found.append(row)
    if len(of_metric) > _GROUPS:
        found.append(
            line(f"{' ' * (gap + 1)}and slices of {len(of_metric) - _GROUPS} more metrics, in report.json", style="dim")
        )
    return found
