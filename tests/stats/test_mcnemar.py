import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels

from ci_ml.stats import mcnemar

pairs = st.one_of(st.integers(0, 10), st.integers(0, 5_000))


@given(pairs, pairs)
def test_exact_is_scipys_binomial_test(lost: int, won: int) -> None:
    expected = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
    assert mcnemar.exact(lost, won) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(pairs, pairs)
def test_mid_p_is_the_exact_value_less_the_probability_of_the_table(lost: int, won: int) -> None:
    seen = stats.binom.pmf(lost, lost + won, 0.5)
    expected = 1.0 if lost + won == 0 else 1 - seen / 2 if lost == won else mcnemar.exact(lost, won) - seen
    assert mcnemar.mid_p(lost, won) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("corrected", [False, True])
@given(lost=pairs, won=pairs)
def test_chi_squared_is_statsmodels(corrected: bool, lost: int, won: int) -> None:
    if lost + won == 0:
        assert mcnemar.chi_squared(lost, won, corrected=corrected) == (0, 1)
        return
    expected = statsmodels([[1, lost], [won, 1]], exact=False, correction=corrected)
    found = mcnemar.chi_squared(lost, won, corrected=corrected)
    if corrected and lost == won:  # statsmodels corrects a difference of 0 to one of 1
        assert found == (0, 1)
    else:
        assert found == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("test", [mcnemar.exact, mcnemar.mid_p, mcnemar.chi_squared])
def test_counts_are_not_negative(test: object) -> None:
    with pytest.raises(ValueError, match="cannot number"):
        test(-1, 3)  # type: ignore[operator]
    with pytest.raises(ValueError, match="not a finite number"):
        test(float("nan"), 3)  # type: ignore[operator]


@pytest.mark.parametrize("pairs", [10**7, 10**12])
def test_huge_tables_are_no_trouble(pairs: int) -> None:
    distance = 10 / math.sqrt(2 * pairs + 10)
    assert mcnemar.mid_p(pairs, pairs + 10) == pytest.approx(math.erfc(distance / math.sqrt(2)), rel=1e-5)
    assert mcnemar.mid_p(pairs, 2 * pairs) == 0
