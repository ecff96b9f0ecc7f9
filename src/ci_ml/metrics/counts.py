"""Metrics of (label, base class, head class) counts. Layer: metrics.

One pass counts the cells of every slice. With clusters a second one adds up, per cluster, how much each of its examples
moves the metric (`confusion.influence`), which depends on the counts of the whole slice.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ibis
import numpy as np

from ci_ml.core.catalogue import Asked, Task
from ci_ml.core.types import Slice
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Cut, Paired, by_cut, number, sliced, total
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import classification, confusion, design, influence
from ci_ml.stats.confusion import Metric
from ci_ml.stats.counts import Counts
from ci_ml.stats.estimate import Difference, Estimate, Undefined, identical
from ci_ml.stats.influence import Influence
from ci_ml.stats.proportion import wilson
from ci_ml.stats.scores import Array
from ci_ml.stats.tango import PairedTable, tango

CELL = ("label", "base_class", "head_class")
CLUSTERED = "clustered t"


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The counts of a slice, or the error that stands for them; `same`: no example has another prediction or score."""

    found: Counts | ValueError
    same: bool

    @property
    def counts(self) -> Counts:
        """The counts. Raises the error that stands for them."""
        if isinstance(self.found, ValueError):
            raise self.found
        return self.found


def measure(engine: Engine, paired: Paired, asked: Sequence[Asked], cuts: Sequence[Cut]) -> Statistics:
    """All metrics of counts."""
    tables = cells(engine, paired, cuts)
    if paired.clustered:
        return _clustered(engine, paired, asked, cuts, tables)
    return {(item, where): _plain(found, _rule(paired, item)) for where, found in tables.items() for item in asked}


def names(paired: Paired) -> tuple[str, ...]:
    """The classes in the order of their numbers."""
    return ("0", "1") if paired.task is Task.BINARY else paired.classes


def cells(engine: Engine, paired: Paired, cuts: Sequence[Cut]) -> dict[Slice | None, Cells]:
    """The counts of every slice."""
    order = {name: index for index, name in enumerate(names(paired))}
    sums = {"n": paired.table.one, "changed": paired.table.changed}
    return {where: _cells(rows, order) for where, rows in by_cut(engine, paired, cuts, CELL, sums)}


def _cells(rows: Sequence[Row], order: Mapping[str, int]) -> Cells:
    same = not any(number(row["changed"]) for row in rows)
    listed = ((*(order[str(row[key])] for key in CELL), int(number(row["n"]))) for row in rows)
    try:
        return Cells(found=Counts.of_cells(listed, len(order)), same=same)  # type: ignore[arg-type]
    except ValueError as error:
        return Cells(found=error, same=same)


@dataclass(frozen=True, kw_only=True)
class _Share:
    """A share of predictions of a class: among all examples, or among those that do not have it.

    Selection rate and false positive rate: proportions like accuracy, but not of what is right.
    """

    which: int
    among_others: bool

    def part(self, counts: Counts) -> Array:
        """1 for the cells that the share is of (shape: cells)."""
        return (counts.label != self.which).astype(float) if self.among_others else np.ones(len(counts.count))

    def table(self, counts: Counts) -> PairedTable:
        """How many examples of those are predicted so by both sides, by one, by none."""
        rows = self.part(counts) > 0
        base, head = counts.base == self.which, counts.head == self.which
        parts = (base & head, base & ~head, ~base & head, ~base & ~head)
        numbers = [int(counts.count[rows & part].sum()) for part in parts]
        return PairedTable(both_right=numbers[0], only_base=numbers[1], only_head=numbers[2], both_wrong=numbers[3])

    def influence(self, counts: Counts, side: str) -> tuple[float, Array]:
        """The share on a side, and what an example of each cell adds to it (shape: cells)."""
        part = self.part(counts)
        size = float(counts.count @ part)
        if not size:
            raise Undefined("false_positive_rate is undefined: all examples have the class")
        chosen = (confusion.predicted(counts, side) == self.which) * part
        value = float(counts.count @ chosen) / size
        return value, (chosen - value * part) / size


Rule = Metric | _Share


def _rule(paired: Paired, asked: Asked) -> Rule:
    which = None
    if asked.known.per_class and not asked.average:
        which = 1 if paired.task is Task.BINARY else names(paired).index(str(asked.which))
    if asked.name in ("selection_rate", "false_positive_rate"):
        assert which is not None
        return _Share(which=which, among_others=asked.name == "false_positive_rate")
    return Metric(name=asked.name, average=asked.average, which=which)


def _plain(found: Cells, rule: Rule) -> Statistic:
    def difference(confidence: float) -> Difference:
        if isinstance(rule, _Share):
            answer = tango(rule.table(found.counts), confidence)
        else:
            answer = classification.difference(found.counts, rule, confidence)
        return unchanged(answer) if found.same else answer

    def value(confidence: float, head: bool) -> Estimate:
        if isinstance(rule, _Share):
            return _wilson(rule.table(found.counts), confidence, head=head)
        return classification.value(found.counts, rule, "head" if head else "base", confidence)

    return Statistic(difference=difference, value=value)


