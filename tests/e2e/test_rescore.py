"""A change that brings other test data is judged on these: the base's model is scored on them, too."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import churning
from tests.e2e.project import DEADLINE, Project, copy, ended, until


@pytest.fixture(scope="module")
def churned(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("churning")
    churning.build(folder, environment)
    return folder


@pytest.fixture
def project(churned: Path, tmp_path: Path, environment: dict[str, str]) -> Project:
    copy(churned, tmp_path / "churning")
    return Project(root=tmp_path / "churning" / "repo", env=environment)


def bring(project: Project, rows: str) -> None:
    """New data, and everything trained on them."""
    project.write("data/raw.csv", rows)
    project.dvc("commit", "--quiet", "--force", "data/raw.csv.dvc")
    project.ci_ml("train").expect(0)
    project.commit("new data")


def comparison(report: Any, metric: str) -> Any:
    (found,) = (item for item in report["comparisons"] if item["metric"] == metric)
    return found


def test_both_models_are_judged_on_the_new_test_data(project: Project) -> None:
    project.branch()
    bring(project, churning.rows(10_000, 1200))
    report = project.ci_ml("check", "--format", "json").expect(0).json()
    found = comparison(report, "test.accuracy")
    assert found["n"] == 600
    assert found["status"] in ("held", "unchanged", "improved", "inconclusive")
    assert "data/test.csv differs from the base's: the base's model was scored anew" in " ".join(report["notices"])
    assert [item["path"] for item in report["data"]] == ["data/raw.csv"]
    assert project.status() == ""


@pytest.mark.thorough
def test_a_challenger_that_is_worse_on_them_is_refused(project: Project) -> None:
    project.branch()
    project.edit("params.yaml", "sign: 1", "sign: -1")
    bring(project, churning.rows(10_000, 1200))
    report = project.ci_ml("check", "--format", "json").expect(10).json()
    for metric in ("test.accuracy", "metrics.json:accuracy"):
        found = comparison(report, metric)
        assert found["status"] == "regressed"
        assert found["base"] > 0.85
        assert found["head"] < 0.2


@pytest.mark.thorough
def test_numbers_in_files_are_those_of_the_new_data_as_well(project: Project) -> None:
    """The data turn round: both models are bad on them, and the challenger learnt from them."""
    project.branch()
    bring(project, churning.rows(10_000, 1200, boundary=3.0))
    report = project.ci_ml("check", "--format", "json").expect(0).json()
    found = comparison(report, "metrics.json:accuracy")
    recorded = project.json("metrics.json")["accuracy"]
    assert found["head"] == recorded
    assert found["base"] < 0.8
    assert found["status"] == "improved"


@pytest.mark.thorough
def test_the_verdict_is_the_same_in_a_clone_without_data(project: Project) -> None:
    project.branch()
    bring(project, churning.rows(10_000, 1200))
    here = project.ci_ml("check", "--format", "json").expect(0).json()
    project.dvc("push", "--quiet")
    clone = project.clone("elsewhere", "--branch=change")
    clone.git("fetch", "--quiet", "origin", "main:main")
    clone.dvc("remote", "modify", "--local", "storage", "url", str(project.root.parent / "remote"))
    there = clone.ci_ml("check", "--base", "main", "--format", "json").expect(0).json()
    assert there["comparisons"] == here["comparisons"]


@pytest.mark.thorough
def test_nothing_runs_when_the_test_data_are_the_same(project: Project) -> None:
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.ci_ml("train").expect(0)
    project.commit("fewer steps")
    done = project.ci_ml("check", "--format", "json").expect(0)
    assert "evaluate" not in done.err
    assert not any("scored" in notice for notice in done.json()["notices"])


@pytest.mark.thorough
def test_data_that_the_change_makes_in_another_way_are_not_given_to_the_old_model(project: Project) -> None:
    project.branch()
    project.edit("src/split.py", "len(rows) // 2", "len(rows) // 3")
    project.ci_ml("train").expect(0)
    project.commit("another split")
    report = project.ci_ml("check", "--format", "json").expect(11).json()
    (notice,) = (item for item in report["notices"] if "not scored" in item)
    assert "data/test.csv is made in another way than in the base (stage split)" in notice
    assert comparison(report, "test.accuracy")["status"] == "missing"


@pytest.mark.thorough
def test_a_model_that_cannot_be_scored_is_told_and_blocks(project: Project) -> None:
    """The base's evaluation failed half-way for want of a column that only new data lack."""
    project.branch()
    project.edit(
        "src/evaluate.py",
        'model = json.load(open("model.json"))',
        "model = json.load(open(\"model.json\"))\nmodel['new']",
    )
    project.edit("src/train.py", "json.dump({", 'json.dump({"new": 1, ')
    bring(project, churning.rows(10_000, 1200))
    done = project.ci_ml("check", "--format", "json")
    assert done.code == 11, done.text
    (notice,) = (item for item in done.json()["notices"] if "not scored" in item)
    assert "stage 'evaluate' failed" in notice


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("rescore", "problem"),
    [
        ("{model: nothing.json}", "rescore.model: nothing.json is no output of DVC"),
        ("{model: model.json, stages: score}", "rescore.stages: there is no stage score"),
        ("{model: metrics.json}", "no stage depends on metrics.json"),
    ],
)
def test_names_that_are_not_there_are_errors(project: Project, rescore: str, problem: str) -> None:
    project.edit("ci-ml.yaml", "{model: model.json}", rescore)
    project.commit("a mistake")
    project.branch()
    bring(project, churning.rows(10_000, 1200))
    assert problem in project.ci_ml("check").expect(2).err


