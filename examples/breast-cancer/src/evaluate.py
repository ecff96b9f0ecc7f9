"""Measure model/classifier.joblib on data/test.csv. Malignant is what it looks for.

Writes eval/predictions.csv, a row per tumour, from which ci-ml judges, and eval/metrics.json, for people.
"""

import csv
import hashlib
import json
from pathlib import Path

import joblib
import numpy as np
import yaml
from sklearn import metrics

threshold = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["threshold"]
model = joblib.load("model/classifier.joblib")
table = Path("data/test.csv")
rows = np.genfromtxt(table, delimiter=",", names=True, dtype=None, encoding="utf-8")
malignant = rows["diagnosis"] == "malignant"
probability = model["classifier"].predict_proba(np.column_stack([rows[name] for name in model["columns"]]))[:, 1]
called = probability >= threshold

# The digest of a tumour's row is its name: it stays the same when other rows come or go.
lines = table.read_text(encoding="utf-8").splitlines()[1:]
names = [hashlib.sha256(line.encode()).hexdigest()[:12] for line in lines]
Path("eval").mkdir(exist_ok=True)
with Path("eval/predictions.csv").open("w", encoding="utf-8", newline="") as stream:
    writer = csv.writer(stream)
    writer.writerow(["tumour", "malignant", "called", "probability"])
    writer.writerows(zip(names, malignant.astype(int), called.astype(int), probability.round(6), strict=True))

found = {
    "test": {
        "recall": float(metrics.recall_score(malignant, called)),
        "precision": float(metrics.precision_score(malignant, called)),
        "accuracy": float(metrics.accuracy_score(malignant, called)),
        "roc_auc": float(metrics.roc_auc_score(malignant, probability)),
        "log_loss": float(metrics.log_loss(malignant, probability)),
        "tumours": len(rows),
        "missed": int(np.sum(malignant & ~called)),
        "false_alarms": int(np.sum(called & ~malignant)),
    },
    "train": json.loads(Path("model/training.json").read_text(encoding="utf-8")),
}
Path("eval/metrics.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
print(f"recall {found['test']['recall']:.4f}, {found['test']['missed']} of {malignant.sum()} malignant tumours missed")
