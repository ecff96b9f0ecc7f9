"""How fast tables of predictions are judged, against what people use now: `python -m benchmarks.tables`.

Everything is measured in this run, on tables made here. A bootstrap of hours is not run to its end: a few draws are
timed and multiplied by the number of draws that is meant, which each line says.
"""

import itertools
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.timing import line, seconds_of
from ci_ml.adapters.tables import duckdb as embedded
from ci_ml.adapters.tables.formats import Format
from ci_ml.core.catalogue import parse
from ci_ml.core.config import PredictionsConfig
from ci_ml.metrics import registry
from ci_ml.metrics.columns import Source, Wanted
from ci_ml.metrics.pairing import Pairing, pair
from ci_ml.metrics.statistic import Statistics
from ci_ml.usecases import curves

ABOUT = PredictionsConfig.model_validate(
    {"path": "p.parquet", "task": "binary", "id": "id", "label": "label", "score": "score"}
)
TEN = (
    *("accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy", "mcc", "kappa"),
    *("log_loss", "brier"),
)
SLICES = 50
CONFIDENCE = 0.95
_TABLE = """
COPY (
  SELECT i AS id, (hash(i) % 5 = 0)::TINYINT AS label, 'c' || (hash(i + 1) % {slices}) AS slice,
         greatest(0, least(1, 0.45 * (hash(i) % 5 = 0)::INT + 0.5 * (hash(i + 7) % 1000003) / 1000003.0
                              + 0.02 * ((hash(i + {seed}) % 1000003) / 1000003.0))) AS score
  FROM range({rows}) numbers(i) ORDER BY hash(i + {seed})
) TO '{path}' (FORMAT parquet)
"""


def main() -> int:
    """Print a line for each promise; exit 1 when one is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        kept = [bench.area(), bench.curves(), *bench.slices(), bench.growth()]
    return 0 if all(kept) else 1


class Bench:
    """Tables of several sizes, made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tables(self, rows: int) -> tuple[Path, Path]:
        """Base and head: the same examples in another order, with scores that differ a little."""
        places = tuple(self.folder / f"{side}-{rows}.parquet" for side in ("base", "head"))
        for seed, place in enumerate(places, 101):
            if not place.exists():
                with duckdb.connect() as connection:
                    connection.execute(_TABLE.format(slices=SLICES, seed=seed, rows=rows, path=place))
        return places[0], places[1]

    def area(self) -> bool:
        """The paired difference of ROC-AUC with its interval, against a bootstrap of scikit-learn's function."""
        from sklearn.metrics import roc_auc_score

        rows, draws, timed = 1_000_000, 2_000, 4
        places = self.tables(rows)
        ours = statistics.median(seconds_of(lambda: measure(places, ["roc_auc"])) for _ in range(3))
        label, base, head = _columns(places)
        chance = np.random.default_rng(1)

        def draw() -> None:
            rows_ = chance.integers(0, rows, rows)
            roc_auc_score(label[rows_], head[rows_]) - roc_auc_score(label[rows_], base[rows_])

        theirs = statistics.median(seconds_of(draw) for _ in range(timed)) * draws
        found = next(iter(measure(places, ["roc_auc"]).values())).difference(CONFIDENCE)
        plain = float(roc_auc_score(label, head) - roc_auc_score(label, base))
        same = math.isclose(found.delta, plain, rel_tol=0, abs_tol=1e-9)
        what = f"ROC-AUC, 1 M rows / {draws:,} bootstrap draws ({timed} timed, x {draws // timed})"
        return line(what, ours, theirs, theirs / ours, at_least=300, right=same)

    def curves(self) -> bool:
        """What a report shows of a table, against reading the table and judging a usual set of gates."""
        places = self.tables(1_000_000)
        runs = [_drawn(places, ["accuracy", "log_loss", "roc_auc"]) for _ in range(3)]
        judged, ours = (statistics.median(seconds) for seconds in zip(*runs, strict=True))
        return line("Curves, 1 M rows / accuracy, log_loss and ROC-AUC", ours, judged, ours / judged, at_most=0.25)

    def slices(self) -> list[bool]:
        """Ten metrics over 50 slices: time against fairlearn's bootstrap and against a bare join, and memory."""
        rows, draws = 10_000_000, 100
        places = self.tables(rows)
        ours, megabytes = _in_a_process(places)
        joined = statistics.median(seconds_of(lambda: _join(places)) for _ in range(3))
        small = 1_000_000
        theirs, values = _metric_frame(self.tables(small))
        theirs *= draws * rows / small
        what = f"10 metrics, 50 slices, 10 M rows / {draws} draws of MetricFrame (1 timed on 1 M, x 1,000)"
        return [
            line(what, ours, theirs, theirs / ours, at_least=50, right=_equal(self.tables(small), values)),
            line("  the same / DuckDB joins and averages one column", ours, joined, ours / joined, at_most=5),
            line("  the same, memory in GB", megabytes / 1000, 4, megabytes / 1000, at_most=4),
        ]

    def growth(self) -> bool:
        """From 10,000 to 10,000,000 rows: the cost of a row may grow like the logarithm of their number."""
        sizes = (10_000, 100_000, 1_000_000, 10_000_000)
        names = ["accuracy", "log_loss", "roc_auc"]
        measure(self.tables(sizes[0]), names)  # imports, and the first run of everything
        times = [seconds_of(lambda size=size: measure(self.tables(size), names)) for size in sizes]
        # The smallest is mostly overhead, so a straight line from there would forgive everything: compare neighbours.
        steps = zip(itertools.pairwise(sizes[1:]), itertools.pairwise(times[1:]), strict=True)
        worst = max(
            (late / early) / (many * math.log(many) / (few * math.log(few))) for (few, many), (early, late) in steps
        )
        listed = ", ".join(f"{seconds:.2f} s" for seconds in times)
        return line(f"10⁴, 10⁵, 10⁶, 10⁷ rows: {listed}; growth / n log n", times[-1], times[-2], worst, at_most=1.25)


