"""Which of two commits comes first, in clones that lack some of the history."""

from pathlib import Path

import pytest

from ci_ml.errors import UsageError
from ci_ml.usecases.lineage import precedes
from tests.repositories import Repository


@pytest.fixture
def commits(repository: Repository) -> list[str]:
    """Four commits in a row on main."""
    return [repository.commit({"f": str(number)}) for number in range(4)]


def asked(clone: Repository, one: str, other: str) -> tuple[bool, list[str]]:
    said: list[str] = []
    return precedes(clone.adapter, one, other, said.append), said


def unreachable(clone: Repository) -> Repository:
    clone.git("remote", "set-url", "origin", str(clone.root / "nowhere"))
    return clone


def test_in_a_whole_clone(repository: Repository, commits: list[str]) -> None:
    assert asked(repository, commits[1], commits[3]) == (True, [])
    assert asked(repository, commits[3], commits[1]) == (False, [])


def test_what_came_after_the_clone_was_made_is_fetched(
    repository: Repository, commits: list[str], tmp_path: Path
) -> None:
    clone = repository.clone(tmp_path / "clone")
    newer = repository.commit({"f": "new"})
    assert asked(clone, commits[3], newer) == (True, [])


@pytest.mark.parametrize(("one", "other", "answer"), [(1, 3, True), (3, 1, False), (0, 2, True)])
def test_what_a_shallow_clone_lacks_is_fetched(
    repository: Repository, commits: list[str], tmp_path: Path, one: int, other: int, *, answer: bool
) -> None:
    clone = repository.clone(tmp_path / "shallow", "--depth=1", "--branch=main")
    assert asked(clone, commits[one], commits[other]) == (answer, [])


def test_a_shallow_clone_of_an_older_commit_gets_the_newer(
    repository: Repository, commits: list[str], tmp_path: Path
) -> None:
    clone = repository.clone(tmp_path / "shallow", "--depth=1", "--branch=main")
    newer = repository.commit({"f": "new"})
    assert asked(clone, commits[3], newer) == (True, [])
    assert asked(clone, newer, commits[3]) == (False, [])


def test_a_shallow_clone_that_gets_nothing_does_not_guess(
    repository: Repository, commits: list[str], tmp_path: Path
) -> None:
    clone = unreachable(repository.clone(tmp_path / "shallow", "--depth=1", "--branch=main"))
    one, other = commits[3], commits[1]
    with pytest.raises(UsageError) as error:
        asked(clone, one, other)
    assert error.value.what == (
        f"whether {one[:7]} comes before {other[:7]} cannot be known: this is a shallow clone without {other[:7]}, "
        "and the history could not be fetched"
    )


def test_a_commit_that_is_gone_is_told(repository: Repository, commits: list[str]) -> None:
    gone = "d" * 40
    answer, said = asked(repository, commits[3], gone)
    assert not answer
    assert said == [
        f"ddddddd is not in this clone, and the repository does not give it: nobody knows whether {commits[3][:7]} "
        "comes before ddddddd, and it is taken not to"
    ]
