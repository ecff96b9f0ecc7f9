"""The metrics of tables of predictions: their names, what they need, and which way they are better. Layer: core.

How each is aggregated, and which interval judges it, is in `ci_ml.metrics`, one family per file.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ci_ml.core.types import Direction


class Task(StrEnum):
    """What a table's predictions are about."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Family(StrEnum):
    """What is aggregated together, and judged in the same way."""

    COUNTS = "counts"
    FLIPS = "flips"
    MEANS = "means"
    RANKS = "ranks"
    PRECISION_RECALL = "precision_recall"
    CALIBRATION = "calibration"
    QUANTILES = "quantiles"
    GAPS = "gaps"


class Needs(StrEnum):
    """What a metric reads of a prediction."""

    CLASS = "class"
    SCORE = "score"
    VALUE = "value"
    COLUMN = "column"


_TWO = frozenset({Task.BINARY, Task.MULTICLASS})
_VALUES = frozenset({Task.REGRESSION})
_ALL = _TWO | _VALUES
_AVERAGES = ("macro", "micro", "weighted")


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a metric by its name.

    `direction` is None where only the user knows it. `per_class`: over several classes it needs an average or a class.
    `rate`: a share of examples, whose changes are percentage points. `clustered`: it has an interval for examples that
    come in clusters. `argument` is what may stand in parentheses.
    """

    family: Family
    direction: Direction | None
    tasks: frozenset[Task] = _TWO
    needs: Needs = Needs.CLASS
    per_class: bool = False
    averages: tuple[str, ...] = ()
    rate: bool = False
    clustered: bool = True
    argument: str | None = None


def _counts(
    direction: Direction | None, *, rate: bool = False, per_class: bool = False, averages: bool = False
) -> Known:
    return Known(
        family=Family.COUNTS,
        direction=direction,
        rate=rate,
        per_class=per_class,
        averages=_AVERAGES if averages else (),
    )


_UP, _DOWN = Direction.HIGHER, Direction.LOWER

METRICS: dict[str, Known] = {
    "accuracy": _counts(_UP, rate=True),
    "error_rate": _counts(_DOWN, rate=True),
    "precision": _counts(_UP, rate=True, per_class=True, averages=True),
    "recall": _counts(_UP, rate=True, per_class=True, averages=True),
    "specificity": _counts(_UP, rate=True, per_class=True, averages=True),
    "f1": _counts(_UP, per_class=True, averages=True),
    "balanced_accuracy": _counts(_UP),
    "mcc": _counts(_UP),
    "kappa": _counts(_UP),
    "selection_rate": _counts(None, rate=True, per_class=True),
    "false_positive_rate": _counts(_DOWN, rate=True, per_class=True),
    "flips_to_wrong": Known(family=Family.FLIPS, direction=_DOWN, rate=True),
    "flips_to_right": Known(family=Family.FLIPS, direction=_UP, rate=True),
    "log_loss": Known(family=Family.MEANS, direction=_DOWN, needs=Needs.SCORE),
    "brier": Known(family=Family.MEANS, direction=_DOWN, needs=Needs.SCORE),
    "roc_auc": Known(family=Family.RANKS, direction=_UP, needs=Needs.SCORE, averages=("macro",), per_class=True),
    "average_precision": Known(
        family=Family.PRECISION_RECALL, direction=_UP, needs=Needs.SCORE, averages=("macro",), per_class=True
    ),
    "ece": Known(
        family=Family.CALIBRATION, direction=_DOWN, needs=Needs.SCORE, clustered=False, argument="number of bins"
    ),
    "mae": Known(family=Family.MEANS, direction=_DOWN, tasks=_VALUES, needs=Needs.VALUE),
    "mse": Known(family=Family.MEANS, direction=_DOWN, tasks=_VALUES, needs=Needs.VALUE),
    "rmse": Known(family=Family.MEANS, direction=_DOWN, tasks=_VALUES, needs=Needs.VALUE),
    "r2": Known(family=Family.MEANS, direction=_UP, tasks=_VALUES, needs=Needs.VALUE),
    "mape": Known(family=Family.MEANS, direction=_DOWN, tasks=_VALUES, needs=Needs.VALUE),
    "pinball": Known(family=Family.MEANS, direction=_DOWN, tasks=_VALUES, needs=Needs.VALUE, argument="quantile"),
    "median_ae": Known(family=Family.QUANTILES, direction=_DOWN, tasks=_VALUES, needs=Needs.VALUE, clustered=False),
    "mean": Known(family=Family.MEANS, direction=None, tasks=_ALL, needs=Needs.COLUMN, argument="column"),
    "custom": Known(family=Family.MEANS, direction=None, tasks=_ALL, needs=Needs.COLUMN, argument="name"),
    "demographic_parity": Known(family=Family.GAPS, direction=_DOWN, rate=True),
    "equal_opportunity": Known(family=Family.GAPS, direction=_DOWN, rate=True),
    "equalized_odds": Known(family=Family.GAPS, direction=_DOWN, rate=True),
}

# Whose gaps the named fairness criteria are (Hardt, Price and Srebro 2016); of two metrics the larger gap.
CRITERIA: dict[str, tuple[str, ...]] = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("recall",),
    "equalized_odds": ("recall", "false_positive_rate"),
}

# What scikit-learn calls them: its functions, and its scorers where the sign is the same.
ALIASES: dict[str, str] = {
    "accuracy_score": "accuracy",
    "zero_one_loss": "error_rate",
    "precision_score": "precision",
    "recall_score": "recall",
    "f1_score": "f1",
    "balanced_accuracy_score": "balanced_accuracy",
    "matthews_corrcoef": "mcc",
    "cohen_kappa_score": "kappa",
    "brier_score_loss": "brier",
    "roc_auc_score": "roc_auc",
    "roc_auc_ovr": "roc_auc_macro",
    "average_precision_score": "average_precision",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
    "mean_absolute_percentage_error": "mape",
    "median_absolute_error": "median_ae",
    "mean_pinball_loss": "pinball",
}

# What else people call them, for who is told that there is no such metric.
_MEANT: dict[str, str] = {
    "acc": "accuracy",
    "auc": "roc_auc",
    "auc_roc": "roc_auc",
    "auprc": "average_precision",
    "auroc": "roc_auc",
    "error": "error_rate",
    "fpr": "false_positive_rate",
    "logloss": "log_loss",
    "map": "average_precision",
    "pr_auc": "average_precision",
    "sensitivity": "recall",
    "tpr": "recall",
}

_FORM = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(?:\[(?P<which>.+)\]|\((?P<argument>.+)\))?", re.DOTALL)


@dataclass(frozen=True, kw_only=True, order=True)
class Asked:
    """A metric as a gate asks for it: its name, and an average, a class or an argument where it has one."""

    name: str
    average: str | None = None
    which: str | None = None
    argument: str | None = None

    @property
    def known(self) -> Known:
        """What is known of it."""
        return METRICS[self.name]

    def __str__(self) -> str:
        if self.which is not None:
            return f"{self.name}[{self.which}]"
        if self.argument is not None:
            return f"{self.name}({self.argument})"
        return f"{self.name}_{self.average}" if self.average else self.name


class UnknownMetric(ValueError):
    """No metric has this name; `close` is one that nearly does."""

    def __init__(self, text: str, close: str | None = None) -> None:
        super().__init__(f"unknown metric {text}{f'; did you mean {close}?' if close else ''}")
        self.close = close


def parse(text: str) -> Asked:
    """`f1_macro`, `recall[cat]`, `pinball(0.9)` or a name of scikit-learn's.

    Raises UnknownMetric, or another ValueError that says what is wrong.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UnknownMetric(text, _close(text.strip().lower()))
    name = ALIASES.get(match["name"], match["name"])
    average = None
    for suffix in _AVERAGES:
        if name not in METRICS and name.endswith(f"_{suffix}"):
            name, average = ALIASES.get(name.removesuffix(f"_{suffix}"), name.removesuffix(f"_{suffix}")), suffix
    if name not in METRICS:
        raise UnknownMetric(text, _close(match["name"]))
    asked = Asked(name=name, average=average, which=match["which"], argument=match["argument"])
    if problem := _problem(asked):
        raise ValueError(problem)
    return asked


