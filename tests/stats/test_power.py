import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from ci_ml.stats import clusters, delong
from ci_ml.stats.estimate import Difference, NoVariance, identical
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs, paired_t
from ci_ml.stats.normal import critical
from ci_ml.stats.power import deciding, examples_needed, needed, smallest_margin, smallest_margin_of
from ci_ml.stats.repeats import difference as repeated
from ci_ml.stats.tango import PairedTable, tango


def table(n: int, lost: int, won: int) -> PairedTable:
    return PairedTable(both_right=n - lost - won, only_base=lost, only_head=won, both_wrong=0)


@pytest.mark.parametrize(
    ("discordance", "margin", "expected"), [(0.05, 0.01, 3092), (0.05, 0.02, 773), (0.1, 0.01, 6183), (0.1, 0.02, 1546)]
)
def test_the_known_sample_sizes_of_paired_proportions(discordance: float, margin: float, expected: int) -> None:
    """One-sided 5 %, power 80 %: n = (z + z')² · discordance / margin²."""
    half = round(1_000 * discordance / 2)
    error = math.sqrt(discordance / 1_000)
    assert examples_needed(1_000, error, margin, confidence=0.9) == pytest.approx(expected, abs=1)
    # Tango's interval has a longer bad end, and asks for a little more.
    asked = needed(tango(table(1_000, half, half), 0.9), margin)
    assert asked
    assert expected < asked < 1.08 * expected


def test_many_examples_are_what_statsmodels_asks_for() -> None:
    expected = TTestPower().solve_power(effect_size=0.02, alpha=0.025, power=0.8, alternative="larger")
    assert examples_needed(100, 1 / 10, 0.02) == pytest.approx(expected, rel=1e-3)
    expected = TTestPower().solve_power(effect_size=0.8, alpha=0.025, power=0.8, alternative="larger")
    assert examples_needed(100, 1 / 10, 0.8, df=99) == pytest.approx(expected, abs=1.5)


def test_margin_and_examples_are_two_sides_of_one_thing() -> None:
    margin = smallest_margin(0.004)
    assert margin == pytest.approx(0.004 * (1.959964 + 0.841621), rel=1e-6)
    assert examples_needed(2_000, 0.004, margin) == 2_000
    assert examples_needed(2_000, 0.004, margin / 2) == 8_000
    assert smallest_margin(0.004, df=5) > margin
    assert examples_needed(6, 0.004, smallest_margin(0.004, df=5), df=5) == 6


def test_a_true_difference_moves_the_goal() -> None:
    assert examples_needed(1_000, 0.01, 0.02, better=0.02) == examples_needed(1_000, 0.01, 0.04)
    assert examples_needed(1_000, 0.01, 0.02, better=-0.03) == examples_needed(1_000, 0.01, 0.01)
    assert examples_needed(1_000, 0.01, 0.02, better=-0.02) is None
    assert examples_needed(1_000, 0.01, 1e-12) is None


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(NoVariance):
        smallest_margin(0.0)
    with pytest.raises(ValueError, match="not a finite"):
        smallest_margin(math.inf)
    with pytest.raises(ValueError, match="power"):
        smallest_margin(0.1, power=1.0)
    with pytest.raises(ValueError, match="not a finite"):
        needed(tango(table(100, 5, 5)), math.nan)


# --- of a difference that was found ---


def losses(n: int) -> Difference:
    generator = np.random.default_rng(1)
    base = generator.exponential(size=n)
    return paired_t(Pairs.of(base, base + 0.2 * generator.normal(size=n)))


def grouped() -> Difference:
    generator = np.random.default_rng(2)
    sums = [np.full(8, 20.0), generator.normal(20, 3, 8), generator.normal(0.2, 1, 8)]
    return clusters.mean_difference(Totals.of(np.stack(sums, axis=1), n=160, clusters=True))


