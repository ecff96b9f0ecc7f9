"""Is dvc.lock true for these files? One reason per way in which it is not. Layer: core.

The question is DVC's own (`Stage.changed`, dvc/stage/__init__.py), asked of what is recorded instead of the data: a
command, a parameter, a file that git tracks, the digest in a .dvc file, the digest of an upstream output. What cannot
be known without the data is `missing`, which is not stale.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ci_ml.core.pipeline import Digest, Output, ParamsFile, Pipeline, Stage, covering, in_order

# How the sentence about a stale stage begins, in every report.
STALE_LOCK = "dvc.lock is stale"


class State(StrEnum):
    """What dvc.lock is worth for one stage."""

    CURRENT = "current"
    STALE = "stale"
    FROZEN = "frozen"
    ALWAYS = "always"


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """One stage: its state, and why.

    Its files that are not here, and its cached outputs that are here in another version, do not make it stale: the
    cache or the remote has what dvc.lock says.
    """

    name: str
    state: State
    reasons: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


# The digest of a path as it is now, computed the way `Digest` was; None when it is not here.
Digests = Callable[[str, Digest], Digest | None]
# The values of a parameters file by the keys asked for (all leaves for none); None when the file is not here.
Params = Callable[[ParamsFile], Mapping[str, Any] | None]


def check(pipeline: Pipeline, digests: Digests, params: Params) -> tuple[Freshness, ...]:
    """The freshness of every stage, upstream before downstream; in a cycle, as if it began somewhere."""
    ordered, upstream = in_order(pipeline.stages)
    recorded = {path: out for path, (out, _) in pipeline.outputs().items()}
    owners = {out.path: stage.name for stage in pipeline.stages for out in stage.outs}
    states: dict[str, Freshness] = {}
    for stage in ordered:
        facts = _Facts(stage=stage, recorded=recorded, owners=owners, digests=digests, params=params)
        stale_upstream = sorted(
            name for name in upstream[stage.name] if name in states and states[name].state is State.STALE
        )
        states[stage.name] = _freshness(facts, stale_upstream)
    return tuple(states.values())


@dataclass(frozen=True, kw_only=True)
class _Facts:
    stage: Stage
    recorded: Mapping[str, Output]
    owners: Mapping[str, str]
    digests: Digests
    params: Params


def _freshness(facts: _Facts, stale_upstream: Iterable[str]) -> Freshness:
    stage = facts.stage
    missing: list[str] = []
    modified: list[str] = []
    unchecked = tuple(dep for dep in stage.deps if _is_external(dep))
    if stage.frozen:
        return Freshness(name=stage.name, state=State.FROZEN)
    reasons = [*_reasons(facts, missing, modified), *(f"upstream: stage {name} is stale" for name in stale_upstream)]
    if stage.always and not reasons:
        return Freshness(
            name=stage.name, state=State.ALWAYS, reasons=("runs every time (always_changed, or no inputs)",)
        )
    state = State.STALE if reasons else State.CURRENT
    return Freshness(
        name=stage.name,
        state=state,
        reasons=tuple(reasons),
        missing=tuple(missing),
        modified=tuple(modified),
        unchecked=unchecked,
    )


def _is_external(path: str) -> bool:
    return "://" in path or path.startswith("/")


def _reasons(facts: _Facts, missing: list[str], modified: list[str]) -> Iterator[str]:
    stage, locked = facts.stage, facts.stage.locked
    if locked is None:
        yield "never run: dvc.lock has no entry for it"
        return
    if locked.command != stage.command:
        yield "command: differs from the one in dvc.lock"
    for params in stage.params:
        yield from _params(params, locked.params.get(params.path), facts.params(params), missing)
    for path in stage.deps:
        if not _is_external(path):
            yield from _dependency(facts, path, locked.deps.get(path), missing)
    for out in stage.outs:
        yield from _output(out, facts, missing, modified)


def _params(
    wanted: ParamsFile, locked: Mapping[str, Any] | None, now: Mapping[str, Any] | None, missing: list[str]
) -> Iterator[str]:
    if now is None:
        missing.append(wanted.path)
        return
    if locked is None:
        yield f"params: {wanted.path} is not in dvc.lock"
        return
    for key in wanted.keys or dict.fromkeys((*now, *locked)):
        if key not in now:
            yield f"params: {key} is gone from {wanted.path}"
        elif key not in locked:
            yield f"params: {key} of {wanted.path} is not in dvc.lock"
        elif _plain(now[key]) != locked[key]:
            yield f"params: {key} in {wanted.path} is {_short(now[key])}, dvc.lock has {_short(locked[key])}"


def _plain(value: Any) -> Any:
    """A tuple of a Python module as dvc.lock, which is YAML, holds it."""
    return list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _dependency(facts: _Facts, path: str, locked: Digest | None, missing: list[str]) -> Iterator[str]:
    if locked is None:
        yield f"{_kind(facts, path)}: {path} is not in dvc.lock"
        return
    found = facts.digests(path, locked)
    out = facts.recorded.get(path)
    if out is not None and out.recorded is not None:
        if _differs(out.recorded, locked, is_here=found is not None):
            now, then = _digest(out.recorded), _digest(locked)
            yield f"{_kind(facts, path)}: {path} is {now} by {_maker(facts, path)}, dvc.lock has {then}"
            return
        if path in facts.owners and out.cached:  # reproducing checks out what the stage before it recorded
            if found is None:
                missing.append(path)
            return
    if found is None:
        missing.append(path)
    elif found.value != locked.value:
        yield f"{_kind(facts, path)}: {path} differs from dvc.lock"


def _differs(made: Digest, locked: Digest, *, is_here: bool) -> bool:
    """Whether what upstream recorded is not what this stage ran with.

    DVC 2 and 3 hash text files differently, so digests of both cannot be compared; the file itself can, if it is here.
    """
    if made.algorithm != locked.algorithm:
        return not is_here
    return made.value != locked.value


def _digest(digest: Digest) -> str:
    return digest.value[:7]


def _kind(facts: _Facts, path: str) -> str:
    from ci_ml.core.changes import is_code

    if path in facts.owners:
        return "upstream output"
    return "code" if is_code(path) and covering(path, facts.recorded) is None else "data"


def _maker(facts: _Facts, path: str) -> str:
    return f"stage {facts.owners[path]}" if path in facts.owners else "its .dvc file"


def _output(out: Output, facts: _Facts, missing: list[str], modified: list[str]) -> Iterator[str]:
    if _is_external(out.path):
        return
    if out.recorded is None:
        yield f"output: {out.path} is not in dvc.lock"
        return
    found = facts.digests(out.path, out.recorded)
    if found is None:
        missing.append(out.path)
    elif found.value != out.recorded.value:
        if out.cached:
            modified.append(out.path)
        else:
            yield f"output: {out.path} is not what the stage wrote"
