"""Average precision: the influence of every example through windows over the scores. Layer: metrics.

`stats.average_precision` has the formula. P is the precision at an example's score; a first window over descending
scores gives it, a second over ascending ones adds up what an example changes for the positives that score no higher.
"""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import ibis

from ci_ml.core.catalogue import Asked, Task
from ci_ml.core.types import Slice
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Cut, Paired, beside, number, sliced, total, totals
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
    hits = [f"hit_{index}" for index in range(len(classes))]
    missed = {f"m_{name}": _hit(precise, name) * precise[f"m_{name}"] for name in named}
    lost = {f"q_{name}": _lost(precise, keys, name) for name in named}
    weighed = engine.hold(precise.select(*kept, *hits, **missed, **lost))
    sums = {name: weighed[name] for name in [*hits, *missed]}
    points = {
        where: _Points.of(rows[0], len(classes))
        for where, rows in sliced(paired, cut, engine.rows(total(weighed, keys, sums)))
    }
    table = beside(engine, paired, cut, weighed, {where: point.columns() for where, point in points.items()})
    base, head = (_influence(table, side, len(classes)) for side in ("base", "head"))
    moved = totals(engine, paired, [cut], [base, head - base], table)
    reach = _reach(engine, paired, cut, weighed, hits) if paired.clustered else {}
    return {
        (asked, where): _statistic(found, points[where], reach.get(where, points[where].positives))
        for where, found in moved
    }


def _hit(table: ibis.Table, name: str) -> ibis.Value:
    return table[f"hit_{name.rpartition('_')[2]}"]


def _at(table: ibis.Table, keys: Sequence[str], name: str) -> dict[str, ibis.Value]:
    """How many score at least as high (`t`), and the share of others among them (`m`), which is 1 - precision."""
    higher = ibis.range_window(group_by=list(keys), order_by=[ibis.desc(name)], preceding=None, following=0)
    reached = table.one.count().over(higher).cast("float64")
    return {"t": reached, "m": (reached - _hit(table, name).sum().over(higher)) / reached}


def _lost(table: ibis.Table, keys: Sequence[str], name: str) -> ibis.Value:
    """1 - P - Σ (1 - P_j) / T_j of a positive, Σ P_j / T_j of a negative: both small for a model that is good."""
    hit, missed, reached = _hit(table, name), table[f"m_{name}"], table[f"t_{name}"]
    lower = ibis.range_window(group_by=list(keys), order_by=[name], preceding=None, following=0)
    gained = (hit * missed / reached).sum().over(lower)
    lost = (hit * (1 - missed) / reached).sum().over(lower)
    return (hit == 1).ifelse(missed - gained, lost)


@dataclass(frozen=True, kw_only=True)
class _Points:
    """How many positives each class has on a slice, and how far either side's average precision is from 1."""

    hits: Sequence[float]
    base: Sequence[float]
    head: Sequence[float]

    @classmethod
    def of(cls, row: Row, classes: int) -> "_Points":
        hits = [number(row[f"hit_{index}"]) for index in range(classes)]
        short = {
            side: [number(row[f"m_{side}_{index}"]) / max(hits[index], 1.0) for index in range(classes)]
            for side in ("base", "head")
        }
        return cls(hits=hits, **short)

    @property
    def positives(self) -> int:
        """Those of the class that has fewest."""
        return int(min(self.hits))

    def columns(self) -> dict[str, float]:
        """What `_influence` needs beside every example."""
        classes = range(len(self.hits))
        found = {f"many_{index}": max(self.hits[index], 1.0) for index in classes}
        found |= {f"short_base_{index}": self.base[index] for index in classes}
        return found | {f"short_head_{index}": self.head[index] for index in classes}


def _influence(table: ibis.Table, side: str, classes: int) -> ibis.Value:
    """An example's influence on the mean over classes."""
    parts = [
        (table[f"short_{side}_{index}"] * table[f"hit_{index}"] - table[f"q_{side}_{index}"])
        / table[f"many_{index}"]
        / classes
        for index in range(classes)
    ]
    return functools.reduce(operator.add, parts)


def _reach(engine: Engine, paired: Paired, cut: Cut, table: ibis.Table, hits: Sequence[str]) -> dict[Slice | None, int]:
    """In how many clusters there are positives, of the class where that is in fewest."""
    keys = paired.keys(cut)
    units = total(table, [*keys, "cluster"], {name: table[name] for name in hits})
    having = {name: (units[name] > 0).cast("int64") for name in hits}
    return {
        where: int(min(number(rows[0][name]) for name in hits))
        for where, rows in sliced(paired, cut, engine.rows(total(units, keys, having)))
    }


def _statistic(found: Totals | ValueError, points: _Points, positives: int) -> Statistic:
    def known() -> tuple[Influence, int]:
        if not points.positives:
            raise Undefined("average precision is undefined: a class has no example")
        if isinstance(found, ValueError):
            raise found
        classes = len(points.hits)
        one, two = (1 - sum(short) / classes for short in (points.base, points.head))
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
        return moved, positives

    def difference(confidence: float) -> Difference:
        return average_precision.difference(*known(), confidence)

    def value(confidence: float, head: bool) -> Estimate:
        return average_precision.value(*known(), head=head, confidence=confidence)

    return Statistic(difference=difference, value=value)
