"""Pipelines that `ci-ml generate` writes for GitLab, run by gitlab-ci-local: a job per stage of a real DVC project."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci_ml import __version__
from tests.ci.pipelines import Pipelines
from tests.ci.runners import REPOSITORY
from tests.e2e.project import Project
from tests.fakes import git_server

pytestmark = pytest.mark.thorough

# A diamond, a stage with two instances, and the numbers that are judged.
DVC_YAML = """\
stages:
  prepare:
    cmd: python stage.py prepare data/raw.txt data/clean.txt
    deps: [stage.py, data/raw.txt]
    outs: [data/clean.txt]
  left:
    cmd: python stage.py left data/clean.txt left.txt
    deps: [stage.py, data/clean.txt]
    params: [left]
    outs: [left.txt]
  right:
    cmd: python stage.py right data/clean.txt right
    deps: [stage.py, data/clean.txt]
    params: [right]
    outs: [right]
  fold:
    foreach: [1, 2]
    do:
      cmd: python stage.py fold-${item} left.txt right fold-${item}.txt
      deps: [stage.py, left.txt, right]
      outs: ["fold-${item}.txt"]
  gate:
    cmd: python stage.py gate fold-1.txt fold-2.txt metrics.json
    deps: [stage.py, fold-1.txt, fold-2.txt]
    params: [accuracy]
    metrics: [metrics.json: {cache: false}]
"""

# In CI a stage leaves when it ran; with PARTNERS it does not end before the one beside it has begun, so that it fails
# where jobs run one after the other.
STAGE = """\
import json, os, sys, time
from pathlib import Path

name, *inputs, output = sys.argv[1:]
params = dict(line.split(": ") for line in open("params.yaml").read().splitlines())
times = os.environ.get("STAGE_TIMES")
begin = time.time()
if times:
    Path(times, name + ".begun").touch()
    beside = {"left": "right", "right": "left", "fold-1": "fold-2", "fold-2": "fold-1"}.get(name)
    while beside and os.environ.get("STAGE_PARTNERS") and not Path(times, beside + ".begun").exists():
        if time.time() - begin > 60:
            sys.exit(f"{beside} does not run beside {name}")
        time.sleep(0.05)
if params.get(name) == "broken":
    sys.exit(f"{name} is broken")
texts = [(Path(path) / "part.txt" if Path(path).is_dir() else Path(path)).read_text() for path in inputs]
if name == "gate":
    Path(output).write_text(json.dumps({"accuracy": float(params["accuracy"]), "length": len("".join(texts))}))
elif name == "right":
    Path(output).mkdir(exist_ok=True)
    Path(output, "part.txt").write_text("".join(texts) + f"right {params['right']}\\n")
else:
    Path(output).write_text("".join(texts) + f"{name} {params.get(name, '')}\\n")
if times:
    Path(times, name + ".json").write_text(json.dumps([begin, time.time()]))
"""

CI_ML_YAML = """\
version: 1
name: diamond
train: {track: false}
gates:
  - {metric: "metrics.json:accuracy", direction: higher, margin: 0.01}
pipelines:
  - {forge: gitlab, layout: %(layout)s, record: %(record)s, action: "%(action)s", python: {install: ["python --version"]}}
