"""The loop on both forges: production that drifted has an issue, a challenger that passed has a request."""

import io
import json
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci_ml.errors import ConfigError
from ci_ml.wiring import monitoring, workspace
from ci_ml.wiring.monitoring import Watched
from tests.e2e import churning, watching
from tests.e2e.project import DEADLINE, Project, Result, alive, copy, ended, until
from tests.e2e.watching import produce
from tests.fakes.github import GitHub
from tests.fakes.gitlab import GitLab

REPOSITORY = "acme/churn"
BRANCH = "ci-ml/retrain"
LEDGER = "refs/ci-ml/retraining"
MAY = {"issues": "write", "pull-requests": "write", "contents": "write"}
# A warehouse that keeps a job waiting until somebody opens its door, where there is one.
REFRESH = """\
import os, shutil, sys
if os.path.exists("../door"):
    open("../waiting", "w").write(str(os.getpid()))
    open("../door").read()
shutil.copyfile(sys.argv[1], "data/raw.csv")
"""
RETRAIN = """\
retrain:
  refresh: {command: [python, src/refresh.py, ../warehouse.csv]}
  labels: [retraining, model]
"""


@pytest.fixture(scope="module")
def looping(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """The watched project, which retrains, and a server that has it."""
    folder = tmp_path_factory.mktemp("looping")
    project = watching.build(folder, environment)
    project.write("src/refresh.py", REFRESH)
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + RETRAIN)
    project.commit("continuous training")
    project.git("clone", "--quiet", "--bare", ".", f"../server/{REPOSITORY}.git")
    return folder


@pytest.fixture
def project(looping: Path, tmp_path: Path, environment: dict[str, str]) -> Project:
    copy(looping, tmp_path / "l")
    project = Project(root=tmp_path / "l" / "repo", env=environment)
    project.git("remote", "add", "origin", f"../server/{REPOSITORY}.git")
    return project


@dataclass(kw_only=True)
class Jobs:
    """Jobs of a schedule on one forge, for which git is the server beside the project."""

    project: Project
    forge: Any
    repo: Any
    token: str
    run: int = 0
    env: dict[str, str] = field(default_factory=dict)

    @property
    def is_github(self) -> bool:
        return isinstance(self.forge, GitHub)

    @property
    def bare(self) -> Path:
        return self.project.root.parent / "server" / f"{REPOSITORY}.git"

    def environment(self) -> dict[str, str]:
        self.run += 1
        server, commit = f"file://{self.bare.parent.parent}", self.project.git("rev-parse", "HEAD")
        github = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_SERVER_URL": server,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_EVENT_NAME": "schedule",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_NAME": "main",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_SHA": commit,
            "GITHUB_RUN_ID": str(self.run),
            "GITHUB_RUN_ATTEMPT": "1",
        }
        if self.is_github:
            github["GITHUB_GRAPHQL_URL"] = self.forge.graphql_url
        gitlab = {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": self.forge.url,
            "CI_PROJECT_ID": "40",
            "CI_PROJECT_URL": f"{server}/{REPOSITORY}",
            "CI_COMMIT_BRANCH": "main",
            "CI_COMMIT_REF_NAME": "main",
            "CI_DEFAULT_BRANCH": "main",
            "CI_COMMIT_SHA": commit,
            "CI_PIPELINE_SOURCE": "schedule",
            "CI_PIPELINE_ID": str(self.run),
            "CI_JOB_ID": str(self.run),
        }
        return {
            "CI": "true",
            "CI_ML_TOKEN": self.token,
            "CI_ML_PATIENCE": "3",
            **(github if self.is_github else gitlab),
            **self.env,
        }

    def ci_ml(self, *arguments: str) -> Result:
        return self.project.ci_ml(*arguments, env=self.environment())

    def monitor(self) -> tuple[Watched, str]:
        """What `ci-ml monitor` does, in this process; and what it says of it."""
        said = io.StringIO()
        space = workspace.find(None, None, cwd=self.project.root, env={**self.project.env, **self.environment()})
        (watched,) = monitoring.run(space, (), said)
        return watched, said.getvalue()

    def see(self, _: Any = None) -> None:
        """The forge knows the branches that git has."""
        for line in self.project.git(
            "-C", str(self.bare), "for-each-ref", "refs/heads", "--format=%(objectname) %(refname:lstrip=2)"
        ).splitlines():
            sha, branch = line.split()
            if self.repo.branches.get(branch) == sha:
                continue
            self.repo.commit(sha, branch=branch)
            for request in self.requests:
                if request.branch == branch and request.head != sha:
                    request.push(sha)
            if branch == BRANCH and not self.is_github:
                self.repo.pipeline(sha, branch)

    @property
    def requests(self) -> list[Any]:
        return list((self.repo.pulls if self.is_github else self.repo.merge_requests).values())

    @property
    def issues(self) -> list[Any]:
        return list(self.repo.issues.values())