def unchanged(found: Difference) -> Difference:
    """The same for sides that are known to be identical: then no interval is needed."""
    return identical(found.base, n=found.n, confidence=found.confidence, method=found.method, error=found.base_error)


def _wilson(table: PairedTable, confidence: float, *, head: bool) -> Estimate:
    return wilson(table.both_right + (table.only_head if head else table.only_base), table.n, confidence)


# --- Clusters -------------------------------------------------------------------------------------------------------
#
# A metric of a part of the examples (recall is of those that have the class) has as many units as there are clusters
# with such examples: the others cannot say anything about it.


def _clustered(
    engine: Engine,
    paired: Paired,
    asked: Sequence[Asked],
    cuts: Sequence[Cut],
    tables: Mapping[Slice | None, Cells],
) -> Statistics:
    found: Statistics = {}
    rules = [_rule(paired, item) for item in asked]
    weights = {where: [_weights(known, rule) for rule in rules] for where, known in tables.items()}
    for cut in cuts:
        mine = {where: known for where, known in tables.items() if _cut_of(where) == cut}
        squares = _squares(engine, paired, cut, mine, weights)
        for where, known in mine.items():
            for index, item in enumerate(asked):
                found[item, where] = _statistic(known, weights[where][index], squares.get(where, {}), index)
    return found


def _cut_of(where: Slice | None) -> Cut:
    return tuple(name for name, _ in where.parts) if where else ()


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """Both sides' values, and what one example of each cell adds to the base, and to head - base (shape: cells).

    `part` is 1 for the cells that the metric is of, and `fixed` says that which those are is known beforehand.
    """

    base: float
    delta: float
    on_base: Array
    on_delta: Array
    part: Array
    fixed: bool
    lowest: float
    proportion: bool
    rule: Rule

    def worth(self, counts: Counts, clustered: float, *, of_delta: bool, head: bool = False) -> float:
        """The design effect on the difference, or on a side; `clustered` is the sum of squares over clusters."""
        one = self.on_delta if of_delta else self.on_base + self.on_delta * head
        return design.effect(clustered, float(counts.count @ one**2), float(counts.count @ self.part))

    def ends(self, counts: Counts, worth: float, confidence: float) -> tuple[float, float]:
        """The interval of the difference as if there were that many times fewer examples, all independent."""
        rule = self.rule
        table = rule.table(counts) if isinstance(rule, _Share) else classification.proportion(counts, rule)
        if table is None:
            assert isinstance(rule, Metric)
            return design.counts(counts, rule, worth, confidence)
        low, high = design.proportions(table, worth, confidence)
        turned = isinstance(rule, Metric) and rule.name == "error_rate"
        return (-high, -low) if turned else (low, high)


def _weights(found: Cells, rule: Rule) -> _Weights | ValueError:
    try:
        one, on_one = _of_side(found.counts, rule, "base")
        two, on_two = _of_side(found.counts, rule, "head")
    except ValueError as error:
        return error
    part, fixed = _part(found.counts, rule)
    return _Weights(
        base=one,
        delta=two - one,
        on_base=on_one,
        on_delta=on_two - on_one,
        part=part,
        fixed=fixed,
        lowest=0.0 if isinstance(rule, _Share) else confusion.lowest(rule),
        proportion=isinstance(rule, _Share) or rule.which is not None or rule.name in ("accuracy", "error_rate"),
        rule=rule,
    )


def _of_side(counts: Counts, rule: Rule, side: str) -> tuple[float, Array]:
    if isinstance(rule, _Share):
        return rule.influence(counts, side)
    return confusion.point(counts, rule, side), confusion.influence(counts, rule, side)


def _part(counts: Counts, rule: Rule) -> tuple[Array, bool]:
    """The cells that a metric is of, and whether their examples are so whatever is predicted."""
    every = np.ones(len(counts.count))
    if isinstance(rule, _Share):
        return rule.part(counts), True
    if rule.which is None:
        return every, True
    own = counts.label == rule.which
    predicted = (counts.base == rule.which) | (counts.head == rule.which)
    parts = {"recall": own, "specificity": ~own, "precision": predicted, "f1": own | predicted}
    return parts[rule.name].astype(float), rule.name in ("recall", "specificity")


