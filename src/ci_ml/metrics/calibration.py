"""Expected calibration error: sums over pairs of bins. Layer: metrics."""

import dataclasses
from collections.abc import Sequence

import ibis
import numpy as np

from ci_ml.core.catalogue import Asked, Task
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Cut, Paired, by_cut, number
from ci_ml.metrics.statistic import Statistic, Statistics
from ci_ml.stats import calibration
from ci_ml.stats.calibration import Bins

BINS = 15  # Guo et al. 2017


def measure(engine: Engine, paired: Paired, asked: Sequence[Asked], cuts: Sequence[Cut]) -> Statistics:
    """Of two classes the score against the label; of more the largest score against being right."""
    found: Statistics = {}
    for item in asked:
        found |= _measure(engine, paired, item, cuts)
    return found


def _measure(engine: Engine, paired: Paired, asked: Asked, cuts: Sequence[Cut]) -> Statistics:
    bins = int(float(asked.argument or BINS))
    (one, base), (two, head) = (confidence_of(paired, side) for side in ("base", "head"))
    off, away = one - base, two - head
    table = paired.table.mutate(
        base_bin=_bin(one, bins),
        head_bin=_bin(two, bins),
    )
    sums = {
        "n": paired.table.one,
        "b": off,
        "h": away,
        "bb": off * off,
        "hh": away * away,
        "bh": off * away,
    }
    keys = sorted({key for cut in cuts for key in paired.keys(cut)})
    narrow = table.select(*keys, "base_bin", "head_bin", **sums)
    mine = dataclasses.replace(paired, table=narrow)
    rows = by_cut(engine, mine, cuts, ("base_bin", "head_bin"), {name: narrow[name] for name in sums})
    return {(asked, where): _statistic(found) for where, found in rows}


def confidence_of(paired: Paired, side: str) -> tuple[ibis.Value, ibis.Value]:
    """What a side was how sure of, and whether it was so (0 or 1)."""
    table = paired.table
    if paired.task is Task.BINARY:
        return table[f"{side}_score"], table.label.cast("float64")
    scores = [table[f"{side}_score_{index}"] for index in range(len(paired.classes))]
    top = ibis.greatest(*scores)
    return top, (table[f"{side}_class"] == table.label).cast("float64")


def _bin(score: ibis.Value, bins: int) -> ibis.Value:
    """Bins are open below and closed above, as in the paper; 0 belongs to the first."""
    return ((score * bins).ceil() - 1).clip(0, bins - 1).cast("int64")


def _statistic(rows: Sequence[Row]) -> Statistic:
    def bins() -> Bins:
        def column(name: str) -> list[float]:
            return [number(row[name]) for row in rows]

        return Bins(
            base_bin=np.array(column("base_bin"), dtype=np.int64),
            head_bin=np.array(column("head_bin"), dtype=np.int64),
            count=np.array(column("n")),
            base=np.array(column("b")),
            head=np.array(column("h")),
            base_squares=np.array(column("bb")),
            head_squares=np.array(column("hh")),
            products=np.array(column("bh")),
        )

    return Statistic(
        difference=lambda confidence: calibration.difference(bins(), confidence),
        value=lambda confidence, head: calibration.value(bins(), head=head, confidence=confidence),
    )
