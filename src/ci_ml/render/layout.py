"""Rich content as lines of text, and what everything on a terminal shares. Layer: render."""

import io
from typing import Literal

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ci_ml.core.types import Outcome
from ci_ml.render import safe

# Rich takes a non-breaking space for a place to break a line, so a character that nothing else can be stands in for it.
_NBSP, _STAND_IN = "\N{NO-BREAK SPACE}", "\ue000"

STYLE = {Outcome.PASS: "green", Outcome.WARN: "yellow", Outcome.UNDECIDED: "magenta", Outcome.FAIL: "red"}
MARK = {Outcome.PASS: "✓", Outcome.WARN: "!", Outcome.UNDECIDED: "?", Outcome.FAIL: "✗"}


def to_text(content: RenderableType, *, width: int, color: bool) -> str:
    """Lay rich content out as text, `width` columns wide, without a line's trailing blanks."""
    stream = io.StringIO()
    # What the terminal can do was decided by the caller: nothing here depends on TERM, NO_COLOR or COLUMNS.
    system: Literal["standard"] | None = "standard" if color else None
    console = Console(
        file=stream,
        width=width,
        color_system=system,
        force_terminal=color,
        no_color=not color,
        highlight=False,
        markup=False,
        _environ={},
    )
    console.print(content)
    shown = stream.getvalue().replace(_STAND_IN, _NBSP)
    return safe.inert("\n".join(line.rstrip() for line in shown.splitlines()) + "\n")


def line(content: str, style: str = "") -> Text:
    """Text on a terminal: the names in it come from strangers, and must not move its cursor or start another line."""
    return Text(safe.printable(content).replace(_NBSP, _STAND_IN), style=style)


def grid(*columns: tuple[str, str], gap: int = 2) -> Table:
    """A table without lines; columns are given as title and justification."""
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    for title, justify in columns:
        table.add_column(title, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table
