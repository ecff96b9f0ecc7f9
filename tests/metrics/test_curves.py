"""Curves, bins and matrices are those of scikit-learn and numpy on the examples; every point of a curve is exact."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ci_ml.adapters.tables import duckdb
from ci_ml.adapters.tables.duckdb import DuckDB
from ci_ml.core.catalogue import Task
from ci_ml.metrics import confusions, curves, residuals
from ci_ml.metrics.calibration import BINS
from ci_ml.metrics.curves import HISTOGRAM, Scores
from ci_ml.stats import curves as points
from tests.metrics import tables
from tests.metrics.expected import guess
from tests.metrics.tables import CLASSES, Array, Table

SIDES = ("base", "head")
# Lines are drawn between points, and 250 pixels are what one sees of them.
VISIBLE = 0.02


def binary(label: Array, base: Array, head: Array | None = None) -> Table:
    return Table(task=Task.BINARY, label=label, base=base, head=base if head is None else head)


def of(table: Table, side: str) -> Array:
    return table.base if side == "base" else table.head


def subset(found: tuple[list[float], list[float]], wanted: tuple[Array, Array]) -> bool:
    """Whether all points are among these."""
    every = {(round(x, 12), round(y, 12)) for x, y in zip(*wanted, strict=True)}
    return all((round(x, 12), round(y, 12)) in every for x, y in zip(*found, strict=True))


def check(label: Array, scores: Array, found: Scores) -> None:
    """A side's counts against its examples."""
    assert int(found.steps.n.sum()) == len(label)
    assert int(found.steps.hits.sum()) == label.sum()
    assert found.histogram == tuple(np.histogram(scores, HISTOGRAM, (0, 1))[0])
    where = np.clip(np.ceil(scores * BINS) - 1, 0, BINS - 1)
    wanted = [(int((where == at).sum()), int(label[where == at].sum()), scores[where == at]) for at in np.unique(where)]
    assert [(part.n, part.hits) for part in found.bins] == [(n, hits) for n, hits, _ in wanted]
    assert [part.mean for part in found.bins] == pytest.approx([scores.mean() for *_, scores in wanted])
    assert found.steps.both == (0 < label.sum() < len(label))
    if found.steps.both:
        lines(label, scores, found)


def lines(label: Array, scores: Array, found: Scores) -> None:
    """Both curves: of exact points with both ends, and never far from the exact curve."""
    false, true, _ = metrics.roc_curve(label, scores, drop_intermediate=False)
    x, y = points.roc(found.steps)
    assert subset((x, y), (false, true))
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert len(x) <= points.MOST
    assert np.trapezoid(y, x) == pytest.approx(metrics.roc_auc_score(label, scores), abs=VISIBLE)
    precision, recall, _ = metrics.precision_recall_curve(label, scores)
    # The last point, recall 0 and precision 1, is scikit-learn's own and of no threshold.
    exact = recall[:-1], precision[:-1]
    x, y = points.precision_recall(found.steps)
    assert subset((x, y), exact)
    assert (x[0], y[0]) == pytest.approx((exact[0][-1], exact[1][-1])) or len(np.unique(scores)) > 1
    assert (x[-1], y[-1]) == pytest.approx((1, label.mean()))
    assert len(x) <= points.MOST
    assert (np.diff(x) >= 0).all()


@pytest.fixture(scope="module")
def shared() -> Iterator[DuckDB]:
    with duckdb.engine([]) as found:
        yield found


@pytest.mark.parametrize("name", list(tables.adversarial(Task.BINARY)))
def test_two_classes(engine: DuckDB, name: str) -> None:
    table = tables.adversarial(Task.BINARY)[name]
    paired = tables.paired(engine, table).paired
    for side in SIDES:
        check(table.label, of(table, side), curves.scores(engine, paired, side))


