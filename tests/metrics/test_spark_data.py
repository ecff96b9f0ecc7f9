"""Spark in local mode counts what breaks rules as DuckDB does, and finds what two tables share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb as plain
import pytest

from ci_ml.adapters.tables import duckdb, ibis
from ci_ml.adapters.tables.formats import Format
from ci_ml.core import expectations
from ci_ml.core.expectations import DataConfig
from ci_ml.core.types import Gap
from ci_ml.metrics import expectations as counting
from ci_ml.metrics import integrity, leakage, skew
from ci_ml.metrics.columns import Source
from tests.metrics.test_spark import spark  # noqa: F401  a fixture

pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("ignore")]

ABOUT = DataConfig.model_validate(
    {
        "path": "t.parquet",
        "columns": {
            "id": {"type": "integer", "unique": True, "min": 5},
            "x": {"type": "number", "min": 0, "below": 9, "missing": 1},
            "name": {"allowed": ["a", "b"], "matches": "[a-c]+", "length": {"max": 1}, "missing": "100%"},
            "day": {"type": "date", "min": "2024-01-03", "missing": "100%"},
        },
        "unique": [["name", "day"]],
        "rules": {"both": "x > 1 or name = 'a'", "not": "not (id = 3)", "when": "day < '2024-01-09'"},
    }
)
_TABLE = """
SELECT i AS id, CASE WHEN i = 3 THEN 'nan'::DOUBLE WHEN i = 4 THEN NULL ELSE i END AS x, i::DOUBLE AS y, i::DOUBLE AS z,
  ['a', 'b', 'cc', NULL][1 + i % 4] AS name, DATE '2024-01-01' + i::INTEGER AS day, 7 AS same, NULL::INTEGER AS none
FROM range({low}, {high}) t(i)
"""


def table(folder: Path, name: str, low: int, high: int, kind: str) -> Path:
    place = folder / f"{name}.{kind}"
    with plain.connect() as connection:
        connection.execute(f"COPY ({_TABLE.format(low=low, high=high)}) TO '{place}' (FORMAT {kind})")
    return place


@pytest.fixture
def engines(spark: Any, tmp_path: Path) -> Iterator[tuple[Any, Any, Path]]:  # noqa: F811
    places = [
        table(tmp_path, name, *ends, kind)
        for name, ends in (("one", (0, 12)), ("two", (10, 14)))
        for kind in ("parquet", "csv")
    ]
    with duckdb.engine(places) as ours, ibis.engine("pyspark://local") as theirs:
        yield ours, theirs, tmp_path


@pytest.mark.parametrize("kind", [Format.PARQUET, Format.CSV])
def test_spark_counts_as_duckdb_does(engines: tuple[Any, Any, Path], kind: Format) -> None:
    ours, theirs, folder = engines
    found = []
    for engine in (ours, theirs):
        one, two = (
            Source(table=engine.read(folder / f"{name}.{kind.value}", kind, packed=False), name=name, typed=kind.typed)
            for name in ("one", "two")
        )
        counted = counting.count(engine, one, expectations.expected(ABOUT).rules, counting.Shown(most=2, id="id"))
        rows = {rule.what: what.reason if isinstance(what, Gap) else what.rows for rule, what in counted.found.items()}
        assert all(isinstance(count, int) for count in rows.values()), rows
        shared = leakage.shared(engine, one, two, ["x", "name"], given=False)
        known = leakage.shared(engine, one, two, ["name"], given=True)
        found.append(
            (rows, shared, known, integrity.integrity(engine, one), skew.beyond(engine, one, two, ["x", "y", "day"]))
        )
    assert found[0] == found[1]
    assert found[0][3].copies
