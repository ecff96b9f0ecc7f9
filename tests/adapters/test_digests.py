import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci_ml.adapters.dvc.digests import Digests, file_digest, ignore_rules, listing_digest
from ci_ml.core.pipeline import Digest, Output
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError
from tests.repositories import Repository

ALGORITHMS = ["md5", "md5-dos2unix"]


def like(value: str = "", algorithm: str = "md5", **rest: Any) -> Digest:
    return Digest(algorithm=algorithm, value=value, **rest)


@dataclass(frozen=True)
class Folder:
    """The files below a folder, as a tree."""

    root: Path

    def files(self) -> frozenset[str]:
        return frozenset(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())

    def read(self, paths: Iterable[str]) -> dict[str, bytes | Gap]:
        return {path: (self.root / path).read_bytes() for path in paths}


def digests(root: Path, outputs: Mapping[str, Output] | None = None, stamp: float = 0.0) -> Digests:
    """Digests of what is below a folder, with the .dvcignore files that are there."""
    return Digests(root=root, outputs=outputs or {}, stamp=stamp, ignore=ignore_rules(Folder(root), ""))


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


@contextlib.contextmanager
def dvc(repository: Repository) -> Iterator[Any]:
    """A real DVC repository in a git repository."""
    from dvc.repo import Repo

    previous = Path.cwd()
    os.chdir(repository.root)
    made = Repo.init(force=True)
    try:
        yield made
    finally:
        made.close()
        os.chdir(previous)


class TestAFile:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"a,b\r\n1,2\r\n",
            b"a,b\n1,2\n",
            b"\r\r\n\n\r",
            b"binary\0\r\n",
            b"\xff" * 40 + b"\r\n" * 30,
            b"\xff" * 40 + b"\r\n" * 60,
            "é\r\n".encode() * 300,
            b"x" * 511 + b"\0\r\n",
            b"x" * 512 + b"\0\r\n",
            b"x\r\n" * 1_000_000,
            b"text\r\n" * 300_000 + b"\0\r\n" * 10,
            b"\0" * 2**20 + b"text\r\n" * 100,
            b"text\r\n" * 200_000 + b"\0" * 2**21 + b"\r\n",
        ],
        ids=lambda content: f"{len(content)} bytes of {content[:8]!r}",
    )
    def test_is_hashed_as_dvc_does(self, tmp_path: Path, content: bytes, algorithm: str) -> None:
        from dvc_data.hashfile.hash import file_md5

        place = tmp_path / "data"
        place.write_bytes(content)
        expected = file_md5(str(place), name=algorithm)
        assert file_digest(place, algorithm) == expected
        assert like(expected, algorithm).matches(content)
        assert not like(expected, algorithm).matches(content + b"x")

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(content=st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b"\0", b"\xff", b"\xc3\xa9"])).map(b"".join))
    def test_is_hashed_as_dvc_does_whatever_it_holds(self, tmp_path: Path, content: bytes) -> None:
        from dvc_data.hashfile.hash import file_md5

        place = tmp_path / "data"
        place.write_bytes(content)
        for algorithm in ALGORITHMS:
            assert file_digest(place, algorithm) == file_md5(str(place), name=algorithm)

    def test_in_an_unknown_way_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("x")
        with pytest.raises(DependencyError, match=r"dvc\.lock uses the hash crc7, which this Python does not have"):
            file_digest(tmp_path / "data", "crc7")
        assert like("0", "crc7").matches(b"nobody can tell")


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=5)
paths = st.lists(names | st.sampled_from(["a", "a.b", "a-b", "ab", "A", "é"]), min_size=1, max_size=3).map("/".join)


class TestAListing:
    @given(listing=st.dictionaries(paths, st.text("0123456789abcdef", min_size=32, max_size=32), min_size=1))
    def test_is_hashed_as_dvc_does(self, listing: dict[str, str]) -> None:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.meta import Meta
        from dvc_data.hashfile.tree import Tree

        for algorithm in ALGORITHMS:
            tree: Any = Tree()  # type: ignore[no-untyped-call]
            for path, value in listing.items():
                tree.add(tuple(path.split("/")), Meta(), HashInfo(algorithm, value))
            tree.digest(name=algorithm)
            assert f"{listing_digest(listing, algorithm)}.dir" == tree.hash_info.value


FILES = {
    "plain.csv": b"a,b\n1,2\n",
    "windows.csv": b"a,b\r\n1,2\r\n",
    "binary.bin": bytes(range(256)),
    "empty": b"",
    "with blanks/and more.csv": b"x",
    "é/日本語.csv": b"y",
    "a/x": b"1",
    "a-b/x": b"2",
    "a.b": b"3",
    "deep/er/and/deeper/f": b"4",
    ".hidden": b"5",
    ".git": b"a file that only looks like a repository",
    "twin": b"a,b\n1,2\n",
}


