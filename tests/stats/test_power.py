import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from ci_ml.stats.estimate import NoVariance
from ci_ml.stats.power import examples_needed, null_error, smallest_margin
from ci_ml.stats.tango import PairedTable, tango


def table(n: int, lost: int, won: int) -> PairedTable:
    return PairedTable(both_right=n - lost - won, only_base=lost, only_head=won, both_wrong=0)


@pytest.mark.parametrize(
    ("discordance", "margin", "needed"), [(0.05, 0.01, 3092), (0.05, 0.02, 773), (0.1, 0.01, 6183), (0.1, 0.02, 1546)]
)
def test_the_known_sample_sizes_of_paired_proportions(discordance: float, margin: float, needed: int) -> None:
    """One-sided 5 %, power 80 %: n = (z + z')² · discordance / margin²."""
    half = round(1_000 * discordance / 2)
    error = null_error(table(1_000, half, half))
    assert examples_needed(1_000, error, margin, confidence=0.9) == pytest.approx(needed, abs=1)


def test_many_examples_are_what_statsmodels_asks_for() -> None:
    expected = TTestPower().solve_power(effect_size=0.02, alpha=0.025, power=0.8, alternative="larger")
    assert examples_needed(100, 1 / 10, 0.02) == pytest.approx(expected, rel=1e-3)


def test_margin_and_examples_are_two_sides_of_one_thing() -> None:
    margin = smallest_margin(0.004)
    assert margin == pytest.approx(0.004 * (1.959964 + 0.841621), rel=1e-6)
    assert examples_needed(2_000, 0.004, margin) == 2_000
    assert examples_needed(2_000, 0.004, margin / 2) == 8_000
    assert smallest_margin(0.004, df=5) > margin


def test_a_true_difference_moves_the_goal() -> None:
    assert examples_needed(1_000, 0.01, 0.02, better=0.02) == examples_needed(1_000, 0.01, 0.04)
    assert examples_needed(1_000, 0.01, 0.02, better=-0.03) == examples_needed(1_000, 0.01, 0.01)
    assert examples_needed(1_000, 0.01, 0.02, better=-0.02) is None


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(NoVariance):
        smallest_margin(0.0)
    with pytest.raises(ValueError, match="not a finite"):
        smallest_margin(math.inf)
    with pytest.raises(ValueError, match="power"):
        smallest_margin(0.1, power=1.0)
    assert null_error(table(100, 0, 0)) == pytest.approx(0.01)


def test_an_unchanged_model_holds_the_smallest_margin_four_times_in_five() -> None:
    generator = np.random.default_rng(8)
    n = 2_000
    margin = smallest_margin(math.sqrt(0.05 / n))
    cells = generator.multinomial(n, [0.025, 0.025, 0.95], size=2_000)
    held = sum(tango(table(n, int(lost), int(won))).low >= -margin for lost, won, _ in cells)
    assert held / 2_000 == pytest.approx(0.8, abs=0.04)
