"""Test sets and how worn they are, for people and machines. Layer: render."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType

from ci_ml.core.testsets import Rotation, TestSetConfig
from ci_ml.render import safe, words
from ci_ml.render.layout import grid, line, to_text

_HONEST = (
    "A look is a result that was judged on these rows. Each one that is kept for its numbers fits them a little, and "
    "no interval of one comparison accounts for that; the ledger counts the looks that it was told of."
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A test set as it is now; `digest` and `looks` are None where it is not there."""

    name: str
    config: TestSetConfig
    digest: str | None
    looks: int | None
    rotations: tuple[Rotation, ...] = ()


def terminal(found: Sequence[Row], *, width: int = 120, color: bool = False) -> str:
    """Each test set in a line, and what looks are."""
    table = grid(("Test set", "left"), ("looks", "right"), ("of", "right"), ("content", "left"), ("file", "left"))
    for one in found:
        worn = one.looks is not None and one.looks > one.config.looks
        half = one.looks is not None and one.looks * 2 >= one.config.looks
        style = "red" if worn else "yellow" if half else ""
        looks = "not there" if one.looks is None else f"{one.looks:,}"
        table.add_row(
            line(one.name),
            line(looks, style=style),
            line(f"{one.config.looks:,}"),
            line(words.digest(one.digest)),
            line(one.config.path),
        )
    said: list[RenderableType] = [table]
    for one in found:
        said.extend(
            line(
                f"  {one.name} was rotated after {turn.looks:,} looks{f' by {turn.by}' if turn.by else ''}: {turn.why}"
            )
            for turn in one.rotations
        )
    said.extend([line(""), line(_HONEST, style="dim")])
    return to_text(Group(*said), width=width, color=color)


def data(found: Sequence[Row]) -> str:
    """Strict JSON."""
    listed = [
        {
            "name": one.name,
            "path": one.config.path,
            "digest": one.digest,
            "looks": one.looks,
            "of": one.config.looks,
            "rotations": [
                {
                    "before": turn.before,
                    "digest": turn.digest,
                    "looks": turn.looks,
                    "why": turn.why,
                    "by": turn.by,
                    "commit": turn.commit,
                }
                for turn in one.rotations
            ],
        }
        for one in found
    ]
    document = {"schema": "ci-ml/testsets/v1", "testsets": listed}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def rotated(found: Rotation, trouble: str | None) -> str:
    """What a rotation did."""
    after = f" after {found.looks:,} looks at the old one" if found.looks else ""
    text = f"the test set {found.name} is a new one from here on ({words.digest(found.digest)}){after}\n"
    if trouble:
        text += (
            f"note: it is in .ci-ml/records, and not in the ledger yet ({trouble}): `ci-ml audit record` enters it\n"
        )
    return safe.inert("\n".join(safe.printable(part) for part in text.splitlines()) + "\n")
