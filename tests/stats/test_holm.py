import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from statsmodels.stats.multitest import multipletests

from ci_ml.stats.estimate import Difference
from ci_ml.stats.holm import adjusted, regressions

# Benjamini and Hochberg (1995): of these 15, Holm rejects 3 at 5 %.
MYOCARDIAL = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip

p_values = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0, 0.01, 0.05, 1])), min_size=1, max_size=40)


@pytest.mark.thorough
@given(p_values)
@settings(max_examples=8)  # statsmodels takes its time
def test_adjusted_p_values_are_statsmodels(values: list[float]) -> None:
    assert adjusted(values) == pytest.approx(multipletests(values, method="holm")[1], rel=1e-12, abs=1e-300)


@given(p_values, st.randoms())
def test_order_does_not_matter_and_ties_stay_ties(values: list[float], random: object) -> None:
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    found = adjusted(values)
    assert adjusted([values[index] for index in order]) == tuple(found[index] for index in order)
    for one in range(len(values)):
        for two in range(one):
            assert values[one] != values[two] or found[one] == found[two]


def test_the_published_family_keeps_three() -> None:
    assert sum(value <= 0.05 for value in adjusted(MYOCARDIAL)) == 3
    assert adjusted([]) == ()


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_p_value_is_a_share(wrong: float) -> None:
    with pytest.raises(ValueError, match="p-value"):
        adjusted([0.5, wrong])


def claim(low: float, high: float, p_value: float) -> Difference:
    delta = (low + high) / 2
    return Difference(
        base=0, head=delta, delta=delta, low=low, high=high, p_value=p_value, confidence=0.95, method="t", n=9
    )


def test_a_claim_stands_if_its_interval_is_bad_and_its_p_value_survives() -> None:
    family = [claim(-3, -1, 0.001), claim(-3, -1, 0.03), claim(1, 3, 0.0001), claim(-1, 1, 0.9)]
    assert regressions(family, higher_is_better=True) == (True, False, False, False)
    assert regressions(family, higher_is_better=False) == (False, False, True, False)
    assert regressions(family[:1], higher_is_better=True) == (True,)
    assert regressions([claim(-3, -1, 0.03)], higher_is_better=True) == (True,)
    assert regressions([claim(-3, 0, 0.001)], higher_is_better=True) == (False,)
    assert regressions([claim(-3, -1, 0.06)], higher_is_better=True) == (False,)
    assert regressions([], higher_is_better=True) == ()


def test_a_family_of_unchanged_slices_is_rarely_accused() -> None:
    generator = np.random.default_rng(4)
    wrong = 0
    for _ in range(2_000):
        ends = generator.normal(size=20)
        chances = 2 * (1 - special.ndtr(np.abs(ends)))
        family = [claim(end - 1.96, end + 1.96, p) for end, p in zip(ends, chances, strict=True)]
        wrong += any(regressions(family, higher_is_better=True))
    assert wrong / 2_000 < 0.025 + 3 * (0.025 * 0.975 / 2_000) ** 0.5
