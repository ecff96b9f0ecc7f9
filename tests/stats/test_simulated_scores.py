"""Wrong claims about metrics of scores: ROC-AUC, average precision, calibration; and about quantiles."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from ci_ml.stats import average_precision, calibration, delong, quantiles
from ci_ml.stats.estimate import Difference
from ci_ml.stats.influence import Totals
from tests.stats.simulated import Generator, World, check, worlds

pytestmark = pytest.mark.thorough

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


def _auc(separation: float, spread: float) -> float:
    """The true ROC-AUC of signals that lie `separation` apart, in a standard deviation of 1, under noise."""
    return 0.5 * math.erfc(-separation / math.sqrt(2 * (1 + spread**2)) / math.sqrt(2))


def scored(n: int, noise: float, measure: str) -> World:
    """A head whose scores are as noisy as the base's (0.3), or noisier."""

    def sample(generator: Generator, size: int) -> Sample:
        label = generator.random(size) < 0.2
        signal = generator.normal(size=size) + 1.3 * label
        return label, signal + 0.3 * generator.normal(size=size), signal + noise * generator.normal(size=size)

    def judge(label: np.ndarray, base: np.ndarray, head: np.ndarray) -> Difference:
        if measure == "auc":
            return delong.auc_difference(*delong.of_scores(label, base, head))
        return average_precision.difference(average_precision.of_scores(label, base, head), int(label.sum()))

    if noise == 0.3:
        true = 0.0
    elif measure == "auc":
        true = _auc(1.3, noise) - _auc(1.3, 0.3)
    else:  # it has no formula, and a large sample will do
        true = judge(*sample(np.random.default_rng(1), 2_000_000)).delta
    return World(lambda generator: judge(*sample(generator, n)), true)


def clustered(count: int, noise: float, measure: str) -> World:
    """Clusters of 4 examples, whose scores have something in common."""

    def sample(generator: Generator, clusters: int) -> tuple[Sample, np.ndarray]:
        cluster = np.repeat(np.arange(clusters), 4)
        size = len(cluster)
        label = generator.random(size) < 0.3
        signal = 0.6 * generator.normal(size=clusters)[cluster] + 0.8 * generator.normal(size=size) + 1.3 * label
        shift = generator.normal(size=clusters)[cluster]
        sides = (signal + k * (0.5 * shift + generator.normal(size=size)) for k in (0.3, noise))
        base, head = sides
        return (label, base, head), cluster

    def judge(sample: Sample, cluster: np.ndarray) -> Difference:
        label, base, head = sample
        if measure == "average precision":
            sums = average_precision.of_scores(label, base, head, cluster)
            return average_precision.difference(sums, len(np.unique(cluster[label])))
        one, two = delong.placements(label, base), delong.placements(label, head)
        columns = [part * own for own in (label, ~label) for part in (np.ones_like(one), one, two - one)]
        sums = np.stack([np.bincount(cluster, weights=column) for column in columns], axis=1)
        found = delong.ClusterPlacements(
            totals=Totals.of(sums, n=len(label), clusters=True),
            with_positives=int((sums[:, 0] > 0).sum()),
            with_negatives=int((sums[:, 3] > 0).sum()),
        )
        return delong.clustered_difference(found)

    true = 0.0 if noise == 0.3 else judge(*sample(np.random.default_rng(1), 500_000)).delta
    return World(lambda generator: judge(*sample(generator, count)), true)


def macro(n: int, noise: float) -> World:
    """Three classes."""

    def sample(generator: Generator, size: int) -> Sample:
        label = generator.choice(3, p=[0.5, 0.3, 0.2], size=size)
        signal = generator.normal(size=(size, 3)) + 1.3 * np.eye(3)[label]
        base, head = (signal + k * generator.normal(size=(size, 3)) for k in (0.3, noise))
        return label, base, head

    def judge(label: np.ndarray, base: np.ndarray, head: np.ndarray) -> Difference:
        return delong.macro_difference(delong.macro_of_scores(label, base, head))

    true = 0.0 if noise == 0.3 else _auc(1.3, noise) - _auc(1.3, 0.3)  # the same for each class against the rest
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


def quantile(n: int, factor: float, share: float = 0.5) -> World:
    def draw(generator: Generator) -> Difference:
        common = generator.exponential(size=n)
        base, head = (k * common * np.exp(0.3 * generator.normal(size=n)) for k in (1, factor))
        one, two = quantiles.of_rows(base, share), quantiles.of_rows(head, share)
        both = int(((base <= one.value) & (head <= two.value)).sum())
        return quantiles.difference(one, two, n=n, both_below=both, quantile=share)

    big = np.random.default_rng(1)
    values = big.exponential(size=2_000_000) * np.exp(0.3 * big.normal(size=2_000_000))
    return World(draw, (factor - 1) * float(np.quantile(values, share)), higher_is_better=False)


@pytest.mark.parametrize(
    "make",
    worlds(
        {
            "auc: unchanged": lambda: scored(400, 0.3, "auc"),
            "auc: worse": lambda: scored(400, 0.6, "auc"),
            "auc of clusters: unchanged": lambda: clustered(100, 0.3, "auc"),
            "auc of clusters: worse": lambda: clustered(100, 0.8, "auc"),
            "auc of three classes: unchanged": lambda: macro(400, 0.3),
            "auc of three classes: worse": lambda: macro(400, 0.6),
            "average precision: unchanged": lambda: scored(400, 0.3, "average precision"),
            "average precision: worse": lambda: scored(400, 0.6, "average precision"),
            "average precision of clusters: unchanged": lambda: clustered(300, 0.3, "average precision"),
            "average precision of clusters: worse": lambda: clustered(300, 0.6, "average precision"),
            "calibration: unchanged": lambda: calibrated(1_000, 1.0),
            "calibration: worse": lambda: calibrated(1_000, 1.5),
            "median: unchanged": lambda: quantile(300, 1.0),
            "median: worse": lambda: quantile(300, 1.1),
            "0.9 quantile: unchanged": lambda: quantile(500, 1.0, 0.9),
            "0.9 quantile: worse": lambda: quantile(500, 1.1, 0.9),
        }
    ),
)
def test_wrong_claims_are_as_rare_as_promised(make: Callable[[], World]) -> None:
    check(make())
