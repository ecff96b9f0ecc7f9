"""Fit a logistic regression on data/train.csv, and write model/classifier.joblib and model/training.json."""

import json
import time
from pathlib import Path

import joblib
import numpy as np
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
model = params["model"]
rows = np.genfromtxt("data/train.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
columns = [name for name in rows.dtype.names if name.rpartition("_")[2] in params["features"]]
weights = None if model["class_weight"] == "none" else model["class_weight"]

begun = time.process_time()
classifier = make_pipeline(
    StandardScaler(),
    LogisticRegression(C=model["C"], class_weight=weights, max_iter=model["max_iterations"]),
)
classifier.fit(np.column_stack([rows[name] for name in columns]), rows["diagnosis"] == "malignant")
seconds = time.process_time() - begun

Path("model").mkdir(exist_ok=True)
joblib.dump({"columns": columns, "classifier": classifier}, "model/classifier.joblib")
training = {"seconds": round(seconds, 4), "features": len(columns), "examples": len(rows)}
Path("model/training.json").write_text(json.dumps(training) + "\n", encoding="utf-8")
print(f"trained on {len(rows)} tumours, {len(columns)} measurements each")
