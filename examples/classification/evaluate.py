"""Write predictions.csv, from which ci-ml judges, and metrics.json, for people."""

import json
from pathlib import Path

import joblib
import pandas as pd
import yaml
from sklearn import metrics

threshold = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["evaluate"]["threshold"]
test = pd.read_csv("data/test.csv")
label = test["target"]
score = joblib.load("model.joblib").predict_proba(test.drop(columns=["id", "target"]))[:, 1].round(6)
prediction = (score >= threshold).astype(int)
table = pd.DataFrame({"id": test["id"], "label": label, "prediction": prediction, "score": score})
table.to_csv("predictions.csv", index=False)
found = {
    "recall": metrics.recall_score(label, prediction),
    "precision": metrics.precision_score(label, prediction),
    "roc_auc": metrics.roc_auc_score(label, score),
    "log_loss": metrics.log_loss(label, score),
}
Path("metrics.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
