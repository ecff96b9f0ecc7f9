"""What `ci-ml generate` writes for schedules, run by act and by gitlab-ci-local: who runs, when, with which secrets.

A stand-in for ci-ml says how it was called, and ends monitoring as the test wants it; action.yml is the real one.
"""

import functools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci_ml import __version__
from tests.ci import runners, stand_ins
from tests.ci.pipelines import Pipelines
from tests.ci.runners import Forge, GitHub
from tests.e2e.project import Project

pytestmark = pytest.mark.thorough

CONFIG = """
version: 1
gates: [{metric: "metrics.json:acc", direction: higher, margin: 0.01}]
pipelines:
  - forge: %(forge)s
    forks: false
    action: %(action)s
    python: {install: ["true"]}
    monitor: {schedule: "0 6 * * *", secrets: {CI_ML_WAREHOUSE: WAREHOUSE_URL}}
    retrain: {schedule: "23 4 * * 1", on_drift: %(on_drift)s, token: CI_ML_RETRAIN_TOKEN}
"""
COMMAND = """\
#!/bin/sh
printf '%s | %s | %s\\n' "$*" "$CI_ML_TOKEN" "$CI_ML_WAREHOUSE" >>"$CALLS"
[ "$1" = monitor ] || exit 0
mkdir -p .ci-ml/monitor && echo "# EOF" >.ci-ml/monitor/openmetrics.txt
case "$MONITORED" in 0) outcome=pass ;; 10) outcome=fail ;; 11) outcome=undecided ;; *) outcome=error ;; esac
[ -z "$GITHUB_OUTPUT" ] || echo "outcome=$outcome" >>"$GITHUB_OUTPUT"
exit "$MONITORED"
"""
SECRETS = {"WAREHOUSE_URL": "warehouse", "CI_ML_RETRAIN_TOKEN": "proposer"}
MONITORED = "| jobs | warehouse"
RETRAINED = "| proposer | "


@pytest.fixture(scope="module")
def stand_in(machine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    return stand_ins.release(tmp_path_factory.mktemp("stand-in"), machine, COMMAND)


@pytest.fixture(scope="module")
def projects(
    machine: dict[str, str], stand_in: Project, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Project]:
    """Repositories with the CI files that `ci-ml generate` writes, for each forge and with retraining on drift or not."""
    env = {**machine, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{machine['PATH']}"}
    actions = stand_ins.actions(stand_in)

    @functools.cache
    def project(forge: str, *, on_drift: bool = True) -> Project:
        here = stand_ins.project(tmp_path_factory.mktemp(forge) / "project", env)
        chosen = {"forge": forge, "action": actions[forge], "on_drift": str(on_drift).lower()}
        here.write("ci-ml.yaml", CONFIG % chosen)
        here.ci_ml("generate").expect(0)
        here.commit("Schedules")
        return here

    return project


# --- GitHub ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OnGitHub:
    """Runs one of the workflows, and reads what the stand-in was called with."""

    runner: GitHub
    calls: Path

    def run(self, kind: str, event: str, code: int = 0, **payload: Any) -> list[str]:
        """How ci-ml was called, when monitoring ends with `code`."""
        self.calls.write_text("")
        done = self.runner.run(
            event,
            payload,
            self.runner.forge.main,
            branch="main",
            workflow=f".github/workflows/ci-ml-{kind}.yml",
            token="jobs",
            secrets=SECRETS,
            env={"CALLS": str(self.calls), "MONITORED": str(code)},
        )
        assert (done.code == 0) == (code == 0), done.log
        return self.calls.read_text().splitlines()


@pytest.fixture(scope="module")
def github_forge(projects: Callable[..., Project]) -> Forge:
    here = projects("github")
    return runners.hosted(here, here.git("rev-parse", "HEAD"), {})


@pytest.fixture
def on_github(
    github_in: Callable[[Path, Forge], GitHub],
    github_forge: Forge,
    stand_in: Project,
    tmp_path: Path,
) -> OnGitHub:
    forge, made = github_forge, github_in(tmp_path, github_forge)
    runner = GitHub(act=made.act, action=stand_in.root, folder=made.folder, forge=forge, env=made.env)
    return OnGitHub(runner=runner, calls=tmp_path / "calls")


@pytest.mark.parametrize("code", [0, 3, 11])
def test_github_does_not_retrain_where_nothing_is_known_to_have_drifted(on_github: OnGitHub, code: int) -> None:
    assert on_github.run("monitor", "schedule", code) == [f"monitor -- {MONITORED}"]
    assert (on_github.runner.folder / "artifacts" / "ci-ml-monitor" / "openmetrics.txt").is_file()


def test_github_retrains_where_production_drifted(on_github: OnGitHub) -> None:
    called = on_github.run("monitor", "schedule", 10)
    assert called == [f"monitor -- {MONITORED}", f"retrain --why=production drifted {RETRAINED}"]


def test_github_retrains_on_schedule_and_by_hand(on_github: OnGitHub) -> None:
    assert on_github.run("retrain", "schedule") == [f"retrain --why=on schedule {RETRAINED}"]
    hostile = '$(touch owned) "; `id`'
    said = on_github.run("retrain", "workflow_dispatch", inputs={"why": hostile, "force": "true"})
    assert said == [f"retrain --why={hostile} --force {RETRAINED}"]
    assert not list(on_github.runner.folder.rglob("owned"))


# --- GitLab ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OnGitLab:
    """Runs a pipeline of a schedule, and reads what the stand-in was called with."""

    command: str
    projects: Callable[..., Project]
    folder: Path
    env: Mapping[str, str] = field(repr=False)

    def run(
        self, schedule: str, code: int = 0, *, on_drift: bool = True, **variables: str
    ) -> tuple[list[str], set[str]]:
        """How ci-ml was called, when monitoring ends with `code`, and which jobs failed."""
        calls = self.folder / "calls"
        calls.write_text("")
        here = self.projects("gitlab", on_drift=on_drift)
        env = {**self.env, "CALLS": str(calls), "MONITORED": str(code)}
        pipeline = Pipelines(command=self.command, project=here, folder=self.folder, env=env)
        chosen = {"CI_ML_SCHEDULE": schedule} if schedule else {}
        known = {"CI_COMMIT_BRANCH": "main", "CI_PIPELINE_SOURCE": "schedule", "CI_ML_TOKEN": "jobs", **SECRETS}
        run = pipeline.run(here.git("rev-parse", "HEAD"), **{**known, **chosen, **variables})
        return calls.read_text().splitlines(), run.failed()


@pytest.fixture
def on_gitlab(
    gitlab_ci_local: str, projects: Callable[..., Project], machine: dict[str, str], tmp_path: Path
) -> OnGitLab:
    path = os.pathsep.join((str(Path(gitlab_ci_local).parent), machine["PATH"]))
    return OnGitLab(command=gitlab_ci_local, projects=projects, folder=tmp_path, env={**machine, "PATH": path})


@pytest.mark.parametrize("code", [0, 3, 11])
def test_gitlab_does_not_retrain_where_nothing_is_known_to_have_drifted(on_gitlab: OnGitLab, code: int) -> None:
    assert on_gitlab.run("monitor", code) == ([f"monitor {MONITORED}"], {"monitor"} if code else set())


def test_gitlab_retrains_where_production_drifted(on_gitlab: OnGitLab) -> None:
    called = [f"monitor {MONITORED}", f"retrain --why=production drifted {RETRAINED}"]
    assert on_gitlab.run("monitor", 10) == (called, {"monitor"})


def test_gitlab_leaves_drift_to_people_where_nobody_asked_for_more(on_gitlab: OnGitLab) -> None:
    assert on_gitlab.run("monitor", 10, on_drift=False) == ([f"monitor {MONITORED}"], {"monitor"})


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "--why=started by schedule"),
        ({"CI_ML_WHY": "$(touch owned) `id`", "CI_ML_FORCE": "true"}, "--why=$(touch owned) `id` --force"),
        ({"CI_ML_FORCE": "false", "CI_PIPELINE_SOURCE": "web"}, "--why=started by web"),
    ],
)
def test_gitlab_retrains_on_schedule_and_by_hand(on_gitlab: OnGitLab, variables: dict[str, str], said: str) -> None:
    assert on_gitlab.run("retrain", **variables) == ([f"retrain {said} {RETRAINED}"], set())
    assert not list(on_gitlab.folder.rglob("owned"))


