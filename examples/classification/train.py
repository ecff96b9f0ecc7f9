"""Fit a logistic regression on data/train.csv, and write model.joblib."""

from pathlib import Path

import joblib
import pandas as pd
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["train"]
train = pd.read_csv("data/train.csv")
model = make_pipeline(StandardScaler(), LogisticRegression(**params, max_iter=1000))
model.fit(train.drop(columns=["id", "target"]), train["target"])
joblib.dump(model, "model.joblib")
