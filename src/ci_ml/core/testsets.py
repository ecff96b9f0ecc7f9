"""How often a test set has been used to decide: looks, their limit, and what to say of them. Layer: core. Pure.

Whoever looks at the same test set again and again, and keeps what it likes, fits it: the numbers on it become better
than those on new data, and no interval of one comparison knows. How fast is in Dwork et al. 2015
(https://doi.org/10.1126/science.aaa9375), and Blum and Hardt 2015 for who is told no more than what is best so far.
"""

import hashlib
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from ci_ml.core.models import Model
from ci_ml.core.part import Many, Part
from ci_ml.core.statements import Kind, Statement, Subject, at, canonical, statement

DEFAULT = 64
NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
NAME_LENGTH = 80
TestSetName = Annotated[str, Field(pattern=NAME, max_length=NAME_LENGTH)]
_DIGEST = r"^[A-Za-z0-9_-]{1,40}:[0-9a-zA-Z.+/=_-]{1,200}$"


def _path(value: str) -> str:
    """A path in the repository, relative to ci-ml.yaml. Raises ValueError."""
    if value.startswith("/") or "\\" in value or "*" in value or posixpath.normpath(value) == ".":
        raise ValueError("must be one file or folder, relative to the folder of ci-ml.yaml, with / between folders")
    return posixpath.normpath(value)


class TestSetConfig(Model):
    """A test set, and how often it may be used to decide."""

    __test__ = False  # for pytest, which takes a class of this name for one of tests

    path: Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_path)] = Field(
        description="The file or folder that holds it, tracked by DVC or git, relative to the folder of ci-ml.yaml.",
        examples=["data/test.parquet"],
    )
    looks: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=DEFAULT,
        description="How many results it may judge before it is taken for worn out. The square root of its rows is "
        "cautious; reports warn from half of it on.",
    )
    past: Literal["warn", "undecided"] = Field(
        default="warn", description="What a verdict beyond that is: one with a warning, or undecided."
    )


class TestSetPart(Part):
    """Which content of a test set judged this, and the how manieth result on it this is; None: nobody knows."""

    __test__ = False

    name: str = Field(max_length=NAME_LENGTH)
    digest: str = Field(max_length=300, pattern=_DIGEST)
    look: int | None = Field(default=None, ge=1)
    of: int = Field(ge=1)

    @property
    def words(self) -> str:
        """`look 17 of 64`."""
        return f"look {self.look:,} of {self.of:,}" if self.look else f"look unknown of {self.of:,}"

    @property
    def sentence(self) -> str:
        """What that means, honestly."""
        if self.look is None:
            return (
                f"test set {self.name}: how often it has been used to decide is not known "
                f"(it is thought to last {self.of:,} looks)"
            )
        return (
            f"test set {self.name}: {self.words}; {_EARLIER.get(self.look, f'{self.look - 1:,} other results were')} "
            "judged on these rows before, as far as the ledger knows; each one that is kept for its numbers fits them "
            "a little, which no interval here accounts for"
        )


_EARLIER = {1: "no other result was", 2: "1 other result was"}


@dataclass(frozen=True, kw_only=True)
class Look:
    """One judgement by a test set; `what` says which result was judged by which policy."""

    name: str
    digest: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """That a test set has other content from here on, and why."""

    name: str
    before: str | None
    digest: str
    looks: int
    why: str
    by: str | None = None
    commit: str | None = None


class _Set(Part):
    name: str = Field(max_length=NAME_LENGTH, pattern=NAME)
    digest: str = Field(max_length=300, pattern=_DIGEST)


class _Sets(Part):
    testsets: Many[_Set] = ()


class _Rotated(Part):
    testset: str = Field(max_length=NAME_LENGTH, pattern=NAME)
    before: str | None = Field(default=None, max_length=300)
    digest: str = Field(max_length=300, pattern=_DIGEST)
    looks: int = Field(default=0, ge=0)
    why: str = Field(default="", max_length=2000)
    by: str | None = Field(default=None, max_length=300)
    commit: str | None = Field(default=None, max_length=64)


def identity(outputs: Mapping[str, str], commit: str | None, policy: str) -> str:
    """Which result by which policy: two verdicts with the same say nothing new about the rows.

    The result is what the stages made, wherever it is committed; without stages, it is the commit.
    """
    what = sorted(outputs.items()) if outputs else commit
    return hashlib.sha256(canonical([what, policy])).hexdigest()


def looks(records: Iterable[Statement]) -> tuple[Look, ...]:
    """Every look that verdicts say of themselves, oldest first. Raises ValueError for a verdict that is none."""
    return tuple(look for record in records if record.kind is Kind.VERDICT for look in _looks(record))


