"""Write data/customers.csv: everybody in the warehouse of whom it is known whether they churned."""

from pathlib import Path

header, *rows = Path("warehouse.csv").read_text(encoding="utf-8").splitlines()
known = [row for row in rows if not row.endswith(",")]
Path("data").mkdir(exist_ok=True)
Path("data/customers.csv").write_text("\n".join([header, *known]) + "\n", encoding="utf-8")
print(f"{len(known)} customers")
