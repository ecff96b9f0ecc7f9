"""How fast drift is found, against Evidently: `python -m benchmarks.drift`.

Both are whole processes, measured in this run and in turn, on tables that are made here: 25 columns, a million rows
against a million. Evidently is installed into an environment of its own, beside pandas, which ours does without.
`--rows` is for other sizes; `--large` compares tables of 100 million rows and three columns (4 GB of files) in 1 GB of
memory, without the peer.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks import timing

RUNS = 3
SHARE = 1 / 20
PEER = ("evidently==0.7.23", "pandas<3", "pyarrow")
_PEER = """
import sys
import pandas
from evidently import Report
from evidently.presets import DataDriftPreset
reference, current = (pandas.read_parquet(path) for path in sys.argv[1:3])
Report([DataDriftPreset()]).run(current, reference).json()
"""
_EVEN = "((hash(i * 31 + {at}) % 1000003) + 0.5) / 1000003.0"


def numbers(at: int, seed: int, shift: float) -> str:
    """A column of numbers: normal, lognormal, whole, with many zeros, with missing values."""
    one, other = (_EVEN.format(at=seed * 1_000 + at * 7 + more) for more in (0, 3))
    normal = f"(sqrt(-2 * ln({one})) * cos(6.283185307 * {other}))"
    return (
        f"{normal} + {shift}",
        f"exp({normal})",
        f"floor(40 + 12 * {normal})::BIGINT",
        f"CASE WHEN {one} < 0.6 THEN 0 ELSE {other} * 100 END",
        f"CASE WHEN hash(i + {seed * 1_000 + at}) % 20 = 0 THEN NULL ELSE {other} * 10 END",
    )[at % 5]


def make(place: Path, rows: int, seed: int, *, few: bool = False) -> None:
    """15 columns of numbers, 8 of categories and 2 of truth values; or 3 columns in all."""
    shift = 0.005 if seed > 1 else 0.0
    columns = [f"{numbers(at, seed, shift)} AS n{at}" for at in range(2 if few else 15)]
    for at, many in enumerate((30,) if few else (2, 5, 12, 30, 50, 100, 200, 1_000)):
        even = _EVEN.format(at=seed * 1_000 + 500 + at)
        columns.append(f"'c' || floor(pow({even}, 2) * {many})::INT AS c{at}")
    columns += [] if few else [f"hash(i + {seed * 77 + at}) % 10 < 3 AS b{at}" for at in range(2)]
    with duckdb.connect() as connection:
        query = f"SELECT {', '.join(columns)} FROM range({rows}) t(i)"
        connection.execute(f"COPY ({query}) TO '{place}' (FORMAT parquet)")


def ours(places: tuple[Path, Path]) -> list[str]:
    one, other = map(str, places)
    return timing.ci_ml("data", "drift", "--reference", one, "--current", other, "--format", "json")


def peer(folder: Path) -> list[str]:
    """Evidently's command, from an environment that is made for it."""
    python = folder / "peer" / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", str(folder / "peer")], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *PEER], check=True)
    script = folder / "peer.py"
    script.write_text(_PEER)
    return [str(python), str(script)]


def compare(folder: Path, rows: int, runs: int, python: str | None) -> bool:
    """Both in turn; the peer's first run alone takes minutes, so none is thrown away."""
    places = folder / "reference.parquet", folder / "current.parquet"
    for seed, place in enumerate(places, 1):
        make(place, rows, seed)
    theirs = [python, "-c", _PEER] if python else peer(folder)
    timing.once(ours(places), folder)
    times = [
        (timing.once(ours(places), folder), timing.once([*theirs, *map(str, places)], folder)) for _ in range(runs)
    ]
    mine, other = (statistics.median(side) for side in zip(*times, strict=True))
    kept = mine <= SHARE * other
    mark = "ok  " if kept else "SLOW"
    print(f"{mark} drift, 25 columns, {rows:,} rows: {mine:.2f} s against {other:.2f} s of Evidently", end="")
    print(f"   {mine / other:.4f} x (at most {SHARE:g})", flush=True)
    return kept


def large(folder: Path, rows: int) -> bool:
    """Bounded memory: three columns of so many rows in 1 GB, and what the process took at most."""
    places = folder / "reference.parquet", folder / "current.parquet"
    for seed, place in enumerate(places, 1):
        make(place, rows, seed, few=True)
    begun = time.perf_counter()
    done = subprocess.run(ours(places), env={**os.environ, "CI_ML_MEMORY": "1GB"}, capture_output=True, check=False)
    seconds = time.perf_counter() - begun
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1e6 if sys.platform == "linux" else 1e9)
    found = json.loads(done.stdout) if done.returncode in (0, 10, 11) else {"columns": [], "sentence": done.stderr}
    errors = [column["statistics"].get("ks_error", 0.0) for column in found["columns"]]
    kept = bool(errors) and max(errors) <= 0.001 and most <= 2
    print(f"{'ok  ' if kept else 'SLOW'} drift, 3 columns, {rows:,} rows: {seconds:.1f} s, {most:.2f} GB (at most 2)")
    print(f"     {found['sentence']} errors of the distances: {max(errors, default=-1):.5f}", flush=True)
    return kept


def main() -> int:
    """Print a line for each promise; exit 1 when one is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each table [default: 1,000,000]")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"counted runs of each command [default: {RUNS}]")
    parser.add_argument("--large", type=int, nargs="?", const=100_000_000, metavar="ROWS", help="only bounded memory")
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has Evidently  [default: made for it]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.large:
            return 0 if large(folder, options.large) else 1
        return 0 if compare(folder, options.rows, options.runs, options.peer) else 1


if __name__ == "__main__":
    sys.exit(main())
