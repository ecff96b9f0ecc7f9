"""Tables of predictions in memory, ordinary and adversarial, and what the engine measures on them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ci_ml.core import catalogue
from ci_ml.core.catalogue import Task
from ci_ml.core.config import PredictionsConfig
from ci_ml.core.types import Slice
from ci_ml.metrics import registry
from ci_ml.metrics.columns import Source, Wanted
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.paired import Cut
from ci_ml.metrics.pairing import Pairing, pair
from ci_ml.metrics.statistic import Statistic

Array = NDArray[Any]

CLASSES = ("ant", "bee", "cat", "dog")
COUNTS = "accuracy error_rate balanced_accuracy mcc kappa".split()
PER_CLASS = "precision recall specificity f1 selection_rate false_positive_rate".split()
AVERAGED = [f"{name}_{how}" for name in PER_CLASS[:4] for how in ("macro", "micro", "weighted")]
FLIPS = ["flips_to_wrong", "flips_to_right"]
BY_SCORE = "log_loss brier roc_auc average_precision ece ece(4) mean(cost) mean(passed)".split()
BY_SCORES = "log_loss brier roc_auc roc_auc[cat] average_precision_macro average_precision[ant] ece".split()
METRICS = {
    Task.BINARY: [*COUNTS, *PER_CLASS, *FLIPS, *BY_SCORE],
    Task.MULTICLASS: [*COUNTS, *AVERAGED, *(f"{name}[bee]" for name in PER_CLASS), *FLIPS, *BY_SCORES],
    Task.REGRESSION: "mae mse rmse r2 mape pinball pinball(0.9) median_ae mean(cost)".split(),
}
UNCLUSTERED = ("ece", "median_ae")

# All examples, one column, another, and both crossed.
CUTS: tuple[Cut, ...] = ((), ("g",), ("h",), ("g", "h"))


@dataclass(frozen=True, kw_only=True)
class Table:
    """Test examples and what both sides predict for them; `label` numbers the classes of a classification.

    `base` and `head` are scores (shape: n; for several classes n x K) or predicted numbers.
    """

    task: Task
    label: Array
    base: Array
    head: Array
    slices: Mapping[str, Sequence[object]] = field(default_factory=dict)
    cluster: Array | None = None

    @property
    def n(self) -> int:
        return len(self.label)

    def columns(self, side: str) -> dict[str, Array]:
        """Numbers per example that belong to a side: any, and such as are 0 or 1."""
        scores = self.base if side == "base" else self.head
        one = scores.reshape(self.n, -1)[:, 0]
        return {"cost": 1000 + 3 * one, "passed": (one > 0.3).astype(float)}

    def where(self, rows: Array) -> "Table":
        """Some of the examples (a mask, or positions)."""
        which = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(
            self,
            label=self.label[which],
            base=self.base[which],
            head=self.head[which],
            slices={name: [values[index] for index in which] for name, values in self.slices.items()},
            cluster=None if self.cluster is None else self.cluster[which],
        )

    def mirrored(self) -> "Table":
        return replace(self, base=self.head, head=self.base)

    def cut(self, cut: Cut) -> dict[Slice | None, "Table"]:
        """The slices of a cut."""
        if not cut:
            return {None: self}
        found: dict[Slice, list[int]] = {}
        for index in range(self.n):
            values = [self.slices[name][index] for name in cut]
            parts = tuple(
                (name, None if value is None else str(value)) for name, value in zip(cut, values, strict=True)
            )
            found.setdefault(Slice(parts=parts), []).append(index)
        return {where: self.where(np.array(rows)) for where, rows in found.items()}


def about(table: Table, **more: Any) -> PredictionsConfig:
    """How `ci-ml.yaml` describes a table."""
    score = {Task.BINARY: {"score": "p"}, Task.MULTICLASS: {"score": "p_*"}, Task.REGRESSION: {"prediction": "p"}}
    keys = {"path": "x.parquet", "task": table.task, "id": "row", "label": "y", **score[table.task], **more}
    return PredictionsConfig.model_validate(keys if table.cluster is None else {**keys, "cluster": "c"})


def source(engine: Engine, table: Table, side: str, order: Array | None = None) -> Source:
    """One side as an engine has read it."""
    scores = table.base if side == "base" else table.head
    columns: dict[str, Any] = {"row": range(table.n)}
    types = {"row": "int64", "y": "float64"}
    if table.task is Task.MULTICLASS:
        columns["y"] = [CLASSES[label] for label in table.label]
        columns |= {f"p_{name}": scores[:, index] for index, name in enumerate(CLASSES)}
        types |= {"y": "string", **{f"p_{name}": "float64" for name in CLASSES}}
    else:
        columns |= {"y": table.label, "p": scores}
        types |= {"p": "float64"}
    columns |= {**table.slices, **table.columns(side)}
    types |= {**dict.fromkeys(table.slices, "string"), "cost": "float64", "passed": "float64"}
    if table.cluster is not None:
        columns["c"] = table.cluster
        types["c"] = "int64"
    rows = range(table.n) if order is None else order.tolist()
    listed = {name: [_plain(values[row]) for row in rows] for name, values in columns.items()}
    return Source(table=engine.put(listed, types), name=f"{side}.parquet", typed=True)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def paired(engine: Engine, table: Table, base: bool = True, **more: Any) -> Pairing:
    """Both sides of a table, joined."""
    wanted = Wanted(slices=tuple(table.slices), means={"mean(cost)": "cost", "mean(passed)": "passed"})
    one = source(engine, table, "base") if base else None
    return pair(engine, about(table, **more), one, source(engine, table, "head"), wanted)


Found = dict[tuple[str, Slice | None], Statistic]


def measure(
    engine: Engine, table: Table, metrics: Iterable[str], cuts: Sequence[Cut] = ((),), confidence: float = 0.95
) -> Found:
    """Every metric on every cut, by the metric's name as it was asked for."""
    found = paired(engine, table)
    return measured(engine, found, metrics, cuts, confidence)


