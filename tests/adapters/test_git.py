import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci_ml.adapters import git
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError, UsageError
from ci_ml.ports import Tree
from tests.repositories import Repository

# Names that git, its batch protocol or a shell might stumble over.
NAMES = [
    "metrics.json",
    "a folder/with blanks.json",
    "quotes \"and\" 'more'.json",
    "back\\slash.json",
    "tab\there.json",
    "é/日本語/😀.json",
    " leading and trailing ",
    "-dash.json",
    "colon:in:name.json",
    "{brace}*?[glob].json",
    "HEAD",
    "@{u}",
    ":(top)x.json",
    "a\rcarriage.json",
]
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def absent(path: str) -> Gap:
    return Gap(reason=f"no file {path}", absent=True)


@pytest.fixture(params=["commit", "work tree"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def tree(repository: Repository, kind: str) -> Tree:
    return repository.adapter.tree(repository.sha()) if kind == "commit" else repository.adapter.work_tree()


class TestReading:
    """A commit and the work tree on top of it hold the same files, and say the same about them."""

    def test_names_of_every_kind(self, repository: Repository, kind: str) -> None:
        contents = {name: f"{number}\n{name}".encode() for number, name in enumerate(NAMES)}
        repository.commit(dict(contents))
        assert tree(repository, kind).files() == frozenset(NAMES)
        assert tree(repository, kind).read(NAMES) == contents
        assert list(tree(repository, kind).read(reversed(NAMES))) == list(reversed(NAMES))

    def test_a_line_break_in_a_name(self, repository: Repository, kind: str) -> None:
        repository.commit({"two\nlines.json": "x", "plain.json": "y"})
        found = tree(repository, kind).read(["two\nlines.json", "plain.json"])
        assert found == {"two\nlines.json": b"x", "plain.json": b"y"}

    @pytest.mark.linux
    def test_a_name_that_is_not_utf_8(self, repository: Repository, kind: str) -> None:
        name = os.fsdecode(b"latin-\xe9.json")
        repository.commit({name: "x"})
        assert tree(repository, kind).files() == {name}
        assert tree(repository, kind).read([name]) == {name: b"x"}

    @pytest.mark.parametrize(
        "content",
        [b"", b"\n", b"no line end", b"a\r\nb\r\n", b"\0\1\2\xff", b"blob 5\n", b"x" * 5_000_000],
        ids=["empty", "one line end", "no line end", "crlf", "binary", "like a header", "5 MB"],
    )
    def test_content_comes_out_as_it_went_in(self, repository: Repository, kind: str, content: bytes) -> None:
        repository.commit({"before": "1", "file": content, "then": "2"})
        assert tree(repository, kind).read(["before", "file", "then"]) == {
            "before": b"1",
            "file": content,
            "then": b"2",
        }

    def test_what_is_not_there(self, repository: Repository, kind: str) -> None:
        repository.commit({"a/b": "x"})
        paths = ["gone", "a/gone", "a/b/c", "a b", "gone\nx", "a/b\n"]
        expected = {"a/b": b"x", **{path: absent(path) for path in paths}}
        assert tree(repository, kind).read(["a/b", *paths]) == expected

    @pytest.mark.parametrize("path", ["a", "a/b", ""])
    def test_a_folder(self, repository: Repository, kind: str, path: str) -> None:
        repository.commit({"a/b/c": "x"})
        assert tree(repository, kind).read([path]) == {path: Gap(reason=f"{path} is a folder")}

    def test_a_file_that_is_too_large_is_not_loaded(self, repository: Repository, kind: str) -> None:
        repository.commit({"large.json": b"1" * 20_000_000, "small.json": "{}"})
        assert tree(repository, kind).read(["large.json", "small.json"]) == {
            "large.json": Gap(reason="large.json is 20 MB large; files of up to 16 MiB are read"),
            "small.json": b"{}",
        }

    @pytest.mark.parametrize(
        ("link", "target", "path"),
        [
            ("link.json", "real/m.json", "link.json"),
            ("deep/link.json", "../real/m.json", "deep/link.json"),
            ("folder", "real", "folder/m.json"),
            ("a/b", "../real/.", "a/b/m.json"),
            ("twice.json", "again.json", "twice.json"),
        ],
    )
    def test_a_symbolic_link_is_followed(
        self, repository: Repository, kind: str, link: str, target: str, path: str
    ) -> None:
        repository.write("real/m.json", "{}")
        repository.link("again.json", "./real/../real/m.json")
        repository.link(link, target)
        repository.commit()
        assert tree(repository, kind).read([path]) == {path: b"{}"}

    @pytest.mark.parametrize("target", ["gone.json", "link.json", "real/gone", "../outside.json", "{absolute}", "/"])
    def test_a_symbolic_link_that_leads_nowhere_or_out_of_the_repository_is_not(
        self, repository: Repository, kind: str, target: str
    ) -> None:
        secret = repository.root.parent / "outside.json"
        secret.write_text("secret")
        repository.write("real/m.json", "{}")
        repository.link("link.json", target.format(absolute=secret))
        repository.commit()
        assert isinstance(tree(repository, kind).read(["link.json"])["link.json"], Gap)

    def test_a_path_out_of_the_repository_is_not_followed(self, repository: Repository, kind: str) -> None:
        (repository.root.parent / "outside.json").write_text("secret")
        repository.commit({"a": "x"})
        for path in ("../outside.json", str(repository.root.parent / "outside.json"), ".."):
            assert isinstance(tree(repository, kind).read([path])[path], Gap)

    def test_nothing_at_all(self, repository: Repository, kind: str) -> None:
        repository.commit()
        assert tree(repository, kind).files() == frozenset()
        assert tree(repository, kind).read([]) == {}

    def test_a_path_is_asked_for_once(self, repository: Repository, kind: str) -> None:
        repository.commit({"a": "x"})
        assert tree(repository, kind).read(["a", "a"]) == {"a": b"x"}


class TestACommit:
    def test_is_read_as_it_was_committed(self, repository: Repository) -> None:
        sha = repository.commit({"m.json": "1"})
        repository.commit({"m.json": "2", "new.json": "3"})
        old = repository.adapter.tree(sha)
        assert old.files() == {"m.json"}
        assert old.read(["m.json", "new.json"]) == {"m.json": b"1", "new.json": absent("new.json")}

    def test_that_this_clone_does_not_have_is_an_error_in_gits_words(self, repository: Repository) -> None:
        repository.commit()
        with pytest.raises(DependencyError, match="git ls-tree failed: fatal: not a tree object"):
            repository.adapter.tree("1" * 40).files()

    def test_whose_object_is_gone_is_an_error(self, repository: Repository) -> None:
        sha = repository.commit({"m.json": "1"})
        blob = repository.sha("HEAD:m.json")
        (repository.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(DependencyError) as caught:
            repository.adapter.tree(sha).read(["m.json"])
        assert caught.value.what == f"this clone lacks the object {blob} of commit {sha[:7]}"

    def test_a_submodule_is_no_file(self, repository: Repository) -> None:
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
        repository.git("commit", "--quiet", "-m", "a submodule")
        found = repository.adapter.tree(repository.sha()).read(["sub", "sub/m.json"])
        why = "sub/m.json is in the submodule sub, whose files this repository does not hold"
        assert found == {"sub": Gap(reason="sub is a folder"), "sub/m.json": Gap(reason=why)}


class TestTheWorkTree:
    def test_holds_what_is_on_disk_now(self, repository: Repository) -> None:
        repository.commit({"m.json": "1", "gone.json": "x", ".gitignore": "ignored*\n"})
        repository.write("m.json", "2")
        repository.write("untracked.json", "3")
        repository.write("ignored.json", "4")
        (repository.root / "gone.json").unlink()
        disk = repository.adapter.work_tree()
        assert disk.files() == {"m.json", "untracked.json", ".gitignore"}
        found = disk.read(["m.json", "untracked.json", "ignored.json", "gone.json"])
        assert found == {
            "m.json": b"2",
            "untracked.json": b"3",
            "ignored.json": b"4",
            "gone.json": absent("gone.json"),
        }

    def test_files_are_relative_to_the_repository_from_any_folder(self, repository: Repository) -> None:
        repository.commit({"sub/m.json": "1", "top.json": "2"})
        inside = git.find(repository.root / "sub", os.environ)
        assert inside.root == repository.root
        assert inside.work_tree().files() == {"sub/m.json", "top.json"}

    def test_a_pipe_is_not_waited_for(self, repository: Repository) -> None:
        os.mkfifo(repository.root / "pipe.json")
        assert repository.adapter.work_tree().read(["pipe.json"]) == {
            "pipe.json": Gap(reason="pipe.json is not a regular file")
        }

    @pytest.mark.parametrize("path", ["x" * 300, "a\0b"])
    def test_a_name_that_no_file_can_have_is_a_gap(self, repository: Repository, path: str) -> None:
        assert isinstance(repository.adapter.work_tree().read([path])[path], Gap)


class TestFinding:
    def test_outside_a_repository(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            git.find(tmp_path, os.environ)
        assert caught.value.what == f"{tmp_path} is not in a git repository"

    def test_without_git(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError) as caught:
            git.find(tmp_path, {"PATH": str(tmp_path)})
        assert (caught.value.what, caught.value.hint) == ("git is not installed or not on PATH", "install git")

    def test_what_a_hook_left_in_the_environment_is_not_believed(
        self, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        repository.commit({"a": "x"})
        elsewhere = Repository.init(tmp_path / "elsewhere")
        for name, value in {"GIT_DIR": ".git", "GIT_WORK_TREE": ".", "GIT_INDEX_FILE": ".git/index"}.items():
            monkeypatch.setenv(name, str(elsewhere.root / value))
        monkeypatch.setenv("GIT_PREFIX", "sub/")
        found = git.find(repository.root, os.environ)
        assert found.root == repository.root
        assert found.work_tree().files() == {"a"}

    def test_a_linked_work_tree_is_a_repository_of_its_own(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit({"a": "x"})
        repository.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
        linked = git.find(tmp_path / "linked", os.environ)
        assert (linked.root, linked.branch()) == (tmp_path / "linked", "other")
        assert linked.work_tree().files() == {"a"}


class TestPlacing:
    """A table is a file on disk: the work tree's own, or a copy of the commit's."""

    @pytest.mark.parametrize("content", [b"", b"a\r\nb\r\n", b"\0\xff" * 10, b"1" * 20_000_000])
    def test_has_the_content_whatever_its_size(
        self, repository: Repository, kind: str, tmp_path: Path, content: bytes
    ) -> None:
        repository.commit({"a folder/p.csv": content})
        place = tree(repository, kind).place("a folder/p.csv", tmp_path)
        assert isinstance(place, Path)
        assert place.read_bytes() == content

    def test_copies_only_what_is_in_a_commit(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit({"p.csv": "old"})
        repository.write("p.csv", "new")
        (folder := tmp_path / "copies").mkdir()
        assert repository.adapter.work_tree().place("p.csv", folder) == repository.root / "p.csv"
        assert not list(folder.iterdir())
        copy = repository.adapter.tree(repository.sha()).place("p.csv", folder)
        assert list(folder.iterdir()) == [copy]
        assert isinstance(copy, Path)
        assert copy.read_text() == "old"

    def test_of_every_name_is_a_file_of_its_own(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit({name: f"{number}" for number, name in enumerate(NAMES)})
        found = repository.adapter.tree(repository.sha())
        places = [found.place(name, tmp_path) for name in NAMES]
        assert [place.read_text() for place in places if isinstance(place, Path)] == [
            str(number) for number in range(len(NAMES))
        ]

    def test_follows_a_link_within_the_repository_and_no_other(
        self, repository: Repository, kind: str, tmp_path: Path
    ) -> None:
        repository.write("real/p.csv", "x")
        repository.link("inside.csv", "real/p.csv")
        repository.link("outside.csv", "/etc/hostname")
        repository.link("nowhere.csv", "gone.csv")
        repository.commit()
        found = tree(repository, kind)
        inside = found.place("inside.csv", tmp_path)
        assert isinstance(inside, Path)
        assert inside.read_text() == "x"
        reason = "outside.csv leads out of the repository, or nowhere"
        assert found.place("outside.csv", tmp_path) == Gap(reason=reason, absent=True)
        nowhere = found.place("nowhere.csv", tmp_path)
        assert isinstance(nowhere, Gap)
        assert nowhere.absent

    @pytest.mark.parametrize("path", ["gone.csv", "a/gone.csv", "a/b.csv/c"])
    def test_of_what_is_not_there_is_absent(self, repository: Repository, kind: str, tmp_path: Path, path: str) -> None:
        repository.commit({"a/b.csv": "x"})
        assert tree(repository, kind).place(path, tmp_path) == absent(path)

    def test_of_a_folder_is_none(self, repository: Repository, kind: str, tmp_path: Path) -> None:
        repository.commit({"a/b.csv": "x"})
        assert tree(repository, kind).place("a", tmp_path) == Gap(reason="a is a folder")


class TestHistory:
    def test_a_revision_by_its_names(self, repository: Repository) -> None:
        first, second = repository.commit(), repository.commit()
        repository.git("tag", "-a", "v1", "-m", "annotated", first)
        found = repository.adapter
        assert [found.commit(name) for name in ("HEAD", "main", second[:10], "HEAD^", "v1")] == [
            second,
            second,
            second,
            first,
            first,
        ]

    @pytest.mark.parametrize("name", ["nowhere", "HEAD~9", "", "--all", "-x", "HEAD^{tree}", "HEAD:a", EMPTY_TREE])
    def test_what_is_no_commit(self, repository: Repository, name: str) -> None:
        repository.commit({"a": "x"})
        assert repository.adapter.commit(name) is None

    def test_before_the_first_commit(self, repository: Repository) -> None:
        found = repository.adapter
        assert (found.commit("HEAD"), found.branch(), found.target_branch()) == (None, "main", None)

    def test_a_detached_head_is_on_no_branch(self, repository: Repository) -> None:
        repository.checkout(repository.commit())
        assert repository.adapter.branch() is None

    def test_parents_are_those_the_commit_names(self, repository: Repository, tmp_path: Path) -> None:
        first = repository.commit()
        repository.branch("feature")
        side = repository.commit({"a": "x"})
        repository.checkout("main")
        main = repository.commit({"b": "x"})
        merge = repository.merge("feature")
        found = repository.adapter
        assert [found.parents(sha) for sha in (first, side, merge)] == [(), (first,), (main, side)]
        shallow = repository.clone(tmp_path / "shallow", "--depth=1")
        assert shallow.adapter.parents(merge) == (main, side)
        assert (shallow.adapter.commit(main), shallow.adapter.is_shallow(), found.is_shallow()) == (None, True, False)

    def test_a_message_that_looks_like_a_header_is_no_parent(self, repository: Repository) -> None:
        first = repository.commit()
        second = repository.commit(message=f"x\n\nparent {'1' * 40}")
        assert repository.adapter.parents(second) == (first,)

    def test_the_merge_base(self, repository: Repository) -> None:
        first = repository.commit()
        repository.branch("feature")
        side = repository.commit({"a": "x"})
        repository.checkout("main")
        main = repository.commit({"b": "x"})
        repository.git("checkout", "--quiet", "--orphan", "unrelated")
        other = repository.commit()
        found = repository.adapter
        assert (found.merge_base(side, main), found.merge_base(main, other)) == (first, None)

    @pytest.mark.parametrize(
        ("change", "dirty"),
        [
            ({}, False),
            ({"a": "changed"}, True),
            ({"untracked": "x"}, True),
            ({"ignored": "x"}, False),
        ],
    )
    def test_dirty_is_what_a_commit_would_take(
        self, repository: Repository, change: Mapping[str, str], dirty: bool
    ) -> None:
        repository.commit({"a": "x", ".gitignore": "ignored\n"})
        for path, content in change.items():
            repository.write(path, content)
        assert repository.adapter.is_dirty() is dirty

    @pytest.mark.parametrize(
        ("branches", "expected"),
        [(["main", "master"], "main"), (["master"], "master"), (["develop"], None)],
    )
    def test_the_target_branch_of_a_repository_without_a_remote(
        self, tmp_path: Path, branches: list[str], expected: str | None
    ) -> None:
        alone = Repository.init(tmp_path / "alone")
        alone.git("symbolic-ref", "HEAD", "refs/heads/trunk")
        alone.commit()
        for branch in branches:
            alone.git("branch", branch)
        assert alone.adapter.target_branch() == expected

    def test_the_target_branch_of_a_clone_is_what_its_origin_says(self, repository: Repository, tmp_path: Path) -> None:
        repository.git("symbolic-ref", "HEAD", "refs/heads/develop")
        repository.commit()
        repository.git("branch", "main")
        assert repository.clone(tmp_path / "clone").adapter.target_branch() == "origin/develop"

    def test_the_remote_is_origin_before_others(self, repository: Repository) -> None:
        assert repository.adapter.remote() is None
        repository.git("remote", "add", "backup", "https://example.org/x")
        assert repository.adapter.remote() == "backup"
        repository.git("remote", "add", "origin", "https://example.org/y")
        assert repository.adapter.remote() == "origin"

    def test_a_fetch_that_fails_says_so(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit()
        clone = repository.clone(tmp_path / "clone")
        assert clone.adapter.fetch("origin", "main")
        assert not clone.adapter.fetch("origin", "nowhere")
        clone.git("remote", "set-url", "origin", f"file://{tmp_path}/gone")
        assert not clone.adapter.fetch("origin", "main")


class TestCommitting:
    """A commit of ours, made beside whatever somebody has on disk, staged, or hooked in."""

    def test_holds_the_chosen_files_as_they_are_on_disk(self, repository: Repository) -> None:
        parent = repository.commit({"dvc.lock": "old", "gone.json": "1", "same.txt": "s"})
        repository.write("dvc.lock", "new")
        repository.write("sub folder/é.json", "2")
        (repository.root / "gone.json").unlink()
        repository.write("other.txt", "not chosen")
        made = repository.adapter.committed(parent, ["dvc.lock", "sub folder/é.json", "gone.json"], "Retrain\n\nwhy\n")
        tree = repository.adapter.tree(made)
        assert tree.files() == {"dvc.lock", "sub folder/é.json", "same.txt"}
        assert tree.read(["dvc.lock"]) == {"dvc.lock": b"new"}
        assert repository.git("log", "-1", "--format=%P|%an|%B", made) == f"{parent}|Ada|Retrain\n\nwhy"

    def test_leaves_everything_else_where_it_is(self, repository: Repository) -> None:
        parent = repository.commit({"dvc.lock": "old", "a.txt": "a"})
        repository.write("staged.txt", "staged")
        repository.git("add", "staged.txt")
        repository.write("a.txt", "edited")
        repository.write("dvc.lock", "new")
        before = repository.git("status", "--porcelain"), repository.sha(), repository.git("branch", "--all")
        repository.adapter.committed(parent, ["dvc.lock"], "Retrain")
        assert before == (repository.git("status", "--porcelain"), repository.sha(), repository.git("branch", "--all"))

    def test_runs_no_hooks_and_signs_nothing(self, repository: Repository) -> None:
        parent = repository.commit({"dvc.lock": "old"})
        ran = repository.root.parent / "ran"
        for name in (
            "pre-commit",
            "commit-msg",
            "post-commit",
            "prepare-commit-msg",
            "reference-transaction",
            "pre-push",
        ):
            hook = repository.write(f".git/hooks/{name}", f"#!/bin/sh\necho {name} >>'{ran}'\nexit 1\n")
            hook.chmod(0o755)
        repository.git("config", "commit.gpgSign", "true")
        repository.git("config", "gpg.program", "false")
        repository.write("dvc.lock", "new")
        made = repository.adapter.committed(parent, ["dvc.lock"], "Retrain")
        there = bare(repository)
        assert repository.adapter.push(made, str(there.root), "ci-ml/retrain", expected=None) == made
        assert not ran.exists()

    def test_builds_on_another_commit_than_what_is_checked_out(self, repository: Repository) -> None:
        old = repository.commit({"dvc.lock": "1", "a": "1"})
        repository.commit({"a": "2"})
        repository.write("dvc.lock", "3")
        made = repository.adapter.committed(old, ["dvc.lock"], "Retrain")
        assert repository.adapter.tree(made).read(["dvc.lock", "a"]) == {"dvc.lock": b"3", "a": b"1"}

    def test_takes_files_as_git_stores_them(self, repository: Repository) -> None:
        parent = repository.commit({".gitattributes": "*.json text eol=crlf\n", "run.sh": "x"})
        repository.write("a.json", "1\r\n")
        (repository.root / "run.sh").chmod(0o755)
        made = repository.adapter.committed(parent, ["a.json", "run.sh"], "Retrain")
        assert repository.adapter.tree(made).read(["a.json"]) == {"a.json": b"1\n"}
        assert repository.git("ls-tree", made, "run.sh").startswith("100755 ")

    def test_says_who_commits_where_nobody_has_said_it(
        self, repository: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent = repository.commit({"dvc.lock": "old"})
        for role in ("AUTHOR", "COMMITTER"):
            for key in ("NAME", "EMAIL"):
                monkeypatch.delenv(f"GIT_{role}_{key}")
        author = ("-c", "user.name=ci-ml", "-c", "user.email=ci-ml@example.org")
        made = repository.adapter.committed(parent, ["dvc.lock"], "Retrain", author)
        assert repository.git("log", "-1", "--format=%an %ae %cn", made) == "ci-ml ci-ml@example.org ci-ml"


def bare(repository: Repository) -> Repository:
    """An empty repository to push to."""
    place = Repository(repository.root.parent / "bare")
    place.root.mkdir()
    place.git("init", "--quiet", "--bare", "--initial-branch=main")
    return place


class TestPushing:
    """A branch of a remote is replaced only where it is what we take it to be."""

    BRANCH = "ci-ml/retrain"

    def commits(self, repository: Repository, *names: str) -> list[str]:
        parent = repository.commit({"dvc.lock": "old"})
        made = []
        for name in names:
            repository.write("dvc.lock", name)
            made.append(repository.adapter.committed(parent, ["dvc.lock"], name))
        return made

    def test_makes_the_branch_and_later_replaces_it(self, repository: Repository) -> None:
        there = bare(repository)
        one, two = self.commits(repository, "one", "two")
        mine = repository.adapter
        assert mine.tip(str(there.root), self.BRANCH) is None
        assert mine.push(one, str(there.root), self.BRANCH, expected=None) == one
        assert mine.tip(str(there.root), self.BRANCH) == one
        assert mine.push(two, str(there.root), self.BRANCH, expected=one) == two  # no descendant of it
        assert there.sha(self.BRANCH) == two

    @pytest.mark.parametrize("expected", [None, "0" * 39 + "1"])
    def test_overwrites_nothing_that_somebody_else_has_pushed(
        self, repository: Repository, expected: str | None
    ) -> None:
        there = bare(repository)
        theirs, ours = self.commits(repository, "theirs", "ours")
        repository.git("push", "--quiet", str(there.root), f"{theirs}:refs/heads/{self.BRANCH}")
        waits: list[float] = []
        found = repository.adapter.push(ours, str(there.root), self.BRANCH, expected=expected, pause=waits.append)
        assert (found, there.sha(self.BRANCH), waits) == (theirs, theirs, [])

    def test_what_the_server_refuses_is_not_tried_again(self, repository: Repository) -> None:
        there = bare(repository)
        hook = there.write("hooks/pre-receive", "#!/bin/sh\necho protected branch >&2\nexit 1\n")
        hook.chmod(0o755)
        [made] = self.commits(repository, "one")
        waits: list[float] = []
        with pytest.raises(DependencyError, match="protected branch"):
            repository.adapter.push(made, str(there.root), self.BRANCH, expected=None, pause=waits.append)
        assert waits == []

    def test_what_may_pass_is_tried_again(self, repository: Repository) -> None:
        there = bare(repository)
        [made] = self.commits(repository, "one")
        away = there.root.rename(there.root.with_name("away"))
        waits: list[float] = []

        def back(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                away.rename(there.root)

        assert repository.adapter.push(made, str(there.root), self.BRANCH, expected=None, pause=back) == made
        assert waits == [1.0, 2.0]

    def test_a_server_that_is_gone_is_an_error_after_a_few_tries(self, repository: Repository) -> None:
        [made] = self.commits(repository, "one")
        waits: list[float] = []
        nowhere = str(repository.root.parent / "nowhere")
        with pytest.raises(DependencyError, match="git push to ci-ml/retrain failed"):
            repository.adapter.push(made, nowhere, self.BRANCH, expected=None, pause=waits.append)
        assert waits == [1.0, 2.0, 4.0]
        with pytest.raises(DependencyError, match="git ls-remote failed"):
            repository.adapter.tip(nowhere, self.BRANCH)
