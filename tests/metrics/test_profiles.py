"""Columns counted by the engine: every row is somewhere, and where numpy puts it."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb as database
import numpy as np
import pytest

from ci_ml.adapters.tables import duckdb
from ci_ml.adapters.tables.formats import Format, of
from ci_ml.core.kinds import Kind
from ci_ml.core.profiles import MOST_CATEGORIES, Profile
from ci_ml.core.types import Gap
from ci_ml.metrics import profiles
from ci_ml.metrics.columns import Source
from ci_ml.stats import distances, grids
from tests.stats.columns import COLUMNS, counted

Make = Callable[[str, str], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A Parquet file, or another one by its name, from a query of SQL."""

    def made(name: str, sql: str) -> Path:
        kind = {"parquet": "parquet", "csv": "csv"}[name.rpartition(".")[2]]
        with database.connect() as connection:
            connection.execute(f"COPY ({sql}) TO '{tmp_path / name}' (FORMAT {kind})")
        return tmp_path / name

    return made


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Mapping[str, Any]], Path]:
    def written(name: str, columns: Mapping[str, Any]) -> Path:
        with database.connect() as connection:
            for at, values in enumerate(columns.values()):
                array = np.array(values, dtype=float)
                connection.execute(f"CREATE TABLE c{at} AS SELECT unnest($1::DOUBLE[]) AS x", [array.tolist()])
            parts = ", ".join(f"(SELECT list(x) FROM c{at}) l{at}" for at in range(len(columns)))
            named = ", ".join(f'unnest(l{at}) AS "{column}"' for at, column in enumerate(columns))
            connection.execute(f"COPY (SELECT {named} FROM (SELECT {parts})) TO '{tmp_path / name}' (FORMAT parquet)")
        return tmp_path / name

    return written


