"""Records: kept as files by whoever makes them, entered into the ledger by who may write it. Layer: wiring."""

import datetime as dt
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ci_ml.adapters import files
from ci_ml.adapters.journal import Journal
from ci_ml.core import chain, judgements, provenance, statements
from ci_ml.core.chain import Addition, Book, Entry
from ci_ml.core.report import Report
from ci_ml.core.statements import Kind, Statement
from ci_ml.core.training import Training, TrainingOutcome, redact, secrets
from ci_ml.errors import CiMlError, DependencyError, UsageError
from ci_ml.wiring import branches, publishing
from ci_ml.wiring.workspace import Workspace

REF = "refs/ci-ml/ledger"
FOLDER = "records"
CONTAINER = "CI_ML_CONTAINER_DIGEST"
_ACTORS = {"github": "GITHUB_ACTOR", "gitlab": "GITLAB_USER_LOGIN"}
_BROKEN = "`ci-ml audit verify` says where; set the ref back to the commit before somebody edited it"
_HASHED = 8 * 2**30  # bytes of a file that still gets its SHA-256: some ten seconds
_ADDRESS = re.compile(r"[\w+.-]+://|[^/]+:")  # a URL, or a host as ssh has it: anything else is a path
_LOOKED = 200  # kept records that are looked through for the training behind a verdict

# What may stop an append: it is told the ledger as it is at that moment, and raises.
Guard = Callable[[tuple[Entry, ...]], None]


def ledger(space: Workspace) -> Journal:
    """The ledger, on the server or here."""
    return Journal(
        history=space.history,
        ref=REF,
        place=branches.place(space),
        hint=branches.hint(space.change),
        hidden=secrets(space.env),
    )


def actor(space: Workspace) -> str | None:
    """Who runs this, as the CI system says; elsewhere what git calls them."""
    name = _ACTORS.get(space.change.forge or "")
    known = space.env.get(name) if name else _committer(space)
    return (known or "").encode("utf-8", "replace").decode()[:300] or None


def _committer(space: Workspace) -> str | None:
    """Who would commit here, in git's own order."""
    ask = (space.history.line("config", f"{who}.name") for who in ("committer", "user"))
    return space.env.get("GIT_COMMITTER_NAME") or next(filter(None, ask), None)


