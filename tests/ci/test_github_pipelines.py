"""Workflows that `ci-ml generate` writes, run by act: a job per stage, on a graph with a diamond and a foreach."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ci import runners
from tests.ci.runners import REPOSITORY, Forge, GitHub, Run
from tests.ci.test_github import addressed, statuses
from tests.e2e.project import Project
from tests.fakes import github as fake

pytestmark = pytest.mark.thorough

STATUS = "ci-ml/graph"
CONFIG = """
version: 1
name: graph
train: {track: false}
gates:
  - {metric: "metrics.json:acc", direction: higher, margin: 0.5}
pipelines:
  - forge: github
    layout: stages
    runners: {default: ubuntu-latest}
    python: {install: []}
"""
# A stage joins its inputs and says when it ran; $TIMES is not there in the reference run.
STAGE = """
import json, os, pathlib, sys, time

name, out, *inputs = sys.argv[1:]
begun = time.time()
time.sleep(float(os.environ.get("NAP", "0")))
text = "".join(pathlib.Path(path).read_text() for path in inputs)
pathlib.Path(out).write_text(text + name + chr(10))
if "TIMES" in os.environ:
    pathlib.Path(os.environ["TIMES"], name).write_text(json.dumps([begun, time.time()]))
"""
PIPELINE = """
vars: [{langs: [de, fr]}]
stages:
  prepare:
    cmd: python src/stage.py prepare-${n} a.txt seed.txt
    deps: [seed.txt, src/stage.py]
    params: [n]
    outs: [a.txt]
  left:
    cmd: python src/stage.py left left.txt a.txt
    deps: [a.txt]
    outs: [left.txt]
  right:
    foreach: ${langs}
    do:
      cmd: python src/stage.py right-${item} right-${item}.txt a.txt
      deps: [a.txt]
      outs:
        - right-${item}.txt
  join:
    cmd:
      - python src/stage.py join all.txt left.txt right-de.txt right-fr.txt
      - python src/score.py
    deps: [left.txt, right-de.txt, right-fr.txt]
    outs: [all.txt]
    metrics:
      - metrics.json:
          cache: false
  other:
    cmd: python src/stage.py other other.txt seed.txt
    deps: [seed.txt]
    outs: [other.txt]
"""
SCORE = """
import json, pathlib

