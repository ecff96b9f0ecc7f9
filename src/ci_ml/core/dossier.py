"""What is known of a model, read out of its records: what BOM, card and attestation are made from. Layer: core. Pure.

Records are strangers' until somebody has checked their signatures, so each part is read by a model of its own with
limits. What no record says is a gap, and is said: nothing here is made up.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ci_ml.core import statements
from ci_ml.core.part import Many
from ci_ml.core.report import ChangePart, ComparisonPart, PolicyPart, RevisionPart, VerdictPart
from ci_ml.core.statements import Kind, Statement

_MOST = 20_000  # of anything in one list
_HEX = frozenset("0123456789abcdef")

_Text = Annotated[str, Field(max_length=4096)]
_Word = Annotated[str, Field(max_length=400)]


class _Part(BaseModel):
    """A part of a stranger's predicate: what is not known is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)


class EnvironmentSaid(_Part):
    """What a training ran in."""

    interpreter: Annotated[dict[_Word, _Text], Field(max_length=50)] = {}
    packages: Annotated[dict[_Word, _Word], Field(max_length=_MOST)] = {}
    os: _Text = ""
    cpu: _Text = ""
    gpu: Annotated[tuple[_Text, ...], Field(max_length=64)] | None = None


class StageSaid(_Part):
    """What a stage ran, what it read and what it made."""

    command: Annotated[tuple[Annotated[str, Field(max_length=100_000)], ...], Field(max_length=1000)] = ()
    deps: Annotated[tuple[_Text, ...], Field(max_length=_MOST)] = ()
    outs: Annotated[tuple[_Text, ...], Field(max_length=_MOST)] = ()


class ApprovalSaid(_Part):
    """Who approved, when, and what."""

    by: _Word
    at: _Word | None = None
    what: _Text | None = None


class TestSetSaid(_Part):
    """A test set, and how often it was looked at."""

    name: _Word
    digest: _Word | None = None
    look: int | None = None
    of: int | None = None


class _Dependency(_Part):
    name: _Text = ""
    uri: _Text | None = None
    digest: Annotated[dict[_Word, _Word], Field(max_length=20)] = {}
    annotations: Annotated[dict[_Word, Any], Field(max_length=50)] = {}


class _Verdict(_Part):
    verdict: VerdictPart
    base: RevisionPart | None = None
    head: RevisionPart | None = None
    policy: PolicyPart | None = None
    change: ChangePart | None = None
    comparisons: Annotated[Many[ComparisonPart], Field(max_length=_MOST)] = ()
    testsets: Annotated[Many[TestSetSaid], Field(max_length=1000)] = ()


class _External(_Part):
    commit: _Word | None = None
    params: Annotated[dict[_Text, Any], Field(max_length=_MOST)] = {}
    stages: Annotated[dict[_Word, StageSaid], Field(max_length=_MOST)] = {}


class _Internal(_Part):
    dirty: bool = False
    environment: EnvironmentSaid | None = None
    container: _Text | None = None
    seeds: Annotated[dict[_Text, Any], Field(max_length=_MOST)] = {}


class _Build(_Part):
    external: _External = Field(default=_External(), alias="externalParameters")
    internal: _Internal = Field(default=_Internal(), alias="internalParameters")
    dependencies: Annotated[Many[_Dependency], Field(max_length=_MOST)] = Field(
        default=(), alias="resolvedDependencies"
    )


class _Moments(_Part):
    started: _Word | None = Field(default=None, alias="startedOn")
    finished: _Word | None = Field(default=None, alias="finishedOn")
    run: _Text | None = Field(default=None, alias="invocationId")


class _Builder(_Part):
    id: _Text = ""


class _Run(_Part):
    builder: _Builder = _Builder()
    metadata: _Moments = _Moments()


class _Training(_Part):
    build: _Build = Field(alias="buildDefinition")
    run: _Run = Field(default=_Run(), alias="runDetails")


