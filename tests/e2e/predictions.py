"""Tables of predictions for tests, in every format: made-up customers who churn or stay, and models that say who does."""

import gzip
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from tests.e2e.project import Project

Table = dict[str, list[Any]]

# The keys of a table of customers.
ABOUT = "task: binary, id: row, label: churned, score: p"


def customers(n: int = 2000, seed: int = 1) -> Table:
    """Who churned, and a model that knows it rather well. Three rows in a row belong to one customer."""
    draw = random.Random(seed)
    truth = [int(draw.random() < 0.4) for _ in range(n)]
    return {
        "row": list(range(n)),
        "customer": [f"c{index // 3}" for index in range(n)],
        "country": draw.choices(["DE", "FR", "IT", "MT"], weights=[50, 30, 19, 1], k=n),
        "plan": draw.choices(["free", "pro", None], weights=[60, 35, 5], k=n),
        "churned": truth,
        "p": [round(1 / (1 + math.exp(-draw.gauss(1.2 if label else -1.2, 1.3))), 6) for label in truth],
        "seconds": [round(draw.expovariate(1.0) + 1, 6) for _ in range(n)],
    }


def missing(table: Table, every: int, where: str = "row", equal: Any = None) -> Table:
    """A model that misses every so many of those who churn, among the rows where a column has a value."""
    scores, seen = list(table["p"]), 0
    for index, label in enumerate(table["churned"]):
        if label and scores[index] >= 0.5 and (equal is None or table[where][index] == equal):
            seen += 1
            scores[index] = round(scores[index] / 3, 6) if seen % every == 0 else scores[index]
    return {**table, "p": scores}


def wobbling(table: Table, size: float, seed: int = 2) -> Table:
    """A model as good as the other, that says something a little else."""
    draw = random.Random(seed)
    return {**table, "p": [round(min(max(p + draw.gauss(0, size), 0.001), 0.999), 6) for p in table["p"]]}


def rows(table: Table) -> list[tuple[Any, ...]]:
    return list(zip(*table.values(), strict=True))


def chosen(table: Table, indices: Sequence[int]) -> Table:
    """Some rows of a table, or some of them twice."""
    return {name: [values[index] for index in indices] for name, values in table.items()}


def text(table: Table, path: str) -> bytes:
    """A table as the text that the ending of its path asks for."""
    plain = path.removesuffix(".gz")
    if plain.endswith("jsonl"):
        lines = [json.dumps(dict(zip(table, row, strict=True))) for row in rows(table)]
    else:
        comma = "\t" if plain.endswith("tsv") else ","
        lines = [comma.join(table)]
        lines += [comma.join("" if cell is None else str(cell) for cell in row) for row in rows(table)]
    data = ("\n".join(lines) + "\n").encode()
    return gzip.compress(data, mtime=0) if path.endswith(".gz") else data


def parquet(table: Table, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    kinds = {int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", str: "VARCHAR"}
    first = {name: next((cell for cell in values if cell is not None), "") for name, values in table.items()}
    with duckdb.connect() as connection:
        columns = ", ".join(f'unnest(?::{kinds[type(cell)]}[]) AS "{name}"' for name, cell in first.items())
        connection.execute(f"CREATE TABLE t AS SELECT {columns}", list(table.values()))
        connection.execute(f"COPY t TO '{place}' (FORMAT parquet)")


def write(project: Project, path: str, table: Table) -> None:
    """A table in the format that its path asks for."""
    if path.endswith(".parquet"):
        parquet(table, project.root / path)
    else:
        project.write(path, text(table, path))


def animals(n: int = 1500, seed: int = 3) -> Table:
    """Pictures of three kinds of animals, and a model that tells most of them apart."""
    draw = random.Random(seed)
    names = ("cat", "dog", "fish/bird")
    truth = draw.choices(names, weights=[5, 4, 2], k=n)
    scores = []
    for label in truth:
        sizes = [math.exp(draw.gauss(1.5 if name == label else 0, 1)) for name in names]
        scores.append([round(size / sum(sizes), 6) for size in sizes])
    return {
        "picture": [f"#{index}" for index in range(n)],
        "animal": truth,
        **{f"p_{name}": [row[index] for row in scores] for index, name in enumerate(names)},
        "said": [names[row.index(max(row))] for row in scores],
        "light": draw.choices(["day", "night"], k=n),
    }


def blind(table: Table, name: str, every: int) -> Table:
    """A model that takes every so many of one kind of animal for another."""
    other = "dog" if name == "cat" else "cat"
    copy = {column: list(values) for column, values in table.items()}
    mine = [index for index, label in enumerate(table["animal"]) if label == name][::every]
    for index in mine:
        copy["said"][index] = other
        one, two = copy[f"p_{name}"][index], copy[f"p_{other}"][index]
        copy[f"p_{name}"][index], copy[f"p_{other}"][index] = min(one, two), max(one, two)
    return copy


def houses(n: int = 1500, seed: int = 4) -> Table:
    """Prices, and a model that knows them to within a few per cent."""
    draw = random.Random(seed)
    prices = [round(draw.gauss(300, 60), 3) for _ in range(n)]
    said = [round(price + draw.gauss(0, 12), 3) for price in prices]
    return {"house": list(range(n)), "price": prices, "said": said, "town": draw.choices(["A", "B"], k=n)}


def noisier(table: Table, size: float, seed: int = 5) -> Table:
    draw = random.Random(seed)
    return {**table, "said": [round(value + draw.gauss(0, size), 3) for value in table["said"]]}
