"""From the merge to production and back, by the files that `ci-ml generate` writes, in act and in gitlab-ci-local.

The command, git's server, DVC's remote and MLflow are real. What is pushed is trained, judged and recorded, its records
are entered in the ledger, and what `record` committed is promoted; by hand it goes back.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from ci_ml import __version__
from tests.ci import hosting, runners
from tests.e2e.project import DVC_YAML, PARAMS, SCRIPTS, Project
from tests.fakes import git_server

pytestmark = pytest.mark.thorough

CONFIG = """\
version: 1
gates: [{metric: "metrics.json:accuracy", direction: higher, margin: 0.5}]
train: {track: false}
registry:
  churn: {model: model.json, aliases: {champion: {}}}
pipelines:
  - &both
    forge: github
    forks: false
    record: true
    action: ci-ml/ci-ml@v%(version)s
    python: {install: []}
    promote: {models: churn, secrets: {MLFLOW_TRACKING_URI: REGISTRY_URL}}
  - <<: *both
    forge: gitlab
    action: %(source)s@v%(version)s
"""
LEDGER = "refs/ci-ml/ledger"
# What MLflow itself says: which version the alias is, of which commit.
ASK = """\
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1], sys.argv[1])
found = client.get_model_version_by_alias("churn", "champion")
print(json.dumps([str(found.version), found.tags["ci-ml.commit"]]))
"""


@pytest.fixture(scope="module")
def merged(
    machine: dict[str, str], checkout: Path, tool_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """The repository, trained once, with its CI files."""
    env = {**machine, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{machine['PATH']}"}
    project = Project(root=tmp_path_factory.mktemp("merged") / "project", env=env)
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.dvc("init", "--quiet")
    project.dvc("remote", "add", "--quiet", "--default", "storage", str(project.root.parent / "remote"))
    for path, text in {**SCRIPTS, "dvc.yaml": DVC_YAML}.items():
        project.write(path, text)
    project.write("params.yaml", PARAMS)
    project.write("data/raw.csv", "".join(f"{number / 10},{int(number > 0)}\n" for number in range(-20, 20)))
    project.dvc("add", "--quiet", "data/raw.csv")
    said = {"version": __version__, "source": checkout.as_uri()}
    project.write("ci-ml.yaml", CONFIG % said)
    project.ci_ml("generate").expect(0)
    project.commit("A pipeline, its data and its gates")
    project.ci_ml("train").expect(0)
    project.dvc("push", "--quiet")
    project.commit("The first model")
    project.git("tag", "start")
    runners.set_up(checkout, tool_cache, project.env, folder=project.root)
    return project


class Server(Protocol):
    """A forge with its runner."""

    def push(self, before: str, after: str) -> str:
        """What a push to main starts, to its end: the log."""
        ...

    def back(self, why: str) -> str:
        """The way back, started by hand: the log."""
        ...


@dataclass(frozen=True, kw_only=True)
class OnGitHub:
    """Runs ci-ml.yml and ci-ml-rollback.yml."""

    host: hosting.OnGitHub
    registry: str

    def push(self, before: str, after: str) -> str:
        return self._run("push", "ci-ml", after, {"ref": "refs/heads/main", "before": before, "after": after})

    def back(self, why: str) -> str:
        inputs = {"model": "churn", "alias": "champion", "version": "", "why": why}
        commit = self.host.runner.forge.project.git("rev-parse", "main")
        return self._run("workflow_dispatch", "ci-ml-rollback", commit, {"inputs": inputs})

    def _run(self, event: str, workflow: str, commit: str, payload: Mapping[str, Any]) -> str:
        permissions = {"contents": "write", "pull-requests": "read", "statuses": "write"}
        token = self.host.pusher(permissions=permissions)
        secrets = {"REGISTRY_URL": self.registry}
        run = self.host.run(event, payload, commit, workflow=workflow, token=token, secrets=secrets)
        assert run.code == 0, run.log
        return run.log


@dataclass(frozen=True, kw_only=True)
class OnGitLab:
    """Runs pipelines of main."""

    host: hosting.OnGitLab
    registry: str
    folder: Path

    def push(self, before: str, after: str) -> str:
        return self._run(after, CI_PIPELINE_SOURCE="push", CI_COMMIT_BEFORE_SHA=before)

    def back(self, why: str) -> str:
        commit = git_server.heads(self.host.bare)["main"]
        return self._run(commit, CI_PIPELINE_SOURCE="web", CI_ML_SCHEDULE="rollback", CI_ML_WHY=why)

    def _run(self, commit: str, **variables: str) -> str:
        folder = self.folder / variables["CI_PIPELINE_SOURCE"]
        folder.mkdir()
        run = self.host.run(commit, folder, CI_ML_TOKEN=self.host.pusher(), REGISTRY_URL=self.registry, **variables)
        assert run.code == 0, run.log
        return run.log


Starting = Callable[[str], tuple[Server, Path]]


@pytest.fixture
def server(request: pytest.FixtureRequest, merged: Project, tmp_path: Path) -> Iterator[Starting]:
    """Makes a forge that has the repository, and says where its git server has it."""
    registry = f"sqlite:///{tmp_path}/registry.db"
    merged.git("checkout", "--quiet", "--detach", "main")
    with ExitStack() as stack:
        host = hosting.of(request, merged, tmp_path, stack)

        def started(forge: str) -> tuple[Server, Path]:
            if forge == "github":
                return OnGitHub(host=host.github(), registry=registry), host.bare
            return OnGitLab(host=host.gitlab(), registry=registry, folder=tmp_path), host.bare

        yield started


@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_what_is_merged_gets_the_alias_and_gives_it_back(
    server: Starting, merged: Project, tmp_path: Path, forge: str
) -> None:
    there, bare = server(forge)
    merged.git("checkout", "--quiet", "-B", "main", "start")
    merged.git("push", "--quiet", "--force", str(bare), "main")
    by_hand = merged.git("rev-parse", "HEAD")
    merged.ci_ml("check").expect(0)
    merged.ci_ml("promote", "churn", env={"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/registry.db"}).expect(0)
    merged.git("push", "--quiet", str(bare), LEDGER)
    for ref in (LEDGER, "refs/ci-ml/seen/ledger"):  # the next forge has a ledger of its own
        merged.git("update-ref", "-d", ref)
    merged.write("params.yaml", {**PARAMS, "train": {"rate": 0.2, "steps": 3}})
    pushed = merged.commit("Learn faster")
    merged.git("push", "--quiet", str(bare), "main")
    log = there.push(by_hand, pushed)
    tip = merged.git("--git-dir", str(bare), "rev-parse", "main")
    assert merged.git("--git-dir", str(bare), "rev-parse", "main^") == pushed, log
    assert champion(merged, tmp_path) == ["2", tip], log
    before = merged.git("--git-dir", str(bare), "rev-parse", LEDGER)
    there.back("it was better before")
    assert champion(merged, tmp_path) == ["1", by_hand]
    assert merged.git("--git-dir", str(bare), "rev-parse", LEDGER) != before, "it is written down"


def champion(project: Project, folder: Path) -> list[str]:
    """The version that is the champion, and its commit."""
    done = project.run(sys.executable, "-W", "ignore", "-c", ASK, f"sqlite:///{folder}/registry.db").expect(0)
    return list(json.loads(done.out))
