import threading
from pathlib import Path

import pytest

from ci_ml.adapters.ledger import Ledger
from ci_ml.core.ledger import Page
from ci_ml.errors import DependencyError
from tests.repositories import Repository

REF = "refs/ci-ml/retraining"


def ledger(repository: Repository, place: str | None = None) -> Ledger:
    return Ledger(history=repository.adapter, ref=REF, place=place, hint="let the token write")


def test_is_empty_before_its_first_entry(repository: Repository) -> None:
    repository.commit({"a": "1"})
    assert ledger(repository).read() == Page()


@pytest.mark.parametrize("served", [False, True], ids=["local", "on a server"])
def test_every_entry_is_a_commit_on_top_of_the_one_before(
    repository: Repository, server: Repository, served: bool
) -> None:
    repository.commit({"a": "1"})
    book = ledger(repository, str(server.root) if served else None)
    page = book.append(book.read(), "one\n", "first")
    assert page is not None
    assert book.append(page, "two\n", "second") is not None
    found = book.read()
    assert found.lines == b"one\ntwo\n"
    kept = server if served else repository
    assert kept.git("log", "--format=%s", REF).splitlines() == ["second", "first"]


def test_the_work_tree_and_the_index_are_left_alone(repository: Repository) -> None:
    repository.commit({"a": "1"})
    repository.write("a", "edited")
    before = repository.git("status", "--porcelain=v2", "--branch")
    book = ledger(repository)
    book.append(book.read(), "one\n", "first")
    assert repository.git("status", "--porcelain=v2", "--branch") == before


@pytest.mark.parametrize("served", [False, True], ids=["local", "on a server"])
def test_who_is_late_is_told_and_loses_nothing(clones: list[Repository], server: Repository, served: bool) -> None:
    place = str(server.root) if served else None
    one, two = (ledger(clones[number if served else 0], place) for number in (0, 1))
    seen = two.read()
    assert one.append(one.read(), "one\n", "first") is not None
    assert two.append(seen, "two\n", "second") is None
    again = two.read()
    assert again.lines == b"one\n"
    assert two.append(again, "two\n", "second") is not None
    assert one.read().lines == b"one\ntwo\n"


def test_of_many_at_once_every_line_arrives_once(clones: list[Repository], server: Repository) -> None:
    def write(clone: Repository, name: str) -> None:
        book = ledger(clone, str(server.root))
        while book.append(book.read(), f"{name}\n", name) is None:
            pass

    names = [f"{number}-{turn}" for number in range(2) for turn in range(4)]
    threads = [threading.Thread(target=write, args=(clones[int(name[0])], name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ledger(clones[0], str(server.root)).read().lines.decode().split()) == sorted(names)


def test_a_server_that_says_no_is_an_error(clones: list[Repository], server: Repository) -> None:
    hook = server.root / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'the token may not write' >&2\nexit 1\n")
    hook.chmod(0o755)
    book = ledger(clones[0], str(server.root))
    with pytest.raises(DependencyError, match=r"could not be written: .*the token may not write") as caught:
        book.append(book.read(), "one\n", "first")
    assert caught.value.hint == "let the token write"


def test_a_server_that_is_gone_is_an_error(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    with pytest.raises(DependencyError, match="could not be read"):
        ledger(repository, str(tmp_path / "nowhere")).read()
