import datetime as dt
import threading
from pathlib import Path

import pytest

from ci_ml.adapters.journal import Journal
from ci_ml.core import chain, statements
from ci_ml.core.chain import Addition, Book
from ci_ml.core.statements import Kind, Statement, Subject
from ci_ml.errors import DependencyError, UsageError
from tests.repositories import Repository

REF = "refs/ci-ml/ledger"
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def journal(repository: Repository, place: str | None = None) -> Journal:
    return Journal(history=repository.adapter, ref=REF, place=place, hint="let the token write", pause=lambda _: None)


def record(name: str) -> Statement:
    return statements.statement(Kind.VERDICT, [Subject(name=name, digest={"md5": "0"})], {})


def enter(book: Journal, *names: str) -> Book:
    def prepare(there: Book) -> Addition:
        entries = list(there.ordered)
        records = [record(name) for name in names]
        for one in records:
            last = entries[-1] if entries else None
            entries.append(chain.follow(last, at=NOON, kind=one.kind, record=one.digest, subject=one.subject[0].name))
        return Addition(entries=tuple(entries[len(there.lines) :]), records={one.digest: one.data for one in records})

    return book.append(prepare)


def read(book: Journal) -> tuple[str, ...]:
    found = book.read()
    contents = {name: dict(book.contents([place]))[place] for name, place in found.records.items()}
    assert chain.verify(found.lines, contents) == ()
    assert list(book.altered(found)) == []
    return tuple(entry.subject for entry in found.ordered)


def test_is_empty_before_its_first_entry(repository: Repository) -> None:
    repository.commit({"a": "1"})
    assert journal(repository).read() == Book()


@pytest.mark.parametrize("served", [False, True], ids=["local", "on a server"])
def test_what_is_entered_at_once_is_one_commit(repository: Repository, server: Repository, served: bool) -> None:
    repository.commit({"a": "1"})
    book = journal(repository, str(server.root) if served else None)
    enter(book, "one")
    enter(book, "two", "three")
    assert read(book) == ("one", "two", "three")
    kept = server if served else repository
    assert kept.git("log", "--format=%s", REF).splitlines() == ["Enter 2 to 3: verdict", "Enter 1: verdict"]
    assert "entries/000000/00000003.json" in kept.git("ls-tree", "-r", "--name-only", REF)


def test_the_work_tree_and_the_index_are_left_alone(repository: Repository) -> None:
    repository.commit({"a": "1"})
    repository.write("a", "edited")
    before = repository.git("status", "--porcelain=v2", "--branch")
    enter(journal(repository), "one")
    assert repository.git("status", "--porcelain=v2", "--branch") == before


def test_nothing_is_written_where_there_is_nothing_to_add_or_who_asks_raises(repository: Repository) -> None:
    repository.commit({"a": "1"})
    book = journal(repository)
    assert book.append(lambda _: Addition()) == Book()

    def refuse(_: Book) -> Addition:
        raise UsageError("no")

    with pytest.raises(UsageError):
        book.append(refuse)
    assert book.read() == Book()


def test_of_parallel_writers_all_arrive_once(clones: list[Repository], server: Repository) -> None:
    names = [f"{number}-{turn}" for number in range(3) for turn in range(3)]

    def write(number: int) -> None:
        for name in names:
            if name.startswith(f"{number}-"):
                enter(journal(clones[number], str(server.root)), name)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read(journal(clones[0], str(server.root)))) == sorted(names)


def test_who_is_always_late_is_told(clones: list[Repository], server: Repository) -> None:
    one, two = (journal(clones[number], str(server.root)) for number in range(2))

    def late(book: Book) -> Addition:
        enter(two, f"another {len(book.lines)}")
        data = record("mine")
        last = book.ordered[-1] if book.lines else None
        entry = chain.follow(last, at=NOON, kind=data.kind, record=data.digest, subject="mine")
        return Addition(entries=(entry,), records={data.digest: data.data})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ci_ml.adapters.journal._ATTEMPTS", 3)
        with pytest.raises(DependencyError, match="others were faster"):
            one.append(late)
    assert read(two) == ("another 0", "another 1", "another 2")


