"""`ci-ml data drift`, as it is called: what it says, its exit codes, and what it makes of bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ci_ml.adapters.tables import duckdb as embedded
from ci_ml.adapters.tables.formats import Format
from ci_ml.core import profiles as files
from ci_ml.metrics import profiles
from ci_ml.metrics.columns import Source

Run = Callable[..., subprocess.CompletedProcess[str]]

SAME = "SELECT sin(i * {0}) AS wave, i % 7 AS day, 'c' || (hash(i * {0}) % 5) AS kind FROM range(4000) t(i)"
MOVED = (
    "SELECT sin(i * {0}) + 0.4 AS wave, (i % 7) + 2 AS day, 'c' || (hash(i * {0}) % 9) AS kind FROM range(4000) t(i)"
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def command(*arguments: object, memory: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **({"CI_ML_MEMORY": memory} if memory else {})}
        return subprocess.run(
            [sys.executable, "-m", "ci_ml", "data", "drift", *map(str, arguments)],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )

    return command


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str, str], Path]:
    def made(name: str, sql: str) -> Path:
        with duckdb.connect() as connection:
            kind = "json" if name.endswith("jsonl") else name.rpartition(".")[2]
            more = ", DELIMITER '\t'" if kind == "tsv" else ""
            kind = "csv" if kind == "tsv" else kind
            connection.execute(f"COPY ({sql}) TO '{tmp_path / name}' (FORMAT {kind}{more})")
        return tmp_path / name

    return made


def compare(run: Run, *more: object, code: int) -> dict[str, Any]:
    done = run("--reference", "one.parquet", "--current", "other.parquet", "--format", "json", *more)
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["schema"] == "ci-ml/drift/v1"
    return document


def test_tables_of_one_kind_pass(run: Run, table: Any) -> None:
    table("one.parquet", SAME.format(1))
    table("other.parquet", SAME.format(1.7))
    found = compare(run, code=0)
    assert found["drifted_share"] == 0
    assert [column["drifted"] for column in found["columns"]] == [False, False, False]
    assert {column["column"]: column["kind"] for column in found["columns"]} == {
        "wave": "numeric",
        "day": "numeric",
        "kind": "categorical",
    }
    wave = found["columns"][0]["statistics"]
    assert {"psi", "jensen_shannon", "wasserstein", "wasserstein_normed", "ks", "ks_p_value"} <= wave.keys()
    assert {"psi", "jensen_shannon", "chi_square_p_value"} <= found["columns"][2]["statistics"].keys()
    assert found["together"]["drifted"] is False
    assert len(found["columns"][0]["histogram"]["reference"]) == 30


@pytest.mark.thorough
def test_a_table_that_moved_is_blocked_and_says_how(run: Run, table: Any) -> None:
    table("one.parquet", SAME.format(1))
    table("other.parquet", MOVED.format(1.7))
    assert compare(run, code=10)["drifted_share"] == 1
    done = run("--reference", "one.parquet", "--current", "other.parquet")
    assert done.returncode == 10
    said = " ".join(done.stdout.split())
    assert "3 of 3 columns drifted (the limit is 30%)" in said
    assert "wave drifted: normed Wasserstein" in said
    assert "4 new categories (c" in said
    marked = run("--reference", "one.parquet", "--current", "other.parquet", "--format", "markdown")
    assert marked.returncode == 10
    assert "| ❌ | `wave` |" in marked.stdout


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_says_the_same(run: Run, table: Any, name: str) -> None:
    table(f"one.{name}", SAME.format(1))
    table(f"other.{name}", MOVED.format(1.7))
    done = run("--reference", f"one.{name}", "--current", f"other.{name}", "--format", "json")
    assert done.returncode == 10, done.stderr
    table("one.parquet", SAME.format(1))
    table("other.parquet", MOVED.format(1.7))
    for one, other in zip(json.loads(done.stdout)["columns"], compare(run, code=10)["columns"], strict=True):
        assert one["statistics"] == pytest.approx(other["statistics"], rel=1e-9)


@pytest.mark.thorough
def test_columns_are_chosen(run: Run, table: Any) -> None:
    table("one.parquet", SAME.format(1))
    table("other.parquet", MOVED.format(1.7))
    found = compare(run, "--only", "day", "--share", "100%", "--never", "day", code=10)
    assert [column["column"] for column in found["columns"]] == ["day"]
    assert compare(run, "--except", "day", "--share", "1", code=0)["drifted_share"] == 1


def test_a_column_that_is_gone_is_undecided(run: Run, table: Any) -> None:
    table("one.parquet", SAME.format(1))
    table("other.parquet", "SELECT wave, day, kind AS sort FROM (" + SAME.format(1.7) + ")")
    found = compare(run, code=11)
    assert found["columns"][2]["drifted"] is None
    assert "has no column kind" in found["columns"][2]["gap"]
    assert found["added"] == ["sort"]


def test_an_empty_table_is_undecided(run: Run, table: Any) -> None:
    table("one.parquet", SAME.format(1))
    table("other.parquet", "SELECT * FROM (" + SAME.format(1) + ") LIMIT 0")
    found = compare(run, code=11)
    assert found["drifted_share"] is None
    assert "no rows" in found["columns"][0]["gap"]


@pytest.mark.parametrize("reference", ["nan", "inf"])
@pytest.mark.parametrize("current", ["nan", "inf"])
def test_a_column_without_a_finite_number_is_not_called_empty(
    run: Run, table: Any, reference: str, current: str
) -> None:
    query = "SELECT '{}'::DOUBLE AS odd, sin(i) AS wave, cos(i) AS other FROM range(4000) t(i)"
    done = run(
        "--reference",
        table("r.parquet", query.format(reference)),
        "--current",
        table("c.parquet", query.format(current)),
        "--format",
        "json",
    )
    found = {column["column"]: column for column in json.loads(done.stdout)["columns"]}["odd"]
    names = {"nan": "nan", "inf": "infinite"}
    for side, value in (("reference", reference), ("current", current)):
        shares = {name: found["statistics"].get(f"{name}_{side}", 0.0) for name in names.values()}
        assert shares == {name: float(name == names[value]) for name in names.values()}
    assert bool(found["drifted"]) is (reference != current)
    assert done.returncode == (11 if reference == current else 10)


@pytest.mark.thorough
def test_names_of_columns_and_categories_are_harmless(run: Run, table: Any) -> None:
    name = "@everyone <b>| `x`\x1b[2J"
    sql = "SELECT CASE WHEN i % {0} = 0 THEN '<script>{1}' ELSE '::error::' END AS \"" + name + '" FROM range(900) t(i)'
    table("one.parquet", sql.format(2, "\x1b"))
    table("other.parquet", sql.format(9, "\x07"))
    for form in ("terminal", "markdown", "json"):
        done = run("--reference", "one.parquet", "--current", "other.parquet", "--format", form)
        assert done.returncode == 10, done.stderr
        assert not {"\x1b", "\x07"} & set(done.stdout)
        assert form == "json" or "\n::error" not in done.stdout
        assert form != "markdown" or "<script" not in done.stdout


def test_a_recorded_profile_is_a_reference(run: Run, table: Any, tmp_path: Path) -> None:
    place = table("one.parquet", SAME.format(1))
    table("other.parquet", MOVED.format(1.7))
    direct = compare(run, "--apart", code=10)
    with embedded.engine([place]) as engine:
        source = Source(table=engine.read(place, Format.PARQUET, packed=False), name=place.name, typed=True)
        profile, _ = profiles.reference(engine, source)
    (tmp_path / "profile.json").write_text(files.dump(profile))
    done = run("--reference", "profile.json", "--current", "other.parquet", "--format", "json")
    assert done.returncode == 10, done.stderr
    recorded = json.loads(done.stdout)
    assert recorded["columns"] == direct["columns"]
    assert "no sample" in recorded["notices"][0]


@pytest.mark.thorough
def test_a_million_rows_fit_into_little_memory(run: Run, table: Any) -> None:
    sql = "SELECT sin(i * {0}) AS wave, hash(i * {0}) % 1000003 AS number, 'c' || (i % 90) AS kind FROM range(1000000) t(i)"
    table("one.parquet", sql.format(1))
    table("other.parquet", sql.format(1.7))
    done = run("--reference", "one.parquet", "--current", "other.parquet", memory="256MB")
    assert done.returncode == 0, done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reference", "gone.parquet", "--current", "one.parquet"], "there is no file gone.parquet"),
        (["--reference", "one.parquet", "--current", "."], "there is no file ."),
        (["--reference", "one.parquet", "--current", "notes.txt"], "notes.txt is no table"),
        (["--reference", "one.parquet", "--current", "broken.parquet"], "broken.parquet cannot be read"),
        (["--reference", "broken.json", "--current", "one.parquet"], "broken.json is no profile"),
        (["--reference", "one.parquet", "--current", "one.parquet", "--share", "many"], "--share: must be a share"),
        (
            ["--reference", "one.parquet", "--current", "one.parquet", "--only", "a", "--except", "b"],
            "`only` and `except` exclude each other",
        ),
    ],
)
def test_bad_input_is_one_clear_error(run: Run, table: Any, tmp_path: Path, arguments: list[str], said: str) -> None:
    table("one.parquet", SAME.format(1))
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no PAR1")
    (tmp_path / "broken.json").write_text('{"schema": "ci-ml/profile/v9"}')
    done = run(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
