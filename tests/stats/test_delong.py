import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from ci_ml.stats.delong import (
    ClusterPlacements,
    auc_difference,
    auc_value,
    clustered_difference,
    clustered_value,
    macro_difference,
    macro_of_scores,
    macro_value,
    midranks,
    of_scores,
    placements,
)
from ci_ml.stats.estimate import NoVariance, TooFew, Undefined
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs
from ci_ml.stats.proportion import wilson

scores = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
tables = st.integers(6, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(scores, min_size=n, max_size=n),
        st.lists(scores, min_size=n, max_size=n),
    )
)


def usable(label: np.ndarray) -> bool:
    return 2 <= label.sum() <= len(label) - 2


@given(st.lists(scores, min_size=1, max_size=50))
def test_midranks_are_scipys(values: list[float]) -> None:
    assert midranks(np.array(values)).tolist() == stats.rankdata(values).tolist()


@given(tables)
@settings(max_examples=50)
def test_placements_are_what_their_definition_says(table: tuple[list[bool], list[float], list[float]]) -> None:
    label, base = np.array(table[0]), np.array(table[1])
    assume(usable(label))
    above = (base[label][:, None] > base[~label]) + 0.5 * (base[label][:, None] == base[~label])
    found = placements(label, base)
    assert found[label] == pytest.approx(above.mean(axis=1))
    assert found[~label] == pytest.approx(above.mean(axis=0))
    assert found[label].mean() == pytest.approx(roc_auc_score(label, base))


@given(tables)
@settings(max_examples=50)
def test_the_interval_is_delongs_formula(table: tuple[list[bool], list[float], list[float]]) -> None:
    label, base, head = np.array(table[0]), np.array(table[1]), np.array(table[2])
    assume(usable(label))
    one, two = placements(label, base), placements(label, head)
    covariance = np.cov(one[label], two[label]) / label.sum() + np.cov(one[~label], two[~label]) / (~label).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assume(variance > 1e-9)
    found = auc_difference(*of_scores(label, base, head), 0.8)
    assert found.base == pytest.approx(roc_auc_score(label, base))
    assert found.head == pytest.approx(roc_auc_score(label, head))
    assert found.standard_error == pytest.approx(variance**0.5)
    assert (found.base_error, found.head_error) == pytest.approx(tuple(np.sqrt(np.diag(covariance))), abs=1e-9)
    reach = 1.2815515655446004 * variance**0.5
    ends = max(found.delta - reach, -1), min(found.delta + reach, 1)
    assert (found.low, found.high) == pytest.approx(ends)
    mirrored = auc_difference(*of_scores(label, head, base), 0.8)
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-12)
    order = np.random.default_rng(0).permutation(len(label))
    again = auc_difference(*of_scores(label[order], base[order], head[order]), 0.8)
    assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=1e-12)


@given(tables, st.sampled_from([np.tanh, lambda x: 3 * x - 7, lambda x: x**3]))
@settings(max_examples=50)
def test_only_the_order_of_scores_matters(table: tuple[list[bool], list[float], list[float]], monotone: object) -> None:
    label = np.array(table[0])
    base, head = (np.round(np.array(side) / 1e3, 3) for side in table[1:])
    assume(usable(label))
    one = of_scores(label, base, head)
    two = of_scores(label, np.round(monotone(base), 12), np.round(monotone(head), 12))  # type: ignore[operator]
    for before, after in zip(one, two, strict=True):
        assert after.base == pytest.approx(before.base)
        assert after.delta_variance == pytest.approx(before.delta_variance, abs=1e-12)


def test_a_million_scores_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    label = generator.random(1_000_000) < 0.1
    base = np.round(generator.normal(size=1_000_000) + label, 2)
    head = np.round(base + 0.3 * generator.normal(size=1_000_000), 2)
    found = auc_difference(*of_scores(label, base, head))
    assert found.delta == pytest.approx(roc_auc_score(label, head) - roc_auc_score(label, base), abs=1e-12)


# --- nothing varies ---


def test_sides_that_rank_alike_differ_by_exactly_0() -> None:
    generator = np.random.default_rng(1)
    label, base = generator.random(50) < 0.4, generator.random(50)
    found = auc_difference(*of_scores(label, base, base / 2), identical=True)
    assert (found.low, found.high, found.identical) == (0, 0, True)
    with pytest.raises(NoVariance, match="no example's rank does"):
        auc_difference(*of_scores(label, base, base / 2))


