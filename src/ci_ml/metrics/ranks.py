"""ROC-AUC: placements of all examples through rank windows, then their moments by class. Layer: metrics.

The placement of a positive is the share of negatives that score lower, ties by half. What is summed up is how far it
is from 1: twice the number of examples of the other class that are on the wrong side of it. For a good model that is
small, so its variance keeps its digits.
"""

import dataclasses
import functools
import operator
from collections.abc import Mapping, Sequence

import ibis
import numpy as np

from ci_ml.core.catalogue import Asked, Task
from ci_ml.core.types import Slice
from ci_ml.metrics.counts import CLUSTERED
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Cut, Paired, beside, number, sliced, total, totals
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import delong, influence
from ci_ml.stats.delong import ClusterPlacements
from ci_ml.stats.estimate import Difference, Estimate, TooFew, Undefined
from ci_ml.stats.influence import Influence, Totals
from ci_ml.stats.means import Pairs


def measure(engine: Engine, paired: Paired, asked: Sequence[Asked], cuts: Sequence[Cut]) -> Statistics:
    """Every ROC-AUC: of two classes, of one against the rest, and the macro average over all of them."""
    found: Statistics = {}
    for item in asked:
        for cut in cuts:
            if paired.task is Task.MULTICLASS and item.which is None:
                found |= _macro(engine, paired, item, cut)
            elif paired.clustered:
                found |= _clustered(engine, paired, item, cut)
            else:
                found |= _two_classes(engine, paired, item, cut)
    return found


def positive(paired: Paired, asked: Asked) -> tuple[ibis.Value, str]:
    """Whether an example is of the class that is meant, and what the columns of its scores end with."""
    if paired.task is Task.BINARY:
        return paired.table.label == 1, ""
    assert asked.which is not None
    return paired.table.label == asked.which, f"_{paired.classes.index(asked.which)}"


def _misplaced(table: ibis.Table, keys: Sequence[str], truth: str, score: str) -> ibis.Value:
    """Twice the number of examples of the other class that are on the wrong side of this one, ties by half of that.

    ranks: examples below, over all and within the class, give those of the other class below; counts up to and with
    ties likewise those at or below (Sun and Xu 2014, IEEE Signal Processing Letters 21:1389). Ranks and counts are
    cheap where a sum over the same window is not.
    """
    own = [*keys, truth]
    below = _below(table, keys, score) - _below(table, own, score)
    others = _many(table, keys, score) - _many(table, own, score)
    return table[truth].ifelse(2 * others - below, below).cast("float64")


def _below(table: ibis.Table, keys: Sequence[str], score: str) -> ibis.Value:
    """How many score lower, plus how many score no higher."""
    order = {"group_by": [table[key] for key in keys], "order_by": [table[score]]}
    at_or_below = ibis.range_window(preceding=None, following=0, **order)
    return ibis.rank().over(ibis.window(**order)) + table.one.count().over(at_or_below)


def _many(table: ibis.Table, keys: Sequence[str], score: str) -> ibis.Value:
    """How many there are: asked in the order of the other windows, so that nothing is sorted for it."""
    order = {"group_by": [table[key] for key in keys], "order_by": [table[score]]}
    return table.one.count().over(ibis.window(preceding=None, following=None, **order))


def _placed(paired: Paired, asked: Asked, cut: Cut) -> ibis.Table:
    """Per example: its class (`truth`), and how misplaced it is on the base (`b`), and the change of that (`d`)."""
    truth, suffix = positive(paired, asked)
    table = paired.table.mutate(truth=truth)
    keys = paired.keys(cut)
    kept = [*keys, "truth", "one", *(["cluster"] if paired.clustered else [])]
    sides = {side: _misplaced(table, keys, "truth", f"{side}_score{suffix}") for side in ("base", "head")}
    placed = table.select(*kept, **sides)
    return placed.mutate(b=placed.base, d=placed["head"] - placed.base)