def _close(name: str) -> str | None:
    averaged = (f"{metric}_{average}" for metric, known in METRICS.items() for average in known.averages)
    found = difflib.get_close_matches(name, [*METRICS, *ALIASES, *averaged], n=1)
    return _MEANT.get(name) or next(iter(found), None)


def _problem(asked: Asked) -> str | None:
    known = asked.known
    if asked.average and asked.average not in known.averages:
        return f"{asked.name} has no {asked.average} average"
    if asked.which is not None and not known.per_class:
        return f"{asked.name} is one number for all classes, so [{asked.which}] says nothing"
    if asked.argument is not None and known.argument is None:
        return f"{asked.name} takes nothing in parentheses"
    if asked.argument is None and known.argument in ("column", "name"):
        return f"{asked.name} needs a {known.argument}: {asked.name}(NAME)"
    if asked.name == "pinball" and asked.argument is not None and not 0 < _number(asked.argument) < 1:
        return f"pinball({asked.argument}): the quantile is a number between 0 and 1"
    if asked.name == "ece" and asked.argument is not None and _number(asked.argument) not in range(2, 1001):
        return f"ece({asked.argument}): the number of bins is a whole number from 2 to 1,000"
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def unfit(asked: Asked, task: Task, *, scored: bool, clustered: bool) -> str | None:
    """Why a table of this kind cannot have this metric; None when it can."""
    known = asked.known
    if task not in known.tasks:
        fit = ", ".join(sorted(name for name, other in METRICS.items() if task in other.tasks))
        return f"{asked} is not a metric of {task.value} predictions; these are: {fit}"
    if known.needs is Needs.SCORE and not scored:
        return f"{asked} needs scores: name their column with `score`"
    if clustered and not known.clustered:
        return f"{asked} has no interval for clustered examples, and ignoring the clusters would be wrong"
    if task is Task.MULTICLASS and known.per_class and not (asked.average or asked.which is not None):
        if asked.name == "roc_auc":
            return None  # its macro average is what everybody means
        ways = [*(f"{asked.name}_{average}" for average in known.averages), f"{asked.name}[CLASS]"]
        return f"{asked.name} of several classes needs to know which: {_either(ways)}"
    if task is Task.BINARY and (asked.average or asked.which is not None):
        return f"{asked}: a binary table has one class to look for, so write {asked.name}"
    if task is Task.MULTICLASS and known.family is Family.GAPS:
        return f"{asked} is a criterion for binary predictions; gate the gap of recall[CLASS] or selection_rate[CLASS]"
    return None


def _either(ways: Iterable[str]) -> str:
    *first, last = ways
    return f"{', '.join(first)} or {last}" if first else last
