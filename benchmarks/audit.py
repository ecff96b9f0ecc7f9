"""The ledger: `ci-ml audit verify` against `git fsck`, and hashing against `sha256sum`."""

import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import results, timing
from benchmarks.results import Result
from ci_ml.adapters import journal
from ci_ml.core import chain, statements
from ci_ml.core.statements import Kind, Subject

ENTRIES = 10_000
_REF = "refs/ci-ml/ledger"
_KINDS = (Kind.TRAINING, Kind.VERDICT)
_HASHED = 2**30
_HASH = "from pathlib import Path; from ci_ml.adapters.files import sha256; print(sha256(Path('{}'), 2**40))"


def audit(folder: Path, runs: int) -> Result:
    """`ci-ml audit verify` on 10,000 entries, each a commit of its own, against `git fsck` on the same repository."""
    project = ledger(folder / "audit", ENTRIES)
    ours, theirs = timing.in_turn(timing.ci_ml("audit", "verify"), ["git", "fsck", "--full"], project, runs)
    return results.ratio(f"audit verify, {ENTRIES:,} entries / git fsck", ours, theirs, 3.0)


def hashing(folder: Path, runs: int) -> Result:
    """The SHA-256 of 1 GiB, the start of Python and all imports included, against `sha256sum`."""
    folder = folder / "hashing"
    folder.mkdir(parents=True)
    block = os.urandom(2**20)
    with (folder / "model").open("wb") as stream:
        for _ in range(_HASHED // len(block)):
            stream.write(block)
    ours, theirs = timing.in_turn([sys.executable, "-c", _HASH.format("model")], ["sha256sum", "model"], folder, runs)
    return results.ratio("SHA-256 of 1 GiB / sha256sum", ours, theirs, 1.25)


def ledger(place: Path, entries: int) -> Path:
    """A repository with a ledger as so many jobs would have left it, packed as a server does."""
    place.mkdir(parents=True)
    _git(place, "init", "--quiet", "--initial-branch=main")
    _git(place, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "--allow-empty", "-m", "first")
    last = None
    stream = bytearray()
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for number in range(entries):
        kind = _KINDS[number % len(_KINDS)]
        record = statements.statement(kind, _subjects(number), _predicate(number))
        moment = at + dt.timedelta(minutes=number)
        about = statements.about(record)
        last = chain.follow(last, at=moment, kind=kind, record=record.digest, subject=about, by="somebody")
        stream += f"commit {_REF}\ncommitter ci-ml <ci-ml@localhost> {number} +0000\ndata 0\n".encode()
        for path, data in ((chain.folder(last.number), last.line), (journal.places(record.digest), record.data)):
            stream += f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n"
    subprocess.run(["git", "fast-import", "--quiet"], cwd=place, input=bytes(stream), check=True)
    _git(place, "gc", "--quiet")
    return place


def _subjects(number: int) -> list[Subject]:
    digest = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
    return [Subject(name=f"models/{name}.pkl", digest={"md5": digest}) for name in "abc"]


def _predicate(number: int) -> dict[str, object]:
    """As large as that of a project with a dozen gates: some 8 KB."""
    gate = {
        "metric": "metrics.json:accuracy",
        "base": 0.9,
        "head": 0.9 + number / 1e6,
        "delta": number / 1e6,
        "interval": [-0.01, 0.01],
        "method": "paired",
        "reason": "it held: the whole interval is above the margin, and that is what the gate asks of it",
    }
    gates = [{**gate, "slice": {"region": f"{number}-{index}"}} for index in range(25)]
    return {"ciMl": {"comparisons": gates, "report": json.dumps(number)}}


def _git(place: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=place, check=True)
