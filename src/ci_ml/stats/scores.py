"""Classification metrics as functions of hits, labels and predictions per class, and their slopes. Layer: stats.

For K classes and a side, all that these metrics need of its confusion matrix is, per class, how many examples were
hit (t), are labelled (s), were predicted (p), and how many there are (n). Arrays have shape (..., K), with n (...).

0/0 is written NaN in here, and `counts` turns it into `Undefined`. Averages over classes follow scikit-learn: they run
over classes that this side labels or predicts; a class never predicted has precision 0, one never labelled recall 0;
balanced accuracy runs over labelled classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side's hits, labels and predictions per class (shape: (..., K)), and the examples (shape: (...))."""

    hits: Array
    labels: Array
    predictions: Array
    n: Array


@dataclass(frozen=True, kw_only=True)
class Slope:
    """Slopes of a metric in hits, labels and predictions of each class (shape: K), and in n."""

    hits: Array
    labels: Array
    predictions: Array
    n: float = 0.0


def _over(above: Array, below: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def precision(side: Side) -> Array:
    """Hits over predictions, per class."""
    return _over(side.hits, side.predictions)


def recall(side: Side) -> Array:
    """Hits over labels, per class."""
    return _over(side.hits, side.labels)


def specificity(side: Side) -> Array:
    """Of the examples of other classes, the share not taken for this one, per class."""
    others = side.n[..., None] - side.labels
    return _over(others - side.predictions + side.hits, others)


def f1(side: Side) -> Array:
    """Harmonic mean of precision and recall, per class."""
    return _over(2 * side.hits, side.labels + side.predictions)


def accuracy(side: Side) -> Array:
    """The share of hits."""
    return _over(side.hits.sum(axis=-1), side.n)


def balanced_accuracy(side: Side) -> Array:
    """The mean recall of labelled classes; NaN with fewer than two of them."""
    labelled = side.labels > 0
    count = labelled.sum(axis=-1)
    return np.where(count > 1, np.where(labelled, recall(side), 0).sum(axis=-1) / np.maximum(count, 1), np.nan)


def _disagreement(side: Side) -> tuple[Array, Array, Array, Array]:
    """How often two examples' classes differ: an example's own two, any label and prediction, predictions, labels.

    1 - Σp² and the like, as sums that do not cancel when nearly all examples have one class.
    """
    n = side.n[..., None]
    labels, predictions = side.labels / n, side.predictions / n
    unlike = (n - side.predictions) / n
    chance, predicted = (labels * unlike).sum(axis=-1), (predictions * unlike).sum(axis=-1)
    wrong = (side.n - side.hits.sum(axis=-1)) / side.n
    return wrong, chance, predicted, (labels * (n - side.labels) / n).sum(axis=-1)


_ROUNDING = 1e-15


def mcc(side: Side) -> Array:
    """Matthews' correlation coefficient, for K classes R_K (Gorodkin 2004, Comput. Biol. Chem. 28:367)."""
    wrong, chance, predicted, labelled = _disagreement(side)
    product = np.where((predicted > _ROUNDING) & (labelled > _ROUNDING), predicted * labelled, 0)
    return _over(chance - wrong, np.sqrt(product))


def kappa(side: Side) -> Array:
    """Cohen's kappa (1960)."""
    wrong, chance, _, _ = _disagreement(side)
    return 1 - _over(wrong, np.where(chance > _ROUNDING, chance, 0))


PER_CLASS: dict[str, Callable[[Side], Array]] = {
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "f1": f1,
}
OVERALL: dict[str, Callable[[Side], Array]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "mcc": mcc,
    "kappa": kappa,
}


def average(side: Side, metric: str, how: str) -> Array:
    """The `macro` or `weighted` (by labels) average of a metric per class."""
    values = PER_CLASS[metric](side)
    if metric != "specificity":  # which is 0/0 only where there is no other class to average with
        values = np.nan_to_num(values, nan=0.0)
    weights = side.labels if how == "weighted" else ((side.labels > 0) | (side.predictions > 0)).astype(float)
    return _over((weights * values).sum(axis=-1), weights.sum(axis=-1))


def class_slopes(side: Side, metric: str) -> tuple[Array, Array, Array, Array]:
    """Slopes of each class's value in its own hits, labels, predictions, and in n (shape: K each); 0 where 0/0."""
    t, s, p, n = side.hits, side.labels, side.predictions, float(side.n)
    zero = np.zeros_like(t)
    if metric == "precision":
        slopes = (_over(zero + 1, p), zero, -_over(t, p**2), zero)
    elif metric == "recall":
        slopes = (_over(zero + 1, s), -_over(t, s**2), zero, zero)
    elif metric == "f1":
        both = -_over(2 * t, (s + p) ** 2)
        slopes = (_over(zero + 2, s + p), both, both, zero)
    else:
        one, wrong = _over(zero + 1, n - s), _over(p - t, (n - s) ** 2)
        slopes = (one, -wrong, -one, wrong)
    hits, labels, predictions, total = (np.nan_to_num(slope, nan=0.0) for slope in slopes)
    return hits, labels, predictions, total


def average_slope(side: Side, metric: str, how: str) -> Slope:
    """The slope of `average`."""
    hits, labels, predictions, total = class_slopes(side, metric)
    if how == "macro":
        weights = ((side.labels > 0) | (side.predictions > 0)) / np.count_nonzero(side.labels + side.predictions)
        direct = np.zeros_like(hits)
    else:
        weights = side.labels / side.n
        values = np.nan_to_num(PER_CLASS[metric](side), nan=0.0)
        direct = (values - (weights * values).sum()) / side.n
    return Slope(
        hits=weights * hits,
        labels=weights * labels + direct,
        predictions=weights * predictions,
        n=float((weights * total).sum()),
    )


def class_slope(side: Side, metric: str, which: int) -> Slope:
    """The slope of one class's value."""
    only = np.arange(len(side.hits)) == which
    hits, labels, predictions, total = class_slopes(side, metric)
    return Slope(hits=hits * only, labels=labels * only, predictions=predictions * only, n=float(total[which]))


def overall_slope(side: Side, metric: str) -> Slope:
    """The slope of a metric that is one number for all classes."""
    n = float(side.n)
    ones = np.ones_like(side.hits)
    if metric == "accuracy":
        return Slope(hits=ones / n, labels=0 * ones, predictions=0 * ones, n=-float(side.hits.sum()) / n**2)
    if metric == "balanced_accuracy":
        weights = (side.labels > 0) / np.count_nonzero(side.labels)
        hits, labels, _, _ = class_slopes(side, "recall")
        return Slope(hits=weights * hits, labels=weights * labels, predictions=0 * ones)
    shares = Side(hits=side.hits / n, labels=side.labels / n, predictions=side.predictions / n, n=np.asarray(1.0))
    slope = (_mcc_slope if metric == "mcc" else _kappa_slope)(shares)
    return Slope(hits=slope.hits / n, labels=slope.labels / n, predictions=slope.predictions / n, n=slope.n / n)


def _mcc_slope(side: Side) -> Slope:
    wrong, chance, predicted, labelled = (float(part) for part in _disagreement(side))
    root, above = (predicted * labelled) ** 0.5, chance - wrong
    return Slope(
        hits=np.ones_like(side.hits) / root,
        labels=(above * side.labels / labelled - side.predictions) / root,
        predictions=(above * side.predictions / predicted - side.labels) / root,
        n=(1 - wrong - above * (1 / predicted + 1 / labelled)) / root,
    )


def _kappa_slope(side: Side) -> Slope:
    wrong, chance, _, _ = (float(part) for part in _disagreement(side))
    toward = -wrong / chance**2
    return Slope(
        hits=np.ones_like(side.hits) / chance,
        labels=toward * side.predictions,
        predictions=toward * side.labels,
        n=(1 - wrong) / chance - 2 * (chance - wrong) / chance**2,
    )
