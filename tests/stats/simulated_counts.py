"""Metrics of counts, and tables to simulate them on: the probabilities of (label, base, head)."""

import numpy as np

from ci_ml.stats.classification import difference
from ci_ml.stats.confusion import Metric
from ci_ml.stats.counts import Counts
from tests.stats.simulated import LIMIT, PAIRS

METRICS = [
    *(Metric(name=name, which=1) for name in ("f1", "precision", "recall", "specificity")),
    *(Metric(name=name) for name in ("mcc", "kappa", "balanced_accuracy")),
]
AVERAGES = [Metric(name=name, average="macro") for name in ("f1", "precision")] + [Metric(name="kappa")]


def cells(
    prevalence: float, hit: float, alarm: float, lost: float, won: float, spoilt: float, mended: float
) -> np.ndarray:
    """A base that hits and alarms, and a head that changes its answers."""
    table = np.zeros((2, 2, 2))
    table[1, 1] = prevalence * hit * np.array([lost, 1 - lost])
    table[1, 0] = prevalence * (1 - hit) * np.array([1 - won, won])
    table[0, 0] = (1 - prevalence) * (1 - alarm) * np.array([1 - spoilt, spoilt])
    table[0, 1] = (1 - prevalence) * alarm * np.array([mended, 1 - mended])
    return table


def several(shares: list[float], right: float, changed: float, worse: float) -> np.ndarray:
    """Several classes, each taken for itself or for the next: a base that is right so often, and a head that changes
    answers at random, or for the worse."""
    size = len(shares)
    guess = right * np.eye(size) + (1 - right) * np.roll(np.eye(size), 1, axis=1)
    joint = np.array(shares)[:, None] * guess
    table = np.zeros((size, size, size))
    for label in range(size):
        # Unchanged: both sides answer alike, or each draws anew.
        table[label] = (1 - changed) * np.diag(joint[label]) + changed * shares[label] * np.outer(
            guess[label], guess[label]
        )
        moved = worse * table[label, label, label]
        table[label, label, label] -= moved
        table[label, label, (label + 1) % size] += moved
    return table


def check(n: int, chances: np.ndarray, metrics: list[Metric], *, unchanged: bool) -> None:
    generator, classes = np.random.default_rng(2024), len(chances)
    keys = list(np.ndindex(chances.shape))

    def table(numbers: np.ndarray) -> Counts:
        return Counts.of_cells([(*key, int(number)) for key, number in zip(keys, numbers, strict=True)], classes)

    expected = table(np.round(chances.ravel() * 10**9))
    true = [0.0 if unchanged else difference(expected, metric, method="delta").delta for metric in metrics]
    hopeful, gloomy = np.zeros(len(metrics)), np.zeros(len(metrics))
    for _ in range(PAIRS):
        counts = table(generator.multinomial(n, chances.ravel()))
        found = [difference(counts, metric) for metric in metrics]
        hopeful += [one.low >= delta - 1e-12 for one, delta in zip(found, true, strict=True)]
        gloomy += [one.high < delta - 1e-12 for one, delta in zip(found, true, strict=True)]
    assert (hopeful / PAIRS <= LIMIT).all(), hopeful / PAIRS
    assert (gloomy / PAIRS <= (LIMIT if unchanged else 2 * LIMIT)).all(), gloomy / PAIRS
