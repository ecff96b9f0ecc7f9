"""Measure model/classifier.joblib on data/test.csv, and write eval/metrics.json. Malignant is what it looks for."""

import json
from pathlib import Path

import joblib
import numpy as np
import yaml
from sklearn import metrics

threshold = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["threshold"]
model = joblib.load("model/classifier.joblib")
rows = np.genfromtxt("data/test.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
malignant = rows["diagnosis"] == "malignant"
probability = model["classifier"].predict_proba(np.column_stack([rows[name] for name in model["columns"]]))[:, 1]
called = probability >= threshold

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
Path("eval").mkdir(exist_ok=True)
Path("eval/metrics.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
print(f"recall {found['test']['recall']:.4f}, {found['test']['missed']} of {malignant.sum()} malignant tumours missed")
