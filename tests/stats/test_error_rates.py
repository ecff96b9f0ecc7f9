"""What the intervals promise, simulated: how often a change is wrongly accused, and a loss wrongly called harmless.

Per method, over 2,000 pairs: of an unchanged model at most 2.5 % come out as worse (and as many as better), and at a
true loss of exactly the margin at most 2.5 % come out as held; plus three standard errors of the simulation, 1.05 %.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ci_ml.stats import average_precision, calibration, clusters, delong, quantiles
from ci_ml.stats.classification import difference
from ci_ml.stats.confusion import Metric
from ci_ml.stats.counts import Counts
from ci_ml.stats.estimate import Difference, NotEstimable
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs, paired_t, root_mean
from ci_ml.stats.tango import PairedTable, tango

PAIRS = 2_000
LIMIT = 0.025 + 3 * math.sqrt(0.025 * 0.975 / PAIRS)

Generator = np.random.Generator


@dataclass(frozen=True)
class World:
    """A way to draw test sets and judge two models on them, and what the models truly differ by."""

    draw: Callable[[Generator], Difference]
    true: float
    higher_is_better: bool = True


def beyond(world: World) -> tuple[float, float]:
    """How often the interval's bad end misses the true difference on the good side, and the other way round."""
    generator = np.random.default_rng(2024)
    hopeful = gloomy = 0
    for _ in range(PAIRS):
        try:
            found = world.draw(generator)
        except NotEstimable:  # no number, so no claim
            continue
        if found.identical:
            continue
        above, below = found.low >= world.true, found.high <= world.true
        hopeful += above if world.higher_is_better else below
        gloomy += below if world.higher_is_better else above
    return hopeful / PAIRS, gloomy / PAIRS


# --- 0/1 per example ---


def accuracy(n: int, lost: float, won: float) -> World:
    def draw(generator: Generator) -> Difference:
        b, c, same = (int(cell) for cell in generator.multinomial(n, [lost, won, 1 - lost - won]))
        return tango(PairedTable(both_right=same, only_base=b, only_head=c, both_wrong=0))

    return World(draw, won - lost)


ACCURACY = {
    "unchanged, 5 % of 2,000 differ": accuracy(2_000, 0.025, 0.025),
    "unchanged, 1 % of 500 differ": accuracy(500, 0.005, 0.005),
    "a point lost, 5 % of 2,000 differ": accuracy(2_000, 0.03, 0.02),
    "a point lost, nothing won": accuracy(2_000, 0.01, 0.0),
}


# --- counts ---


def cells(
    prevalence: float, hit: float, alarm: float, lost: float, won: float, spoilt: float, mended: float
) -> np.ndarray:
    """Probabilities of (label, base, head): a base that hits and alarms, and a head that changes its answers."""
    table = np.zeros((2, 2, 2))
    table[1, 1] = prevalence * hit * np.array([lost, 1 - lost])
    table[1, 0] = prevalence * (1 - hit) * np.array([1 - won, won])
    table[0, 0] = (1 - prevalence) * (1 - alarm) * np.array([1 - spoilt, spoilt])
    table[0, 1] = (1 - prevalence) * alarm * np.array([mended, 1 - mended])
    return table


KEYS = list(np.ndindex(2, 2, 2))
METRICS = [
    *(Metric(name=name, which=1) for name in ("f1", "precision", "recall", "specificity")),
    *(Metric(name=name) for name in ("mcc", "kappa", "balanced_accuracy")),
]
TABLES = {
    "unchanged, 2 % of 1,000 differ": (1_000, cells(0.3, 0.8, 0.1, 0.01, 0.04, 0.005, 0.045)),
    "unchanged, 8 % of 2,000 differ": (2_000, cells(0.3, 0.8, 0.1, 0.05, 0.2, 0.03, 0.27)),
    "worse, some changes for the better": (1_000, cells(0.3, 0.8, 0.1, 0.08, 0.12, 0.03, 0.1)),
    "worse, no change for the better": (1_000, cells(0.3, 0.8, 0.1, 0.05, 0.0, 0.01, 0.0)),
    "worse, a rare class": (3_000, cells(0.02, 0.7, 0.01, 0.2, 0.1, 0.005, 0.1)),
}


