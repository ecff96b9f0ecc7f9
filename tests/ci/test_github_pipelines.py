"""Workflows that `ci-ml generate` writes, run by act: a job per stage or one for all, and the pair for forks."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ci_ml.core.report import MAX_BYTES
from tests.ci import runners
from tests.ci.conftest import tool
from tests.ci.runners import REPOSITORY, Change, Forge, GitHub, Run
from tests.ci.test_files import lint
from tests.ci.test_github import MAY_WRITE, addressed, publish, statuses
from tests.e2e.project import Project
from tests.fakes import git_server
from tests.fakes import github as fake

pytestmark = pytest.mark.thorough

STATUS = "ci-ml/graph"
CONFIG = """
version: 1
name: graph
train: {track: false}
gates:
  - {metric: "metrics.json:acc", direction: higher, margin: 0.01}
pipelines:
  - forge: github
    layout: stages
    runners: {default: ubuntu-latest}
    python: {install: []}
"""
# A stage joins its inputs, and leaves its name in $RAN. Where a pipe is there to meet at, two of them wait for each other.
STAGE = """
import os, pathlib, signal, sys

name, out, *inputs = sys.argv[1:]
if "RAN" in os.environ:
    ran = pathlib.Path(os.environ["RAN"])
    (ran / name).touch()
    if (ran / "meet").exists() and name in ("left", "right-de"):
        signal.alarm(60)  # who is alone ends here
        (ran / "meet").open("w" if name == "left" else "r").close()
text = "".join(pathlib.Path(path).read_text() for path in inputs)
pathlib.Path(out).write_text(text + name + chr(10))
"""
SCORE = """
import json, os, pathlib, sys

if "RAN" in os.environ:
    pathlib.Path(os.environ["RAN"], "score").touch()
pathlib.Path("metrics.json").write_text(json.dumps({"acc": float(sys.argv[1])}))
"""
PIPELINE = """
vars: [{langs: [de, fr]}]
stages:
  prepare:
    cmd: python src/stage.py prepare a.txt seed.txt ${n}.txt
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
    cmd: python src/stage.py join all.txt left.txt right-de.txt right-fr.txt
    deps: [left.txt, right-de.txt, right-fr.txt]
    outs: [all.txt]
  score:
    cmd: python src/score.py ${acc}
    deps: [src/score.py]
    params: [acc]
    metrics:
      - metrics.json:
          cache: false
"""
DIAMOND = {"prepare", "left", "right-de", "right-fr", "join"}
PROPOSALS = {
    "changed": [("params.yaml", "n: 1", "n: 2")],
    "worse": [("params.yaml", "acc: 0.9", "acc: 0.8")],
    "failing": [("dvc.yaml", "src/stage.py left left.txt", "src/stage.py left no/left.txt")],
    "words": [("NOTES.md", "", "More of them.\n")],
    "grown": [("dvc.yaml", "langs: [de, fr]", "langs: [de, fr, it]")],
    "listed": [
        ("dvc.yaml", "langs: [de, fr]", "langs: [de, fr, es, pt]"),
        ("ci-ml.yaml", "layout: stages", "layout: stages\n    graph: dynamic"),
    ],
}
# The last step of the gate's job, which is the last of the file: the lock that was judged.
SHOW = """\
      - if: always()
        run: cp dvc.lock "$ARTIFACTS/dvc.lock"
"""

Starting = Callable[[Path, Forge], GitHub]


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
        "params.yaml": "n: 1\nacc: 0.9\n",
        **{name: f"{name}\n" for name in ("seed.txt", "1.txt", "2.txt")},
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
def jobs(github_in: Starting, graph: Forge, tmp_path: Path) -> GitHub:
    """Runs the workflows of the graph as GitHub does."""
    return github_in(tmp_path, graph)


@pytest.fixture
def api(graph: Forge) -> Iterator[fake.GitHub]:
    with runners.served(graph) as server:
        yield server


def proposed(jobs: GitHub, api: fake.GitHub, name: str, **options: Any) -> Run:
    """The run for a change."""
    where = addressed(api)
    ran_in(jobs).mkdir(exist_ok=True)
    env = {**where["env"], "RAN": str(ran_in(jobs))}
    return jobs.pull_request(jobs.forge.changes[name], token=where["token"], env=env, **options)


def ran_in(jobs: GitHub) -> Path:
    return jobs.folder / "ran"


def ran(jobs: GitHub) -> set[str]:
    """What the stages call themselves that have run."""
    return {place.name for place in ran_in(jobs).iterdir()} - {"meet"}


def at(forge: Forge, commit: str, folder: Path) -> Project:
    """A clone at a commit, with nothing in DVC's cache."""
    clone = Project(root=folder / "clone at", env=forge.project.env)
    forge.project.git("clone", "--quiet", str(forge.project.root), str(clone.root))
    clone.git("checkout", "--quiet", "--detach", commit)
    return clone


