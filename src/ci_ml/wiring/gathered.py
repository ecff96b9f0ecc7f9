"""Records of some kinds: those of the ledger, and those that lie here and are not in it yet. Layer: wiring."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ci_ml.core.chain import Entry
from ci_ml.core.statements import Kind, Statement
from ci_ml.core.story import Held
from ci_ml.core.training import redact, secrets
from ci_ml.errors import DependencyError
from ci_ml.wiring import chronicle
from ci_ml.wiring.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Records, oldest first; those that lie here come last. `trouble` is why the ledger's are not among them.

    `entries` are those of the ledger, by the digest of their record.
    """

    records: tuple[Statement, ...]
    entries: Mapping[str, Entry] = field(default_factory=dict)
    trouble: str | None = None

    @property
    def held(self) -> tuple[Held, ...]:
        """Each record with its entry."""
        return tuple(Held(record=record, entry=self.entries.get(record.digest)) for record in self.records)


def records(space: Workspace, *kinds: Kind) -> Gathered:
    """Every record of these kinds; the ledger is read once, and no other record is opened.

    Raises UsageError for a file among those that lie here that is no record, or was edited.
    """
    here = [record for record in chronicle.kept(space) if record.kind in kinds]
    try:
        journal, book = chronicle.read(space)
        entries = {entry.record: entry for entry in chronicle.ordered(book) if entry.kind in kinds}
        found = chronicle.opened(journal, book, list(entries))
    except DependencyError as error:
        return Gathered(records=tuple(here), trouble=redact(error.what, secrets(space.env)))
    own = (record for record in here if record.digest not in found)
    return Gathered(records=(*(found[name] for name in entries), *own), entries=entries)
