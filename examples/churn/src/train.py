"""Fit a logistic regression on data/train.csv, and write model.json."""

import json
import statistics
from pathlib import Path

import yaml
from model import COLUMNS, chance, read, scaled

params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["model"]
rows = read("data/train.csv")
values = {name: [float(row[name]) for row in rows] for name in COLUMNS}
model = {"scale": {name: [statistics.fmean(found), statistics.stdev(found)] for name, found in values.items()}}

told = [scaled(model, row) for row in rows]
churned = [int(row["churned"]) for row in rows]
weights = [0.0] * len(told[0])
for _ in range(params["steps"]):
    errors = [chance(weights, one) - label for one, label in zip(told, churned, strict=True)]
    for index in range(len(weights)):
        slope = sum(error * one[index] for error, one in zip(errors, told, strict=True)) / len(rows)
        weights[index] -= params["rate"] * slope

Path("model.json").write_text(json.dumps({**model, "weights": weights}, indent=2) + "\n", encoding="utf-8")
print(f"trained on {len(rows)} customers")
