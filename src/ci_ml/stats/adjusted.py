"""The delta method for counts, adjusted for few changes. Layer: stats.

With few changes a bootstrap cannot imagine a change that it has not seen. Like Agresti and Min's (2005) and Bonett and
Price's (2012, JEBS 37:479) intervals of paired proportions, this one adds a pseudo-example per direction of change,
and it corrects for skewness as far as BCa does (Efron 1987, JASA 82:171).
"""

import math

import numpy as np

from ci_ml.stats.confusion import Metric, influence, of_side
from ci_ml.stats.counts import Counts
from ci_ml.stats.normal import critical
from ci_ml.stats.scores import Array


def padded(counts: Counts) -> Counts:
    """The table with a pseudo-example per direction of change.

    Two classes: one in each of the four cells in which the sides differ. More classes: as many (4) in all, over the
    changes that were seen, their mirror images, and, where both sides are wrong, those in which either is right.
    """
    if counts.classes == 2:
        extra = [(label, base, 1 - base, 1.0) for label in (0, 1) for base in (0, 1)]
    else:
        extra = _likely(counts)
    added = np.array(extra)
    axes = (counts.label, counts.base, counts.head)
    label, base, head = (np.concatenate([axis, added[:, at].astype(np.int64)]) for at, axis in enumerate(axes))
    return Counts(counts.classes, label, base, head, np.concatenate([counts.count, added[:, 3]]))


def _likely(counts: Counts) -> list[tuple[int, int, int, float]]:
    found: list[tuple[int, int, int, float]] = []
    for at in np.flatnonzero(counts.base != counts.head).tolist():
        label, base, head = int(counts.label[at]), int(counts.base[at]), int(counts.head[at])
        cells = [(label, base, head), (label, head, base)]
        if label not in {base, head}:
            cells += [(label, label, base), (label, base, label), (label, label, head), (label, head, label)]
        found += [(*cell, float(counts.count[at]) / len(cells)) for cell in cells]
    factor = 4 / math.fsum(weight for *_, weight in found)
    return [(label, base, head, weight * factor) for label, base, head, weight in found]


def errors(counts: Counts, metric: Metric) -> tuple[float, float, float]:
    """Standard errors of base, head and difference, by the plain delta method."""
    base, head = (influence(counts, metric, side) for side in ("base", "head"))
    return _error(counts, base), _error(counts, head), _error(counts, head - base)


def side_error(counts: Counts, metric: Metric, side: str) -> float:
    """The standard error of one side, by the plain delta method."""
    return _error(counts, influence(counts, metric, side))


def _error(counts: Counts, influences: Array) -> float:
    total = float(counts.count.sum())
    return math.sqrt(float(counts.count @ influences**2) * total / (total - 1))


def ends(counts: Counts, metric: Metric, confidence: float) -> tuple[float, float]:
    """Both ends of the interval of head - base."""
    table = padded(counts)
    center = float(of_side(table.side(table.head), metric) - of_side(table.side(table.base), metric))
    change = influence(table, metric, "head") - influence(table, metric, "base")
    return skewed(center, table.count, change, critical(confidence))


def skewed(center: float, count: Array, influences: Array, z: float) -> tuple[float, float]:
    """Center ± z standard errors, moved by the skewness; `count` examples of each influence."""
    total = float(count.sum())
    squares = float(count @ influences**2)
    error = math.sqrt(squares * total / (total - 1))
    if error == 0:
        return center, center
    move = (2 * z**2 + 1) / 6 * float(count @ influences**3) / squares
    return center - z * error + move, center + z * error + move


def side_ends(counts: Counts, metric: Metric, side: str, confidence: float) -> tuple[float, float]:
    """Both ends of the interval of one side's value.

    The table gains z² pseudo-examples (Agresti and Coull 1998), spread as if labels and predictions were independent.
    """
    z = critical(confidence)
    guess = counts.base if side == "base" else counts.head
    here = counts.side(guess)
    labels, guesses = (np.flatnonzero(part) for part in (here.labels, here.predictions))
    joint = np.outer(here.labels[labels], here.predictions[guesses]) * (z / counts.n) ** 2
    label = np.concatenate([counts.label, np.repeat(labels, len(guesses))])
    guess = np.concatenate([guess, np.tile(guesses, len(labels))])
    table = Counts(counts.classes, label, guess, guess, np.concatenate([counts.count, joint.ravel()]))
    center = float(of_side(table.side(guess), metric))
    return skewed(center, table.count, influence(table, metric, "head"), z)
