"""What is in production, as the commit that a change is compared with. Layer: wiring."""

import dataclasses
from collections.abc import Mapping

from ci_ml.core import promotions
from ci_ml.core.references import Origin, Reference
from ci_ml.core.registry import ADDRESS
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError, UsageError
from ci_ml.ports import Registry
from ci_ml.usecases import policy
from ci_ml.wiring import registry
from ci_ml.wiring.workspace import Workspace


def commit(space: Workspace, reference: Reference) -> str | Gap:
    """The commit of the version that has an alias, or of a version. An absent Gap while nothing has had the alias.

    Raises UsageError and DependencyError where something should have it, or nothing ever will.
    """
    if reason := registry.unshared(space):
        raise UsageError(
            f"{reference} cannot be looked up: {reason}",
            "set it where changes are judged, too; or name another base: --base REV",
        )
    models = registry.models(space)
    name = reference.model or ""
    version: str | None = reference.value
    if reference.origin is not Origin.VERSION:
        targets = models.targets(name) if models.keeps_aliases else _by_ledger(space, name)
        version = targets.get(reference.value)
    if version is None:
        _refuse_lost(space, name, reference, models)
        return Gap(reason=f"nothing is {reference}", absent=True)
    found = models.commit(name, version)
    return dataclasses.replace(found, absent=False) if isinstance(found, Gap) else found


def _refuse_lost(space: Workspace, name: str, reference: Reference, models: Registry) -> None:
    """Raises where an alias is not there and the ledger says that it is, or where no promotion may ever set it."""
    alias, path = reference.value, space.project.config
    if known := _by_ledger(space, name).get(alias):
        raise DependencyError(
            f"by the ledger {alias} of {name} is version {known}, and {models.address} has no such alias",
            f"see whether {ADDRESS} names the registry that it was promoted to; if somebody deleted the alias, "
            f"`ci-ml rollback {name} --alias {alias} --force --why TEXT` brings it back",
        )
    loaded = policy.load(space.head_tree, path, path)
    registered = loaded.config.registry if loaded else {}
    if name not in registered:
        listed = f"there are: {', '.join(registered)}" if registered else "docs/registry.md"
        raise UsageError(f"nothing is {reference}, and no model {name} is under registry in {path}", listed)
    if alias not in (aliases := registered[name].aliases):
        what = f"nothing is {reference}, and there is no alias {alias} under registry.{name}.aliases"
        raise UsageError(what, f"there are: {', '.join(aliases)}")


def _by_ledger(space: Workspace, name: str) -> Mapping[str, str]:
    return promotions.fold(registry.Chronicled(space).read(name)).targets
