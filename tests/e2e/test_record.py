"""`ci-ml record`: what a push to the default branch trained is pushed and committed, right after what was judged."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.project import Project, Result, clean_environment
from tests.fakes import git_server
from tests.fakes.git_server import GitServer

pytestmark = pytest.mark.thorough

REPOSITORY = "acme/churn"
TOKEN = "s3cr3t-t0ken"


@dataclass(frozen=True, kw_only=True)
class Main:
    """The default branch on a server, and a change that was merged there without training it."""

    project: Project
    server: GitServer
    bare: Path

    def merge(self, path: str = "params.yaml", old: str = "steps: 3", new: str = "steps: 2") -> str:
        self.project.edit(path, old, new)
        commit = self.project.commit("merged")
        self.project.git("push", "--quiet", str(self.bare), "HEAD:main")
        return commit

    def tip(self) -> str:
        return self.project.git("-C", str(self.bare), "rev-parse", "main")

    def job(self, name: str) -> Project:
        """A checkout of its own, as a CI system makes it: no identity, no credentials, a detached HEAD."""
        clone = self.project.clone(name, "--depth=2", url=f"file://{self.bare}")
        clone.git("checkout", "--quiet", "--detach")
        clone.git("remote", "set-url", "origin", f"{self.server.url}/{REPOSITORY}.git")
        env = clean_environment(clone.root.parent / "runner-home")
        return Project(root=clone.root, env={key: value for key, value in env.items() if key not in WHO})

    def github(self, job: Project, *arguments: str, token: str = TOKEN, **env: str) -> Result:
        event = job.root.parent / "event.json"
        before = job.git("rev-list", "--max-count=2", "HEAD").split()[-1]
        event.write_text(json.dumps({"before": before, "repository": {"default_branch": "main"}}))
        return job.ci_ml(
            *arguments,
            env={
                "GITHUB_ACTIONS": "true",
                "GITHUB_SERVER_URL": self.server.url,
                "GITHUB_REPOSITORY": REPOSITORY,
                "GITHUB_EVENT_NAME": "push",
                "GITHUB_EVENT_PATH": str(event),
                "GITHUB_REF": "refs/heads/main",
                "GITHUB_REF_NAME": "main",
                "GITHUB_REF_TYPE": "branch",
                "GITHUB_SHA": job.git("rev-parse", "HEAD"),
                "CI_ML_TOKEN": token,
                **env,
            },
        )

    def gitlab(self, job: Project, *arguments: str, **env: str) -> Result:
        commit = job.git("rev-parse", "HEAD")
        return job.ci_ml(
            *arguments,
            env={
                "GITLAB_CI": "true",
                "CI_PROJECT_URL": f"{self.server.url}/{REPOSITORY}",
                "CI_SERVER_HOST": "gitlab.example",
                "CI_COMMIT_BRANCH": "main",
                "CI_DEFAULT_BRANCH": "main",
                "CI_COMMIT_REF_NAME": "main",
                "CI_COMMIT_SHA": commit,
                "CI_COMMIT_BEFORE_SHA": job.git("rev-list", "--max-count=2", "HEAD").split()[-1],
                "CI_PIPELINE_SOURCE": "push",
                **env,
            },
        )


# Who commits: on a runner nobody has said it.
WHO = {f"GIT_{role}_{key}" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}


@pytest.fixture
def main(project: Project, tmp_path: Path) -> Iterator[Main]:
    users = {"x-access-token": TOKEN, "gitlab-ci-token": "job", "oauth2": TOKEN}
    with git_server.serve(tmp_path / "server", users) as server:
        (tmp_path / "server" / "acme").mkdir(parents=True)
        bare = server.repository(REPOSITORY)
        project.git("push", "--quiet", str(bare), "HEAD:main")
        yield Main(project=project, server=server, bare=bare)


def moved(source: Project, target: Project) -> None:
    """What one job uploads and another downloads."""
    shutil.copytree(source.root / ".ci-ml" / "handover", target.root / ".ci-ml" / "handover")


def trained(main: Main) -> Project:
    """The job that trained and judged what was merged."""
    job = main.job("gate")
    main.github(job, "ci", "--hand-on", "--no-publish").expect(0)
    return job


def test_a_push_is_recorded_as_dvc_repro_would_leave_it(main: Main) -> None:
    merged = main.merge()
    gate, job = trained(main), main.job("record")
    moved(gate, job)
    told = job.root.parent / "outputs"
    said = main.github(job, "record", GITHUB_OUTPUT=str(told)).expect(0)
    tip = main.tip()
    assert tip in told.read_text(), "later jobs know the commit"
    assert f"recorded as {tip[:7]} on main" in said.out
    assert main.project.git("-C", str(main.bare), "rev-parse", f"{tip}^") == merged
    main.project.dvc("repro", "--quiet")
    main.project.git("fetch", "--quiet", str(main.bare), "main")
    assert main.project.git("diff", "--stat", "FETCH_HEAD") == "", "dvc.lock and metrics.json as dvc repro makes them"
    assert main.project.digest("model.json") in main.project.remote_files(), "the data is on the remote"
    about = main.project.git("log", "-1", "--format=%an%n%ae%n%B", "FETCH_HEAD")
    assert about.startswith("github-actions[bot]\n41898282+github-actions[bot]@users.noreply.github.com\n")
    assert f"Record what training made of {merged[:7]}" in about
    assert "- train" in about
    assert TOKEN not in said.out + said.err
    assert TOKEN not in (job.root / ".git" / "config").read_text()


def test_the_next_run_has_nothing_to_do(main: Main) -> None:
    main.merge()
    gate, job = trained(main), main.job("record")
    moved(gate, job)
    main.github(job, "record").expect(0)
    again, last = main.job("again"), main.job("last")
    main.github(again, "ci", "--hand-on", "--no-publish").expect(0)
    assert not (again.root / ".ci-ml" / "handover").exists()
    told = last.root.parent / "outputs"
    assert "nothing to record" in main.github(last, "record", GITHUB_OUTPUT=str(told)).expect(0).out
    assert main.tip() in told.read_text(), "what was trained is in this commit already"


def test_a_branch_that_has_moved_on_is_left_to_its_own_run(main: Main) -> None:
    main.merge()
    gate, job = trained(main), main.job("record")
    moved(gate, job)
    newer = main.merge(old="steps: 2", new="steps: 4")
    told = job.root.parent / "outputs"
    said = main.github(job, "record", GITHUB_OUTPUT=str(told)).expect(0).out
    assert re.search(r"^commit<<(\S+)\n\n\1$", told.read_text(), re.MULTILINE), "there is no commit to promote"
    assert f"main has moved on to {newer[:7]}, whose own run records" in said
    assert main.tip() == newer


def test_a_token_that_may_not_push_is_an_error_that_says_what_to_do(main: Main) -> None:
    merged = main.merge()
    gate, job = trained(main), main.job("record")
    moved(gate, job)
    said = main.github(job, "record", token="another").expect(3)
    assert "could not be pushed to main" in said.err
    assert "contents: write" in said.err
    assert main.tip() == merged


@pytest.mark.parametrize("env", [{"CI_JOB_TOKEN": "job"}, {"CI_JOB_TOKEN": "useless", "CI_ML_TOKEN": TOKEN}])
def test_on_gitlab_the_job_token_pushes_where_there_is_no_other(main: Main, env: dict[str, str]) -> None:
    merged = main.merge()
    gate, job = trained(main), main.job("record")
    moved(gate, job)
    main.gitlab(job, "record", **env).expect(0)
    assert job.read(".ci-ml/record.env") == f"CI_ML_RECORDED={main.tip()}\n"
    assert main.project.git("-C", str(main.bare), "rev-parse", "main^") == merged
    assert main.project.git("-C", str(main.bare), "log", "-1", "--format=%ae", "main") == "ci-ml@noreply.gitlab.example"


def test_what_was_handed_on_by_another_commit_is_refused(main: Main) -> None:
    main.merge()
    gate = trained(main)
    main.merge(old="steps: 2", new="steps: 4")
    job = main.job("record")
    moved(gate, job)
    assert "this is" in main.github(job, "record").expect(2).err


def test_a_pull_request_is_never_recorded(main: Main) -> None:
    main.merge()
    job = main.job("record")
    event = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_REF_NAME": "7/merge"}
    (job.root.parent / "pull.json").write_text('{"pull_request": {"number": 7}}')
    said = main.github(job, "record", **event, GITHUB_EVENT_PATH=str(job.root.parent / "pull.json")).expect(2)
    assert "record is for a push to a branch" in said.err


def test_a_scheduled_run_trains_everything_anew_and_compares_it_with_what_is_recorded(main: Main) -> None:
    job = main.job("night")
    said = main.github(job, "ci", "--no-publish", "--format", "json", GITHUB_EVENT_NAME="schedule").expect(0)
    assert {stage["state"] for stage in job.json(".ci-ml/training.json")["stages"]} == {"ran"}
    report = said.json()
    assert report["base"]["sha"] == report["head"]["sha"]
    assert {item["status"] for item in report["comparisons"]} == {"unchanged"}
    job.write("data/raw.csv", "1.0,1\n-1.0,0\n")  # as if the stage that fetches data had brought other data
    job.dvc("add", "--quiet", "data/raw.csv")
    said = main.github(job, "ci", "--no-publish", "--format", "json", GITHUB_EVENT_NAME="schedule")
    assert "unchanged" not in {item["status"] for item in said.json()["comparisons"]}