def table(numbers: np.ndarray) -> Counts:
    return Counts.of_cells([(*key, int(number)) for key, number in zip(KEYS, numbers, strict=True)], 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_wrong_claims_about_counts_are_as_rare_as_promised(name: str) -> None:
    n, chances = TABLES[name]
    generator = np.random.default_rng(2024)
    true = [difference(table(np.round(chances.ravel() * 10**9)), metric, method="delta").delta for metric in METRICS]
    hopeful, gloomy = np.zeros(len(METRICS)), np.zeros(len(METRICS))
    for _ in range(PAIRS):
        counts = table(generator.multinomial(n, chances.ravel()))
        found = [difference(counts, metric) for metric in METRICS]
        hopeful += [one.low >= delta - 1e-12 for one, delta in zip(found, true, strict=True)]
        gloomy += [one.high < delta - 1e-12 for one, delta in zip(found, true, strict=True)]
    assert (hopeful / PAIRS <= LIMIT).all(), hopeful / PAIRS
    assert (gloomy / PAIRS <= (LIMIT if name.startswith("unchanged") else 2 * LIMIT)).all(), gloomy / PAIRS


# --- numbers per example ---


def loss(n: int, shift: float, root: bool = False) -> World:
    def draw(generator: Generator) -> Difference:
        common = generator.exponential(size=n)
        base, head = (common * np.exp(0.3 * generator.normal(size=n) - 0.045) for _ in range(2))
        pairs = Pairs.of(base, head + shift)
        return root_mean(pairs) if root else paired_t(pairs)

    return World(draw, math.sqrt(1 + shift) - 1 if root else shift, higher_is_better=False)


def clustered(count: int, shift: float) -> World:
    """Clusters of 1 to 9 examples that are much alike, larger ones no different."""

    def draw(generator: Generator) -> Difference:
        size = generator.integers(1, 10, count)
        cluster = np.repeat(np.arange(count), size)
        base = generator.normal(size=count)[cluster] + generator.normal(size=len(cluster))
        change = shift + 0.5 * generator.normal(size=count)[cluster] + 0.5 * generator.normal(size=len(cluster))
        sums = [np.bincount(cluster, weights=column) for column in (np.ones_like(base), base, change)]
        return clusters.mean_difference(Totals.of(np.stack(sums, axis=1), n=len(cluster), clusters=True))

    return World(draw, shift, higher_is_better=False)


# --- scores ---


def scored(n: int, noise: float, measure: str) -> World:
    """A head whose scores are as noisy as the base's (0.3), or noisier."""

    def sample(generator: Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        label = generator.random(size) < 0.2
        signal = generator.normal(size=size) + 1.3 * label
        return label, signal + 0.3 * generator.normal(size=size), signal + noise * generator.normal(size=size)

    def judge(label: np.ndarray, base: np.ndarray, head: np.ndarray) -> Difference:
        if measure == "auc":
            return delong.auc_difference(*delong.of_scores(label, base, head))
        return average_precision.difference(average_precision.of_scores(label, base, head), int(label.sum()))

    true = 0.0
    if noise != 0.3:
        # The AUC has a formula; the average precision of a large sample will do.
        if measure == "auc":
            one, two = (
                0.5 * math.erfc(-1.3 / math.sqrt(2 * (1 + spread**2)) / math.sqrt(2)) for spread in (0.3, noise)
            )
            true = two - one
        else:
            true = judge(*sample(np.random.default_rng(1), 2_000_000)).delta
    return World(lambda generator: judge(*sample(generator, n)), true)


def calibrated(n: int, slope: float) -> World:
    """A base that is nearly calibrated, and a head that exaggerates if `slope` is above 1."""

    def sample(generator: Generator, size: int) -> Difference:
        odds = 1.5 * generator.normal(size=size)
        label = generator.random(size) < 1 / (1 + np.exp(-odds))
        base, head = (1 / (1 + np.exp(-(k * odds + 0.15 * generator.normal(size=size)))) for k in (1, slope))
        return calibration.difference(calibration.of_rows(base, label, head, label, 15))

    true = sample(np.random.default_rng(1), 2_000_000).delta if slope != 1 else 0.0
    return World(lambda generator: sample(generator, n), true, higher_is_better=False)


def median(n: int, factor: float) -> World:
    def draw(generator: Generator) -> Difference:
        common = generator.exponential(size=n)
        base, head = (k * common * np.exp(0.3 * generator.normal(size=n)) for k in (1, factor))
        one, two = quantiles.of_rows(base, 0.5), quantiles.of_rows(head, 0.5)
        both = int(((base <= one.value) & (head <= two.value)).sum())
        return quantiles.difference(one, two, n=n, both_below=both, quantile=0.5)

    big = np.random.default_rng(1)
    values = big.exponential(size=2_000_000) * np.exp(0.3 * big.normal(size=2_000_000))
    return World(draw, (factor - 1) * float(np.median(values)), higher_is_better=False)


def worlds() -> Iterator[Any]:
    for name, world in ACCURACY.items():
        yield pytest.param(lambda world=world: world, id=f"accuracy: {name}")
    yield pytest.param(lambda: loss(300, 0.0), id="loss: unchanged")
    yield pytest.param(lambda: loss(300, 0.05), id="loss: worse")
    yield pytest.param(lambda: loss(1_000, 0.0, root=True), id="rmse: unchanged")
    yield pytest.param(lambda: loss(1_000, 0.1, root=True), id="rmse: worse")
    yield pytest.param(lambda: clustered(40, 0.0), id="clusters: unchanged")
    yield pytest.param(lambda: clustered(40, 0.2), id="clusters: worse")
    slow = [
        ("auc: unchanged", lambda: scored(400, 0.3, "auc")),
        ("auc: worse", lambda: scored(400, 0.6, "auc")),
        ("average precision: unchanged", lambda: scored(400, 0.3, "average precision")),
        ("average precision: worse", lambda: scored(400, 0.6, "average precision")),
        ("calibration: unchanged", lambda: calibrated(1_000, 1.0)),
        ("calibration: worse", lambda: calibrated(1_000, 1.5)),
        ("median: unchanged", lambda: median(300, 1.0)),
        ("median: worse", lambda: median(300, 1.1)),
    ]
    for name, make in slow:
        yield pytest.param(make, id=name, marks=pytest.mark.slow)


@pytest.mark.parametrize("make", list(worlds()))
def test_wrong_claims_are_as_rare_as_promised(make: Callable[[], World]) -> None:
    world = make()
    hopeful, gloomy = beyond(world)
    assert hopeful <= LIMIT, "better than it is: an unchanged model improved, or a loss of the margin held"
    # At a true loss nobody is wronged by an interval that lies below it; it only may not be careless either.
    assert gloomy <= (LIMIT if world.true == 0 else 2 * LIMIT), "worse than it is: an unchanged model regressed"
