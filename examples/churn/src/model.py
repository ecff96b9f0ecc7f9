"""A logistic regression in plain Python, so that this example needs nothing to be installed."""

import csv
import math
from pathlib import Path

COLUMNS = ("months", "price", "calls")


def read(path: str) -> list[dict[str, str]]:
    """The rows of a table."""
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: str, header: list[str], rows: list[list[object]]) -> None:
    """A table of its own."""
    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def scaled(model: dict, row: dict[str, str]) -> list[float]:
    """What the model is told of a customer: columns in standard deviations, and a constant."""
    return [1.0, *((float(row[name]) - mean) / deviation for name, (mean, deviation) in model["scale"].items())]


def chance(weights: list[float], told: list[float]) -> float:
    """That the customer churns."""
    return 1 / (1 + math.exp(-sum(weight * value for weight, value in zip(weights, told, strict=True))))
