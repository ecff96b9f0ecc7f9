"""A classifier between two samples: it sees what there is, and its p-value is Mann and Whitney's."""

import numpy as np
import pytest
from scipy import stats

from ci_ml.stats import separation
from ci_ml.stats.estimate import TooFew


def told(one: np.ndarray, other: np.ndarray) -> separation.Separation:
    second = np.repeat([False, True], [len(one), len(other)])
    return separation.separation(np.vstack([one, other]), second, np.arange(one.shape[1]), seed=1)


def test_the_rank_test_is_scipys() -> None:
    chance = np.random.default_rng(1)
    scores, second = np.round(chance.normal(size=300), 1), chance.random(300) < 0.4
    scores[second] += 0.2
    auc, p_value = separation.rank_test(scores, second)
    expected = stats.mannwhitneyu(
        scores[second], scores[~second], alternative="greater", method="asymptotic", use_continuity=False
    )
    assert auc == pytest.approx(expected.statistic / (second.sum() * (~second).sum()))
    assert p_value == pytest.approx(float(expected.pvalue))


def test_sees_a_column_that_moved_and_says_which() -> None:
    chance = np.random.default_rng(2)
    one, other = chance.normal(size=(2_000, 6)), chance.normal(size=(2_000, 6))
    other[:, 4] += 0.5
    found = told(one, other)
    assert found.auc > 0.6
    assert found.p_value < 1e-6
    assert int(found.shares.argmax()) == 4
    assert found.n == (1_000, 1_000)


def test_sees_columns_that_moved_only_together() -> None:
    chance = np.random.default_rng(3)
    one, other = chance.normal(size=(4_000, 3)), chance.normal(size=(4_000, 3))
    other[:, 1] = 0.9 * other[:, 0] + np.sqrt(1 - 0.81) * other[:, 1]  # the same by itself
    assert told(one, other).p_value < 1e-6


def test_scores_that_are_all_alike_say_nothing() -> None:
    assert separation.rank_test(np.ones(50), np.arange(50) < 20) == (0.5, 1.0)


def test_is_the_same_every_time() -> None:
    chance = np.random.default_rng(4)
    one, other = chance.normal(size=(200, 2)), chance.normal(size=(200, 2))
    assert told(one, other).auc == told(one, other).auc


def test_too_few_rows_are_no_answer() -> None:
    with pytest.raises(TooFew, match="39 rows"):
        told(np.zeros((39, 1)), np.zeros((400, 1)))