def now(space: Workspace) -> dt.datetime:  # noqa: ARG001  every clock is asked here, so that there is one to replace
    """The time, in UTC and whole seconds."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


# Records as files.


def keep(space: Workspace, record: Statement) -> Path:
    """Write a record beside the report, by its digest. Raises DependencyError when it cannot be written."""
    place = space.output / FOLDER / f"{record.digest.removeprefix('sha256:')}.json"
    files.make_output(space.output)
    if files.is_file(place):
        known = files.read_plain(place, statements.MAX_BYTES + 1)
        if known == record.data:
            return place
    files.write(place, record.data)
    return place


def kept(space: Workspace) -> tuple[Statement, ...]:
    """The records that lie there, by when they were written. Raises UsageError for a file that is none."""
    folder = space.output / FOLDER
    if folder.is_symlink():
        raise UsageError(f"{folder} is a symbolic link", "take the link away")
    return tuple(_kept(place) for place in _places(space))


def _places(space: Workspace) -> list[Path]:
    found = (space.output / FOLDER).glob("*.json")
    return sorted(found, key=lambda place: (files.changed(place), place.name))


def _kept(place: Path) -> Statement:
    try:
        found = statements.read(files.read_plain(place, statements.MAX_BYTES + 1))
    except ValueError as error:
        raise UsageError(f"{place} is no record of ci-ml: {error}", "take it away") from None
    if found.digest != f"sha256:{place.stem}":
        what = f"{place} was edited: its bytes are those of {chain.short(found.digest)}, not of its name"
        raise UsageError(what, "take it away, and make the record again")
    return found


def keep_training(
    space: Workspace, record: Training, targets: Sequence[str] = (), container: str | None = None
) -> Statement | None:
    """Keep the record of a training that succeeded; None when nothing came out that has a digest."""
    if record.outcome is not TrainingOutcome.SUCCESS:
        return None
    made = provenance.training(
        record,
        provenance.Around(
            pipeline=space.head_pipeline,
            files=_hashes(space),
            repository=_repository(space),
            container=container or space.env.get(CONTAINER) or space.env.get("CI_JOB_IMAGE") or None,
            builder=_builder(space),
            invocation=space.change.run_url,
            targets=tuple(targets),
        ),
    )
    if made is None:
        return None
    hidden = secrets(space.env)
    clean = statements.cleaned(made.predicate, lambda text: redact(text, hidden))
    made = statements.statement(made.kind, made.subject, clean)
    keep(space, made)
    return made


def keep_verdict(space: Workspace, report: Report) -> Statement:
    """Keep the record of a verdict; `report` is what report.json holds, byte by byte."""
    made = judgements.verdict(
        report,
        name=space.project.config,
        digest=statements.digest(report.to_json().encode("utf-8", "backslashreplace")),
        training=_training_behind(space, report),
    )
    keep(space, made)
    return made


def _training_behind(space: Workspace, report: Report) -> str | None:
    """The newest kept record of a training that made exactly what was judged."""
    made = {one.path: found for one in report.outputs if (found := judgements.parts(one.digest))}
    for place in reversed(_places(space)[-_LOOKED:]):
        try:
            record = _kept(place)
        except CiMlError:  # said by who enters it
            continue
        if record.kind is not Kind.TRAINING:
            continue
        there = {one.name: one.digest for one in record.subject}
        if made and all(path in there and found.items() <= there[path].items() for path, found in made.items()):
            return record.digest
    return None


def _hashes(space: Workspace) -> dict[str, str]:
    """The SHA-256 of lock files, and of files that stages made and that are here."""
    tree, pipeline = space.head_tree, space.head_pipeline
    made = [out.path for stage in pipeline.stages for out in stage.outs if out.recorded and not out.recorded.is_folder]
    found = {}
    for path in [*provenance.locks(tree.files()), *made]:
        value = files.sha256(space.project.root / path, _HASHED)
        if value:
            found[path] = value
    return found


def _repository(space: Workspace) -> str | None:
    """The address of the repository; a path is whole, for a relative one says nothing elsewhere."""
    address = publishing.repository(space.change, space.env) or space.history.address()
    if address is None or _ADDRESS.match(address):
        return address
    return os.path.normpath(space.project.root / address)


def _builder(space: Workspace) -> str:
    env = space.env
    if space.change.forge == "github" and env.get("GITHUB_WORKFLOW_REF"):
        return f"{env.get('GITHUB_SERVER_URL', 'https://github.com')}/{env['GITHUB_WORKFLOW_REF']}"
    if space.change.forge == "gitlab" and env.get("CI_PROJECT_URL"):
        return f"{env['CI_PROJECT_URL']}/-/runners/{env.get('CI_RUNNER_ID', '')}"
    return "urn:ci-ml:builder:local"


# The ledger.


def enter(
    space: Workspace,
    records: Sequence[Statement],
    *,
    subject_of: Callable[[Statement], str] = statements.about,
    guard: Guard | None = None,
    attachments: Mapping[str, bytes] | None = None,
) -> tuple[Entry, ...]:
    """Enter records into the ledger, all or none, and hand back their entries; what is there is not entered twice.

    `guard` is told the ledger before each attempt, and raises to stop it: nothing is entered then. `attachments` are
    signatures, by the digests of records. Raises DependencyError when it cannot be written, or is no chain any more.
    """

    journal, sign = ledger(space), _signer(space)
    sound = [space.history.commit(journal.memory)]  # what was looked at is not looked at again, in later attempts too

    def prepare(book: Book) -> Addition:
        there = ordered(book)
        _refuse_rewritten(journal, book)
        _refuse_altered(journal, book, sound[-1])
        sound.append(book.tip)
        if guard is not None:
            guard(there)
        known = {entry.record for entry in there}
        entries = list(there)
        for record in records:
            if record.digest not in known:
                known.add(record.digest)
                entries.append(_entry(space, entries[-1] if entries else None, record, subject_of(record)))
        added = tuple(entries[len(there) :])
        known_bytes = {record.digest: record.data for record in records}
        contents = {entry.record: known_bytes[entry.record] for entry in added}
        signatures = {name: sign(data) for name, data in contents.items()} if sign else {}
        return Addition(
            entries=added,
            records=contents,
            attachments={**signatures, **_new(journal, book, attachments or {})},
        )

    book = journal.append(prepare)
    journal.remember(book)
    wanted = {record.digest for record in records}
    return tuple(entry for entry in ordered(book) if entry.record in wanted)


def attach(space: Workspace, attachments: Mapping[str, bytes]) -> None:
    """Put signatures beside records that are in the ledger, by the digests of those records."""

    journal = ledger(space)

    def prepare(book: Book) -> Addition:
        ordered(book)
        _refuse_rewritten(journal, book)
        if strange := [name for name in attachments if name not in book.records]:
            raise UsageError(f"the ledger has no record {chain.short(strange[0])}", "`ci-ml audit record` enters it")
        return Addition(attachments=_new(journal, book, attachments))

    journal.append(prepare)


def read(space: Workspace) -> tuple[Journal, Book]:
    """The ledger for who reads in it. Raises DependencyError when it was written anew, or somebody altered it."""
    journal = ledger(space)
    book = journal.read()
    ordered(book)
    _refuse_rewritten(journal, book)
    _refuse_altered(journal, book, space.history.commit(journal.memory))
    return journal, book


def find(space: Workspace, kind: Kind | None = None, subject: str | None = None) -> tuple[tuple[Entry, Statement], ...]:
    """Entries of the ledger with their records, newest last. Raises DependencyError for a ledger that is no chain."""
    journal, book = read(space)
    wanted = [entry for entry in ordered(book) if kind in (None, entry.kind) and subject in (None, entry.subject)]
    found = opened(journal, book, [entry.record for entry in wanted])
    return tuple((entry, found[entry.record]) for entry in wanted)


def opened(journal: Journal, book: Book, names: Sequence[str]) -> dict[str, Statement]:
    """Records of a ledger by their digests. Raises DependencyError for one that is missing or was edited."""
    if lost := [name for name in names if name not in book.records]:
        raise DependencyError(f"the ledger has lost the record {chain.short(lost[0])}", _BROKEN)
    found = {}
    for name, data in journal.named({name: book.records[name] for name in names}):
        try:
            record = statements.read(data)
        except ValueError as error:
            raise DependencyError(f"the record {chain.short(name)} of the ledger: {error}", _BROKEN) from None
        if record.digest != name:
            raise DependencyError(f"the record {chain.short(name)} of the ledger was edited", _BROKEN)
        found[name] = record
    return found


def ordered(book: Book) -> tuple[Entry, ...]:
    """The entries of a ledger in order. Raises DependencyError when they are no chain: nothing is built on that."""
    try:
        return book.ordered
    except ValueError as error:
        raise DependencyError(f"the ledger is not as it was written: {error}", _BROKEN) from None


def _signer(space: Workspace) -> Callable[[bytes], bytes] | None:
    """What signs a record, where signing is configured. Raises UsageError when it is and there is no key."""
    from ci_ml.wiring import signing

    return signing.signer(space)


def _refuse_rewritten(journal: Journal, book: Book) -> None:
    """Nothing is built on a ledger that has lost what this clone has seen in it. Raises DependencyError."""
    if seen := journal.forgotten(book):
        raise DependencyError(
            f"the ledger was written anew: {seen[:12]}, which this clone has seen, is not in its history any more",
            f"find out who did that; once it is right, `git update-ref -d {journal.memory}` forgets it",
        )


def _refuse_altered(journal: Journal, book: Book, since: str | None) -> None:
    """Nothing is built on a ledger in which somebody has edited or removed anything. Raises DependencyError."""
    for problem in journal.altered(book, since):
        raise DependencyError(f"the ledger is not as it was written: {problem}", _BROKEN)


def _entry(space: Workspace, last: Entry | None, record: Statement, subject: str) -> Entry:
    run_url = space.change.run_url
    at = now(space)
    return chain.follow(
        last,
        # Where a clock is behind that of who entered last, it is the order that is known.
        at=max(at, last.at) if last else at,
        kind=record.kind,
        record=record.digest,
        subject=subject,
        by=actor(space),
        run_url=run_url[:2000] if run_url else None,
    )


def _new(journal: Journal, book: Book, attachments: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of these those that are not there yet."""
    objects = [found for name in attachments for found in book.attachments.get(name, ())]
    there = {data for _, data in journal.contents(objects)}
    return {name: data for name, data in attachments.items() if data not in there}
