"""A report, a diff and a verification on a terminal: in colour there, as plain text elsewhere. Layer: render."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ci_ml.core import numbers
from ci_ml.core.changes import Changes
from ci_ml.core.listing import some
from ci_ml.core.report import Report
from ci_ml.core.staleness import Freshness, State
from ci_ml.core.training import StageState, Training
from ci_ml.core.types import Outcome, Revision
from ci_ml.render import accounts, board, choice, environments, parts, safe, spent, words
from ci_ml.render.layout import MARK, STYLE, grid, line, to_text

_BECAME = {
    StageState.RAN: "ran",
    StageState.CACHED: "from cache",
    StageState.SKIPPED: "did not change",
    StageState.FAILED: "failed",
}
_SHOWN = 10
_REASONS = 5


def training(done: Training, record: Path, *, width: int = 120, color: bool = False) -> str:
    """What a training came to, in one line, and where it is recorded."""
    counted = [(state, sum(stage.state is state for stage in done.stages)) for state in StageState]
    said = ", ".join(f"{count} {_BECAME[state]}" for state, count in counted if count) or "there are no stages"
    summary = Text.assemble((f"✓ {said}", "green"), f" · {words.seconds(done.seconds)}")
    lines = [summary, line(f"recorded in {record}", "dim")]
    if done.mlflow_run:
        lines.append(line(f"logged to {done.mlflow_uri}, run {done.mlflow_run}", "dim"))
    return to_text(Group(*lines), width=width, color=color)


def _next(step: str) -> Text:
    return Text.assemble(("Next: ", "bold"), line(step))


def report(content: Report, *, width: int = 100, color: bool = False) -> str:
    """A verdict: first what it is and the number that decided, then the gates, what changed, and how it was judged."""
    outcome = content.verdict.outcome
    names = [item.name for item in content.comparisons]
    head = line(f"{MARK[outcome]} {content.name}: {words.headline(content)}", style=f"bold {STYLE[outcome]}")
    said: list[RenderableType] = [head, line(safe.brief(content.verdict.sentence, names))]
    said.extend(line(text) for text in words.waivers(content))
    above, below = parts.reasons(content)
    others = [*above, *below]
    said.extend(line(f"also: {safe.brief(reason, names)}") for reason in others[:_REASONS])
    if len(others) > _REASONS:
        said.append(line(f"and {len(others) - _REASONS} more, in report.json"))
    if content.comparisons:
        said.extend([line(""), board.gates(content.comparisons, width, words.sides(content))])
    said.extend(_changes(content))
    if content.training and content.training.stages:
        said.extend([line(""), line(spent.summary(content.training), style="bold")])
    said.extend(_environment(content))
    said.append(line(""))
    said.extend(line(text, style="dim") for text in words.provenance(content))
    said.extend(line(f"note: {notice}", style="yellow") for notice in content.notices)
    if step := words.next_step(content):
        said.extend([line(""), _next(step)])
        if outcome is not Outcome.PASS and (command := words.explanation(content)):
            said.append(Text.assemble(("Why: ", "bold"), f"`{command}`"))
    return to_text(Group(*said), width=width, color=color)


def explain(content: Report, wanted: str, *, width: int = 100, color: bool = False) -> str:
    """Why a gate, or with `all` every gate, came to its status, and its slices.

    Raises UsageError when no gate, or more than one, could be meant.
    """
    outcome = content.verdict.outcome
    title = f"{MARK[outcome]} {content.name}: {words.headline(content)}"
    said: list[RenderableType] = [line(title, style=f"bold {STYLE[outcome]}")]
    chosen = choice.choose(content, wanted)
    if not chosen:
        said.append(line(content.verdict.sentence))
    for gate in chosen:
        for item in gate.whole:
            said.extend([line(""), accounts.account(item)])
            said.extend(
                line(f"note: {notice}", style="yellow") for notice in content.notices if notice.startswith(item.metric)
            )
        if gate.slices:
            said.extend([line(""), accounts.slices(gate.slices)])
    return to_text(Group(*said), width=width, color=color)


def _changes(content: Report) -> list[RenderableType]:
    summary = words.changed(content)
    if summary is None:
        return []
    params = [(f"{item.path} {item.key}", words.text(item.base), words.text(item.head)) for item in content.params]
    data = [(item.path, words.digest(item.base), words.digest(item.head)) for item in content.data]
    stages = [f"stage {stage.name}: {', '.join(stage.what) or stage.change}" for stage in content.stages]
    code = [f"{item.path}: {words.edited(item)}" for item in content.code]
    table = grid(("", "left"), ("base", "right"), ("head", "right"))
    for row in (row for rows in (params, data) for row in rows[:_SHOWN]):
        table.add_row(*map(line, row))
    lines = [line(text) for texts in (stages, code) for text in texts[:_SHOWN]]
    hidden = sum(max(0, len(items) - _SHOWN) for items in (params, data, stages, code))
    more = [line(f"and {hidden} more, in report.json", style="dim")] if hidden else []
    tables = [table] if table.row_count else []
    return [
        line(""),
        line(f"What changed: {summary}", style="bold"),
        Padding(Group(*tables, *lines, *more), (0, 0, 0, 2)),
    ]


def _environment(content: Report) -> list[RenderableType]:
    summary, found = environments.summary(content), environments.rows(content)
    if summary is None or not found:
        return []
    table = grid(("", "left"), ("base", "right"), ("head", "right"), ("source", "left"))
    for row in found[:_SHOWN]:
        cells_ = (row.name, row.base, row.head, ", ".join(row.sources))
        table.add_row(*(line(safe.shortened(cell)) for cell in cells_))
    more = [line(f"and {len(found) - _SHOWN} more, in report.json", style="dim")] if len(found) > _SHOWN else []
    missing = [line(text, style="dim")] if (text := environments.missing(content)) else []
    tables = [table] if table.row_count else []
    return [line(""), line(summary, style="bold"), Padding(Group(*tables, *more, *missing), (0, 0, 0, 2))]


def diff(
    base: Revision, head: Revision, changes: Changes, notices: Iterable[str], *, width: int = 100, color: bool = False
) -> str:
    """What differs between two revisions."""
    title = f"{base} ({base.why}) → {head}"
    parts: list[RenderableType] = [line(title, style="dim")]
    sections: list[tuple[str, Table]] = []
    for name, values in (("Metrics", changes.metrics), ("Params", changes.params)):
        if values:
            table = grid((name, "left"), ("base", "right"), ("head", "right"), ("change", "right"))
            for item in values:
                digits = numbers.decimals(item.base, item.head, item.delta) if item.delta is not None else None
                both = (_value(item.base, digits), _value(item.head, digits))
                table.add_row(
                    line(str(item.metric)),
                    *map(line, both),
                    line("" if item.delta is None else numbers.signed(item.delta, digits)),
                )
            sections.append((name, table))
    if changes.data:
        table = grid(("Data", "left"), ("base", "right"), ("head", "right"))
        for data in changes.data:
            table.add_row(line(data.path), line(words.digest(data.base)), line(words.digest(data.head)))
        sections.append(("Data", table))
    if changes.stages:
        table = grid(("Stages", "left"), ("", "left"))
        for stage in changes.stages:
            table.add_row(line(stage.name), line(", ".join(stage.what) or stage.change))
        sections.append(("Stages", table))
    for _, table in sections:
        parts.extend([line(""), table])
    if not sections:
        parts.append(line("No difference in metrics, params, data or stages."))
    parts.extend(line(f"note: {notice}", style="yellow") for notice in notices)
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
        parts.append(line(f"✗ dvc.lock is out of date: {len(stale)} of {len(items)} stages", style="bold red"))
    else:
        count = "no stage" if not items else "1 stage" if len(items) == 1 else f"all {len(items)} stages"
        parts.append(line(f"✓ dvc.lock is up to date ({count})", style="bold green"))
    for item in stale:
        parts.append(line(f"  {item.name}", style="bold"))
        parts.extend(line(f"    {reason}") for reason in item.reasons)
    for item in items:
        if item.state is State.ALWAYS:
            parts.append(line(f"  {item.name}: {item.reasons[0]}", style="dim"))
        elif item.state is State.FROZEN:
            parts.append(line(f"  {item.name}: frozen, never reproduced", style="dim"))
    missing = sorted({path for item in items for path in item.missing})
    if missing:
        parts.append(line(f"  not here, which is fine: {some(missing, 5)}", style="dim"))
    modified = sorted({path for item in items for path in item.modified})
    if modified:
        parts.append(
            line(f"  here in another version, `dvc checkout` restores it: {some(modified, 5)}", style="yellow")
        )
    unchecked = sorted({path for item in items for path in item.unchecked})
    if unchecked:
        parts.append(line(f"  outside the repository, not checked: {some(unchecked, 5)}", style="yellow"))
    if stale:
        parts.extend([line(""), _next("`ci-ml train` reproduces them; then commit dvc.lock.")])
    return to_text(Group(*parts), width=width, color=color)
