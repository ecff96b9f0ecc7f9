"""The chain of a ledger: entries that each name the one before by its digest, and what is wrong with one. Layer: core.

What the chain alone cannot know is where it ends: of a ledger that lost its last entries, or was written anew as a
whole, nothing is left that contradicts it. That is what anchors are for: digests of entries, kept elsewhere.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_serializer

from ci_ml.core.statements import Kind, canonical, digest, parsed

SCHEMA: Literal["ci-ml/entry/v1"] = "ci-ml/entry/v1"
MAX_BYTES = 64 * 1024
_DIGEST = r"^sha256:[0-9a-f]{64}$"
_IS_DIGEST = re.compile(_DIGEST)
_PER_FOLDER = 100
SKEW = dt.timedelta(minutes=5)  # that clocks of machines may differ


class Entry(BaseModel):
    """One line of the ledger: which record was entered, when, and by whom, as the CI system says.

    `previous` is the digest of the line before. `subject` is what it is found by: a model, a test set or a commit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal["ci-ml/entry/v1"] = Field(default=SCHEMA, alias="schema")
    number: Annotated[int, Field(ge=1, lt=10**8, strict=True)]
    previous: Annotated[str, Field(pattern=_DIGEST)] | None
    at: AwareDatetime
    kind: Kind
    record: Annotated[str, Field(pattern=_DIGEST)]
    subject: Annotated[str, Field(min_length=1, max_length=4096)]
    by: Annotated[str, Field(max_length=300)] | None = None
    run_url: Annotated[str, Field(max_length=2000)] | None = None

    @field_serializer("at")
    def _moment(self, at: AwareDatetime) -> str:
        return at.isoformat()

    @property
    def line(self) -> bytes:
        """The bytes of the entry, ending in a line break."""
        return canonical(self.model_dump(mode="json", by_alias=True)) + b"\n"

    @property
    def digest(self) -> str:
        """`sha256:…` of its line."""
        return digest(self.line)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with a ledger, and at which entry; None where it is about no entry in particular."""

    number: int | None
    what: str

    def __str__(self) -> str:
        return f"entry {self.number}: {self.what}" if self.number else self.what


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The digest of an entry, as something outside of the ledger remembers it; `place` says what."""

    place: str
    entry: str


@dataclass(frozen=True, kw_only=True)
class Book:
    """A ledger as it was read: its newest commit (None before there is one), and what is in it.

    `lines` are the bytes of entries, by the number that their places say. `records` and `attachments` are where the
    contents are, by the digest of the record. `strange` are files that do not belong there.
    """

    tip: str | None = None
    lines: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    records: Mapping[str, str] = field(default_factory=dict, repr=False)
    attachments: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    strange: tuple[str, ...] = ()

    @property
    def ordered(self) -> tuple[Entry, ...]:
        """The entries in order. Raises ValueError, in words, when they are no chain."""
        found = []
        previous = None
        for number in range(1, len(self.lines) + 1):
            line = self.lines.get(number)
            if line is None:
                raise ValueError(f"entry {number} is missing")
            try:
                entry = read(line)
            except ValueError as error:
                raise ValueError(f"entry {number}: {error}") from None
            if entry.number != number or entry.previous != previous:
                raise ValueError(f"entry {number} does not follow from the one before")
            found.append(entry)
            previous = digest(line)
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What is added to a ledger at once: all of it, or nothing. By the digests of records."""

    entries: tuple[Entry, ...] = ()
    records: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    attachments: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to add."""
        return not (self.entries or self.records or self.attachments)


def read(line: bytes) -> Entry:
    """An entry from its line. Raises ValueError, in words, for what ci-ml would not have written so."""
    document = parsed(line, MAX_BYTES)
    try:
        entry = Entry.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"it is no entry: {'.'.join(map(str, first['loc']))[:80]}: {first['msg']}") from None
    if entry.line != line:
        raise ValueError("its bytes are not those that ci-ml writes of it")
    return entry


def follow(last: Entry | None, **said: Any) -> Entry:
    """The entry after the last one; `said` is what it says of its record, as `Entry` has it."""
    number, previous = (last.number + 1, last.digest) if last else (1, None)
    return Entry(number=number, previous=previous, **said)


def verify(
    lines: Mapping[int, bytes] | Sequence[bytes],
    records: Mapping[str, bytes] | None = None,
    anchors: Iterable[Anchor] = (),
) -> tuple[Problem, ...]:
    """Everything that is wrong with a chain, in its order: edits, removals, insertions, another order, other records.

    `lines` by their numbers (or in order, from 1). With `records` (by digest) each must be there as its entry names it.
    An entry and the one after it contradict each other when either was edited: both are named.
    """
    book = lines if isinstance(lines, Mapping) else dict(enumerate(lines, start=1))
    problems = [*_links(book), *(_anchored(book, anchors))]
    if records is not None:
        entries = known(book)
        problems += mismatched(records.items())
        problems += listed(entries, records)
    return in_order(problems)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by their entries, each once; those of no entry last."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda one: (one.number is None, one.number or 0)))


