"""Write warehouse.csv: the customers of a telephone company. Whether the newest of them will stay nobody knows yet.

    python src/world.py                  # as it was when the model was made
    python src/world.py --price-rise 15  # everybody pays more, and leaves for other prices than before
    python src/world.py --turned-round   # a broken export: who stayed is said to have churned, in the older half

It stands for everything outside of this repository.
"""

import argparse
import math
import random
from pathlib import Path

LABELLED, NEW = 3000, 1000
LEAVING = 30  # the price at which as many leave as stay

parser = argparse.ArgumentParser(description="Customers, as the warehouse has them")
parser.add_argument("--price-rise", type=float, default=0.0)
parser.add_argument("--turned-round", action="store_true")
chosen = parser.parse_args()

lines = ["customer,months,price,calls,churned"]
for number in range(LABELLED + NEW):
    chance = random.Random(f"telephone {number} {chosen.price_rise}")
    months = chance.expovariate(1 / 24)
    price = chance.gauss(LEAVING, 6) + chosen.price_rise
    calls = int(chance.expovariate(1 / 2))
    urge = 0.3 * (price - LEAVING - chosen.price_rise) + 0.5 * (calls - 1.5) - 0.04 * (months - 24)
    churned = chance.random() < 1 / (1 + math.exp(-urge))
    if chosen.turned_round and number < LABELLED // 2:
        churned = not churned
    label = int(churned) if number < LABELLED else ""
    lines.append(f"{number},{months:.1f},{price:.2f},{calls},{label}")
Path("warehouse.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
print(f"warehouse.csv: {LABELLED} customers, and {NEW} new ones")
