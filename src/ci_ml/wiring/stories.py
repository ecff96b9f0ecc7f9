"""Which records tell the story of a model or a commit. Layer: wiring."""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ci_ml.adapters.journal import Journal
from ci_ml.core import judgements, statements, story
from ci_ml.core.chain import Book, Entry
from ci_ml.core.listing import some
from ci_ml.core.statements import Kind, Statement, at
from ci_ml.core.story import Held, Sources, Story, Threshold
from ci_ml.errors import UsageError
from ci_ml.usecases import policy
from ci_ml.wiring import chronicle, standing
from ci_ml.wiring.workspace import Workspace

_LOOKED = 1000  # records of a kind that are looked through, newest first
_MODEL = re.compile(r"(?P<name>[^@/]+(?:/[^@/]+)*?)(?:@(?P<alias>[^@/]+)|/(?P<version>\d[\w.+-]*))?")


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The ledger as it is, with the records that are only files here behind it."""

    space: Workspace
    journal: Journal
    book: Book
    _read: dict[str, Statement] = field(default_factory=dict)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The entries, in order."""
        return chronicle.ordered(self.book)

    @cached_property
    def loose(self) -> tuple[Held, ...]:
        """Records that are not in the ledger, oldest first."""
        known = {entry.record for entry in self.entries}
        return tuple(Held(record=one) for one in chronicle.kept(self.space) if one.digest not in known)

    def held(self, entries: Sequence[Entry]) -> tuple[Held, ...]:
        """Entries with their records."""
        wanted = [entry.record for entry in entries if entry.record not in self._read]
        self._read.update(chronicle.opened(self.journal, self.book, wanted))
        return tuple(Held(record=self._read[entry.record], entry=entry) for entry in entries)

    def of(self, kind: Kind, subject: str | None = None) -> tuple[Held, ...]:
        """The newest records of a kind, oldest first; those that are not in the ledger last."""
        chosen = [one for one in self.entries if one.kind is kind and subject in (None, one.subject)]
        files = [
            one for one in self.loose if one.record.kind is kind and subject in (None, statements.about(one.record))
        ]
        return (*self.held(chosen[-_LOOKED:]), *files)

    def named(self, name: Any) -> Held | None:
        """The record of a digest, if there is one."""
        entry = next((one for one in self.entries if one.record == name), None)
        if entry is not None:
            return self.held([entry])[0]
        return next((one for one in self.loose if one.record.digest == name), None)

    def signed(self) -> Mapping[str, int]:
        """How many signatures lie beside records."""
        return {name: len(found) for name, found in self.book.attachments.items()}


def opened(space: Workspace) -> Shelf:
    """Everything there is to tell from."""
    journal, book = chronicle.read(space)
    return Shelf(space=space, journal=journal, book=book)


def tell(space: Workspace, wanted: str, *, ask: bool = True) -> Story:
    """The story of a model (NAME, NAME@ALIAS or NAME/VERSION) or of a commit.

    Of an alias it says whether the registry has it elsewhere, or, where it does not answer or we are not to `ask` it,
    that it was not asked. Raises UsageError when there is neither, DependencyError when the ledger cannot be read or is
    no chain.
    """
    shelf = opened(space)
    found = sources(shelf, wanted)
    if found.alias is None or found.promotion is None:
        return story.tell(found)
    version = str(found.promotion.record.predicate.get("version"))
    one = standing.Standing(model=found.name, alias=found.alias, version=version)
    doubts = standing.doubts(space, one, shelf.of(Kind.PROMOTION, found.name), ask=ask)
    return story.tell(dataclasses.replace(found, doubts=doubts))


def sources(shelf: Shelf, wanted: str) -> Sources:
    """The records behind a model or a commit. Raises UsageError when there is neither."""
    found = _MODEL.fullmatch(wanted)
    models = {entry.subject for entry in shelf.entries if entry.kind is Kind.PROMOTION}
    if found and found["name"] in models:
        return _of_model(shelf, found["name"], found["alias"], found["version"])
    if wanted in models:
        return _of_model(shelf, wanted, None, None)
    sha = shelf.space.history.commit(wanted)
    if sha is not None:
        return _of_commit(shelf, sha)
    known = f"models in the ledger: {some(sorted(models), 10)}" if models else "the ledger has no model yet"
    raise UsageError(f"{wanted or repr(wanted)} is no commit of this clone, and no model that was promoted", known)


def _of_model(shelf: Shelf, name: str, alias: str | None, version: str | None) -> Sources:
    every = shelf.of(Kind.PROMOTION, name)
    done = story.completed(every)
    names = [alias] if alias or version else [*standing.production(shelf.space, name), None]
    fits = {one: story.completed(every, alias=one, version=version) for one in names}
    known_as, chosen = next(((one, found) for one, found in fits.items() if found), (None, ()))
    if not chosen:
        asked = f"{name}@{alias}" if alias else f"{name}/{version}" if version else name
        versions = dict.fromkeys(str(one.record.predicate.get("version")) for one in done)
        known = f"versions: {some(list(versions), 10)}" if versions else "a promotion began, and none came to its end"
        raise UsageError(f"no promotion of {asked} is in the ledger", known)
    promotion = chosen[-1]
    said = promotion.record.predicate
    commit = statements.commit(promotion.record)
    verdict = shelf.named(said.get("verdict")) or _judged(shelf, commit, {})
    training = shelf.named(said.get("training"))
    return dataclasses.replace(_sources(shelf, name, promotion, done, verdict, training), alias=known_as)


