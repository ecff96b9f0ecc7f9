"""A first ci-ml.yaml: what a repository's files look like, and gates that its test set can hold. Layer: core."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ci_ml.core import catalogue
from ci_ml.core.catalogue import Task
from ci_ml.core.config import TODO
from ci_ml.core.types import Direction

MOST_CLASSES = 50

# Names of columns as people write them, best first.
_ID = re.compile(
    r"(row_?|example_?|sample_?|record_?)?(id|key|index|uid|uuid)|.+_id|.+Id|name|file|path", re.IGNORECASE
)
_LABEL = re.compile(r"label|target|y|y_?true|truth|actual|outcome|ground_?truth|class|.+_label|label_.+", re.IGNORECASE)
_SCORE = re.compile(
    r"score|prob(a|ability)?|y_?(score|proba?)|p|p_.+|prob_.+|.+_(score|proba?|probability)", re.IGNORECASE
)
_PREDICTION = re.compile(
    r"pred(iction|icted)?|y_?(pred|hat)|called|.+_pred(icted|iction)?|pred(icted)?_.+", re.IGNORECASE
)


class Answer(StrEnum):
    """What somebody says when asked which way a number is better; `skip` is no gate for it."""

    HIGHER = "higher"
    LOWER = "lower"
    SKIP = "skip"
    LATER = "later"


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """What one pass over a table says of a column; `low` and `high` are of numbers, `values` are the first few."""

    name: str
    distinct: int
    nulls: int
    numeric: bool
    whole: bool = False
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TableProposal:
    """A table that looks like predictions: the keys of its entry under `predictions`.

    `labels` are the columns one of which holds the label, where nothing says which.
    """

    name: str
    keys: Mapping[str, str]
    task: Task
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GateProposal:
    """A gate to propose. `margin` None is for the user to fill in, and so is a `direction` that is unknown.

    A margin is a number in the metric's units, or a share of the base's value such as `2%`.
    """

    metric: str
    margin: float | str | None = None
    direction: Direction | None = None
    known: bool = True
    measured: bool = True
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Everything that goes into the file."""

    tables: tuple[TableProposal, ...] = ()
    gates: tuple[GateProposal, ...] = ()
    notes: tuple[str, ...] = field(default=())


def table(path: str, rows: int, columns: Sequence[ColumnProfile], taken: Iterable[str] = ()) -> TableProposal | None:
    """What a table's columns are, by their names and values; None when it does not look like predictions."""
    full = [column for column in columns if column.nulls == 0]
    key = next((column for column in full if _ID.fullmatch(column.name) and column.distinct == rows), None)
    key = key or next(
        (column for column in full if column.distinct == rows and (column.whole or not column.numeric)), None
    )
    rest = [column for column in full if column is not key]
    label = next((column for column in rest if _LABEL.fullmatch(column.name)), None)
    if key is None or rows < 2:
        return None
    if label is None:
        return _unlabelled(path, key, rest, set(taken))
    others = [column for column in rest if column is not label]
    prediction = next((column for column in others if _PREDICTION.fullmatch(column.name)), None)
    scores = [
        column for column in others if column is not prediction and _SCORE.fullmatch(column.name) and _is_share(column)
    ]
    keys = {"path": path, "id": key.name, "label": label.name}
    found = _task(label, prediction, scores, keys)
    if found is None:
        return None
    task, metrics = found
    return TableProposal(name=_name(path, set(taken)), keys=keys, task=task, metrics=metrics)


def _unlabelled(path: str, key: ColumnProfile, rest: Sequence[ColumnProfile], taken: set[str]) -> TableProposal | None:
    """A table with a column of probabilities: which column is the label, only the user knows."""
    scores = [column for column in rest if _is_share(column) and not column.whole]
    two = [column for column in rest if column.distinct == 2 and column not in scores]
    labels = [column.name for column in two if column.numeric] or [column.name for column in two]
    if len(scores) != 1 or not labels:
        return None
    label = labels[0] if len(labels) == 1 else TODO
    keys = {"path": path, "id": key.name, "label": label, "score": scores[0].name}
    metrics = ("recall", "precision", "roc_auc", "log_loss")
    unknown = tuple(labels) if label == TODO else ()
    return TableProposal(name=_name(path, taken), keys=keys, task=Task.BINARY, metrics=metrics, labels=unknown)


def _is_share(column: ColumnProfile) -> bool:
    return (
        column.numeric and column.low is not None and column.high is not None and column.low >= 0 and column.high <= 1
    )


def _task(
    label: ColumnProfile, prediction: ColumnProfile | None, scores: Sequence[ColumnProfile], keys: dict[str, str]
) -> tuple[Task, tuple[str, ...]] | None:
    """The task, and the metrics to gate; fills in the keys that name predictions."""
    if label.numeric and not (label.whole and label.distinct <= MOST_CLASSES):
        if prediction is None or not prediction.numeric:
            return None
        keys["prediction"] = prediction.name
        return Task.REGRESSION, ("rmse", "mae")
    if prediction is not None:
        keys["prediction"] = prediction.name
    if label.distinct == 2:
        if set(label.values) - {"0", "1", "0.0", "1.0", "true", "false"}:
            keys["positive"] = max(label.values)
        if scores:
            keys["score"] = scores[0].name
        if not scores and prediction is None:
            return None
        return Task.BINARY, ("recall", "precision", *(("roc_auc", "log_loss") if scores else ("accuracy",)))
    if prediction is None or label.distinct > MOST_CLASSES:
        return None
    return Task.MULTICLASS, ("accuracy", "f1_macro")


