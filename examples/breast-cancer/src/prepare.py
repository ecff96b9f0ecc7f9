"""Split data/tumours.csv into a part to train on and a part to test on, with the same share of malignant ones.

The digest of a row decides, so that it stays on its side when other rows come or go.
"""

import hashlib
from pathlib import Path

import yaml

split = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["split"]
header, *rows = Path("data/tumours.csv").read_text(encoding="utf-8").splitlines()
parts: dict[str, list[str]] = {"train": [], "test": []}

for diagnosis in ("benign", "malignant"):
    same = [row for row in rows if row.startswith(f"{diagnosis},")]
    same.sort(key=lambda row: hashlib.sha256(f"{split['seed']} {row}".encode()).digest())
    tested = round(len(same) * split["test_share"])
    parts["test"] += same[:tested]
    parts["train"] += same[tested:]

for name, part in parts.items():
    Path(f"data/{name}.csv").write_text("\n".join([header, *part]) + "\n", encoding="utf-8")
    print(f"{name}: {len(part)} tumours")
