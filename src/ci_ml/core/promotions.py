"""What became of a registered model, read from the records of its promotions. Layer: core. Pure.

An alias moves in two entries of the ledger: `begin` says what is going to happen before anything is published, and
`promote` or `rollback` that it has. What lies between is done in steps that may be done again, so that a re-run
finishes what another has begun. Whose turn it is follows from the order of the entries alone:

a `begin` while another is under way counts only once that one is older than `LEASE`, or for a rollback, which has the
right of way; an end counts only for the `begin` that holds the turn.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from ci_ml.core.chain import Entry
from ci_ml.core.part import Many, Part
from ci_ml.core.report import WaiverPart

LEASE = timedelta(minutes=10)
_PROBLEMS = 3

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=250)]
Word = Annotated[str, StringConstraints(max_length=2000)]


class Action(StrEnum):
    """What an entry says."""

    BEGIN = "begin"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    ABANDON = "abandon"


NOUNS = {Action.PROMOTE: "promotion", Action.ROLLBACK: "rollback"}


class ApprovalPart(Part):
    """Who approved what, and when (ISO 8601)."""

    by: Name
    at: Annotated[str, StringConstraints(max_length=64)]
    what: Word = ""


class OriginPart(Part):
    """The pull or merge request that brought the commit."""

    forge: Name
    number: int
    url: Word | None = None


class RunPart(Part):
    """Where the model's files are: the address without a password, the run that has them, and the place in it."""

    uri: Word | None = None
    run: Name | None = None
    source: Word | None = None


class Promotion(Part):
    """The predicate of a PROMOTION record.

    `after` is the record that was the model's newest when this was made: no two are the same. `begun` is the `begin` of
    an end, `of` what a `begin` begins. `forced`: a turn or a hand-made move was overridden.
    """

    model: Name
    action: Action
    of: Action
    begun: Digest | None = None
    after: Digest | None = None
    version: Name | None = None
    aliases: Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)]
    previous: dict[Name, Name | None]
    why: Word | None = None
    forced: bool = False
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")] | None = None
    report: Digest | None = None
    policy: Digest | None = None
    verdict: Digest | None = None
    training: Digest | None = None
    outcome: Name | None = None
    outputs: dict[Annotated[str, StringConstraints(max_length=1000)], Name] = Field(default={})
    change: OriginPart | None = None
    approvals: Many[ApprovalPart] = ()
    waivers: Many[WaiverPart] = ()
    mlflow: RunPart = RunPart()

    def data(self) -> dict[str, Any]:
        """What a record holds."""
        return self.model_dump(mode="json")

    def same(self, other: "Promotion") -> bool:
        """Whether both are about moving the same aliases to the same thing."""
        mine, theirs = (
            (one.of, set(one.aliases), one.commit, one.outputs, one.version if one.of is Action.ROLLBACK else None)
            for one in (self, other)
        )
        return mine == theirs


