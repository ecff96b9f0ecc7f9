"""A ref of our own on a server (or here), which parallel jobs move without losing anything. Layer: adapters.

It moves from the commit that was read to one on top of it, or not at all: of two that do so at once, one is told.
"""

from dataclasses import dataclass, field

from ci_ml.adapters.git import Git
from ci_ml.core.training import redact
from ci_ml.errors import DependencyError

_NONE = "0" * 40
# Who commits, for no name of a person belongs there: what ran is said by what is committed.
IDENTITY = ("-c", "user.name=ci-ml", "-c", "user.email=ci-ml@localhost", "-c", "commit.gpgSign=false")
_READ = "see whether git can read the remote from here, with what it needs to sign in: git ls-remote"
# What git says, here and on a server, while another moves the same ref: it will be free in a moment.
_BUSY = ("cannot lock ref", "unable to create", "failed to update ref", "reference already exists")


@dataclass(frozen=True, kw_only=True)
class Ref:
    """One ref of one repository; `place` is the server's address, None where there is no server."""

    history: Git
    name: str
    place: str | None
    hint: str
    hidden: tuple[str, ...] = field(default=(), repr=False)

    def tip(self) -> str | None:
        """Where it is now; None before it is. Raises DependencyError when the server cannot be asked."""
        if self.place is None:
            return self.history.commit(self.name)
        done = self.history.call("ls-remote", "--", self.place, self.name)
        if done.code != 0:
            raise self.failed("read", done.err)
        lines = (line.split("\t") for line in done.out.decode("utf-8", "replace").splitlines())
        return next((found[0] for found in lines if found[1:] == [self.name]), None)

    def fetched(self, tip: str) -> bool:
        """Whether a commit is in this clone now; False when somebody has moved the ref since it was asked for."""
        if self.place is None or self.history.commit(tip) is not None:
            return True
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        done = self.history.call("fetch", *options, "--", self.place, self.name)
        if done.code != 0:
            raise self.failed("fetched", done.err)
        return self.history.commit(tip) is not None

    def committed(self, tree: str, parent: str | None, message: str) -> str:
        """A commit of a tree on top of another commit."""
        parents = ("-p", parent) if parent else ()
        made = self.history.tell(*IDENTITY, "commit-tree", tree, *parents, "-F", "-", stdin=f"{message}\n".encode())
        return made.decode().strip()

    def moved(self, old: str | None, new: str) -> bool:
        """Move it, if it is where it was; whether it did. Raises DependencyError when it could not be written."""
        if self.place is None:
            done = self.history.ask("update-ref", "--no-deref", self.name, new, old or _NONE)
        else:
            lease = f"--force-with-lease={self.name}:{old or ''}"
            done = self.history.call("push", "--quiet", "--no-verify", lease, "--", self.place, f"{new}:{self.name}")
        if done.code == 0:
            return True
        tip = self.tip()
        if tip == new:  # it arrived, and the answer did not
            return True
        if tip != old or any(words in done.err for words in _BUSY):
            return False
        raise self.failed("written", done.err)

    def failed(self, what: str, said: str) -> DependencyError:
        """An error with git's words, without secrets."""
        words = " ".join(redact(said, self.hidden).split())[-400:]
        hint = self.hint if what == "written" else _READ
        return DependencyError(f"{self.name} could not be {what}: {words}", hint)