def text(topic: Any) -> str:
    return str(topic.body if hasattr(topic, "body") else topic.description).replace("`", "")


def labels(topic: Any) -> list[str]:
    return sorted(getattr(label, "name", label) for label in topic.labels)


def remarks(topic: Any) -> list[str]:
    return [note.body for note in (topic.comments if hasattr(topic, "comments") else topic.notes)]


def on(kind: str, project: Project) -> Iterator[Jobs]:
    if kind == "github":
        with GitHub() as github:
            made = Jobs(
                project=project, forge=github, repo=github.repository(REPOSITORY), token=github.token(permissions=MAY)
            )
            github.before(made.see, times=None)
            yield made
    else:
        with GitLab() as gitlab:
            repo = gitlab.project(REPOSITORY)
            made = Jobs(project=project, forge=gitlab, repo=repo, token=gitlab.token(project=REPOSITORY))
            gitlab.before(made.see, times=None)
            yield made


@pytest.fixture(params=["github", "gitlab"])
def jobs(request: pytest.FixtureRequest, project: Project) -> Iterator[Jobs]:
    yield from on(request.param, project)


@pytest.fixture
def on_github(project: Project) -> Iterator[Jobs]:
    yield from on("github", project)


def arrive(project: Project, rows: str) -> None:
    """New data are in the warehouse."""
    (project.root.parent / "warehouse.csv").write_text(rows)


def record(project: Project) -> list[Any]:
    """The entries of the record, as the server has them."""
    project.git("fetch", "--quiet", "origin", f"+{LEDGER}:refs/test/ledger")
    return [json.loads(line) for line in project.git("show", "refs/test/ledger:entries.jsonl").splitlines()]


# --- The issue ---------------------------------------------------------------------------------------------------------


def test_an_issue_opens_is_kept_true_closes_and_opens_again(jobs: Jobs) -> None:
    produce(jobs.project)
    jobs.monitor()
    assert jobs.issues == []
    produce(jobs.project, shift=3.0)
    first, said = jobs.monitor()
    [issue] = jobs.issues
    assert first.issue, said
    assert issue.state.startswith("open")
    assert issue.title == "live: production has drifted"
    assert "share of columns that drifted is too large" in text(issue)
    assert labels(issue) == ["monitoring"]
    produce(jobs.project, count=50)
    again, _ = jobs.monitor()
    assert again.issue == first.issue
    assert issue.title == "live: production cannot be compared"
    assert "50 rows" in text(issue)
    produce(jobs.project)
    jobs.monitor()
    assert issue.state == "closed"
    assert len(remarks(issue)) == 1
    produce(jobs.project, boundary=2.0)
    jobs.monitor()
    assert issue.state.startswith("open")
    assert "test.accuracy fell" in text(issue)
    assert len(jobs.issues) == 1


@pytest.mark.thorough
def test_a_token_that_may_write_no_issue_is_a_note(jobs: Jobs) -> None:
    produce(jobs.project, shift=3.0)
    weak = {"permissions": {"contents": "read"}} if jobs.is_github else {"project": REPOSITORY, "scopes": ("read_api",)}
    jobs.token = jobs.forge.token(**weak)
    done = jobs.ci_ml("monitor").expect(10)
    assert jobs.issues == []
    notes = [line for line in done.err.splitlines() if line.startswith("note:")]
    [note] = notes
    assert "No issue: " in note
    assert ("issues: write" if jobs.is_github else "scope `api`") in note
    assert jobs.token not in done.text


def test_without_an_issue_where_none_is_wanted(on_github: Jobs) -> None:
    on_github.project.edit("ci-ml.yaml", "    reference: train\n", "    reference: train\n    issue: false\n")
    produce(on_github.project, shift=3.0)
    on_github.monitor()
    assert on_github.forge.requests == []