def test_two_perfect_sides_are_not_certainty() -> None:
    label = np.arange(40) >= 30
    found = auc_difference(*of_scores(label, label + 0.0, label + np.arange(40) / 100))
    assert found.delta == 0
    assert found.high == -found.low == pytest.approx(3.841459 / (10 + 3.841459), rel=1e-6)
    value = auc_value(*of_scores(label, label, label))
    assert (value.value, value.low, value.high) == (1, wilson(10, 10).low, 1)
    worst = auc_value(*of_scores(label, ~label, ~label))
    assert (worst.value, worst.low, worst.high) == (0, 0, wilson(0, 10).high)


def test_a_constant_score_has_no_interval() -> None:
    label = np.arange(20) >= 10
    pairs = of_scores(label, np.ones(20), label)
    with pytest.raises(NoVariance):
        auc_difference(*pairs)
    with pytest.raises(NoVariance, match="same rank"):
        auc_value(*pairs, head=False)


def test_the_interval_of_one_side_stays_within_bounds() -> None:
    label = np.arange(30) >= 20
    base = np.where(label, 1.0, 0.0)
    base[[3, 25]] = base[[25, 3]]
    pairs = of_scores(label, base, base)
    plain, logit = auc_value(*pairs), auc_value(*pairs, logit=True)
    assert (plain.high, plain.method, logit.method) == (1, "delong", "delong (logit)")
    assert 0 < logit.low < plain.low < plain.value < logit.high < 1


