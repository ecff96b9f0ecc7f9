import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci_ml.adapters import journal, standalone
from ci_ml.core import chain, statements
from ci_ml.core.statements import Kind, Subject

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SIZE = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger as it is exported."""
    folder = tmp_path_factory.mktemp("export")
    last = None
    for number in range(SIZE):
        record = statements.statement(Kind.VERDICT, [Subject(name="m", digest={"md5": "0"})], {"number": number})
        last = chain.follow(last, at=NOON, kind=Kind.VERDICT, record=record.digest, subject="m")
        for path, data in ((chain.folder(last.number), last.line), (journal.places(record.digest), record.data)):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    return folder


def newest(folder: Path) -> str:
    return standalone.sha256((folder / chain.folder(SIZE)).read_bytes())


def test_a_ledger_that_nobody_touched_holds(whole: Path) -> None:
    assert standalone.check(whole, [newest(whole)]) == []


@pytest.mark.parametrize("value", [[1], {}, None, 7, "sha256:x"])
def test_an_entry_that_names_no_record_is_told(whole: Path, tmp_path: Path, value: object) -> None:
    folder = copied(whole, tmp_path)
    edit(folder, SIZE, record=value)
    assert f"entry {SIZE}: it names no record" in standalone.check(folder, [])


def test_an_entry_that_is_nested_without_end_is_told(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    (folder / chain.folder(2)).write_bytes(b"[" * 200_000)
    assert "entry 2: it is no entry" in standalone.check(folder, [])


@pytest.mark.parametrize(
    "name",
    [
        "000000/\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0661.json",
        "000000/\u00b2.json",
        "000000/00000000.json",
        "000001/00000001.json",
        "000000/1.json",
        "x/y/00000002.json",
        "x",
    ],
)
def test_a_file_where_no_entry_is_is_told(whole: Path, tmp_path: Path, name: str) -> None:
    folder = copied(whole, tmp_path)
    (folder / "entries" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "entries" / name).write_bytes((folder / chain.folder(1)).read_bytes())
    assert standalone.check(folder, []) == [f"entries/{name} is no place of an entry"]


def test_another_kind_of_the_last_entry_and_a_record_entered_twice_are_told(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path)
    edit(folder, SIZE, kind="promotion")
    (problem,) = standalone.check(folder, [])
    assert problem.startswith(f"entry {SIZE}: it says that its record is of the kind promotion")
    folder = copied(whole, tmp_path / "again")
    last = chain.read((folder / chain.folder(SIZE)).read_bytes())
    twin = chain.follow(last, at=last.at, kind=last.kind, record=last.record, subject="m")
    (folder / chain.folder(twin.number)).write_bytes(twin.line)
    assert standalone.check(folder, []) == [f"entry {SIZE + 1}: its record was entered before, by entry {SIZE}"]


def test_without_an_anchor_the_newest_entry_is_told(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(whole, tmp_path)
    monkeypatch.setattr(standalone, "__file__", str(folder / "verify.py"))
    assert standalone.main([]) == 0
    assert f"newest entry: {newest(whole)}" in capsys.readouterr().out
    assert standalone.main([newest(whole)]) == 0
    assert "newest entry" not in capsys.readouterr().out
    (folder / chain.folder(1)).write_bytes(b"[]")
    assert standalone.main([]) == 10


def test_the_kinds_are_those_of_records() -> None:
    assert {kind.value: name for kind, name in statements.PREDICATE.items()} == standalone._KINDS


def copied(whole: Path, folder: Path) -> Path:
    return Path(shutil.copytree(whole, folder / "export"))


def edit(folder: Path, number: int, **said: object) -> None:
    place = folder / chain.folder(number)
    place.write_bytes(statements.canonical({**json.loads(place.read_bytes()), **said}) + b"\n")


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert standalone.check(tmp_path, []) == ["there is no entry"]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_done_to_a_file_is_found(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    anchor = newest(whole)
    place = tmp_path / "spoilt"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    files = sorted(path for path in place.rglob("*.json"))
    chosen = data.draw(st.sampled_from(files))

    def changed() -> None:
        content = bytearray(chosen.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        chosen.write_bytes(bytes(content))

    def exchanged() -> None:
        other = data.draw(st.sampled_from([path for path in files if path != chosen]))
        one, two = chosen.read_bytes(), other.read_bytes()
        chosen.write_bytes(two)
        other.write_bytes(one)

    actions: list[Callable[[], object]] = [changed, exchanged, chosen.unlink, lambda: chosen.write_bytes(b"")]
    data.draw(st.sampled_from(actions))()
    assert standalone.check(place, [anchor])
