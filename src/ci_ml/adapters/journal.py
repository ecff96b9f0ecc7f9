"""The ledger: entries and records as files on a ref of their own, appended to by parallel jobs. Layer: adapters.

Each append is one commit on top of the one before, and only adds files: whatever else a commit of the ref does is
somebody's doing, and git says whose. Nothing is in the ledger until its ref has moved: who is killed leaves nothing.
"""

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from ci_ml.adapters.git import Git
from ci_ml.adapters.refs import Ref
from ci_ml.core import chain
from ci_ml.core.chain import Addition, Book, Problem
from ci_ml.core.statements import MAX_BYTES, digest
from ci_ml.errors import DependencyError

_ENTRY = re.compile(r"entries/\d{6}/(\d{8})\.json")
_RECORD = re.compile(r"records/([0-9a-f]{2})/([0-9a-f]{62})\.json")
_ATTACHMENT = re.compile(r"records/([0-9a-f]{2})/([0-9a-f]{62})\.[0-9a-f]{12}\.sig\.json")
_FILES = 4_000_000
_STRANGE = 20
_BATCH = 400
_ATTEMPTS = 100
_LONGEST = 5.0


@dataclass(frozen=True, kw_only=True)
class Journal:
    """The ledger of one repository; `place` is the server's address, None where there is no server."""

    history: Git
    ref: str
    place: str | None
    hint: str
    hidden: tuple[str, ...] = field(default=(), repr=False)
    pause: Callable[[float], None] = time.sleep

    @cached_property
    def _ref(self) -> Ref:
        return Ref(history=self.history, name=self.ref, place=self.place, hint=self.hint, hidden=self.hidden)

    def read(self) -> Book:
        """The ledger as it is now. Raises DependencyError when the server cannot be asked, or a file is too large."""
        tip = self._ref.tip()
        while tip is not None and not self._ref.fetched(tip):
            tip = self._ref.tip()
        return Book() if tip is None else self._book(tip)

    def contents(self, objects: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """What is in these files, by their ids in git, as `Book` has them; a few at a time."""
        wanted = list(objects)
        for start in range(0, len(wanted), _BATCH):
            yield from self._batch(wanted[start : start + _BATCH])

    def named(self, objects: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """What is in the files of these names, by the ids that they have: several names may have one."""
        names: dict[str, list[str]] = {}
        for name, object_id in objects.items():
            names.setdefault(object_id, []).append(name)
        for object_id, data in self.contents(names):
            yield from ((name, data) for name in names[object_id])

    def append(self, prepare: Callable[[Book], Addition]) -> Book:
        """Add what `prepare` makes of the ledger as it is; it is asked again where somebody else was faster.

        What it raises ends this, with nothing added. Raises DependencyError when it could not be written.
        """
        import tenacity

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda found: found is None),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=_LONGEST),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            sleep=self.pause,
        )
        try:
            found = retrying(self._attempt, prepare)
        except tenacity.RetryError:
            what = f"{self.ref} could not be written: others were faster {_ATTEMPTS} times"
            raise DependencyError(what, "run this again") from None
        assert found is not None
        return found

    def altered(self, book: Book, since: str | None = None) -> Iterator[Problem]:
        """What commits of the ref did other than add files: each is somebody's doing, and git says whose.

        `since` is a commit of the ref up to which that is known.
        """
        if book.tip is None or book.tip == since:
            return
        asked = [book.tip, *([f"^{since}"] if since else [])]
        options = ("--diff-filter=a", "--no-renames", "--raw", "--abbrev=12", "-z", "--format=%x01%H %cI %an")
        listing = self.history.tell("log", *options, *asked, "--").decode("utf-8", "replace")
        for part in listing.split("\x01")[1:]:
            about, *changes = part.split("\0")
            for raw, path in pairwise(changes):
                if raw.lstrip("\n").startswith(":"):
                    yield _altered(path, raw.rpartition(" ")[2], about)
        odd = self.history.tell("rev-list", "--min-parents=2", *asked, "--").decode().split()
        roots = self.history.tell("rev-list", "--max-parents=0", *asked, "--").decode().split()
        for sha in [*odd, *(roots if since else roots[1:])]:
            what = f"the commit {sha[:12]} joins another history to the ledger, which no append does"
            yield Problem(number=None, what=what)

    def forgotten(self, book: Book) -> str | None:
        """The newest commit of the ledger that this clone remembers, if that is not in it any more."""
        seen = self.history.commit(self.memory)
        if seen is None or seen == book.tip:
            return None
        known = book.tip and self.history.ask("merge-base", "--is-ancestor", seen, book.tip).code == 0
        return None if known else seen

    def remember(self, book: Book) -> None:
        """Remember in this clone where the ledger was, so that a later look notices when it was rewritten."""
        if book.tip and self.history.commit(self.memory) != book.tip:
            self.history.ask("update-ref", "--no-deref", self.memory, book.tip)

    @property
    def memory(self) -> str:
        """The ref of this clone that remembers where the ledger was."""
        head, _, name = self.ref.rpartition("/")
        return f"{head}/seen/{name}"

    # Reading.

    def _book(self, tip: str) -> Book:
        entries: dict[int, str] = {}
        records: dict[str, str] = {}
        attachments: dict[str, list[str]] = {}
        strange = []
        for path, object_id in self._files(tip):
            if object_id is None:
                strange.append(path)
            elif (found := _ENTRY.fullmatch(path)) and chain.folder(int(found[1])) == path:
                entries[int(found[1])] = object_id
            elif found := _RECORD.fullmatch(path):
                records[f"sha256:{found[1]}{found[2]}"] = object_id
            elif found := _ATTACHMENT.fullmatch(path):
                attachments.setdefault(f"sha256:{found[1]}{found[2]}", []).append(object_id)
            else:
                strange.append(path)
        lines = dict(self.contents(set(entries.values())))
        return Book(
            tip=tip,
            lines={number: lines[object_id] for number, object_id in entries.items()},
            records=records,
            attachments={name: tuple(found) for name, found in attachments.items()},
            strange=tuple(strange[:_STRANGE]),
        )

    def _files(self, tip: str) -> Iterator[tuple[str, str | None]]:
        """Every file of a commit and its id; None for what is no plain file, or larger than any that we write."""
        listing = self.history.tell("ls-tree", "-r", "-z", "-l", "--full-tree", tip).split(b"\0")[:-1]
        if len(listing) > _FILES:
            raise DependencyError(f"{self.ref} holds {len(listing):,} files, which no ledger does", self.hint)
        for line in listing:
            about, _, name = line.partition(b"\t")
            mode, _, object_id, size = about.decode().split()
            is_plain = mode == "100644" and size.isdigit() and int(size) <= MAX_BYTES
            yield name.decode("utf-8", "replace"), object_id if is_plain else None

    def _batch(self, objects: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        asked = "".join(f"{name}\n" for name in objects).encode()
        answer = self.history.tell("cat-file", "--batch=%(objectname) %(objectsize)", stdin=asked)
        position = 0
        while position < len(answer):
            start = answer.index(b"\n", position) + 1
            name, size = answer[position : start - 1].decode().split(" ")
            if size == "missing":
                raise DependencyError(f"this clone lacks the object {name} of {self.ref}", "clone it anew")
            yield name, answer[start : start + int(size)]
            position = start + int(size) + 1

    # Writing.

    def _attempt(self, prepare: Callable[[Book], Addition]) -> Book | None:
        book = self.read()
        added = prepare(book)
        if added.is_empty:
            return book
        tip = self._committed(book, added)
        return self._book(tip) if self._ref.moved(book.tip, tip) else None

    def _committed(self, book: Book, added: Addition) -> str:
        listed = "".join(f"100644 {self._blob(data)}\t{path}\n" for path, data in _places(added))
        with tempfile.TemporaryDirectory(prefix="ci-ml-index-") as folder:
            env = {**self.history.env, "GIT_INDEX_FILE": str(Path(folder) / "index")}
            aside = Git(root=self.history.root, env=env)
            aside.tell("read-tree", *([book.tip] if book.tip else ["--empty"]))
            aside.tell("update-index", "--add", "--index-info", stdin=listed.encode())
            tree = aside.tell("write-tree").decode().strip()
        return self._ref.committed(tree, book.tip, _message(added))

    def _blob(self, data: bytes) -> str:
        return self.history.tell("hash-object", "-w", "--stdin", stdin=data).decode().strip()


def places(name: str) -> str:
    """Where the file of a record is, by its digest."""
    value = name.removeprefix("sha256:")
    return f"records/{value[:2]}/{value[2:]}.json"


def beside(name: str, data: bytes) -> str:
    """Where the file of a signature is: beside its record, and named after its own bytes: none replaces another."""
    return f"{places(name).removesuffix('.json')}.{digest(data).removeprefix('sha256:')[:12]}.sig.json"


def _places(added: Addition) -> Iterator[tuple[str, bytes]]:
    for entry in added.entries:
        yield chain.folder(entry.number), entry.line
    for name, data in added.records.items():
        yield places(name), data
    for name, data in added.attachments.items():
        yield beside(name, data), data


def _message(added: Addition) -> str:
    if not added.entries:
        return f"Attach to {len(added.attachments)} records"
    first, last = added.entries[0], added.entries[-1]
    kinds = ", ".join(dict.fromkeys(entry.kind.value for entry in added.entries))
    return f"Enter {first.number}: {kinds}" if first == last else f"Enter {first.number} to {last.number}: {kinds}"


def _altered(path: str, how: str, about: str) -> Problem:
    sha, _, rest = about.partition(" ")
    when, _, who = rest.partition(" ")
    found = _ENTRY.fullmatch(path)
    did = {"D": "removed", "M": "edited"}.get(how[:1], "changed")
    what = f"{'it' if found else path} was {did} by the commit {sha[:12]} of {who} ({when})"
    return Problem(number=int(found[1]) if found else None, what=what)
