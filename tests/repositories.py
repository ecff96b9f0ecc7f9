"""Real git repositories for tests, built with few and fast commands."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ci_ml.adapters.git import Git, find


@dataclass(frozen=True)
class Repository:
    """A git repository on disk; every method that changes it says so in its name."""

    root: Path

    @classmethod
    def init(cls, root: Path) -> "Repository":
        root.mkdir(parents=True, exist_ok=True)
        made = cls(root)
        made.git("init", "--quiet", "--initial-branch=main")
        return made

    def git(self, *arguments: str, stdin: str = "") -> str:
        """Run a git command that must succeed; what it printed, without the last line break."""
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, input=stdin.encode())
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr.decode()}"
        return os.fsdecode(done.stdout).rstrip("\n")

    def write(self, path: str, content: str | bytes = "") -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def commit(self, files: dict[str, str | bytes] | None = None, message: str = "change") -> str:
        """Write files, commit everything that is there, and say which commit that made."""
        for path, content in (files or {}).items():
            self.write(path, content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.sha()

    def branch(self, name: str, at: str = "HEAD") -> None:
        """Make a branch and check it out."""
        self.git("checkout", "--quiet", "-b", name, at)

    def checkout(self, revision: str) -> None:
        self.git("checkout", "--quiet", revision)

    def merge(self, revision: str) -> str:
        """Merge with a merge commit, and say which one."""
        self.git("merge", "--quiet", "--no-ff", "--no-edit", revision)
        return self.sha()

    def advance(self, branch: str, commits: int) -> None:
        """Put many empty commits on top of a branch that is not checked out."""
        first = f"from refs/heads/{branch}^0\n"
        head = f"commit refs/heads/{branch}\ncommitter Ada <ada@example.org>"
        each = [f"{head} {number} +0000\ndata 0\n{'' if number else first}" for number in range(commits)]
        self.git("fast-import", "--quiet", stdin="".join(each))

    def sha(self, revision: str = "HEAD") -> str:
        return self.git("rev-parse", "--verify", revision)

    def clone(self, root: Path, *options: str) -> "Repository":
        """Clone through git's transport, so that `--depth` is obeyed."""
        command = ["git", "clone", "--quiet", *options, f"file://{self.root}", str(root)]
        subprocess.run(command, check=True, capture_output=True)
        return Repository(root)

    @property
    def adapter(self) -> Git:
        """The repository as ci-ml sees it."""
        return find(self.root, os.environ)
