import os
import re
import resource
import signal
import stat
import subprocess
import sys
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
    assert caught.value.hint == "choose another place, or use --output DIR"


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    with pytest.raises(DependencyError, match="could not be written: it is a symbolic link"):
        files.write(tmp_path / "out" / "report.json", "x")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_pipe_where_somebody_asked_for_it_gets_what_was_made_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    handle = os.open(pipe, os.O_RDWR)  # with a reader, so that nothing waits for one
    try:
        files.write_to(pipe, "é\n")
        assert os.read(handle, 100) == "é\n".encode()
    finally:
        os.close(handle)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("before", [None, "a longer first version"])
def test_a_link_where_somebody_asked_for_it_stays_one(tmp_path: Path, before: str | None) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "card.md").symlink_to("there/card.md")
    if before is not None:
        (tmp_path / "there/card.md").write_text(before)
    files.write_to(tmp_path / "card.md", "second")
    assert (tmp_path / "card.md").readlink() == Path("there/card.md")
    assert (tmp_path / "there/card.md").read_text() == "second"


def test_where_somebody_asked_for_it_a_file_is_replaced_whole_and_a_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("first")
    with (tmp_path / "card.md").open() as old:
        files.write_to(tmp_path / "card.md", "second")
        assert old.read() == "first", "who reads the old one sees no half of the new one"
    assert (tmp_path / "card.md").read_text() == "second"
    (tmp_path / "gone").symlink_to("nowhere/card.md")
    for name, why in (("there", "Is a directory"), ("gone", "No such file or directory")):
        (tmp_path / "there").mkdir(exist_ok=True)
        with pytest.raises(DependencyError, match=f"{name} could not be written: {why}"):
            files.write_to(tmp_path / name, "x")


def test_a_pipe_in_the_output_folder_is_refused_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.json")
    with pytest.raises(DependencyError, match=r"report\.json could not be written: it is no plain file"):
        files.write(tmp_path / "report.json", "x")
    assert stat.S_ISFIFO((tmp_path / "report.json").lstat().st_mode)


def test_a_link_in_the_output_folder_is_replaced_for_a_change_may_have_put_it_there(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / "report.json").symlink_to("precious")
    files.write(tmp_path / "report.json", "x")
    assert (tmp_path / "precious").read_text() == "as it was"
    assert not (tmp_path / "report.json").is_symlink()


def test_a_folder_where_the_file_should_be_is_explained_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(DependencyError, match=r"report\.json could not be written: Is a directory"):
        files.write(tmp_path / "report.json", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_disk_that_takes_no_more_keeps_the_file_as_it_was(tmp_path: Path) -> None:
    files.write(tmp_path / "report.json", "as it was")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(DependencyError, match=r"report\.json could not be written: File too large") as caught:
            files.write(tmp_path / "report.json", "new" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.hint == "free some space, or use --output DIR"
    assert (tmp_path / "report.json").read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


# Past this size the kernel kills the process, in the middle of what it writes.
_KILLED = """
import pathlib, resource, signal, sys
from ci_ml.adapters import files
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
files.write(pathlib.Path(sys.argv[1]), "new" * 1_000_000)
"""


def test_a_process_that_is_killed_while_it_writes_keeps_the_file_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "report.json"
    for before in (None, "as it was"):
        if before is not None:
            place.write_text(before)
        done = subprocess.run([sys.executable, "-c", _KILLED, place], check=False)
        assert done.returncode == -signal.SIGXFSZ
        assert (place.read_text() if place.exists() else None) == before
    assert max(half.stat().st_size for half in tmp_path.glob(".report.json.*")) == 100_000, "it was killed half-way"


def test_a_file_of_ours_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    mark = re.compile(rb"ours")
    (tmp_path / "ours").write_text("it is ours")
    (tmp_path / "theirs").write_text("it is theirs")
    (tmp_path / "link").symlink_to(tmp_path / "ours")
    (tmp_path / "folder").mkdir()
    names = ("ours", "theirs", "link", "folder", "nothing")
    assert [name for name in names if files.is_file(tmp_path / name, mark)] == ["ours"]
    assert [name for name in names if files.is_file(tmp_path / name)] == ["ours", "theirs", "link"]


def test_nothing_is_removed_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    with pytest.raises(DependencyError, match="it is a symbolic link"):
        files.remove(tmp_path / "link" / "x")
    assert (tmp_path / "other" / "x").read_text() == "kept"
