"""ROC-AUC: placements of all examples through rank windows, then their moments by class. Layer: metrics.

The placement of a positive is the share of negatives that score lower, ties by half. What is summed up is how far it
is from 1: twice the number of examples of the other class that are on the wrong side of it. For a good model that is
small, so its variance keeps its digits.
"""

import dataclasses
from collections.abc import Sequence

import ibis
import numpy as np

from ci_ml.core.catalogue import Asked, Task
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Cut, Paired, number, sliced, total, totals
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import delong
from ci_ml.stats.delong import ClusterPlacements
from ci_ml.stats.estimate import Difference, Estimate, TooFew, Undefined
from ci_ml.stats.influence import Totals
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
    ties likewise those at or below (Sun and Xu 2014, IEEE Signal Processing Letters 21:1389).
    """
    own = [*keys, truth]
    others = table.one.sum().over(ibis.window(group_by=list(keys))) - table.one.sum().over(ibis.window(group_by=own))
    below = _below(table, keys, score) - _below(table, own, score)
    return table[truth].ifelse(2 * others - below, below).cast("float64")


def _below(table: ibis.Table, keys: Sequence[str], score: str) -> ibis.Value:
    """How many score lower, plus how many score no higher."""
    order = {"group_by": [table[key] for key in keys], "order_by": [table[score]]}
    at_or_below = ibis.range_window(preceding=None, following=0, **order)
    return ibis.rank().over(ibis.window(**order)) + table.one.count().over(at_or_below)


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
    columns = [up, up * placed.b, up * placed.d, down, down * placed.b, down * placed.d]
    keys = paired.keys(cut)
    units = total(placed, [*keys, "cluster"], {"up": up, "down": down})
    having = {"up": (units.up > 0).cast("int64"), "down": (units.down > 0).cast("int64")}
    counted = dict(sliced(paired, cut, engine.rows(total(units, keys, having))))
    found: Statistics = {}
    for where, part in totals(engine, paired, [cut], columns, placed):
        found[asked, where] = _of_clusters(part, counted[where][0])
    return found


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
        assert not isinstance(found, ValueError)
        same = found.products[2, 2] == 0 and found.products[5, 5] == 0
        return delong.clustered_difference(sums(), confidence, identical=bool(same))

    return Statistic(
        difference=difference,
        value=lambda confidence, head: delong.clustered_value(sums(), confidence, head=head),
    )


# --- Several classes ------------------------------------------------------------------------------------------------


def _macro(engine: Engine, paired: Paired, asked: Asked, cut: Cut) -> Statistics:
    """As `delong.macro_of_scores`: per example, the sum over classes of its placement over the size of its group."""
    keys = paired.keys(cut)
    flags = {f"truth_{index}": paired.table.label == name for index, name in enumerate(paired.classes)}
    table = paired.table.mutate(**flags)
    everyone = table.one.sum().over(ibis.window(group_by=keys))
    sizes = {
        f"size_{index}": table[flag].cast("int64").sum().over(ibis.window(group_by=keys))
        for index, flag in enumerate(flags)
    }
    misplaced = {
        f"{side}_{index}": _misplaced(table, keys, flag, f"{side}_score_{index}")
        for index, flag in enumerate(flags)
        for side in ("base", "head")
    }
    placed = table.select(*keys, "label", "one", *flags, everyone=everyone, **sizes, **misplaced)
    summed = {side: _over_classes(placed, side, len(flags)) for side in ("base", "head")}
    numbered = placed.select(*keys, "label", "one", **summed)
    numbered = numbered.mutate(b=numbered.base, d=numbered["head"] - numbered.base)
    rows = engine.rows(total(numbered, [*keys, "label"], _moments(numbered)))
    return {(asked, where): _macro_statistic(found, paired.classes) for where, found in sliced(paired, cut, rows)}


def _over_classes(placed: ibis.Table, side: str, classes: int) -> ibis.Value:
    found: ibis.Value = ibis.literal(0.0)
    own: ibis.Value = ibis.literal(0)
    for index in range(classes):
        size, flag = placed[f"size_{index}"], placed[f"truth_{index}"]
        others = placed.everyone - size
        placement = 1 - placed[f"{side}_{index}"] / (2 * flag.ifelse(others, size)).nullif(0)
        found += placement / flag.ifelse(size, others)
        own += flag.ifelse(size, 0)
    return found * own / classes


def _macro_statistic(rows: Sequence[Row], classes: Sequence[str]) -> Statistic:
    def strata() -> tuple[list[Pairs], bool]:
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

    def difference(confidence: float) -> Difference:
        found, same = strata()
        return delong.macro_difference(found, confidence, identical=same)

    return Statistic(
        difference=difference,
        value=lambda confidence, head: delong.macro_value(strata()[0], confidence, head=head),
    )