@pytest.mark.thorough
def test_a_model_that_is_the_same_is_not_scored_again(project: Project) -> None:
    """New data for the test alone: the model learns from what it learnt from before."""
    project.branch()
    lines = project.read("data/raw.csv").split("\n")
    bring(project, "\n".join([*lines[:401], *churning.rows(10_000, 400).split("\n")[1:]]))
    done = project.ci_ml("check", "--format", "json").expect(0)
    assert "evaluate |" not in done.err
    found = comparison(done.json(), "test.accuracy")
    assert found["base"] == found["head"]
    assert found["n"] == 400
    assert "and its model is the head's: both are scored alike" in " ".join(done.json()["notices"])


# A folder with a name that has to be quoted, and one stage that predicts for another that evaluates.
FOLDER = "modèle v1"
TRAIN = """
import os, random
os.makedirs("modèle v1", exist_ok=True)
os.rename("model.json", "modèle v1/model.json")
if params["steps"] != 3:
    open("modèle v1/more.json", "w").write("1")
"""
PREDICT = """\
import csv, json, math, os
model = json.load(open("modèle v1/model.json"))
print("files of the model:", sorted(os.listdir("modèle v1")))
with open("raw scores.csv", "w") as out:
    out.write("row_id,churned,p\\n")
    for row in csv.DictReader(open("data/test.csv")):
        score = 1 / (1 + math.exp(-(model["slope"] * float(row["x"]) + model["offset"])))
        out.write(f"{row['row_id']},{row['churned']},{score:.6f}\\n")
"""
EVALUATE = """\
import csv, json, shutil, yaml
threshold = yaml.safe_load(open("params.yaml"))["threshold"]
rows = list(csv.DictReader(open("raw scores.csv")))
right = sum((float(row["p"]) > threshold) == (row["churned"] == "1") for row in rows)
json.dump({"accuracy": right / len(rows)}, open("metrics.json", "w"))
shutil.copyfile("raw scores.csv", "predictions.csv")
"""


