"""A server of git, and clones of what is on it."""

from pathlib import Path

import pytest

from tests.repositories import Repository


@pytest.fixture
def server(tmp_path: Path) -> Repository:
    """Where everybody pushes to."""
    made = Repository(tmp_path / "server.git")
    made.root.mkdir()
    made.git("init", "--quiet", "--bare", "--initial-branch=main")
    return made


@pytest.fixture
def clones(repository: Repository, server: Repository, tmp_path: Path) -> list[Repository]:
    """Those who push at once."""
    repository.commit({"a": "1"})
    repository.git("push", "--quiet", str(server.root), "HEAD:refs/heads/main")
    return [server.clone(tmp_path / f"clone {number}") for number in range(3)]
