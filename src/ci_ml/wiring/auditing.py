"""The ledger, for who writes it and for who checks it: record, verify, export. Layer: wiring."""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_ml.adapters import files, journal, standalone
from ci_ml.adapters.journal import Journal
from ci_ml.core import chain, statements, story
from ci_ml.core.chain import Anchor, Book, Entry, Problem
from ci_ml.core.statements import Kind, Statement
from ci_ml.errors import CiMlError, DependencyError, UsageError
from ci_ml.wiring import chronicle, stories
from ci_ml.wiring.workspace import Workspace

SCHEMA = "ci-ml/audit/v1"
_SHOWN = 80
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


# record


def record(space: Workspace, others: Sequence[Path] = ()) -> tuple[Entry, ...]:
    """Enter every record that lies beside the report, and those in other files; returns the entries that are new.

    Raises UsageError for a file that is no record, DependencyError when the ledger cannot be written.
    """
    found = {one.digest: one for one in (*chronicle.kept(space), *(_read(place) for place in others))}
    if not found:
        return ()
    known: set[str] = set()
    entered = chronicle.enter(
        space,
        list(found.values()),
        guard=lambda entries: known.update(entry.record for entry in entries if entry.record in found),
    )
    return tuple(entry for entry in entered if entry.record not in known)


def _read(place: Path) -> Statement:
    try:
        return statements.read(files.read_plain(place, statements.MAX_BYTES + 1))
    except ValueError as error:
        raise UsageError(f"{place} is no record of ci-ml: {error}", "give files of .ci-ml/records") from None


# verify


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a ledger was found to be: how much there is, its newest entry, and everything that is wrong with it."""

    entries: int
    records: int
    signatures: int
    signed: int | None  # how many entries have a signature that held; None where nobody asked
    newest: str | None
    anchors: int
    problems: tuple[Problem, ...]

    @property
    def sentence(self) -> str:
        """The result."""
        if self.problems:
            count = len(self.problems)
            return f"the ledger is not as it was written: {count} problem{'' if count == 1 else 's'}"
        anchors = f", {self.anchors} of them also remembered elsewhere" if self.anchors else ""
        signed = f", {self.signed:,} entries signed by who is believed" if self.signed is not None else ""
        return f"the ledger holds: {self.entries:,} entries, {self.records:,} records{anchors}{signed}"

    def to_json(self) -> str:
        """Strict JSON, ending in a line break."""
        document = {
            "schema": SCHEMA,
            "holds": not self.problems,
            "sentence": self.sentence,
            "entries": self.entries,
            "records": self.records,
            "signatures": self.signatures,
            "signed": self.signed,
            "anchors": self.anchors,
            "newest": self.newest,
            "problems": [{"entry": one.number, "what": one.what} for one in self.problems],
        }
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def verify(
    space: Workspace,
    given: Sequence[str] = (),
    *,
    signatures: bool = False,
    keys: Sequence[Path] = (),
    registry: bool = True,
) -> Checked:
    """Walk the whole ledger. `given` are digests of entries that somebody knows from elsewhere.

    With `signatures` every record must have one that is believed: by these public keys, else by those of ci-ml.yaml.
    `registry` asks it for the entries that versions of models remember; one that is down is an error then.
    Raises UsageError for what is no digest, DependencyError when the ledger or the registry cannot be read.
    """
    if wrong := [name for name in given if not _DIGEST.fullmatch(name)]:
        raise UsageError(f"{wrong[0]} is no digest of an entry", "it is sha256: and 64 hexadecimal digits")
    kept = chronicle.ledger(space)
    book = kept.read()
    anchors = [*(Anchor(place="--anchor", entry=name) for name in given), *(_anchors(space) if registry else ())]
    signed, unsigned = _signed(space, book, keys) if signatures or keys else (None, ())
    problems = chain.in_order([*_problems(kept, book, anchors), *unsigned])
    if not problems:
        kept.remember(book)
    return Checked(
        entries=len(book.lines),
        records=len(book.records),
        signatures=sum(len(found) for found in book.attachments.values()),
        signed=signed,
        newest=statements.digest(book.lines[max(book.lines)]) if book.lines else None,
        anchors=len({anchor.entry for anchor in anchors}),
        problems=problems,
    )


def _problems(kept: Journal, book: Book, anchors: Sequence[Anchor]) -> Iterator[Problem]:
    if book.tip is None:
        yield Problem(number=None, what="there is no ledger: nothing was ever entered, or somebody has deleted it")
    if seen := kept.forgotten(book):
        what = f"the ledger was written anew: {seen[:12]}, which this clone has seen, is not in its history any more"
        yield Problem(number=None, what=what)
    yield from chain.verify(book.lines, anchors=anchors)
    entries = chain.known(book.lines)
    yield from chain.listed(entries, book.records)
    yield from chain.unlike(entries)
    yield from chain.stray(entries, book)
    yield from (Problem(number=None, what=f"{path} does not belong in a ledger") for path in book.strange)
    yield from _contents(kept, book, entries)
    yield from kept.altered(book)


def _signed(space: Workspace, book: Book, keys: Sequence[Path]) -> tuple[int, Sequence[Problem]]:
    """Of how many entries a signature held, and what is wrong with the others. Raises UsageError with none to check."""
    from ci_ml.wiring import signing

    return signing.verify(space, book, tuple(keys))


def _contents(kept: Journal, book: Book, entries: Sequence[Entry]) -> Iterator[Problem]:
    """Records whose bytes are others, or that are not of the kind or not about what their entry says."""
    told: dict[str, list[Entry]] = {}
    for entry in entries:
        told.setdefault(entry.record, []).append(entry)
    for name, data in kept.named(book.records):
        naming = told.get(name, [])
        if (found := statements.digest(data)) != name:
            what = f"its record {chain.short(name)} was edited: its bytes are {chain.short(found)}"
            numbers: list[int | None] = [one.number for one in naming]
            yield from (Problem(number=number, what=what) for number in numbers or [None])
        else:
            yield from (Problem(number=one.number, what=what) for one in naming for what in _otherwise(one, data))


def _otherwise(entry: Entry, data: bytes) -> Iterator[str]:
    """What an entry says of its record, and the record does not."""
    kind, subject = statements.entered(data) or (None, None)
    if kind is not entry.kind:
        yield f"it says that its record is of the kind {entry.kind}, and it is {kind or 'no record of ci-ml'}"
    elif subject != entry.subject:
        yield f"it says that its record is about {entry.subject[:_SHOWN]}, and that is about {str(subject)[:_SHOWN]}"


def _anchors(space: Workspace) -> Iterator[Anchor]:
    """What the registry remembers: each version of a model has the digest of the entry that put it in place."""
    from ci_ml.wiring import registry

    for name, entry in registry.anchors(space).items():
        yield Anchor(place=f"{name} in the registry", entry=entry)


# export


def export(space: Workspace, target: Path, *, registry: bool = True) -> Checked:
    """Write the ledger with everything that it takes to read and to check it, offline: a folder, or a .zip.

    It is there whole or not at all. Raises UsageError when something is there already, DependencyError when the ledger
    cannot be read or the files cannot be written.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"{target} is there already", "name a new folder or .zip file")
    checked = verify(space, registry=registry)
    kept = chronicle.ledger(space)  # not as readers open it: one that was written anew is exported all the same
    shelf = stories.Shelf(space=space, journal=kept, book=kept.read())
    content = dict(_files(shelf, checked))
    if target.suffix == ".zip":
        files.write_alone(target, _zipped(content))
    else:
        files.write_folder(target, content)
    return checked


