"""Ask model.json about data/test.csv, and write predictions.csv, a row per customer."""

import json
from pathlib import Path

from model import chance, read, scaled, write

model = json.loads(Path("model.json").read_text(encoding="utf-8"))
rows = read("data/test.csv")
answers = [chance(model["weights"], scaled(model, row)) for row in rows]
found = [[row["customer"], row["churned"], f"{p:.4f}"] for row, p in zip(rows, answers, strict=True)]
write("predictions.csv", ["customer", "churned", "p"], found)
right = sum((p > 0.5) == (row["churned"] == "1") for row, p in zip(rows, answers, strict=True))
print(f"tested on {len(rows)} customers, {right / len(rows):.1%} right")
