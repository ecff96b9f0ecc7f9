"""What may not change an interval, for every method: which side is called the base, and how the rows are written down."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_ml.stats import average_precision, calibration, clusters, confusion, delong, means, quantiles
from ci_ml.stats.classification import clustered_difference
from ci_ml.stats.classification import difference as classified
from ci_ml.stats.confusion import Metric
from ci_ml.stats.counts import Counts
from ci_ml.stats.estimate import Difference, NotEstimable
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs

Column = np.ndarray


@dataclasses.dataclass(frozen=True)
class Rows:
    """A label (0, 1), a score of either side (0..1), and a cluster per example."""

    label: Column
    base: Column
    head: Column
    cluster: Column

    def exchanged(self) -> "Rows":
        return dataclasses.replace(self, base=self.head, head=self.base)

    def at(self, chosen: Column) -> "Rows":
        return Rows(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    """Tables of all kinds: with ties, with few changes, with rare classes, with scores that say little."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.sampled_from([6, 25, 90, 250]))
    label = generator.random(n) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    score = np.clip(generator.normal(0.4 + 0.2 * label, 0.2), 0, 1)
    changed = generator.random(n) < draw(st.sampled_from([0.0, 0.05, 0.4, 1.0]))
    other = np.where(changed, np.clip(score + generator.normal(0, 0.2, n), 0, 1), score)
    digits = draw(st.sampled_from([1, 2, 12]))
    cluster = np.unique(generator.integers(0, max(2, n // 4), n), return_inverse=True)[1]
    return Rows(label.astype(int), np.round(score, digits), np.round(other, digits), cluster)


def counts(rows: Rows) -> Counts:
    return Counts.of_rows(rows.label, rows.base >= 0.5, rows.head >= 0.5, 2)


def squares(rows: Rows) -> tuple[Column, Column]:
    return (rows.base - rows.label) ** 2, (rows.head - rows.label) ** 2


def of_totals(*columns: Column, cluster: Column | None = None) -> Totals:
    every = columns if cluster is None else [np.bincount(cluster, weights=column) for column in columns]
    return Totals.of(np.stack(every, axis=1), n=len(columns[0]), clusters=cluster is not None)


def r_squared(rows: Rows) -> Difference:
    base, head = squares(rows)
    return means.r_squared(of_totals((rows.label - rows.label.mean()) ** 2, base, head - base))


def quantile(rows: Rows) -> Difference:
    base, head = (np.abs(side - rows.label) for side in (rows.base, rows.head))
    one, two = (quantiles.of_rows(side, 0.5) for side in (base, head))
    both = int(((base <= one.value) & (head <= two.value)).sum())
    same = bool((base == head).all())
    return quantiles.difference(one, two, n=len(base), both_below=both, quantile=0.5, same=same)


def macro(rows: Rows) -> Difference:
    label = rows.label + (rows.cluster == 0)
    sides = (np.stack([side, 1 - side, side * (1 - side)], axis=1) for side in (rows.base, rows.head))
    return delong.macro_difference(delong.macro_of_scores(label, *sides))


METHODS: dict[str, Callable[[Rows], Difference]] = {
    "accuracy": lambda rows: classified(counts(rows), Metric(name="accuracy")),
    "f1": lambda rows: classified(counts(rows), Metric(name="f1", which=1)),
    "mcc": lambda rows: classified(counts(rows), Metric(name="mcc"), method="delta"),
    "mean": lambda rows: means.paired_t(Pairs.of(*squares(rows))),
    "root mean": lambda rows: means.root_mean(Pairs.of(*squares(rows))),
    "r2": r_squared,
    "auc": lambda rows: delong.auc_difference(*delong.of_scores(rows.label, rows.base, rows.head)),
    "macro auc": macro,
    "average precision": lambda rows: average_precision.difference(
        average_precision.of_scores(rows.label, rows.base, rows.head), int(rows.label.sum())
    ),
    "calibration": lambda rows: calibration.difference(
        calibration.of_rows(rows.base, rows.label, rows.head, rows.label, 8)
    ),
    "median": quantile,
}


def clustered_f1(rows: Rows) -> Difference:
    table, metric = counts(rows), Metric(name="f1", which=1)
    cells = 4 * rows.label + 2 * (rows.base >= 0.5) + (rows.head >= 0.5)
    where = np.searchsorted(4 * table.label + 2 * table.base + table.head, cells)
    base, head = (
        np.bincount(rows.cluster, weights=confusion.influence(table, metric, side)[where]) for side in ("base", "head")
    )
    return clustered_difference(
        table,
        metric,
        clusters=len(base),
        base_squares=float(base @ base),
        delta_squares=float((head - base) @ (head - base)),
        products=float(base @ (head - base)),
    )


def clustered_auc(rows: Rows) -> Difference:
    one, two = (delong.placements(rows.label, side) for side in (rows.base, rows.head))
    columns = [part * (rows.label == own) for own in (1, 0) for part in (np.ones(len(one)), one, two - one)]
    totals = of_totals(*columns, cluster=rows.cluster)
    having = [len(np.unique(rows.cluster[rows.label == own])) for own in (1, 0)]
    sums = delong.ClusterPlacements(totals=totals, with_positives=having[0], with_negatives=having[1])
    return delong.clustered_difference(sums)


def clustered_mean(rows: Rows, method: Callable[[Totals], Difference]) -> Difference:
    base, head = squares(rows)
    return method(of_totals(np.ones(len(base)), base, head - base, cluster=rows.cluster))


CLUSTERED: dict[str, Callable[[Rows], Difference]] = {
    "mean": lambda rows: clustered_mean(rows, clusters.mean_difference),
    "root mean": lambda rows: clustered_mean(rows, clusters.root_mean_difference),
    "ratio": lambda rows: clusters.ratio_difference(
        of_totals(rows.base * rows.label, rows.base, rows.head * rows.label, rows.head, cluster=rows.cluster)
    ),
    "f1": clustered_f1,
    "auc": clustered_auc,
    "average precision": lambda rows: average_precision.difference(
        average_precision.of_scores(rows.label, rows.base, rows.head, rows.cluster),
        len(np.unique(rows.cluster[rows.label == 1])),
    ),
}

EVERY = METHODS | {f"{name} of clusters": method for name, method in CLUSTERED.items()}


def outcome(method: Callable[[Rows], Difference], rows: Rows) -> Difference | type[NotEstimable]:
    """The difference, or which reason there is for none."""
    try:
        return method(rows)
    except NotEstimable as error:
        return type(error)


def check(one: Difference | type[NotEstimable], two: Difference | type[NotEstimable], *, mirrored: bool) -> None:
    if isinstance(one, type) or isinstance(two, type):
        assert one is two
        return
    sign, ends = (-1, (two.high, two.low)) if mirrored else (1, (two.low, two.high))
    assert (one.low, one.high, one.delta) == pytest.approx(
        (sign * ends[0], sign * ends[1], sign * two.delta), rel=1e-7, abs=1e-9
    )
    assert one.p_value == pytest.approx(two.p_value, rel=1e-5, abs=1e-12)
    assert one.identical == two.identical
    sides = (two.head, two.base) if mirrored else (two.base, two.head)
    assert (one.base, one.head) == pytest.approx(sides, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", EVERY)
@given(rows=tables())
@settings(max_examples=30)
def test_exchanging_the_sides_mirrors_the_interval(name: str, rows: Rows) -> None:
    check(outcome(EVERY[name], rows), outcome(EVERY[name], rows.exchanged()), mirrored=True)


@pytest.mark.parametrize("name", EVERY)
@given(rows=tables(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_the_order_of_rows_does_not_matter(name: str, rows: Rows, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(rows.label))
    check(outcome(EVERY[name], rows), outcome(EVERY[name], rows.at(order)), mirrored=False)


@pytest.mark.parametrize("name", CLUSTERED)
@given(rows=tables(), times=st.integers(2, 4))
@settings(max_examples=30)
def test_repeating_all_rows_within_their_clusters_changes_nothing(name: str, rows: Rows, times: int) -> None:
    repeated = rows.at(np.tile(np.arange(len(rows.label)), times))
    check(outcome(CLUSTERED[name], rows), outcome(CLUSTERED[name], repeated), mirrored=False)
