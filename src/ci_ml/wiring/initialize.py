"""`ci-ml init`: a first ci-ml.yaml. Layer: wiring."""

from collections.abc import Callable, Iterator

from ci_ml.adapters import files
from ci_ml.core import proposal
from ci_ml.core.types import Direction, Revision
from ci_ml.errors import UsageError
from ci_ml.usecases.evidence import Side
from ci_ml.wiring import tables
from ci_ml.wiring.workspace import Workspace

# How many earlier commits are looked at for another version of a table.
_COMMITS = 20


def propose(space: Workspace, ask: Callable[[str], Direction | None]) -> str:
    """The text of a first ci-ml.yaml. Raises UsageError when there is one already."""
    from ci_ml.usecases import initialize  # Ibis: no other command pays for it

    if space.project.config in space.head_tree.files() or (space.project.root / space.project.config).exists():
        raise UsageError(
            f"{space.project.config} is there already", "edit it, or take it away to have a new one proposed"
        )
    found = initialize.propose(space.head_side(), lambda path: _before(space, path), tables.opener(space.env), ask)
    return proposal.written(found)


def _before(space: Workspace, path: str) -> Iterator[Side]:
    """Earlier commits that changed a file, or what DVC records of it, newest first."""
    places = [
        space.project.inside(path),
        *(name for name in space.head_tree.files() if name.endswith((".dvc", "dvc.lock"))),
    ]
    listed = space.history.line("log", "--format=%H", f"--max-count={_COMMITS}", "HEAD", "--", *places) or ""
    for sha in listed.split():
        yield space.side(Revision(sha=sha))


def write(space: Workspace, text: str) -> str:
    """Write the file, and say where."""
    files.write_new(space.project.root / space.project.config, text)
    return space.project.config
