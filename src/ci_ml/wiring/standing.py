"""Which alias is production, and whether it is where the ledger says. Layer: wiring."""

import contextlib
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from ci_ml.core import promotions, story
from ci_ml.core.registry import ADDRESS
from ci_ml.core.story import Held
from ci_ml.errors import CiMlError, DependencyError
from ci_ml.ports import Registry
from ci_ml.usecases import policy
from ci_ml.wiring import registry, training
from ci_ml.wiring.workspace import Workspace

_CHAMPION = "champion"


def production(space: Workspace, model: str) -> tuple[str, ...]:
    """What production may be called, the best name first: the first alias of the commit's ci-ml.yaml, and champion."""
    path = space.project.config
    with contextlib.suppress(CiMlError):  # the ledger is told of without it, too
        commit = space.head.sha
        assert commit is not None
        loaded = policy.load(space.history.tree(commit), path, path)
        if loaded is not None and (about := loaded.config.registry.get(model)):
            return tuple(dict.fromkeys((next(iter(about.aliases)), _CHAMPION)))
    return (_CHAMPION,)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """An alias of a model, and the version that it is by the ledger."""

    model: str
    alias: str
    version: str

    def __str__(self) -> str:
        return f"by the ledger {self.alias} of {self.model} is version {self.version}"


def doubts(space: Workspace, one: Standing, held: Iterable[Held], *, ask: bool = True) -> tuple[str, ...]:
    """Why an alias may be something else by now: the registry says so, or cannot be asked.

    `held` are the entries about the model: while a promotion is under way, its aliases may be there already.
    """
    if not ask:
        return (f"{one}; the registry was not asked",)
    try:
        models = _registry(space)
        there = models.targets(one.model) if models.keeps_aliases else None
    except CiMlError as error:
        return (f"{one}; the registry could not be asked: {error.what}",)
    state = dataclasses.replace(story.state(held, one.model), targets={one.alias: one.version})
    if there is None or not promotions.moved(state, there, [one.alias]):
        return ()
    found = f"{one.alias} is version {there[one.alias]}" if one.alias in there else f"nothing is {one.alias}"
    made = state.done[-1].what.mlflow.uri if state.done else None
    if made not in (None, models.address):
        known = f"the last that the ledger has of {one.model} is at {made}"
        return (f"{known}; in the registry at {models.address} {found}; {one}",)
    return (f"in the registry {found}, which no entry of the ledger made so; {one}",)


def _registry(space: Workspace) -> Registry:
    """The registry, as far as it can be asked: a store that is not there is not made. Raises DependencyError."""
    from ci_ml.adapters.mlflow import registries

    if reason := registry.unshared(space):
        raise DependencyError(reason)
    tracker, other = training.tracker(space), space.env.get("MLFLOW_REGISTRY_URI")
    if (place := registries.missing(tracker, other)) is not None:
        unset = "" if space.env.get(ADDRESS) else f"{ADDRESS} is not set, and "
        raise DependencyError(f"{unset}there is no store {place}")
    return registry.models(space)