def test_bad_tables_say_what_is_wrong() -> None:
    with pytest.raises(Undefined, match="0 positive and 3 negative"):
        placements([0, 0, 0], [1.0, 2.0, 3.0])
    with pytest.raises(TooFew, match="1 positive and 3 negative"):
        placements([0, 0, 0, 1], [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="nan at position 1"):
        placements([0, 0, 1, 1], [1.0, np.nan, 3.0, 4.0])
    with pytest.raises(ValueError, match="inf at position 3"):
        placements([0, 0, 1, 1], [1.0, 3.0, 4.0, np.inf])


# --- several classes ---


def multiclass(seed: int, classes: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    label = np.concatenate([np.repeat(np.arange(classes), 3), generator.integers(0, classes, n - 3 * classes)])
    base = generator.normal(size=(n, classes)) + 1.2 * np.eye(classes)[label]
    return label, base, base + 0.5 * generator.normal(size=(n, classes))


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
@settings(max_examples=30)
def test_the_macro_average_is_scikit_learns(seed: int, classes: int) -> None:
    label, base, head = multiclass(seed, classes, 80)
    found = macro_difference(macro_of_scores(label, base, head))
    each = [
        np.mean([roc_auc_score(label == which, side[:, which]) for which in range(classes)]) for side in (base, head)
    ]
    assert (found.base, found.head) == pytest.approx(tuple(each))
    assert macro_value(macro_of_scores(label, base, head)).value == pytest.approx(each[1])


def test_two_classes_make_the_binary_interval() -> None:
    label, base, head = multiclass(2, 2, 90)
    base, head = (np.stack([-side[:, 1], side[:, 1]], axis=1) for side in (base, head))
    one = macro_difference(macro_of_scores(label, base, head))
    two = auc_difference(*of_scores(label, base[:, 1], head[:, 1]))
    assert (one.low, one.high, one.head_error) == pytest.approx((two.low, two.high, two.head_error))


@pytest.mark.thorough
def test_the_macro_interval_is_that_of_a_stratified_bootstrap() -> None:
    label, base, head = multiclass(3, 3, 400)
    generator = np.random.default_rng(4)
    groups = [np.flatnonzero(label == which) for which in range(3)]
    drawn = []
    for _ in range(1_500):
        chosen = np.concatenate([generator.choice(group, len(group)) for group in groups])
        one, two = (
            np.mean([placements(label[chosen] == k, side[chosen, k])[label[chosen] == k].mean() for k in range(3)])
            for side in (base, head)
        )
        drawn.append((two - one, two))
    strata = macro_of_scores(label, base, head)
    assert macro_difference(strata).standard_error == pytest.approx(np.std([row[0] for row in drawn]), rel=0.07)
    assert macro_value(strata).standard_error == pytest.approx(np.std([row[1] for row in drawn]), rel=0.07)


# --- clusters ---


def clustered(label: np.ndarray, base: np.ndarray, head: np.ndarray, cluster: np.ndarray) -> ClusterPlacements:
    one, two = placements(label, base), placements(label, head)
    columns = [
        part
        for own in (label, ~label)
        for part in (own.astype(float), np.where(own, one, 0), np.where(own, two - one, 0))
    ]
    sums = np.stack([np.bincount(cluster, weights=column) for column in columns], axis=1)
    return ClusterPlacements(
        totals=Totals.of(sums, n=len(label), clusters=True),
        with_positives=int((sums[:, 0] > 0).sum()),
        with_negatives=int((sums[:, 3] > 0).sum()),
    )


@given(st.integers(0, 2**32 - 1))
def test_one_example_per_cluster_has_delongs_error(seed: int) -> None:
    generator = np.random.default_rng(seed)
    label = np.concatenate([[True, True, False, False], generator.random(60) < 0.4])
    base = generator.normal(size=64) + label
    head = base + 0.4 * generator.normal(size=64)
    one = clustered_difference(clustered(label, base, head, np.arange(64)))
    two = auc_difference(*of_scores(label, base, head))
    assert (one.delta, one.standard_error, one.base_error, one.head_error) == pytest.approx(
        (two.delta, two.standard_error, two.base_error, two.head_error)
    )
    assert one.df == 63
    value = clustered_value(clustered(label, base, head, np.arange(64)))
    assert value.standard_error == pytest.approx(two.head_error)
    # Every example twice, in the cluster of its original.
    again = clustered(*(np.tile(part, 2) for part in (label, base, head)), np.tile(np.arange(64), 2))
    assert clustered_difference(again).standard_error == pytest.approx(one.standard_error)


@pytest.mark.thorough
def test_the_clustered_interval_is_that_of_a_bootstrap_over_clusters() -> None:
    generator = np.random.default_rng(6)
    cluster = np.repeat(np.arange(120), 5)
    effect = generator.normal(size=120)[cluster]
    label = generator.random(600) < 0.4
    base = generator.normal(size=600) + label + effect
    head = base + 0.4 * generator.normal(size=600) + 0.4 * np.repeat(generator.normal(size=120), 5)
    drawn = []
    for _ in range(1_500):
        chosen = (5 * generator.integers(0, 120, 120)[:, None] + np.arange(5)).ravel()
        one, two = (placements(label[chosen], side[chosen])[label[chosen]].mean() for side in (base, head))
        drawn.append((two - one, two))
    sums = clustered(label, base, head, cluster)
    assert clustered_difference(sums).standard_error == pytest.approx(np.std([row[0] for row in drawn]), rel=0.08)
    assert clustered_value(sums).standard_error == pytest.approx(np.std([row[1] for row in drawn]), rel=0.08)
    assert clustered_difference(sums, identical=True).identical


def test_clusters_of_one_class_only_are_too_few() -> None:
    label = np.array([True, True, False, False, False, False])
    with pytest.raises(TooFew, match="1 clusters with positive"):
        clustered_difference(clustered(label, np.arange(6.0), np.arange(6.0)[::-1], np.array([0, 0, 1, 1, 2, 2])))
    with pytest.raises(NoVariance):
        clustered_difference(clustered(label, label + 0.0, label + 0.0, np.arange(6)))


def test_moments_without_scores_are_enough() -> None:
    """What an engine delivers: six numbers per class."""
    label = np.random.default_rng(1).random(200) < 0.3
    base = np.random.default_rng(2).normal(size=200) + label
    head = base + np.random.default_rng(3).normal(size=200)
    positives, negatives = of_scores(label, base, head)
    copies = [
        Pairs(
            n=one.n,
            base=one.base,
            delta=one.delta,
            base_variance=one.base_variance,
            delta_variance=one.delta_variance,
            covariance=one.covariance,
        )
        for one in (positives, negatives)
    ]
    assert auc_difference(*copies) == auc_difference(positives, negatives)
