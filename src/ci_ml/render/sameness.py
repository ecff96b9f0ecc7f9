"""How alike two trainings came out, for people and machines. Layer: render."""

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ci_ml.core.listing import some
from ci_ml.core.reproducing import Reproduction
from ci_ml.core.sameness import Measured, Parting, Sameness
from ci_ml.core.statements import Statement
from ci_ml.render import safe, words
from ci_ml.render.layout import grid, line, to_text

_TITLE = {
    Sameness.BITWISE: "bitwise equal",
    Sameness.METRICS: "equal metrics",
    Sameness.STATISTICAL: "statistically equal",
    Sameness.DIFFERENT: "different",
}
_SHOWN = 20
_NAMED = 5


def repetition(
    stages: Sequence[str], partings: Sequence[Parting], left: Sequence[str], *, width: int = 120, color: bool = False
) -> str:
    """Which stages came out the same a second time, and which did not."""
    apart = {one.stage: one for one in partings}
    said: list[RenderableType] = []
    if not stages:
        said.append(line("? there is no stage to run twice", style="bold magenta"))
    elif not apart:
        count = "the one stage makes" if len(stages) == 1 else f"all {len(stages)} stages make"
        said.append(line(f"✓ deterministic: {count} the same of the same inputs", style="bold green"))
    else:
        count = f"{len(apart)} of {len(stages)} stages"
        said.append(line(f"✗ not deterministic: {count}", style="bold red"))
    for name in stages:
        found = apart.get(name)
        said.append(line(f"  ✗ {found.words}", style="red") if found else line(f"  ✓ {name}", style="dim"))
    if left:
        said.append(line(f"  frozen, never run: {some(left, _NAMED)}", style="dim"))
    if apart:
        said.append(line(""))
        said.append(Text.assemble(("Next: ", "bold"), line(_NEXT)))
    return to_text(Group(*said), width=width, color=color)


_NEXT = (
    "fix its seeds, sort what it lists from folders and sets, and leave times and host names out of what it writes; "
    "docs/reproducing.md has the usual causes."
)


def terminal(found: Reproduction, required: Sameness, *, width: int = 120, color: bool = False) -> str:
    """What came of a reproduction."""
    like, met = found.likeness, found.likeness.sameness.meets(required)
    commit = found.recorded.commit[:7]
    head = f"{'✓' if met else '✗'} {commit}: {_TITLE[like.sameness]}"
    said: list[RenderableType] = [
        line(head, style=f"bold {'green' if met else 'red'}"),
        line(found.sentence),
    ]
    if not met and like.sameness is not Sameness.DIFFERENT:
        said.append(line(f"{_TITLE[required]} was asked for"))
    said.extend(line(f"  {one.words}") for one in like.partings[:_SHOWN])
    if table := _moved(like.measured):
        said.extend([line(""), table])
    said.append(line(""))
    said.extend(line(text, style="dim") for text in _around(found))
    said.extend(line(f"note: {notice}", style="yellow") for notice in found.notices)
    return to_text(Group(*said), width=width, color=color)


def _moved(measured: Sequence[Measured]) -> RenderableType | None:
    """The numbers that are not the same."""
    moved = [one for one in measured if not one.is_equal][:_SHOWN]
    if not moved:
        return None
    table = grid(("Metric", "left"), ("recorded", "right"), ("now", "right"), ("interval of the difference", "left"))
    for one in moved:
        ends = f"{one.interval[0]:+.3g} to {one.interval[1]:+.3g}" if one.interval else ""
        table.add_row(line(one.metric), line(_value(one.before)), line(_value(one.after)), line(ends))
    return table


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _around(found: Reproduction) -> list[str]:
    around = "in the environment that is here"
    if found.restored:
        around = f"in an environment made from {found.restored}"
    lines = [f"record {found.recorded.record[:14]}…, trained again {around} in {words.seconds(found.seconds)}"]
    if found.differences:
        lines.append(f"what differs from the recorded environment: {some(found.differences, _SHOWN)}")
    lines.extend(f"not known: {text}" for text in (found.environment.missing if found.environment else ()))
    return lines


def markdown(found: Reproduction, required: Sameness) -> str:
    """What came of a reproduction, for a job summary or a comment."""
    like, met = found.likeness, found.likeness.sameness.meets(required)
    lines = [
        f"### {'✅' if met else '❌'} {safe.span(found.recorded.commit[:7])} — {_TITLE[like.sameness]}",
        "",
        safe.prose(found.sentence),
    ]
    if like.partings:
        lines += ["", *(f"- {safe.prose(one.words)}" for one in like.partings[:_SHOWN])]
    moved = [one for one in like.measured if not one.is_equal][:_SHOWN]
    if moved:
        lines += ["", *(f"- {safe.prose(one.words)}" for one in moved)]
    lines += ["", *(f"> {safe.prose(text)}" for text in (*_around(found), *found.notices))]
    return "\n".join(lines) + "\n"


def data(found: Reproduction, record: Statement) -> str:
    """What came of a reproduction, as strict JSON: what its record says, and the record's digest."""
    document = {"schema": "ci-ml/reproduction/v1", "record": record.digest, **record.predicate}
    return (
        json.dumps({**document, "seconds": found.seconds}, indent=1, ensure_ascii=False, allow_nan=False, default=str)
        + "\n"
    )
