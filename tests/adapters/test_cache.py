"""What DVC keeps outside git, at a commit and in the work tree: from its cache, else that one file from the remote."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from ci_ml.adapters.dvc.cache import Cache
from ci_ml.core.types import Gap
from tests.repositories import Repository

OLD, NEW = {"p.csv": "old\n", "folder/a.csv": "old a\n", "folder/in/b.csv": "old b\n"}, {"p.csv": "new\n"}
MD5 = "files/md5"


def objects(store: Path) -> set[str]:
    """The objects of a store; that of a folder's listing ends in .dir."""
    return {f"{place.parent.name}{place.name}" for place in (store / MD5).glob("??/*")}


def stored(repo: Repo, path: str) -> str:
    """The digest of a file or folder that DVC tracks."""
    (out,) = repo.find_outs_by_path(str(Path(repo.root_dir) / path))
    return str(out.hash_info.value)


class Kept:
    """A repository with a DVC project in `folder`: an old version committed, a new one in the work tree, both pushed."""

    def __init__(self, root: Path, folder: str = "") -> None:
        self.git, self.folder = Repository.init(root / "repo"), folder
        self.project, self.remote = self.git.root / folder, root / "beside" / "store"
        self.project.mkdir(exist_ok=True)
        with Repo.init(str(self.project), subdir=bool(folder)) as repo, repo.config.edit() as config:
            # Relative to .dvc, as teams with a shared folder write it.
            config["remote"]["near"] = {"url": str(self.remote)}
            config["core"] |= {"remote": "near", "analytics": False}
        place = Path(".dvc", "config")
        text = (
            (self.project / place).read_text().replace(str(self.remote), "../" * (3 if folder else 2) + "beside/store")
        )
        (self.project / place).write_text(text)
        self.sha = self._version(OLD, "p.csv", "folder")
        self._version(NEW, "p.csv")

    def _version(self, files: dict[str, str], *tracked: str) -> str:
        for path, content in files.items():
            self.git.write(f"{self.folder}/{path}".lstrip("/"), content)
        with Repo(str(self.project)) as repo:
            repo.add([str(self.project / path) for path in tracked])
            repo.push()
            self.digests = {path: stored(repo, path) for path in tracked} | getattr(self, "digests", {})
        return self.git.commit()

    @property
    def cache(self) -> Path:
        return self.project / ".dvc" / "cache"

    @property
    def adapter(self) -> Cache:
        return Cache(root=self.git.root, dvc_root=self.folder)

    def path(self, name: str) -> str:
        return f"{self.folder}/{name}".lstrip("/")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("dvc")
        for name in ("SITE_CACHE_DIR", "GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR"):
            patch.setenv(f"DVC_{name}", str(home / name))
        for name, value in {"NAME": "Ada", "EMAIL": "ada@example.org"}.items():
            patch.setenv(f"GIT_AUTHOR_{name}", value)
            patch.setenv(f"GIT_COMMITTER_{name}", value)
        yield tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module", params=["", "sub"], ids=["root", "subfolder"])
def template(built: Path, request: pytest.FixtureRequest) -> Kept:
    return Kept(built / (request.param or "root"), request.param)


@pytest.fixture
def kept(template: Kept, tmp_path: Path) -> Kept:
    """A copy for this test alone."""
    shutil.copytree(template.git.root.parent, tmp_path / "kept", symlinks=True)
    mine: Any = object.__new__(Kept)
    mine.__dict__ = {
        **template.__dict__,
        "git": Repository(tmp_path / "kept" / "repo"),
        "project": tmp_path / "kept" / "repo" / template.folder,
        "remote": tmp_path / "kept" / "beside" / "store",
    }
    return mine


def emptied(store: Path, *but: str) -> None:
    for place in (store / MD5).glob("??/*"):
        if f"{place.parent.name}{place.name}" not in but:
            place.unlink()