def test_later_steps_and_the_summary_hear_of_it(on_github: Jobs, tmp_path: Path) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary.md"
    on_github.env = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    produce(on_github.project, shift=3.0)
    watched, _ = on_github.monitor()
    given = given_on(output)
    assert given["outcome"] == "fail"
    assert given["issue-url"] == watched.issue
    assert json.loads(Path(given["report"]).read_text())["verdict"]["outcome"] == "fail"
    assert Path(given["page"]).name == "report.html"
    assert "share of columns that drifted" in summary.read_text()
    output.unlink()
    on_github.project.edit("ci-ml.yaml", "{path: production.csv, window", "{path: production.csv, windows")
    with pytest.raises(ConfigError):
        on_github.monitor()
    assert given_on(output) == {"outcome": "error"}


def given_on(place: Path) -> dict[str, str]:
    """What a job hands on to later steps, by name."""
    lines = iter(place.read_text().splitlines())
    return {line.partition("<<")[0]: "\n".join(iter(lambda: next(lines), line.partition("<<")[2])) for line in lines}


# --- The request -------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_challenger_is_proposed_and_the_next_one_takes_its_place(jobs: Jobs) -> None:
    project = jobs.project
    if jobs.is_github:
        jobs.repo.require("gate")
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    done = jobs.ci_ml("retrain").expect(0)
    [request] = jobs.requests
    assert (request.title, request.branch, request.base_branch) == ("Retrain repo", BRANCH, "main")
    assert labels(request) == ["model", "retraining"]
    assert "All 2 gated metrics held, 2 improved" in text(request)
    assert not request.automatic
    assert f"proposed: {jobs.forge.origin}/{REPOSITORY}/" in done.err
    assert ("starts no workflow" in done.err) == jobs.is_github
    assert record(project)[-1]["proposal"]
    first, words = request.head, text(request)
    project.git("checkout", "--quiet", "--", ".")
    project.edit("ci-ml.yaml", "retrain:\n", "retrain:\n  merge: improved\n")
    project.commit("improvements are merged")
    project.git("push", "--quiet", "origin", "main")
    arrive(project, churning.rows(20_000, 1200, boundary=2.0))
    done = jobs.ci_ml("retrain").expect(0)
    assert jobs.requests == [request]
    assert request.head != first
    assert text(request) != words
    assert request.automatic, done.err


@pytest.mark.thorough
def test_a_bad_challenger_is_proposed_nowhere(jobs: Jobs) -> None:
    head, *rows = churning.rows(10_000, 1200).split()
    turned = [f"{row[:-1]}{1 - int(row[-1])}" for row in rows[:600]]
    arrive(jobs.project, "\n".join([head, *turned, *rows[600:]]) + "\n")
    jobs.ci_ml("retrain").expect(10)
    assert jobs.requests == []
    assert BRANCH not in jobs.repo.branches
    assert record(jobs.project)[-1]["outcome"] == "fail"


@pytest.mark.thorough
def test_a_forge_that_takes_no_request_is_an_error_in_the_record(on_github: Jobs) -> None:
    on_github.repo.may_open = False
    arrive(on_github.project, churning.rows(10_000, 1200, boundary=2.0))
    done = on_github.ci_ml("retrain")
    assert done.code != 0
    assert done.err.count("error:") == 1
    assert "Allow GitHub Actions to create and approve pull requests" in done.err
    assert record(on_github.project)[-1]["outcome"] == "error"


@pytest.mark.thorough
def test_production_that_drifted_starts_a_retraining(on_github: Jobs) -> None:
    project = on_github.project
    project.edit("ci-ml.yaml", "    reference: train\n", "    reference: train\n    retrain: fail\n")
    project.commit("at once")
    produce(project, boundary=2.0)
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    done = on_github.ci_ml("monitor").expect(10)
    [issue] = on_github.issues
    [request] = on_github.requests
    assert issue.state == request.state == "open"
    assert "retrained: " in done.err
    started, last = record(project)
    assert started["why"].startswith("monitor live: test.accuracy fell by ")
    assert (last["why"], last["outcome"]) == (started["why"], "pass")


def test_a_retraining_that_cannot_start_takes_nothing_from_the_verdict(on_github: Jobs) -> None:
    project = on_github.project
    project.edit("ci-ml.yaml", "    reference: train\n", "    reference: train\n    retrain: fail\n")
    project.commit("at once")
    project.edit("params.yaml", "rate: 0.1", "rate: 0.2")
    produce(project, shift=3.0)
    done = on_github.ci_ml("monitor").expect(10)
    assert "the retraining ended in an error: the work tree has changes that are not committed" in done.err
    assert on_github.issues[0].state == "open"


