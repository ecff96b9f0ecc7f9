"""What of a table's predictions a report shows, and what it says that it leaves out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from ci_ml.adapters.tables import duckdb
from ci_ml.adapters.tables.duckdb import DuckDB
from ci_ml.core import compare
from ci_ml.core.catalogue import Task
from ci_ml.core.compare import Comparison
from ci_ml.core.exhibits import CurvePart, SeriesPart
from ci_ml.core.gates import Gate
from ci_ml.core.types import Contrast, Direction, Margin, TableKey
from ci_ml.metrics import pairing
from ci_ml.metrics.columns import Source, Wanted
from ci_ml.usecases import curves
from ci_ml.usecases.curves import Drawn
from tests.metrics import tables
from tests.metrics.tables import CLASSES, Table

NAME = "test"


@pytest.fixture
def engine() -> Iterator[DuckDB]:
    with duckdb.engine([]) as found:
        yield found


def gate(metric: str, base: float | None = None, head: float = 0.8) -> Comparison:
    """A gate that was judged."""
    key = TableKey(table=NAME, metric=metric)
    whole = Gate(metric=key, direction=Direction.HIGHER, margin=Margin(value=0.1))
    found = Contrast(base=base, head=head, interval=None if base is None else (-1, 1), confidence=0.95, n=10)
    return compare.compare_measured(whole, found)


def draw(engine: DuckDB, table: Table, *gates: Comparison, new: bool = False, **about: Any) -> Drawn:
    paired = tables.paired(engine, table, not new, **about).paired
    return curves.draw(engine, NAME, tables.about(table, **about), paired, gates, new=new)


def kinds(found: Drawn) -> list[tuple[str, str | None]]:
    return [(curve.kind, curve.of) for curve in found.curves]


def series(found: Drawn, kind: str, of: str | None = None) -> tuple[SeriesPart | None, SeriesPart | None]:
    (curve,) = (curve for curve in found.curves if (curve.kind, curve.of) == (kind, of))
    return curve.base, curve.head


FOUR = [("roc", None), ("precision_recall", None), ("calibration", None), ("scores", None)]


def test_two_classes(engine: DuckDB) -> None:
    table = tables.random(Task.BINARY, 400)
    found = draw(engine, table, gate("roc_auc", 0.7, 0.75))
    assert kinds(found) == FOUR
    assert found.notices == ()
    for side, scores, area in zip(series(found, "roc"), (table.base, table.head), (0.7, 0.75), strict=True):
        assert side is not None
        assert side.area == area
        assert np.trapezoid(side.y, side.x) == pytest.approx(metrics.roc_auc_score(table.label, scores), abs=0.002)
    assert [side and side.area for side in series(found, "precision_recall")] == [None, None]
    (matrix,) = found.confusions
    assert matrix.classes == ("0", "1")
    assert np.array_equal(matrix.head, metrics.confusion_matrix(table.label, table.head >= 0.5))
    assert np.array_equal(matrix.base, metrics.confusion_matrix(table.label, table.base >= 0.5))


def test_the_matrix_has_the_threshold_and_the_name_of_the_class(engine: DuckDB) -> None:
    table = tables.random(Task.BINARY, 200)
    (matrix,) = draw(engine, table, threshold=0.3, positive=1).confusions
    assert matrix.classes == ("not 1", "1")
    assert np.array_equal(matrix.head, metrics.confusion_matrix(table.label, table.head >= 0.3))


@pytest.mark.parametrize("task", list(Task))
def test_without_a_base_there_is_the_head_alone(engine: DuckDB, task: Task) -> None:
    found = draw(engine, tables.random(task, 120), gate("roc_auc"), new=True)
    assert found.curves
    assert all(curve.base is None and curve.head is not None for curve in found.curves)
    assert all(matrix.base is None and matrix.head is not None for matrix in found.confusions)


@pytest.mark.parametrize("name", list(tables.adversarial(Task.BINARY)))
def test_odd_tables(engine: DuckDB, name: str) -> None:
    table = tables.adversarial(Task.BINARY)[name]
    one = len(set(table.label.tolist())) == 1
    assert kinds(draw(engine, table)) == (FOUR[2:] if one else FOUR)


def test_several_classes(engine: DuckDB) -> None:
    found = draw(engine, tables.random(Task.MULTICLASS, 300), gate("average_precision[cat]", 0.5, 0.6))
    lines = [(kind, name) for name in CLASSES for kind in ("roc", "precision_recall")]
    assert kinds(found) == [("calibration", None), ("scores", None), *lines]
    assert [side and side.area for side in series(found, "precision_recall", "cat")] == [0.5, 0.6]
    assert [side and side.area for side in series(found, "precision_recall", "dog")] == [None, None]
    assert found.confusions[0].classes == CLASSES


def test_the_average_over_classes_is_the_area_of_none(engine: DuckDB) -> None:
    found = draw(engine, tables.random(Task.MULTICLASS, 200), gate("average_precision_macro", 0.5, 0.6))
    assert all(side is None or side.area is None for curve in found.curves for side in (curve.base, curve.head))


def test_numbers(engine: DuckDB) -> None:
    found = draw(engine, tables.random(Task.REGRESSION, 300))
    (curve,) = found.curves
    assert curve.kind == "residuals"
    assert found.confusions == ()
    assert curve.base is not None
    assert curve.head is not None
    assert curve.base.x == curve.head.x
    assert sum(curve.base.n) == sum(curve.head.n) == 300
    assert found.notices == ()


def test_numbers_far_out_are_told(engine: DuckDB) -> None:
    table = tables.random(Task.REGRESSION, 300)
    head = table.head.copy()
    head[3] += 1e6
    found = draw(engine, replace(table, head=head))
    assert found.notices == ("test: residuals too far out for the histogram: 1 of the head",)


def test_what_says_classes_and_no_scores_has_a_matrix(engine: DuckDB) -> None:
    rows: dict[str, Sequence[object]] = {"row": [1, 2, 3, 4], "y": [0, 1, 1, 0], "said": [0, 1, 0, 0]}
    source = Source(table=engine.put(rows, dict.fromkeys(rows, "int64")), name="p.parquet", typed=True)
    table = Table(task=Task.BINARY, label=np.zeros(4), base=np.zeros(4), head=np.zeros(4))
    about = tables.about(table, prediction="said", score=None)
    paired = pairing.pair(engine, about, source, source, Wanted()).paired
    found = curves.draw(engine, NAME, about, paired, [gate("accuracy", 0.5)], new=False)
    assert found.curves == ()
    assert found.confusions[0].head == ((2, 0), (1, 1))


def test_of_many_classes_those_that_gates_name_and_the_most_frequent(engine: DuckDB) -> None:
    names = [f"c{index}" for index in range(9)]
    labels = [name for index, name in enumerate(names) for _ in range(index + 2)]
    chance = np.random.default_rng(2)
    rows: dict[str, Sequence[object]] = {"row": range(len(labels)), "y": labels}
    rows |= {f"p_{name}": chance.random(len(labels)).tolist() for name in names}
    types = {"row": "int64", "y": "string", **{f"p_{name}": "float64" for name in names}}
    source = Source(table=engine.put(rows, types), name="p.parquet", typed=True)
    table = Table(task=Task.MULTICLASS, label=np.zeros(1), base=np.zeros(1), head=np.zeros(1))
    about = tables.about(table)
    paired = pairing.pair(engine, about, source, source, Wanted()).paired
    found = curves.draw(engine, NAME, about, paired, [gate("recall[c1]", 0.5)], new=False)
    assert [curve.of for curve in found.curves if curve.kind == "roc"] == ["c1", "c8", "c7", "c6", "c5", "c4"]
    assert found.notices == (
        "test: there are curves of 6 of 9 classes, those that gates name before those that most examples have",
    )


def test_nothing_of_an_example_is_told(engine: DuckDB) -> None:
    """No edge is a residual, and no curve has a threshold."""
    table = tables.random(Task.REGRESSION, 50)
    (curve,) = draw(engine, table).curves
    assert curve.head is not None
    assert not set(curve.head.x) & set((table.head - table.label).tolist())


def test_parts_are_written_and_read_again(engine: DuckDB) -> None:
    for curve in draw(engine, tables.random(Task.BINARY, 100)).curves:
        assert CurvePart.model_validate_json(curve.model_dump_json()) == curve
