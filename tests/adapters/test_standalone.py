import datetime as dt
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
