"""Tables of each kind, and everything that is measured and drawn of them: what one engine says, every other says."""

import math
import random
from pathlib import Path
from typing import Any

from ci_ml.adapters.tables.formats import Format
from ci_ml.core.catalogue import parse
from ci_ml.core.config import PredictionsConfig
from ci_ml.metrics import registry
from ci_ml.metrics.columns import Source, Wanted
from ci_ml.metrics.pairing import pair
from ci_ml.usecases import curves
from ci_ml.usecases.curves import Drawn

CONFIDENCE = 0.95
TWO = "accuracy f1 mcc selection_rate flips_to_wrong log_loss roc_auc average_precision ece mean(cost)".split()
SEVERAL = "f1_macro recall[b] log_loss roc_auc average_precision[c] ece".split()
NUMBERS = "mae rmse r2 median_ae".split()
WITHOUT_CLUSTERS = {"ece", "median_ae"}


def written(folder: Path, rows: list[dict[str, Any]], side: str) -> Path:
    place = folder / f"{side}.csv"
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    place.write_text("\n".join(lines) + "\n")
    return place


def two_classes(seed: int) -> list[dict[str, Any]]:
    same, own = random.Random(1), random.Random(seed)
    rows = []
    for index in range(240):
        label = int(same.random() < 0.4)
        score = min(max(round(same.gauss(0.4 + 0.25 * label, 0.2) + own.gauss(0, 0.1), 2), 0), 1)  # ties
        rows.append(
            {"id": f"{index:04}", "label": label, "score": score, "cost": round(own.random(), 3)}
            | {"group": same.choice(["x", "y", ""]), "person": index // 3}
        )
    return rows


def several_classes(seed: int) -> list[dict[str, Any]]:
    same, own = random.Random(2), random.Random(seed)
    rows = []
    for index in range(240):
        label = same.choice("abc")
        raw = {name: same.random() + own.random() + (name == label) for name in "abc"}
        whole = sum(raw.values())
        scores = {f"p_{name}": round(value / whole, 6) for name, value in raw.items()}
        rows.append({"id": index, "label": label, **scores, "group": same.choice(["x", "y"]), "person": index // 3})
    return rows


def numbers(seed: int) -> list[dict[str, Any]]:
    same, own = random.Random(3), random.Random(seed)
    rows = []
    for index in range(240):
        label = round(same.gauss(10, 4), 3)
        predicted = round(label + same.gauss(0, 1) + own.gauss(0, 0.5), 3)
        rows.append(
            {"id": index, "label": label, "predicted": predicted}
            | {"group": same.choice(["x", "y"]), "person": index // 3}
        )
    return rows


KINDS = {
    "binary": (two_classes, {"score": "score"}, TWO),
    "multiclass": (several_classes, {"score": "p_*"}, SEVERAL),
    "regression": (numbers, {"prediction": "predicted"}, NUMBERS),
}


def measured(engine: Any, places: tuple[Path, Path], about: PredictionsConfig, names: list[str]) -> dict[Any, tuple]:
    sources = [
        Source(table=engine.read(place, Format.CSV, packed=False), name=place.name, typed=False) for place in places
    ]
    means = {name: "cost" for name in names if name == "mean(cost)"}
    paired = pair(engine, about, *sources, Wanted(slices=("group",), means=means)).paired
    wanted = [(parse(name), cut) for name in names for cut in ((), ("group",))]
    answers = {}
    for (asked, where), statistic in registry.measure(engine, paired, wanted, CONFIDENCE).items():
        found = statistic.difference(CONFIDENCE)
        own = statistic.value(CONFIDENCE, True)
        answers[str(asked), str(where)] = (
            (found.base, found.head, found.low, found.high, found.p_value, own.low, own.high),
            (found.method, found.n, found.clusters, found.identical),
        )
    return answers


def drawn(engine: Any, places: tuple[Path, Path], about: PredictionsConfig) -> Drawn:
    sources = [
        Source(table=engine.read(place, Format.CSV, packed=False), name=place.name, typed=False) for place in places
    ]
    return curves.draw(engine, "t", about, pair(engine, about, *sources, Wanted()).paired, (), new=False)


def agree(embedded: dict[Any, tuple], other: dict[Any, tuple]) -> None:
    """Both engines say the same: words exactly, numbers to 1e-9."""
    assert other.keys() == embedded.keys()
    for key, (values, words) in embedded.items():
        theirs, said = other[key]
        assert said == words, key
        for mine, its in zip(values, theirs, strict=True):
            assert math.isclose(mine, its, rel_tol=1e-9, abs_tol=1e-9), (key, values, theirs)