def _two_classes(engine: Engine, paired: Paired, asked: Asked, cut: Cut) -> Statistics:
    placed = _placed(paired, asked, cut)
    keys = [*paired.keys(cut), "truth"]
    rows = engine.rows(total(placed, keys, _moments(placed)))
    return {(asked, where): _statistic(found) for where, found in sliced(paired, cut, rows)}


def _moments(table: ibis.Table) -> dict[str, ibis.Value]:
    one, change = table.b, table.d
    return {"n": table.one, "b": one, "d": change, "bb": one * one, "dd": change * change, "bd": one * change}


def _statistic(rows: Sequence[Row]) -> Statistic:
    def classes() -> tuple[Pairs, Pairs, bool]:
        of = {bool(row["truth"]): row for row in rows}
        sizes = {truth: int(number(of[truth]["n"])) if truth in of else 0 for truth in (True, False)}
        _both(sizes[True], sizes[False])
        same = all(number(row["dd"]) == 0 for row in rows)
        return _pairs(of[True], sizes[False]), _pairs(of[False], sizes[True]), same

    def difference(confidence: float) -> Difference:
        positives, negatives, same = classes()
        return delong.auc_difference(positives, negatives, confidence, identical=same)

    def value(confidence: float, head: bool) -> Estimate:
        positives, negatives, _ = classes()
        return delong.auc_value(positives, negatives, confidence, head=head)

    return Statistic(difference=difference, value=value)


def _both(positives: int, negatives: int) -> None:
    if not positives or not negatives:
        raise Undefined(f"ROC-AUC is undefined: there are {positives} positive and {negatives} negative examples")
    if min(positives, negatives) < 2:
        raise TooFew(f"{positives} positive and {negatives} negative examples: an interval needs 2 of each")


def _pairs(row: Row, others: int) -> Pairs:
    """Moments of placements, 1 - misplaced / (2 · others), from those of how misplaced examples are."""
    found = Pairs.of_sums(
        n=int(number(row["n"])),
        base=number(row["b"]),
        delta=number(row["d"]),
        base_squares=number(row["bb"]),
        delta_squares=number(row["dd"]),
        products=number(row["bd"]),
    )
    scale = 1 / (2 * others)
    return dataclasses.replace(
        found,
        base=1 - found.base * scale,
        delta=-found.delta * scale,
        base_variance=found.base_variance * scale**2,
        delta_variance=found.delta_variance * scale**2,
        covariance=found.covariance * scale**2,
    )


def _clustered(engine: Engine, paired: Paired, asked: Asked, cut: Cut) -> Statistics:
    placed = _placed(paired, asked, cut)
    up, down = placed.truth.cast("int64"), (~placed.truth).cast("int64")
    columns = {
        "u": up,
        "ub": up * placed.b,
        "ud": up * placed.d,
        "v": down,
        "vb": down * placed.b,
        "vd": down * placed.d,
    }
    keys = paired.keys(cut)
    moved = (placed.d != 0).cast("int64")
    units = engine.hold(total(placed, [*keys, "cluster"], {**columns, "one": placed.one, "moved": moved}))
    counted = {"up": (units.u > 0).cast("int64"), "down": (units.v > 0).cast("int64"), "moved": units.moved}
    having = dict(sliced(paired, cut, engine.rows(total(units, keys, counted))))
    sums = totals(engine, paired, [cut], [units[name] for name in columns], units)
    return {(asked, where): _of_clusters(part, having[where][0]) for where, part in sums}