"""


@dataclass(frozen=True, kw_only=True)
class Diamond(Pipelines):
    """The project, trained on main, and the runner of its pipelines."""

    def propose(self, old: str, new: str) -> str:
        """A commit on a branch that nobody has trained, with another line in params.yaml."""
        self.project.git("checkout", "--quiet", "-B", "change", "main")
        self.project.edit("params.yaml", old, new)
        return self.project.commit(f"{old} becomes {new}")

    def more_data(self) -> str:
        """A commit on a branch that makes every stage stale."""
        self.project.git("checkout", "--quiet", "-B", "change", "main")
        self.project.write("data/raw.txt", "raw, and more\n")
        return self.project.commit("More data")

    def reproduced(self, commit: str) -> bytes:
        """The dvc.lock that `dvc repro` makes of a commit."""
        there = Project(root=self.folder / "repro", env=self.project.env)
        self.project.git("clone", "--quiet", str(self.project.root), str(there.root))
        there.git("checkout", "--quiet", "--detach", commit)
        there.dvc("repro", "--quiet")
        return (there.root / "dvc.lock").read_bytes()


@pytest.fixture
def diamond(
    gitlab_ci_local: str, checkout: Path, gitlab_runner: dict[str, str], tmp_path: Path
) -> Callable[..., Diamond]:
    """Builds the project with a pipeline; with a `remote` outputs go through that, else they are artifacts."""

    def build(layout: str, *, remote: bool = False, record: bool = False) -> Diamond:
        root = tmp_path / "project"
        root.mkdir()
        project = Project(root=root, env={**gitlab_runner, "PYTHONPATH": ""})
        project.git("init", "--quiet", "--initial-branch=main")
        for setting in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):  # as on GitLab
            project.git("config", setting, "true")
        project.dvc("init", "--quiet")
        if remote:
            project.dvc("remote", "add", "--quiet", "--default", "storage", str(tmp_path / "storage"))
        project.write("stage.py", STAGE)
        project.write("data/raw.txt", "raw\n")
        project.write("data/.gitignore", "/clean.txt\n")
        project.write("params.yaml", "left: 1\nright: 1\naccuracy: 0.9\n")
        project.write("dvc.yaml", DVC_YAML)
        said = {"layout": layout, "action": f"{checkout.as_uri()}@v{__version__}", "record": str(record).lower()}
        project.write("ci-ml.yaml", CI_ML_YAML % said)
        project.ci_ml("generate").expect(0)
        project.dvc("repro", "--quiet")
        if remote:
            project.dvc("push", "--quiet")
        project.commit("A trained pipeline")
        return Diamond(command=gitlab_ci_local, project=project, folder=tmp_path, env=gitlab_runner)

    return build


LAYOUTS = ["stages", "stages, graph: dynamic"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("remote", [False, True], ids=["artifacts", "remote"])
def test_stages_run_side_by_side_and_give_the_lock_of_dvc_repro(
    diamond: Callable[..., Diamond], layout: str, remote: bool
) -> None:
    here = diamond(layout, remote=remote)
    commit = here.more_data()
    run = here.merge_request(commit, partners=True)
    assert (run.code, run.failed()) == (0, set()), run.log
    assert run.ran() == {"prepare", "left", "right", "fold-1", "fold-2", "gate"}
    for one, other in (("left", "right"), ("fold-1", "fold-2")):
        (begin, end), (start, stop) = run.interval(one), run.interval(other)
        assert max(begin, start) < min(end, stop), f"{one} and {other} ran one after the other"
    assert run.interval("prepare")[1] < run.interval("left")[0]
    assert (run.built("gate") / "dvc.lock").read_bytes() == here.reproduced(commit)
    assert run.report()["verdict"]["outcome"] == "pass"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_up_to_date_does_not_run(diamond: Callable[..., Diamond], layout: str) -> None:
    here = diamond(layout, remote=True)
    commit = here.propose("right: 1", "right: 2")
    run = here.merge_request(commit)
    assert (run.code, run.failed()) == (0, set()), run.log
    assert run.ran() == {"right", "fold-1", "fold-2", "gate"}
    assert ("left" in run.jobs()) == (layout == "stages"), run.log  # a child pipeline has no job for it
    assert (run.built("gate") / "dvc.lock").read_bytes() == here.reproduced(commit)


# gitlab-ci-local lets nothing start that comes after a job that was skipped, not even the gate. GitLab does: it runs what
# is `when: always` after success, failure and skipped jobs alike (valid_statuses_for_build in its ProcessBuildService).


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stage_that_fails_makes_the_pipeline_red(diamond: Callable[..., Diamond], layout: str) -> None:
    here = diamond(layout)
    run = here.merge_request(here.propose("right: 1", "right: broken"))
    assert run.failed() == {"right"}, run.log
    assert "right is broken" in run.log
    assert run.ran() == {"prepare", "left"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gate_runs_after_a_failure_and_says_what_is_missing(diamond: Callable[..., Diamond], layout: str) -> None:
    here = diamond(layout)
    run = here.merge_request(here.propose("accuracy: 0.9", "accuracy: none"))
    assert run.failed() == {"gate-2", "gate"}, run.log
    assert "the stage gate has not run" in run.log
    assert not (run.state / "artifacts" / "gate" / ".ci-ml" / "report.json").exists()


@pytest.mark.parametrize("layout", ["single", *LAYOUTS])
def test_a_worse_change_is_blocked(diamond: Callable[..., Diamond], layout: str) -> None:
    here = diamond(layout)
    run = here.merge_request(here.propose("accuracy: 0.9", "accuracy: 0.5"))
    assert run.failed() == {"gate"}, run.log
    assert "metrics.json:accuracy fell from 0.9 to 0.5" in run.log
    assert run.report()["verdict"]["outcome"] == "fail"


@pytest.mark.parametrize("layout", ["single", *LAYOUTS])
def test_the_default_branch_is_judged_by_what_it_was_before(diamond: Callable[..., Diamond], layout: str) -> None:
    here = diamond(layout)
    before = here.project.git("rev-parse", "main")
    here.project.write("NOTES.md", "Nothing that a stage reads.\n")
    commit = here.project.commit("A note")
    run = here.run(commit, CI_COMMIT_BRANCH="main", CI_COMMIT_BEFORE_SHA=before)
    assert (run.code, run.failed()) == (0, set()), run.log
    assert run.report()["verdict"]["outcome"] == "pass"
    assert run.report()["base"]["sha"] == before
    head = run.report()["head"]
    assert (head["sha"], head["dirty"]) == (commit, False)  # no stage had to run


@pytest.mark.parametrize("layout", ["single", *LAYOUTS])
def test_what_is_merged_is_trained_and_recorded(diamond: Callable[..., Diamond], tmp_path: Path, layout: str) -> None:
    """The branch is on a server that wants a token; afterwards it holds what `dvc repro` makes, data and all."""
    here = diamond(layout, remote=True, record=True)
    project = here.project
    before = project.git("rev-parse", "main")
    project.edit("params.yaml", "right: 1", "right: 2")
    merged = project.commit("A merge that nobody has trained")
    with git_server.serve(tmp_path / "server", {"gitlab-ci-token": "job"}) as server:
        bare = server.repository(REPOSITORY)
        project.git("push", "--quiet", str(bare), "main")
        run = here.run(
            merged,
            CI_COMMIT_BRANCH="main",
            CI_COMMIT_REF_NAME="main",
            CI_COMMIT_BEFORE_SHA=before,
            CI_PIPELINE_SOURCE="push",
            CI_PROJECT_URL=f"{server.url}/{REPOSITORY}",
            CI_SERVER_HOST="gitlab.example.org",
            CI_JOB_TOKEN="job",
        )
    assert (run.code, run.failed()) == (0, set()), run.log
    assert run.ran() == {"right", "fold-1", "fold-2", "gate"}
    project.git("fetch", "--quiet", str(bare), "main")
    assert project.git("rev-parse", "FETCH_HEAD^") == merged, run.log
    project.dvc("repro", "--quiet")
    assert project.git("diff", "--stat", "FETCH_HEAD") == ""
    assert project.dvc("status", "--cloud", "--json") == "{}"


@pytest.mark.parametrize("layout", ["single", *LAYOUTS])
def test_other_branches_wait_for_their_merge_request(diamond: Callable[..., Diamond], layout: str) -> None:
    here = diamond(layout)
    commit = here.propose("accuracy: 0.9", "accuracy: 0.5")
    run = here.run(commit, CI_COMMIT_BRANCH="change")
    assert (run.code, run.jobs()) == (0, {}), run.log
    assert "pipeline finished" in run.log
