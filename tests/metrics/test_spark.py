"""Spark in local mode says what DuckDB says: every metric, every slice, with clusters and without, to 1e-9."""

import importlib.util
import math
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_ml.adapters.tables import duckdb, ibis
from ci_ml.adapters.tables.formats import Format
from ci_ml.core.catalogue import parse
from ci_ml.core.config import PredictionsConfig
from ci_ml.metrics import registry
from ci_ml.metrics.columns import Source, Wanted
from ci_ml.metrics.pairing import pair
from ci_ml.usecases import curves
from ci_ml.usecases.curves import Drawn

# What Spark and Ibis' backend warn of among themselves (pandas 3, sockets of py4j) is not ours to mend.
pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("ignore")]

CONFIDENCE = 0.95
TWO = "accuracy f1 mcc selection_rate flips_to_wrong log_loss roc_auc average_precision ece mean(cost)".split()
SEVERAL = "f1_macro recall[b] log_loss roc_auc average_precision[c] ece".split()
NUMBERS = "mae rmse r2 median_ae".split()
WITHOUT_CLUSTERS = {"ece", "median_ae"}


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Spark in this process, with as little of it as will do."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        assert not os.environ.get("CI_ML_REQUIRE_ALL"), "pyspark and a Java runtime have to be there"
        pytest.skip("pyspark or a Java runtime is missing")
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.log.level": "ERROR",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


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


@pytest.mark.parametrize(
    ("task", "clustered"), [("binary", False), ("binary", True), ("multiclass", False), ("regression", True)]
)
def test_spark_says_what_duckdb_says(spark: Any, tmp_path: Path, task: str, clustered: bool) -> None:
    make, columns, names = KINDS[task]
    about = PredictionsConfig.model_validate(
        {"path": "p.csv", "task": task, "id": "id", "label": "label", **columns}
        | ({"cluster": "person"} if clustered else {})
    )
    if clustered:
        names = [name for name in names if name not in WITHOUT_CLUSTERS]
    places = written(tmp_path, make(11), "base"), written(tmp_path, make(12), "head")
    with duckdb.engine(places) as engine:
        embedded = measured(engine, places, about, names)
    with ibis.engine("pyspark://local") as engine:
        distributed = measured(engine, places, about, names)
    assert len(embedded) >= 3 * len(names)
    assert distributed.keys() == embedded.keys()
    for key, (values, words) in embedded.items():
        theirs, said = distributed[key]
        assert said == words, key
        for mine, other in zip(values, theirs, strict=True):
            assert math.isclose(mine, other, rel_tol=1e-9, abs_tol=1e-9), (key, values, theirs)


def drawn(engine: Any, places: tuple[Path, Path], about: PredictionsConfig) -> Drawn:
    sources = [
        Source(table=engine.read(place, Format.CSV, packed=False), name=place.name, typed=False) for place in places
    ]
    return curves.draw(engine, "t", about, pair(engine, about, *sources, Wanted()).paired, (), new=False)


@pytest.mark.parametrize("task", list(KINDS))
def test_spark_draws_what_duckdb_draws(spark: Any, tmp_path: Path, task: str) -> None:
    make, columns, _ = KINDS[task]
    about = PredictionsConfig.model_validate({"path": "p.csv", "task": task, "id": "id", "label": "label", **columns})
    places = written(tmp_path, make(11), "base"), written(tmp_path, make(12), "head")
    with duckdb.engine(places) as engine:
        embedded = drawn(engine, places, about)
    with ibis.engine("pyspark://local") as engine:
        assert drawn(engine, places, about) == embedded