# Scores that are crowded where floats are finest, on the edges of bins, and equal to each other.
_SCORES = st.one_of(
    st.floats(0, 1),
    st.sampled_from([0.0, 1e-18, 1e-9, 0.2, 1 / 3, 0.5, 1 - 1e-9, 1.0]),
    st.integers(0, 15).map(lambda part: part / 15),
    st.integers(0, 64).map(lambda part: part / 64),
)


@pytest.mark.thorough
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.integers(0, 1), _SCORES), min_size=1, max_size=60))
def test_any_few_examples(shared: DuckDB, rows: list[tuple[int, float]]) -> None:
    label, scores = (np.array(column) for column in zip(*rows, strict=True))
    found = curves.scores(shared, tables.paired(shared, binary(label, scores)).paired, "head")
    assert int(found.steps.n.sum()) == len(label)
    assert found.histogram == tuple(np.histogram(scores, HISTOGRAM, (0, 1))[0])
    if found.steps.both:
        false, true, _ = metrics.roc_curve(label, scores, drop_intermediate=False)
        assert subset(points.roc(found.steps), (false, true))
        precision, recall, _ = metrics.precision_recall_curve(label, scores)
        assert subset(points.precision_recall(found.steps), (recall[:-1], precision[:-1]))


@pytest.mark.thorough
@pytest.mark.parametrize("crowd", [1.0, 1e-3, 1e-7, 1e-11])
def test_scores_that_crowd_near_0_are_told_apart(engine: DuckDB, crowd: float) -> None:
    chance = np.random.default_rng(4)
    label = (chance.random(20_000) < 0.01).astype(np.int64)
    scores = crowd * np.clip(chance.beta(2, 8, label.size) + 0.3 * label, 0, 1)
    table = binary(label, scores)
    check(label, scores, curves.scores(engine, tables.paired(engine, table).paired, "head"))


def test_a_large_table_is_a_few_hundred_points(engine: DuckDB) -> None:
    table = tables.random(Task.BINARY, 30_000)
    found = curves.scores(engine, tables.paired(engine, table).paired, "head")
    check(table.label, table.head, found)
    x, y = points.roc(found.steps)
    assert 150 <= len(x) <= points.MOST
    # As a polygon of exact points below a concave curve it is a little smaller than the area.
    assert np.trapezoid(y, x) == pytest.approx(metrics.roc_auc_score(table.label, table.head), abs=2e-4)
    recall, precision = points.precision_recall(found.steps)
    exact = metrics.average_precision_score(table.label, table.head)
    assert np.trapezoid(precision, recall) == pytest.approx(exact, abs=6e-3)


def test_clusters_change_nothing(engine: DuckDB) -> None:
    table = tables.clustered(tables.random(Task.BINARY, 300))
    check(table.label, table.base, curves.scores(engine, tables.paired(engine, table).paired, "base"))


@pytest.mark.parametrize("name", ["plain", "ties", "one class", "perfect"])
def test_several_classes_one_against_the_rest(engine: DuckDB, name: str) -> None:
    table = tables.adversarial(Task.MULTICLASS)[name]
    paired = tables.paired(engine, table).paired
    for side in SIDES:
        for index, which in enumerate(CLASSES):
            hit = (table.label == index).astype(np.int64)
            check(hit, of(table, side)[:, index], curves.scores(engine, paired, side, which))
        right = (guess(table, of(table, side)) == table.label).astype(np.int64)
        check(right, of(table, side).max(axis=1), curves.scores(engine, paired, side))


@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS])
@pytest.mark.parametrize("name", ["plain", "one class", "certain", "one row"])
def test_confusion_is_that_of_scikit_learn(engine: DuckDB, task: Task, name: str) -> None:
    table = tables.adversarial(task)[name]
    found = confusions.confusion(engine, tables.paired(engine, table).paired)
    assert found.classes == (("0", "1") if task is Task.BINARY else CLASSES)
    for side, mine in zip(SIDES, (found.base, found.head), strict=True):
        wanted = metrics.confusion_matrix(table.label, guess(table, of(table, side)), labels=range(len(found.classes)))
        assert np.array_equal(mine, wanted)


