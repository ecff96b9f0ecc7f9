"""The story of a registered model: every change of every alias, and what happened behind the ledger. Layer: wiring."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ci_ml.core import promotions
from ci_ml.core.promotions import LEASE, NOUNS, Action, State, Step
from ci_ml.errors import DependencyError, UsageError
from ci_ml.usecases import policy
from ci_ml.wiring import chronicle, registry
from ci_ml.wiring.workspace import Workspace

SCHEMA = "ci-ml/history/v1"


@dataclass(frozen=True, kw_only=True)
class History:
    """What the ledger says of a model, oldest first, and where its aliases are; `doubts` say where both differ.

    `aliases` is None when the registry cannot be asked.
    """

    model: str
    steps: tuple[Step, ...]
    state: State
    aliases: Mapping[str, str] | None
    doubts: tuple[str, ...]


def history(space: Workspace, model: str) -> History:
    """The story of a model. Without MLflow it says so.

    Raises UsageError for a model that nobody knows, DependencyError when the ledger cannot be read.
    """
    steps = registry.Chronicled(space).read(model)
    if not steps:
        _refuse_unknown(space, model)
    state = promotions.fold(steps)
    models = registry.models(space)
    doubts: list[str] = []
    aliases: Mapping[str, str] | None = state.targets
    if reason := registry.unshared(space):
        aliases = None
        doubts.append(f"where the aliases are now cannot be asked: {reason}")
    elif models.keeps_aliases:
        try:
            aliases = models.targets(model)
        except DependencyError as error:
            aliases = None
            doubts.append(f"where the aliases are now cannot be asked: {error.what}")
    else:
        doubts.extend(models.limits)
    if aliases is not None and (moves := _moves(model, state, aliases)):
        there = state.done[-1].what.mlflow.uri if state.done else None
        if there not in (None, models.address):
            doubts.append(f"the last that the ledger has of {model} is at {there}, and this is {models.address}")
        doubts += moves
    if state.holder is not None:
        doubts.append(_under_way(state.holder, over=chronicle.now(space) - state.holder.at >= LEASE))
    return History(model=model, steps=steps, state=state, aliases=aliases, doubts=tuple(doubts))


def _refuse_unknown(space: Workspace, model: str) -> None:
    """Raises UsageError for a model without an entry that is not under `registry` either: a name that is mistyped."""
    path = space.project.config
    loaded = policy.load(space.head_tree, path, path)
    registered = loaded.config.registry if loaded else {}
    if model in registered:
        return
    known = ", ".join(dict.fromkeys((*registered, *registry.Chronicled(space).models())))
    hint = f"there are: {known}" if known else "say what is registered under `registry`: docs/registry.md"
    raise UsageError(f"there is no model {model} under registry in {path}, nor in the ledger", hint)


def _moves(model: str, state: State, aliases: Mapping[str, str]) -> list[str]:
    found = [
        f"{alias} of {model} was {f'moved by hand: it is version {there}' if there else 'deleted by hand'}, and by the "
        f"ledger it is version {expected}"
        for alias, (expected, there) in promotions.moved(state, aliases, state.targets).items()
    ]
    own = {alias for alias in aliases if alias not in state.targets}
    going = set(state.holder.what.aliases) if state.holder else set()
    return found + [
        f"{alias} of {model} is version {aliases[alias]}, which ci-ml has not set" for alias in sorted(own - going)
    ]


def _under_way(holder: Step, *, over: bool) -> str:
    who = f" by {holder.by}" if holder.by else ""
    where = f" in {holder.run_url}" if holder.run_url else ""
    commit = f" of {holder.what.commit[:7]}" if holder.what.commit else ""
    what = (
        f"a {NOUNS[holder.what.of]}{commit} to {' and '.join(holder.what.aliases)} was begun{who} at "
        f"{holder.at:%Y-%m-%d %H:%M:%S} UTC{where} and has not ended"
    )
    if over:
        return f"{what}: it has lost its turn: the same command again finishes it, and any other may begin"
    until = holder.at + LEASE
    return f"{what}: it is under way, or was killed; other promotions wait until {until:%H:%M:%S} UTC"


def rows(found: History) -> list[dict[str, Any]]:
    """Every change of an alias, the newest first."""
    return [
        {
            "alias": alias,
            "action": step.what.action.value,
            "version": step.what.version,
            "previous": step.what.previous.get(alias),
            "at": step.at.isoformat(),
            "by": step.by,
            "why": step.what.why,
            "forced": step.what.forced,
            "commit": step.what.commit,
            "outcome": step.what.outcome,
            "report": step.what.report,
            "change": step.what.change.model_dump(mode="json") if step.what.change else None,
            "approvals": [one.model_dump(mode="json") for one in step.what.approvals],
            "waivers": [one.model_dump(mode="json") for one in step.what.waivers],
            "record": step.record,
            "entry": step.number,
            "run_url": step.run_url,
        }
        for step in reversed(found.state.done)
        for alias in step.what.aliases
        if step.what.action is not Action.ABANDON
    ]


def as_json(found: History) -> str:
    """For machines: strict JSON, ending in a line break."""
    document = {
        "schema": SCHEMA,
        "model": found.model,
        "aliases": dict(found.aliases) if found.aliases is not None else None,
        "ledger": dict(found.state.targets),
        "doubts": list(found.doubts),
        "changes": rows(found),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
