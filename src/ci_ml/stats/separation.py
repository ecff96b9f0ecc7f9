"""Can two sets of examples be told apart? A linear classifier on fixed features, judged on examples it did not see.

Layer: stats. Lopez-Paz and Oquab (2017, ICLR, "Revisiting classifier two-sample tests"), with ranks in place of
accuracy: if both sets have one distribution, the score of an example says nothing about its set, whatever the
classifier learnt, and the ranks of the scores have Mann and Whitney's distribution.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ci_ml.stats.delong import midranks
from ci_ml.stats.estimate import TooFew
from ci_ml.stats.special import normal_cdf

Matrix = NDArray[np.float64]

# Each side lends half of its examples to learning, and half to judging.
LEAST = 40
_RANDOM = 64
_RIDGE = 1.0


@dataclass(frozen=True, kw_only=True)
class Separation:
    """The ROC-AUC on examples that were not learnt from, its one-sided p-value, and how many of each set there were.

    `shares` say for each group of features how much it contributes to the difference of the mean scores.
    """

    auc: float
    p_value: float
    n: tuple[int, int]
    shares: NDArray[np.float64]


def separation(features: Matrix, second: NDArray[np.bool_], groups: NDArray[np.int64], seed: int) -> Separation:
    """Learn on half of the examples, and judge on the others.

    `features` (shape: examples x features) are of order 1, `second` says which examples are of the second set, `groups`
    (shape: features) which features belong together. Raises TooFew for fewer than `LEAST` examples of a set.
    """
    count = int(second.sum()), len(second) - int(second.sum())
    if min(count) < LEAST:
        raise TooFew(f"{min(count)} rows on a side, where a classifier needs {LEAST}")
    chance = np.random.default_rng(seed)
    learns = np.zeros(len(second), dtype=bool)
    for side in (second, ~second):
        places = chance.permutation(np.flatnonzero(side))
        learns[places[: len(places) // 2]] = True
    known = _standard(features, learns)
    wide = np.hstack([known, _crossed(known, chance)])
    weights = _ridge(wide[learns], second[learns])
    scores = wide[~learns] @ weights
    truth = second[~learns]
    away = known[~learns] * weights[: known.shape[1]]
    moved = np.abs(np.bincount(groups, weights=away[truth].mean(axis=0) - away[~truth].mean(axis=0)))
    auc, p_value = rank_test(scores, truth)
    return Separation(auc=auc, p_value=p_value, n=(int((~truth).sum()), int(truth.sum())), shares=moved)


def _standard(features: Matrix, learns: NDArray[np.bool_]) -> Matrix:
    mean, spread = features[learns].mean(axis=0), features[learns].std(axis=0)
    # A feature that hardly anybody has would count for too much once it is scaled.
    standard: Matrix = (features - mean) / np.maximum(spread, 0.05)
    return standard


def _crossed(known: Matrix, chance: np.random.Generator) -> Matrix:
    """Random functions of a few features each: what moved together, and is seen in no feature by itself."""
    width = known.shape[1]
    weights = np.zeros((width, _RANDOM))
    for column in range(_RANDOM):
        chosen = chance.choice(width, size=min(width, 3), replace=False)
        weights[chosen, column] = chance.normal(size=len(chosen))
    crossed = np.tanh(known @ weights + chance.normal(size=_RANDOM)) * np.sqrt(2.0)
    centered: Matrix = crossed - crossed.mean(axis=0)
    return centered


def _ridge(features: Matrix, second: NDArray[np.bool_]) -> NDArray[np.float64]:
    goal = second - second.mean()
    gram = features.T @ features
    gram[np.diag_indices_from(gram)] += _RIDGE * math.sqrt(len(features))
    answer: NDArray[np.float64] = np.linalg.solve(gram, features.T @ goal)
    return answer


def rank_test(scores: NDArray[np.float64], second: NDArray[np.bool_]) -> tuple[float, float]:
    """The ROC-AUC, and the chance of one as large if scores say nothing: Mann and Whitney's test, ties and all."""
    n, m = int(second.sum()), int((~second).sum())
    ranks = midranks(scores)
    auc = (float(ranks[second].sum()) - n * (n + 1) / 2) / (n * m)
    _, ties = np.unique(ranks, return_counts=True)
    whole = n + m
    tied = float((ties.astype(float) ** 3 - ties).sum()) / (whole * (whole - 1))
    variance = (whole + 1 - tied) / (12.0 * n * m)
    if variance <= 0:
        return auc, 1.0
    return auc, normal_cdf(-(auc - 0.5) / math.sqrt(variance))