def known(book: Mapping[int, bytes]) -> tuple[Entry, ...]:
    """The entries of a book that can be read at all, in the order of their places."""
    found = []
    for number in sorted(book):
        try:
            found.append(read(book[number]))
        except ValueError:
            continue
    return tuple(found)


def mismatched(records: Iterable[tuple[str, bytes]]) -> list[Problem]:
    """Records whose bytes are not those that their digest is of."""
    return [
        Problem(number=None, what=f"the record {short(name)} was edited: its bytes are those of {short(found)}")
        for name, data in records
        if (found := f"sha256:{hashlib.sha256(data).hexdigest()}") != name
    ]


def listed(entries: Iterable[Entry], records: Iterable[str]) -> list[Problem]:
    """Entries whose record is not there, and records that no entry names."""
    there = set(records)
    entries = tuple(entries)
    named = {entry.record for entry in entries}
    lost = [
        Problem(number=entry.number, what=f"its record {short(entry.record)} is missing")
        for entry in entries
        if entry.record not in there
    ]
    loose = sorted(there - named)
    return lost + [
        Problem(number=None, what=f"no entry names the record {short(name)}: its entry was removed or changed")
        for name in loose
    ]


def unlike(entries: Iterable[Entry]) -> Iterable[Problem]:
    """What no append does, and no digest tells: a record entered twice, an entry before the time of an earlier one."""
    first: dict[str, int] = {}
    last = None
    for entry in entries:
        before = first.setdefault(entry.record, entry.number)
        if before != entry.number:
            what = f"its record {short(entry.record)} was entered before, by entry {before}: ci-ml enters none twice"
            yield Problem(number=entry.number, what=what)
        if last is not None and entry.at < last.at - SKEW:
            what = f"it says that it was entered at {entry.at.isoformat()}, before entry {last.number}"
            yield Problem(number=entry.number, what=f"{what}, which was at {last.at.isoformat()}")
        last = entry


def stray(entries: Iterable[Entry], book: Book) -> Iterable[Problem]:
    """Signatures of records that are not there."""
    told = {entry.record: entry.number for entry in entries}
    for name in sorted(book.attachments.keys() - book.records.keys()):
        yield Problem(
            number=told.get(name), what=f"there is a signature of the record {short(name)}, and no such record"
        )


def short(name: str) -> str:
    """A digest as people read it."""
    return name[: len("sha256:") + 12] if _IS_DIGEST.match(name) else name[:80]


def folder(number: int) -> str:
    """Where the file of an entry is: a hundred to a folder, so that adding one stays cheap."""
    return f"entries/{number // _PER_FOLDER:06d}/{number:08d}.json"


def _links(book: Mapping[int, bytes]) -> Iterable[Problem]:
    last = max(book, default=0)
    digests = {number: digest(line) for number, line in book.items()}
    by_digest = {found: number for number, found in digests.items()}
    missing = _missing(last, book)
    yield from (Problem(number=number, what="it is missing: it was removed") for number in missing)
    for number in sorted(book):
        try:
            entry = read(book[number])
        except ValueError as error:
            yield Problem(number=number, what=str(error))
            continue
        if entry.number != number:
            yield Problem(number=number, what=f"in its place is an entry that says it is entry {entry.number}")
        expected = digests.get(number - 1)
        if entry.previous == expected or number - 1 in missing:
            continue
        yield from _broken(entry, number, by_digest)


def _broken(entry: Entry, number: int, by_digest: Mapping[str, int]) -> Iterable[Problem]:
    if number == 1:
        yield Problem(number=1, what="it is first, and names an entry before it: the beginning was removed")
        return
    place = by_digest.get(entry.previous or "")
    if place is not None:
        what = f"it was written after what is entry {place} now, not after entry {number - 1}: inserted, or moved"
        yield Problem(number=number, what=what)
        yield Problem(number=number - 1, what=f"entry {number} was not written after it: inserted, or moved")
        return
    yield Problem(number=number - 1, what=f"its bytes are not those that entry {number} was written after")
    yield Problem(number=number, what=f"it does not follow from entry {number - 1}: one of the two was edited")


def _missing(last: int, book: Mapping[int, bytes]) -> Sequence[int]:
    """Numbers without an entry; of a number that somebody made up, only as many as there are entries."""
    return [number for number in range(1, min(last, 2 * len(book) + 1) + 1) if number not in book]


def _anchored(book: Mapping[int, bytes], anchors: Iterable[Anchor]) -> Iterable[Problem]:
    there = {digest(line) for line in book.values()}
    for anchor in anchors:
        if anchor.entry not in there:
            what = f"{anchor.place} names the entry {short(anchor.entry)}, which is not in the ledger: it was rewritten"
            yield Problem(number=None, what=what)