def test_production_that_is_as_it_was_starts_none(on_github: Jobs) -> None:
    project = on_github.project
    project.edit("ci-ml.yaml", "    reference: train\n", "    reference: train\n    retrain: fail\n")
    project.commit("at once")
    produce(project)
    done = on_github.ci_ml("monitor").expect(0)
    assert "retrained" not in done.err
    assert project.git("ls-remote", "origin", LEDGER) == ""


# --- Faults ------------------------------------------------------------------------------------------------------------


def closed(project: Project) -> Path:
    """The warehouse keeps jobs waiting until somebody writes to its door."""
    door = project.root.parent / "door"
    os.mkfifo(door)
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    return door


def waiting(project: Project) -> int:
    """A job waits there now; the process that does."""
    place = project.root.parent / "waiting"
    return int(until(lambda: place.exists() and place.read_text(), "a job waits for the warehouse"))


@pytest.mark.thorough
def test_of_two_at_the_same_time_one_is_refused(project: Project) -> None:
    door = closed(project)
    other = project.clone("other", url=str(project.root.parent / "server" / f"{REPOSITORY}.git"))
    with ended(project.start("retrain", "--why", "the first")) as first:
        waiting(project)
        done = other.ci_ml("retrain").expect(0)
        assert done.out.startswith("No retraining: one is running since ")
        assert "(the first)" in done.out
        forced = other.ci_ml("retrain", "--force").expect(0)
        assert forced.out.startswith("No retraining: one is running since ")
        door.write_text("open")
        assert first.wait(DEADLINE) == 0
    assert [(entry["event"], entry["why"]) for entry in record(project)] == [
        ("started", "the first"),
        ("ended", "the first"),
    ]


@pytest.mark.thorough
def test_one_that_was_killed_is_taken_for_dead_after_a_while(project: Project) -> None:
    door = closed(project)
    with ended(project.start("retrain", "--why", "the first")) as first:
        refreshing = waiting(project)
        first.kill()
        assert first.wait(DEADLINE) == -signal.SIGKILL
    os.kill(refreshing, signal.SIGKILL)
    until(lambda: not alive(refreshing), "what it had started is gone")
    door.unlink()
    assert project.status() == ""
    refused = project.ci_ml("retrain").expect(0)
    assert "No retraining: one is running since " in refused.out
    aged(project)
    project.ci_ml("retrain", "--why", "the second").expect(0)
    first_, started, last = record(project)
    assert (first_["event"], started["why"], last["outcome"]) == ("started", "the second", "pass")
    assert project.git("ls-remote", "origin", f"refs/heads/{BRANCH}")


def aged(project: Project) -> None:
    """Two years have passed since the last entry."""
    (entry,) = record(project)
    entry["at"] = f"{int(entry['at'][:4]) - 2}{entry['at'][4:]}"
    place = project.root.parent / "entries.jsonl"
    place.write_text(json.dumps(entry) + "\n")
    blob = project.git("hash-object", "-w", str(place))
    index = {"GIT_INDEX_FILE": str(project.root.parent / "index")}
    project.run("git", "update-index", "--add", "--cacheinfo", f"100644,{blob},entries.jsonl", env=index)
    tree = project.run("git", "write-tree", env=index).out.strip()
    made = project.git("commit-tree", "-m", "earlier", tree)
    project.git("push", "--quiet", "--force", "origin", f"{made}:{LEDGER}")


@pytest.mark.thorough
def test_a_server_that_refuses_the_branch(project: Project) -> None:
    hook = project.root.parent / "server" / f"{REPOSITORY}.git" / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\n[ "$1" != refs/heads/{BRANCH} ] || {{ echo "no robots here" >&2; exit 1; }}\n')
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    done = project.ci_ml("retrain").expect(3)
    assert done.err.count("\nerror:") == 1
    assert f"the commit could not be pushed to {BRANCH}: " in done.err
    assert "no robots here" in done.err
    last = record(project)[-1]
    assert (last["event"], last["outcome"]) == ("ended", "error")
    assert "no robots here" in last["sentence"]


def test_a_server_that_refuses_the_record_trains_nothing(project: Project) -> None:
    hook = project.root.parent / "server" / f"{REPOSITORY}.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'nobody writes here' >&2\nexit 1\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    arrive(project, churning.rows(10_000, 1200, boundary=2.0))
    done = project.ci_ml("retrain").expect(3)
    assert f"{LEDGER} could not be written: " in done.err
    assert "nobody writes here" in done.err
    assert project.status() == ""