def read(predicate: Mapping[str, Any]) -> Promotion:
    """The predicate of a record. Raises ValueError, in words, for what is none."""
    try:
        return Promotion.model_validate_json(json.dumps(predicate))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:_PROBLEMS]
        said = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found)
        raise ValueError(f"no promotion: {said}") from None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One entry of the ledger about a model, with the record that it names."""

    number: int
    at: datetime
    record: str
    entry: str
    what: Promotion
    by: str | None = None
    run_url: str | None = None


def step(entry: Entry, predicate: Mapping[str, Any]) -> Step:
    """An entry with what its record holds. Raises ValueError, in words, for a record that is no promotion."""
    return Step(
        number=entry.number,
        at=entry.at,
        record=entry.record,
        entry=entry.digest,
        what=read(predicate),
        by=entry.by,
        run_url=entry.run_url,
    )


@dataclass(frozen=True, kw_only=True)
class State:
    """What the ledger says of one model.

    `holder` is the `begin` whose turn it is, None when nothing is under way. `done` are the ends that count, oldest
    first. `void` are the records that did not count: whose turn it was not. `last` is the newest record of all.
    """

    holder: Step | None = None
    done: tuple[Step, ...] = ()
    void: frozenset[str] = frozenset()
    targets: Mapping[str, str] = field(default_factory=dict)
    last: str | None = None

    def set_by(self, alias: str) -> Step | None:
        """What set an alias to where it is."""
        return next((step for step in reversed(self.done) if alias in step.what.aliases), None)

    def of_version(self, version: str) -> Step | None:
        """The newest promotion to a version, or rollback to it: the one with the newest evidence for its files."""
        return next((step for step in reversed(self.done) if step.what.version == version), None)

    def holding(self, outputs: Mapping[str, str]) -> Step | None:
        """What last brought a version of these very files, whichever commit it was of."""
        return next((step for step in reversed(self.done) if outputs and step.what.outputs == outputs), None)


def fold(steps: Iterable[Step]) -> State:
    """What follows from the entries about one model, in their order."""
    state = State()
    for step in steps:
        state = replace(_after(state, step), last=step.record)
    return state


def _after(state: State, step: Step) -> State:
    what, holder = step.what, state.holder
    if what.action is Action.BEGIN:
        if holder is None or what.of is Action.ROLLBACK or what.forced or step.at - holder.at >= LEASE:
            return replace(state, holder=step)
        return replace(state, void=state.void | {step.record})
    if holder is None or what.begun != holder.record:
        return replace(state, void=state.void | {step.record})
    if what.action is Action.ABANDON or what.version is None:
        return replace(state, holder=None)
    targets = {**state.targets, **dict.fromkeys(what.aliases, what.version)}
    return replace(state, holder=None, done=(*state.done, step), targets=targets)


def moved(state: State, actual: Mapping[str, str], aliases: Iterable[str]) -> dict[str, tuple[str | None, str | None]]:
    """The aliases that are not where the ledger says: what it says, and where they are.

    One that nobody has set through ci-ml is nobody's to miss: it is taken as it is. While a promotion is under way, an
    alias may be where it was or already where it is going to be.
    """
    found: dict[str, tuple[str | None, str | None]] = {}
    for alias in aliases:
        expected, there = state.targets.get(alias), actual.get(alias)
        if expected is None or there == expected or _is_going(state.holder, alias, there):
            continue
        found[alias] = (expected, there)
    return found


def _is_going(holder: Step | None, alias: str, there: str | None) -> bool:
    """Whether an alias may be where what is under way is bringing it; a new version has no number yet."""
    if holder is None or alias not in holder.what.aliases or there is None:
        return False
    return holder.what.version in (None, there)


def before(state: State, alias: str) -> str | None:
    """The version that an alias had before the one that it has; None when the ledger knows of none.

    Going back twice goes back two versions, not forth and back.
    """
    trail: list[str] = []
    for step in state.done:
        if alias not in step.what.aliases or step.what.version is None:
            continue
        if not trail and (first := step.what.previous.get(alias)):
            trail.append(first)
        if step.what.action is Action.ROLLBACK and step.what.version in trail:
            trail = trail[: _rindex(trail, step.what.version) + 1]
        elif not trail or trail[-1] != step.what.version:
            trail.append(step.what.version)
    return trail[-2] if len(trail) > 1 else None


def _rindex(values: Sequence[str], value: str) -> int:
    return len(values) - 1 - list(reversed(values)).index(value)


def next_semantic(state: State, taken: Iterable[str]) -> str:
    """A semantic version that no promotion has used, for registries that ask for one: 1.0.0, 2.0.0, and so on."""
    known = [*taken, *(step.what.version for step in state.done if step.what.version)]
    majors = [int(version.partition(".")[0]) for version in known if version.partition(".")[0].isdigit()]
    return f"{max(majors, default=0) + 1}.0.0"
