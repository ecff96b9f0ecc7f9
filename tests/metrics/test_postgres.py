"""PostgreSQL says what DuckDB says: every metric, every slice, with clusters and without, to 1e-9."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ibis
import pytest

from ci_ml.adapters.tables import duckdb, postgres
from ci_ml.adapters.tables.formats import Format
from ci_ml.adapters.tables.postgres import Postgres
from ci_ml.core.config import PredictionsConfig
from tests.metrics.engines import KINDS, WITHOUT_CLUSTERS, agree, drawn, measured, written
from tests.postgres import Postgres as Server
from tests.postgres import served


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as made:
        yield made


class Loaded:
    """The engine, with files that were put into the database before."""

    def __init__(self, engine: Postgres) -> None:
        self.engine = engine

    def read(self, path: Path, kind: Format, *, packed: bool) -> ibis.Table:
        return self.engine.table(path.stem)

    def rows(self, table: ibis.Table) -> list[Mapping[str, Any]]:
        return self.engine.rows(table)

    def hold(self, table: ibis.Table, most: int | None = None) -> ibis.Table:
        return self.engine.hold(table, most)

    def put(self, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> ibis.Table:
        return self.engine.put(columns, types)


def load(server: Server, places: Sequence[Path]) -> str:
    """A database with each file as a table of texts; what is empty is missing, as in a CSV file."""
    database = server.database()
    for place in places:
        header, *rows = csv.reader(place.read_text().splitlines())
        columns = ", ".join(f'"{name}" text' for name in header)
        values = ", ".join(f"({', '.join(repr(value) if value else 'NULL' for value in row)})" for row in rows)
        server.run(
            f'CREATE TABLE "{place.stem}" ({columns})', f'INSERT INTO "{place.stem}" VALUES {values}', database=database
        )
    return server.url(database)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("task", "clustered"), [("binary", False), ("binary", True), ("multiclass", False), ("regression", True)]
)
def test_postgres_says_what_duckdb_says(server: Server, tmp_path: Path, task: str, clustered: bool) -> None:
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
    with postgres.engine(load(server, places)) as engine:
        there = measured(Loaded(engine), places, about, names)
    assert len(embedded) >= 3 * len(names)
    agree(embedded, there)


@pytest.mark.parametrize("task", list(KINDS))
def test_postgres_draws_what_duckdb_draws(server: Server, tmp_path: Path, task: str) -> None:
    make, columns, _ = KINDS[task]
    about = PredictionsConfig.model_validate({"path": "p.csv", "task": task, "id": "id", "label": "label", **columns})
    places = written(tmp_path, make(11), "base"), written(tmp_path, make(12), "head")
    with duckdb.engine(places) as engine:
        embedded = drawn(engine, places, about)
    with postgres.engine(load(server, places)) as engine:
        assert drawn(Loaded(engine), places, about) == embedded
