"""When the base's model has to be scored anew: on the test data that the head has. Layer: core. Pure.

A change that brings other test data, as every retraining on new data does, leaves nothing to compare: the base was
measured on other examples. So the base's model is put where the head's is, and the stages that score it run again.
Where the test data differ because the change makes them in another way, the base's model may not understand them, or
worse, seem to: then it is not done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from ci_ml.core import changes
from ci_ml.core.listing import some
from ci_ml.core.models import Model, Texts
from ci_ml.core.pipeline import Digest, Pipeline, Stage, covering, in_order
from ci_ml.errors import UsageError


class RescoreConfig(Model):
    """How the base's model is scored on the head's test data, when those are not the base's."""

    model: Texts = Field(
        min_length=1,
        description="The outputs that are the model, relative to the folder of ci-ml.yaml.",
        examples=["model.pkl", ["model.pkl", "encoder.pkl"]],
    )
    stages: Texts = Field(default=(), description="The stages that score it; all that depend on the model when absent.")


@dataclass(frozen=True, kw_only=True)
class Rescoring:
    """The stages that score the base's model, in order, the inputs that they read, and which of those are others."""

    stages: tuple[Stage, ...]
    inputs: tuple[str, ...]
    moved: tuple[str, ...]


def plan(base: Pipeline, head: Pipeline, models: Sequence[str], named: Sequence[str]) -> Rescoring | str | None:
    """What to run; None where both sides were scored on the same data, or why it cannot be run where they were not.

    `models` are relative to the repository, `named` are stages. Raises UsageError when the configuration names what is
    not there.
    """
    stages = _scorers(head, models, named)
    known = {stage.name: stage for stage in base.stages}
    moved = [path for stage in stages for path in _moved(known.get(stage.name), stage, models)]
    own = {out.path: stage for stage in stages for out in stage.outs}
    moved = [path for path in dict.fromkeys(moved) if covering(path, own) is None]
    if not moved:
        return None
    if other := next((why for path in moved if (why := _made_otherwise(base, head, path))), None):
        return other
    inputs = dict.fromkeys(dep for stage in stages for dep in stage.deps if covering(dep, own) is None)
    beside = tuple(path for path in inputs if covering(path, dict.fromkeys(models)) is None)
    return Rescoring(stages=stages, inputs=beside, moved=tuple(moved))


def _scorers(pipeline: Pipeline, models: Sequence[str], named: Sequence[str]) -> tuple[Stage, ...]:
    made = pipeline.outputs()
    if stranger := next((path for path in models if path not in made), None):
        raise UsageError(f"rescore.model: {stranger} is no output of DVC", f"there are: {some(sorted(made), 5)}")
    ordered, upstream = in_order(pipeline.stages)
    if stranger := next((name for name in named if name not in upstream), None):
        raise UsageError(f"rescore.stages: there is no stage {stranger}", "`ci-ml verify` names every stage")
    after: set[str] = set()
    for stage in ordered:
        if upstream[stage.name] & after or any(_reads(stage, path) for path in models):
            after.add(stage.name)
    wanted = set(named) or after
    if not wanted:
        raise UsageError(f"no stage depends on {some(models)}", "name those that score it: rescore.stages")
    return tuple(stage for stage in ordered if stage.name in wanted)


def _reads(stage: Stage, path: str) -> bool:
    return any(dep == path or dep.startswith(f"{path}/") or path.startswith(f"{dep}/") for dep in stage.deps)


def _moved(before: Stage | None, after: Stage, models: Sequence[str]) -> Iterator[str]:
    """The data that a stage reads beside the model, and that dvc.lock of the base has another digest of."""
    then = before.locked.deps if before and before.locked else {}
    now = after.locked.deps if after.locked else {}
    for path in after.deps:
        if changes.is_code(path) or covering(path, dict.fromkeys(models)) is not None or path not in then:
            continue
        if _value(now.get(path)) != _value(then[path]):
            yield path


def _value(digest: Digest | None) -> tuple[str, str] | None:
    return (digest.algorithm, digest.value) if digest else None


def _made_otherwise(base: Pipeline, head: Pipeline, path: str) -> str | None:
    """Why the head makes a file in another way than the base does; None when only what it is made from differs."""
    makers = {name: dict(_makers(side, path)) for name, side in (("base", base), ("head", head))}
    for name in makers["base"].keys() | makers["head"].keys():
        one, two = makers["base"].get(name), makers["head"].get(name)
        if one is None or two is None:
            return f"{path} is made by other stages than in the base ({name})"
        if _way(one) != _way(two):
            return f"{path} is made in another way than in the base (stage {name})"
    return None


def _makers(pipeline: Pipeline, path: str) -> Iterator[tuple[str, Stage]]:
    """The stages that a file comes from, by name."""
    stages = {stage.name: stage for stage in pipeline.stages}
    _, upstream = in_order(pipeline.stages)
    made = {out.path: stage.name for stage in pipeline.stages for out in stage.outs}
    owner = covering(path, made)
    waiting = [made[owner]] if owner else [made[inner] for inner in made if inner.startswith(f"{path}/")]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name, stages[name]
            waiting.extend(upstream[name])


def _way(stage: Stage) -> tuple[object, ...]:
    """How a stage makes what it makes: its command, its code and its parameters."""
    locked = stage.locked
    deps: Mapping[str, Digest | None] = locked.deps if locked else {}
    code = {path: _value(digest) for path, digest in deps.items() if changes.is_code(path)}
    return stage.command, code, locked.params if locked else None
