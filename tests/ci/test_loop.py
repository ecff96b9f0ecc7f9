"""The loop, closed by the files that `ci-ml generate` writes, in act and in gitlab-ci-local, with the real command.

Production is a table of a PostgreSQL server, whose driver ci-ml's environment gets because ci-ml.yaml names a `source`. A
schedule looks at it: while it is as in training nothing happens. Once it has drifted an issue opens, and a challenger is
trained on what the warehouse has by now, judged beside the champion, and proposed; or refused.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from ci_ml import __version__
from tests.ci import hosting, runners
from tests.ci.runners import REPOSITORY
from tests.e2e import churning
from tests.e2e.project import Project
from tests.e2e.watching import DATA, Customers
from tests.fakes import git_server
from tests.fakes import github as fake_github
from tests.fakes import gitlab as fake_gitlab
from tests.postgres import Postgres, served

pytestmark = pytest.mark.thorough

CONFIG = """\
monitor:
  live:
    production: {source: {url: $CI_ML_WAREHOUSE, table: asked, window: {column: asked_at, last: 7d}}}
    reference: train
    predictions: test
retrain:
  refresh: {command: [python, src/refresh.py]}
pipelines:
  - &both
    forge: github
    forks: false
    action: ci-ml/ci-ml@v%(version)s
    python: {install: []}
    monitor: {schedule: "0 6 * * *", secrets: {CI_ML_WAREHOUSE: WAREHOUSE_URL}}
    retrain: {on_drift: true, token: CI_ML_RETRAIN_TOKEN, secrets: {WAREHOUSE_EXPORT: WAREHOUSE_EXPORT}}
  - <<: *both
    forge: gitlab
    action: %(source)s@v%(version)s
"""
# New data are an export of the warehouse. Nobody's code gets a token that publishes, and this is somebody's code.
REFRESH = """\
import os, shutil

tokens = [name for name in os.environ if name.endswith("TOKEN") and os.environ[name]]
print("tokens:", *tokens)
shutil.copyfile(os.environ["WAREHOUSE_EXPORT"], "data/raw.csv")
"""
LEDGER = "refs/ci-ml/retraining"


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with served() as server:
        yield server


@pytest.fixture(scope="module")
def champion(
    machine: dict[str, str], checkout: Path, tool_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """The repository, trained once, with its CI files; what it needs of ci-ml has been set up."""
    env = {**machine, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{machine['PATH']}"}
    project = churning.build(tmp_path_factory.mktemp("champion"), env)
    project.dvc("remote", "modify", "--quiet", "storage", "url", str(project.root.parent / "remote"))
    project.write("src/refresh.py", REFRESH)
    said = {"version": __version__, "source": checkout.as_uri()}
    project.write("ci-ml.yaml", churning.CI_ML_YAML + DATA + CONFIG % said)
    project.ci_ml("generate").expect(0)
    project.commit("Continuous training")
    done = runners.set_up(checkout, tool_cache, project.env, folder=project.root)
    assert "Setting up ci-ml" not in done.err or " with postgres in " in done.err, done.text
    return project


# --- Production, and what the warehouse has for training -----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class World:
    """Where customers ask the model, and where their labels are found later."""

    project: Project
    database: Postgres
    name: str
    export: Path

    def asked(self, **about: Any) -> None:
        """Customers ask the champion."""
        rows = Customers(**about).rows(self.project.json("model.json"))
        values = ", ".join(
            f"({row['row_id']}, {row['x']}, {row['churned'] or 'NULL'}, {row['p']}, '{row['asked_at']}')"
            for row in rows
        )
        columns = "row_id bigint, x double precision, churned bigint, p double precision, asked_at timestamptz"
        self.database.run(
            "DROP TABLE IF EXISTS asked",
            f"CREATE TABLE asked ({columns})",
            f"INSERT INTO asked VALUES {values}",
            database=self.name,
        )

    def exported(self, rows: str) -> None:
        """What the next training would learn from."""
        self.export.write_text(rows)

    @property
    def secrets(self) -> dict[str, str]:
        return {"WAREHOUSE_URL": self.database.url(self.name), "WAREHOUSE_EXPORT": str(self.export)}


@pytest.fixture
def world(champion: Project, database: Postgres, tmp_path: Path) -> World:
    return World(project=champion, database=database, name=database.database(), export=tmp_path / "export.csv")


def turned_round() -> str:
    """Customers whose labels are turned round in the older half, from which the model learns."""
    head, *rows = churning.rows(10_000, 1200).split()
    turned = [f"{row[:-1]}{1 - int(row[-1])}" for row in rows[:600]]
    return "\n".join([head, *turned, *rows[600:]]) + "\n"


# --- What becomes of a schedule ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Topic:
    """An issue or a request, as its forge shows it."""

    state: str
    title: str
    body: str
    labels: list[str]
    branch: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How a run of the schedule ended, and what the forge and the server have after it."""

    green: bool
    log: str
    retrained: bool
    issues: list[Topic]
    requests: list[Topic]
    pushed: dict[str, str]
    record: list[dict[str, Any]]
    left: Path = field(repr=False)

    def report(self, place: str) -> dict[str, Any]:
        """A report.json that the job left as an artifact."""
        return dict(json.loads((self.left / place).read_bytes()))

    def ended(self, job: str) -> int:
        """The exit code of the command in a job that failed, as the runner tells it."""
        said = re.findall(rf"^.*\b{job}\b.*(?:exit status|FAIL) (\d+)\b", self.log, re.MULTILINE)
        return int(said[-1]) if said else 0


