"""Write data/train.csv and data/test.csv. Put your own data in the place of scikit-learn's diabetes patients."""

from pathlib import Path

import yaml
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["prepare"]
table = load_diabetes(as_frame=True, scaled=False).frame
table.insert(0, "id", table.index)  # the name of an example: it stays the same from change to change
train, test = train_test_split(table, test_size=params["test_share"], random_state=params["seed"])
Path("data").mkdir(exist_ok=True)
train.to_csv("data/train.csv", index=False)
test.sort_values("id").to_csv("data/test.csv", index=False)
