"""What a metric has to be: scikit-learn's value, and the answer of `ci_ml.stats` to the examples in numpy."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn import metrics

from ci_ml.core import catalogue
from ci_ml.core.catalogue import Asked, Family, Task
from ci_ml.stats import (
    average_precision,
    calibration,
    classification,
    clusters,
    confusion,
    delong,
    design,
    flips,
    influence,
    means,
    quantiles,
)
from ci_ml.stats.confusion import Metric
from ci_ml.stats.counts import Counts
from ci_ml.stats.delong import ClusterPlacements
from ci_ml.stats.estimate import Difference, Estimate, NoVariance, Undefined, identical
from ci_ml.stats.influence import Influence, Totals
from ci_ml.stats.means import Pairs
from ci_ml.stats.proportion import wilson, wilson_ends
from ci_ml.stats.tango import PairedTable, tango
from tests.metrics.tables import CLASSES, Array, Table

EPSILON = float(np.finfo(float).eps)


def guess(table: Table, scores: Array) -> Array:
    """The predicted class."""
    if table.task is Task.BINARY:
        return (scores >= 0.5).astype(np.int64)
    return scores.argmax(axis=1)


# --- Values ---------------------------------------------------------------------------------------------------------


def value(table: Table, name: str, side: str) -> float:
    """The value of a side by scikit-learn, or where it has no such function by numpy."""
    asked, scores = catalogue.parse(name), table.base if side == "base" else table.head
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if table.task is Task.REGRESSION:
            return _regression(table, asked, scores, side)
        return float(_classification(table, asked, scores, side))


def _regression(table: Table, asked: Asked, scores: Array, side: str) -> float:
    share = float(asked.argument) if asked.name == "pinball" and asked.argument else 0.5
    return float(
        {
            "mae": metrics.mean_absolute_error,
            "mse": metrics.mean_squared_error,
            "rmse": metrics.root_mean_squared_error,
            "r2": metrics.r2_score,
            "mape": metrics.mean_absolute_percentage_error,
            "median_ae": metrics.median_absolute_error,
            "pinball": lambda label, guessed: metrics.mean_pinball_loss(label, guessed, alpha=share),
            "mean": lambda *_: table.columns(side)[str(asked.argument)].mean(),
        }[asked.name](table.label, scores)
    )


def _classification(table: Table, asked: Asked, scores: Array, side: str) -> float:
    label, chosen = table.label, guess(table, scores)
    classes = range(len(CLASSES)) if table.task is Task.MULTICLASS else [0, 1]
    which = CLASSES.index(asked.which) if asked.which else 1
    own = scores if table.task is Task.BINARY else scores[:, which]
    options = {"average": asked.average} if asked.average else {"labels": [which], "average": "macro"}
    outcome = label == which

    def averaged(function: Callable[..., float]) -> float:
        if asked.which or table.task is Task.BINARY:
            return function(outcome, own)
        return float(np.mean([function(label == one, scores[:, one]) for one in classes]))

    return {
        "accuracy": partial(metrics.accuracy_score, label, chosen),
        "error_rate": partial(metrics.zero_one_loss, label, chosen),
        "balanced_accuracy": partial(metrics.balanced_accuracy_score, label, chosen),
        "mcc": partial(metrics.matthews_corrcoef, label, chosen),
        "kappa": partial(metrics.cohen_kappa_score, label, chosen),
        "precision": partial(metrics.precision_score, label, chosen, **options),
        "recall": partial(metrics.recall_score, label, chosen, **options),
        "f1": partial(metrics.f1_score, label, chosen, **options),
        "specificity": partial(_specificity, label, chosen, asked, which),
        "selection_rate": lambda: (chosen == which).mean(),
        "false_positive_rate": lambda: (chosen == which)[~outcome].mean(),
        "flips_to_wrong": lambda: _flips(table, side)[0].mean(),
        "flips_to_right": lambda: _flips(table, side)[1].mean(),
        "log_loss": lambda: metrics.log_loss(label, scores, labels=classes),
        "brier": lambda: ((scores - (label if table.task is Task.BINARY else np.eye(4)[label])) ** 2).sum() / table.n,
        "roc_auc": partial(averaged, metrics.roc_auc_score),
        "average_precision": lambda: averaged(metrics.average_precision_score),
        "ece": lambda: _ece(*_sure(table, scores), int(asked.argument or 15)),
        "mean": lambda: table.columns(side)[str(asked.argument)].mean(),
    }[asked.name]()


def _specificity(label: Array, chosen: Array, asked: Asked, which: int) -> float:
    """The recall of not being of a class; scikit-learn has no averages of it."""
    present = sorted(set(label) | set(chosen))
    if asked.average is None:
        return metrics.recall_score(label != which, chosen != which)
    if asked.average == "micro":
        every = np.concatenate([[label != one, chosen != one] for one in _two(present)], axis=1)
        return metrics.recall_score(*every)
    values = np.array([metrics.recall_score(label != one, chosen != one) for one in present])
    weights = np.array([(label == one).sum() for one in present]) if asked.average == "weighted" else None
    return float(np.average(values, weights=weights))


def _two(present: list[int]) -> list[int]:
    return present if len(present) > 1 else [*present, -1]


def _flips(table: Table, side: str) -> tuple[Array, Array]:
    base, head = (guess(table, scores) == table.label for scores in (table.base, table.head))
    if side == "base":
        head = base
    return base & ~head, ~base & head


def _sure(table: Table, scores: Array) -> tuple[Array, Array]:
    if table.task is Task.BINARY:
        return scores, table.label
    return scores.max(axis=1), guess(table, scores) == table.label


def _ece(sure: Array, outcome: Array, bins: int) -> float:
    which = np.clip(np.ceil(sure * bins) - 1, 0, bins - 1)
    return sum(abs((sure - outcome)[which == one].sum()) for one in set(which)) / len(sure)


# --- Intervals ------------------------------------------------------------------------------------------------------


class Answer:
    """What `stats` says of one metric, from the examples."""

    def __init__(self, table: Table, name: str) -> None:
        self.table, self.asked = table, catalogue.parse(name)
        self.same = bool(np.array_equal(table.base, table.head))

    def difference(self, confidence: float) -> Difference:
        return self._of_family()[0](confidence)

    def value(self, confidence: float, head: bool) -> Estimate:
        return self._of_family()[1](confidence, head)

    def _of_family(self) -> tuple[Callable[[float], Difference], Callable[[float, bool], Estimate]]:
        return {
            Family.COUNTS: self._counts,
            Family.FLIPS: self._flips,
            Family.MEANS: self._means,
            Family.RANKS: self._ranks,
            Family.PRECISION_RECALL: self._average_precision,
            Family.CALIBRATION: self._calibration,
            Family.QUANTILES: self._quantiles,
        }[self.asked.known.family]()

    def _per_cluster(self, *columns: Array) -> Totals:
        table = self.table
        assert table.cluster is not None
        _, which = np.unique(table.cluster, return_inverse=True)
        sums = [np.bincount(which, weights=np.asarray(column, dtype=float)) for column in columns]
        return Totals.of(np.stack(sums, axis=1), n=table.n, clusters=True)

    def _unchanged(self, found: Difference) -> Difference:
        if not self.same:
            return found
        return identical(
            found.base,
            n=found.n,
            confidence=found.confidence,
            method=found.method,
            error=found.base_error,
            clusters=found.clusters,
        )

    @property
    def _which(self) -> int:
        return CLASSES.index(self.asked.which) if self.asked.which else 1

    def _counts(self):
        table = self.table
        label, base, head = table.label, guess(table, table.base), guess(table, table.head)
        if self.asked.name in ("selection_rate", "false_positive_rate"):
            rows = label != self._which if self.asked.name == "false_positive_rate" else np.ones(table.n, dtype=bool)
            return self._share(base == self._which, head == self._which, rows)
        counts = Counts.of_rows(label, base, head, 2 if table.task is Task.BINARY else len(CLASSES))
        which = self._which if self.asked.known.per_class and not self.asked.average else None
        metric = Metric(name=self.asked.name, average=self.asked.average, which=which)
        if table.cluster is None:
            return (
                lambda confidence: self._unchanged(classification.difference(counts, metric, confidence)),
                lambda confidence, head: classification.value(counts, metric, "head" if head else "base", confidence),
            )
        axes = (counts.label, counts.base, counts.head)
        cell = {key: index for index, key in enumerate(zip(*(axis.tolist() for axis in axes), strict=True))}
        place = [cell[key] for key in zip(label.tolist(), base.tolist(), head.tolist(), strict=True)]
        own, either = label == which, (base == which) | (head == which)
        parts = {"recall": own, "specificity": ~own, "precision": either, "f1": own | either}
        part = parts[metric.name] if which is not None else np.ones(table.n, dtype=bool)

        def linear() -> tuple[Influence, float, Array, Array]:
            points = [confusion.point(counts, metric, side) for side in ("base", "head")]
            one, two = (confusion.influence(counts, metric, side)[place] for side in ("base", "head"))
            n = int(part.sum()) if metric.name in ("recall", "specificity") else table.n
            totals = self.where(part)._per_cluster(one[part], two[part] - one[part])
            return _influence(totals, points, n), confusion.lowest(metric), one[part], two[part]

        def ends(worth: float, confidence: float) -> tuple[float, float]:
            """As of that many times fewer examples, all independent."""
            pairs = classification.proportion(counts, metric)
            if pairs is None:
                return design.counts(counts, metric, worth, confidence)
            low, high = design.proportions(pairs, worth, confidence)
            return (-high, -low) if metric.name == "error_rate" else (low, high)

        proportion = which is not None or metric.name in ("accuracy", "error_rate")
        fixed = metric.name in ("recall", "specificity", "accuracy", "error_rate")
        return self._linear(linear, ends, proportion=proportion, fixed=fixed)

    def where(self, rows: Array) -> "Answer":
        """The same for some of the examples."""
        return Answer(self.table.where(rows), str(self.asked))

    def _linear(self, linear, ends, *, proportion: bool, fixed: bool):
        """What is asked of linearized estimates over clusters, where no variance is not certainty."""

        def difference(confidence: float) -> Difference:
            found, _, one, two = linear()
            answer = influence.difference(found, method="clustered t", confidence=confidence)
            if not answer.identical:
                worth = _worth(found.delta_squares, two - one)
                return design.wider(answer, ends(worth, confidence))
            if self.same:
                return answer
            none = PairedTable(both_right=found.units, only_base=0, only_head=0, both_wrong=0)
            bound = tango(none, confidence)
            return replace(answer, low=bound.low, high=bound.high, standard_error=None, df=None, identical=False)

        def value(confidence: float, head: bool) -> Estimate:
            found, lowest, one, two = linear()
            point = found.base + found.delta * head
            if proportion and point in (0, 1):
                return _agreed(point, found.n, found.units, confidence)
            answer = influence.value(found, head=head, method="clustered t", confidence=confidence, within=(lowest, 1))
            if not (proportion and fixed):
                return answer
            squares = found.base_squares + (found.delta_squares + 2 * found.products) * head
            low, high = wilson_ends(point * found.n, found.n, confidence)
            worth = _worth(squares, two if head else one)
            if worth > 1:
                low, high = wilson_ends(point * found.n / worth, found.n / worth, confidence)
            return replace(answer, low=min(answer.low, low), high=max(answer.high, high))

        return difference, value

    def _share(self, base: Array, head: Array, rows: Array):
        if self.table.cluster is not None:

            def linear() -> tuple[Influence, float, Array, Array]:
                n = int(rows.sum())
                if not n:
                    raise Undefined("no example")
                points = [float(side[rows].mean()) for side in (base, head)]
                one, two = ((side[rows] - side[rows].mean()) / n for side in (base, head))
                return _influence(self.where(rows)._per_cluster(one, two - one), points, n), 0.0, one, two

            def ends(worth: float, confidence: float) -> tuple[float, float]:
                return design.proportions(_pairs(base, head, rows), worth, confidence)

            return self._linear(linear, ends, proportion=True, fixed=True)
        pairs = _pairs(base, head, rows)
        both, one, two = pairs.both_right, pairs.only_base, pairs.only_head
        return (
            lambda confidence: self._unchanged(tango(pairs, confidence)),
            lambda confidence, head: wilson(both + (two if head else one), pairs.n, confidence),
        )

    def _flips(self):
        flipped = _flips(self.table, "head")[self.asked.name == "flips_to_right"]
        many, n = int(flipped.sum()), self.table.n
        if self.table.cluster is None:
            return (
                lambda confidence: self._unchanged(flips.difference(many, n, confidence)),
                lambda confidence, head: flips.value(many, n, head=head, confidence=confidence),
            )
        totals = self._per_cluster(np.ones(n), flipped)

        def difference(confidence: float) -> Difference:
            if many or self.same:
                return flips.clustered_difference(totals, confidence)
            return replace(flips.difference(0, totals.units, confidence), n=n, clusters=totals.units)

        def value(confidence: float, head: bool) -> Estimate:
            if many and head:
                return flips.clustered_value(totals, head=head, confidence=confidence)
            return _agreed(0, n, totals.units, confidence)

        return difference, value

    def _numbers(self, side: str) -> Array:
        """The number of each example whose mean the metric is."""
        table, scores = self.table, self.table.base if side == "base" else self.table.head
        label, error = table.label, scores - table.label if table.task is not Task.MULTICLASS else 0.0
        share = float(self.asked.argument) if self.asked.name == "pinball" and self.asked.argument else 0.5
        own = (
            scores[np.arange(table.n), label]
            if table.task is Task.MULTICLASS
            else np.where(label == 1, scores, 1 - scores)
        )
        return {
            "mean": lambda: table.columns(side)[str(self.asked.argument)],
            "log_loss": lambda: -np.log(np.clip(own, EPSILON, 1 - EPSILON)),
            "brier": lambda: error**2 if table.task is Task.BINARY else ((scores - np.eye(4)[label]) ** 2).sum(axis=1),
            "mae": lambda: np.abs(error),
            "mse": lambda: error**2,
            "rmse": lambda: error**2,
            "r2": lambda: error**2,
            "mape": lambda: np.abs(error) / np.maximum(np.abs(label), EPSILON),
            "pinball": lambda: np.maximum(-error * share, error * (1 - share)),
        }[self.asked.name]()

    def _means(self):
        base, head = self._numbers("base"), self._numbers("head")
        ones = np.ones(self.table.n)
        if self.asked.name == "r2":
            spread = (self.table.label - self.table.label.mean()) ** 2
            columns = (spread, base, head - base)
            if self.table.cluster is None:
                totals = Totals.of(np.stack(columns, axis=1), n=self.table.n)
            else:
                totals = self._per_cluster(*columns)
            return (
                lambda confidence: means.r_squared(totals, confidence),
                lambda confidence, head: means.r_squared_value(totals, head=head, confidence=confidence),
            )
        root = self.asked.name == "rmse"
        if self.table.cluster is not None:
            totals = self._per_cluster(ones, base, head - base)
            difference = clusters.root_mean_difference if root else clusters.mean_difference
            one = clusters.root_mean_value if root else clusters.mean_value

            def changed(confidence: float) -> Difference:
                answer = difference(totals, confidence)
                if answer.identical and (base != head).any():
                    raise NoVariance("changes that cancel in each cluster")
                return answer

            return changed, lambda confidence, head: one(totals, head=head, confidence=confidence)
        if str(self.asked) == "mean(passed)":
            return self._share(base > 0, head > 0, ones > 0)
        pairs = Pairs.of(base, head)

        def side(confidence: float, of_head: bool) -> Estimate:
            mean, variance = (pairs.head, pairs.head_variance) if of_head else (pairs.base, pairs.base_variance)
            return (means.root_mean_value if root else means.mean)(pairs.n, mean, variance, confidence)

        return lambda confidence: (means.root_mean if root else means.paired_t)(pairs, confidence), side

    def _one_against_rest(self) -> tuple[Array, Array, Array]:
        table = self.table
        if table.task is Task.BINARY:
            return table.label == 1, table.base, table.head
        return table.label == self._which, table.base[:, self._which], table.head[:, self._which]

    def _ranks(self):
        table = self.table
        if table.task is Task.MULTICLASS and self.asked.which is None:
            return self._macro_auc()
        truth, base, head = self._one_against_rest()
        one, two = delong.placements(truth, base), delong.placements(truth, head)
        same = bool(np.array_equal(one, two))
        if table.cluster is not None:
            up = truth.astype(float)
            columns = (up, up * one, up * (two - one), 1 - up, (1 - up) * one, (1 - up) * (two - one))
            sums = ClusterPlacements(
                totals=self._per_cluster(*columns),
                with_positives=len(set(table.cluster[truth])),
                with_negatives=len(set(table.cluster[~truth])),
            )
            return (
                lambda confidence: delong.clustered_difference(sums, confidence, identical=same),
                lambda confidence, head: delong.clustered_value(sums, confidence, head=head),
            )
        classes = Pairs.of(one[truth], two[truth]), Pairs.of(one[~truth], two[~truth])
        return (
            lambda confidence: delong.auc_difference(*classes, confidence, identical=same),
            lambda confidence, head: delong.auc_value(*classes, confidence, head=head),
        )

    def _macro_auc(self):
        table = self.table
        if table.cluster is not None:
            return self._macro_auc_of_clusters()
        strata = delong.macro_of_scores(table.label, table.base, table.head)
        same = all(
            np.array_equal(
                delong.placements(table.label == one, table.base[:, one]),
                delong.placements(table.label == one, table.head[:, one]),
            )
            for one in range(len(CLASSES))
        )
        return (
            lambda confidence: delong.macro_difference(strata, confidence, identical=same),
            lambda confidence, head: delong.macro_value(strata, confidence, head=head),
        )

    def _macro_auc_of_clusters(self):
        table = self.table
        points, moved = [], []
        for scores in (table.base, table.head):
            numbers, aucs = np.zeros(table.n), []
            for one in range(len(CLASSES)):
                own = table.label == one
                placed = delong.placements(own, scores[:, one])
                aucs.append(placed[own].mean())
                numbers += (placed - aucs[-1]) * np.where(own, 1 / own.sum(), 1 / (~own).sum()) / len(CLASSES)
            points.append(float(np.mean(aucs)))
            moved.append(numbers)
        found = _influence(self._per_cluster(moved[0], moved[1] - moved[0]), points, table.n)
        return (
            lambda confidence: influence.difference(found, method="clustered t", confidence=confidence),
            lambda confidence, head: influence.value(
                found, head=head, method="clustered t", confidence=confidence, within=(0, 1)
            ),
        )

    def _average_precision(self):
        table = self.table
        if table.task is Task.BINARY or self.asked.which:
            parts = [self._one_against_rest()]
        else:
            parts = [(table.label == one, table.base[:, one], table.head[:, one]) for one in range(len(CLASSES))]
        sides = [[average_precision.influences(truth, scores[side]) for truth, *scores in parts] for side in (0, 1)]
        points = [float(np.mean([point for point, _ in side])) for side in sides]
        one, two = (np.mean([moved for _, moved in side], axis=0) for side in sides)
        if table.cluster is None:
            totals = Totals.of(np.stack([one, two - one], axis=1), n=table.n)
        else:
            totals = self._per_cluster(one, two - one)
        found = _influence(totals, points, table.n)
        if table.cluster is None:
            least = min(int(truth.sum()) for truth, *_ in parts)
        else:
            least = min(len(set(table.cluster[truth])) for truth, *_ in parts)
        return (
            lambda confidence: average_precision.difference(found, least, confidence),
            lambda confidence, head: average_precision.value(found, least, head=head, confidence=confidence),
        )

    def _calibration(self):
        (one, base), (two, head) = (_sure(self.table, scores) for scores in (self.table.base, self.table.head))
        bins = calibration.of_rows(one, base, two, head, int(self.asked.argument or 15))
        return (
            lambda confidence: calibration.difference(bins, confidence),
            lambda confidence, head: calibration.value(bins, head=head, confidence=confidence),
        )

    def _quantiles(self):
        table = self.table
        base, head = np.abs(table.base - table.label), np.abs(table.head - table.label)

        def difference(confidence: float) -> Difference:
            one, two = (quantiles.of_rows(errors, 0.5, confidence) for errors in (base, head))
            below = int(((base <= one.value) & (head <= two.value)).sum())
            same = bool(np.array_equal(base, head))
            return quantiles.difference(
                one, two, n=table.n, both_below=below, quantile=0.5, confidence=confidence, same=same
            )

        return difference, lambda confidence, of_head: quantiles.value(
            quantiles.of_rows(head if of_head else base, 0.5, confidence), n=table.n, confidence=confidence
        )


def _pairs(base: Array, head: Array, rows: Array) -> PairedTable:
    parts = (base & head, base & ~head, ~base & head, ~base & ~head)
    both, one, two, none = (int((part & rows).sum()) for part in parts)
    return PairedTable(both_right=both, only_base=one, only_head=two, both_wrong=none)


def _worth(clustered: float, moved: Array) -> float:
    """The design effect: how much more clusters vary than their examples would alone."""
    alone = float((moved**2).sum())
    return min(max(clustered / alone, 1.0), max(len(moved) / 2, 1.0)) if alone else 1.0


def _influence(totals: Totals, points: list[float], n: int) -> Influence:
    return Influence(
        n=n,
        units=totals.units,
        base=points[0],
        delta=points[1] - points[0],
        base_squares=totals.products[0, 0],
        delta_squares=totals.products[1, 1],
        products=totals.products[0, 1],
        clusters=totals.clusters,
    )


def _agreed(value: float, n: int, units: int, confidence: float) -> Estimate:
    """No cluster differs from another."""
    return replace(wilson(round(value * units), units, confidence), n=n, clusters=units, standard_error=None)