def measure(places: tuple[Path, Path], names: Sequence[str], *, by: str | None = None) -> Statistics:
    """Everything that ci-ml does with two tables: read, check, pair, aggregate; then every interval."""
    cuts = [(), *([(by,)] if by else [])]
    with embedded.engine(places) as engine:
        paired = _paired(engine, places, by).paired
        found = registry.measure(engine, paired, [(parse(name), cut) for name in names for cut in cuts], CONFIDENCE)
    for statistic in found.values():
        statistic.difference(CONFIDENCE)
    return found


def _paired(engine: embedded.DuckDB, places: tuple[Path, Path], by: str | None = None) -> Pairing:
    base, head = (
        Source(table=engine.read(place, Format.PARQUET, packed=False), name=place.name, typed=True) for place in places
    )
    return pair(engine, ABOUT, base, head, Wanted(slices=(by,) if by else ()))


def _drawn(places: tuple[Path, Path], names: Sequence[str]) -> tuple[float, float]:
    """Seconds of judging these metrics, and of drawing the table's curves."""
    begun = time.perf_counter()
    with embedded.engine(places) as engine:
        paired = _paired(engine, places).paired
        for found in registry.measure(engine, paired, [(parse(name), ()) for name in names], CONFIDENCE).values():
            found.difference(CONFIDENCE)
        judged = time.perf_counter()
        curves.draw(engine, "test", ABOUT, paired, (), new=False)
        return judged - begun, time.perf_counter() - judged


def _columns(places: tuple[Path, Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT b.label, b.score AS base, h.score AS head FROM read_parquet(?) b JOIN read_parquet(?) h USING (id)",
            [str(place) for place in places],
        ).fetchnumpy()
    return found["label"], found["base"], found["head"]


def _join(places: tuple[Path, Path]) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "SELECT b.slice, avg(h.score) FROM read_parquet(?) b JOIN read_parquet(?) h USING (id) GROUP BY 1",
            [str(place) for place in places],
        ).fetchall()


def _in_a_process(places: tuple[Path, Path]) -> tuple[float, float]:
    """Seconds of ten metrics over all slices (the median of three runs), and the most megabytes of a process."""
    command = [sys.executable, "-m", "benchmarks.tables", *map(str, places)]
    answers = [
        [float(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
        for _ in range(3)
    ]
    return statistics.median(seconds for seconds, _ in answers), max(megabytes for _, megabytes in answers)


def _metric_frame(places: tuple[Path, Path]) -> tuple[float, dict[str, float]]:
    """Seconds of one bootstrap draw of both sides' ten metrics, and the head's values by slice and metric."""
    from fairlearn.metrics import MetricFrame
    from sklearn import metrics

    functions = {
        "accuracy": metrics.accuracy_score,
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "specificity": lambda truth, called: metrics.recall_score(truth, called, pos_label=0),
        "f1": metrics.f1_score,
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "mcc": metrics.matthews_corrcoef,
        "kappa": metrics.cohen_kappa_score,
        "log_loss": lambda truth, score: metrics.log_loss(truth, score, labels=[0, 1]),
        "brier": metrics.brier_score_loss,
    }
    with duckdb.connect() as connection:
        both = connection.execute(
            "SELECT b.label, b.slice, b.score AS base, h.score AS head "
            "FROM read_parquet(?) b JOIN read_parquet(?) h USING (id)",
            [str(place) for place in places],
        ).fetchnumpy()
    frames = []

    def draw() -> None:
        for side in ("head", "base"):
            called = (both[side] >= ABOUT.threshold).astype(int)
            for names, predicted in ((TEN[:8], called), (TEN[8:], both[side])):
                frames.append(
                    MetricFrame(
                        metrics={name: functions[name] for name in names},
                        y_true=both["label"],
                        y_pred=predicted,
                        sensitive_features=both["slice"],
                    )
                )

    seconds = seconds_of(draw)  # a draw resamples on top of this, so this is less than a draw costs
    values = {
        f"{where} {name}": float(value)
        for frame in frames[:2]
        for name, column in frame.by_group.items()
        for where, value in column.items()
    }
    return seconds, values


def _equal(places: tuple[Path, Path], values: dict[str, float]) -> bool:
    found = {
        f"{where.parts[0][1]} {asked}": statistic.difference(CONFIDENCE).head
        for (asked, where), statistic in measure(places, TEN, by="slice").items()
        if where is not None
    }
    return found.keys() == values.keys() and all(math.isclose(found[key], values[key], rel_tol=1e-9) for key in found)


def _child() -> int:
    """Measure two given tables once; prints seconds, and megabytes at most."""
    places = (Path(sys.argv[1]), Path(sys.argv[2]))
    seconds = seconds_of(lambda: measure(places, TEN, by="slice"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    print(seconds, peak)
    return 0


if __name__ == "__main__":
    sys.exit(_child() if len(sys.argv) == 3 else main())