class Schedule(Protocol):
    """A forge with its runner."""

    @property
    def monitored(self) -> str:
        """Where the artifacts have the report of monitoring."""
        ...

    @property
    def judged(self) -> str:
        """Where they have that on the challenger."""
        ...

    @property
    def bare(self) -> Path:
        """What the server has."""
        ...

    def run(self) -> Seen:
        """What the schedule for monitoring starts, to its end."""
        ...


def recorded(project: Project, bare: Path) -> list[dict[str, Any]]:
    """The record of retrainings, as the server has it."""
    if not project.git("ls-remote", str(bare), LEDGER):
        return []
    project.git("fetch", "--quiet", str(bare), f"+{LEDGER}:refs/test/ledger")
    return [json.loads(line) for line in project.git("show", "refs/test/ledger:entries.jsonl").splitlines()]


@dataclass(frozen=True, kw_only=True)
class OnGitHub:
    """Runs ci-ml-monitor.yml, which calls ci-ml-retrain.yml."""

    host: hosting.OnGitHub
    world: World
    monitored: str = "ci-ml-monitor/live/report.json"
    judged: str = "ci-ml-report/report.json"

    @property
    def bare(self) -> Path:
        return self.host.bare

    def run(self) -> Seen:
        permissions = {"contents": "write", "pull-requests": "write"}
        proposer = self.host.pusher(kind="fine-grained", login="mona", permissions=permissions)
        run = self.host.run(
            "schedule",
            {},
            self.host.runner.forge.main,
            workflow="ci-ml-monitor",
            token=self.host.api.token(permissions={"contents": "read", "issues": "write"}),
            secrets={**self.world.secrets, "CI_ML_RETRAIN_TOKEN": proposer},
        )
        assert not self.host.api.problems
        here = self.host.api.repository(REPOSITORY)
        return Seen(
            green=run.code == 0,
            log=run.log,
            retrained="retrain/retrain" in run.log,
            issues=[_github_topic(issue) for issue in here.issues.values()],
            requests=[_github_topic(pull, pull.branch) for pull in here.pulls.values()],
            pushed=git_server.heads(self.bare),
            record=recorded(self.world.project, self.bare),
            left=run.artifacts,
        )


def _github_topic(topic: fake_github.Topic, branch: str = "") -> Topic:
    names = [label.name for label in topic.labels]
    return Topic(state=topic.state, title=topic.title, body=topic.body or "", labels=names, branch=branch)


@dataclass(frozen=True, kw_only=True)
class OnGitLab:
    """Runs the pipeline of the schedule whose variable CI_ML_SCHEDULE is monitor."""

    host: hosting.OnGitLab
    world: World
    folder: Path
    monitored: str = "monitor/.ci-ml/monitor/live/report.json"
    judged: str = "retrain/.ci-ml/report.json"

    @property
    def bare(self) -> Path:
        return self.host.bare

    def run(self) -> Seen:
        run = self.host.run(
            git_server.heads(self.bare)["main"],
            self.folder,
            CI_PIPELINE_SOURCE="schedule",
            CI_ML_SCHEDULE="monitor",
            CI_ML_TOKEN=self.host.api.token(kind="project", project=REPOSITORY, role="reporter"),
            CI_ML_RETRAIN_TOKEN=self.host.pusher(),
            **self.world.secrets,
        )
        here = self.host.api.project(REPOSITORY)
        return Seen(
            green=run.code == 0,
            log=run.log,
            retrained="retrain" in run.jobs(),
            issues=[_gitlab_topic(issue) for issue in here.issues.values()],
            requests=[_gitlab_topic(change, change.branch) for change in here.merge_requests.values()],
            pushed=git_server.heads(self.bare),
            record=recorded(self.world.project, self.bare),
            left=run.state / "artifacts",
        )