class TestAFolder:
    def added(self, repository: Repository, name: str = "data", files: Mapping[str, str] | None = None) -> Digest:
        """What DVC records of a folder, next to files that are there before it looks."""
        with dvc(repository) as repo:
            for path, text in (files or {}).items():
                repository.write(path, text)
            (stage,) = repo.add(name)
            out = stage.outs[0]
            return like(out.hash_info.value, size=out.meta.size, files=out.meta.nfiles)

    def test_is_hashed_as_dvc_does(self, repository: Repository) -> None:
        write(repository.root / "data", FILES)
        recorded = self.added(repository)
        assert digests(repository.root)("data", recorded) == like(recorded.value)

    @pytest.mark.parametrize(
        "ignored",
        [
            {".dvcignore": "*.csv\n"},
            {".dvcignore": "# a comment\n\n/sub/data/deep\n"},
            {".dvcignore": "deep/er/\n*.b\n!sub/data/a.b\n"},
            {".dvcignore": "sub/data/**/x\n"},
            {"sub/.dvcignore": "*.csv\n"},
            {"sub/.dvcignore": "/x\n/data/a/x\n"},
            {".dvcignore": "*.csv\n", "sub/.dvcignore": "!plain.csv\n"},
            {".dvcignore": "sub/data/a\n", "sub/.dvcignore": "!x\n"},
            {".dvcignore": "!twin\n", "sub/.dvcignore": "twin\n"},
            {".dvcignore": "é\nwith blanks/\n"},
            {"other/.dvcignore": "*\n"},
        ],
        ids=str,
    )
    def test_leaves_out_what_dvcignore_says(self, repository: Repository, ignored: dict[str, str]) -> None:
        write(repository.root / "sub/data", FILES)
        recorded = self.added(repository, "sub/data", ignored)
        assert digests(repository.root)("sub/data", recorded) == like(recorded.value)

    def test_follows_links_as_dvc_does(self, repository: Repository) -> None:
        write(repository.root / "data", {"real/x": b"1"})
        write(repository.root / "outside", {"y": b"2"})
        repository.link("data/link", "../outside")
        repository.link("data/file", "../outside/y")
        recorded = self.added(repository)
        assert digests(repository.root)("data", recorded) == like(recorded.value)

    def test_with_a_link_that_leads_nowhere_is_not_here(self, repository: Repository) -> None:
        repository.link("data/gone", "nowhere")
        assert digests(repository.root)("data", like("x.dir")) is None


class TestWhatIsNotHere:
    @pytest.mark.parametrize("path", ["gone", "file/inside", "gone/deep"])
    def test_has_no_digest(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "file").write_text("x")
        assert digests(tmp_path)(path, like()) is None

    def test_inside_a_folder_counts_as_what_is_recorded_of_it(self, tmp_path: Path) -> None:
        write(tmp_path / "data", {"here": b"1", "not here": b"2"})
        whole = digests(tmp_path)("data", like("x.dir"))
        absent = file_digest(tmp_path / "data" / "not here", "md5")
        (tmp_path / "data" / "not here").unlink()
        outputs = {"data/not here": Output(path="data/not here", recorded=like(absent))}
        assert digests(tmp_path, outputs)("data", like("x.dir")) == whole
        assert digests(tmp_path)("data", like("x.dir")) != whole

    @pytest.mark.parametrize("recorded", [None, like("x.dir"), like("x", "md5-dos2unix")])
    def test_inside_a_folder_and_unknown_makes_the_folder_unknown(
        self, tmp_path: Path, recorded: Digest | None
    ) -> None:
        write(tmp_path / "data", {"here": b"1"})
        outputs = {"data/not here": Output(path="data/not here", recorded=recorded)}
        assert digests(tmp_path, outputs)("data", like("x.dir")) is None


class TestDataThatDvcTracks:
    @pytest.fixture(autouse=True)
    def _large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Everything counts as too large to be hashed for nothing."""
        monkeypatch.setattr("ci_ml.adapters.dvc.digests._HASHED", 0)

    """Large data is not read again as long as its size and time say that it is what was recorded."""

    def test_of_the_recorded_size_and_older_than_its_record_is_taken_to_be_that(self, tmp_path: Path) -> None:
        write(tmp_path, {"data": b"1234"})
        recorded = like("from the record", size=4)
        outputs = {"data": Output(path="data", recorded=recorded)}
        os.utime(tmp_path / "data", (100, 100))
        assert digests(tmp_path, outputs, stamp=100)("data", recorded) == recorded

    @pytest.mark.parametrize(
        ("time", "size", "cached"), [(101, 4, True), (100, 5, True), (100, None, True), (100, 4, False)]
    )
    def test_is_read_when_anything_speaks_against_that(
        self, tmp_path: Path, time: int, size: int | None, cached: bool
    ) -> None:
        write(tmp_path, {"data": b"1234"})
        recorded = like("from the record", size=size)
        outputs = {"data": Output(path="data", recorded=recorded, cached=cached)}
        os.utime(tmp_path / "data", (time, time))
        found = digests(tmp_path, outputs, stamp=100)("data", recorded)
        assert found == like(file_digest(tmp_path / "data", "md5"), size=4)

    @pytest.mark.parametrize(("changed", "same"), [({}, True), ({"b": b"22"}, False), ({"c": b""}, False)])
    def test_in_a_folder_is_read_when_its_size_or_number_of_files_changed(
        self, tmp_path: Path, changed: dict[str, bytes], same: bool
    ) -> None:
        write(tmp_path / "data", {"a": b"1", "deep/b": b"2"})
        write(tmp_path / "data/deep", changed)
        for place in (tmp_path / "data").rglob("*"):
            os.utime(place, (100, 100))
        recorded = like("from the record.dir", size=2, files=2)
        found = digests(tmp_path, {"data": Output(path="data", recorded=recorded)}, stamp=100)("data", recorded)
        assert (found == recorded) is same