FOUND = {
    "no example differs": tango(table(1_000, 0, 0)),
    "one differs": tango(table(1_000, 1, 0)),
    "many differ": tango(table(1_000, 40, 30)),
    "nearly all are lost": tango(table(10, 9, 0)),
    "losses": losses(200),
    "three losses": losses(3),
    "clusters": grouped(),
    "perfect separation": delong.auc_difference(
        *delong.of_scores(np.arange(40) >= 30, np.arange(40) >= 30, np.arange(40.0))
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_as_many_examples_as_there_are_hold_the_smallest_margin(name: str) -> None:
    found = FOUND[name]
    margin = smallest_margin_of(found)
    assert margin
    assert margin > (found.high - found.low) / 2 or found.method == "tango"
    units = found.clusters or found.n
    assert needed(found, margin) == pytest.approx(units, abs=1)
    more = needed(found, margin / 2)
    assert more
    assert more > 1.9 * units
    assert smallest_margin_of(found, power=0.95) > margin


def test_identical_sides_do_not_tell() -> None:
    same = identical(0.8, n=100, confidence=0.95, method="tango", error=0.04)
    assert smallest_margin_of(same) is None
    assert needed(same, 0.01) is None
    assert deciding(same, 0.01, higher_is_better=True) is None
    assert smallest_margin_of(identical(0.8, n=100, confidence=0.95, method="paired t")) is None


def test_more_examples_do_not_make_up_for_seeds() -> None:
    seeds = repeated([0.8, 0.82, 0.81], [0.8, 0.81, 0.83], n=500, example_variance=1e-4)
    assert needed(seeds, 0.01) is None
    assert smallest_margin_of(seeds)
    trainings = repeated([0.8, 0.82, 0.81], [0.8, 0.81, 0.83], n=6)
    assert needed(trainings, smallest_margin_of(trainings) or 0) == 6


def test_what_decides_a_loss_within_the_margin_and_one_beyond() -> None:
    found = dataclasses.replace(losses(200), delta=-0.01, low=-0.04, high=0.02, method="t", df=None)
    error = 0.03 / critical(0.95)
    held = deciding(found, 0.03, higher_is_better=True)
    assert held == examples_needed(200, error, 0.02)
    assert deciding(found, 0.01, higher_is_better=True) is None
    # An interval below 0 takes (z + z') errors; an estimate beyond the margin z', which is more when they are close.
    assert deciding(found, 0.001, higher_is_better=True) == examples_needed(200, error, 0.01)
    assert deciding(found, 0.0099, higher_is_better=True) == math.ceil(200 * (0.8416212 * error / 0.0001) ** 2)
    assert deciding(found, 0.03, higher_is_better=False) == examples_needed(200, error, 0.04)
    assert deciding(dataclasses.replace(found, delta=0.01), 0.03, higher_is_better=False) == held


@given(st.integers(2, 10**7), st.floats(0, 1), st.floats(0, 1), st.floats(1e-4, 1))
def test_every_table_has_an_answer(n: int, share: float, lost: float, margin: float) -> None:
    discordant = int(share * n)
    found = tango(table(n, int(lost * discordant), discordant - int(lost * discordant)))
    least = smallest_margin_of(found)
    assert least
    assert 0 < least <= 1
    enough = needed(found, margin)
    assert enough is None or enough >= 2
    if enough and margin < 0.5:
        assert (enough <= n) == (least <= margin * (1 + 1e-9))


def held(n: int, differ: float, margin: float) -> float:
    """How often an unchanged model holds the margin on n examples, so many of which come out differently."""
    generator = np.random.default_rng(8)
    share = differ / n
    cells = generator.multinomial(n, [share / 2, share / 2, 1 - share], size=2_000)
    tables, times = np.unique(cells[:, :2], axis=0, return_counts=True)
    lows = [tango(table(n, int(lost), int(won))).low for lost, won in tables]
    return float((np.array(lows) >= -margin) @ times) / 2_000


@pytest.mark.parametrize("differ", [2, 5, 30, 100])
def test_an_unchanged_model_holds_the_smallest_margin_four_times_in_five(differ: int) -> None:
    n = 2_000
    margin = smallest_margin_of(tango(table(n, differ // 2, differ - differ // 2)))
    assert margin
    assert held(n, differ, margin) == pytest.approx(0.8, abs=0.04)
    enough = needed(tango(table(n, differ // 2, differ - differ // 2)), margin / 3)
    assert enough
    assert held(enough, differ * enough / n, margin / 3) == pytest.approx(0.8, abs=0.04)
