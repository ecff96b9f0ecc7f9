"""The bootstrap over examples, on the counts: seeded multinomial draws. Layer: stats.

Drawing n rows with replacement and counting them is drawing the counts from a multinomial distribution (Efron 1979),
so a replicate costs one draw per occupied cell, however many rows there are.
"""

import functools
from collections.abc import Iterable

import numpy as np

from ci_ml.stats.confusion import Metric, of_side
from ci_ml.stats.counts import Counts
from ci_ml.stats.estimate import TooFew
from ci_ml.stats.scores import Array, Side

# One less than a round number: then the ends of the usual intervals are order statistics.
DRAWS = 9_999
SEED = 20_240_229  # any number, as long as it stays the same

# Numbers held at a time while drawing: 32 MB.
_CHUNK = 4_000_000
_REMEMBERED = 1_000_000


def ends(counts: Counts, metric: Metric, confidence: float) -> tuple[float, float]:
    """Both ends of the percentile interval of head - base. Raises TooFew if too many draws are 0/0.

    Of a table and its mirror image only one is ever drawn, so exchanging the sides mirrors the interval exactly.
    """
    if _cells(mirrored := counts.mirrored()) < _cells(counts):
        low, high = ends(mirrored, metric, confidence)
        return -high, -low
    deltas = np.concatenate([of_side(head, metric) - of_side(base, metric) for base, head in _drawn(counts)])
    return _percentiles(deltas, metric, confidence)


def _cells(counts: Counts) -> list[tuple[float, ...]]:
    columns = (counts.label, counts.base, counts.head, counts.count)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _percentiles(drawn: Array, metric: Metric, confidence: float) -> tuple[float, float]:
    """Order statistics; a draw that is 0/0 could be anything, so it counts as either extreme."""
    tail = (1 - confidence) / 2
    undefined = np.isnan(drawn)
    if undefined.mean() > tail / 2:
        raise TooFew(
            f"{metric} has no interval: it would be undefined in {undefined.mean():.1%} of samples like this one"
        )
    low = np.quantile(np.where(undefined, -2.0, drawn), tail, method="weibull")
    high = np.quantile(np.where(undefined, 2.0, drawn), 1 - tail, method="weibull")
    return float(low), float(high)


def _drawn(counts: Counts) -> Iterable[tuple[Side, Side]]:
    """Both sides of 9,999 tables drawn like this one, in chunks of bounded memory (leading axis: draws)."""
    if (len(counts.count) + 6 * counts.classes) * DRAWS <= _REMEMBERED:
        columns = (counts.label, counts.base, counts.head, counts.count)
        return (_small(counts.classes, *(tuple(column.tolist()) for column in columns)),)
    return _chunks(counts)


def _chunks(counts: Counts) -> Iterable[tuple[Side, Side]]:
    generator = np.random.default_rng(SEED)
    size = max(1, _CHUNK // (len(counts.count) + 6 * counts.classes))
    for start in range(0, DRAWS, size):
        some = min(size, DRAWS - start)
        drawn = generator.multinomial(counts.n, counts.count / counts.n, size=some).astype(float)
        yield counts.side(counts.base, drawn), counts.side(counts.head, drawn)


@functools.lru_cache(maxsize=4)
def _small(classes: int, *columns: tuple[float, ...]) -> tuple[Side, Side]:
    """The draws of a small table, remembered because many metrics ask for them in a row."""
    label, base, head = (np.array(column, dtype=np.int64) for column in columns[:3])
    (sides,) = _chunks(Counts(classes, label, base, head, np.array(columns[3])))
    return sides
