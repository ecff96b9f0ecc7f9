"""A file of lines on a ref of its own, to which parallel jobs append without losing anything. Layer: adapters.

Every entry is a commit on top of the one before, so the history of the ref is the chain, and git says when somebody
rewrites it. A push that is not on top of what the server has is refused: of two that append at once, one is told so.
"""

from dataclasses import dataclass, field

from ci_ml.adapters.git import Git
from ci_ml.core.ledger import Page
from ci_ml.core.training import redact
from ci_ml.errors import DependencyError

_FILE = "entries.jsonl"
_NONE = "0" * 40
# Who appends, for no name of a person belongs there: what ran is said by the entry itself.
_IDENTITY = ("-c", "user.name=ci-ml", "-c", "user.email=ci-ml@localhost", "-c", "commit.gpgSign=false")


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A ledger of one repository; `place` is the server's address, None where there is no server."""

    history: Git
    ref: str
    place: str | None
    hint: str
    hidden: tuple[str, ...] = field(default=(), repr=False)

    def read(self) -> Page:
        """The ledger as it is now. Raises DependencyError when the server cannot be asked."""
        tip = self._tip()
        if tip is None:
            return Page(tip=None)
        if self.place and self.history.commit(tip) is None:
            done = self.history.call("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.place, self.ref)
            if done.code != 0:
                raise self._failed("fetched", done.err)
            if self.history.commit(tip) is None:  # somebody has appended since it was asked for
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
        parent = ("-p", page.tip) if page.tip else ()
        made = history.tell(*_IDENTITY, "commit-tree", tree, *parent, "-F", "-", stdin=f"{subject}\n".encode())
        commit = made.decode().strip()
        return Page(tip=commit, lines=lines) if self._moved(page.tip, commit) else None

    def _moved(self, old: str | None, new: str) -> bool:
        if self.place is None:
            done = self.history.ask("update-ref", "--no-deref", self.ref, new, old or _NONE)
        else:
            lease = f"--force-with-lease={self.ref}:{old or ''}"
            done = self.history.call("push", "--quiet", "--no-verify", lease, self.place, f"{new}:{self.ref}")
        if done.code == 0:
            return True
        if self._tip() not in (old, new):
            return False
        if self._tip() == new:  # it arrived, and the answer did not
            return True
        raise self._failed("written", done.err)

    def _tip(self) -> str | None:
        if self.place is None:
            return self.history.commit(self.ref)
        done = self.history.call("ls-remote", self.place, self.ref)
        if done.code != 0:
            raise self._failed("read", done.err)
        return done.out.decode("utf-8", "replace").partition("\t")[0].strip() or None

    def _failed(self, what: str, said: str) -> DependencyError:
        words = " ".join(redact(said, self.hidden).split())[-400:]
        return DependencyError(f"{self.ref} could not be {what}: {words}", self.hint)
