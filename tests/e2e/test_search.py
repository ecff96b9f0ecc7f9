"""`ci-ml retrain` with a search: parameters are tried in copies, the best by a validation set is what is trained."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e import churning
from tests.e2e.project import DEADLINE, Project, alive, copy, ended, until

pytestmark = pytest.mark.thorough

VALIDATE = """\
import csv, json, math, yaml
params = yaml.safe_load(open("params.yaml"))["train"]
if params["rate"] > 1:
    raise SystemExit("it diverges")
model = json.load(open("model.json"))
rows = list(csv.DictReader(open("data/train.csv")))
right = sum((model["slope"] * float(row["x"]) + model["offset"] > 0) == (row["churned"] == "1") for row in rows)
value = float("nan") if params["steps"] == 1 else right / len(rows)
json.dump({"accuracy": value}, open("validation.json", "w"))
print("tried", params["sign"])
"""
SEARCH = """\
retrain:
  search:
    params: {params}
    metric: validation.json:accuracy
    direction: higher
    trials: {trials}
    jobs: {jobs}
"""


@pytest.fixture(scope="module")
def churned(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("searching")
    project = churning.build(folder, environment)
    project.write("src/validate.py", VALIDATE)
    stages = project.yaml("dvc.yaml")
    stages["stages"]["validate"] = {
        "cmd": "python src/validate.py",
        "deps": ["src/validate.py", "data/train.csv", "model.json"],
        "params": ["train.rate", "train.sign", "train.steps"],
        "metrics": [{"validation.json": {"cache": False}}],
    }
    project.write("dvc.yaml", stages)
    project.write("params.yaml", "train:\n  rate: 0.1\n  steps: 3\n  sign: -1 # which way round\n")
    project.ci_ml("train").expect(0)
    project.commit("a validation set")
    return folder


@pytest.fixture
def project(churned: Path, tmp_path: Path, environment: dict[str, str]) -> Project:
    copy(churned, tmp_path / "churning")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return Project(root=tmp_path / "churning" / "repo", env={**environment, "TMPDIR": str(temporary)})


def searches(project: Project, *params: str, trials: int = 20, jobs: int = 1, more: str = "") -> None:
    text = SEARCH.replace("{params}", json.dumps(list(params))).replace("{trials}", str(trials))
    project.write("ci-ml.yaml", f"{churning.CI_ML_YAML}{text.replace('{jobs}', str(jobs))}{more}")
    project.commit("a search")


def refs(project: Project) -> str:
    """Everything that git keeps, but for the record of retrainings."""
    listed = project.git("for-each-ref", "--format=%(refname)")
    return "\n".join(line for line in listed.splitlines() if not line.startswith("refs/ci-ml/"))


def left(project: Project) -> list[str]:
    return sorted(place.name for place in Path(project.env["TMPDIR"]).iterdir())


def report(project: Project) -> Any:
    return project.json(".ci-ml/report.json")


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_best_by_the_validation_set_is_trained_judged_and_proposed(project: Project, jobs: int) -> None:
    searches(project, "train.sign=choice(-1,1)", "train.steps=2,3", jobs=jobs)
    before = refs(project)
    done = project.ci_ml("retrain", "--no-propose").expect(0)
    assert project.yaml("params.yaml")["train"] == {"rate": 0.1, "steps": 2, "sign": 1}
    assert "# which way round" in project.read("params.yaml")
    assert {(item["key"], item["base"], item["head"]) for item in report(project)["params"]} == {
        ("train.sign", -1, 1),
        ("train.steps", 3, 2),
    }
    (note,) = (item for item in report(project)["notices"] if item.startswith("search:"))
    assert re.fullmatch(
        r"search: of 4 experiments, validation.json:accuracy is highest \(0\.9\d+\) with train.sign=1, train.steps=2",
        note,
    )
    assert "search | 3: validate | tried 1" in done.err
    assert "train | from cache" in done.err  # it was trained once, in its experiment
    assert refs(project) == before
    assert left(project) == []
    assert not (project.root / ".dvc/tmp/exps").exists()


def test_what_fails_is_told_and_skipped_and_nan_never_wins(project: Project) -> None:
    searches(project, "train.rate=choice(5,0.1)", "train.steps=choice(1,3)", "train.sign=1")
    project.ci_ml("retrain", "--no-propose").expect(0)
    assert project.yaml("params.yaml")["train"] == {"rate": 0.1, "steps": 3, "sign": 1}
    notes = [item for item in report(project)["notices"] if item.startswith("search:")]
    assert "search: of 4 experiments, validation.json:accuracy is highest" in notes[0]
    assert notes[1].startswith(
        "search: 3 experiments came to nothing: train.rate=5, train.steps=1, train.sign=1 (stage"
    )
    assert "failed to run: python src/validate.py, exited with 1" in notes[1]
    assert "train.rate=0.1, train.steps=1, train.sign=1 (validation.json:accuracy is NaN)" in notes[1]


def test_all_failed_is_an_error_and_changes_nothing(project: Project) -> None:
    searches(project, "train.rate=choice(5,6)")
    done = project.ci_ml("retrain", "--no-propose").expect(3)
    assert (
        "retrain.search: none of 2 experiments has validation.json:accuracy: train.rate=5: stage validate" in done.err
    )
    assert project.status() == ""
    assert left(project) == []


def test_more_combinations_than_trials_are_a_choice_that_is_always_the_same(project: Project) -> None:
    searches(project, "train.steps=range(2,40)", "train.sign=-1,1", trials=3, jobs=2)
    tried = []
    for _ in range(2):
        done = project.ci_ml("retrain", "--no-propose").expect(0)
        tried.append(sorted(re.findall(r"^search \| \d: (train\.steps=\d+, train\.sign=-?1)$", done.err, re.MULTILINE)))
        assert "search: 3 of 76 combinations were tried" in done.err
        project.git("restore", ".")
        project.dvc("checkout", "--quiet")
    assert len(set(tried[0])) == 3
    assert tried[0] == tried[1]


def test_new_data_are_what_the_experiments_learn_from(project: Project) -> None:
    """The cache is all there is: no remote, and nothing but the refresh has brought the data here."""
    project.git("rm", "--quiet", "--cached", ".dvc/config")
    project.write(".dvc/config", "[core]\n    analytics = false\n    autostage = false\n")
    project.write("src/refresh.py", 'import shutil\nshutil.copyfile("../warehouse.csv", "data/raw.csv")\n')
    (project.root.parent / "warehouse.csv").write_text(churning.rows(10_000, 1200, boundary=2.0))
    searches(project, "train.sign=choice(-1,1)", more="  refresh: {command: [python, src/refresh.py]}\n")
    done = project.ci_ml("retrain", "--no-propose").expect(0)
    assert "search | 1: split | $ python src/split.py" in done.err
    assert project.yaml("params.yaml")["train"]["sign"] == 1


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        (["train.sing=1,2"], "train.sing"),
        (["other.yaml:a=1,2"], "there is no file other.yaml"),
        (["train.rate=interval(0,1)"], "has no list of values"),
        (["train.rate=choice("], "train.rate=choice("),
        (["train.steps=range(1,1000000)"], "more than 100000 values"),
    ],
)
def test_parameters_that_cannot_be_meant_are_errors(project: Project, params: list[str], problem: str) -> None:
    searches(project, *params)
    done = project.ci_ml("retrain", "--no-propose").expect(2)
    assert "retrain.search.params: " in done.err
    assert problem in done.err
    assert project.status() == ""


def test_a_search_never_chooses_by_what_a_gate_judges(project: Project) -> None:
    searches(project, "train.sign=choice(-1,1)")
    project.edit("ci-ml.yaml", "metric: validation.json:accuracy", "metric: metrics.json:accuracy")
    project.commit("the test set")
    done = project.ci_ml("retrain").expect(2)
    assert "retrain.search.metric: the gate metrics.json:accuracy judges metrics.json:accuracy" in done.err
    assert not project.git("for-each-ref", "refs/ci-ml")  # it never began


STUCK = """\
import json, os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
name = os.path.join(os.environ["PIDS"], str(os.getpid()))
open(name + ".new", "w").write(json.dumps([os.getpid(), child.pid]))
os.rename(name + ".new", name + ".json")
time.sleep(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_search_that_is_stopped_leaves_no_process(project: Project, tmp_path: Path, number: signal.Signals) -> None:
    project.write("src/validate.py", STUCK)
    searches(project, "train.sign=choice(-1,1)", "train.steps=2,3", jobs=2)
    pids = tmp_path / "pids"
    pids.mkdir()
    with ended(project.start("retrain", "--no-propose", env={"PIDS": str(pids)})) as process:
        until(lambda: len(list(pids.glob("*.json"))) == 2, "two experiments run")
        processes = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
        processes |= {pid for place in pids.glob("*.json") for pid in json.loads(place.read_text())}
        os.kill(process.pid, number)
        code = process.wait(DEADLINE)
    assert code == (-number if number is signal.SIGKILL else 130)
    for pid in processes:
        until(lambda pid=pid: not alive(pid), f"process {pid} of {processes} is gone")
    assert project.status() == ""
    if number is not signal.SIGKILL:
        assert left(project) == []
        record = project.git("show", "refs/ci-ml/retraining:entries.jsonl").splitlines()
        assert json.loads(record[-1])["sentence"] == "it was stopped"
