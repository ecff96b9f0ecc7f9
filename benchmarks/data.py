"""How fast twenty rules are counted, against pandera's own validation: `python -m benchmarks.data [ROWS]`.

Everything is measured in this run, on a table made here. Pandera validates a tenth of the rows, with Ibis on DuckDB and
with pandas, and its time is multiplied by ten, which each line says.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.timing import line, seconds_of
from ci_ml.adapters.tables import duckdb as embedded
from ci_ml.adapters.tables.formats import Format
from ci_ml.core import expectations
from ci_ml.core.expectations import DataConfig
from ci_ml.metrics import expectations as counting
from ci_ml.metrics.columns import Source

ROWS = 10_000_000
_TABLE = """
COPY (
  SELECT i AS id, (hash(i) % 73 + 18)::INTEGER AS age, (hash(i + 1) % 5000)::INTEGER AS days,
         (hash(i + 2) % 1000003) / 1000003.0 AS score, (hash(i + 3) % 100000) / 100.0 AS amount,
         ['DE', 'FR', 'IT', 'MT'][1 + (hash(i + 4) % 4)::INT] AS country, 'u' || i || '@example.org' AS email,
         DATE '2024-01-01' + (hash(i + 5) % 300)::INTEGER AS first, (hash(i + 6) % 2)::INTEGER AS churned
  FROM range({rows}) numbers(i)
) TO '{path}' (FORMAT parquet)
"""
ABOUT = DataConfig.model_validate(
    {
        "path": "t.parquet",
        "columns": {
            "id": {"min": 0, "type": "integer"},
            "age": {"min": 18, "max": 90},
            "days": {"min": 0, "max": 5000},
            "score": {"min": 0, "max": 1},
            "amount": {"min": 0, "missing": "100%"},
            "country": {"allowed": ["DE", "FR", "IT", "MT"], "length": {"max": 2}},
            "email": {"matches": "[^@]+@[^@]+", "missing": "100%"},
            "first": {"min": "2024-01-01", "missing": "100%"},
            "churned": {"allowed": [0, 1], "missing": "100%"},
        },
        "rules": {"old enough": "age >= 18 or country = 'DE'"},
    }
)


def main() -> int:
    """Print a line for each promise; exit 1 when one is not kept."""
    if len(sys.argv) == 3:
        return _child(Path(sys.argv[2]))
    rows = int(sys.argv[1].replace("_", "")) if len(sys.argv) == 2 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        whole, tenth = (_table(Path(folder), size) for size in (rows, rows // 10))
        ours, megabytes, rules, scans = _measured(whole)
        bare = statistics.median(seconds_of(lambda: _scan(whole)) for _ in range(3))
        theirs = seconds_of(lambda: _pandera_ibis(tenth)) * 10
        pandas = seconds_of(lambda: _pandera_pandas(tenth)) * 10
    what = f"{rules:.0f} rules, {rows:,} rows, {scans:.0f} scan"
    kept = [
        line(f"{what} / pandera with Ibis on DuckDB (a tenth, x 10)", ours, theirs, theirs / ours, at_least=5),
        line(f"{what} / pandera with pandas (a tenth, x 10)", ours, pandas, pandas / ours, at_least=2),
        line(f"{what} / DuckDB reads every column once", ours, bare, ours / bare, at_most=5),
        line("  the same, memory in GB", megabytes / 1000, 2, megabytes / 1000, at_most=2),
        line("  the same, scans", scans, 1, scans, at_most=1),
    ]
    return 0 if all(kept) else 1


class _Counting:
    """An engine that counts what it is asked."""

    def __init__(self, engine: embedded.DuckDB) -> None:
        self._engine, self.asked = engine, 0

    def rows(self, table: Any) -> Any:
        self.asked += 1
        return self._engine.rows(table)

    def hold(self, table: Any, most: int | None = None) -> Any:
        return self._engine.hold(table, most)

    def put(self, columns: Any, types: Any) -> Any:
        return self._engine.put(columns, types)


def _table(folder: Path, rows: int) -> Path:
    place = folder / f"{rows}.parquet"
    with duckdb.connect() as connection:
        connection.execute(_TABLE.format(rows=rows, path=place))
    return place


def _measured(place: Path) -> tuple[float, ...]:
    """Seconds (the median of three), the most megabytes, rules, and scans, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.data", "child", str(place)]
    answers = [
        [float(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
        for _ in range(3)
    ]
    seconds, megabytes, rules, scans = zip(*answers, strict=True)
    return statistics.median(seconds), max(megabytes), rules[0], max(scans)


def _child(place: Path) -> int:
    begun = time.perf_counter()
    with embedded.engine([place]) as engine:
        counted = _Counting(engine)
        source = Source(table=engine.read(place, Format.PARQUET, packed=False), name=place.name, typed=True)
        found = counting.count(counted, source, expectations.expected(ABOUT).rules)
    seconds = time.perf_counter() - begun
    wrong = [rule.what for rule, what in found.found.items() if getattr(what, "rows", 1)]
    if wrong:
        raise RuntimeError(f"these should hold: {wrong}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    print(seconds, peak, len(found.found), counted.asked)
    return 0


def _scan(place: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet(?)", [str(place)]).fetchall()


def _columns(pa: Any, types: dict[str, type]) -> Any:
    """The same rules for pandera: what is missing is one of them."""
    check = pa.Check
    checks = {
        "id": [check.ge(0)],
        "age": [check.ge(18), check.le(90)],
        "days": [check.ge(0), check.le(5000)],
        "score": [check.ge(0), check.le(1)],
        "amount": [check.ge(0)],
        "country": [check.isin(["DE", "FR", "IT", "MT"]), check.str_length(max_value=2)],
        "email": [check.str_matches(r"[^@]+@[^@]+$")],
        "churned": [check.isin([0, 1])],
    }
    free = ("amount", "email", "churned")
    return {name: pa.Column(types.get(name), found, nullable=name in free) for name, found in checks.items()}


def _pandera_ibis(place: Path) -> None:
    import ibis
    import pandera.ibis as pa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = ibis.duckdb.connect().read_parquet(str(place))
        pa.DataFrameSchema(_columns(pa, {"id": int})).validate(table, lazy=True)


def _pandera_pandas(place: Path) -> None:
    import pandera.pandas as pa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = duckdb.connect().execute("SELECT * FROM read_parquet(?)", [str(place)]).df()
        pa.DataFrameSchema(_columns(pa, {"id": int})).validate(table, lazy=True)


if __name__ == "__main__":
    sys.exit(main())
