"""Which records tell of a model, and what is made from them: bill of materials, card, attestation. Layer: wiring."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ci_ml.adapters import files
from ci_ml.core import attestation as attesting
from ci_ml.core import dossier as dossiers
from ci_ml.core import statements
from ci_ml.core.chain import Book, Entry
from ci_ml.core.dossier import Dossier, Records
from ci_ml.core.listing import some
from ci_ml.core.statements import Kind, Statement, at
from ci_ml.errors import DependencyError, UsageError
from ci_ml.wiring import chronicle, publishing
from ci_ml.wiring.workspace import Workspace

FOLDER = "attestation"
_DONE = ("promote", "rollback")  # of a promotion's actions those after which the alias is where it should be
_ASKED = re.compile(r"(?P<name>[^@]+?)(?:@(?P<alias>[^@/]+)|/(?P<version>[^@/]+))?")
_ABOUT = 1_000_000  # bytes of what people write for a card


def find(space: Workspace, asked: str) -> tuple[Dossier, Records]:
    """What is known of MODEL, MODEL@alias, MODEL/version, or of what a commit made.

    Raises UsageError when no record tells of it, DependencyError for records that are not as ci-ml writes them.
    """
    journal = chronicle.ledger(space)
    book = journal.read()
    entries = chronicle.ordered(book)
    records = _of_model(space, book, entries, asked) or _of_commit(space, book, entries, asked)
    if records is None:
        models = sorted({entry.subject for entry in entries if entry.kind is Kind.PROMOTION})
        known = f"models that were promoted: {some(models, 5)}" if models else "no model was promoted yet"
        raise UsageError(
            f"no record tells of {asked}",
            f"{known}; `ci-ml audit record` enters the records of a training and a verdict",
        )
    return _read(records, space.project.root.name), records


def _read(records: Records, name: str) -> Dossier:
    try:
        return dossiers.read(records, name)
    except ValueError as error:
        raise DependencyError(str(error), "`ci-ml audit verify` says whether somebody edited it") from None


def _of_model(space: Workspace, book: Book, entries: Iterable[Entry], asked: str) -> Records | None:
    """The records of the newest promotion that fits."""
    for match in filter(None, (_ASKED.fullmatch(asked), re.fullmatch(r"(?P<name>.+)", asked))):
        parts = {"alias": None, "version": None, **match.groupdict()}
        mine = [one for one in entries if one.kind is Kind.PROMOTION and one.subject == parts["name"]]
        opened = chronicle.opened(chronicle.ledger(space), book, [one.record for one in mine])
        for entry in reversed(mine):
            record = opened[entry.record]
            if _fits(record, parts["alias"], parts["version"]):
                return _around(space, book, entries, record)
    return None


def _fits(record: Statement, alias: str | None, version: str | None) -> bool:
    said = record.predicate
    if said.get("action") not in _DONE:
        return False
    aliases = said.get("aliases")
    is_alias = alias is None or alias == aliases or (isinstance(aliases, list | dict) and alias in aliases)
    return is_alias and (version is None or version == str(said.get("version")))


def _around(space: Workspace, book: Book, entries: Iterable[Entry], promotion: Statement) -> Records:
    """A promotion with the training and the verdict that it names; what it does not name is that of its commit."""
    said = promotion.predicate
    wanted = {kind: _digest(said.get(kind.value)) for kind in (Kind.TRAINING, Kind.VERDICT)}
    commit = said.get("commit") if isinstance(said.get("commit"), str) else None
    found = _opened(space, book, entries, set(filter(None, wanted.values())), commit)
    if wanted[Kind.TRAINING] is None:
        wanted[Kind.TRAINING] = _behind(record for _, record in found if record.digest == wanted[Kind.VERDICT])
        found += _opened(space, book, entries, set(filter(None, [wanted[Kind.TRAINING]])), None)
    entered = [entry for entry in entries if entry.record == promotion.digest]
    found += [(entry.at.isoformat(), promotion) for entry in entered]
    return dossiers.chosen(found, {**wanted, Kind.PROMOTION: promotion.digest}, commit)


def _of_commit(space: Workspace, book: Book, entries: Iterable[Entry], asked: str) -> Records | None:
    """The newest records of a commit: those of the ledger, else those beside the report."""
    commit = space.history.commit(asked)
    if commit is None:
        return None
    found = _opened(space, book, entries, set(), commit)
    if not found:
        kept = [record for record in chronicle.kept(space) if statements.commit(record) == commit]
        found = [("", record) for record in kept]
    verdicts = [record for _, record in found if record.kind is Kind.VERDICT]
    wanted = {Kind.TRAINING: _behind(verdicts[-1:]), Kind.PROMOTION: None}
    found += _opened(space, book, entries, set(filter(None, wanted.values())), None)
    records = dossiers.chosen([one for one in found if one[1].kind in (Kind.TRAINING, Kind.VERDICT)], wanted, commit)
    return records if any(records) else None


def _opened(
    space: Workspace, book: Book, entries: Iterable[Entry], names: set[str], commit: str | None
) -> list[tuple[str, Statement]]:
    """Of trainings and verdicts those of these digests, or of this commit; in the order of the ledger."""
    mine = [
        one
        for one in entries
        if one.kind in (Kind.TRAINING, Kind.VERDICT) and (one.record in names or (commit and one.subject == commit))
    ]
    opened = chronicle.opened(chronicle.ledger(space), book, [one.record for one in mine])
    return [(one.at.isoformat(), opened[one.record]) for one in mine]


def _behind(verdicts: Iterable[Statement]) -> str | None:
    """The training that a verdict names."""
    return next((found for one in verdicts if (found := _digest(at(one.predicate, "ciMl", "training")))), None)


def _digest(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# What is made from it.


def bom(space: Workspace, asked: str) -> str:
    """The bill of materials as JSON."""
    from ci_ml.render import bom as rendering

    return rendering.bom(find(space, asked)[0])


def card(space: Workspace, asked: str, task: str, licence: str | None, about: Path | None) -> str:
    """The model card as Markdown; `about` is a file of what people say of the model."""
    from ci_ml.render import card as rendering

    said = None
    if about is not None:
        data = files.read_plain(about, _ABOUT + 1)
        if len(data) > _ABOUT:
            raise UsageError(f"{about} is larger than {_ABOUT:,} bytes", "a card is for people to read")
        said = data.decode("utf-8", "replace")
    return rendering.card(find(space, asked)[0], task=task, licence=licence, about=said)


def attest(space: Workspace, asked: str, kind: Kind, folder: Path | None) -> Path:
    """Write what actions/attest takes into a folder, and tell later steps of the job where it is."""
    found, records = find(space, asked)
    record = next((one for one in records if one.kind is kind), None)
    if record is None:
        raise UsageError(
            f"{asked} has no record of a {kind.value}", f"it has: {', '.join(one.kind for one in records)}"
        )
    try:
        made = attesting.attestation(found, record)
    except ValueError as error:
        raise UsageError(
            f"{asked} cannot be attested: {error}", "promote it: that records the SHA-256 of each file"
        ) from None
    place = (folder or space.output / FOLDER).absolute()
    files.make_output(space.output)
    for name, text in (
        ("predicate.json", made.predicate),
        ("predicate-type.txt", f"{made.predicate_type}\n"),
        ("subjects.txt", made.subjects),
    ):
        files.write(place / name, text)
    publishing.outputs(
        space.env,
        {
            "predicate": str(place / "predicate.json"),
            "predicate-type": made.predicate_type,
            "subjects": str(place / "subjects.txt"),
        },
    )
    return place


def leave(place: Path, text: str) -> None:
    """Write what was made into a file, whole or not at all."""
    files.write(place.absolute(), text)