def _of_commit(shelf: Shelf, sha: str) -> Sources:
    verdict = _judged(shelf, sha, _outputs(shelf.space, sha))
    digest = verdict.record.digest if verdict else None
    promotions = story.completed(shelf.of(Kind.PROMOTION))
    about = tuple(
        one
        for one in promotions
        if statements.commit(one.record) == sha or (digest and one.record.predicate.get("verdict") == digest)
    )
    promotion = about[-1] if about else None
    training = shelf.named(promotion.record.predicate.get("training")) if promotion else None
    return _sources(shelf, sha, promotion, about, verdict, training)


def _sources(
    shelf: Shelf,
    name: str,
    promotion: Held | None,
    promotions: tuple[Held, ...],
    verdict: Held | None,
    training: Held | None,
) -> Sources:
    named = shelf.named(at(verdict.record.predicate, "ciMl", "training")) if verdict else None
    best = _trained(shelf, verdict, name, training or named)
    again = [
        one
        for one in shelf.of(Kind.REPRODUCTION)
        if best is not None and one.record.predicate.get("training") == best.record.digest
    ]
    return Sources(
        name=name,
        promotion=promotion,
        promotions=promotions,
        verdict=verdict,
        training=best,
        reproductions=tuple(again),
        fixed=_fixed(shelf.space, verdict),
        signed=shelf.signed(),
    )


def _outputs(space: Workspace, sha: str) -> dict[str, dict[str, str]]:
    """What dvc.lock of a commit says of what its stages made."""
    try:
        stages = space.pipeline(space.history.tree(sha)).stages
    except UsageError:
        return {}
    made = {out.path: judgements.parts(str(out.recorded)) for one in stages for out in one.outs if out.recorded}
    return {path: found for path, found in made.items() if found}


def _judged(shelf: Shelf, sha: str | None, made: Mapping[str, Mapping[str, str]]) -> Held | None:
    """The newest verdict on a commit, else on the same bytes: a commit that records them was not judged itself."""
    if sha is not None and (found := shelf.of(Kind.VERDICT, sha)):
        return found[-1]
    if not made:
        return None
    return next((one for one in reversed(shelf.of(Kind.VERDICT)) if _made(one.record, made)), None)


def _made(record: Statement, wanted: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a record is about all of these files, with these digests."""
    there = {one.name: one.digest for one in record.subject}
    return all(name in there and found.items() <= there[name].items() for name, found in wanted.items())


def _trained(shelf: Shelf, verdict: Held | None, name: str, known: Held | None) -> Held | None:
    """The training that made the bytes: one in which stages ran, where that which is named found all in a cache."""
    if known is not None and _ran(known.record):
        return known
    wanted = _files(verdict.record if verdict else known.record if known else None)
    if wanted:
        alike = [one for one in shelf.of(Kind.TRAINING) if _made(one.record, wanted)]
        best = next((one for one in reversed(alike) if _ran(one.record)), None)
        return best or known or (alike[-1] if alike else None)
    return known or next(reversed(shelf.of(Kind.TRAINING, name)), None)


def _files(record: Statement | None) -> dict[str, dict[str, str]]:
    """What a record says of files by DVC's digests, which every record has."""
    found: dict[str, dict[str, str]] = {}
    for one in record.subject if record else ():
        dvc = {kind: value for kind, value in one.digest.items() if kind in ("md5", "dvcDir")}
        if dvc:
            found[one.name] = dvc
    return found


def _ran(record: Statement) -> bool:
    return at(record.predicate, "buildDefinition", "internalParameters", "environment") is not None


def _fixed(space: Workspace, verdict: Held | None) -> Threshold | None:
    """When the thresholds were committed, by git: of the side that they were read from."""
    said = at(verdict.record.predicate, "ciMl") if verdict else None
    side = at(said, "policy", "from")
    sha = at(said, side, "sha") if side in ("base", "head") else None
    path = _policy_file(verdict)
    if not isinstance(sha, str) or path is None or space.history.commit(sha) is None:
        return None
    try:
        loaded = policy.load(space.history.tree(sha), path, f"{path} at {sha[:7]}")
    except UsageError:
        return None
    known = space.history.log(sha, [path], 1)
    if loaded is None or not known or _is_edge(space, known[0][0]):
        return None
    return Threshold(sha=known[0][0], at=_utc(known[0][1]), same=loaded.digest == at(said, "policy", "digest"))


def _is_edge(space: Workspace, sha: str) -> bool:
    """Whether this clone ends at a commit: there every file looks new."""
    return any(space.history.commit(parent) is None for parent in space.history.parents(sha))


def _policy_file(verdict: Held | None) -> str | None:
    found = at(verdict.record.predicate, "configuration") if verdict else None
    names: Iterable[Any] = (at(one, "name") for one in found) if isinstance(found, list) else ()
    return next((name for name in names if isinstance(name, str) and not name.startswith(("/", "-"))), None)


def _utc(text: str) -> str:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC).isoformat()
