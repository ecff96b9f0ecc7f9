import os
import re
from pathlib import Path

import pytest

from ci_ml.adapters import files
from ci_ml.errors import DependencyError
from tests.repositories import Repository



def test_a_file_is_written_as_utf_8(tmp_path: Path) -> None:
    files.write(tmp_path / "out" / "report.json", "é\n")
    assert (tmp_path / "out" / "report.json").read_bytes() == "é\n".encode()


def test_others_may_read_it(tmp_path: Path) -> None:
    files.write(tmp_path / "report.json", "x")
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o644


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for text in ("a longer first version", "second"):
        files.write(tmp_path / "report.json", text)
    assert (tmp_path / "report.json").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_is_made_for_it_stays_out_of_git(repository: Repository) -> None:
    repository.commit({"a": ""})
    files.write(repository.root / ".ci-ml" / "report.json", "x")
    files.make_output(repository.root / "deep" / "er")
    assert repository.git("status", "--porcelain") == ""


def test_a_folder_that_was_there_is_left_as_it_is(tmp_path: Path) -> None:
    files.make_output(tmp_path)
    files.write(tmp_path / "report.json", "x")
    assert not (tmp_path / ".gitignore").exists()


def test_a_file_where_the_folder_should_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    message = re.escape(f"{tmp_path}/out could not be written: ")
    with pytest.raises(DependencyError, match=message) as caught:
        files.make_output(tmp_path / "out")
    assert caught.value.hint == "free some space, or choose --output DIR"


def test_a_folder_where_the_file_should_be_is_explained_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(DependencyError, match=r"report\.json could not be written: Is a directory"):
        files.write(tmp_path / "report.json", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_keeps_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path / "report.json", "as it was")

    def on_a_full_disk(prefix: str, dir: Path) -> tuple[int, str]:
        name = dir / f"{prefix}tmp"
        name.touch()
        return os.open("/dev/full", os.O_WRONLY), str(name)

    monkeypatch.setattr("tempfile.mkstemp", on_a_full_disk)
    with pytest.raises(DependencyError, match=r"report\.json could not be written: No space left on device"):
        files.write(tmp_path / "report.json", "new" * 10_000)
    assert (tmp_path / "report.json").read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
