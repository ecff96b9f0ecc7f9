"""Clusters that change rarely: never more certain than the same examples alone, and as certain as the examples once."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.stats import clusters, design
from ci_ml.stats.estimate import Difference
from ci_ml.stats.influence import Totals
from ci_ml.stats.tango import PairedTable, tango

counts = st.integers(0, 60)


def judged(base: np.ndarray, head: np.ndarray, cluster: np.ndarray, confidence: float = 0.95) -> Difference:
    """The difference of two 0/1 columns as the metrics put it together (shape: examples)."""
    n = len(base)
    _, which = np.unique(cluster, return_inverse=True)
    columns = [np.bincount(which, weights=column) for column in (np.ones(n), base, head - base)]
    found = clusters.mean_difference(Totals.of(np.stack(columns, axis=1), n=n, clusters=True), confidence)
    change = (head - base - (head - base).mean()) / n
    over = np.bincount(which, weights=change)
    table = PairedTable(
        both_right=int((base * head).sum()),
        only_base=int((base * (1 - head)).sum()),
        only_head=int(((1 - base) * head).sum()),
        both_wrong=int(((1 - base) * (1 - head)).sum()),
    )
    worth = design.effect(float(over @ over), float(change @ change), n)
    return design.wider(found, design.proportions(table, worth, confidence))


@given(both=counts, lost=counts, won=counts, none=counts)
def test_every_example_its_own_cluster_is_at_least_as_wide_as_no_clusters(
    both: int, lost: int, won: int, none: int
) -> None:
    if lost + won == 0 or both + lost + won + none < 2:
        return
    table = PairedTable(both_right=both, only_base=lost, only_head=won, both_wrong=none)
    alone = tango(table)
    low, high = design.proportions(table, 1.0, 0.95)
    assert (low, high) == pytest.approx((alone.low, alone.high), abs=1e-12)
    base = np.repeat([1.0, 1.0, 0.0, 0.0], [both, lost, won, none])
    head = np.repeat([1.0, 0.0, 1.0, 0.0], [both, lost, won, none])
    if (base - head).std() > 0:
        found = judged(base, head, np.arange(len(base)))
        assert found.low <= alone.low + 1e-12
        assert found.high >= alone.high - 1e-12


@pytest.mark.parametrize("times", [2, 20])
def test_examples_that_are_there_several_times_say_what_they_say_once(times: int) -> None:
    base, head = np.ones(150), np.ones(150)
    head[:4], base[4:5] = 0, 0
    once = judged(base, head, np.arange(150))
    again = judged(np.tile(base, times), np.tile(head, times), np.tile(np.arange(150), times))
    assert (again.low, again.high) == pytest.approx((once.low, once.high), abs=1e-9)


@pytest.mark.parametrize(("n", "margin"), [(100, 0.04), (400, 0.01), (1000, 0.005), (2000, 0.005), (5000, 0.002)])
def test_a_loss_of_the_margin_in_few_examples_is_held_as_seldom_as_promised(n: int, margin: float) -> None:
    """Exactly, by the binomial distribution: only losses, each example its own cluster."""
    held = 0.0
    for lost in range(1, n):
        chance = math.exp(
            math.lgamma(n + 1)
            - math.lgamma(lost + 1)
            - math.lgamma(n - lost + 1)
            + lost * math.log(margin)
            + (n - lost) * math.log1p(-margin)
        )
        if chance < 1e-12 and lost > n * margin:
            break
        head = np.ones(n)
        head[:lost] = 0
        held += chance * (judged(np.ones(n), head, np.arange(n)).low >= -margin)
    assert held <= 0.0355  # 2.5 % and what `simulated` allows any method


@pytest.mark.thorough
@pytest.mark.parametrize("rate", [0.005, 0.01])
def test_whole_clusters_that_change_rarely_are_held_as_seldom_as_promised(rate: float) -> None:
    """Four examples each, and a change is one of all four; the sides differ by a loss of exactly the margin."""
    random, held, trials = np.random.default_rng(4), 0, 4000
    for _ in range(trials):
        lost = random.random(400) < rate
        if lost.any():
            head = np.repeat(1.0 - lost, 4)
            held += judged(np.ones(1600), head, np.repeat(np.arange(400), 4)).low >= -rate
    assert held / trials <= 0.0355


def test_the_effect_is_never_less_than_one_and_leaves_two_examples() -> None:
    assert design.effect(0.5, 1.0, 100) == 1
    assert design.effect(3.0, 1.0, 100) == 3
    assert design.effect(900.0, 1.0, 100) == 50
    assert design.effect(0.0, 0.0, 100) == 1