def measured(
    engine: Engine, found: Pairing, metrics: Iterable[str], cuts: Sequence[Cut], confidence: float = 0.95
) -> Found:
    """The same of tables that are joined already."""
    asked = {name: catalogue.parse(name) for name in metrics}
    statistics = registry.measure(
        engine, found.paired, [(item, cut) for item in asked.values() for cut in cuts], confidence
    )
    return {
        (name, where): one
        for name, item in asked.items()
        for (other, where), one in statistics.items()
        if item == other
    }


def metrics(table: Table) -> list[str]:
    """Every metric that such a table can have."""
    names = METRICS[table.task]
    return [name for name in names if table.cluster is None or not name.startswith(UNCLUSTERED)]


def some(table: Table) -> list[str]:
    """The same without what goes one way through the code with others."""
    left_out = {*AVERAGED, "specificity[bee]", "f1[bee]"} - {"precision_weighted", "f1_macro", "specificity_micro"}
    return [name for name in metrics(table) if name not in left_out]


# --- Tables -----------------------------------------------------------------------------------------------------------


def random(task: Task, n: int, seed: int = 0, *, change: float = 0.3) -> Table:
    """Base and head that are much alike, in slices of different sizes; `h` is missing now and then."""
    generator = np.random.default_rng(seed)
    slices: dict[str, Sequence[object]] = {
        "g": generator.choice(["de", "fr", "it's"], size=n, p=[0.6, 0.3, 0.1]).tolist(),
        "h": [None if value == 0 else f"plan {value}" for value in generator.integers(0, 4, n)],
    }
    if task is Task.REGRESSION:
        label = generator.normal(200, 40, n)
        base = label + generator.normal(3, 10, n)
        head = label + 0.8 * (base - label) + change * generator.normal(0, 10, n)
        return Table(task=task, label=label, base=base, head=head, slices=slices)
    if task is Task.BINARY:
        label = (generator.random(n) < 0.4).astype(np.int64)
        odds = 2.0 * label - 1 + generator.normal(0, 1.5, n)
        also = odds + change * generator.normal(0, 1.5, n)
        return Table(task=task, label=label, base=_sigmoid(odds), head=_sigmoid(also), slices=slices)
    label = generator.choice(len(CLASSES), size=n, p=[0.4, 0.3, 0.2, 0.1])
    many = 1.5 * (label[:, None] == np.arange(len(CLASSES))) + generator.normal(0, 1, (n, len(CLASSES)))
    more = many + change * generator.normal(0, 1, many.shape)
    return Table(task=task, label=label, base=_softmax(many), head=_softmax(more), slices=slices)