def test_signatures_lie_beside_their_records(repository: Repository) -> None:
    repository.commit({"a": "1"})
    book = journal(repository)
    name = record("one").digest
    enter(book, "one")
    for signature in (b"{}", b"[]"):
        book.append(lambda _, data=signature: Addition(attachments={name: data}))  # type: ignore[misc]
    found = book.read()
    assert sorted(data for _, data in book.contents(found.attachments[name])) == [b"[]", b"{}"]
    assert read(book) == ("one",)


def overwrite(repository: Repository, changes: dict[str, str | None]) -> None:
    """A commit on top of the ledger, as somebody makes it who may push to it."""
    repository.git("checkout", "--quiet", "--detach", REF)
    for path, content in changes.items():
        if content is None:
            (repository.root / path).unlink()
        else:
            repository.write(path, content)
    repository.commit()
    repository.git("update-ref", REF, "HEAD")
    repository.checkout("main")


def test_two_places_with_the_same_bytes_are_both_read(repository: Repository) -> None:
    repository.commit({"a": "1"})
    book = journal(repository)
    enter(book, "one", "two")
    found = book.read()
    one = found.records[record("one").digest]
    assert dict(book.named({"here": one, "there": one})) == dict.fromkeys(("here", "there"), record("one").data)


def test_who_edits_and_who_removes_is_told_by_git(repository: Repository) -> None:
    repository.commit({"a": "1"})
    book = journal(repository)
    enter(book, "one", "two")
    overwrite(repository, {"entries/000000/00000001.json": "{}", "entries/000000/00000002.json": None, "README": "x"})
    found = book.read()
    edited, removed = sorted(book.altered(found), key=lambda one: one.number or 0)
    assert (edited.number, removed.number) == (1, 2)
    assert "it was edited by the commit" in str(edited)
    assert "it was removed by the commit" in str(removed)
    assert found.strange == ("README",)
    with pytest.raises(ValueError, match="entry 1"):
        assert found.ordered


def test_files_that_no_ledger_holds_are_strange(repository: Repository) -> None:
    repository.commit({"a": "1"})
    book = journal(repository)
    enter(book, "one")
    odd = ["entries/000001/00000002.json", "entries/x.json", "records/00/x.json", "entries/000000/2.json"]
    overwrite(repository, dict.fromkeys(odd, "{}"))
    assert sorted(book.read().strange) == sorted(odd)


def test_a_ledger_that_was_cut_off_is_noticed_where_it_was_seen(clones: list[Repository], server: Repository) -> None:
    book = journal(clones[0], str(server.root))
    enter(book, "one")
    first = server.sha(REF)
    enter(book, "two")
    seen = book.read()
    book.remember(seen)
    assert book.forgotten(seen) is None
    server.git("update-ref", REF, first)
    assert book.forgotten(book.read()) == seen.tip
    server.git("update-ref", "-d", REF)
    assert book.forgotten(book.read()) == seen.tip


def test_another_history_in_the_ledger_is_noticed(repository: Repository) -> None:
    repository.commit({"a": "1"})
    book = journal(repository)
    enter(book, "one")
    tree = repository.git("rev-parse", f"{REF}^{{tree}}")
    made = repository.git("commit-tree", tree, "-p", REF, "-p", "main", "-m", "x")
    repository.git("update-ref", REF, made)
    assert any("joins another history" in str(problem) for problem in book.altered(book.read()))


def test_a_server_that_says_no_is_an_error(clones: list[Repository], server: Repository) -> None:
    hook = server.root / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'the token may not write' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(DependencyError, match=r"could not be written: .*the token may not write") as caught:
        enter(journal(clones[0], str(server.root)), "one")
    assert caught.value.hint == "let the token write"


def test_a_server_that_cannot_be_read_is_no_matter_of_writing(clones: list[Repository], tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="could not be read") as caught:
        journal(clones[0], str(tmp_path / "nowhere")).read()
    assert "git ls-remote" in str(caught.value.hint)


def test_a_server_that_is_gone_is_an_error(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    with pytest.raises(DependencyError, match="could not be read"):
        journal(repository, str(tmp_path / "nowhere")).read()