def generated(clone: Project) -> str:
    """The workflow that `ci-ml generate` writes."""
    clone.ci_ml("generate").expect(0)
    return clone.read(".github/workflows/ci-ml.yml")


def reproduced(forge: Forge, name: str, folder: Path) -> str:
    """The dvc.lock that `dvc repro` writes for a change."""
    clone = at(forge, forge.changes[name].merge, folder)
    clone.dvc("repro", "--quiet")
    return clone.read("dvc.lock")


# --- A job per stage --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Done:
    """A run, what ran in it, and what GitHub knows after it."""

    run: Run
    ran: set[str]
    api: fake.GitHub


@pytest.fixture(scope="module")
def diamond(github_in: Starting, graph: Forge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """The run of the change that makes the whole diamond stale. Its two branches wait for each other."""
    jobs = github_in(tmp_path_factory.mktemp("diamond"), graph)
    ran_in(jobs).mkdir()
    os.mkfifo(ran_in(jobs) / "meet")
    workflow = graph.project.read(".github/workflows/ci-ml.yml")
    with runners.served(graph) as server:
        run = proposed(jobs, server, "changed", content=workflow + SHOW)
        yield Done(run=run, ran=ran(jobs), api=server)


def test_branches_of_the_graph_run_side_by_side(diamond: Done) -> None:
    assert diamond.run.code == 0, diamond.run.log  # neither of the two has waited in vain


def test_what_is_up_to_date_does_not_run(diamond: Done) -> None:
    assert diamond.ran == DIAMOND, diamond.run.log


def test_the_lock_that_is_judged_is_that_of_dvc_repro(diamond: Done, graph: Forge, tmp_path: Path) -> None:
    assert (diamond.run.artifacts / "dvc.lock").read_text() == reproduced(graph, "changed", tmp_path)


def test_the_verdict_is_told_once(diamond: Done, graph: Forge) -> None:
    report = diamond.run.report()
    assert report["verdict"]["outcome"] == "pass"
    states = {stage["name"]: stage["state"] for stage in report["training"]["stages"]}
    assert states == dict.fromkeys(("prepare", "left", "right@de", "right@fr", "join"), "ran")
    change = graph.changes["changed"]
    assert statuses(diamond.api, change.head) == {STATUS: "success"}
    assert len(diamond.api.repository(REPOSITORY).pulls[change.number].comments) == 1


def test_a_worse_change_is_blocked_and_its_report_is_kept(jobs: GitHub, api: fake.GitHub) -> None:
    run = proposed(jobs, api, "worse")
    assert run.code == 1, run.log
    assert "exit status 10" in run.log
    assert ran(jobs) == {"score"}
    assert run.report()["verdict"]["outcome"] == "fail"
    assert statuses(api, jobs.forge.changes["worse"].head) == {STATUS: "failure"}


def test_a_stage_that_fails_makes_the_gate_red_and_not_skipped(jobs: GitHub, api: fake.GitHub) -> None:
    change = jobs.forge.changes["failing"]
    run = proposed(jobs, api, "failing")
    assert run.code == 1, run.log
    assert "exit status 3" in _gate(run), run.log
    assert ran(jobs) == {"prepare", "left", "right-de", "right-fr"}, "what needs the failed stage does not run"
    assert statuses(api, change.head) == {STATUS: "error"}
    (comment,) = api.repository(REPOSITORY).pulls[change.number].comments
    assert "the job left ended as failure; the stage left has not run; the stage join has not run" in comment.body


def _gate(run: Run) -> str:
    """What the gate's job says."""
    return "".join(line for line in run.log.splitlines(keepends=True) if "/gate" in line.split("]")[0])


def test_a_job_that_somebody_switches_off_is_no_pass(jobs: GitHub, api: fake.GitHub) -> None:
    """A skipped job is no failure to GitHub."""
    change = jobs.forge.changes["worse"]
    workflow = jobs.forge.project.read(".github/workflows/ci-ml.yml")
    condition = "fromJSON(needs.plan.outputs.stages)['score']"
    assert workflow.count(condition) == 1
    run = proposed(jobs, api, "worse", content=workflow.replace(condition, "false"))
    assert "exit status 3" in _gate(run), run.log
    (comment,) = api.repository(REPOSITORY).pulls[change.number].comments
    assert "not everything ran: the stage score has not run" in comment.body


def test_nothing_to_run_is_judged_as_it_is(jobs: GitHub, api: fake.GitHub) -> None:
    run = proposed(jobs, api, "words")
    assert run.code == 0, run.log
    assert ran(jobs) == set()
    assert run.report()["verdict"]["outcome"] == "pass"


def test_a_stage_without_a_job_is_no_pass(jobs: GitHub, api: fake.GitHub) -> None:
    run = proposed(jobs, api, "grown")
    assert run.code == 1, run.log
    assert "exit status 12" in run.log
    assert statuses(api, jobs.forge.changes["grown"].head) == {STATUS: "error"}


def test_a_foreach_whose_list_is_known_at_run_time_only(jobs: GitHub, api: fake.GitHub, tmp_path: Path) -> None:
    workflow = generated(at(jobs.forge, jobs.forge.changes["listed"].merge, tmp_path))
    assert "right-de" not in workflow
    run = proposed(jobs, api, "listed", content=workflow)
    assert run.code == 0, run.log
    assert ran(jobs) == {"prepare", "right-es", "right-pt"}


# --- One job ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def single(graph: Forge, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The workflow with one job for all stages."""
    clone = at(graph, graph.main, tmp_path_factory.mktemp("single"))
    clone.edit("ci-ml.yaml", "layout: stages", "layout: single")
    return generated(clone) + SHOW


def test_one_job_runs_what_is_stale_as_dvc_repro_does(
    jobs: GitHub, api: fake.GitHub, single: str, tmp_path: Path
) -> None:
    run = proposed(jobs, api, "changed", content=single)
    assert run.code == 0, run.log
    assert ran(jobs) == DIAMOND
    assert (run.artifacts / "dvc.lock").read_text() == reproduced(jobs.forge, "changed", tmp_path)
    assert statuses(api, jobs.forge.changes["changed"].head) == {STATUS: "success"}


def test_one_job_fails_when_a_stage_does(jobs: GitHub, api: fake.GitHub, single: str) -> None:
    run = proposed(jobs, api, "failing", content=single)
    assert "exit status 3" in _gate(run), run.log
    assert statuses(api, jobs.forge.changes["failing"].head) == {STATUS: "error"}


# --- A push, whose training is recorded -----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["single", "stages"])
def test_what_is_merged_is_trained_and_recorded(github_in: Starting, graph: Forge, tmp_path: Path, layout: str) -> None:
    """The branch is on a server that wants a token; afterwards it holds what `dvc repro` makes, data and all."""
    clone = at(graph, graph.main, tmp_path)
    clone.git("checkout", "--quiet", "-B", "main")
    clone.dvc("remote", "add", "--quiet", "--default", "storage", str(tmp_path / "storage"))
    clone.edit("ci-ml.yaml", "layout: stages", f"layout: {layout}\n    record: true")
    generated(clone)
    before = clone.commit("Record what is merged")
    clone.edit("params.yaml", "n: 1", "n: 2")
    merged = clone.commit("A merge that nobody has trained")
    with git_server.serve(tmp_path / "server", {}) as server:
        bare = server.repository(REPOSITORY)
        clone.git("push", "--quiet", str(bare), "main")
        jobs = github_in(tmp_path, Forge(url=bare.as_uri(), project=clone, trained=merged, changes={}))
        ran_in(jobs).mkdir()
        payload = {"before": before, "repository": {"full_name": REPOSITORY, "default_branch": "main"}}
        with runners.served(jobs.forge) as api:
            access = addressed(api, {"contents": "write", "statuses": "write"})
            access["env"] |= {"GITHUB_SERVER_URL": server.url, "RAN": str(ran_in(jobs))}
            server.users["x-access-token"] = access["token"]
            run = jobs.run("push", payload, merged, branch="main", **access)
    assert run.code == 0, run.log
    assert ran(jobs) == DIAMOND
    clone.git("fetch", "--quiet", str(bare), "main")
    assert clone.git("rev-parse", "FETCH_HEAD^") == merged, run.log
    clone.dvc("repro", "--quiet")
    assert clone.git("diff", "--stat", "FETCH_HEAD") == ""
    assert clone.dvc("status", "--cloud", "--json") == "{}"


# --- A fork, whose own run may only read --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outside(
    github_in: Starting, graph: Forge, single: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Change, Run]:
    """A worse change from a fork, and its own run, in one job."""
    worse = graph.changes["worse"]
    change = dataclasses.replace(worse, number=worse.number + 10)
    jobs = github_in(tmp_path_factory.mktemp("outside"), graph)
    with runners.served(graph) as server:
        knows(server, change)
        access = addressed(server, dict.fromkeys(MAY_WRITE, "read"))
        run = jobs.pull_request(change, fork=True, content=single, **access)
        assert not server.repository(REPOSITORY).pulls[change.number].comments
    return change, run