pathlib.Path("metrics.json").write_text(json.dumps({"acc": len(pathlib.Path("all.txt").read_text()) / 1000}))
"""
PROPOSALS = {
    "changed": [("params.yaml", "n: 1", "n: 2")],
    "failing": [("params.yaml", "n: 1", "n: 3"), ("dvc.yaml", "src/stage.py left left.txt", "src/stage.py left no/left.txt")],
    "words": [("NOTES.md", "", "More of them.\n")],
    "grown": [("dvc.yaml", "langs: [de, fr]", "langs: [de, fr, it]")],
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, machine: dict[str, str]) -> Forge:
    """A repository with the graph, trained on main without a DVC remote, and changes that nobody has trained."""
    folder = tmp_path_factory.mktemp("graph") / "project"
    folder.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{machine['PATH']}"
    project = Project(root=folder, env={**machine, "PATH": path})
    project.git("init", "--quiet", "--initial-branch=main")
    project.dvc("init", "--quiet")
    for name, text in {
        "ci-ml.yaml": CONFIG,
        "dvc.yaml": PIPELINE,
        "params.yaml": "n: 1\n",
        "seed.txt": "seed\n",
        "src/stage.py": STAGE,
        "src/score.py": SCORE,
        "NOTES.md": "Words.\n",
    }.items():
        project.write(name, text)
    project.ci_ml("generate").expect(0)
    project.commit("A graph and its gates")
    project.ci_ml("train").expect(0)
    trained = project.commit("Train the baseline")
    return runners.hosted(project, trained, PROPOSALS)


@pytest.fixture
def jobs(github: GitHub, graph: Forge, tmp_path: Path) -> GitHub:
    """Runs workflows on the graph; what its stages say of their times goes to `times`."""
    (tmp_path / "times").mkdir()
    return dataclasses.replace(github, forge=graph)


@pytest.fixture
def api(graph: Forge) -> Iterator[fake.GitHub]:
    with fake.GitHub() as server:
        repository = server.repository(REPOSITORY, collaborators={"mona": "write"})
        repository.commit(graph.main, branch="main")
        for change in graph.changes.values():
            repository.pull(change.number, head=change.head, branch=change.branch, base=change.base)
        yield server


def proposed(jobs: GitHub, api: fake.GitHub, name: str, **options: Any) -> Run:
    """The run for a change, each stage of which takes a second."""
    where = addressed(api)
    env = {**where["env"], "TIMES": str(jobs.folder / "times"), "NAP": "1"}
    return jobs.pull_request(jobs.forge.changes[name], token=where["token"], env=env, **options)


def times(jobs: GitHub) -> dict[str, tuple[float, float]]:
    return {place.name: tuple(json.loads(place.read_text())) for place in (jobs.folder / "times").iterdir()}


def reproduced(forge: Forge, name: str, folder: Path) -> str:
    """The dvc.lock that `dvc repro` writes for a change, in a clone of its own."""
    folder.mkdir()
    clone = Project(root=folder / "clone", env=forge.project.env)
    forge.project.git("clone", "--quiet", str(forge.project.root), str(clone.root))
    clone.git("checkout", "--quiet", "--detach", forge.changes[name].merge)
    clone.dvc("repro", "--quiet")
    return clone.read("dvc.lock")


def test_each_stage_is_a_job_and_those_that_can_run_side_by_side(
    jobs: GitHub, api: fake.GitHub, tmp_path: Path
) -> None:
    run = proposed(jobs, api, "changed")
    assert run.code == 0, run.log
    ran = times(jobs)
    assert set(ran) == {"prepare-2", "left", "right-de", "right-fr", "join"}, "what is up to date gets no job"
    middle = [ran["left"], ran["right-de"], ran["right-fr"]]
    assert max(begun for begun, _ in middle) < min(ended for _, ended in middle), "not side by side"
    assert ran["prepare-2"][1] <= min(begun for begun, _ in middle)
    assert max(ended for _, ended in middle) <= ran["join"][0]
    report = run.report()
    assert report["verdict"]["outcome"] == "pass"
    assert {stage["name"] for stage in report["training"]["stages"]} == {"prepare", "left", "right@de", "right@fr", "join"}
    assert statuses(api, jobs.forge.changes["changed"].head) == {STATUS: "success"}
    assert len(api.repository(REPOSITORY).pulls[1].comments) == 1


def test_the_lock_that_comes_out_is_that_of_dvc_repro(
    jobs: GitHub, graph: Forge, tmp_path: Path, checkout: Path, machine: dict[str, str]
) -> None:
    """Put together as the gate does it, from what the jobs have left."""
    change = graph.changes["changed"]
    run = jobs.pull_request(change, env={"TIMES": str(jobs.folder / "times")})
    clone = Project(root=tmp_path / "gate", env=graph.project.env)
    graph.project.git("clone", "--quiet", str(graph.project.root), str(clone.root))
    clone.git("checkout", "--quiet", "--detach", change.merge)
    for place in run.artifacts.glob("ci-ml-stage-*"):
        shutil.copytree(place, clone.root / ".ci-ml" / "handover", dirs_exist_ok=True)
    clone.ci_ml("ci", "--no-publish", "--needs", "{}", "--base", change.base).expect(0)
    assert clone.read("dvc.lock") == reproduced(graph, "changed", tmp_path / "reference")


def test_a_stage_that_fails_makes_the_gate_red_and_not_skipped(jobs: GitHub, api: fake.GitHub) -> None:
    run = proposed(jobs, api, "failing")
    assert run.code == 1, run.log
    assert "join" not in times(jobs), "what needs the failed stage does not run"
    assert "right-de" in times(jobs)
    assert "the job left ended as failure" in run.log
    assert statuses(api, jobs.forge.changes["failing"].head) == {STATUS: "error"}
    (comment,) = api.repository(REPOSITORY).pulls[2].comments
    assert "not judged" in comment.body.lower()


def test_nothing_to_run_is_judged_as_it_is(jobs: GitHub, api: fake.GitHub) -> None:
    run = proposed(jobs, api, "words")
    assert run.code == 0, run.log
    assert times(jobs) == {}
    assert run.report()["verdict"]["outcome"] == "pass"


def test_a_stage_without_a_job_is_no_pass(jobs: GitHub, api: fake.GitHub) -> None:
    run = proposed(jobs, api, "grown")
    assert run.code == 1, run.log
    assert "exit status 12" in run.log
    assert statuses(api, jobs.forge.changes["grown"].head) == {STATUS: "error"}


def test_a_foreach_whose_list_is_known_at_run_time_only(jobs: GitHub, api: fake.GitHub) -> None:
    project = jobs.forge.project
    project.edit("ci-ml.yaml", "layout: stages", "layout: stages\n    graph: dynamic")
    try:
        project.ci_ml("generate").expect(0)
        content = project.read(".github/workflows/ci-ml.yml")
    finally:
        project.git("checkout", "--quiet", ".")
    run = proposed(jobs, api, "grown", content=content)
    assert run.code == 0, run.log
    assert {"right-it", "join"} <= set(times(jobs))


def test_what_is_generated_is_what_linters_want(jobs: GitHub, tmp_path: Path) -> None:
    files = sorted((jobs.forge.project.root / ".github" / "workflows").iterdir())
    assert [file.name for file in files] == ["ci-ml-publish.yml", "ci-ml.yml"]
    done = subprocess.run(
        [shutil.which("actionlint", path=jobs.env["PATH"]) or runners.ROOT / ".tools/bin/actionlint", *files],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
