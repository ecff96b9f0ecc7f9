"""Does what made a gate's numbers still make them, or did the change put them out of its reach? Layer: core. Pure.

A frozen stage never runs, and a file that no stage makes is whatever was written into it: a change that brings either
about would be judged by numbers that its code had no part in.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ci_ml.core.listing import some
from ci_ml.core.pipeline import Pipeline, Stage, covering, in_order


class Stop(StrEnum):
    """What a change did to a stage, or to what that made."""

    FROZEN = "frozen"
    REMOVED = "removed"
    EDITED = "edited"


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A stage of the base that a gate has its numbers from, and a file of it that the change does not make."""

    stage: str
    path: str
    how: Stop


def stopped(
    base: Pipeline, head: Pipeline, read: Iterable[str], files: frozenset[str], edited: Callable[[str], bool]
) -> tuple[Stopped, ...]:
    """The stages upstream of the files that gates `read` and that do not make them any more, one file for each.

    `files` are those that the head has whoever made them; `edited` says whether a path is another than at the base.
    What is made by a stage of another name is made; what was frozen at the base already has to be as it was there.
    """
    here = {out.path: stage for stage in head.stages for out in stage.outs}
    kept = files | {out.path for source in head.sources for out in source.outs}
    found: dict[str, Stopped] = {}
    for stage, path in _needed(base, read):
        how = _how(path, here, kept)
        if how and stage.frozen:
            how = Stop.EDITED if edited(path) else None
        if how:
            found.setdefault(stage.name, Stopped(stage=stage.name, path=path, how=how))
    return tuple(found.values())


def _needed(base: Pipeline, read: Iterable[str]) -> Iterator[tuple[Stage, str]]:
    """The files that are read with the stages that make them, and so on for what those stages depend on."""
    made = base.outputs()
    stages = {stage.name: stage for stage in base.stages}
    upstream = in_order(base.stages)[1]
    waiting: list[str] = []
    for path in read:
        owner = covering(path, made)
        maker = made[owner][1] if owner else None
        if isinstance(maker, Stage):
            yield maker, path
            waiting.append(maker.name)
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        for above in sorted(upstream[name]):
            yield from ((stages[above], path) for path in _used(stages[name], stages[above]))
            if above not in seen:
                seen.add(above)
                waiting.append(above)


def _used(stage: Stage, above: Stage) -> Iterator[str]:
    """What a stage depends on of another's outputs."""
    for dep in (*stage.deps, *(params.path for params in stage.params)):
        for out in above.outs:
            if f"{dep}/".startswith(f"{out.path}/"):
                yield dep
            elif out.path.startswith(f"{dep}/"):
                yield out.path


def _how(path: str, here: dict[str, Stage], kept: frozenset[str]) -> Stop | None:
    """Why nothing makes a path that is there; None when all of it is made, or nothing of it is there."""
    around = covering(path, here)
    makers = [here[around]] if around else [stage for made, stage in here.items() if made.startswith(f"{path}/")]
    if any(stage.frozen for stage in makers):
        return Stop.FROZEN
    there = (name for name in kept if name == path or name.startswith(f"{path}/") or path.startswith(f"{name}/"))
    return Stop.REMOVED if not around and any(covering(name, here) is None for name in there) else None


_WORDS = {
    Stop.FROZEN: (
        "this change freezes {stages}",
        "unfreeze it, or freeze it on the base branch first",
    ),
    Stop.REMOVED: (
        "this change leaves {paths}, but no stage that makes it, as {stages} did",
        "let a stage make it, or take that stage away on the base branch first",
    ),
    Stop.EDITED: (
        "this change edits {paths}, and {stages}, which made it, is frozen",
        "unfreeze the stage, or edit the file on the base branch first",
    ),
}


def words(found: Iterable[Stopped]) -> Iterator[str]:
    """One sentence for each way: which stages, what the change did to them, and what to do."""
    listed = list(found)
    for how, (done, hint) in _WORDS.items():
        if these := [one for one in listed if one.how is how]:
            stages = f"stage{'s' if these[1:] else ''} {some(one.stage for one in these)}"
            did = done.format(stages=stages, paths=some(dict.fromkeys(one.path for one in these)))
            yield f"{did[0].upper()}{did[1:]}, so a gate's numbers are not from this code: {hint}."
