"""Which stages a CI run has to run, so that each may be a job of its own. Layer: core.

Everything that is stale, that runs every time, or that comes after one of those; what is up to date is left out, unless
somebody needs its outputs and no remote has them. Frozen stages never run.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from ci_ml.core.pipeline import Pipeline, Stage, in_order
from ci_ml.core.staleness import Freshness, State


def plan(
    pipeline: Pipeline,
    freshness: Iterable[Freshness],
    *,
    when: Literal["stale", "always", "never"] = "stale",
    targets: Iterable[str] = (),
    remote: bool = True,
) -> tuple[str, ...]:
    """The names of the stages to run, upstream before downstream; none when `when` is never.

    `targets` are stages or outputs: nothing but them and what is upstream of them is run. Cached outputs of an
    up-to-date stage that DVC does not push, or any without a `remote`, are not to be had, so it is run again when a
    stage that runs depends on it.
    """
    ordered, upstream = in_order(pipeline.stages)
    if when == "never":
        return ()
    states = {item.name: item.state for item in freshness}
    wanted = _wanted(ordered, upstream, targets)
    running: set[str] = set()
    for stage in ordered:
        if stage.name not in wanted or stage.frozen:
            continue
        begun = when == "always" or states.get(stage.name) in (State.STALE, State.ALWAYS)
        if begun or upstream[stage.name] & running:
            running.add(stage.name)
    running |= _lost(ordered, upstream, running, remote=remote)
    return tuple(stage.name for stage in ordered if stage.name in running)


def _wanted(ordered: Iterable[Stage], upstream: Mapping[str, set[str]], targets: Iterable[str]) -> set[str]:
    """The stages that the targets name, and all upstream of them; every stage without targets."""
    stages = {stage.name: stage for stage in ordered}
    asked = set(targets)
    if not asked:
        return set(stages)
    waiting = [name for name, stage in stages.items() if _named(stage, asked)]
    found = set(waiting)
    while waiting:
        more = upstream[waiting.pop()] - found
        found |= more
        waiting.extend(more)
    return found


def _named(stage: Stage, asked: set[str]) -> bool:
    """Whether a target is the stage, its group (`train` for `train@de`), its file or one of its outputs."""
    names = {stage.name, group(stage.name), stage.file, *(out.path for out in stage.outs)}
    return not asked.isdisjoint(names)


def group(name: str) -> str:
    """The name that dvc.yaml gives to all instances of a foreach or matrix stage; any other stage's own."""
    return name.partition("@")[0]


def _lost(ordered: Iterable[Stage], upstream: Mapping[str, set[str]], running: set[str], *, remote: bool) -> set[str]:
    """Up-to-date stages whose cached outputs no remote has and a stage that runs needs, and so on upstream of those."""
    stages = {stage.name: stage for stage in ordered}
    found: set[str] = set()
    waiting = list(running)
    while waiting:
        for name in upstream[waiting.pop()] - running - found:
            if not stages[name].frozen and any(out.cached and not (remote and out.pushed) for out in stages[name].outs):
                found.add(name)
                waiting.append(name)
    return found