def _gitlab_topic(topic: fake_gitlab.Topic, branch: str = "") -> Topic:
    state = topic.state.removesuffix("ed") if topic.state == "opened" else topic.state
    return Topic(state=state, title=topic.title, body=topic.description or "", labels=topic.labels, branch=branch)


Starting = Callable[[str], Schedule]


@pytest.fixture
def schedule(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Starting]:
    """Makes a forge that has the repository."""
    with ExitStack() as stack:
        host = hosting.of(request, world.project, tmp_path, stack)
        world.project.git("push", "--quiet", str(host.bare), "main")

        def started(forge: str) -> Schedule:
            if forge == "github":
                return OnGitHub(host=host.github(), world=world)
            return OnGitLab(host=host.gitlab(), world=world, folder=tmp_path)

        yield started


both = pytest.mark.parametrize("forge", ["github", "gitlab"])


@both
def test_production_that_is_as_it_was_starts_nothing(schedule: Starting, world: World, forge: str) -> None:
    world.asked()
    there = schedule(forge)
    seen = there.run()
    assert seen.green, seen.log
    assert not seen.retrained, seen.log
    assert seen.report(there.monitored)["verdict"]["outcome"] == "pass"
    assert (seen.issues, seen.requests, seen.record) == ([], [], [])
    assert set(seen.pushed) == {"main"}


@both
def test_production_that_drifted_ends_in_a_proposal(schedule: Starting, world: World, forge: str) -> None:
    world.asked(shift=3.0, boundary=2.0)
    world.exported(churning.rows(10_000, 1200, boundary=2.0))
    there = schedule(forge)
    seen = there.run()
    assert not seen.green, "that it drifted is not passed over"
    assert seen.report(there.monitored)["verdict"]["outcome"] == "fail", seen.log
    (issue,) = seen.issues
    assert (issue.state, issue.labels) == ("open", ["monitoring"])
    assert "live.x" in issue.body

    assert seen.retrained, seen.log
    report = seen.report(there.judged)
    assert report["verdict"]["outcome"] == "pass", seen.log
    tested = {item["metric"]: item for item in report["comparisons"]}["test.accuracy"]
    assert tested["base"] < 0.85 < tested["head"], "both on customers of today"
    (request,) = seen.requests
    assert (request.state, request.branch, request.labels) == ("open", "ci-ml/retrain", ["retraining"])
    assert "test.accuracy" in request.body
    assert (seen.left / there.judged).with_suffix(".html").is_file()
    if forge == "github":  # GitLab has no outputs of steps
        told = dict(re.findall(r"::set-output:: ([a-z-]+)=(\S+)", seen.log))
        assert told["issue-url"].endswith("/issues/1")
        assert told["proposal-url"].endswith("/pull/2")
    started, ended = seen.record
    assert (started["why"], ended["outcome"]) == ("production drifted", "pass")
    world.project.git("fetch", "--quiet", str(there.bare), "ci-ml/retrain")
    assert world.project.git("rev-parse", "FETCH_HEAD^") == world.project.git("rev-parse", "main")
    changed = world.project.git("diff", "--name-only", "main..FETCH_HEAD").splitlines()
    assert changed == ["data/raw.csv.dvc", "dvc.lock", "metrics.json"]
    assert "refresh | tokens:\n" in re.sub(r" +\n", "\n", seen.log), "nobody's code gets the token that publishes"


@both
def test_a_bad_challenger_is_refused(schedule: Starting, world: World, forge: str) -> None:
    world.asked(shift=3.0, boundary=2.0)
    world.exported(turned_round())
    there = schedule(forge)
    seen = there.run()
    assert not seen.green
    assert len(seen.issues) == 1, seen.log
    assert seen.retrained, seen.log
    assert seen.ended("monitor") == seen.ended("retrain") == 10, seen.log
    assert seen.report(there.judged)["verdict"]["outcome"] == "fail"
    assert seen.requests == []
    assert set(seen.pushed) == {"main"}
    assert seen.record[-1]["outcome"] == "fail"
    assert "accuracy fell from 0.95 to 0.06" in seen.record[-1]["sentence"]