def _squares(
    engine: Engine,
    paired: Paired,
    cut: Cut,
    tables: Mapping[Slice | None, Cells],
    weights: Mapping[Slice | None, Sequence[_Weights | ValueError]],
) -> dict[Slice | None, Row]:
    """Per slice and metric: how many clusters it is of, and over them sums of products of their influence."""
    keys = [*paired.keys(cut), *CELL]
    columns, types = _columns(paired, cut, tables, weights)
    if not columns["label"]:
        return {}
    mine = total(paired.table, [*paired.keys(cut), "cluster", *CELL], {"n": paired.table.one})
    joined = mine.join(engine.put(columns, types), keys)
    added = [name for name in columns if name not in keys]
    per_cluster = total(joined, [*paired.keys(cut), "cluster"], {name: joined[name] * joined["n"] for name in added})
    sums: dict[str, ibis.Value] = {}
    for index in range(len(added) // 3):
        one, two, part = (per_cluster[f"{name}{index}"] for name in "bdu")
        sums |= {f"bb{index}": one * one, f"dd{index}": two * two, f"bd{index}": one * two}
        sums[f"u{index}"] = (part > 0).cast("int64")
    rows = engine.rows(total(per_cluster, paired.keys(cut), sums))
    return {where: found[0] for where, found in sliced(paired, cut, rows)}


def _columns(
    paired: Paired,
    cut: Cut,
    tables: Mapping[Slice | None, Cells],
    weights: Mapping[Slice | None, Sequence[_Weights | ValueError]],
) -> tuple[dict[str, list[object]], dict[str, str]]:
    """The weights of every cell of every slice as columns, to be joined with the examples."""
    schema = paired.table.schema()
    types = {name: str(schema[name].copy(nullable=True)) for name in [*paired.keys(cut), *CELL]}
    size = len(next(iter(weights.values()), ()))
    types |= {f"{name}{index}": "float64" for index in range(size) for name in "bdu"}
    columns: dict[str, list[object]] = {name: [] for name in types}
    of_class: Callable[[int], object] = int if paired.task is Task.BINARY else names(paired).__getitem__
    for where, known in tables.items():
        if isinstance(known.found, ValueError):
            continue
        counts = known.found
        many = len(counts.count)
        for name, code in zip(paired.keys(cut), paired.codes(cut, where), strict=True):
            columns[name] += [code] * many
        for name, axis in zip(CELL, (counts.label, counts.base, counts.head), strict=True):
            columns[name] += [of_class(index) for index in axis.tolist()]
        for index, found in enumerate(weights[where]):
            parts = (found.on_base, found.on_delta, found.part) if isinstance(found, _Weights) else [np.zeros(many)] * 3
            for name, part in zip("bdu", parts, strict=True):
                columns[f"{name}{index}"] += part.tolist()
    return columns, types


def _statistic(known: Cells, weights: _Weights | ValueError, squares: Row, index: int) -> Statistic:
    def usable() -> _Weights:
        if isinstance(weights, ValueError):
            raise weights
        return weights

    def moved() -> Influence:
        found = usable()
        return Influence(
            n=int(known.counts.count @ found.part) if found.fixed else known.counts.n,
            units=int(number(squares[f"u{index}"])),
            base=found.base,
            delta=found.delta,
            base_squares=number(squares[f"bb{index}"]),
            delta_squares=number(squares[f"dd{index}"]),
            products=number(squares[f"bd{index}"]),
            clusters=True,
        )

    def difference(confidence: float) -> Difference:
        found, about = moved(), usable()
        answer = influence.difference(found, method=CLUSTERED, confidence=confidence)
        if answer.identical:
            return answer if known.same else _unmoved(answer, found.units)
        worth = about.worth(known.counts, found.delta_squares, of_delta=True)
        return design.wider(answer, about.ends(known.counts, worth, confidence))

    def value(confidence: float, head: bool) -> Estimate:
        found, about = moved(), usable()
        point = found.base + found.delta * head
        if about.proportion and point in (0, 1):
            return agreed(point, n=found.n, units=found.units, confidence=confidence)
        answer = influence.value(found, head=head, method=CLUSTERED, confidence=confidence, within=(about.lowest, 1))
        if not (about.proportion and about.fixed):
            return answer
        squares = found.base_squares + (found.delta_squares + 2 * found.products) * head
        worth = about.worth(known.counts, squares, of_delta=False, head=head)
        return design.wider_value(answer, design.share(point, found.n, worth, confidence))

    return Statistic(difference=difference, value=value)


def _unmoved(found: Difference, clusters: int) -> Difference:
    """No cluster moves the metric, though scores changed: as wide as for a proportion of that many that all agree."""
    bound = tango(PairedTable(both_right=clusters, only_base=0, only_head=0, both_wrong=0), found.confidence)
    return dataclasses.replace(found, low=bound.low, high=bound.high, standard_error=None, df=None, identical=False)


def agreed(value: float, *, n: int, units: int, confidence: float) -> Estimate:
    """A proportion that is 0, or 1, in every cluster: Wilson's interval of that many clusters that all agree."""
    bound = wilson(round(value * units), units, confidence)
    return dataclasses.replace(bound, n=n, clusters=units, standard_error=None)
