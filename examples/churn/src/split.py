"""Split data/customers.csv: who came first is learnt from, who came later is what the model is tested on."""

from pathlib import Path

header, *rows = Path("data/customers.csv").read_text(encoding="utf-8").splitlines()
half = len(rows) // 2
for name, part in (("train", rows[:half]), ("test", rows[half:])):
    Path(f"data/{name}.csv").write_text("\n".join([header, *part]) + "\n", encoding="utf-8")
    print(f"{name}: {len(part)} customers")
