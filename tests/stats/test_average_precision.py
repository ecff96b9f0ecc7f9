import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from ci_ml.stats.average_precision import difference, influences, of_scores, value
from ci_ml.stats.estimate import NoVariance, TooFew, Undefined

scores = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
tables = st.integers(4, 60).flatmap(
    lambda n: st.tuples(st.lists(st.booleans(), min_size=n, max_size=n), st.lists(scores, min_size=n, max_size=n))
)


@given(tables)
@settings(max_examples=50)
def test_the_value_is_scikit_learns_and_influences_sum_to_0(table: tuple[list[bool], list[float]]) -> None:
    label, base = np.array(table[0]), np.array(table[1])
    assume(label.sum() >= 2)
    found, each = influences(label, base)
    assert found == pytest.approx(average_precision_score(label, base))
    assert each.sum() == pytest.approx(0, abs=1e-9)


def test_an_influence_is_what_one_more_such_example_would_do() -> None:
    generator = np.random.default_rng(0)
    label = generator.random(3_000) < 0.2
    base = np.round(generator.normal(size=3_000) + label, 1)
    found, each = influences(label, base)
    for at in (0, 5, *np.flatnonzero(label)[:3]):
        more = average_precision_score(np.append(label, label[at]), np.append(base, base[at]))
        assert more - found == pytest.approx(each[at], rel=0.02, abs=2e-7)


def data(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    label = generator.random(n) < 0.2
    base = generator.normal(size=n) + 1.3 * label
    return label, base, base + 0.5 * generator.normal(size=n)


@pytest.mark.thorough
def test_the_interval_is_that_of_a_bootstrap_over_rows() -> None:
    label, base, head = data(1, 3_000)
    sums = of_scores(label, base, head)
    generator = np.random.default_rng(2)
    drawn = []
    for _ in range(2_000):
        rows = generator.integers(0, 3_000, 3_000)
        one, two = (influences(label[rows], side[rows])[0] for side in (base, head))
        drawn.append((two - one, two))
    for found, replicates in zip(
        (difference(sums, int(label.sum())), value(sums, int(label.sum()))), np.array(drawn).T, strict=True
    ):
        width = found.high - found.low
        assert (found.low, found.high) == pytest.approx(np.quantile(replicates, [0.025, 0.975]), abs=0.06 * width)
        assert found.standard_error == pytest.approx(replicates.std(), rel=0.06)


@given(st.integers(0, 2**32 - 1))
def test_exchanging_sides_mirrors_it_and_repeating_rows_of_clusters_changes_nothing(seed: int) -> None:
    label, base, head = data(seed, 120)
    assume(label.sum() >= 2)
    positives = int(label.sum())
    one, two = (difference(of_scores(label, *sides), positives) for sides in ((base, head), (head, base)))
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=1e-12)
    order = np.random.default_rng(seed).permutation(120)
    again = difference(of_scores(label[order], base[order], head[order]), positives)
    assert (one.low, one.high) == pytest.approx((again.low, again.high), abs=1e-12)
    rows = np.tile(np.arange(120), 3)
    repeated = difference(of_scores(label[rows], base[rows], head[rows], clusters=rows), positives)
    assert (one.low, one.high) == pytest.approx((repeated.low, repeated.high), abs=1e-9)
    assert repeated.clusters == 120


def test_what_has_no_interval_says_so() -> None:
    with pytest.raises(Undefined, match="no positive example"):
        influences([0, 0, 0], [1, 2, 3])
    with pytest.raises(TooFew, match="1 positive example"):
        influences([0, 0, 1], [1, 2, 3])
    with pytest.raises(ValueError, match="nan at position 2"):
        influences([0, 1, 1], [1, 2, np.nan])
    label = np.array([0, 0, 1, 1])
    perfect = of_scores(label, label, label)
    assert difference(perfect, 2).identical
    with pytest.raises(NoVariance):
        value(perfect, 2)
    good = value(of_scores(label, [1, 3, 2, 4], [1, 3, 2, 4]), 2)
    assert 0 < good.low < good.value < good.high < 1