def knows(api: fake.GitHub, change: Change) -> fake.Pull:
    """Open the pull request from the fork."""
    repository = api.repository(REPOSITORY)
    return repository.pull(change.number, head=change.head, branch=change.branch, source="somebody/tumours")


def test_one_job_blocks_a_worse_change_of_a_fork_and_keeps_the_report(outside: tuple[Change, Run]) -> None:
    _, run = outside
    assert run.code == 1, run.log
    assert "exit status 10" in run.log
    assert run.report()["verdict"]["outcome"] == "fail"


def published(jobs: GitHub, api: fake.GitHub, change: Change, report: bytes) -> Run:
    """The second workflow, after a run that has left a report."""
    artifact = jobs.folder / "artifacts" / "ci-ml-report" / "report.json"
    artifact.parent.mkdir(parents=True)
    artifact.write_bytes(report)
    return publish(jobs, change, **addressed(api, {**MAY_WRITE, "actions": "read"}))


def test_a_second_workflow_publishes_what_a_fork_has_left(
    jobs: GitHub, api: fake.GitHub, outside: tuple[Change, Run]
) -> None:
    """To the pull request that GitHub says it is, which the report need not name."""
    change, run = outside
    pull = knows(api, change)
    report = run.report()
    report["change"] |= {"repository": None, "number": None}
    second = published(jobs, api, change, json.dumps(report).encode())
    assert second.code == 0, second.log
    assert len(pull.comments) == 1
    assert statuses(api, change.head) == {STATUS: "failure"}