def _of_clusters(found: Totals | ValueError, having: Row) -> Statistic:
    def sums() -> ClusterPlacements:
        if isinstance(found, ValueError):
            raise found
        positives, negatives = found.sums[0], found.sums[3]
        _both(int(positives), int(negatives))
        above, below = 1 / (2 * negatives), 1 / (2 * positives)
        placements = np.zeros((6, 6))
        for start, scale in ((0, above), (3, below)):
            placements[start, start] = placements[start + 1, start] = 1
            placements[start + 1, start + 1] = placements[start + 2, start + 2] = -scale
        return ClusterPlacements(
            totals=found.mapped(placements),
            with_positives=int(number(having["up"])),
            with_negatives=int(number(having["down"])),
        )

    def difference(confidence: float) -> Difference:
        return delong.clustered_difference(sums(), confidence, identical=number(having["moved"]) == 0)

    return Statistic(
        difference=difference,
        value=lambda confidence, head: delong.clustered_value(sums(), confidence, head=head),
    )


# --- Several classes ------------------------------------------------------------------------------------------------


def _macro(engine: Engine, paired: Paired, asked: Asked, cut: Cut) -> Statistics:
    """As `delong.macro_of_scores`: per example, the sum over classes of its placement over the size of its group."""
    keys = paired.keys(cut)
    rows = engine.rows(total(paired.table, [*keys, "label"], {"n": paired.table.one}))
    sizes = {where: _sizes(found, paired.classes) for where, found in sliced(paired, cut, rows)}
    flags = {f"truth_{index}": paired.table.label == name for index, name in enumerate(paired.classes)}
    table = paired.table.mutate(**flags)
    misplaced = {
        f"{side}_{index}": _misplaced(table, keys, flag, f"{side}_score_{index}")
        for index, flag in enumerate(flags)
        for side in ("base", "head")
    }
    kept = [*keys, "label", "one", *(["cluster"] if paired.clustered else [])]
    placed = beside(engine, paired, cut, table.select(*kept, *flags, **misplaced), sizes)
    summed = {side: _over_classes(placed, side, len(flags)) for side in ("base", "head")}
    own = {f"{side}_own": _own_class(placed, side, len(flags)) for side in ("base", "head")}
    numbered = placed.select(*kept, **summed, **own)
    numbered = engine.hold(numbered.mutate(b=numbered.base, d=numbered["head"] - numbered.base))
    sums = {**_moments(numbered), **{name: numbered[name] for name in own}}
    found = dict(sliced(paired, cut, engine.rows(total(numbered, [*keys, "label"], sums))))
    if paired.clustered:
        return _macro_of_clusters(engine, paired, asked, cut, numbered, found)
    return {(asked, where): _macro_statistic(rows, paired.classes) for where, rows in found.items()}


def _sizes(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, float]:
    of = {str(row["label"]): number(row["n"]) for row in rows}
    return {f"size_{index}": of.get(name, 0.0) for index, name in enumerate(classes)}


def _over_classes(placed: ibis.Table, side: str, classes: int) -> ibis.Value:
    """Placements over the sizes of their groups, times the size of its class; nothing if a class is absent."""
    sizes = [placed[f"size_{index}"] for index in range(classes)]
    everyone = functools.reduce(operator.add, sizes)
    found: list[ibis.Value] = []
    own: list[ibis.Value] = []
    for index, size in enumerate(sizes):
        flag, others = placed[f"truth_{index}"], everyone - size
        placement = 1 - placed[f"{side}_{index}"] / (2 * flag.ifelse(others, size)).nullif(0.0)
        found.append(placement / flag.ifelse(size, others))
        own.append(flag.ifelse(size, 0.0))
    return functools.reduce(operator.add, found) * functools.reduce(operator.add, own) / classes


def _own_class(placed: ibis.Table, side: str, classes: int) -> ibis.Value:
    """How misplaced an example is among those of its own class and all others; the mean is 2 · others · (1 - AUC)."""
    return ibis.cases(*((placed[f"truth_{index}"], placed[f"{side}_{index}"]) for index in range(classes)), else_=0.0)