@pytest.mark.thorough
@pytest.mark.parametrize("cached", [True, False], ids=["in DVC", "in git"])
def test_folders_names_to_be_quoted_and_stages_behind_each_other(project: Project, cached: bool) -> None:
    stages = project.yaml("dvc.yaml")
    project.write("src/train.py", project.read("src/train.py") + TRAIN)
    project.write("src/predict.py", PREDICT)
    project.write("src/evaluate.py", EVALUATE)
    stages["stages"]["train"]["outs"] = [{FOLDER: {"cache": cached}}]
    stages["stages"]["predict"] = {
        "cmd": "python src/predict.py",
        "deps": ["src/predict.py", "data/test.csv", FOLDER],
        "outs": ["raw scores.csv"],
    }
    stages["stages"]["evaluate"].update(deps=["src/evaluate.py", "raw scores.csv"], params=["threshold"])
    project.write("dvc.yaml", stages)
    project.write("params.yaml", {**churning.PARAMS, "threshold": 0.5})
    project.edit("ci-ml.yaml", "{model: model.json}", f"{{model: {FOLDER}}}")
    project.ci_ml("train").expect(0)
    project.commit("a folder")
    project.branch()
    project.write("params.yaml", {"train": {**churning.PARAMS["train"], "steps": 2}, "threshold": 0.4})
    bring(project, churning.rows(10_000, 1200))
    before = project.status(), project.git("for-each-ref")
    done = project.ci_ml("check", "--format", "json").expect(0)
    assert "predict | files of the model: ['model.json']" in done.err
    assert comparison(done.json(), "test.accuracy")["n"] == 600
    assert (project.status(), project.git("for-each-ref")) == before
    assert not (project.root / ".dvc/cache/files/md5/files").exists()


@pytest.mark.thorough
def test_a_project_in_a_folder_with_a_dvc_of_its_own(project: Project) -> None:
    inner = project.root / "teil projekt"
    inner.mkdir()
    for name in project.git("ls-tree", "--name-only", "HEAD").splitlines():
        project.git("mv", name, f"teil projekt/{name}")
    for name in ("config.local", "cache", "tmp"):
        if (place := project.root / ".dvc" / name).exists():
            place.rename(inner / ".dvc" / name)
    shutil.rmtree(project.root / ".dvc", ignore_errors=True)
    for place in (project.root / "data", project.root / "model.json", project.root / "predictions.csv"):
        if place.exists():
            (shutil.rmtree if place.is_dir() else Path.unlink)(place)
    project.edit("teil projekt/.dvc/config", "../remote", "../../remote")
    project.commit("in a folder")
    within = Project(root=inner, env=project.env)
    within.dvc("checkout", "--quiet")
    project.branch()
    bring(within, churning.rows(10_000, 1200))
    report = within.ci_ml("check", "--format", "json").expect(0).json()
    assert comparison(report, "test.accuracy")["n"] == 600
    assert "the base's model was scored anew" in " ".join(report["notices"])


@pytest.mark.thorough
def test_killed_in_the_middle_it_leaves_the_repository_as_it_was(project: Project, tmp_path: Path) -> None:
    project.edit(
        "src/evaluate.py", "import csv", "import os, time\nopen(os.environ['HERE'], 'a').write('x')\nimport csv"
    )
    here = tmp_path / "here"
    where = Project(root=project.root, env={**project.env, "HERE": str(here), "TMPDIR": str(tmp_path)})
    where.ci_ml("train").expect(0)
    where.commit("tells when it runs")
    where.branch()
    bring(where, churning.rows(10_000, 1200))
    before = (
        where.status(),
        where.git("for-each-ref"),
        sorted(place.name for place in (where.root / ".dvc/tmp").iterdir()),
    )
    here.unlink()
    os.mkfifo(here)  # whoever opens it waits for a reader, which never comes
    with ended(where.start("check")) as process:
        until(lambda: list(tmp_path.glob("ci-ml-rescore-*/copy/.dvc/tmp/rwlock")), "the stage runs")
        process.kill()
        process.wait(DEADLINE)
    after = (
        where.status(),
        where.git("for-each-ref"),
        sorted(place.name for place in (where.root / ".dvc/tmp").iterdir()),
    )
    assert after == before
    here.unlink()
    here.touch()
    where.ci_ml("check").expect(0)
