"""Training twice: which stage makes something else of the same inputs? Layer: wiring."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ci_ml.adapters import files
from ci_ml.core import sameness
from ci_ml.core.config import TrainConfig
from ci_ml.core.pipeline import Stage, in_order
from ci_ml.core.sameness import Parting
from ci_ml.core.training import Training
from ci_ml.wiring import copies, training
from ci_ml.wiring.workspace import Workspace

SCRATCH = "ci-ml-twice-"


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """A training, the stages that ran a second time on what the first one gave them, and those that came out other.

    `left` are stages that were not: frozen ones, which nothing runs.
    """

    first: Training
    stages: tuple[str, ...]
    partings: tuple[Parting, ...]
    left: tuple[str, ...] = ()

    @property
    def is_deterministic(self) -> bool:
        """Whether everything came out the same, and there was something to come out."""
        return bool(self.stages) and not self.partings


def run(space: Workspace, stream: TextIO, targets: Sequence[str] = ()) -> Repetition:
    """Train, then run every stage of it again in a copy, each on exactly what the first training gave it.

    A stage after one that is not deterministic is judged by itself, for it gets the first training's inputs. The second
    time leaves nothing behind: no output in the cache, no file, no run. Raises what `training.run` does.
    """
    first = training.run(space, stream, targets=targets)
    after = dataclasses.replace(space)
    looked = {stage.name for stage in first.stages} or {stage.name for stage in after.head_pipeline.stages}
    ordered = [stage for stage in in_order(after.head_pipeline.stages)[0] if stage.name in looked]
    again = [stage for stage in ordered if not stage.frozen]
    with files.scratch(SCRATCH) as folder:
        copy = copies.copied(after, folder / "copy")
        copies.settled(copy)
        env = untracked(space.env, folder)
        found = [_again(dataclasses.replace(copy, env=env), stage, stream) for stage in again]
    return Repetition(
        first=first,
        stages=tuple(stage.name for stage in again),
        partings=tuple(one for one in found if one is not None),
        left=tuple(stage.name for stage in ordered if stage.frozen),
    )


def untracked(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """An environment whose runs of MLflow are in a folder that goes: what is only compared is nobody's experiment."""
    kept = {name: value for name, value in env.items() if not name.startswith("MLFLOW_")}
    return {**kept, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}


def _again(copy: Workspace, stage: Stage, stream: TextIO) -> Parting | None:
    """Run one stage, and put everything back as it was; where it came out other than the first time, if it did."""
    print(f"note: {stage.name} once more", file=stream)
    training.run(copy, stream, TrainConfig(track=False, when="always"), only=stage.name, kept=False)
    found = {one.name: one for one in sameness.made(dataclasses.replace(copy).head_pipeline)}
    before = {one.name: one for one in sameness.made(dataclasses.replace(copies.reset(copy)).head_pipeline)}
    for out in stage.outs:
        if out.cached:  # git ignores it, so that going back leaves it; the next stage gets the first one's
            _remove(copy.project.root / out.path)
    parted = sameness.partings([before[stage.name]], [found[stage.name]])
    return parted[0] if parted else None


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
