"""A report, a diff and a verification on a terminal: in colour there, as plain text elsewhere. Layer: render."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ci_ml.core import numbers
from ci_ml.core.changes import Changes
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.staleness import Freshness, State
from ci_ml.core.training import StageState, Training
from ci_ml.core.types import Outcome, Revision, Status
from ci_ml.render import cells, safe, words

_STYLE = {Outcome.PASS: "green", Outcome.WARN: "yellow", Outcome.UNDECIDED: "magenta", Outcome.FAIL: "red"}
_MARK = {Outcome.PASS: "✓", Outcome.WARN: "!", Outcome.UNDECIDED: "?", Outcome.FAIL: "✗"}
_BECAME = {
    StageState.RAN: "ran",
    StageState.CACHED: "from cache",
    StageState.SKIPPED: "did not change",
    StageState.FAILED: "failed",
}
_SHOWN = 10
_LOUD = 100
_QUIET = 15


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
    return safe.inert("\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n")


def _text(content: str, style: str = "") -> Text:
    """Text on a terminal: the names in it come from strangers, and must not move its cursor or start another line."""
    return Text(safe.printable(content), style=style)


def training(done: Training, record: Path, *, width: int = 120, color: bool = False) -> str:
    """What a training came to, in one line, and where it is recorded."""
    counted = [(state, sum(stage.state is state for stage in done.stages)) for state in StageState]
    said = ", ".join(f"{count} {_BECAME[state]}" for state, count in counted if count) or "there are no stages"
    line = Text.assemble((f"✓ {said}", "green"), f" · {words.seconds(done.seconds)}")
    lines = [line, _text(f"recorded in {record}", "dim")]
    if done.mlflow_run:
        lines.append(_text(f"logged to {done.mlflow_uri}, run {done.mlflow_run}", "dim"))
    return to_text(Group(*lines), width=width, color=color)


def _next(step: str) -> Text:
    return Text.assemble(("Next: ", "bold"), safe.printable(step))


def report(content: Report, *, width: int = 100, color: bool = False) -> str:
    """A verdict: first what it is and the number that decided, then the gates, what changed, and how it was judged."""
    outcome = content.verdict.outcome
    head = _text(f"{_MARK[outcome]} {content.name}: {words.HEADLINE[outcome]}", style=f"bold {_STYLE[outcome]}")
    parts: list[RenderableType] = [head, _text(content.verdict.sentence)]
    parts.extend(_text(line) for line in words.waivers(content))
    others = [reason for reason in content.verdict.reasons if reason != content.verdict.sentence]
    parts.extend(_text(f"also: {reason}") for reason in others[:_SHOWN])
    if len(others) > _SHOWN:
        parts.append(_text(f"and {len(others) - _SHOWN} more, in report.json"))
    if content.comparisons:
        parts.extend([_text(""), _gates(content.comparisons)])
    parts.extend(_changes(content))
    parts.append(_text(""))
    parts.extend(_text(line, style="dim") for line in words.provenance(content))
    parts.extend(_text(f"note: {notice}", style="yellow") for notice in content.notices)
    if step := words.next_step(content):
        parts.extend([_text(""), _next(step)])
    return to_text(Group(*parts), width=width, color=color)


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title, justify in columns:
        table.add_column(title, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def _gates(items: Sequence[ComparisonPart]) -> RenderableType:
    """Every gate that needs attention, then as many of the others as fit a screen."""
    loud = [item for item in items if item.impact is not Outcome.PASS]
    quiet = [item for item in items if item.impact is Outcome.PASS]
    room = max(_QUIET - len(loud), 0) if len(items) > _QUIET else len(quiet)
    shown = [*loud[:_LOUD], *quiet[:room]]
    table = _gate_table(shown)
    if len(shown) == len(items):
        return table
    held = f"and {len(quiet) - room} more that held" if len(quiet) > room else ""
    cut = f"and {len(loud) - _LOUD} more that did not" if len(loud) > _LOUD else ""
    return Group(table, _text(f"   {'; '.join(filter(None, (cut, held)))}; all are in report.json", style="dim"))


def _gate_table(items: Sequence[ComparisonPart]) -> Table:
    table = _table(
        ("", "left"), ("gate", "left"), ("base", "right"), ("head", "right"), ("change", "right"), ("allowed", "left")
    )
    for item in items:
        base, head = cells.values(item)
        mark = _text(_MARK[item.impact], style=_STYLE[item.impact])
        moved = _text(cells.change(item), style=_change_style(item))
        table.add_row(mark, _text(item.metric), _text(base), _text(head), moved, _text(cells.allows(item), style="dim"))
    return table


def _change_style(item: ComparisonPart) -> str:
    if item.status is Status.IMPROVED:
        return "green"
    return _STYLE[item.impact] if item.impact is not Outcome.PASS else ""


def _changes(content: Report) -> list[RenderableType]:
    summary = words.changed(content)
    if summary is None:
        return []
    table = _table(("", "left"), ("base", "right"), ("head", "right"))
    for param in content.params[:_SHOWN]:
        table.add_row(_text(f"{param.path} {param.key}"), _text(words.text(param.base)), _text(words.text(param.head)))
    for item in content.data[:_SHOWN]:
        table.add_row(_text(item.path), _text(words.digest(item.base)), _text(words.digest(item.head)))
    lines = [_text(f"stage {stage.name}: {', '.join(stage.what) or stage.change}") for stage in content.stages[:_SHOWN]]
    hidden = sum(max(0, len(items) - _SHOWN) for items in (content.params, content.data, content.stages))
    more = [_text(f"and {hidden} more, in report.json", style="dim")] if hidden else []
    tables = [table] if table.row_count else []
    return [
        _text(""),
        _text(f"What changed: {summary}", style="bold"),
        Padding(Group(*tables, *lines, *more), (0, 0, 0, 2)),
    ]


def diff(
    base: Revision, head: Revision, changes: Changes, notices: Iterable[str], *, width: int = 100, color: bool = False
) -> str:
    """What differs between two revisions."""
    title = f"{base} ({base.why}) → {head}"
    parts: list[RenderableType] = [_text(title, style="dim")]
    sections: list[tuple[str, Table]] = []
    for name, values in (("Metrics", changes.metrics), ("Params", changes.params)):
        if values:
            table = _table((name, "left"), ("base", "right"), ("head", "right"), ("change", "right"))
            for item in values:
                digits = numbers.decimals(item.base, item.head, item.delta) if item.delta is not None else None
                both = (_value(item.base, digits), _value(item.head, digits))
                table.add_row(
                    _text(str(item.metric)),
                    *map(_text, both),
                    _text("" if item.delta is None else numbers.signed(item.delta, digits)),
                )
            sections.append((name, table))
    if changes.data:
        table = _table(("Data", "left"), ("base", "right"), ("head", "right"))
        for data in changes.data:
            table.add_row(_text(data.path), _text(words.digest(data.base)), _text(words.digest(data.head)))
        sections.append(("Data", table))
    if changes.stages:
        table = _table(("Stages", "left"), ("", "left"))
        for stage in changes.stages:
            table.add_row(_text(stage.name), _text(", ".join(stage.what) or stage.change))
        sections.append(("Stages", table))
    for _, table in sections:
        parts.extend([_text(""), table])
    if not sections:
        parts.append(_text("No difference in metrics, params, data or stages."))
    parts.extend(_text(f"note: {notice}", style="yellow") for notice in notices)
    return to_text(Group(*parts), width=width, color=color)


def _value(value: object, digits: int | None) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and digits is not None:
        return numbers.plain(float(value), digits)
    return words.text(value)


def freshness(items: Sequence[Freshness], *, width: int = 100, color: bool = False) -> str:
    """Is dvc.lock true: the stale stages with their reasons first, then one line for the rest."""
    stale = [item for item in items if item.state is State.STALE]
    parts: list[RenderableType] = []
    if stale:
        parts.append(_text(f"✗ dvc.lock is out of date: {len(stale)} of {len(items)} stages", style="bold red"))
    else:
        count = "no stage" if not items else "1 stage" if len(items) == 1 else f"all {len(items)} stages"
        parts.append(_text(f"✓ dvc.lock is up to date ({count})", style="bold green"))
    for item in stale:
        parts.append(_text(f"  {item.name}", style="bold"))
        parts.extend(_text(f"    {reason}") for reason in item.reasons)
    for item in items:
        if item.state is State.ALWAYS:
            parts.append(_text(f"  {item.name}: {item.reasons[0]}", style="dim"))
        elif item.state is State.FROZEN:
            parts.append(_text(f"  {item.name}: frozen, never reproduced", style="dim"))
    missing = sorted({path for item in items for path in item.missing})
    if missing:
        parts.append(_text(f"  not here, which is fine: {_some(missing)}", style="dim"))
    modified = sorted({path for item in items for path in item.modified})
    if modified:
        parts.append(_text(f"  here in another version, `dvc checkout` restores it: {_some(modified)}", style="yellow"))
    unchecked = sorted({path for item in items for path in item.unchecked})
    if unchecked:
        parts.append(_text(f"  outside the repository, not checked: {_some(unchecked)}", style="yellow"))
    if stale:
        parts.extend([_text(""), _next("`ci-ml train` reproduces them; then commit dvc.lock.")])
    return to_text(Group(*parts), width=width, color=color)


def _some(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:5])
    return f"{shown} and {len(paths) - 5} more" if len(paths) > 5 else shown