def _macro_of_clusters(
    engine: Engine,
    paired: Paired,
    asked: Asked,
    cut: Cut,
    numbered: ibis.Table,
    found: Mapping[Slice | None, list[Row]],
) -> Statistics:
    """To first order: an example adds its placements less the AUCs that they are placements for, over group sizes.

    Clusters come with their classes, so what is drawn is not stratified by class, as it is for single examples.
    """
    centers = {where: _centers(rows, paired.classes) for where, rows in found.items()}
    table = beside(engine, paired, cut, numbered, centers)
    size, base, change = (
        ibis.cases(
            *((table.label == label, table[f"{name}_{index}"]) for index, label in enumerate(paired.classes)), else_=0.0
        )
        for name in ("size", "base", "change")
    )
    columns = [table.b / size.nullif(0.0) - base, table.d / size.nullif(0.0) - change]
    return {
        (asked, where): _of_macro_clusters(sums, found[where], paired.classes)
        for where, sums in totals(engine, paired, [cut], columns, table)
    }


def _centers(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, float]:
    """Per class: its size, and the mean over classes of base AUCs, and of their changes, over group sizes."""
    of = {str(row["label"]): row for row in rows}
    size = np.array([number(of[name]["n"]) if name in of else 0.0 for name in classes])
    others = size.sum() - size
    sums = {
        side: np.array([number(of[name][f"{side}_own"]) if name in of else 0.0 for name in classes])
        for side in ("base", "head")
    }
    pairs = np.maximum(2 * size * others, 1)
    areas = {"base": 1 - sums["base"] / pairs, "change": (sums["base"] - sums["head"]) / pairs}
    answer = {f"size_{index}": float(many) for index, many in enumerate(size)}
    for name, area in areas.items():
        rest, own = area / np.maximum(others, 1), area / np.maximum(size, 1)
        center = (own + rest.sum() - rest) / len(classes)
        answer |= {f"{name}_{index}": float(value) for index, value in enumerate(center)}
    return answer


def _of_macro_clusters(found: Totals | ValueError, rows: Sequence[Row], classes: Sequence[str]) -> Statistic:
    def known() -> Influence:
        strata, _ = _strata(rows, classes)
        if isinstance(found, ValueError):
            raise found
        return Influence(
            n=found.n,
            units=found.units,
            base=sum(stratum.base for stratum in strata) / 2,
            delta=sum(stratum.delta for stratum in strata) / 2,
            base_squares=float(found.products[0, 0]),
            delta_squares=float(found.products[1, 1]),
            products=float(found.products[0, 1]),
            clusters=True,
        )

    def value(confidence: float, head: bool) -> Estimate:
        return influence.value(known(), head=head, method=CLUSTERED, confidence=confidence, within=(0, 1))

    return Statistic(
        difference=lambda confidence: influence.difference(known(), method=CLUSTERED, confidence=confidence),
        value=value,
    )


def _strata(rows: Sequence[Row], classes: Sequence[str]) -> tuple[list[Pairs], bool]:
    """Moments by class, and whether no example's number changed."""
    of = {str(row["label"]): row for row in rows}
    if absent := [name for name in classes if name not in of]:
        raise Undefined(f"ROC-AUC of all classes is undefined: no example has the class {absent[0]}")
    found = [
        Pairs.of_sums(
            n=int(number(row["n"])),
            base=number(row["b"]),
            delta=number(row["d"]),
            base_squares=number(row["bb"]),
            delta_squares=number(row["dd"]),
            products=number(row["bd"]),
        )
        for row in (of[name] for name in classes)
    ]
    return found, all(number(row["dd"]) == 0 for row in rows)


def _macro_statistic(rows: Sequence[Row], classes: Sequence[str]) -> Statistic:
    def difference(confidence: float) -> Difference:
        found, same = _strata(rows, classes)
        return delong.macro_difference(found, confidence, identical=same)

    return Statistic(
        difference=difference,
        value=lambda confidence, head: delong.macro_value(_strata(rows, classes)[0], confidence, head=head),
    )
