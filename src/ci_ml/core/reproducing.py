"""What the record of a training holds for who trains again, and the record that leaves. Layer: core. Pure.

A record comes from a ledger or a file that others write to: what it says is believed only as far as the commit bears it
out, and a text in it is a name to be compared and never a place to write to.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ci_ml.core import environments
from ci_ml.core.exhibits import EnvironmentPart
from ci_ml.core.listing import some
from ci_ml.core.part import Part
from ci_ml.core.sameness import Likeness, Made, Sameness
from ci_ml.core.statements import Kind, Statement, Subject, at, statement
from ci_ml.core.training import Environment

_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_HEX = re.compile(r"[0-9a-f]{64}")
_Path = Annotated[str, Field(min_length=1, max_length=4096)]
_LISTED = 1000


class Restoring(StrEnum):
    """In what the training runs again: the environment that is here, or one made from the lock file of the commit."""

    HERE = "here"
    LOCKED = "locked"


class _Stage(Part):
    command: tuple[str, ...] = ()
    deps: tuple[_Path, ...] = ()
    outs: tuple[_Path, ...] = ()


class _Parameters(Part):
    commit: str
    params: dict[str, Any] = Field(default={})
    targets: tuple[str, ...] = ()
    stages: dict[str, _Stage]


class _Dependency(Part):
    name: str = ""
    digest: dict[str, str] = Field(default={})
    annotations: dict[str, Any] = Field(default={})


class _Internal(Part):
    dirty: bool = False
    environment: dict[str, Any] | None = None
    container: str | None = None


class _Build(Part):
    external: _Parameters = Field(alias="externalParameters")
    internal: _Internal = Field(default=_Internal(), alias="internalParameters")
    dependencies: tuple[_Dependency, ...] = Field(default=(), alias="resolvedDependencies")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A training as its record has it: digests of every input and output by path, and what it ran in.

    `locks` are the SHA-256 of files that say which packages there are, and of every dvc.lock.
    """

    record: str
    commit: str
    dirty: bool
    targets: tuple[str, ...]
    stages: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    locks: Mapping[str, str] = field(default_factory=dict)
    environment: Environment | None = None
    container: str | None = None

    def made(self, after: Iterable[Made]) -> tuple[Made, ...]:
        """What it says of every stage, in the order of those that ran again."""
        later = {one.name: one for one in after}
        names = [*(name for name in later if name in self.stages), *(name for name in self.stages if name not in later)]
        return tuple(self._made(name, later.get(name)) for name in names)

    def _made(self, name: str, after: Made | None) -> Made:
        command, deps, outs = self.stages[name]
        asked = (*deps, *(path for path in (after.deps if after else ()) if path in self.inputs))
        return Made(
            name=name,
            command=command,
            deps={path: self.outputs.get(path) or self.inputs.get(path) for path in dict.fromkeys(asked)},
            params={key: self.params.get(key) for key in (after.params if after else ())},
            outs={path: self.outputs.get(path) for path in outs},
        )


def recorded(record: Statement) -> Recorded:
    """What a record of a training says. Raises ValueError, in words, for one from which nobody can train."""
    try:
        build = _Build.model_validate(at(record.predicate, "buildDefinition"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"buildDefinition.{'.'.join(map(str, first['loc']))[:200]}: {first['msg']}") from None
    asked, inner = build.external, build.internal
    if not _SHA.fullmatch(asked.commit):
        raise ValueError("buildDefinition.externalParameters.commit is no commit")
    if not asked.stages:
        raise ValueError("it names no stage")
    known = {one.name: one for one in build.dependencies}
    return Recorded(
        record=record.digest,
        commit=asked.commit,
        dirty=inner.dirty,
        targets=asked.targets,
        stages={name: (one.command, one.deps, one.outs) for name, one in asked.stages.items()},
        params=asked.params,
        inputs={name: found for name, one in known.items() if (found := _digest(one.digest))},
        outputs={one.name: found for one in record.subject if (found := _digest(one.digest))},
        locks={
            name: one.digest["sha256"]
            for name, one in known.items()
            if one.annotations.get("kind") == "lock" and _HEX.fullmatch(one.digest.get("sha256", ""))
        },
        environment=environments.load(inner.environment) if inner.environment else None,
        container=inner.container,
    )


def _digest(digest: Mapping[str, str]) -> str | None:
    """A digest as dvc.lock has it; None for what is no file of DVC's, such as a commit."""
    if "dvcDir" in digest:
        return f"md5:{digest['dvcDir']}"
    own = {name: value for name, value in digest.items() if name not in ("sha256", "gitCommit")}
    return next((f"{name.removesuffix('-dos2unix')}:{value}" for name, value in own.items()), None)


def promotes(predicate: Mapping[str, Any], what: str) -> bool:
    """Whether a promotion is of NAME, NAME@ALIAS or NAME/VERSION."""
    name = predicate.get("model")
    aliases = predicate.get("aliases") or predicate.get("alias") or ()
    listed = [aliases] if isinstance(aliases, str) else list(aliases) if isinstance(aliases, list | dict) else []
    named = [name, f"{name}/{predicate.get('version')}", *(f"{name}@{alias}" for alias in listed)]
    return isinstance(name, str) and what in named


def strangers(found: Recorded, there: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The inputs of which the commit has another digest than the record, or none at all.

    A file of git has two: DVC 2 read line ends otherwise. Of what the commit says nothing, nothing is wrong yet.
    """
    return tuple(path for path, digest in sorted(found.inputs.items()) if digest not in there.get(path, (digest,)))


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A training that ran again: how alike it came out, and in what.

    `restored` is the lock file that the environment was made from, None where it was the one that is here.
    """

    recorded: Recorded
    likeness: Likeness
    environment: EnvironmentPart | None = None
    restored: str | None = None
    seconds: float = 0.0
    notices: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The verdict, with what else differs where the outputs do."""
        differs = self.differences
        if not differs or self.likeness.sameness is Sameness.BITWISE:
            return self.likeness.sentence
        return f"{self.likeness.sentence} The environment differs, too: {some(differs, 3)}."

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs between the environments, in words."""
        found = self.environment.differences if self.environment else ()
        return tuple(f"{one.name or one.kind} {one.base or 'none'} → {one.head or 'none'}" for one in found)


def reproduction(found: Reproduction, required: Sameness) -> Statement:
    """The record that a reproduction leaves. It holds no time: the same result is the same record."""
    like = found.likeness
    predicate = {
        "training": found.recorded.record,
        "commit": found.recorded.commit,
        "sameness": like.sameness,
        "required": required,
        "met": like.sameness.meets(required),
        "sentence": found.sentence,
        "outputs": like.outputs,
        "partings": [
            {"stage": one.stage, "inputs": list(one.inputs[:_LISTED]), "outputs": list(one.outputs[:_LISTED])}
            for one in like.partings[:_LISTED]
        ],
        "measured": [
            {
                "metric": one.metric,
                "before": one.before,
                "after": one.after,
                "interval": list(one.interval) if one.interval else None,
                "margin": one.margin,
                "n": one.n,
            }
            for one in like.measured[:_LISTED]
        ],
        "environment": {
            "restored": found.restored,
            "differences": list(found.differences[:_LISTED]),
            "missing": list(found.environment.missing) if found.environment else ["what it ran in is not recorded"],
        },
        "notices": list(found.notices),
    }
    subject = [
        Subject(name="commit", digest={"gitCommit": found.recorded.commit}),
        Subject(name="training", digest={"sha256": found.recorded.record.removeprefix("sha256:")}),
    ]
    return statement(Kind.REPRODUCTION, subject, predicate)
