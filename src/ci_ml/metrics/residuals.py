"""How far predicted numbers are from the labels: a histogram of both sides over the same bins. Layer: metrics."""

import math
from dataclasses import dataclass

from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Paired, beside, number

BINS = 40
# A bin's width is one of these times a power of ten.
_ROUND = (1.0, 2.0, 5.0)
# What lies further from the mean than this many standard deviations would squeeze the rest into a bin.
_REACH = 5.0
# Residuals that differ by less than this share of themselves are all the same, but for rounding.
_SAME = 1e-9
_SMALLEST = 1e-290


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Prediction - label: edges of bins, each side's counts, and how many of each lie beyond the edges."""

    edges: tuple[float, ...]
    base: tuple[int, ...]
    head: tuple[int, ...]
    base_beyond: int
    head_beyond: int


def residuals(engine: Engine, paired: Paired) -> Residuals:
    """Count both sides: one query for the range, one for the bins.

    Edges are multiples of a round number: the smallest and the largest residual are single examples', and not told.
    """
    label = paired.table.label
    table = paired.table.select("one", **{side: paired.table[f"{side}_value"] - label for side in ("base", "head")})
    asked = {
        f"{side}_{name}": getattr(table[side], name)(**more)
        for side in ("base", "head")
        for name, more in (("mean", {}), ("std", {"how": "pop"}), ("min", {}), ("max", {}))
    }
    (row,) = engine.rows(table.aggregate(**asked))
    low, high = _range(row)
    digit, power = _width(low, high)
    first, last = (_bin(end, digit, power) for end in (low, high))
    # Each side's number is multiplied or divided by powers of ten that are exact, as `_bin` does here.
    scale = {"up": 10.0 ** max(-power, 0), "down": 10.0 ** max(power, 0), "digit": digit}
    scaled = beside(engine, paired, (), table, {None: scale})
    bins = {side: scaled[side] * scaled.up / scaled.down / scaled.digit for side in ("base", "head")}
    # What is beyond goes into the bins next to the outermost, before a whole number of it would be too large.
    placed = scaled.select("one", **{side: at.clip(first - 1, last + 1).floor() for side, at in bins.items()})
    rows = engine.rows(placed.group_by("base", "head").aggregate(n=placed.one.sum()))
    base, head = (_counts(rows, side, first, last) for side in ("base", "head"))
    return Residuals(
        edges=tuple(_edge(at, digit, power) for at in range(first, last + 2)),
        base=base,
        head=head,
        base_beyond=paired.n - sum(base),
        head_beyond=paired.n - sum(head),
    )


def _range(row: Row) -> tuple[float, float]:
    """From the smaller to the larger of both sides, each without what is far out."""
    found = {name: number(value) for name, value in row.items()}
    ends = [
        (
            max(found[f"{side}_min"], found[f"{side}_mean"] - _REACH * found[f"{side}_std"]),
            min(found[f"{side}_max"], found[f"{side}_mean"] + _REACH * found[f"{side}_std"]),
        )
        for side in ("base", "head")
    ]
    low, high = min(one for one, _ in ends), max(other for _, other in ends)
    return min(low, high), max(low, high)


def _width(low: float, high: float) -> tuple[float, int]:
    """The width of a bin as a digit and a power of ten: at most `BINS` of them cover the range, about."""
    size, span = max(abs(low), abs(high)), high - low
    least = max(span if span > size * _SAME else size, _SMALLEST) / BINS if size else 1.0
    power = math.floor(math.log10(least))
    digit = next((digit for digit in _ROUND if digit * 10.0**power >= least), None)
    return (digit, power) if digit else (1.0, power + 1)


def _bin(value: float, digit: float, power: int) -> int:
    return math.floor(value * 10.0 ** max(-power, 0) / 10.0 ** max(power, 0) / digit)


def _edge(at: int, digit: float, power: int) -> float:
    return at * digit * 10.0 ** max(power, 0) / 10.0 ** max(-power, 0)


def _counts(rows: list[Row], side: str, first: int, last: int) -> tuple[int, ...]:
    found = [0] * (last - first + 1)
    for row in rows:
        if first <= (at := int(row[side])) <= last:
            found[at - first] += int(row["n"])
    return tuple(found)
