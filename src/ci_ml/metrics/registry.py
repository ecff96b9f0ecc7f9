"""Every family, and the measuring of everything that is asked of a table. Layer: metrics."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ci_ml.core.catalogue import Asked, Family
from ci_ml.metrics import calibration, counts, flips, means, precision_recall, quantiles, ranks
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.paired import Cut, Paired
from ci_ml.metrics.statistic import Statistics

Measure = Callable[[Engine, Paired, Sequence[Asked], Sequence[Cut]], Statistics]


def families(confidence: float) -> dict[Family, Measure]:
    """What measures each family."""
    return {
        Family.COUNTS: counts.measure,
        Family.FLIPS: flips.measure,
        Family.MEANS: means.measure,
        Family.RANKS: ranks.measure,
        Family.PRECISION_RECALL: precision_recall.measure,
        Family.CALIBRATION: calibration.measure,
        Family.QUANTILES: partial(quantiles.measure, confidence=confidence),
    }


def measure(engine: Engine, paired: Paired, wanted: Iterable[tuple[Asked, Cut]], confidence: float) -> Statistics:
    """Every metric on every cut that is asked for; metrics of one family that share their cuts together."""
    known = families(confidence)
    grouped: dict[tuple[Family, frozenset[Cut]], list[Asked]] = {}
    cuts: dict[Asked, dict[Cut, None]] = {}
    for asked, cut in wanted:
        cuts.setdefault(asked, {})[cut] = None
    for asked, mine in cuts.items():
        grouped.setdefault((asked.known.family, frozenset(mine)), []).append(asked)
    found: Statistics = {}
    for (family, shared), together in grouped.items():
        found |= known[family](engine, paired, together, sorted(shared))
    return found
