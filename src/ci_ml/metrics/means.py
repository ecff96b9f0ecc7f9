"""Means of a number per example: losses, errors, any column; RMSE and R². Layer: metrics."""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import ibis
import numpy as np

from ci_ml.core.catalogue import Asked, Task
from ci_ml.core.types import Slice
from ci_ml.metrics.counts import unchanged
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Cut, Paired, beside, by_cut, number, sliced, total, totals
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import clusters, means
from ci_ml.stats.estimate import Difference, Estimate, NoVariance
from ci_ml.stats.influence import Totals
from ci_ml.stats.means import Pairs
from ci_ml.stats.proportion import wilson
from ci_ml.stats.tango import PairedTable, tango

# Scores of 0 and 1 would be infinitely surprised; scikit-learn clips them here, too.
_EPSILON = float(np.finfo(float).eps)

# A number per example, of the base and of the head.
Sides = tuple[ibis.Value, ibis.Value]


def per_example(paired: Paired, asked: Asked) -> Sides:
    """The number whose mean the metric is (whose root, for RMSE)."""
    if asked.name in ("mean", "custom"):
        one, two = paired.columns[str(asked)]
        return paired.table[one].cast("float64"), paired.table[two].cast("float64")
    base, head = (_loss(paired, asked, side) for side in ("base", "head"))
    return base, head


def _loss(paired: Paired, asked: Asked, side: str) -> ibis.Value:
    table = paired.table
    if asked.name == "log_loss":
        return -ibis.greatest(ibis.least(_of_label(paired, side), 1 - _EPSILON), _EPSILON).ln()
    if asked.name == "brier":
        return _brier(paired, side)
    error = table[f"{side}_value"] - table.label
    match asked.name:
        case "mae":
            return error.abs()
        case "mse" | "rmse":
            return error * error
        case "mape":
            return error.abs() / ibis.greatest(table.label.abs(), _EPSILON)
        case "pinball":
            share = float(asked.argument or 0.5)
            return ibis.greatest(-error * share, error * (1 - share))
    raise AssertionError(asked)


def _of_label(paired: Paired, side: str) -> ibis.Value:
    """The score of the class that is true."""
    table = paired.table
    if paired.task is Task.BINARY:
        score = table[f"{side}_score"]
        return (table.label == 1).ifelse(score, 1 - score)
    cases = [(table.label == name, table[f"{side}_score_{index}"]) for index, name in enumerate(paired.classes)]
    return ibis.cases(*cases, else_=0.0)


def _brier(paired: Paired, side: str) -> ibis.Value:
    """Squared error of the score; for several classes summed over them (Brier 1950)."""
    table = paired.table
    if paired.task is Task.BINARY:
        return _square(table[f"{side}_score"] - table.label)
    return functools.reduce(
        operator.add,
        (
            _square(table[f"{side}_score_{index}"] - (table.label == name).cast("float64"))
            for index, name in enumerate(paired.classes)
        ),
    )


def _square(value: ibis.Value) -> ibis.Value:
    return value * value  # a tenth of what a power costs


def measure(engine: Engine, paired: Paired, asked: Sequence[Asked], cuts: Sequence[Cut]) -> Statistics:
    """All means, in one pass over the examples; R², whose label varies as well, in one of its own."""
    plain = [item for item in asked if item.name != "r2"]
    found: Statistics = {}
    if plain and paired.clustered:
        for item in plain:
            found |= _clustered(engine, paired, item, cuts)
    elif plain:
        found |= _independent(engine, paired, plain, cuts)
    for item in asked:
        if item.name == "r2":
            found |= _r_squared(engine, paired, item, cuts)
    return found


@dataclass(frozen=True, kw_only=True)
class _Centers:
    """Means over all examples, taken away before squares are summed: the digits of a variance survive that."""

    base: float = 0.0
    change: float = 0.0


# Losses that start at 0 and seldom are much larger than they vary keep their digits without.
_UNCENTERED = ("log_loss", "brier")


def _independent(engine: Engine, paired: Paired, asked: Sequence[Asked], cuts: Sequence[Cut]) -> Statistics:
    values = {f"m{index}": per_example(paired, item) for index, item in enumerate(asked)}
    far = {f"m{index}": values[f"m{index}"] for index, item in enumerate(asked) if item.name not in _UNCENTERED}
    centers = _centers(engine, paired, far) if far else {}
    sums: dict[str, ibis.Value] = {"n": paired.table.one, "changed": paired.table.changed}
    for index, item in enumerate(asked):
        name = f"m{index}"
        (one, two), center = values[name], centers.get(name, _Centers())
        base, change = one - center.base, (two - one) - center.change
        products = {"b": base, "d": change, "bb": base * base, "dd": change * change, "bd": base * change}
        products["moved"] = (one != two).cast("int64")
        if item.name in _OF_COLUMNS:
            products |= {part: value.cast("int64") for part, value in _truth(one, two).items()}
        sums |= {f"{name}_{part}": value for part, value in products.items()}
    return {
        (item, where): _plain(rows[0], f"m{index}", item, centers.get(f"m{index}", _Centers()))
        for where, rows in by_cut(engine, paired, cuts, [], sums)
        for index, item in enumerate(asked)
    }


_OF_COLUMNS = ("mean", "custom")


def _truth(one: ibis.Value, two: ibis.Value) -> dict[str, ibis.Value]:
    """Counts of examples that are 1 on both sides, on one; `odd` counts what is neither 0 nor 1."""
    first, second = one == 1, two == 1
    odd = ~(first | (one == 0)) | ~(second | (two == 0))
    return {"both": first & second, "base": first & ~second, "head": ~first & second, "odd": odd}


