"""The project of `churning` in production: a table of what its model was asked and answered, with labels or without."""

import datetime as dt
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e import churning
from tests.e2e.project import Project

DATA = """\
data:
  train: {path: data/train.csv, id: row_id, label: churned}
"""
MONITOR = """\
monitor:
  live:
    production: {path: production.csv, window: {column: asked_at, last: 7d}}
    reference: train
    predictions: test
"""
COLUMNS = "row_id,x,churned,p,asked_at"


@dataclass(frozen=True, kw_only=True)
class Customers:
    """Who asked in production. `shift` moves what they are, `boundary` what it means; `labelled` is how many labels
    have arrived; `until` is when the last of them asked."""

    first: int = 50_000
    count: int = 600
    shift: float = 0.0
    boundary: float = 0.0
    labelled: float = 1.0
    until: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10))

    def rows(self, model: Any) -> list[dict[str, str]]:
        """One for each: an x, the model's answer to it, and whether they churned."""
        found = []
        for number in range(self.count):
            chance = random.Random(self.first + number)
            x = chance.uniform(-5, 5) + self.shift
            churned = int(x + chance.gauss(0, 0.7) > self.boundary)
            at = self.until - dt.timedelta(minutes=10 * number)
            found.append(
                {
                    "row_id": str(self.first + number),
                    "x": f"{x:.4f}",
                    "churned": str(churned) if number >= self.count * (1 - self.labelled) else "",
                    "p": f"{1 / (1 + math.exp(-(model['slope'] * x + model['offset']))):.6f}",
                    "asked_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                }
            )
        return found


def table(rows: list[dict[str, str]], *columns: str) -> str:
    """Rows as CSV, with these columns or all."""
    names = columns or tuple(rows[0])
    return "\n".join([",".join(names), *(",".join(row[name] for name in names) for row in rows)]) + "\n"


def build(folder: Path, environment: dict[str, str]) -> Project:
    """The project, which watches a file beside its code that is in neither git nor DVC."""
    project = churning.build(folder, environment)
    project.write("ci-ml.yaml", churning.CI_ML_YAML + DATA + MONITOR)
    project.write(".gitignore", "/production.csv\n/labels.csv\n/.ci-ml\n/model.json\n/predictions.csv\n")
    project.commit("watched")
    return project


def produce(project: Project, *columns: str, **about: Any) -> list[dict[str, str]]:
    """Customers ask the model of the work tree; hands back what is in the table now."""
    rows = Customers(**about).rows(project.json("model.json"))
    project.write("production.csv", table(rows, *columns))
    return rows
