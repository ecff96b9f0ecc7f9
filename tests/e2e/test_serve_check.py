"""The packaged model is asked for answers that were evaluated: its own bytes, in a process without secrets."""

import json
from pathlib import Path

import pytest

from tests.e2e import promoting
from tests.e2e.project import Project, copy

pytestmark = pytest.mark.thorough

TRAIN = """\
import csv, json, pathlib, shutil
import mlflow.pyfunc, yaml
rate = yaml.safe_load(open("params.yaml"))["train"]["rate"]
shutil.rmtree("model", ignore_errors=True)
mlflow.pyfunc.save_model("model", python_model="src/packaged.py", model_config={"rate": rate}, pip_requirements=[])
rows = [dict(id=str(i), x=str(i / 10)) for i in range(40)]
with open("sample.csv", "w", newline="") as file:
    out = csv.DictWriter(file, ["id", "x"]); out.writeheader(); out.writerows(rows)
with open("predictions.csv", "w", newline="") as file:
    out = csv.DictWriter(file, ["id", "y", "said"]); out.writeheader()
    out.writerows({"id": row["id"], "y": 1.0, "said": float(row["x"]) * rate} for row in rows)
json.dump({"accuracy": 0.9}, open("metrics.json", "w"))
"""
PACKAGED = """\
import os
import mlflow
from mlflow.pyfunc import PythonModel
class Model(PythonModel):
    def load_context(self, context):
        self.rate = context.model_config["rate"]
    def predict(self, context, model_input, params=None):
        assert "SECRET_TOKEN" not in os.environ
        print("hello from the model")
        return model_input["x"] * self.rate
mlflow.models.set_model(Model())
"""
DVC = """\
stages:
  train:
    cmd: python -W ignore src/train.py
    deps: [src/train.py, src/packaged.py]
    params: [train.rate]
    outs: [model, sample.csv, predictions.csv]
    metrics: [metrics.json: {cache: false}]
"""
CONFIG = """\
version: 1
train: {track: false}
predictions: {test: {path: predictions.csv, task: regression, id: id, label: y, prediction: said}}
gates: [{metric: "metrics.json:accuracy", direction: higher, margin: 1}]
registry:
  churn: {model: model, serve: {sample: sample.csv, predictions: test, rows: 30, columns: [x]}}
"""


@pytest.fixture(scope="module")
def served(trained: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    copy(trained, folder / "p")
    project = Project(root=folder / "p" / "repo", env=environment)
    for path, text in {
        "src/train.py": TRAIN,
        "src/packaged.py": PACKAGED,
        "dvc.yaml": DVC,
        "ci-ml.yaml": CONFIG,
    }.items():
        project.write(path, text)
    project.git("rm", "--quiet", "--cached", "dvc.lock")
    (project.root / "dvc.lock").unlink()
    project.commit("another pipeline")
    promoting.trained(project, 0.5)
    project.ci_ml("promote", "churn").expect(0)
    return folder / "p"


@pytest.fixture
def project(served: Path, environment: dict[str, str], tmp_path: Path) -> Project:
    copy(served, tmp_path / "p")
    uri = f"sqlite:///{served}/repo/.ci-ml/mlflow.db"
    return Project(root=tmp_path / "p" / "repo", env={**environment, "MLFLOW_TRACKING_URI": uri})


def test_what_ships_is_what_was_judged(project: Project) -> None:
    found = project.ci_ml("serve-check", "churn", "--format", "json", env={"SECRET_TOKEN": "hunter2hunter2"}).expect(0)
    assert found.json()["same"] is True
    assert found.json()["rows"] == 30
    assert "hello" not in found.out
    here = project.ci_ml("serve-check", "churn", "--here").expect(0)
    assert here.out.startswith("model as it is here: all 30 rows are answered as they were evaluated")


def test_another_model_than_the_evaluated_one(project: Project) -> None:
    config = project.root / "model" / "MLmodel"
    text = config.read_text()
    config.unlink()
    config.write_text(text.replace("rate: 0.5", "rate: 0.6"))
    assert "rate: 0.6" in config.read_text()
    done = project.ci_ml("serve-check", "churn", "--here").expect(10)
    assert "29 of 30 rows are answered otherwise" in done.out


def test_bytes_that_somebody_has_changed_in_the_registry(served: Path, project: Project) -> None:
    place = next((served / "repo" / ".ci-ml" / "mlflow-artifacts").rglob("MLmodel"))
    before = place.read_bytes()
    place.write_bytes(before + b"\n# by hand\n")
    try:
        done = project.ci_ml("serve-check", "churn").expect(10)
        assert "version 1 of churn is not what was promoted: MLmodel has other bytes than entry" in done.err
    finally:
        place.write_bytes(before)


def test_a_model_that_cannot_be_loaded(project: Project) -> None:
    place = project.root / "model" / "MLmodel"
    place.unlink()
    place.write_text("flavors: {}\n")
    done = project.ci_ml("serve-check", "churn", "--here").expect(3)
    assert "the model could not be loaded or asked" in done.err
    assert json.loads(project.ci_ml("history", "churn", "--format", "json").out)["ledger"] == {"champion": "1"}