def _files(shelf: stories.Shelf, checked: Checked) -> Iterator[tuple[str, bytes]]:
    """A ledger that does not hold is exported as it is: an auditor wants to see it most of all."""
    from ci_ml.render import story as rendering

    book = shelf.book
    for name, data in shelf.journal.named(book.records):
        yield journal.places(name), data
    for name, objects in book.attachments.items():
        for _, data in shelf.journal.contents(objects):
            yield journal.beside(name, data), data
    for number, line in sorted(book.lines.items()):
        yield chain.folder(number), line
    entries = chain.known(book.lines)
    places = {name: journal.places(name) for name in book.records}
    said = f"{checked.sentence}. Newest entry: {checked.newest or 'none'}."
    page = rendering.page("Ledger", _told(shelf), entries, places, said)
    yield "index.html", page.encode()
    yield "verify.json", checked.to_json().encode()
    yield "verify.py", Path(standalone.__file__).read_bytes()


def _told(shelf: stories.Shelf) -> Iterable[story.Story]:
    """The story of every model that was promoted, as far as one can be told."""
    try:
        models = dict.fromkeys(entry.subject for entry in shelf.entries if entry.kind is Kind.PROMOTION)
    except DependencyError:  # it is no chain, which the page says
        return
    for name in models:
        try:
            yield story.tell(stories.sources(shelf, name))
        except CiMlError:
            continue


def _zipped(content: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(content.items()):
            about = zipfile.ZipInfo(f"ledger/{path}")
            about.external_attr = 0o644 << 16
            about.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(about, data)
    return buffer.getvalue()