def _name(path: str, taken: set[str]) -> str:
    """`test` for the first table, else its file's name."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.rpartition("/")[2].partition(".")[0]).strip("-") or "table"
    stem = stem if stem[0].isalpha() else f"t{stem}"
    for name in ("test", stem, *(f"{stem}-{number}" for number in range(2, 1000))):
        if name not in taken:
            return name
    raise AssertionError(path)


def rounded(margin: float) -> float:
    """A margin as people would write it: one or two digits, never smaller than what was measured."""
    size = 10 ** math.floor(math.log10(margin))
    for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10):
        if step * size >= margin * (1 - 1e-9):
            return float(f"{step * size:.2g}")
    raise AssertionError(margin)


def written(proposal: Proposal) -> str:
    """The text of ci-ml.yaml. What only the user knows is `TODO`, which ci-ml refuses until it is filled in."""
    lines = [
        "# What must not get worse. Every key: docs/configuration.md; what a verdict means: docs/gates.md.",
        "version: 1",
    ]
    lines += [f"#{safe_comment(note)}" for note in proposal.notes]
    if proposal.tables:
        lines += ["", "predictions:"]
    for found in proposal.tables:
        lines += [f"  {found.name}:", f"    task: {found.task.value}"]
        for key, value in found.keys.items():
            aside = f" # one of: {', '.join(found.labels)}" if value == TODO else _ASIDES.get(key, "")
            lines.append(f"    {key}: {TODO if value == TODO else _scalar(value)}{safe_comment(aside)}")
    if proposal.gates:
        lines += ["", "gates:"]
    else:
        lines += ["", "# No metrics and no predictions were found: name what your evaluation writes.", "gates: []"]
    for gate in proposal.gates:
        lines += [f" {safe_comment(f'# {gate.comment}')}"] if gate.comment else []
        lines.append(f"  - metric: {_scalar(gate.metric)}")
        if not gate.known:
            direction = gate.direction.value if gate.direction else f"{TODO} # higher or lower: which way is better?"
            lines.append(f"    direction: {direction}")
        lines.append(f"    margin: {_margin(gate.margin)}")
    return "\n".join(lines) + "\n"


def _margin(margin: float | str | None) -> str:
    if margin is None:
        return f"{TODO} # the largest loss that you would accept"
    return f"{margin} # of the base's value, a first guess" if isinstance(margin, str) else f"{margin:.6g}"


def safe_comment(text: str) -> str:
    """A comment of YAML is one line, whatever the names in it are."""
    return " ".join(text.split()).join((" ", "")) if text else ""


# What a guess is written with.
_ASIDES = {"positive": " # the class that is looked for: is it this one?"}


def _scalar(text: str) -> str:
    """A text in YAML: plain where that is safe, else quoted as JSON, which YAML understands."""
    plain = (
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./:()-]*", text) and text.lower() not in _WORDS and not text.endswith(":")
    )
    return text if plain else json.dumps(text, ensure_ascii=False)


_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "todo"}


# A number of a model's quality, by the names that people give one. Which way it is better, no name is trusted to say.
_QUALITY = re.compile(
    r"acc|f1|f_?beta|auc|roc|prec|recall|r2|r_2|rmse|mse|mae|mape|rmsle|loss|error|score|iou|dice|map\d*|bleu|rouge"
    r"|perplexity|kappa|mcc|silhouette",
    re.IGNORECASE,
)


def worth_a_gate(names: Sequence[str], most: int) -> tuple[list[str], list[str]]:
    """At most so many metrics to propose gates for, and the others.

    Where some are of a model's quality, no others are proposed; those of a whole model come before those of a class.
    """
    quality = [name for name in names if _QUALITY.search(name.partition(":")[2])]
    ranked = sorted(quality or names, key=lambda name: name.partition(":")[2].count("."))
    chosen = set(ranked[:most])
    return [name for name in names if name in chosen], [name for name in names if name not in chosen]


_METRICS_FILE = re.compile(
    r"(.*[_-])?(metrics?|scores?|results?|evaluation|eval|summary)([_-].*)?\.(json|ya?ml|toml)", re.IGNORECASE
)


def may_hold_metrics(path: str) -> bool:
    """Whether a file is called like one that an evaluation writes."""
    return _METRICS_FILE.fullmatch(path.rpartition("/")[2]) is not None


def metrics_of(found: TableProposal) -> tuple[str, ...]:
    """The proposed metrics of a table, as gates name them."""
    return tuple(f"{found.name}.{catalogue.parse(metric)}" for metric in found.metrics)
