"""How often the head is wrong where the base was right, and the other way round. Layer: metrics."""

import dataclasses
from collections.abc import Sequence

import ibis

from ci_ml.core.catalogue import Asked
from ci_ml.metrics.counts import Cells, agreed, cells, unchanged
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.paired import Cut, Paired, totals
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import flips
from ci_ml.stats.estimate import Difference, Estimate
from ci_ml.stats.influence import Totals


def measure(engine: Engine, paired: Paired, asked: Sequence[Asked], cuts: Sequence[Cut]) -> Statistics:
    """Both flip rates. A model flips nothing against itself, so the base's value is 0."""
    tables = cells(engine, paired, cuts)
    if not paired.clustered:
        return {(item, where): _plain(found, item) for where, found in tables.items() for item in asked}
    return {
        (item, where): _clustered(found, same=tables[where].same)
        for item in asked
        for where, found in totals(engine, paired, cuts, [paired.table.one, _flip(paired, item)])
    }


def _flip(paired: Paired, asked: Asked) -> ibis.Value:
    table = paired.table
    base, head = (table[f"{side}_class"] == table.label for side in ("base", "head"))
    return (base & ~head if asked.name == "flips_to_wrong" else ~base & head).cast("float64")


def _plain(known: Cells, asked: Asked) -> Statistic:
    def many() -> tuple[int, int]:
        found = known.counts
        base, head = found.base == found.label, found.head == found.label
        chosen = base & ~head if asked.name == "flips_to_wrong" else ~base & head
        return int(found.count[chosen].sum()), found.n

    def difference(confidence: float) -> Difference:
        answer = flips.difference(*many(), confidence)
        return unchanged(answer) if known.same else answer

    return Statistic(
        difference=difference,
        value=lambda confidence, head: flips.value(*many(), head=head, confidence=confidence),
    )


def _clustered(found: Totals | ValueError, *, same: bool) -> Statistic:
    """Where nothing flips no cluster differs from another, which does not say that none ever will."""

    def known() -> Totals:
        if isinstance(found, ValueError):
            raise found
        return found

    def difference(confidence: float) -> Difference:
        sums = known()
        answer = flips.clustered_difference(sums, confidence)
        if sums.sums[1] or same:
            return answer
        bound = flips.difference(0, sums.units, confidence)
        return dataclasses.replace(bound, n=sums.n, clusters=sums.units)

    def value(confidence: float, head: bool) -> Estimate:
        sums = known()
        if sums.sums[1] and head:
            return flips.clustered_value(sums, head=head, confidence=confidence)
        return agreed(0.0, n=sums.n, units=sums.units, confidence=confidence)

    return Statistic(difference=difference, value=value)
