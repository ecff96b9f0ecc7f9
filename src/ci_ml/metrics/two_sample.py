"""Samples of two tables as features, for a classifier that tries to tell them apart. Layer: metrics.

Numbers become their rank among all rows, so that no outlier and no unit counts, and its square; categories a feature
each, the most frequent ones; and that a value is missing is a feature, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ci_ml.core.kinds import Kind
from ci_ml.metrics.profiles import SEED, Sample
from ci_ml.stats import separation
from ci_ml.stats.separation import Separation

_CATEGORIES = 8


def two_sample(reference: Sample, current: Sample, kinds: Mapping[str, Kind]) -> tuple[Separation, list[str]]:
    """How well the rows are told apart by the columns in `kinds`, and by which columns mostly.

    Raises TooFew for samples that are too small to learn from.
    """
    names = list(kinds)
    blocks = []
    groups: list[int] = []
    for at, name in enumerate(names):
        values = [row[name] for side in (reference, current) for row in side]
        block = _ranked(values) if kinds[name].counted else _dummies(values)
        blocks.append(block)
        groups += [at] * block.shape[1]
    second = np.repeat([False, True], [len(reference), len(current)])
    found = separation.separation(np.hstack(blocks), second, np.array(groups, dtype=np.int64), SEED)
    order = np.argsort(-found.shares, kind="stable")
    most = found.shares.max(initial=0.0)
    return found, [names[at] for at in order[:3] if found.shares[at] > most / 4]


def _ranked(values: Sequence[Any]) -> NDArray[np.float64]:
    """The rank of every number from -1 to 1, how far it is from the middle, and whether there is one."""
    given = np.array([np.nan if value is None else value for value in values], dtype=float)
    there = np.isfinite(given)
    ordered = np.sort(given[there])
    rank = (np.searchsorted(ordered, given, "left") + np.searchsorted(ordered, given, "right")) / max(len(ordered), 1)
    rank = np.where(there, rank - 1, 0.0)
    return np.column_stack([rank, np.where(there, rank**2 - 1 / 3, 0.0), ~there])


def _dummies(values: Sequence[Any]) -> NDArray[np.float64]:
    """A feature for each of the most frequent categories, and one for all others but the first."""
    names, places, counts = np.unique(
        np.array(["" if value is None else f"={value}" for value in values], dtype=object).astype(str),
        return_inverse=True,
        return_counts=True,
    )
    order = np.argsort(-counts, kind="stable")[:_CATEGORIES]
    where = np.full(len(names), len(order))
    where[order] = np.arange(len(order))
    features = np.zeros((len(values), len(order) + 1))
    features[np.arange(len(values)), where[places]] = 1.0
    return features
