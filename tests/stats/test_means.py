import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from ci_ml.stats.estimate import NoVariance, TooFew, Undefined
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs, mean, paired_t, r_squared, r_squared_value, root_mean, root_mean_value

values = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
columns = st.integers(3, 60).flatmap(
    lambda n: st.tuples(st.lists(values, min_size=n, max_size=n), st.lists(values, min_size=n, max_size=n))
)


def sums(base: np.ndarray, head: np.ndarray) -> Pairs:
    change = head - base
    return Pairs.of_sums(
        n=len(base),
        base=float(base.sum()),
        delta=float(change.sum()),
        base_squares=float(base @ base),
        delta_squares=float(change @ change),
        products=float(base @ change),
    )


@given(columns)
def test_the_paired_interval_is_scipys(sides: tuple[list[float], list[float]]) -> None:
    base, head = np.array(sides[0]), np.array(sides[1])
    assume(np.ptp(head - base) > 1e-3)
    expected = stats.ttest_rel(head, base)
    interval = expected.confidence_interval(0.9)
    found = paired_t(Pairs.of(base, head), 0.9)
    assert (found.p_value, found.low, found.high, found.df) == pytest.approx(
        (expected.pvalue, interval.low, interval.high, expected.df), rel=1e-6, abs=1e-9
    )
    assert found.base == pytest.approx(base.mean(), abs=1e-9)
    assert found.head == pytest.approx(head.mean(), abs=1e-8)


@given(columns, st.floats(-100, 100), st.floats(0.01, 100))
def test_it_follows_a_change_of_units(sides: tuple[list[float], list[float]], shift: float, scale: float) -> None:
    base, head = np.array(sides[0]), np.array(sides[1])
    assume(np.ptp(head - base) > 1e-3)
    one, two = paired_t(Pairs.of(base, head)), paired_t(Pairs.of(base * scale + shift, head * scale + shift))
    width = one.high - one.low
    assert (two.low, two.high) == pytest.approx((one.low * scale, one.high * scale), abs=1e-5 * scale * (1 + width))


@given(columns)
def test_exchanging_the_sides_mirrors_it_and_order_does_not_matter(sides: tuple[list[float], list[float]]) -> None:
    base, head = np.array(sides[0]), np.array(sides[1])
    assume(np.ptp(head - base) > 1e-3)
    one, two = paired_t(Pairs.of(base, head)), paired_t(Pairs.of(head, base))
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), rel=1e-9, abs=1e-9)
    order = np.random.default_rng(0).permutation(len(base))
    again = paired_t(Pairs.of(base[order], head[order]))
    assert (again.low, again.high) == pytest.approx((one.low, one.high), rel=1e-9, abs=1e-9)


def test_sums_and_columns_agree() -> None:
    generator = np.random.default_rng(3)
    base = generator.exponential(size=1_000)
    head = base + 0.1 * generator.normal(size=1_000)
    one, two = Pairs.of(base, head), sums(base, head)
    for name in ("n", "base", "delta", "base_variance", "delta_variance", "covariance", "head", "head_variance"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-9), name
    assert one.head_variance == pytest.approx(head.var(ddof=1))


def test_centers_keep_the_digits_of_numbers_that_are_large_next_to_their_spread() -> None:
    generator = np.random.default_rng(6)
    base = 1e9 + generator.normal(size=2_000)
    head = base + 1e6 + 0.1 * generator.normal(size=2_000)
    centers = float(base.mean()) + 0.3, float((head - base).mean()) - 0.2
    one, change = base - centers[0], (head - base) - centers[1]
    found = Pairs.of_sums(
        n=2_000,
        base=float(one.sum()),
        delta=float(change.sum()),
        base_squares=float(one @ one),
        delta_squares=float(change @ change),
        products=float(one @ change),
        base_center=centers[0],
        delta_center=centers[1],
    )
    expected = Pairs.of(base, head)
    for name in ("base", "delta", "base_variance", "delta_variance", "covariance"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9), name
    assert sums(base, head).delta_variance != pytest.approx(expected.delta_variance, rel=0.5)
    assert paired_t(found).high == pytest.approx(paired_t(expected).high, rel=1e-12)


def test_identical_columns_differ_by_exactly_0() -> None:
    column = np.random.default_rng(0).normal(size=20)
    for pairs in (Pairs.of(column, column), sums(column, column)):
        found = paired_t(pairs)
        assert (found.low, found.delta, found.high, found.identical) == (0, 0, 0, True)
        assert found.base_error == pytest.approx(column.std(ddof=1) / math.sqrt(20))


@pytest.mark.parametrize("shift", [0.1, 1 / 3, 1e-9])
def test_the_same_change_everywhere_is_not_certainty(shift: float) -> None:
    zeros, digits = np.zeros(50), np.arange(50) / 10
    both = [(zeros, zeros + shift), (digits, digits + shift), (np.full(50, 0.3), np.full(50, 0.7))]
    for base, head in [*both, *((head, base) for base, head in both)]:
        for pairs in (Pairs.of(base, head), sums(base, head)):
            for method in (paired_t, root_mean):
                if method is root_mean and pairs.base_variance:
                    continue  # then the root varies with it
                with pytest.raises(NoVariance, match="nothing varies among 50 examples"):
                    method(pairs)