def _sigmoid(odds: Array) -> Array:
    return 1 / (1 + np.exp(-odds))


def _softmax(odds: Array) -> Array:
    raised = np.exp(odds)
    return raised / raised.sum(axis=1, keepdims=True)


def clustered(table: Table, clusters: int = 40, seed: int = 1) -> Table:
    """The same examples in clusters of different sizes."""
    generator = np.random.default_rng(seed)
    return replace(table, cluster=(clusters * generator.random(table.n) ** 2).astype(np.int64))


def _scored(table: Table, change: Callable[[Array], Array]) -> Table:
    return replace(table, base=change(table.base), head=change(table.head))


def _certain(table: Table) -> Table:
    """Some scores are 0 and 1, not all of them rightly."""
    rows = np.arange(table.n) % 5 == 0
    sure = (table.base[rows] > 0.5).astype(float)
    base, head = table.base.copy(), table.head.copy()
    base[rows], head[rows] = sure, np.roll(sure, 1, axis=0)
    return replace(table, base=base, head=head)


def _one_class_in_a_slice(table: Table) -> Table:
    """The slice it's has the first class only, and its neighbour fr no change."""
    name = np.array(table.slices["g"])
    head = np.where((name == "fr").reshape(-1, *([1] * (table.head.ndim - 1))), table.base, table.head)
    return replace(table, label=np.where(name == "it's", 0, table.label), head=head)


def _imbalanced(table: Table) -> Table:
    return replace(table, label=np.where(np.arange(table.n) < 3, 1, 0))


def _constant_error(table: Table) -> Table:
    """Large numbers, and errors that vary in the last digits."""
    return replace(
        table,
        label=table.label + 1e7,
        base=table.label + 1e7 + 1000 + (table.base - table.label) / 1e3,
        head=table.label + 1e7 + 1001 + (table.head - table.label) / 1e3,
    )


def _apart(table: Table) -> Table:
    """Slices whose labels lie far from each other, compared with how they vary."""
    step = np.array([{"de": 0.0, "fr": 3000.0, "it's": 9000.0}[str(name)] for name in table.slices["g"]])
    return replace(table, label=table.label + step, base=table.base + step, head=table.head + step)


def adversarial(task: Task) -> dict[str, Table]:
    """Tables by what is wrong with them."""
    n = 300 if task is Task.MULTICLASS else 240
    plain = random(task, n)
    found = {
        "plain": plain,
        "one row": random(task, 1, 3),
        "two rows": random(task, 2, 3),
        "five rows": random(task, 5, 8),
        "identical": replace(plain, head=plain.base),
        "one side apart": replace(plain, head=np.where(plain.base == plain.base.max(), plain.head, plain.base)),
    }
    if task is Task.REGRESSION:
        return found | {
            "ties": _scored(replace(plain, label=plain.label.round(-1)), lambda scores: scores.round(-1)),
            "exact": replace(plain, head=plain.label),
            "shifted": replace(plain, label=plain.base - 2, head=plain.base + 2),
            "one label": replace(plain, label=np.full(n, 200.0)),
            "constant errors": _constant_error(plain),
            "apart": _apart(plain),
            "zeros": replace(plain, label=np.where(np.arange(n) % 7 == 0, 0.0, plain.label)),
        }
    wrong = 1 - plain.label if task is Task.BINARY else (plain.label + 1) % len(CLASSES)
    sure = {"right": plain.label, "wrong": wrong}
    scores = {
        name: label.astype(float) if task is Task.BINARY else np.eye(len(CLASSES))[label]
        for name, label in sure.items()
    }
    return found | {
        "ties": _scored(plain, lambda scores: scores.round(1)),
        "all scores equal": _scored(plain, lambda scores: np.full_like(scores, 0.5)),
        "equal on one side": replace(plain, base=np.full_like(plain.base, 0.25)),
        "certain": _certain(plain),
        "perfect": replace(plain, base=scores["right"], head=0.9 * scores["right"]),
        "all lost": replace(plain, base=scores["right"], head=scores["wrong"]),
        "one class": replace(plain, label=np.zeros(n, dtype=np.int64)),
        "one class in a slice": _one_class_in_a_slice(plain),
        "imbalanced": _imbalanced(plain),
    }
