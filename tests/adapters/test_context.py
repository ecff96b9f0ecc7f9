import json
from pathlib import Path
from typing import Any

import pytest

from ci_ml.adapters import context
from ci_ml.core.types import Change, Run

HEAD, BASE = "a" * 40, "b" * 40
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "ada/churn",
    "GITHUB_RUN_ID": "42",
    "GITHUB_SHA": "c" * 40,
}
RUN = "https://github.com/ada/churn/actions/runs/42"
ON_MAIN = {"CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main", "CI_DEFAULT_BRANCH": "main"}
GITLAB = {"GITLAB_CI": "true", "CI_JOB_URL": "https://gitlab.com/ada/churn/-/jobs/42", "CI_COMMIT_SHA": HEAD}


def github(tmp_path: Path, event: Any, **env: str) -> Change:
    path = tmp_path / "event.json"
    path.write_text(event if isinstance(event, str) else json.dumps(event))
    return context.read({**GITHUB, "GITHUB_EVENT_PATH": str(path), **env})


def test_a_laptop_says_nothing() -> None:
    assert context.read({"HOME": "/home/ada", "GITHUB_REF": "refs/heads/x"}) == Change()


class TestGitHub:
    def pull(self, tmp_path: Path, name: str = "pull_request", ref: str = "refs/pull/7/merge") -> Change:
        event = {"pull_request": {"head": {"sha": HEAD}, "base": {"sha": BASE}}, "before": "d" * 40}
        return github(
            tmp_path,
            event,
            GITHUB_EVENT_NAME=name,
            GITHUB_REF=ref,
            GITHUB_REF_NAME="7/merge",
            GITHUB_BASE_REF="main",
            GITHUB_HEAD_REF="feature",
        )

    def test_a_pull_request(self, tmp_path: Path) -> None:
        assert self.pull(tmp_path) == Change(
            forge="github",
            event="pull_request",
            head=HEAD,
            target="main",
            base=None,
            is_merge=True,
            ref="feature",
            repository="ada/churn",
            outsider="a fork",  # its repository is not named: nothing says that it is ours
            checked_out="c" * 40,
            run=Run(number=42),
            run_url=RUN,
        )

    @pytest.mark.parametrize(
        ("source", "actor", "outsider"),
        [
            ("ada/churn", "ada", None),
            ("mallory/churn", "mallory", "a fork"),
            (None, "mallory", "a fork"),  # deleted
            ("ada/churn", "dependabot[bot]", "Dependabot"),
        ],
    )
    def test_whose_token_can_only_read(
        self, tmp_path: Path, source: str | None, actor: str, outsider: str | None
    ) -> None:
        repo = {"full_name": source} if source else None
        event = {"pull_request": {"number": 7, "head": {"sha": HEAD, "repo": repo}}}
        found = github(tmp_path, event, GITHUB_EVENT_NAME="pull_request", GITHUB_ACTOR=actor, GITHUB_RUN_ATTEMPT="3")
        assert (found.number, found.outsider, found.run) == (7, outsider, Run(number=42, attempt=3))

    @pytest.mark.parametrize("number", [None, "7", 0, -1, True, 7.5, 10**30])
    def test_a_number_that_is_none(self, tmp_path: Path, number: object) -> None:
        event = {"pull_request": {"number": number, "head": {"sha": HEAD}}}
        assert github(tmp_path, event, GITHUB_EVENT_NAME="pull_request").number is None

    @pytest.mark.parametrize("sha", ["", "abc", "A" * 40, "a" * 41, f"{HEAD}\n", "../../x"])
    def test_a_commit_that_is_none(self, tmp_path: Path, sha: str) -> None:
        event = {"pull_request": {"number": 7, "head": {"sha": sha}}}
        assert github(tmp_path, event, GITHUB_EVENT_NAME="pull_request").head is None

    def test_after_another_workflow_everything_comes_from_the_event(self, tmp_path: Path) -> None:
        run = {
            "id": 41,
            "run_attempt": 2,
            "event": "pull_request",
            "head_sha": HEAD,
            "head_branch": "feature",
            "head_repository": {"full_name": "mallory/churn", "owner": {"login": "mallory"}},
            "html_url": "https://github.com/ada/churn/actions/runs/41",
        }
        assert github(tmp_path, {"workflow_run": run}, GITHUB_EVENT_NAME="workflow_run") == Change(
            forge="github",
            event="workflow_run",
            head=HEAD,
            ref="feature",
            repository="ada/churn",
            source="mallory:feature",
            outsider="a fork",
            checked_out=HEAD,
            run=Run(number=41, attempt=2),
            run_url="https://github.com/ada/churn/actions/runs/41/attempts/2",
        )

    def test_after_a_push_there_is_no_request_to_look_for(self, tmp_path: Path) -> None:
        run = {"event": "push", "head_sha": HEAD, "head_branch": "main", "head_repository": {"owner": {"login": "ada"}}}
        found = github(tmp_path, {"workflow_run": run}, GITHUB_EVENT_NAME="workflow_run")
        assert (found.source, found.outsider, found.head) == (None, None, HEAD)

    def test_a_pull_request_target_runs_on_the_base_branch(self, tmp_path: Path) -> None:
        found = self.pull(tmp_path, "pull_request_target", "refs/heads/main")
        assert (found.head, found.target, found.is_merge) == (HEAD, "main", False)

    def test_a_push_to_the_default_branch(self, tmp_path: Path) -> None:
        found = github(
            tmp_path,
            {"before": BASE, "repository": {"default_branch": "main"}},
            GITHUB_EVENT_NAME="push",
            GITHUB_REF="refs/heads/main",
            GITHUB_REF_NAME="main",
            GITHUB_BASE_REF="",
            GITHUB_HEAD_REF="",
        )
        assert found == Change(
            forge="github",
            event="push",
            base=BASE,
            ref="main",
            repository="ada/churn",
            checked_out="c" * 40,
            run=Run(number=42),
            run_url=RUN,
        )

    def test_the_first_push_of_a_branch_has_no_commit_before_it(self, tmp_path: Path) -> None:
        event = {"before": "0" * 40, "repository": {"default_branch": "main"}}
        assert github(tmp_path, event, GITHUB_EVENT_NAME="push", GITHUB_REF_NAME="main").base is None

    @pytest.mark.parametrize(
        "env",
        [
            {"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "feature"},
            {"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "tag"},
            {"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_REF_NAME": "main"},
        ],
    )
    def test_an_earlier_push_elsewhere_is_no_base_for_it_may_be_worse(
        self, tmp_path: Path, env: dict[str, str]
    ) -> None:
        assert github(tmp_path, {"before": BASE, "repository": {"default_branch": "main"}}, **env).base is None

    def test_a_merge_queue(self, tmp_path: Path) -> None:
        event = {"merge_group": {"head_sha": HEAD, "base_sha": BASE, "base_ref": "refs/heads/main"}}
        ref = "refs/heads/gh-readonly-queue/main/pr-7"
        found = github(
            tmp_path, event, GITHUB_EVENT_NAME="merge_group", GITHUB_REF=ref, GITHUB_REF_NAME=ref[len("refs/heads/") :]
        )
        assert (found.head, found.base, found.target, found.is_merge) == (HEAD, BASE, "main", False)

    @pytest.mark.parametrize(
        "event", ["", "{", "[]", '"text"', '{"pull_request": 7}', '{"pull_request": {"head": []}}']
    )
    def test_an_event_that_cannot_be_read_leaves_its_fields_empty(self, tmp_path: Path, event: str) -> None:
        found = github(tmp_path, event, GITHUB_EVENT_NAME="pull_request", GITHUB_BASE_REF="main")
        assert (found.forge, found.head, found.target) == ("github", None, "main")

    @pytest.mark.parametrize("path", [None, "", "/nowhere/event.json", "/"])
    def test_an_event_that_is_not_there_leaves_its_fields_empty(self, path: str | None) -> None:
        env = {**GITHUB, "GITHUB_EVENT_NAME": "pull_request", **({} if path is None else {"GITHUB_EVENT_PATH": path})}
        assert context.read(env).head is None


class TestGitLab:
    @pytest.mark.parametrize(("source", "outsider"), [("40", None), ("41", "a fork")])
    def test_a_merge_request(self, source: str, outsider: str | None) -> None:
        found = context.read(
            {
                **GITLAB,
                "CI_MERGE_REQUEST_IID": "7",
                "CI_MERGE_REQUEST_PROJECT_ID": "40",
                "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": source,
                "CI_PROJECT_ID": source,
                "CI_PIPELINE_SOURCE": "merge_request_event",
                "CI_PIPELINE_ID": "400",
                "CI_JOB_ID": "9000",
                "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
                "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
                "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
                "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
                "CI_COMMIT_BEFORE_SHA": "0" * 40,
            }
        )
        assert found == Change(
            forge="gitlab",
            event="merge_request_event",
            head=HEAD,
            target="main",
            is_merge=False,
            ref="feature",
            repository="40",
            number=7,
            outsider=outsider,
            checked_out=HEAD,
            run=Run(number=400, attempt=9000),
            pipeline=400,
            run_url=GITLAB["CI_JOB_URL"],
        )

    @pytest.mark.parametrize("kind", ["merged_result", "merge_train"])
    def test_a_merged_result_is_a_merge_of_the_source_branch(self, kind: str) -> None:
        found = context.read(
            {
                **GITLAB,
                "CI_COMMIT_SHA": "c" * 40,
                "CI_MERGE_REQUEST_IID": "7",
                "CI_MERGE_REQUEST_EVENT_TYPE": kind,
                "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
                "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD,
            }
        )
        assert (found.head, found.is_merge) == (HEAD, True)

    def test_a_push_to_the_default_branch(self) -> None:
        found = context.read({**GITLAB, **ON_MAIN, "CI_COMMIT_BEFORE_SHA": BASE})
        assert (found.head, found.base, found.target, found.ref) == (HEAD, BASE, None, "main")

    @pytest.mark.parametrize("env", [{"CI_COMMIT_BRANCH": "feature"}, {"CI_COMMIT_BRANCH": ""}])
    def test_an_earlier_push_elsewhere_is_no_base_for_it_may_be_worse(self, env: dict[str, str]) -> None:
        assert context.read({**GITLAB, **ON_MAIN, **env, "CI_COMMIT_BEFORE_SHA": BASE}).base is None

    def test_the_first_push_of_a_branch_has_no_commit_before_it(self) -> None:
        assert context.read({**GITLAB, **ON_MAIN, "CI_COMMIT_BEFORE_SHA": "0" * 40}).base is None
