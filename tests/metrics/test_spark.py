"""Spark in local mode says what DuckDB says: every metric, every slice, with clusters and without, to 1e-9."""

import importlib.util
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb as database
import pytest

from ci_ml.adapters.tables import duckdb, ibis
from ci_ml.adapters.tables.formats import Format
from ci_ml.core import drifting
from ci_ml.core.config import PredictionsConfig
from ci_ml.core.drifts import DriftConfig
from ci_ml.core.profiles import Profile
from ci_ml.metrics import profiles
from ci_ml.metrics.columns import Source
from ci_ml.stats import grids
from tests.metrics.engines import KINDS, WITHOUT_CLUSTERS, agree, drawn, measured, written

# What Spark and Ibis' backend warn of among themselves (pandas 3, sockets of py4j) is not ours to mend.
pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("ignore")]


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
    agree(embedded, distributed)


@pytest.mark.parametrize("task", list(KINDS))
def test_spark_draws_what_duckdb_draws(spark: Any, tmp_path: Path, task: str) -> None:
    make, columns, _ = KINDS[task]
    about = PredictionsConfig.model_validate({"path": "p.csv", "task": task, "id": "id", "label": "label", **columns})
    places = written(tmp_path, make(11), "base"), written(tmp_path, make(12), "head")
    with duckdb.engine(places) as engine:
        embedded = drawn(engine, places, about)
    with ibis.engine("pyspark://local") as engine:
        assert drawn(engine, places, about) == embedded


def profiled(engine: Any, places: tuple[Path, Path]) -> tuple[Profile, Profile]:
    sources = [
        Source(table=engine.read(place, Format.PARQUET, packed=False), name=place.name, typed=True) for place in places
    ]
    reference, _ = profiles.reference(engine, sources[0])
    return reference, profiles.against(engine, sources[1], reference)


def drifting_tables(folder: Path) -> tuple[Path, Path]:
    """Columns for every way to count: few values, formulas, atoms, cuts; times, texts, NaN, infinity, nothing."""
    sql = """
    COPY (SELECT i % 9 AS few, sin(i * {0}) AS wave, CASE WHEN i % 3 = 0 THEN 0 ELSE tan(i * {0}) END AS tangent,
      round(exp(3 * sin(i * {0}) + cos(i)), 1) AS price, (i * 7919) % 30011 AS number,
      CASE i % 50 WHEN 0 THEN NULL WHEN 1 THEN 'nan'::DOUBLE WHEN 2 THEN 'inf'::DOUBLE ELSE cos(i * {0}) END AS odd,
      'c' || (i % 11) AS kind, i % 4 = 0 AS truth, DATE '2024-01-01' + (i % 3000)::INT AS day,
      (sin(i) * 100)::DECIMAL(12, 3) AS money, NULL::INT AS empty
    FROM range({1}) t(i)) TO '{2}' (FORMAT parquet)
    """
    places = folder / "one.parquet", folder / "other.parquet"
    with database.connect() as connection:
        for place, factor, rows in zip(places, (1, 1.3), (21_000, 20_500), strict=True):
            connection.execute(sql.format(factor, rows, place))
    return places


def test_spark_counts_what_duckdb_counts(spark: Any, tmp_path: Path) -> None:
    places = drifting_tables(tmp_path)
    with duckdb.engine(places) as engine:
        reference, current = profiled(engine, places)
    with ibis.engine("pyspark://local") as engine:
        sources = [
            Source(table=engine.read(place, Format.PARQUET, packed=False), name=place.name, typed=True)
            for place in places
        ]
        theirs = [profiles.against(engine, source, reference) for source in sources]
        # … and on grids that its own sample places.
        own, _ = profiles.reference(engine, sources[0], {"few", "wave", "kind"}.__contains__)
    for mine, other in zip((reference, current), theirs, strict=True):
        for name, column in mine.columns.items():
            counted = other.columns[name]
            states = ("kind", "rows", "missing", "nan", "infinite", "unreadable", "filled")
            assert [getattr(column, state) for state in states] == [getattr(counted, state) for state in states], name
            assert counted.categories == column.categories
            if column.numbers is not None:
                assert counted.numbers is not None
                assert counted.numbers.counts.tolist() == column.numbers.counts.tolist(), name
                assert math.isclose(counted.numbers.deviation, column.numbers.deviation, rel_tol=1e-9)
    assert drifting.judge(*theirs, DriftConfig()).outcome == drifting.judge(reference, current, DriftConfig()).outcome
    for name, column in own.columns.items():
        assert column.categories == reference.columns[name].categories
        if column.numbers is not None:
            assert column.numbers.n == reference.columns[name].filled
            assert not len(grids.heavy(column.numbers.grid, column.numbers.counts))
