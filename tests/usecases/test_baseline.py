"""Every way to a base commit, on real repositories and real clones of them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci_ml.adapters import context
from ci_ml.core.types import Change, Gap, Revision
from ci_ml.errors import UsageError
from ci_ml.usecases import baseline
from tests.repositories import Repository

HINT = "name a commit to compare with: --base REV"


def base(
    repository: Repository, configured: str = "auto", explicit: str | None = None, change: Change | None = None
) -> Revision:
    """The base of what is checked out."""
    history, change = repository.adapter, change or Change()
    return baseline.resolve(history, configured, explicit, baseline.head(history, change), change)


def refusal(
    repository: Repository, configured: str = "auto", explicit: str | None = None, change: Change | None = None
) -> UsageError:
    with pytest.raises(UsageError) as caught:
        base(repository, configured, explicit, change)
    return caught.value


@dataclass(frozen=True)
class Forked:
    """main and feature went apart at `fork`; each has two commits of its own."""

    repository: Repository
    fork: str
    main: str
    feature: str


@pytest.fixture
def forked(repository: Repository) -> Forked:
    repository.commit({"a": "0"})
    fork = repository.commit({"a": "1"})
    repository.branch("feature")
    repository.commit({"f": "1"})
    feature = repository.commit({"f": "2"})
    repository.checkout("main")
    repository.commit({"m": "1"})
    main = repository.commit({"m": "2"})
    repository.checkout("feature")
    return Forked(repository, fork, main, feature)


def unreachable(clone: Repository) -> Repository:
    """The same clone, with an origin that does not answer."""
    clone.git("remote", "set-url", "origin", f"file://{clone.root}/gone")
    return clone


class TestTheHead:
    def test_is_head_and_the_work_tree_on_top_of_it(self, forked: Forked) -> None:
        history = forked.repository.adapter
        assert baseline.head(history, Change()) == Revision(sha=forked.feature, ref="feature", why="the work tree")
        forked.repository.write("a", "edited")
        assert baseline.head(history, Change()).dirty

    def test_takes_its_name_from_ci_when_it_is_detached(self, forked: Forked) -> None:
        forked.repository.checkout(forked.feature)
        history = forked.repository.adapter
        assert baseline.head(history, Change()).ref is None
        assert baseline.head(history, Change(ref="their-branch")).ref == "their-branch"

    def test_before_the_first_commit_is_an_error(self, repository: Repository) -> None:
        with pytest.raises(UsageError) as caught:
            baseline.head(repository.adapter, Change())
        assert caught.value.what == "the repository has no commit yet"


class TestABranchOnALaptop:
    @pytest.mark.parametrize("configured", ["auto", "merge-base"])
    def test_is_compared_with_where_it_left_main(self, forked: Forked, configured: str) -> None:
        assert base(forked.repository, configured) == Revision(
            sha=forked.fork, ref="main", why="merge base of HEAD and main"
        )

    def test_of_a_clone_is_compared_with_where_it_left_the_remote_main(self, forked: Forked, tmp_path: Path) -> None:
        forked.repository.checkout("main")
        clone = forked.repository.clone(tmp_path / "clone", "--branch=feature")
        assert base(clone) == Revision(sha=forked.fork, ref="main", why="merge base of HEAD and origin/main")

    def test_is_compared_with_the_same_commit_when_it_is_dirty(self, forked: Forked) -> None:
        forked.repository.write("a", "edited")
        assert base(forked.repository).sha == forked.fork

    def test_is_compared_with_the_same_commit_when_head_is_detached(self, forked: Forked) -> None:
        forked.repository.checkout(forked.feature)
        assert base(forked.repository).sha == forked.fork

    def test_with_main_merged_into_it_is_compared_with_what_it_merged(self, forked: Forked) -> None:
        forked.repository.merge("main")
        assert base(forked.repository).sha == forked.main

    def test_of_unrelated_history_is_an_error(self, forked: Forked) -> None:
        forked.repository.git("checkout", "--quiet", "--orphan", "alone")
        forked.repository.commit({"x": "1"})
        error = refusal(forked.repository)
        assert (error.what, error.hint) == (
            "HEAD and main have unrelated histories: there is no merge base",
            HINT,
        )


class TestMainItself:
    def test_is_compared_with_its_parent(self, forked: Forked) -> None:
        forked.repository.checkout("main")
        parent = forked.repository.sha("main^")
        assert base(forked.repository) == Revision(
            sha=parent, ref="main", why="parent of HEAD, because it is part of main"
        )

    def test_after_a_merge_is_compared_with_main_before_it(self, forked: Forked) -> None:
        forked.repository.checkout("main")
        forked.repository.merge("feature")
        assert base(forked.repository).sha == forked.main

    def test_with_a_dirty_tree_is_compared_with_head(self, forked: Forked) -> None:
        forked.repository.checkout("main")
        forked.repository.write("a", "edited")
        assert base(forked.repository) == Revision(
            sha=forked.main, ref="main", why="HEAD, which the work tree is compared with"
        )

    def test_at_the_first_commit_is_an_error(self, repository: Repository) -> None:
        sha = repository.commit()
        error = refusal(repository)
        assert (error.what, error.hint) == (
            f"{sha[:7]} is the first commit and the work tree is clean: there is nothing to compare with",
            HINT,
        )

    def test_at_the_first_commit_with_a_dirty_tree_is_compared_with_it(self, repository: Repository) -> None:
        sha = repository.commit()
        repository.write("new", "x")
        assert base(repository).sha == sha

    @pytest.mark.parametrize("dirty", [False, True])
    def test_without_any_main_is_compared_with_its_parent_or_head(self, repository: Repository, dirty: bool) -> None:
        repository.git("symbolic-ref", "HEAD", "refs/heads/trunk")
        first, second = repository.commit(), repository.commit()
        if dirty:
            repository.write("new", "x")
            expected = Revision(sha=second, ref="trunk", why="HEAD, which the work tree is compared with")
        else:
            because = "there is no branch main or master to compare with"
            expected = Revision(sha=first, ref="trunk", why=f"parent of HEAD, because {because}")
        assert base(repository) == expected


class TestANamedBase:
    @pytest.mark.parametrize("name", ["v1", "main~1", "HEAD^"])
    def test_on_the_command_line_wins(self, forked: Forked, name: str) -> None:
        forked.repository.git("tag", "v1", "main")
        sha = forked.repository.sha(name)
        found = base(forked.repository, "branch:nowhere", name)
        assert found == Revision(sha=sha, ref=name, why="named with --base")

    def test_in_the_configuration(self, forked: Forked) -> None:
        forked.repository.git("tag", "-a", "v1", "-m", "x", "main")
        assert base(forked.repository, "rev:v1") == Revision(sha=forked.main, ref="v1", why="baseline in ci-ml.yaml")

    @pytest.mark.parametrize(
        ("configured", "explicit", "why"),
        [("auto", "v9", "named with --base"), ("rev:v9", None, "baseline in ci-ml.yaml")],
    )
    def test_that_does_not_exist_is_an_error(
        self, forked: Forked, configured: str, explicit: str | None, why: str
    ) -> None:
        error = refusal(forked.repository, configured, explicit)
        assert error.what == f"v9 is not a commit of this clone ({why})"
        assert error.hint == "check the name, or fetch it first: git fetch --tags"

    @pytest.mark.parametrize("name", ["--all", "-x", "+main", "main:refs/heads/mine", "a\nb", "main:a"])
    def test_that_git_could_take_for_something_else_is_an_error(self, forked: Forked, name: str) -> None:
        error = refusal(forked.repository, explicit=name)
        assert (error.what, error.hint) == (f"{name!r} is not the name of a revision (named with --base)", HINT)

    def test_that_is_the_head_itself_is_an_error_when_the_tree_is_clean(self, forked: Forked) -> None:
        error = refusal(forked.repository, explicit="feature")
        assert error.what == (
            f"base and head are the same commit {forked.feature[:7]} (named with --base) and the work tree is clean"
        )
        assert error.hint == HINT
        forked.repository.write("a", "edited")
        assert base(forked.repository, explicit="feature").sha == forked.feature

    def test_is_fetched_into_a_shallow_clone(self, forked: Forked, tmp_path: Path) -> None:
        forked.repository.git("tag", "v1", forked.fork)
        shallow = forked.repository.clone(tmp_path / "shallow", "--depth=1", "--branch=feature")
        assert base(shallow, explicit="v1").sha == forked.fork
        assert base(shallow, explicit=forked.main).sha == forked.main
        assert refusal(shallow, explicit="v9").what.startswith("v9 is not a commit")


class TestABaselineBranch:
    def test_is_compared_with_its_tip(self, forked: Forked) -> None:
        assert base(forked.repository, "branch:main") == Revision(sha=forked.main, ref="main", why="tip of main")

    def test_of_the_remote_comes_before_a_local_one(self, forked: Forked, tmp_path: Path) -> None:
        clone = forked.repository.clone(tmp_path / "clone")
        clone.git("branch", "main", forked.fork)
        assert base(clone, "branch:main") == Revision(sha=forked.main, ref="main", why="tip of origin/main")

    def test_is_fetched_when_it_is_not_here(self, forked: Forked, tmp_path: Path) -> None:
        clone = forked.repository.clone(tmp_path / "clone", "--single-branch", "--branch=feature")
        assert base(clone, "branch:main").sha == forked.main

    def test_that_does_not_exist_is_an_error(self, forked: Forked) -> None:
        error = refusal(forked.repository, "branch:gone")
        assert (error.what, error.hint) == (
            "there is no branch gone here (baseline in ci-ml.yaml)",
            "git fetch origin gone",
        )


class TestAShallowClone:
    @pytest.mark.parametrize("options", [["--single-branch"], ["--no-single-branch"]])
    def test_is_deepened_as_far_as_it_takes(self, forked: Forked, tmp_path: Path, options: list[str]) -> None:
        clone = forked.repository.clone(tmp_path / "shallow", "--depth=1", "--branch=feature", *options)
        found = base(clone, change=Change(target="main"))
        assert found == Revision(sha=forked.fork, ref="main", why="merge base of HEAD and origin/main")

    def test_that_is_far_from_the_merge_base(self, repository: Repository, tmp_path: Path) -> None:
        fork = repository.commit()
        repository.branch("feature")
        repository.commit({"f": "1"})
        repository.advance("main", 600)
        clone = repository.clone(tmp_path / "shallow", "--depth=1", "--branch=feature")
        assert base(clone, change=Change(target="main")).sha == fork

    def test_is_deepened_no_further_than_it_takes(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit()
        repository.git("checkout", "--quiet", "--detach")
        repository.advance("main", 600)
        repository.branch("feature", "main")
        repository.commit({"f": "1"})
        clone = repository.clone(tmp_path / "shallow", "--depth=1", "--branch=feature")
        assert base(clone, change=Change(target="main")).sha == repository.sha("main")
        assert clone.adapter.is_shallow()

    def test_of_unrelated_history_is_an_error_when_all_of_it_is_known(self, forked: Forked, tmp_path: Path) -> None:
        forked.repository.git("checkout", "--quiet", "--orphan", "alone")
        forked.repository.commit({"x": "1"})
        clone = forked.repository.clone(tmp_path / "shallow", "--depth=1", "--branch=alone")
        assert refusal(clone, change=Change(target="main")).what == (
            "HEAD and origin/main have unrelated histories: there is no merge base"
        )

    def test_that_cannot_be_deepened_is_explained(self, forked: Forked, tmp_path: Path) -> None:
        clone = unreachable(
            forked.repository.clone(tmp_path / "shallow", "--depth=1", "--no-single-branch", "--branch=feature")
        )
        error = refusal(clone, change=Change(target="main"))
        assert error.what == (
            "this is a shallow clone without the merge base of HEAD and origin/main, "
            "and the older commits could not be fetched"
        )
        assert error.hint == (
            "fetch the history (fetch-depth: 0, or GIT_DEPTH: 0), or name a commit to compare with: --base REV"
        )

    def test_whose_target_cannot_be_fetched_is_explained(self, forked: Forked, tmp_path: Path) -> None:
        clone = unreachable(forked.repository.clone(tmp_path / "shallow", "--depth=1", "--branch=feature"))
        error = refusal(clone, change=Change(target="main"))
        assert error.what == "the target branch main is not in this clone and could not be fetched"

    def test_of_main_fetches_the_parent(self, forked: Forked, tmp_path: Path) -> None:
        clone = forked.repository.clone(tmp_path / "shallow", "--depth=1", "--branch=main")
        assert base(clone).sha == forked.repository.sha("main^")

    def test_of_main_that_cannot_fetch_the_parent_is_explained(self, forked: Forked, tmp_path: Path) -> None:
        clone = unreachable(forked.repository.clone(tmp_path / "shallow", "--depth=1", "--branch=main"))
        error = refusal(clone)
        parent = forked.repository.sha("main^")
        assert error.what == (
            f"this is a shallow clone without {parent[:7]}, the parent of HEAD, and it could not be fetched"
        )
        assert error.hint == "check out with a depth of 2 (fetch-depth: 2, or GIT_DEPTH: 2)"


@dataclass(frozen=True)
class Checkout:
    """What a CI system checks out for a change: a merge of it into its target, on a detached HEAD."""

    forked: Forked
    merge: str

    def clone(self, root: Path, depth: int | None) -> Repository:
        made = Repository.init(root)
        made.git("remote", "add", "origin", f"file://{self.forked.repository.root}")
        made.git(
            "fetch", "--quiet", "--no-tags", *([f"--depth={depth}"] if depth else []), "origin", "refs/pull/7/merge"
        )
        made.checkout("FETCH_HEAD")
        return made


@pytest.fixture
def checkout(forked: Forked) -> Checkout:
    forked.repository.checkout("main")
    forked.repository.git("checkout", "--quiet", "--detach")
    merge = forked.repository.merge("feature")
    forked.repository.git("update-ref", "refs/pull/7/merge", merge)
    forked.repository.checkout("main")
    return Checkout(forked, merge)


def github(tmp_path: Path, event: Mapping[str, object], **env: str) -> Change:
    (tmp_path / "event.json").write_text(json.dumps(event))
    common = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}
    return context.read({**common, **env})


def pull_request(tmp_path: Path, head: str) -> Change:
    return github(
        tmp_path,
        {"pull_request": {"head": {"sha": head}}},
        GITHUB_EVENT_NAME="pull_request",
        GITHUB_REF="refs/pull/7/merge",
        GITHUB_BASE_REF="main",
        GITHUB_HEAD_REF="feature",
    )


def merged_result(head: str) -> Change:
    return context.read(
        {
            "GITLAB_CI": "true",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_EVENT_TYPE": "merged_result",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": head,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        }
    )


class TestAMergeCheckout:
    @pytest.mark.parametrize("depth", [None, 1, 2])
    def test_of_github_is_compared_with_its_base_parent(
        self, checkout: Checkout, tmp_path: Path, depth: int | None
    ) -> None:
        clone = checkout.clone(tmp_path / "clone", depth)
        found = base(clone, change=pull_request(tmp_path, checkout.forked.feature))
        why = f"base parent of the merge commit {checkout.merge[:7]}"
        assert found == Revision(sha=checkout.forked.main, ref="main", why=why)

    @pytest.mark.parametrize("depth", [None, 1, 2])
    def test_of_gitlab_is_compared_with_its_base_parent(
        self, checkout: Checkout, tmp_path: Path, depth: int | None
    ) -> None:
        clone = checkout.clone(tmp_path / "clone", depth)
        assert base(clone, change=merged_result(checkout.forked.feature)).sha == checkout.forked.main

    def test_is_understood_when_its_parents_are_the_other_way_round(self, forked: Forked) -> None:
        forked.repository.merge("main")  # feature is the first parent, main the second
        change = Change(forge="gitlab", head=forked.feature, target="main", is_merge=True)
        assert base(forked.repository, change=change).sha == forked.main

    def test_takes_the_first_parent_when_nobody_says_which_one_is_the_change(
        self, checkout: Checkout, tmp_path: Path
    ) -> None:
        clone = checkout.clone(tmp_path / "clone", None)
        assert base(clone, change=Change(target="main", is_merge=True)).sha == checkout.forked.main

    def test_that_cannot_fetch_its_base_is_explained(self, checkout: Checkout, tmp_path: Path) -> None:
        clone = unreachable(checkout.clone(tmp_path / "clone", 1))
        error = refusal(clone, change=pull_request(tmp_path, checkout.forked.feature))
        assert error.what == (
            f"this is a shallow clone without {checkout.forked.main[:7]}, the base of the merge commit "
            f"{checkout.merge[:7]}, and it could not be fetched"
        )
        assert error.hint == "check out with a depth of 2 (fetch-depth: 2, or GIT_DEPTH: 2)"

    def test_of_a_change_that_merged_another_branch_is_not_taken_for_the_merge_of_the_ci_system(
        self, forked: Forked
    ) -> None:
        """A job may check out the change itself, and the change may end with a merge of anything."""
        forked.repository.branch("other", forked.fork)
        forked.repository.commit({"o": "1"})
        forked.repository.checkout("feature")
        merge = forked.repository.merge("other")
        change = Change(forge="github", head=merge, target="main", is_merge=True)
        assert base(forked.repository, change=change).sha == forked.fork

    def test_with_merge_base_configured_is_compared_with_where_the_change_left_main(
        self, checkout: Checkout, tmp_path: Path
    ) -> None:
        clone = checkout.clone(tmp_path / "clone", None)
        found = base(clone, "merge-base", change=pull_request(tmp_path, checkout.forked.feature))
        assert found.sha == checkout.forked.main  # of the merge commit, that is the tip of main it merged

    def test_that_checks_out_the_head_instead_of_the_merge_has_a_merge_base(
        self, forked: Forked, tmp_path: Path
    ) -> None:
        clone = forked.repository.clone(tmp_path / "clone", "--depth=1", "--branch=feature")
        found = base(clone, change=pull_request(tmp_path, forked.feature))
        assert found == Revision(sha=forked.fork, ref="main", why="merge base of HEAD and origin/main")


class TestAPush:
    def push(self, tmp_path: Path, before: str) -> Change:
        event = {"before": before, "repository": {"default_branch": "main"}}
        return github(tmp_path, event, GITHUB_EVENT_NAME="push", GITHUB_REF_NAME="main")

    def test_is_compared_with_the_commit_before_it(self, forked: Forked, tmp_path: Path) -> None:
        forked.repository.checkout("main")
        found = base(forked.repository, change=self.push(tmp_path, forked.fork))
        assert found == Revision(sha=forked.fork, ref="main", why="main before this push")

    def test_is_compared_with_the_commit_before_it_in_a_shallow_clone(self, forked: Forked, tmp_path: Path) -> None:
        clone = forked.repository.clone(tmp_path / "shallow", "--depth=1", "--branch=main")
        assert base(clone, change=self.push(tmp_path, forked.fork)).sha == forked.fork

    @pytest.mark.parametrize("before", ["0" * 40, "1" * 40])
    def test_of_a_new_or_rewritten_branch_falls_back(self, forked: Forked, tmp_path: Path, before: str) -> None:
        assert base(forked.repository, change=self.push(tmp_path, before)).sha == forked.fork

    def test_of_a_dirty_tree_in_ci_is_compared_with_the_parent_for_the_job_made_it_dirty(self, forked: Forked) -> None:
        forked.repository.checkout("main")
        forked.repository.write("made-by-the-job", "x")
        change = Change(forge="gitlab", ref="main")
        assert base(forked.repository, change=change).sha == forked.repository.sha("main^")


def test_a_merge_queue_is_compared_with_what_it_put_before(forked: Forked, tmp_path: Path) -> None:
    """The commit that the queue made of the change before this one, which is not on the target branch yet."""
    forked.repository.checkout("main")
    before = forked.repository.commit({"queued": "1"})
    forked.repository.git("checkout", "--quiet", "--detach")
    forked.repository.merge("feature")
    forked.repository.git("branch", "--force", "main", forked.main)
    event = {"merge_group": {"head_sha": forked.repository.sha(), "base_sha": before, "base_ref": "refs/heads/main"}}
    change = github(tmp_path, event, GITHUB_EVENT_NAME="merge_group")
    found = base(forked.repository, change=change)
    assert found == Revision(sha=before, ref="main", why="what the merge queue put before it")


def test_the_sentence_says_why_this_commit(forked: Forked) -> None:
    """Whoever reads a report can tell which of several possible commits was used."""
    found = {base(forked.repository, configured).why for configured in ("auto", "branch:main", "rev:main~1")}
    assert found == {"merge base of HEAD and main", "tip of main", "baseline in ci-ml.yaml"}
    assert all(re.fullmatch(r"[\w .,~/-]+", why) for why in found)


class TestInProduction:
    """The commit of the model that has an alias."""

    @staticmethod
    def base(
        repository: Repository, found: "str | Gap", explicit: str | None = None, change: Change | None = None
    ) -> Revision:
        history, change = repository.adapter, change or Change()
        at = baseline.head(history, change)
        configured = "auto" if explicit else "mlflow:models:/churn@champion"
        return baseline.resolve(history, configured, explicit, at, change, lambda reference: found)

    def test_is_what_its_version_was_made_from(self, forked: Forked) -> None:
        repository = forked.repository
        sha = repository.git("rev-parse", "HEAD~1")
        for explicit in (None, "mlflow:models:/churn@champion"):
            found = self.base(repository, sha, explicit)
            assert (found.sha, found.ref) == (sha, "models:/churn@champion")

    def test_is_as_without_it_while_nothing_has_the_alias(self, forked: Forked) -> None:
        found = self.base(forked.repository, Gap(reason="nothing is it", absent=True))
        assert found.sha == base(forked.repository).sha
        assert found.why.endswith("nothing is models:/churn@champion yet")
        assert found.notices == (
            "nothing is models:/churn@champion yet, so the base is that of `baseline: auto`; it is what has the alias "
            "once `ci-ml promote` has set it",
        )

    def test_is_as_without_it_for_its_own_commit(self, forked: Forked) -> None:
        forked.repository.checkout("main")
        for explicit in (None, "mlflow:models:/churn@champion"):
            found = self.base(forked.repository, forked.main, explicit)
            assert found.sha == forked.repository.git("rev-parse", "main~1")
            assert found.why.endswith(f"{forked.main[:7]} is models:/churn@champion itself")
            assert found.notices == (
                f"{forked.main[:7]} is models:/churn@champion itself, so the base is that of `baseline: auto`; a model "
                "is not compared with itself",
            )

    def test_is_its_own_commit_for_what_is_edited_on_top_of_it_but_not_for_what_a_job_made(
        self, forked: Forked
    ) -> None:
        forked.repository.checkout("main")
        forked.repository.write("a", "edited")
        assert self.base(forked.repository, forked.main).sha == forked.main
        job = self.base(forked.repository, forked.main, change=Change(forge="github"))
        assert job.sha == forked.repository.git("rev-parse", "main~1")

    def test_of_the_very_first_commit_there_is_none(self, repository: Repository) -> None:
        sha = repository.commit({"a": "0"})
        with pytest.raises(baseline.FirstCommit):
            self.base(repository, sha)

    def test_is_an_error_when_nobody_knows_its_commit(self, forked: Forked) -> None:
        for found in (Gap(reason="nothing says which commit made it"), "f" * 40, "--upload-pack=evil", "a:b"):
            with pytest.raises(UsageError):
                self.base(forked.repository, found)