class TestPlace:
    @pytest.mark.parametrize("name", ["p.csv", "folder/a.csv", "folder/in/b.csv"])
    def test_in_the_cache_is_there_and_not_copied(self, kept: Kept, tmp_path: Path, name: str) -> None:
        found = kept.adapter.place(kept.sha, kept.path(name), tmp_path)
        assert isinstance(found, Path)
        assert found.is_relative_to(kept.cache)
        assert found.read_text() == OLD[name]

    @pytest.mark.parametrize("name", ["p.csv", "folder/a.csv", "folder/in/b.csv"])
    def test_on_the_remote_is_fetched_alone_and_not_into_the_cache(self, kept: Kept, tmp_path: Path, name: str) -> None:
        emptied(kept.cache)
        target = tmp_path / "target"
        target.mkdir()
        found = kept.adapter.place(kept.sha, kept.path(name), target)
        assert isinstance(found, Path)
        assert (list(target.iterdir()), found.read_text()) == ([found], OLD[name])
        assert objects(kept.cache) <= {kept.digests["folder"]}  # the listing of a folder, at most

    def test_needs_nothing_else_of_the_remote(self, kept: Kept, tmp_path: Path) -> None:
        emptied(kept.cache)
        (old,) = {
            f"{place.parent.name}{place.name}"
            for place in (kept.remote / MD5).glob("??/*")
            if place.read_text() == "old\n"
        }
        emptied(kept.remote, old)
        found = kept.adapter.place(kept.sha, kept.path("p.csv"), tmp_path)
        assert isinstance(found, Path)
        assert found.read_text() == "old\n"

    def test_of_the_work_tree_is_what_it_records(self, kept: Kept, tmp_path: Path) -> None:
        (kept.project / "p.csv").unlink()
        found = kept.adapter.place(None, kept.path("p.csv"), tmp_path)
        assert isinstance(found, Path)
        assert found.read_text() == "new\n"
        assert found.is_relative_to(kept.cache)

    def test_that_is_nowhere_says_so(self, kept: Kept, tmp_path: Path) -> None:
        emptied(kept.cache)
        emptied(kept.remote)
        found = kept.adapter.place(kept.sha, kept.path("p.csv"), tmp_path)
        assert isinstance(found, Gap)
        assert found.reason.startswith(
            f"{kept.path('p.csv')} is tracked by DVC, and neither in its cache nor to be had from a remote ("
        )
        assert not found.absent

    def test_at_a_commit_that_is_none_says_so(self, kept: Kept, tmp_path: Path) -> None:
        found = kept.adapter.place("1" * 40, kept.path("p.csv"), tmp_path)
        assert isinstance(found, Gap)

    def test_shows_no_secret_of_a_remote(self, kept: Kept, tmp_path: Path) -> None:
        emptied(kept.cache)
        shutil.rmtree(kept.remote)
        cache = Cache(root=kept.git.root, dvc_root=kept.folder, hidden=("p.csv",))
        found = cache.place(kept.sha, kept.path("p.csv"), tmp_path)
        assert isinstance(found, Gap)
        assert "p.csv" not in found.reason.partition("(")[2]


class TestRead:
    def test_from_the_cache_and_from_the_remote(self, kept: Kept) -> None:
        names = [kept.path(name) for name in OLD]
        assert kept.adapter.read(kept.sha, names) == {kept.path(name): text.encode() for name, text in OLD.items()}
        emptied(kept.cache)
        assert kept.adapter.read(kept.sha, names) == {kept.path(name): text.encode() for name, text in OLD.items()}

    def test_lists_a_folder(self, kept: Kept) -> None:
        expected = {kept.path("folder/a.csv"), kept.path("folder/in/b.csv")}
        assert kept.adapter.find(kept.sha, kept.path("folder")) == expected
        emptied(kept.cache)
        assert kept.adapter.find(kept.sha, kept.path("folder")) == expected

    def test_lists_nothing_of_a_folder_that_is_nowhere(self, kept: Kept) -> None:
        emptied(kept.cache)
        emptied(kept.remote)
        assert kept.adapter.find(kept.sha, kept.path("folder")) == frozenset()
