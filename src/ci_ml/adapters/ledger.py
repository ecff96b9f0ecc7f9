"""A file of lines on a ref of its own, to which parallel jobs append without losing anything. Layer: adapters.

Every entry is a commit on top of the one before, so the history of the ref is the chain, and git says when somebody
rewrites it. A push that is not on top of what the server has is refused: of two that append at once, one is told so.
"""

from dataclasses import dataclass, field
from functools import cached_property

from ci_ml.adapters.git import Git
from ci_ml.adapters.refs import Ref
from ci_ml.core.ledger import Page

_FILE = "entries.jsonl"


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A ledger of one repository; `place` is the server's address, None where there is no server."""

    history: Git
    ref: str
    place: str | None
    hint: str
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def _ref(self) -> Ref:
        return Ref(history=self.history, name=self.ref, place=self.place, hint=self.hint, hidden=self.hidden)

    def read(self) -> Page:
        """The ledger as it is now. Raises DependencyError when the server cannot be asked."""
        tip = self._ref.tip()
        if tip is None:
            return Page(tip=None)
        if not self._ref.fetched(tip):
            return self.read()
        return Page(tip=tip, lines=self.history.tell("cat-file", "blob", f"{tip}:{_FILE}"))

    def append(self, page: Page, line: str, subject: str) -> Page | None:
        """The ledger with a line more, or None when somebody else has appended since `page` was read.

        Raises DependencyError when it could not be written.
        """
        lines = page.lines + line.encode()
        history = self.history
        blob = history.tell("hash-object", "-w", "--stdin", stdin=lines).decode().strip()
        tree = history.tell("mktree", stdin=f"100644 blob {blob}\t{_FILE}\n".encode()).decode().strip()
        commit = self._ref.committed(tree, page.tip, subject)
        return Page(tip=commit, lines=lines) if self._ref.moved(page.tip, commit) else None