def _looks(record: Statement) -> Iterable[Look]:
    said = at(record.predicate, "ciMl")
    try:
        found = _Sets.model_validate(said if isinstance(said, Mapping) else {})
    except ValidationError:
        raise ValueError(f"the verdict {record.digest} says of its test sets what cannot be read") from None
    if not found.testsets:
        return ()
    made = {one.name: value for one in record.subject for kind, value in one.digest.items() if kind in _OF_DVC}
    commit = next((one.digest["gitCommit"] for one in record.subject if "gitCommit" in one.digest), None)
    policy = at(said, "policy", "digest")
    what = identity(made, commit, policy if isinstance(policy, str) else "")
    return [Look(name=one.name, digest=one.digest, what=what) for one in found.testsets]


_OF_DVC = ("md5", "md5-dos2unix", "dvcDir", "etag")


def bare(digest: str) -> str:
    """The value of a digest, as subjects of records hold it under the algorithm's name."""
    return digest.partition(":")[2] or digest


def rotations(records: Iterable[Statement]) -> tuple[Rotation, ...]:
    """Every rotation, oldest first. Raises ValueError for one that cannot be read."""
    found = []
    for record in records:
        if record.kind is not Kind.ROTATION:
            continue
        try:
            said = _Rotated.model_validate(record.predicate)
        except ValidationError:
            raise ValueError(f"the rotation {record.digest} cannot be read") from None
        found.append(
            Rotation(
                name=said.testset,
                before=said.before,
                digest=said.digest,
                looks=said.looks,
                why=said.why,
                by=said.by,
                commit=said.commit,
            )
        )
    return tuple(found)


def rotated(found: Rotation) -> Statement:
    """The record of a rotation."""
    kind, _, value = found.digest.partition(":")
    predicate = {
        "testset": found.name,
        "before": found.before,
        "digest": found.digest,
        "looks": found.looks,
        "why": found.why,
        "by": found.by,
        "commit": found.commit,
    }
    return statement(Kind.ROTATION, [Subject(name=found.name, digest={kind: value})], predicate)


def count(known: Iterable[Look], digest: str) -> int:
    """How many results were judged on this content, under whatever name."""
    return len({look.what for look in known if look.digest == digest})


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The test sets of one verdict, and what they do to it.

    `warnings` forbid a silent pass, and `doubts` any.
    """

    parts: tuple[TestSetPart, ...] = ()
    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def counted(
    config: Mapping[str, TestSetConfig],
    digests: Mapping[str, str],
    what: str,
    known: Sequence[Look] | None,
    turned: Iterable[Rotation] = (),
) -> Counted:
    """The looks that a verdict on `what` makes; `digests` are of the test sets that are there, by name.

    `known` are the looks before it, None where nobody can say: then it warns, for unknown is not few.
    """
    parts: list[TestSetPart] = []
    warnings: list[str] = []
    doubts: list[str] = []
    notices: list[str] = []
    announced = {(one.name, one.digest) for one in turned}
    for name, asked in config.items():
        digest = digests.get(name)
        if digest is None:
            warnings.append(f"testsets.{name}: {asked.path} is not there, so its looks are not counted.")
            continue
        if known is None:
            parts.append(TestSetPart(name=name, digest=digest, of=asked.looks))
            continue
        own = Look(name=name, digest=digest, what=what)
        part = TestSetPart(name=name, digest=digest, look=count([*known, own], digest), of=asked.looks)
        parts.append(part)
        before = [look.digest for look in known if look.name == name]
        if before and digest not in before and (name, digest) not in announced:
            notices.append(
                f"test set {name} has other content than at its last look, and no rotation says why: "
                f"{count(known, before[-1]):,} looks at the old one are not counted here "
                f"(`ci-ml testset rotate {name} --why …` records it)"
            )
        _limits(part, asked, warnings if asked.past == "warn" else doubts, notices)
    if known is None and parts:
        names = ", ".join(part.name for part in parts)
        warnings.append(f"How often the test set {names} has been used to decide is not known.")
    return Counted(parts=tuple(parts), warnings=tuple(warnings), doubts=tuple(doubts), notices=tuple(notices))


def _limits(part: TestSetPart, asked: TestSetConfig, beyond: list[str], notices: list[str]) -> None:
    look = part.look or 0
    if look > asked.looks:
        beyond.append(
            f"The test set {part.name} is worn out: {part.words}; rotate it (`ci-ml testset rotate {part.name}`)."
        )
    elif look * 2 >= asked.looks:
        notices.append(
            f"test set {part.name}: {part.words}, which is half of what it is thought to last or more; "
            "prepare a new one"
        )
