import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

from ci_ml.stats import clusters, confusion
from ci_ml.stats.classification import clustered_difference, clustered_value
from ci_ml.stats.confusion import Metric
from ci_ml.stats.counts import Counts
from ci_ml.stats.estimate import TooFew, Undefined
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs, paired_t, root_mean

seeds = st.integers(0, 2**32 - 1)


def rows(seed: int, n: int = 120, count: int = 15) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    cluster = np.concatenate([np.arange(count), generator.integers(0, count, n - count)])
    effect = generator.normal(size=count)[cluster]
    base = generator.exponential(size=n) + effect**2
    return cluster, base, base + 0.3 * effect + 0.2 * generator.normal(size=n)


def per_cluster(cluster: np.ndarray, *columns: np.ndarray) -> Totals:
    sums = [np.bincount(cluster, weights=column) for column in columns]
    return Totals.of(np.stack(sums, axis=1), n=len(cluster), clusters=True)


@given(seeds)
@settings(max_examples=30)
def test_a_mean_is_statsmodels_cluster_robust_intercept(seed: int) -> None:
    cluster, base, head = rows(seed)
    change = head - base
    found = clusters.mean_difference(per_cluster(cluster, np.ones_like(base), base, change))
    fit = OLS(change, np.ones_like(change)).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "df_correction": True}, use_t=True
    )
    # statsmodels also multiplies by (n - 1) / (n - k), which is 1 for an intercept.
    assert found.standard_error == pytest.approx(fit.bse[0], rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-9)
    assert found.p_value == pytest.approx(fit.pvalues[0], rel=1e-6)
    assert (found.clusters, found.n, found.df) == (15, 120, 14)
    side = clusters.mean_value(per_cluster(cluster, np.ones_like(base), base, change))
    fit = OLS(head, np.ones_like(head)).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "df_correction": True}, use_t=True
    )
    assert (side.low, side.high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-9)


@given(seeds)
def test_one_example_per_cluster_is_the_paired_t(seed: int) -> None:
    _, base, head = rows(seed)
    totals = per_cluster(np.arange(len(base)), np.ones_like(base), base, head - base)
    one, two = clusters.mean_difference(totals), paired_t(Pairs.of(base, head))
    assert (one.low, one.high, one.base_error, one.head_error) == pytest.approx(
        (two.low, two.high, two.base_error, two.head_error), rel=1e-9
    )
    squares = per_cluster(np.arange(len(base)), np.ones_like(base), base**2, head**2 - base**2)
    three, four = clusters.root_mean_difference(squares), root_mean(Pairs.of(base**2, head**2))
    assert (three.delta, three.low, three.high, three.base_error, three.head_error) == pytest.approx(
        (four.delta, four.low, four.high, four.base_error, four.head_error), rel=1e-9
    )
    value = clusters.root_mean_value(squares)
    assert (value.value, value.standard_error) == pytest.approx((three.head, three.head_error))


@given(seeds, st.integers(2, 5))
def test_repeating_the_rows_of_every_cluster_changes_nothing(seed: int, times: int) -> None:
    cluster, base, head = rows(seed)
    for method in (clusters.mean_difference, clusters.root_mean_difference):
        one = method(per_cluster(cluster, np.ones_like(base), base, head**2 - base**2 + 1))
        again = [np.tile(column, times) for column in (cluster, np.ones_like(base), base, head**2 - base**2 + 1)]
        two = method(per_cluster(*again))
        assert (one.low, one.delta, one.high) == pytest.approx((two.low, two.delta, two.high), rel=1e-9)


@given(seeds)
def test_a_ratio_is_the_mean_when_its_denominator_is_the_count(seed: int) -> None:
    cluster, base, head = rows(seed)
    ones = np.ones_like(base)
    one = clusters.ratio_difference(per_cluster(cluster, base, ones, head, ones))
    two = clusters.mean_difference(per_cluster(cluster, ones, base, head - base))
    assert (one.low, one.high, one.base_error) == pytest.approx((two.low, two.high, two.base_error), rel=1e-6)
    mirrored = clusters.ratio_difference(per_cluster(cluster, head, ones, base, ones))
    assert (one.low, one.high) == pytest.approx((-mirrored.high, -mirrored.low), rel=1e-9)


@given(seeds)
def test_precision_and_recall_of_clusters_agree_in_both_ways_of_counting(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, count = 400, 25
    cluster = np.concatenate([np.arange(count), generator.integers(0, count, n - count)])
    label = generator.random(n) < 0.2 + 0.6 * generator.random(count)[cluster]
    base, head = (np.where(generator.random(n) < 0.25, ~label, label) for _ in range(2))
    counts = Counts.of_rows(label, base, head, 2)
    cell = {key: at for at, key in enumerate(zip(counts.label, counts.base, counts.head, strict=True))}
    where = np.array([cell[key] for key in zip(label.astype(int), base.astype(int), head.astype(int), strict=True)])
    columns = {
        "precision": (label & base, base, label & head, head),
        "recall": (label & base, label, label & head, label),
        "f1": (2.0 * (label & base), 1.0 * label + base, 2.0 * (label & head), 1.0 * label + head),
    }
    for name, parts in columns.items():
        metric = Metric(name=name, which=1)
        on_base = np.bincount(cluster, weights=confusion.influence(counts, metric, "base")[where])
        on_head = np.bincount(cluster, weights=confusion.influence(counts, metric, "head")[where])
        change = on_head - on_base
        sums = {
            "clusters": count,
            "base_squares": float(on_base @ on_base),
            "delta_squares": float(change @ change),
            "products": float(on_base @ change),
        }
        one = clustered_difference(counts, metric, **sums)  # type: ignore[arg-type]
        totals = per_cluster(cluster, *(np.asarray(part, dtype=float) for part in parts))
        two = clusters.ratio_difference(totals)
        assert (one.low, one.delta, one.high, one.head_error) == pytest.approx(
            (two.low, two.delta, two.high, two.head_error), rel=1e-6
        )
        value = clustered_value(counts, metric, **sums)  # type: ignore[arg-type]
        assert value.value == pytest.approx(clusters.ratio_value(totals).value)
        assert value.low == pytest.approx(clusters.ratio_value(totals).low, rel=1e-6)


def test_identical_sides_differ_by_exactly_0() -> None:
    cluster, base, _ = rows(1)
    ones = np.ones_like(base)
    for found in (
        clusters.mean_difference(per_cluster(cluster, ones, base, 0 * base)),
        clusters.root_mean_difference(per_cluster(cluster, ones, base, 0 * base)),
        clusters.ratio_difference(per_cluster(cluster, base, ones, base, ones)),
    ):
        assert found.identical
        assert (found.low, found.high) == (0, 0)
        assert found.base_error
        assert found.clusters == 15


def test_one_cluster_is_too_few_and_none_at_all_is_undefined() -> None:
    with pytest.raises(TooFew, match="1 clusters"):
        per_cluster(np.zeros(9, dtype=int), np.ones(9), np.arange(9.0), np.arange(9.0))
    with pytest.raises(Undefined, match="head has a denominator of 0"):
        clusters.ratio_difference(Totals.of([[1, 1, 0, 0], [0, 1, 0, 0]], n=3, clusters=True))
    with pytest.raises(ValueError, match="not a finite number"):
        Totals.of([[1, 1, 0, 0], [0, 1, np.nan, 0]], n=3, clusters=True)
