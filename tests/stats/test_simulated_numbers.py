"""Wrong claims about means of a number per example, also where examples come in clusters."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from ci_ml.stats import clusters, confusion
from ci_ml.stats.classification import clustered_difference
from ci_ml.stats.confusion import Metric
from ci_ml.stats.counts import Counts
from ci_ml.stats.estimate import Difference
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs, paired_t, r_squared, root_mean
from ci_ml.stats.repeats import difference as repeated
from ci_ml.stats.tango import PairedTable, tango
from tests.stats.simulated import Generator, World, check, worlds

pytestmark = pytest.mark.thorough


def accuracy(n: int, lost: float, won: float) -> World:
    def draw(generator: Generator) -> Difference:
        b, c, same = (int(cell) for cell in generator.multinomial(n, [lost, won, 1 - lost - won]))
        return tango(PairedTable(both_right=same, only_base=b, only_head=c, both_wrong=0))

    return World(draw, won - lost)


def loss(n: int, shift: float, root: bool = False) -> World:
    def draw(generator: Generator) -> Difference:
        common = generator.exponential(size=n)
        base, head = (common * np.exp(0.3 * generator.normal(size=n) - 0.045) for _ in range(2))
        pairs = Pairs.of(base, head + shift)
        return root_mean(pairs) if root else paired_t(pairs)

    return World(draw, math.sqrt(1 + shift) - 1 if root else shift, higher_is_better=False)


def explained(n: int, noise: float) -> World:
    """R² of two regressions, one of which is noisier."""

    def draw(generator: Generator) -> Difference:
        label = generator.normal(size=n)
        common = 0.4 * generator.normal(size=n)
        base, head = ((common + spread * generator.normal(size=n)) ** 2 for spread in (0.4, noise))
        return r_squared(Totals.of(np.stack([(label - label.mean()) ** 2, base, head - base], axis=1), n=n))

    return World(draw, 0.16 - noise**2)


def seeds(count: int, n: int, shift: float) -> World:
    """Models trained with several seeds, which vary, on examples that do, too."""

    def draw(generator: Generator) -> Difference:
        common, own = 0.4 * generator.normal(size=n), 0.2 * generator.normal(size=n)
        base, head = (
            level + 0.02 * generator.normal(size=(count, 1)) + 0.4 * generator.normal(size=(count, n))
            for level in (common, common + own + shift)
        )
        change = head.mean(axis=0) - base.mean(axis=0)
        variance = float(change.var(ddof=1)) / n
        sides = (base.mean(axis=1).tolist(), head.mean(axis=1).tolist())
        return repeated(*sides, n=n, example_variance=variance, example_df=n - 1)

    return World(draw, shift, higher_is_better=False)


# --- clusters of 1 to 9 examples that are much alike, larger ones no different ---


def _clusters(generator: Generator, count: int) -> np.ndarray:
    return np.repeat(np.arange(count), generator.integers(1, 10, count))


def _sums(cluster: np.ndarray, *columns: np.ndarray) -> Totals:
    sums = [np.bincount(cluster, weights=column) for column in columns]
    return Totals.of(np.stack(sums, axis=1), n=len(cluster), clusters=True)


def clustered(count: int, shift: float) -> World:
    def draw(generator: Generator) -> Difference:
        cluster = _clusters(generator, count)
        base = generator.normal(size=count)[cluster] + generator.normal(size=len(cluster))
        change = shift + 0.5 * generator.normal(size=count)[cluster] + 0.5 * generator.normal(size=len(cluster))
        return clusters.mean_difference(_sums(cluster, np.ones_like(base), base, change))

    return World(draw, shift, higher_is_better=False)


def clustered_root(count: int, spread: float) -> World:
    """Squared errors, of which a cluster's have something in common."""

    def draw(generator: Generator) -> Difference:
        cluster = _clusters(generator, count)
        common = 0.5 * generator.normal(size=count)[cluster]
        base, head = ((common + k * generator.normal(size=len(cluster))) ** 2 for k in (0.5, spread))
        return clusters.root_mean_difference(_sums(cluster, np.ones_like(base), base, head - base))

    return World(draw, math.sqrt(0.25 + spread**2) - math.sqrt(0.5), higher_is_better=False)


def clustered_recall(count: int, wrong: float, *, of_counts: bool) -> World:
    """Recall where a cluster has easy or hard examples, as a ratio of sums and as a metric of counts."""
    recall = Metric(name="recall", which=1)

    def draw(generator: Generator) -> Difference:
        cluster = _clusters(generator, count)
        label = generator.random(len(cluster)) < 0.5
        ease = generator.uniform(0.4, 1.6, size=count)[cluster]
        base, head = (np.where(generator.random(len(cluster)) < share * ease, ~label, label) for share in (0.2, wrong))
        if not of_counts:
            ones = (label & base, label, label & head, label)
            return clusters.ratio_difference(_sums(cluster, *(one.astype(float) for one in ones)))
        counts = Counts.of_rows(label, base, head, 2)
        where = np.searchsorted(4 * counts.label + 2 * counts.base + counts.head, 4 * label + 2 * base + head)
        sides = [confusion.influence(counts, recall, side)[where] for side in ("base", "head")]
        first, second = (np.bincount(cluster, weights=side) for side in sides)
        change = second - first
        sums = {"base_squares": first @ first, "delta_squares": change @ change, "products": first @ change}
        return clustered_difference(
            counts, recall, clusters=count, **{name: float(total) for name, total in sums.items()}
        )

    return World(draw, 0.2 - wrong)


@pytest.mark.parametrize(
    "make",
    worlds(
        {
            "accuracy: unchanged, 5 % of 2,000 differ": lambda: accuracy(2_000, 0.025, 0.025),
            "accuracy: unchanged, 1 % of 500 differ": lambda: accuracy(500, 0.005, 0.005),
            "accuracy: a point lost, 5 % of 2,000 differ": lambda: accuracy(2_000, 0.03, 0.02),
            "accuracy: a point lost, nothing won": lambda: accuracy(2_000, 0.01, 0.0),
            "loss: unchanged": lambda: loss(300, 0.0),
            "loss: worse": lambda: loss(300, 0.05),
            "rmse: unchanged": lambda: loss(1_000, 0.0, root=True),
            "rmse: worse": lambda: loss(1_000, 0.1, root=True),
            "r2: unchanged": lambda: explained(500, 0.4),
            "r2: worse": lambda: explained(500, 0.5),
            "repeats: unchanged": lambda: seeds(3, 500, 0.0),
            "repeats: worse": lambda: seeds(3, 500, 0.02),
            "clusters: unchanged": lambda: clustered(40, 0.0),
            "clusters: worse": lambda: clustered(40, 0.2),
            "rmse of clusters: unchanged": lambda: clustered_root(60, 0.5),
            "rmse of clusters: worse": lambda: clustered_root(60, 0.6),
            "recall of clusters: unchanged": lambda: clustered_recall(80, 0.2, of_counts=False),
            "recall of clusters: worse": lambda: clustered_recall(80, 0.3, of_counts=False),
            "recall of clusters, by influence: unchanged": lambda: clustered_recall(80, 0.2, of_counts=True),
            "recall of clusters, by influence: worse": lambda: clustered_recall(80, 0.3, of_counts=True),
        }
    ),
)
def test_wrong_claims_are_as_rare_as_promised(make: Callable[[], World]) -> None:
    check(make())