def lies(report: dict[str, Any], change: Change, what: str) -> bytes:
    """A report that a fork may leave, and that is not what it says."""
    match what:
        case "another commit":
            report["head"]["sha"] = report["change"]["head"] = change.base
        case "another repository":
            report["change"]["repository"] = "acme/other"
        case "another pull request":
            report["change"]["number"] = change.number - 10
        case "another verdict":
            report["verdict"] |= {"outcome": "pass"}
    text = json.dumps(report).encode()
    return {"too large": text + b" " * MAX_BYTES, "no JSON": text[:-1]}.get(what, text)


@pytest.mark.parametrize(
    "what",
    ["another commit", "another repository", "another pull request", "another verdict", "too large", "no JSON"],
)
def test_a_report_that_lies_is_refused(jobs: GitHub, api: fake.GitHub, outside: tuple[Change, Run], what: str) -> None:
    change, run = outside
    knows(api, change)
    second = published(jobs, api, change, lies(run.report(), change, what))
    assert second.code == 1, second.log
    assert "exit status 2" in second.log
    assert not any(pull.comments for pull in api.repository(REPOSITORY).pulls.values())
    assert statuses(api, change.head) == {}


# --- The files ----------------------------------------------------------------------------------------------------------


LAYOUTS = {
    "stages": "layout: stages",
    "dynamic": "layout: stages\n    graph: dynamic",
    "single": "layout: single",
    "with everything": """layout: stages
    schedule: 23 4 * * 1
    record: true
    images: {left: "python:3.13"}
    runners: {"right*": [self-hosted, gpu], default: ubuntu-latest}
    credentials: {secrets: {AWS_ACCESS_KEY_ID: DVC_KEY_ID}}""",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_generated_is_what_linters_want(graph: Forge, tmp_path: Path, layout: str) -> None:
    clone = at(graph, graph.main, tmp_path)
    clone.edit("ci-ml.yaml", "layout: stages", LAYOUTS[layout])
    if layout == "with everything":
        clone.edit("ci-ml.yaml", "    runners: {default: ubuntu-latest}\n", "")
        clone.dvc("remote", "add", "--quiet", "--default", "storage", "s3://bucket/data")
    generated(clone)
    files = sorted((clone.root / ".github" / "workflows").iterdir())
    assert [file.name for file in files] == ["ci-ml-publish.yml", "ci-ml.yml"]
    config = tmp_path / "actionlint.yml"
    config.write_text("self-hosted-runner: {labels: [gpu]}")
    tool("shellcheck")
    lint("actionlint", "-config-file", config, *files)
    lint("zizmor", "--offline", "--quiet", "--config", Path(__file__).with_name("zizmor.yml"), *files)
