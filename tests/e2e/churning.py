"""A project whose data grow: a stage fetches them, a model is trained on the older ones and scored on the newer."""

import random
from pathlib import Path

from tests.e2e.project import Project

SCRIPTS = {
    "src/split.py": """\
rows = open("data/raw.csv").read().split()[1:]
cut = len(rows) // 2
for name, part in (("train", rows[:cut]), ("test", rows[cut:])):
    open(f"data/{name}.csv", "w").write("row_id,x,churned\\n" + "\\n".join(part) + "\\n")
""",
    "src/train.py": """\
import csv, json, math, yaml
params = yaml.safe_load(open("params.yaml"))["train"]
rows = [(float(row["x"]), float(row["churned"])) for row in csv.DictReader(open("data/train.csv"))]
slope = offset = 0.0
for step in range(params["steps"]):
    for x, y in rows:
        error = 1 / (1 + math.exp(-(slope * x + offset))) - y
        slope -= params["rate"] * error * x
        offset -= params["rate"] * error
json.dump({"slope": params["sign"] * slope, "offset": params["sign"] * offset}, open("model.json", "w"))
""",
    "src/evaluate.py": """\
import csv, json, math
model = json.load(open("model.json"))
score = lambda x: 1 / (1 + math.exp(-(model["slope"] * x + model["offset"])))
rows = list(csv.DictReader(open("data/test.csv")))
with open("predictions.csv", "w") as out:
    out.write("row_id,churned,p\\n")
    for row in rows:
        out.write(f"{row['row_id']},{row['churned']},{score(float(row['x'])):.6f}\\n")
right = sum((score(float(row["x"])) > 0.5) == (row["churned"] == "1") for row in rows)
json.dump({"accuracy": right / len(rows)}, open("metrics.json", "w"))
""",
}

PARAMS = {"train": {"rate": 0.1, "steps": 3, "sign": 1}}

DVC_YAML = """\
stages:
  split:
    cmd: python src/split.py
    deps: [src/split.py, data/raw.csv]
    outs: [data/train.csv, data/test.csv]
  train:
    cmd: python src/train.py
    deps: [src/train.py, data/train.csv]
    params: [train.rate, train.steps, train.sign]
    outs: [model.json]
  evaluate:
    cmd: python src/evaluate.py
    deps: [src/evaluate.py, data/test.csv, model.json]
    outs: [predictions.csv]
    metrics: [metrics.json: {cache: false}]
"""

CI_ML_YAML = """\
version: 1
train: {track: false}
predictions:
  test: {path: predictions.csv, task: binary, id: row_id, label: churned, score: p}
rescore: {model: model.json}
gates:
  - {metric: test.accuracy, margin: 0.02}
  - {metric: "metrics.json:accuracy", direction: higher, margin: 0.02}
"""


def rows(first: int, count: int, *, boundary: float = 0.0) -> str:
    """Customers from a number on; who is beyond the boundary mostly churns."""
    found = ["row_id,x,churned"]
    for number in range(first, first + count):
        chance = random.Random(number)
        x = chance.uniform(-5, 5)
        found.append(f"{number},{x:.4f},{int(x + chance.gauss(0, 0.7) > boundary)}")
    return "\n".join(found) + "\n"


def build(folder: Path, environment: dict[str, str]) -> Project:
    """The project, trained once and committed on main; `remote` beside it holds its data."""
    project = Project(root=folder / "repo", env=environment)
    project.root.mkdir(parents=True)
    project.git("init", "--quiet", "--initial-branch=main")
    for path, text in SCRIPTS.items():
        project.write(path, text)
    project.write("data/raw.csv", rows(0, 800))
    project.write("params.yaml", PARAMS)
    project.write("dvc.yaml", DVC_YAML)
    project.write("ci-ml.yaml", CI_ML_YAML)
    project.build("data/raw.csv")
    project.commit("the baseline")
    return project