def both(one: Path, other: Path) -> tuple[Profile, Profile]:
    with duckdb.engine([one, other]) as engine:
        sources = []
        for place in (one, other):
            kind, packed = of(place.name)
            table = engine.read(place, kind, packed=packed)
            sources.append(Source(table=table, name=place.name, typed=kind is Format.PARQUET))
        profile, _ = profiles.reference(engine, sources[0])
        return profile, profiles.against(engine, sources[1], profile)


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "huge"])
@pytest.mark.parametrize("rows", [300, 15_000, 40_000])
def test_every_number_is_counted_where_numpy_puts_it(write: Any, name: str, rows: int) -> None:
    chance = np.random.default_rng([rows, len(name)])
    one, other = COLUMNS[name](chance, rows), COLUMNS[name](chance, rows // 2) * 1.01
    found = both(write("one.parquet", {"x": one}), write("other.parquet", {"x": other}))
    for profile, values in zip(found, (one, other), strict=True):
        numbers = profile.columns["x"].numbers
        assert numbers is not None
        expected = counted(numbers.grid, values)
        assert numbers.counts.tolist() == expected.counts.tolist()
        assert (numbers.low, numbers.high) == (expected.low, expected.high)
        scale = float(abs(values - numbers.grid.center).max()) or 1.0
        assert numbers.sums / scale == pytest.approx(expected.sums / scale, rel=1e-9, abs=1e-6)
        assert numbers.deviation == pytest.approx(float(values.std(ddof=1)), rel=1e-6)
    reference, current = (profile.columns["x"].numbers for profile in found)
    ks = distances.kolmogorov_smirnov(reference, current)
    assert ks.error <= grids.SHARE + 1e-12


def test_a_small_reference_is_exact_against_a_large_table(write: Any) -> None:
    chance = np.random.default_rng(1)
    one, other = chance.normal(size=500), chance.normal(size=60_000)
    reference, current = both(write("one.parquet", {"x": one}), write("other.parquet", {"x": other}))
    ks = distances.kolmogorov_smirnov(reference.columns["x"].numbers, current.columns["x"].numbers)
    assert ks.error < 1e-12


def test_what_is_no_number_is_told_apart(make: Make) -> None:
    sql = (
        "SELECT CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 'nan'::DOUBLE WHEN 2 THEN 'inf'::DOUBLE "
        "WHEN 3 THEN '-inf'::DOUBLE ELSE sin(i) * {} END AS x FROM range({}) t(i)"
    )
    for rows in (1_000, 50_000):
        one, other = make("one.parquet", sql.format(1, rows)), make("other.parquet", sql.format(2, rows))
        for profile in both(one, other):
            column = profile.columns["x"]
            assert (column.missing, column.nan, column.infinite) == (rows / 10, rows / 10, rows / 5)
            assert column.numbers is not None
            assert column.numbers.n == column.filled == rows * 6 / 10
            assert math.isfinite(column.numbers.mean)


def test_a_text_that_is_no_number_is_neither_missing_nor_gone(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("x\n" + "".join(f"{index}\n" for index in range(200)))
    other.write_text("x\n" + "".join(f"{index}\n" for index in range(150)) + 'n/a\n""\n' * 25)
    _, current = both(one, other)
    column = current.columns["x"]
    assert (column.kind, column.filled, column.unreadable, column.missing) == (Kind.NUMERIC, 150, 25, 25)


def test_texts_truth_and_times_are_what_they_are(make: Make) -> None:
    sql = (
        "SELECT 'c' || (i % 3) AS text, i % 4 = 0 AS truth, DATE '2024-01-01' + (i % 100)::INT AS day, "
        "TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS moment, i % 7 AS number, "
        "(i / 3)::DECIMAL(10, 2) AS price FROM range(300) t(i)"
    )
    profile, current = both(make("one.parquet", sql), make("other.parquet", sql))
    kinds = {name: column.kind for name, column in profile.columns.items()}
    assert kinds == {
        "text": Kind.CATEGORICAL,
        "truth": Kind.BOOLEAN,
        "day": Kind.TIME,
        "moment": Kind.TIME,
        "number": Kind.NUMERIC,
        "price": Kind.NUMERIC,
    }
    assert current.columns["text"].categories == {"c0": 100, "c1": 100, "c2": 100}
    assert current.columns["truth"].categories == {"true": 75, "false": 225}
    day = current.columns["day"].numbers
    assert day is not None
    assert day.low == dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()


def gap(one: Path, other: Path, column: str = "x") -> str:
    """Why a column cannot be compared."""
    reference, current = both(one, other)
    reasons = [profile.columns[column].values for profile in (reference, current)]
    return next(reason.reason for reason in reasons if isinstance(reason, Gap))


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("SELECT i AS x FROM range(100) t(i)", "SELECT 'a' AS x FROM range(100)", "its type changed: numbers"),
        ("SELECT 'a' AS x FROM range(100)", "SELECT 1 AS x FROM range(100)", "its type changed: text"),
        ("SELECT NULL::INT AS x FROM range(100)", "SELECT 1 AS x FROM range(100)", "one.parquet holds no value"),
        ("SELECT 1 AS x FROM range(100)", "SELECT NULL::INT AS x FROM range(100)", "other.parquet holds no value"),
        ("SELECT 1 AS x FROM range(100)", "SELECT 1 AS x FROM range(0)", "other.parquet holds no value"),
        ("SELECT 1 AS x FROM range(0)", "SELECT 1 AS x FROM range(9)", "one.parquet holds no value"),
        ("SELECT [1] AS x FROM range(100)", "SELECT [1] AS x FROM range(100)", "are not compared"),
        (
            "SELECT 9007199254740993 + i AS x FROM range(100) t(i)",
            "SELECT i AS x FROM range(100) t(i)",
            "beyond 2^53",
        ),
        (
            "SELECT i AS x FROM range(100) t(i)",
            "SELECT 9007199254740993 + i AS x FROM range(100) t(i)",
            "beyond 2^53",
        ),
        (
            "SELECT TIMESTAMP '2024-01-01' AS x FROM range(100)",
            "SELECT TIMESTAMPTZ '2024-01-01' AS x FROM range(100)",
            "a time zone in other.parquet and none in the reference",
        ),
        ("SELECT repeat('a', 300) AS x FROM range(100)", "SELECT 'a' AS x FROM range(9)", "more than 256 characters"),
        (
            f"SELECT 'u' || i AS x FROM range({MOST_CATEGORIES + 5}) t(i)",
            "SELECT 'a' AS x FROM range(100)",
            "more than 10,000 different values in one.parquet",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(make: Make, one: str, other: str, said: str) -> None:
    assert said in gap(make("one.parquet", one), make("other.parquet", other))


def test_a_category_of_a_million_values_is_a_reason_and_not_an_answer(make: Make) -> None:
    sql = "SELECT 'u' || (i + {}) AS x FROM range(1000000) t(i)"
    assert "more than 10,000" in gap(make("one.parquet", sql.format(0)), make("other.parquet", sql.format(7)))


def test_the_same_file_and_seed_give_the_same_sample(make: Make) -> None:
    place = make("one.parquet", "SELECT i, sin(i) AS x FROM range(50000) t(i)")
    drawn = []
    for _ in range(2):
        with duckdb.engine([place]) as engine:
            table = engine.read(place, Format.PARQUET, packed=False)
            drawn.append(engine.sample(table, 500, 3))
    assert drawn[0] == drawn[1]
    assert len({row["i"] for row in drawn[0]}) == 500
