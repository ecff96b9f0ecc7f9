"""Production: model.json is asked about the new customers. Writes production.csv: who, what it said, and when."""

import datetime as dt
import json
from pathlib import Path

from model import COLUMNS, chance, read, scaled, write

model = json.loads(Path("model.json").read_text(encoding="utf-8"))
new = [row for row in read("warehouse.csv") if not row["churned"]]
begin = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5 * len(new))
found = []
for number, row in enumerate(new):
    asked = begin + dt.timedelta(minutes=5 * number)
    p = chance(model["weights"], scaled(model, row))
    found.append([row["customer"], *(row[name] for name in COLUMNS), f"{p:.4f}", f"{asked:%Y-%m-%dT%H:%M:%SZ}"])
write("production.csv", ["customer", *COLUMNS, "p", "asked_at"], found)
print(f"production.csv: the model was asked about {len(new)} customers")
