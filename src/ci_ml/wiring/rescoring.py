"""The base's model, scored on the head's test data in a copy of the work tree. Layer: wiring."""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ci_ml.adapters import files
from ci_ml.core import rescoring
from ci_ml.core.config import Config, TrainConfig
from ci_ml.core.listing import some
from ci_ml.core.rescoring import Rescoring
from ci_ml.core.types import Gap, Revision
from ci_ml.errors import CiMlError, DependencyError
from ci_ml.usecases.evidence import Side
from ci_ml.wiring import copies, training
from ci_ml.wiring.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """What the base's model says of the head's test data; None where it was not asked, with what to know about that."""

    side: Side | None = None
    notices: tuple[str, ...] = ()


@contextmanager
def rescored(space: Workspace, against: Revision, chosen: Config, stream: TextIO) -> Iterator[Rescored]:
    """The base's model on the head's test data, for as long as the block lasts, if the test data are not the base's.

    That it cannot be scored is told, and no error: the gates then find out what can be compared. Raises UsageError when
    the configuration names what is not there.
    """
    asked = chosen.rescore
    if asked is None or space.project.dvc is None:
        yield Rescored()
        return
    base = space.side(against)
    models = tuple(map(space.project.inside, asked.model))
    plan = rescoring.plan(base.pipeline, space.head_pipeline, models, asked.stages)
    if not isinstance(plan, Rescoring):
        yield Rescored(notices=(f"{_NOT}: {plan}",) if plan else ())
        return
    what = f"{some(plan.moved)} differ{'s' if len(plan.moved) == 1 else ''} from the base's"
    head = space.head_side()
    if _same(base, head, models):
        same = dataclasses.replace(head, revision=base.revision, called=_CALLED)
        yield Rescored(side=same, notices=(f"{what}, and its model is the head's: both are scored alike",))
        return
    with tempfile.TemporaryDirectory(prefix="ci-ml-rescore-", ignore_cleanup_errors=True) as folder:
        try:
            side = _scored(space, base, plan, models, Path(folder).resolve() / "copy", stream)
        except CiMlError as error:
            yield Rescored(notices=(f"{_NOT}: {error.what}",))
            return
        yield Rescored(side=side, notices=(f"{what}: the base's model was scored anew on the head's test data",))


_NOT = "The base's model was not scored on the head's test data"


def _scored(space: Workspace, base: Side, plan: Rescoring, models: tuple[str, ...], root: Path, stream: TextIO) -> Side:
    """Run the stages in a copy of the repository that has the base's model. Raises CiMlError when that fails."""
    copy = copies.copied(space, root, without=models)
    head = space.head_side()
    for path in plan.inputs:
        _bring(head, path, root)
    for path in models:
        _bring(base, path, root)
    settings = TrainConfig(track=False)
    print(f"note: the base's model is scored on the head's {some(plan.moved)}", file=stream)
    for stage in plan.stages:
        training.run(copy, stream, settings, only=stage.name)
    copy = dataclasses.replace(copy)  # dvc.lock has changed
    return dataclasses.replace(copy.head_side(), revision=base.revision, called=_CALLED)


_CALLED = "the base's model, scored anew"


def _bring(side: Side, path: str, root: Path) -> None:
    """A file or folder of one side, from the disk, DVC's cache or its remote. Raises DependencyError without it."""
    _remove(root / path)  # a folder may have more of the other side's
    for name in side.within(path):
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="ci-ml-fetch-", dir=root.parent) as folder:
            found = side.place(side.project.outside(name), Path(folder))
            if isinstance(found, Gap):
                raise DependencyError(found.reason)
            if found.is_relative_to(folder):
                found.replace(place)
            else:
                files.copy(found, place)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _same(base: Side, head: Side, models: tuple[str, ...]) -> bool:
    """Whether the base's model is the head's: then the head's results are what it is worth."""
    one, two = base.pipeline.outputs(), head.pipeline.outputs()
    recorded = [(one[path][0].recorded, two[path][0].recorded) for path in models if path in one and path in two]
    return len(recorded) == len(models) and all(before is not None and before == after for before, after in recorded)