def test_the_last_digit_of_every_number_is_no_difference() -> None:
    generator = np.random.default_rng(7)
    base = generator.exponential(size=200)
    head = base * (1 + 1e-16 * generator.normal(size=200))
    assert (head != base).any()
    for method in (paired_t, root_mean):
        assert method(Pairs.of(base, head)).identical
        assert method(Pairs.of(head, base)).identical


def test_one_mean_is_scipys() -> None:
    column = np.random.default_rng(1).exponential(size=40)
    found = mean(40, float(column.mean()), float(column.var(ddof=1)), 0.9)
    expected = stats.ttest_1samp(column, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    with pytest.raises(NoVariance, match="all 40 examples"):
        mean(40, 1.0, 0.0)
    with pytest.raises(TooFew):
        mean(1, 1.0, 2.0)


def test_what_is_not_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        Pairs.of([1.0, math.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="not a finite number"):
        Pairs.of([1.0, 2.0], [1.0, math.inf])
    with pytest.raises(TooFew):
        Pairs.of([1.0], [2.0])
    with pytest.raises(TooFew):
        Pairs.of_sums(n=1, base=1, delta=1, base_squares=1, delta_squares=1, products=1)
    with pytest.raises(ValueError, match="variance is negative"):
        Pairs(n=3, base=1, delta=1, base_variance=-1, delta_variance=1, covariance=0)


# --- RMSE and R² ---


@pytest.fixture(scope="module")
def regression() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    label = generator.normal(10, 3, size=4_000)
    base = label + generator.normal(size=4_000)
    return label, base, 0.7 * base + 0.3 * label + generator.normal(0.1, 0.6, size=4_000)


def bootstrap(n: int, statistic: object, draws: int = 4_000) -> np.ndarray:
    generator = np.random.default_rng(9)
    return np.array([statistic(generator.integers(0, n, n)) for _ in range(draws)])  # type: ignore[operator]


def test_rmse_is_scikit_learns_and_its_interval_the_bootstraps(regression: tuple[np.ndarray, ...]) -> None:
    label, base, head = regression
    one, two = (base - label) ** 2, (head - label) ** 2
    found = root_mean(Pairs.of(one, two))
    assert found.base == pytest.approx(metrics.root_mean_squared_error(label, base))
    assert found.head == pytest.approx(metrics.root_mean_squared_error(label, head))
    drawn = bootstrap(len(label), lambda rows: math.sqrt(two[rows].mean()) - math.sqrt(one[rows].mean()))
    width = found.high - found.low
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.05 * width)
    side = root_mean_value(len(label), float(two.mean()), float(two.var(ddof=1)))
    assert side.value == pytest.approx(found.head)
    drawn = bootstrap(len(label), lambda rows: math.sqrt(two[rows].mean()))
    assert (side.low, side.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.05 * (side.high - side.low))
    assert found.head_error == pytest.approx(side.standard_error, rel=1e-9)


def test_rmse_without_error_on_one_side_rests_on_the_other() -> None:
    errors = np.random.default_rng(2).exponential(size=100)
    found = root_mean(Pairs.of(np.zeros(100), errors))
    assert found.base == 0
    assert found.standard_error == pytest.approx(found.head_error)
    same = root_mean(Pairs.of(np.zeros(100), np.zeros(100)))
    assert same.identical
    assert root_mean(Pairs.of(errors, errors)).identical
    with pytest.raises(ValueError, match="negative"):
        root_mean(Pairs.of(-errors, errors))


def test_r_squared_is_scikit_learns_and_its_interval_the_bootstraps(regression: tuple[np.ndarray, ...]) -> None:
    label, base, head = regression
    one, two = (base - label) ** 2, (head - label) ** 2
    totals = Totals.of(np.stack([(label - label.mean()) ** 2, one, two - one], axis=1), n=len(label))
    found = r_squared(totals)
    assert found.base == pytest.approx(metrics.r2_score(label, base))
    assert found.head == pytest.approx(metrics.r2_score(label, head))

    def r2(rows: np.ndarray, loss: np.ndarray) -> float:
        return float(1 - loss[rows].sum() / ((label[rows] - label[rows].mean()) ** 2).sum())

    drawn = bootstrap(len(label), lambda rows: r2(rows, two) - r2(rows, one))
    assert (found.low, found.high) == pytest.approx(
        np.quantile(drawn, [0.025, 0.975]), abs=0.05 * (found.high - found.low)
    )
    for side, loss in ((False, one), (True, two)):
        value = r_squared_value(totals, head=side)
        drawn = bootstrap(len(label), lambda rows, loss=loss: r2(rows, loss))
        assert (value.low, value.high) == pytest.approx(
            np.quantile(drawn, [0.025, 0.975]), abs=0.06 * (value.high - value.low)
        )
    with pytest.raises(Undefined, match="all labels are equal"):
        r_squared(Totals.of(np.stack([0 * one, one, two - one], axis=1), n=len(label)))
