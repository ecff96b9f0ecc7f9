"""Distances of tables of counts, against scipy and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from ci_ml.stats import shares, special
from ci_ml.stats.estimate import TooFew, Undefined

COUNTS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=30).filter(
    lambda pairs: sum(one for one, _ in pairs) > 0 and sum(other for _, other in pairs) > 0
)


def sides(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([one for one, _ in pairs]), np.array([other for _, other in pairs])


@given(COUNTS)
def test_jensen_shannon_is_scipys(pairs: list[tuple[int, int]]) -> None:
    one, other = sides(pairs)
    expected = jensenshannon(one / one.sum(), other / other.sum(), base=2)
    assert shares.jensen_shannon(one, other) == pytest.approx(0 if math.isnan(expected) else expected, abs=1e-7)


def test_jensen_shannon_reaches_from_0_to_1() -> None:
    assert shares.jensen_shannon(np.array([3, 5]), np.array([6, 10])) == 0
    assert shares.jensen_shannon(np.array([8, 0]), np.array([0, 9])) == 1


def test_stability_is_the_sum_by_hand() -> None:
    # [.2, .8] -> [.4, .6] is 0.1961659; of so many examples the smoothing is not seen.
    found = shares.stability(np.array([20_000_000, 80_000_000]), np.array([40_000_000, 60_000_000]))
    assert found == pytest.approx(0.1961659, abs=1e-6)


def test_an_empty_bin_counts_for_half_an_example() -> None:
    one, other = np.array([100, 0]), np.array([50, 50])
    p, q = np.array([100.5, 0.5]) / 101, np.array([50.5, 50.5]) / 101
    assert shares.stability(one, other) == pytest.approx(float(((q - p) * np.log(q / p)).sum()))


@given(COUNTS)
def test_chi_square_is_scipys_after_pooling(pairs: list[tuple[int, int]]) -> None:
    one, other = shares.pooled(*sides(pairs))
    assert (one.sum(), other.sum()) == tuple(side.sum() for side in sides(pairs))
    if len(one) > 1:
        expected = stats.chi2_contingency(np.array([one, other]), correction=False)
        assert expected.expected_freq.min() >= shares.EXPECTED
        found = shares.chi_square(*sides(pairs))
        assert (found.statistic, found.df) == (pytest.approx(expected.statistic), expected.dof)
        assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-9, abs=1e-300)


def test_one_frequent_category_is_tested_exactly() -> None:
    found = shares.chi_square(np.array([997, 2, 1]), np.array([990, 0, 1]))
    assert found.method == "fisher"
    assert found.p_value == pytest.approx(float(stats.fisher_exact([[997, 3], [990, 1]])[1]))


def test_a_single_value_has_nothing_to_test() -> None:
    assert shares.chi_square(np.array([70]), np.array([80])).p_value == 1


def test_values_that_are_all_rare_are_no_answer() -> None:
    with pytest.raises(Undefined, match="names things"):
        shares.chi_square(np.ones(5_000, dtype=int), np.ones(5_000, dtype=int))


@pytest.mark.parametrize("df", [1, 2, 9, 100, 9_999])
def test_the_tail_of_chi_square_is_scipys(df: int) -> None:
    for p in (0.999, 0.5, 0.05, 1e-4, 1e-30, 1e-200):
        x = float(stats.chi2.isf(p, df))
        assert special.chi_square_tail(x, df) == pytest.approx(float(stats.chi2.sf(x, df)), rel=1e-10)
    assert special.chi_square_tail(0, df) == 1
    assert special.chi_square_tail(math.inf, df) == 0


@pytest.mark.parametrize(("x", "df"), [(-1.0, 3), (math.nan, 3), (1.0, 0)])
def test_the_tail_refuses_what_is_no_chi_square(x: float, df: int) -> None:
    with pytest.raises(ValueError, match="chi-square"):
        special.chi_square_tail(x, df)


@given(st.integers(1, 80), st.integers(1, 80), st.floats(0, 1), st.floats(0, 1))
def test_fisher_is_scipys(n: int, m: int, p: float, q: float) -> None:
    hits, others = round(n * p), round(m * q)
    expected = stats.fisher_exact([[hits, n - hits], [others, m - others]])[1]
    assert shares.fisher(hits, n, others, m) == pytest.approx(float(expected), rel=1e-6)


def test_large_counts_are_compared_by_z() -> None:
    found = shares.proportions(300, 10_000, 420, 9_000)
    table = [[300, 9_700], [420, 8_580]]
    assert found.method == "two proportions"
    assert found.p_value == pytest.approx(float(stats.chi2_contingency(table, correction=False).pvalue), rel=1e-9)
    assert found.change == pytest.approx(420 / 9_000 - 0.03)


def test_nothing_on_either_side_is_no_difference() -> None:
    assert shares.proportions(0, 10**9, 0, 10**9).p_value == 1


def test_a_share_of_no_rows_is_refused() -> None:
    with pytest.raises(TooFew):
        shares.proportions(0, 0, 1, 5)


def test_a_new_category_of_many_rows_is_no_chance() -> None:
    assert shares.unseen(np.array([500, 480, 0]), np.array([490, 470, 40])) < 1e-9


def test_many_new_categories_of_a_row_each_are_no_chance_either() -> None:
    reference = np.concatenate([[10_000], np.zeros(500, dtype=int)])
    assert shares.unseen(reference, np.concatenate([[9_500], np.ones(500, dtype=int)])) < 1e-9


def test_rare_categories_that_one_side_lacks_are_what_samples_are_like() -> None:
    """Over samples that are alike, the bound is small no more often than a p-value may be."""
    chance = np.random.default_rng(1)
    weights = 1 / np.arange(1, 200) ** 1.2
    found = [shares.unseen(*chance.multinomial(400, weights / weights.sum(), size=2)) for _ in range(400)]
    assert np.mean(np.array(found) <= 0.05) <= 0.05
    assert np.mean(np.array(found) <= 0.3) <= 0.3


def test_nothing_new_is_no_evidence() -> None:
    assert shares.unseen(np.array([5, 6]), np.array([7, 0])) == 1
