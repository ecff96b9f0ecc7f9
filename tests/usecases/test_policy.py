from typing import Literal

import pytest

from ci_ml.core.types import Revision
from ci_ml.errors import ConfigError, UsageError
from ci_ml.usecases import policy
from ci_ml.usecases.policy import Policy
from tests.repositories import Repository

STRICT = "version: 1\ngates:\n  - {metric: 'm.json:acc', direction: higher}\n"
LAX = "version: 1\ngates:\n  - {metric: 'm.json:acc', direction: higher, margin: 1}\n"
BROKEN = "version: 1\ngates: lax\n"


def choose(
    repository: Repository,
    base: str | None,
    head: str | None,
    prefer: Literal["base", "head"] = "base",
    path: str = "ci-ml.yaml",
) -> Policy:
    """The policy when the base commit has one text as its ci-ml.yaml and the work tree another."""
    sha = repository.commit({path: base} if base is not None else {"other": ""})
    (repository.root / path).unlink(missing_ok=True)
    if head is not None:
        repository.write(path, head)
    history = repository.adapter
    return policy.choose(history.tree(sha), history.work_tree(), path, Revision(sha=sha), prefer)


def short(repository: Repository) -> str:
    return repository.sha()[:7]


def margin(found: Policy) -> float:
    return found.config.gates[0].margin.value


class TestTheGatesOfTheBaseJudge:
    def test_an_unchanged_file(self, repository: Repository) -> None:
        found = choose(repository, STRICT, STRICT)
        assert (found.source, found.changed_in_head, found.notices, found.warnings) == ("base", False, (), ())
        assert found.digest.startswith("sha256:")

    def test_a_change_that_lowers_the_bar_is_judged_by_the_old_one_and_says_so(self, repository: Repository) -> None:
        found = choose(repository, STRICT, LAX)
        assert (found.source, found.changed_in_head, margin(found)) == ("base", True, 0.0)
        assert found.notices == (
            f"this change edits ci-ml.yaml; it is judged by the gates of the base {short(repository)}",
        )

    def test_a_change_that_deletes_the_file_too(self, repository: Repository) -> None:
        found = choose(repository, STRICT, None)
        assert (found.source, found.changed_in_head) == ("base", True)
        assert found.notices == (
            f"this change deletes ci-ml.yaml; it is judged by the gates of the base {short(repository)}",
        )

    def test_a_file_in_a_subfolder(self, repository: Repository) -> None:
        found = choose(repository, STRICT, LAX, path="ml/churn/ci-ml.yaml")
        assert (found.source, margin(found)) == ("base", 0.0)


class TestTheGatesOfTheHeadJudge:
    def test_when_the_base_has_none(self, repository: Repository) -> None:
        found = choose(repository, None, LAX)
        assert (found.source, found.changed_in_head, margin(found), found.warnings) == ("head", False, 1.0, ())
        assert found.notices == (
            f"the base {short(repository)} has no ci-ml.yaml: the gates are those of the change itself",
        )

    def test_with_a_warning_when_those_of_the_base_are_broken(self, repository: Repository) -> None:
        found = choose(repository, BROKEN, LAX)
        assert (found.source, found.changed_in_head, margin(found)) == ("head", True, 1.0)
        assert found.warnings == (
            (
                f"ci-ml.yaml at {short(repository)} has 1 problem (first: ci-ml.yaml at {short(repository)}:2: gates: "
                "must be a list), so the gates are those of the change itself."
            ),
        )

    def test_when_asked_to(self, repository: Repository) -> None:
        found = choose(repository, STRICT, LAX, "head")
        assert (found.source, margin(found)) == ("head", 1.0)
        assert found.notices == ("the gates are those of the work tree (--policy head), not of the base",)


class TestNothingCanBeJudged:
    @pytest.mark.parametrize("base", [None, STRICT, BROKEN])
    @pytest.mark.parametrize("prefer", ["base", "head"])
    def test_when_the_file_of_the_change_is_broken(
        self, repository: Repository, base: str | None, prefer: Literal["base", "head"]
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            choose(repository, base, BROKEN, prefer)
        assert caught.value.problems == ("ci-ml.yaml:2: gates: must be a list",)

    def test_when_the_base_is_broken_and_the_change_has_none(self, repository: Repository) -> None:
        with pytest.raises(ConfigError, match=r"ci-ml\.yaml at \w{7} has 1 problem"):
            choose(repository, BROKEN, None)

    def test_when_there_is_none_on_either_side(self, repository: Repository) -> None:
        with pytest.raises(UsageError) as caught:
            choose(repository, None, None)
        assert caught.value.what == (
            f"there is no ci-ml.yaml, neither in the base {short(repository)} nor in the work tree"
        )

    def test_when_the_one_that_is_asked_for_is_not_there(self, repository: Repository) -> None:
        with pytest.raises(UsageError, match=r"there is no ci-ml\.yaml in the work tree"):
            choose(repository, STRICT, None, "head")

    def test_when_it_is_a_folder(self, repository: Repository) -> None:
        repository.write("ci-ml.yaml/x", "")
        with pytest.raises(UsageError, match=r"ci-ml\.yaml: ci-ml\.yaml is a folder"):
            policy.load(repository.adapter.work_tree(), "ci-ml.yaml", "ci-ml.yaml")
