"""The median absolute error: order statistics, and how many examples lie below both medians. Layer: metrics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ibis

from ci_ml.core.catalogue import Asked
from ci_ml.core.types import Slice
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Cut, Paired, beside, number, sliced, total
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import quantiles
from ci_ml.stats.estimate import Difference, Estimate
from ci_ml.stats.normal import critical
from ci_ml.stats.quantiles import Order

QUANTILE = 0.5


def measure(
    engine: Engine, paired: Paired, asked: Sequence[Asked], cuts: Sequence[Cut], confidence: float
) -> Statistics:
    """Every quantile, at one confidence: it says which order statistics are looked up."""
    found: Statistics = {}
    for item in asked:
        for cut in cuts:
            found |= _measure(engine, paired, item, cut, confidence)
    return found


def _measure(engine: Engine, paired: Paired, asked: Asked, cut: Cut, confidence: float) -> Statistics:
    keys = paired.keys(cut)
    errors = {side: (paired.table[f"{side}_value"] - paired.table.label).abs() for side in ("base", "head")}
    table = paired.table.select(*keys, "one", **errors)
    slice_ = ibis.window(group_by=keys)
    ranked = engine.hold(
        table.mutate(
            n=table.one.sum().over(slice_),
            **{f"{side}_rank": _rank(keys, side) for side in ("base", "head")},
        )
    )
    looked_up = {
        name: (rank, side) for side in ("base", "head") for name, rank in _ranks(ranked, side, confidence).items()
    }
    values = {
        name: (ranked[f"{side}_rank"] == rank).ifelse(ranked[side], 0.0) for name, (rank, side) in looked_up.items()
    }
    change = (ranked["head"] - ranked["base"]).abs()
    rows = engine.rows(total(ranked, keys, {"n": ranked.one, "change": change, **values}))
    sides = {where: _Sides.of(found[0]) for where, found in sliced(paired, cut, rows)}
    below = _below(engine, paired, cut, ranked, sides)
    return {(asked, where): _statistic(found, below[where], confidence) for where, found in sides.items()}


def _rank(keys: Sequence[str], side: str) -> ibis.Value:
    return ibis.row_number().over(ibis.window(group_by=list(keys), order_by=[side])) + 1


def _ranks(table: ibis.Table, side: str, confidence: float) -> dict[str, ibis.Value]:
    """The ranks (from 1) of the ends of Woodruff's interval, and of both values that the quantile lies between."""
    n = table.n.cast("float64")
    reach = critical(confidence) * (n * QUANTILE * (1 - QUANTILE)).sqrt()
    place = ((n - 1) * QUANTILE).floor() + 1
    return {
        f"{side}_low": (n * QUANTILE - reach).floor(),
        f"{side}_high": (n * QUANTILE + reach).ceil() + 1,
        f"{side}_at": place,
        f"{side}_after": ibis.least(place + 1, n),
    }


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """The order statistics of both sides on a slice."""

    n: int
    same: bool
    row: Row

    @classmethod
    def of(cls, row: Row) -> "_Sides":
        return cls(n=int(number(row["n"])), same=number(row["change"]) == 0, row=row)

    def median(self, side: str) -> float:
        """Between two values, interpolated, as numpy's default."""
        place = (self.n - 1) * QUANTILE
        one, two = number(self.row[f"{side}_at"]), number(self.row[f"{side}_after"])
        return one + (two - one) * (place - math.floor(place))

    def order(self, side: str, confidence: float) -> Order:
        """Raises TooFew where the interval would reach beyond the smallest or the largest value."""
        quantiles.ranks(self.n, QUANTILE, confidence)
        low, high = (number(self.row[f"{side}_{end}"]) for end in ("low", "high"))
        return Order(value=self.median(side), low=low, high=high)


def _below(
    engine: Engine, paired: Paired, cut: Cut, ranked: ibis.Table, sides: dict[Slice | None, _Sides]
) -> dict[Slice | None, int]:
    """How many examples lie at or below the quantile on both sides."""
    medians = {where: {f"{side}_q": found.median(side) for side in ("base", "head")} for where, found in sides.items()}
    joined = beside(engine, paired, cut, ranked, medians)
    both = (joined["base"] <= joined.base_q) & (joined["head"] <= joined.head_q)
    rows = engine.rows(total(joined, paired.keys(cut), {"both": both.cast("int64")}))
    return {where: int(number(found[0]["both"])) for where, found in sliced(paired, cut, rows)}


def _statistic(sides: _Sides, both_below: int, at: float) -> Statistic:
    def difference(confidence: float) -> Difference:
        assert confidence == at
        return quantiles.difference(
            sides.order("base", at),
            sides.order("head", at),
            n=sides.n,
            both_below=both_below,
            quantile=QUANTILE,
            confidence=at,
            same=sides.same,
        )

    def value(confidence: float, head: bool) -> Estimate:
        assert confidence == at
        return quantiles.value(sides.order("head" if head else "base", at), n=sides.n, confidence=at)

    return Statistic(difference=difference, value=value)