def _centers(engine: Engine, paired: Paired, values: Mapping[str, Sides]) -> dict[str, _Centers]:
    wanted = {f"{name}_b": one.mean() for name, (one, _) in values.items()}
    wanted |= {f"{name}_d": (two - one).mean() for name, (one, two) in values.items()}
    (row,) = engine.rows(paired.table.aggregate(**wanted))
    return {
        name: _Centers(base=_finite(number(row[f"{name}_b"])), change=_finite(number(row[f"{name}_d"])))
        for name in values
    }


def _finite(value: float) -> float:
    return value if np.isfinite(value) else 0.0


def _plain(row: Row, name: str, asked: Asked, centers: _Centers) -> Statistic:
    moved = number(row[f"{name}_moved"]) > 0

    def pairs() -> Pairs:
        found = Pairs.of_sums(
            n=int(number(row["n"])),
            base=number(row[f"{name}_b"]),
            delta=number(row[f"{name}_d"]),
            base_squares=number(row[f"{name}_bb"]),
            delta_squares=number(row[f"{name}_dd"]),
            products=number(row[f"{name}_bd"]),
            base_center=centers.base,
            delta_center=centers.change,
        )
        # A sum of many zeros less their center need not be exactly zero again.
        return found if moved else dataclasses.replace(found, delta=0.0, delta_variance=0.0, covariance=0.0)

    if asked.name == "rmse":
        return Statistic(
            difference=lambda confidence: means.root_mean(pairs(), confidence),
            value=lambda confidence, head: means.root_mean_value(*_side(pairs(), head), confidence),
        )
    if asked.name in _OF_COLUMNS and number(row[f"{name}_odd"]) == 0:
        return _proportion(row, name, same=not moved and not number(row["changed"]))
    return Statistic(
        difference=lambda confidence: means.paired_t(pairs(), confidence),
        value=lambda confidence, head: means.mean(*_side(pairs(), head), confidence),
    )


def _side(pairs: Pairs, head: bool) -> tuple[int, float, float]:
    return (pairs.n, pairs.head, pairs.head_variance) if head else (pairs.n, pairs.base, pairs.base_variance)


def _proportion(row: Row, name: str, *, same: bool) -> Statistic:
    """A column of 0 and 1 is a proportion; `same`: neither it nor any prediction differs between the sides."""
    n, both, base, head = (int(number(row[part])) for part in ("n", f"{name}_both", f"{name}_base", f"{name}_head"))

    def difference(confidence: float) -> Difference:
        table = PairedTable(both_right=both, only_base=base, only_head=head, both_wrong=n - both - base - head)
        return unchanged(tango(table, confidence)) if same else tango(table, confidence)

    def value(confidence: float, of_head: bool) -> Estimate:
        return wilson(both + (head if of_head else base), n, confidence)

    return Statistic(difference=difference, value=value)


def _clustered(engine: Engine, paired: Paired, asked: Asked, cuts: Sequence[Cut]) -> Statistics:
    one, two = per_example(paired, asked)
    columns = [paired.table.one, one, two - one, (one != two).cast("int64")]
    root = asked.name == "rmse"
    difference = clusters.root_mean_difference if root else clusters.mean_difference
    value = clusters.root_mean_value if root else clusters.mean_value

    def checked(totals: Totals, confidence: float) -> Difference:
        return _seen(difference(_first(totals, 3), confidence), moved=totals.sums[3] > 0)

    def own(totals: Totals, *, head: bool, confidence: float) -> Estimate:
        return value(_first(totals, 3), head=head, confidence=confidence)

    return dict(_answers(asked, totals(engine, paired, cuts, columns), checked, own))


def _first(found: Totals, size: int) -> Totals:
    """The same without the last columns."""
    return found.mapped(np.eye(size, len(found.sums)))


def _seen(found: Difference, *, moved: bool) -> Difference:
    """Raises NoVariance where examples change and no cluster does: that is not the same as no change."""
    if found.identical and moved:
        raise NoVariance(f"{found.method}: examples changed, but no cluster did, so there is no interval")
    return found


def _r_squared(engine: Engine, paired: Paired, asked: Asked, cuts: Sequence[Cut]) -> Statistics:
    table = paired.table
    found: Statistics = {}
    for cut in cuts:
        # The mean label is that of the slice: squares of labels around another one would lose digits.
        means_of = {
            where: {"center": _finite(number(rows[0]["sum"]) / number(rows[0]["n"]))}
            for where, rows in sliced(
                paired, cut, engine.rows(total(table, paired.keys(cut), {"n": table.one, "sum": table.label}))
            )
        }
        centered = beside(engine, paired, cut, table, means_of)
        one, two = (_square(centered[f"{side}_value"] - centered.label) for side in ("base", "head"))
        spread = _square(centered.label - centered.center)
        sums = totals(engine, paired, [cut], [spread, one, two - one], centered)
        found |= dict(_answers(asked, sums, means.r_squared, means.r_squared_value))
    return found


def _answers(
    asked: Asked,
    found: Iterator[tuple[Slice | None, Totals | ValueError]],
    difference: Callable[[Totals, float], Difference],
    value: Callable[..., Estimate],
) -> Iterator[tuple[tuple[Asked, Slice | None], Statistic]]:
    for where, part in found:
        yield (asked, where), of_totals(part, difference, value)


def of_totals(
    found: Totals | ValueError, difference: Callable[[Totals, float], Difference], value: Callable[..., Estimate]
) -> Statistic:
    """A statistic from sums and products, or the error that stands for them."""

    def known() -> Totals:
        if isinstance(found, ValueError):
            raise found
        return found

    return Statistic(
        difference=lambda confidence: difference(known(), confidence),
        value=lambda confidence, head: value(known(), head=head, confidence=confidence),
    )
