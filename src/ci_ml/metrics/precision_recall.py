"""Average precision: the influence of every example through windows over the scores. Layer: metrics.

`stats.average_precision` has the formula. P is the precision at an example's score; a first window over descending
scores gives it, a second over ascending ones adds up what an example changes for the positives that score no higher.
"""

from collections.abc import Sequence

import ibis

from ci_ml.core.catalogue import Asked, Task
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Cut, Paired, number, sliced, total, totals
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import average_precision
from ci_ml.stats.estimate import Difference, Estimate, Undefined
from ci_ml.stats.influence import Influence, Totals


def measure(engine: Engine, paired: Paired, asked: Sequence[Asked], cuts: Sequence[Cut]) -> Statistics:
    """Every average precision: of two classes, of one against the rest, and the macro average."""
    found: Statistics = {}
    for item in asked:
        for cut in cuts:
            found |= _measure(engine, paired, item, cut)
    return found


def _classes(paired: Paired, asked: Asked) -> list[tuple[ibis.Value, str]]:
    """For every class that is averaged: whether an example is of it, and what the columns of its scores end with."""
    table = paired.table
    if paired.task is Task.BINARY:
        return [(table.label == 1, "")]
    wanted = paired.classes if asked.which is None else (asked.which,)
    return [(table.label == name, f"_{paired.classes.index(name)}") for name in wanted]


def _measure(engine: Engine, paired: Paired, asked: Asked, cut: Cut) -> Statistics:
    keys = paired.keys(cut)
    classes = _classes(paired, asked)
    kept = [*keys, "one", *(["cluster"] if paired.clustered else [])]
    scored = paired.table.select(
        *kept,
        **{f"hit_{index}": truth.cast("float64") for index, (truth, _) in enumerate(classes)},
        **{
            f"{side}_{index}": paired.table[f"{side}_score{suffix}"]
            for index, (_, suffix) in enumerate(classes)
            for side in ("base", "head")
        },
    )
    named = [f"{side}_{index}" for index in range(len(classes)) for side in ("base", "head")]
    precise = scored.mutate(
        **{f"{part}_{name}": value for name in named for part, value in _at(scored, keys, name).items()}
    )
    weighed = precise.mutate(**{f"q_{name}": _weight(precise, keys, name) for name in named})
    moved = engine.hold(weighed.select(*kept, **_influences(weighed, keys, len(classes))))
    points = dict(sliced(paired, cut, engine.rows(_points(moved, keys, len(classes)))))
    sums = totals(engine, paired, [cut], [moved.b, moved["h"] - moved.b], moved)
    return {(asked, where): _statistic(found, points[where][0], len(classes)) for where, found in sums}


def _at(table: ibis.Table, keys: Sequence[str], name: str) -> dict[str, ibis.Value]:
    """How many score at least as high (`t`), and the precision there (`p`)."""
    hit = table[f"hit_{name.rpartition('_')[2]}"]
    higher = ibis.range_window(group_by=list(keys), order_by=[ibis.desc(name)], preceding=None, following=0)
    reached = table.one.sum().over(higher).cast("float64")
    return {"t": reached, "p": hit.sum().over(higher) / reached}


def _weight(table: ibis.Table, keys: Sequence[str], name: str) -> ibis.Value:
    """P + Σ (1 - P_j) / T_j of a positive, -Σ P_j / T_j of a negative."""
    hit, precision, reached = table[f"hit_{name.rpartition('_')[2]}"], table[f"p_{name}"], table[f"t_{name}"]
    lower = ibis.range_window(group_by=list(keys), order_by=[name], preceding=None, following=0)
    gained = (hit * (1 - precision) / reached).sum().over(lower)
    lost = (hit * precision / reached).sum().over(lower)
    return (hit == 1).ifelse(precision + gained, -lost)


def _influences(table: ibis.Table, keys: Sequence[str], classes: int) -> dict[str, ibis.Value]:
    """The influence on the mean over classes (`b` and `h`), and of each class: positives, and their precision."""
    slice_ = ibis.window(group_by=list(keys))
    found: dict[str, ibis.Value] = {"b": ibis.literal(0.0), "h": ibis.literal(0.0)}
    for index in range(classes):
        hit = table[f"hit_{index}"]
        many = hit.sum().over(slice_).nullif(0.0)
        found[f"hit_{index}"] = hit
        for side, name in (("b", f"base_{index}"), ("h", f"head_{index}")):
            precise = hit * table[f"p_{name}"]
            found[f"{side}_{index}"] = precise
            average = precise.sum().over(slice_) / many
            found[side] += (table[f"q_{name}"] - average * hit) / many / classes
    return found


def _points(moved: ibis.Table, keys: Sequence[str], classes: int) -> ibis.Table:
    names = [f"{part}_{index}" for part in ("hit", "b", "h") for index in range(classes)]
    return total(moved, keys, {name: moved[name] for name in names})


def _statistic(found: Totals | ValueError, points: Row, classes: int) -> Statistic:
    def known() -> tuple[Influence, int]:
        if isinstance(found, ValueError):
            raise found
        many = [int(number(points[f"hit_{index}"])) for index in range(classes)]
        if min(many) == 0:
            raise Undefined("average precision is undefined: a class has no example")
        one, two = (
            sum(number(points[f"{side}_{index}"]) / many[index] for index in range(classes)) / classes for side in "bh"
        )
        moved = Influence(
            n=found.n,
            units=found.units,
            base=one,
            delta=two - one,
            base_squares=float(found.products[0, 0]),
            delta_squares=float(found.products[1, 1]),
            products=float(found.products[0, 1]),
            clusters=found.clusters,
        )
        return moved, min(many)

    def difference(confidence: float) -> Difference:
        return average_precision.difference(*known(), confidence)

    def value(confidence: float, head: bool) -> Estimate:
        return average_precision.value(*known(), head=head, confidence=confidence)

    return Statistic(difference=difference, value=value)
