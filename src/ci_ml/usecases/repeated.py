"""Gates on numbers from several trainings with different seeds, one file each. Layer: usecases."""

from collections.abc import Iterable, Sequence

from ci_ml.core import compare, gates
from ci_ml.core.compare import Comparison
from ci_ml.core.config import GateConfig
from ci_ml.core.types import Contrast, Evidence, Gap, Measurement
from ci_ml.stats import repeats


def judge(configured: Iterable[GateConfig], base: Evidence, head: Evidence, confidence: float) -> list[Comparison]:
    """Every gate that is on repeats: the means of both sides, with an interval that covers the choice of seeds."""
    return [
        compare.compare_measured(gates.of(gate, gate.key), _measured(gate, base, head, confidence))
        for gate in configured
        if gate.repeats
    ]


def _values(gate: GateConfig, side: Evidence) -> list[float] | Gap:
    """A number per seed. A file that cannot be read, or that has no number there, is not left out."""
    every = {**side.others, **side.readings}
    found = [(key, reading) for key, reading in every.items() if gates.matches(gate.pattern, key)]
    broken = [gap for path, gap in side.unreadable.items() if gates.match_path(gate.pattern.path, path)]
    values = [reading.value for _, reading in found if isinstance(reading, Measurement)]
    holes = [*broken, *(reading for _, reading in found if isinstance(reading, Gap))]
    if not values and all(hole.absent for hole in holes):
        return Gap(reason=f"no file has {gate.metric}", absent=True)
    return Gap(reason=holes[0].reason) if holes else values


def _measured(gate: GateConfig, base: Evidence, head: Evidence, confidence: float) -> Contrast | Gap:
    theirs, mine = _values(gate, base), _values(gate, head)
    if isinstance(mine, Gap):
        return mine
    try:
        own = repeats.value(mine, n=len(mine), confidence=confidence) if len(set(mine)) > 1 else None
        interval = (own.low, own.high) if own else None
        if isinstance(theirs, Gap):
            if not theirs.absent:
                return theirs
            return _new(mine, interval, confidence)
        found = repeats.difference(theirs, mine, n=len(theirs) + len(mine), confidence=confidence)
    except ValueError as error:
        return Gap(reason=str(error))
    return Contrast.of(found, interval)


def _new(mine: Sequence[float], interval: tuple[float, float] | None, confidence: float) -> Contrast:
    return Contrast(
        base=None,
        head=sum(mine) / len(mine),
        head_interval=interval,
        confidence=confidence,
        n=len(mine),
        method="repeats (seeds)",
    )