def test_any_other_schedule_of_gitlab_is_for_the_gate(on_gitlab: OnGitLab) -> None:
    assert on_gitlab.run("") == (["ci | jobs | "], set())


def test_a_schedule_for_a_job_of_somebody_else_starts_none_of_ours(on_gitlab: OnGitLab) -> None:
    assert on_gitlab.run("another:monitor") == ([], set())


def test_other_branches_are_not_watched(on_gitlab: OnGitLab) -> None:
    assert on_gitlab.run("monitor", CI_COMMIT_BRANCH="other") == ([], set())


COMPONENT = """
include:
  - remote: %(template)s
    inputs: {source: "%(source)s", ref: "%(ref)s"}
  - remote: %(template)s
    inputs: {job-name: watch, command: monitor, source: "%(source)s", ref: "%(ref)s"}
  - remote: %(template)s
    inputs: {job-name: retrain, command: retrain, source: "%(source)s", ref: "%(ref)s"}
"""


@pytest.mark.parametrize(
    ("variables", "called"),
    [
        ({}, ["ci | jobs | "]),
        ({"CI_ML_SCHEDULE": "watch"}, ["monitor | jobs | "]),
        ({"CI_ML_SCHEDULE": "retrain", "CI_ML_WHY": "a b"}, ["retrain --why=a b | jobs | "]),
        ({"CI_ML_SCHEDULE": "monitor"}, []),
        ({"CI_ML_SCHEDULE": "watch", "CI_COMMIT_BRANCH": "other"}, []),
    ],
)
def test_the_component_runs_what_a_schedule_names(
    on_gitlab: OnGitLab, stand_in: Project, template: str, variables: dict[str, str], called: list[str]
) -> None:
    here = Project(root=on_gitlab.folder / "project", env=on_gitlab.env)
    here.root.mkdir()
    here.git("init", "--quiet", "--initial-branch=main")
    said = {"template": template, "source": stand_in.root.as_uri(), "ref": f"v{__version__}"}
    here.write(".gitlab-ci.yml", COMPONENT % said)
    here.write(".gitlab/ci-ml.yml", "# nothing\n")
    commit = here.commit("Components")
    env = {**on_gitlab.env, "CALLS": str(on_gitlab.folder / "calls"), "MONITORED": "0"}
    (on_gitlab.folder / "calls").write_text("")
    pipeline = Pipelines(command=on_gitlab.command, project=here, folder=on_gitlab.folder, env=env)
    known = {"CI_COMMIT_BRANCH": "main", "CI_PIPELINE_SOURCE": "schedule", "CI_ML_TOKEN": "jobs"}
    run = pipeline.run(commit, **{**known, **variables})
    assert (on_gitlab.folder / "calls").read_text().splitlines() == called, run.log