class _Promotion(_Part):
    model: _Word
    version: _Word | int | None = None
    aliases: Any = ()
    action: _Word = ""
    why: _Text | None = None
    commit: _Word | None = None
    outputs: Annotated[dict[_Text, Any], Field(max_length=_MOST)] = {}
    approvals: Annotated[Many[ApprovalSaid], Field(max_length=1000)] = ()
    verdict: _Word | None = None
    training: _Word | None = None


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file or folder, and its digests as in-toto has them; `kind` is data, code, lock, or output."""

    name: str
    digests: Mapping[str, str] = field(default_factory=dict)
    kind: str = "output"
    uri: str | None = None

    @property
    def sha256(self) -> str | None:
        """Its SHA-256 in hexadecimal digits, where that is known."""
        value = self.digests.get("sha256", "")
        return value if len(value) == 64 and set(value) <= _HEX else None


@dataclass(frozen=True, kw_only=True)
class Records:
    """The records that a dossier is read from, and when the last of them was entered (ISO 8601, None for none)."""

    training: Statement | None = None
    verdict: Statement | None = None
    promotion: Statement | None = None
    at: str | None = None

    def __iter__(self) -> Iterator[Statement]:
        """Those that are there."""
        yield from (one for one in (self.training, self.verdict, self.promotion) if one is not None)


@dataclass(frozen=True, kw_only=True)
class Dossier:
    """Everything that records say of one model; `gaps` is what they do not say, in words."""

    name: str
    version: str | None = None
    aliases: tuple[str, ...] = ()
    commit: str | None = None
    repository: str | None = None
    at: str | None = None
    started: str | None = None
    finished: str | None = None
    builder: str = ""
    verdict: VerdictPart | None = None
    base: str | None = None
    policy: PolicyPart | None = None
    change: ChangePart | None = None
    comparisons: tuple[ComparisonPart, ...] = ()
    testsets: tuple[TestSetSaid, ...] = ()
    outputs: tuple[Artifact, ...] = ()
    inputs: tuple[Artifact, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, StageSaid] = field(default_factory=dict)
    environment: EnvironmentSaid | None = None
    container: str | None = None
    approvals: tuple[ApprovalSaid, ...] = ()
    records: Mapping[Kind, str] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[ComparisonPart, ...]:
        """What was measured of the model, and has a value; not what is expected of tables."""
        return tuple(item for item in self.comparisons if item.head is not None and not item.absolute)

    @property
    def unmeasured(self) -> tuple[ComparisonPart, ...]:
        """What was to be measured, and has no value."""
        return tuple(item for item in self.comparisons if item.head is None)

    @property
    def checks(self) -> tuple[ComparisonPart, ...]:
        """What was expected of tables."""
        return tuple(item for item in self.comparisons if item.absolute)

    @property
    def data(self) -> tuple[Artifact, ...]:
        """The data that went in."""
        return tuple(one for one in self.inputs if one.kind == "data")


def read(records: Records, name: str) -> Dossier:
    """The dossier of these records; `name` is what the model is called where no promotion says it.

    Raises ValueError, in words, for a record that no ci-ml would have written so.
    """
    training = _read(_Training, records.training.predicate, "training") if records.training else None
    verdict = _read(_Verdict, records.verdict.predicate.get("ciMl"), "verdict") if records.verdict else None
    promotion = _read(_Promotion, records.promotion.predicate, "promotion") if records.promotion else None
    inputs = _inputs(training.build.dependencies) if training else ()
    external = training.build.external if training else _External()
    internal = training.build.internal if training else _Internal()
    run = training.run if training else _Run()
    return Dossier(
        name=promotion.model if promotion else name,
        version=str(promotion.version) if promotion and promotion.version is not None else None,
        aliases=_aliases(promotion.aliases) if promotion else (),
        commit=_commit(records),
        repository=next((one.uri for one in inputs if one.name == "commit" and one.uri), None),
        at=records.at,
        started=run.metadata.started,
        finished=run.metadata.finished,
        builder=run.builder.id,
        verdict=verdict.verdict if verdict else None,
        base=verdict.base.sha if verdict and verdict.base else None,
        policy=verdict.policy if verdict else None,
        change=verdict.change if verdict else None,
        comparisons=verdict.comparisons if verdict else (),
        testsets=verdict.testsets if verdict else (),
        outputs=_outputs(records, promotion),
        inputs=tuple(one for one in inputs if one.name != "commit"),
        params=external.params,
        seeds=internal.seeds,
        stages=external.stages,
        environment=internal.environment,
        container=internal.container,
        approvals=promotion.approvals if promotion else (),
        records={one.kind: one.digest for one in records},
        gaps=tuple(_gaps(records, promotion, internal)),
    )


def _commit(records: Records) -> str | None:
    """The commit that was put in place, else the one that was judged: a training begins before what it makes is one."""
    told = (records.promotion, records.verdict, records.training)
    return next((found for one in told if one and (found := statements.commit(one))), None)


def _read(model: type[Any], value: Any, what: str) -> Any:
    try:
        return TypeAdapter(model).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80] or "it"
        raise ValueError(f"the record of the {what} is not as ci-ml writes it: {where}: {first['msg']}") from None


def _inputs(dependencies: Iterable[_Dependency]) -> tuple[Artifact, ...]:
    return tuple(
        Artifact(
            name=one.name or one.uri or "",
            digests=one.digest,
            kind=kind if (kind := one.annotations.get("kind")) in ("data", "code", "lock") else "data",
            uri=one.uri,
        )
        for one in dependencies
        if one.name or one.uri
    )


def _outputs(records: Records, promotion: _Promotion | None) -> tuple[Artifact, ...]:
    """What the model is: the files that were promoted, else whatever was judged, else whatever was trained.

    Each with every digest that a record has of it.
    """
    found: dict[str, dict[str, str]] = {}
    for one in (records.training, records.verdict):
        for subject in one.subject if one else ():
            if "gitCommit" not in subject.digest and "policy" not in subject.digest:
                found.setdefault(subject.name, {}).update(subject.digest)
    if promotion is None:
        return tuple(Artifact(name=name, digests=digests) for name, digests in found.items())
    return tuple(
        Artifact(name=name, digests={**found.get(name, {}), **_digests(value)})
        for name, value in promotion.outputs.items()
    )


def _digests(value: Any) -> dict[str, str]:
    """A digest of a promotion: a text with its algorithm before it or SHA-256, or several by their algorithms."""
    if isinstance(value, Mapping):
        return {str(key): text for key, text in value.items() if isinstance(text, str)}
    if not isinstance(value, str):
        return {}
    algorithm, found, digits = value.rpartition(":")
    return {algorithm if found else "sha256": digits}


def _aliases(value: Any) -> tuple[str, ...]:
    """The aliases of a promotion: one, several, or a mapping with them as keys."""
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, list | tuple | Mapping) else []
    return tuple(str(name)[:400] for name in names[:100])


def _gaps(records: Records, promotion: _Promotion | None, internal: _Internal) -> Iterator[str]:
    if records.training is None:
        yield "no record says how it was trained: its data, parameters and environment are unknown"
    elif internal.environment is None:
        yield "the record of its training does not say what it ran in"
    if records.training is not None and internal.dirty:
        yield "it was trained in a work tree that differed from its commit"
    if records.verdict is None:
        yield "no record says how it was judged: there is no evidence"
    if any(records) and records.at is None:
        yield "its records are not in the ledger: they lie beside the report, and nothing says when they were made"
    if promotion is None:
        yield "no record says that it was promoted: nobody has approved it"
