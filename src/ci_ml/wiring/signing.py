"""Signatures: of records, of models, and whether those in the ledger hold. Layer: wiring.

Nothing is left unsigned in silence: where ci-ml.yaml says that records are signed, a missing key ends the command.
"""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ci_ml.adapters import files, keys, model_signatures
from ci_ml.adapters.dvc import digests
from ci_ml.adapters.keys import PrivateKey
from ci_ml.adapters.sigstore import Sigstore
from ci_ml.core import chain, envelopes, judgements, signing, statements
from ci_ml.core.chain import Book, Entry, Problem
from ci_ml.core.signing import AuditConfig, Finding, Form, PublicKeyConfig, Trusted, Way
from ci_ml.core.statements import Kind, Statement
from ci_ml.core.types import Gap
from ci_ml.errors import UsageError
from ci_ml.usecases import policy
from ci_ml.wiring import chronicle
from ci_ml.wiring.workspace import Workspace

FOLDER = "signatures"
_TOKEN = "SIGSTORE_ID_TOKEN"  # where GitLab puts the token, and anybody may
_LARGEST = 100_000  # bytes of a key
_FORM = (
    "it is the key as openssl writes it, from -----BEGIN to -----END (no base64 around it, nor the body alone), or the "
    "path of a file that is there"
)
_BATCH = 50  # entries that are checked at a time: records and envelopes may be large

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What was signed: by whom, how many records, and where signatures of models lie."""

    by: str
    records: int = 0
    already: int = 0
    places: tuple[Path, ...] = ()


def configured(space: Workspace) -> AuditConfig:
    """What ci-ml.yaml of the work tree says; nothing is signed where there is none."""
    loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    return loaded.config.audit if loaded else AuditConfig()


def signer(space: Workspace) -> Sign | None:
    """What signs records, a signature file for the bytes of each; None where ci-ml.yaml does not ask for that.

    Raises UsageError for a key that is missing, wrong or may not sign any more; the function also raises
    DependencyError when Sigstore does not answer. What was signed once is not signed again.
    """
    config = configured(space)
    return None if config.sign is None else _Signer(space=space, config=config).sign


@dataclass(frozen=True, kw_only=True)
class _Signer:
    """Signs as `config` says; the key is read at once, and Sigstore is asked when the first record comes."""

    space: Workspace
    config: AuditConfig
    key: PrivateKey | None = field(init=False)
    _made: dict[str, bytes] = field(default_factory=dict, repr=False)
    _sigstore: list[Sign] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _own(self.space, self.config) if self.config.sign is Way.KEY else None)

    @property
    def name(self) -> str:
        """What to call who signs."""
        return f"the key {chain.short(self.key.keyid)}" if self.key else "Sigstore"

    @property
    def itself(self) -> tuple[Trusted, ...]:
        """The public half of the key, where there is one."""
        if self.key is None:
            return ()
        public = keys.public(self.key.public, self.name)
        return (Trusted(name=self.name, keyid=public.keyid, check=public.check),)

    def sign(self, data: bytes) -> bytes:
        name = statements.digest(data)
        if name not in self._made:
            self._made[name] = self._signature(data)
        return self._made[name]

    def _signature(self, data: bytes) -> bytes:
        if self.key is None:
            if not self._sigstore:
                self._sigstore.append(_sigstore(self.space, self.config).signer())
            return self._sigstore[0](data)
        sig = self.key.sign(envelopes.pae(envelopes.IN_TOTO, data))
        found = envelopes.wrap(data, [envelopes.Signature(keyid=self.key.keyid, sig=sig)])
        if len(found) > envelopes.MAX_BYTES:
            what = f"the record {chain.short(statements.digest(data))} is too large to be put into an envelope"
            raise UsageError(what, "judge fewer gates or slices at once, or sign with Sigstore, which needs no copy")
        return found


def sign_ledger(space: Workspace) -> Signed:
    """Sign every record of the ledger that has no signature which is believed, and put the signatures beside them."""
    maker = _maker(space)
    journal, book = chronicle.read(space)
    entries = chronicle.ordered(book)
    checks = _Checks(space=space, config=maker.config, trusted=(*_trusted(space, maker.config), *maker.itself))
    if checks.trusted or maker.config.identities:
        found = dict(checks.over(book, entries))
        lacking = [entry for entry in entries if found[entry.number].by is None]
    else:  # nobody is believed yet, so what there is counts
        lacking = [entry for entry in entries if not book.attachments.get(entry.record)]
    records = chronicle.opened(journal, book, [entry.record for entry in lacking])
    made = {name: maker.sign(record.data) for name, record in records.items()}
    if made:
        chronicle.attach(space, made)
    return Signed(by=maker.name, records=len(made), already=len({entry.record for entry in entries}) - len(made))


def sign_kept(space: Workspace) -> Signed:
    """Sign the records that lie beside the report: a signature file for each, in a folder of their own."""
    maker = _maker(space)
    places = []
    for record in chronicle.kept(space):
        place = space.output / FOLDER / f"{record.digest.removeprefix('sha256:')}.sig.json"
        files.make_output(space.output)
        files.write(place, maker.sign(record.data))
        places.append(place)
    return Signed(by=maker.name, records=len(places), places=tuple(places))


def sign_models(space: Workspace, paths: Sequence[str]) -> Signed:
    """Sign models, files or folders that are as a record has them, each in a file that goes with the model.

    Raises UsageError for a model that no record knows: what nobody judged is not signed.
    """
    maker = _maker(space)
    folder = space.project.folder
    places = []
    for path in paths:
        name = os.path.normpath(os.path.join(folder, path)).replace(os.sep, "/")  # noqa: PTH118  not of this disk yet
        _known(space, name)
        place = model_place(space, name)
        files.make_output(space.output)
        files.write(place, _model_signature(space, maker, space.project.root / name))
        places.append(place)
    return Signed(by=maker.name, places=tuple(places))


def model_place(space: Workspace, name: str) -> Path:
    """Where the signature of a model is left; `name` is its path in the repository."""
    return space.output / FOLDER / f"{name.replace('/', '_')}.sig"


def models(space: Workspace) -> tuple[str, ...]:
    """The models that ci-ml.yaml wants signed: those that it registers."""
    loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    if loaded is None or not loaded.config.audit.models:
        return ()
    registered: Mapping[str, object] = getattr(loaded.config, "registry", {})
    return tuple(str(path) for one in registered.values() if (path := getattr(one, "model", None)))


def verify(space: Workspace, book: Book, brought: Sequence[Path] = ()) -> tuple[int, tuple[Problem, ...]]:
    """Of how many entries a signature held, and the entries whose records nobody signed who is believed.

    With keys that are `brought`, what ci-ml.yaml says does not count: an auditor believes nobody in the repository.
    """
    entries = chain.known(book.lines)
    first = 1 if brought else configured(space).signed_from
    found = findings(space, book, [entry for entry in entries if entry.number >= first], brought)
    problems = tuple(Problem(number=number, what=one.why) for number, one in sorted(found.items()) if one.by is None)
    return len(found) - len(problems), problems


def findings(
    space: Workspace, book: Book, entries: Sequence[Entry], brought: Sequence[Path] = ()
) -> dict[int, Finding]:
    """What the signatures of these entries are worth, by their numbers. Raises UsageError with nobody to believe."""
    config = configured(space) if not brought else AuditConfig()
    trusted = _brought(brought) if brought else _trusted(space, config)
    if not trusted and not config.identities:
        raise UsageError(
            "there is nobody whose signature is believed",
            "name `audit.public_keys` or `audit.identities` in ci-ml.yaml, or bring keys with --key FILE",
        )
    checks = _Checks(space=space, config=config, trusted=trusted)
    return dict(checks.over(book, entries))


@dataclass(frozen=True, kw_only=True)
class _Checks:
    """Checks signatures: of envelopes with keys, of bundles with Sigstore."""

    space: Workspace
    config: AuditConfig
    trusted: tuple[Trusted, ...]

    @cached_property
    def _sigstore(self) -> Sigstore:
        return _sigstore(self.space, self.config)

    def over(self, book: Book, entries: Sequence[Entry]) -> Iterator[tuple[int, Finding]]:
        journal = chronicle.ledger(self.space)
        for start in range(0, len(entries), _BATCH):
            some = entries[start : start + _BATCH]
            wanted = {book.records[one.record] for one in some if one.record in book.records}
            wanted |= {name for one in some for name in book.attachments.get(one.record, ())}
            contents = dict(journal.contents(wanted))
            for one in some:
                record = contents.get(book.records.get(one.record, ""))
                attached = [contents[name] for name in book.attachments.get(one.record, ())]
                yield one.number, self._of(one, record, attached)

    def _of(self, entry: Entry, record: bytes | None, attached: Sequence[bytes]) -> Finding:
        if record is None:
            return Finding(by=None, why="its record is missing, so its signature says nothing")
        if statements.digest(record) != entry.record:
            return Finding(by=None, why="its record was edited, so its signature says nothing")
        if not attached:
            return Finding(by=None, why="its record is not signed")
        found = [self._one(data, record, entry.at.astimezone(dt.UTC).date()) for data in attached]
        return next((one for one in found if one.by is not None), found[0])

    def _one(self, data: bytes, record: bytes, day: dt.date) -> Finding:
        if signing.form(data) is Form.DSSE:
            return signing.judged(data, record, day, self.trusted)
        try:
            who = self._sigstore.believed(data, record, self.config.identities)
        except ValueError as error:
            return Finding(by=None, why=str(error))
        return Finding(by=who)


# Keys.


def _maker(space: Workspace) -> _Signer:
    config = configured(space)
    if config.sign is None:
        raise UsageError("ci-ml.yaml does not say how records are signed", "say `audit: {sign: key}` or `sigstore`")
    return _Signer(space=space, config=config)


def _own(space: Workspace, config: AuditConfig) -> PrivateKey:
    """The key to sign with: one that is believed, where ci-ml.yaml says whose are. Raises UsageError."""
    pem, place = _pem(space, config)
    key = keys.private(pem, _password(space, config), place)
    believed = _trusted(space, config)
    if not believed:
        return key
    ours = [one for one in believed if one.keyid == key.keyid]
    if not ours:
        names = ", ".join(one.name for one in believed[:5])
        raise UsageError(
            f"{place} is the key {chain.short(key.keyid)}, whose public half is none of `audit.public_keys` ({names})",
            "sign with one of those, or add its public half",
        )
    today = chronicle.now(space).date()
    if not any(one.days is None or one.days.holds(today) for one in ours):
        raise UsageError(
            f"{ours[0].name} may not sign on {today}, by its days in `audit.public_keys`",
            "make a new key, and add its public half",
        )
    return key


def _pem(space: Workspace, config: AuditConfig) -> tuple[bytes, str]:
    """The private key as PEM and what to call it: in a variable, in the file that a variable names, or in a file.

    What is no path of a file may be the key itself in another form, so no error shows it.
    """
    name = config.key.removeprefix("env:")
    hint = "set it in the job that signs, or name a file with `audit.key`"
    if name == config.key:
        place = space.project.root / space.project.folder / config.key
        if not files.is_file(place):
            raise UsageError(
                "`audit.key` in ci-ml.yaml is neither env:NAME nor the path of a file that is there",
                "bring the file to the job that signs, or name the variable that holds the key",
            )
        return _file(space, place), config.key
    value = space.env.get(name, "")
    if not value.strip():
        raise UsageError(f"there is no key to sign with: {name} is not set", hint)
    if "-----BEGIN" in value:
        return value.replace("\\n", "\n").encode(), f"the key in {name}"
    if not files.is_file(Path(value.strip())):
        raise UsageError(f"{name} is neither a key in PEM nor the path of a file", _FORM)
    return _file(space, Path(value.strip())), f"the key that {name} names"


def _file(space: Workspace, place: Path) -> bytes:
    """A private key in a file. Raises UsageError when git tracks it: whoever can read the repository has it then."""
    root = space.project.root
    inside = place.resolve().is_relative_to(root)
    if inside and space.history.tracked([place.resolve().relative_to(root).as_posix()]):
        raise UsageError(
            f"{place} is a private key in git: everybody who can read the repository can sign",
            "make a new one, keep it out of git, and take this one out of `audit.public_keys`",
        )
    return files.read_plain(place, _LARGEST + 1)


def _password(space: Workspace, config: AuditConfig) -> bytes | None:
    value = space.env.get(config.password.removeprefix("env:"), "")
    return value.encode() if value else None


def _trusted(space: Workspace, config: AuditConfig) -> tuple[Trusted, ...]:
    """The keys that ci-ml.yaml believes. Raises UsageError for one that is not there, or is none."""
    found = []
    for one, pem in public_keys(space, config):
        key = keys.public(pem, one.file)
        found.append(Trusted(name=one.file, keyid=key.keyid, check=key.check, days=one))
    return tuple(found)


def public_keys(space: Workspace, config: AuditConfig) -> tuple[tuple[PublicKeyConfig, bytes], ...]:
    """The keys that ci-ml.yaml names, as PEM. Raises UsageError for one that is not there."""
    found = []
    for one in config.public_keys:
        path = f"{space.project.folder}/{one.file}".lstrip("/")
        data = space.head_tree.read([path])[path]
        if isinstance(data, Gap):
            raise UsageError(f"{path} of `audit.public_keys`: {data.reason}", "commit the public key there")
        found.append((one, data))
    return tuple(found)


def _brought(places: Sequence[Path]) -> tuple[Trusted, ...]:
    found = []
    for place in places:
        key = keys.public(brought(place), str(place))
        found.append(Trusted(name=str(place), keyid=key.keyid, check=key.check))
    return tuple(found)


def brought(place: Path) -> bytes:
    """A public key that somebody brings. Raises UsageError where there is none."""
    if not files.is_file(place):  # which may be a key in the place of its file's name, so no error shows it
        raise UsageError("--key is no path of a file that is there", "give it the path of a public key in PEM")
    try:
        with place.open("rb") as stream:
            return stream.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror}", "look at --key") from None


def _sigstore(space: Workspace, config: AuditConfig) -> Sigstore:
    return Sigstore(trust=trust(space, config), token=space.env.get(_TOKEN) or None)


def trust(space: Workspace, config: AuditConfig) -> Path | None:
    """The trust configuration of an instance of Sigstore, where one is named."""
    return space.project.root / space.project.folder / config.trust if config.trust else None


# Models.


def _model_signature(space: Workspace, maker: _Signer, model: Path) -> bytes:
    if maker.key is None:
        token = _sigstore(space, maker.config).identity()
        return model_signatures.by_identity(model, token, trust(space, maker.config))
    if not maker.key.is_curve:
        raise UsageError(
            f"{maker.name} is of Ed25519, which OpenSSF Model Signing does not take",
            "sign models with a key on P-256, P-384 or P-521",
        )
    pem, _ = _pem(space, maker.config)
    password = _password(space, maker.config) if b"ENCRYPTED" in pem else None
    return model_signatures.by_key(model, pem, password)


def _known(space: Workspace, path: str) -> Statement:
    """The newest record that has this file or folder as it is here. Raises UsageError when there is none."""
    there = space.head_pipeline.outputs().get(path)
    recorded = there[0].recorded if there else None
    if recorded is None:
        raise UsageError(f"{path} is no output of a stage that dvc.lock knows", "name a model that the pipeline makes")
    facts = digests.Digests(
        root=space.history.root,
        outputs={},  # every byte is read: what is signed is what is here
        stamp=0.0,
        ignore=digests.ignore_rules(space.head_tree, space.project.dvc or ""),
    )
    found = facts(path, recorded)
    if found is None:
        raise UsageError(f"{path} is not here", "`dvc pull` gets it")
    own = judgements.parts(str(found)) or {found.algorithm: found.value}
    for record in _records(space):
        if any(one.name == path and own.items() <= one.digest.items() for one in record.subject):
            return record
    raise UsageError(
        f"no record of a training or a verdict has {path} as it is here: what nobody judged is not signed",
        "run `ci-ml check` for a verdict on it",
    )


def _records(space: Workspace) -> Iterator[Statement]:
    """Records that say what came out of a training, newest first: those beside the report, then the ledger's."""
    kinds = (Kind.VERDICT, Kind.TRAINING)
    yield from (one for one in reversed(chronicle.kept(space)) if one.kind in kinds)
    yield from (one for _, one in reversed(chronicle.find(space)) if one.kind in kinds)