def test_of_many_classes_those_that_are_confused(engine: DuckDB) -> None:
    """Class 0 is taken for 1, and 39 for 38; all others are right."""
    names = [f"class {index:02}" for index in range(40)]
    label = np.repeat(np.arange(40), 10)
    said = np.where((label == 0) | (label == 39), np.abs(label - 1), label)
    rows = {"row": range(400), "y": [names[at] for at in label], "said": [names[at] for at in said]}
    kinds = {"row": "int64", "y": "string", "said": "string"}
    about = tables.about(
        Table(task=Task.REGRESSION, label=label, base=label, head=label),
        task="multiclass",
        prediction="said",
    )
    source = tables.Source(table=engine.put(rows, kinds), name="head.parquet", typed=True)
    paired = tables.pair(engine, about, None, source, tables.Wanted()).paired
    found = confusions.confusion(engine, paired)
    assert found.others == 10
    assert len(found.classes) == confusions.MOST
    assert {names[at] for at in (0, 1, 38, 39)} <= set(found.classes)
    wanted = metrics.confusion_matrix(label, said)
    kept = [names.index(name) for name in found.classes]
    assert np.array_equal(np.array(found.head)[:-1, :-1], wanted[np.ix_(kept, kept)])
    assert np.sum(found.head) == 400
    assert found.head[-1] == (*[0] * 30, 100)


@pytest.mark.parametrize("name", list(tables.adversarial(Task.REGRESSION)))
def test_residuals_are_numpys_histogram(engine: DuckDB, name: str) -> None:
    table = tables.adversarial(Task.REGRESSION)[name]
    found = residuals.residuals(engine, tables.paired(engine, table).paired)
    edges = np.array(found.edges)
    assert 2 <= len(edges) <= residuals.BINS + 3
    width = edges[1] - edges[0]
    assert np.diff(edges) == pytest.approx(np.full(len(edges) - 1, width))
    assert f"{width:.6e}"[:8] in ("1.000000", "2.000000", "5.000000")
    for side, counts, beyond in zip(
        SIDES, (found.base, found.head), (found.base_beyond, found.head_beyond), strict=True
    ):
        off = of(table, side) - table.label
        assert sum(counts) + beyond == table.n
        # Of numbers like 1e7 a difference is known to 1e-9, so what lies on an edge may be on either side.
        least, most = (np.histogram(off, [-np.inf, *(edges + shift), np.inf])[0] for shift in (-1e-8, 1e-8))
        mine = np.cumsum([0, *counts])
        low, high = sorted((np.cumsum(least)[:-1] - least[0], np.cumsum(most)[:-1] - most[0]), key=list)
        assert (np.abs(mine - low) + np.abs(mine - high) <= np.abs(high - low) + np.abs(least[0] - most[0])).all()


@pytest.mark.parametrize("far", [1e3, 1e15, 1e139])
def test_residuals_far_out_are_counted_and_left_out(engine: DuckDB, far: float) -> None:
    plain = tables.random(Task.REGRESSION, 500)
    head = plain.label + np.random.default_rng(3).integers(-4, 5, 500) + 0.5
    head[7] = far
    table = replace(plain, base=plain.label + 0.5, head=head)
    found = residuals.residuals(engine, tables.paired(engine, table).paired)
    assert (found.base_beyond, found.head_beyond) == (0, 1)
    assert max(found.head) < 500


@pytest.mark.parametrize("size", [1e-140, 1e-9, 1.0, 1e9, 1e130])
def test_residuals_of_any_size(engine: DuckDB, size: float) -> None:
    chance = np.random.default_rng(5)
    zero = np.zeros(200)
    table = Table(task=Task.REGRESSION, label=zero, base=size * chance.random(200), head=-size * chance.random(200))
    found = residuals.residuals(engine, tables.paired(engine, table).paired)
    assert (sum(found.base), sum(found.head)) == (200, 200)
    assert max(found.base) < 60
