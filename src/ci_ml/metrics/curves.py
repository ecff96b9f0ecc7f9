"""What curves of scores are drawn from: a thousand counts, however many examples there are. Layer: metrics.

Examples are counted in steps of their score. A threshold between two steps splits no ties, so what is added up from
the highest step on is an exact point of the ROC and of the precision-recall curve. A step in which either curve moves
far and bends is counted again in finer ones, so scores that crowd near 0 are told apart as well. All widths are powers
of two: multiplying by them rounds nothing, and every engine counts the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np

from ci_ml.core.catalogue import Task
from ci_ml.metrics.calibration import BINS, confidence_of
from ci_ml.metrics.engine import Engine, Row
from ci_ml.metrics.paired import Paired, number
from ci_ml.stats.curves import Steps

# Scores are counted in 2 ** FIRST steps, then what needs it in ones 2 ** MORE times as fine, and so on.
FIRST, MORE, LAST = 10, 6, 52
# The share of the positives, and of the others, that a step may have of both before it is split.
_VISIBLE = 1 / 100
HISTOGRAM = 32


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The examples of a bin of scores: how many, how many of them positive, and the mean of their scores."""

    n: int
    hits: int
    mean: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One side's scores, counted. `histogram` has bins of the same width over 0..1, empty ones as well."""

    steps: Steps
    histogram: tuple[int, ...]
    bins: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class _Step:
    """Examples whose score times 2 ** `bits` has the same whole part, `at`."""

    bits: int
    at: int
    n: int
    hits: int
    ties: bool

    @property
    def place(self) -> int:
        """Where it begins, as a number that orders steps of every width."""
        return self.at << (LAST - self.bits)


def scores(engine: Engine, paired: Paired, side: str, which: str | None = None) -> Scores:
    """Count a side's scores of a class against the rest.

    Without a class: those of the positive one of two; of several the largest score, and a hit is a right prediction.
    """
    if which is None:
        score, right = confidence_of(paired, side)
        hit = right == 1
    else:
        assert paired.task is Task.MULTICLASS
        score = paired.table[f"{side}_score_{paired.classes.index(which)}"]
        hit = paired.table.label == which
    table = paired.table.select(score=score, hit=hit)
    # As in `calibration.in_bin`, but for the ends: to clip costs as much as everything else.
    table = table.mutate(step=_at(table, FIRST), bin=(table.score * BINS).ceil().cast("int64"))
    counted = table.group_by("step", "bin", "hit").aggregate(**_counts(table), total=table.score.sum())
    rows = sorted(engine.rows(counted), key=lambda row: (row["step"], row["bin"], row["hit"]))
    return Scores(
        steps=_counted(_finer(engine, table, _steps(rows, FIRST))),
        histogram=_histogram(rows),
        bins=_bins(rows),
    )


def _at(table: ibis.Table, bits: int) -> ibis.Value:
    return (table.score * ibis.literal(2**bits, "int64")).floor().cast("int64")


def _counts(table: ibis.Table) -> dict[str, ibis.Value]:
    return {"n": table.count(), "low": table.score.min(), "high": table.score.max()}


def _steps(rows: Sequence[Row], bits: int) -> list[_Step]:
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["step"], []).append(row)
    return [
        _Step(
            bits=bits,
            at=at,
            n=sum(row["n"] for row in mine),
            hits=sum(row["n"] for row in mine if row["hit"]),
            ties=min(row["low"] for row in mine) == max(row["high"] for row in mine),
        )
        for at, mine in grouped.items()
    ]


def _finer(engine: Engine, table: ibis.Table, steps: list[_Step]) -> list[_Step]:
    """The steps with those that matter split, until none does or scores are as close as 2 ** -LAST."""
    for bits in range(FIRST, LAST, MORE):
        wide = _wide(steps, bits)
        if not wide:
            break
        chosen = table.filter(_at(table, bits).isin(sorted(wide)))
        chosen = chosen.select("hit", "score", step=_at(chosen, bits + MORE))
        rows = engine.rows(chosen.group_by("step", "hit").aggregate(**_counts(chosen)))
        kept = [step for step in steps if step.bits != bits or step.at not in wide]
        steps = [*kept, *_steps(rows, bits + MORE)]
    return steps


def _wide(steps: Sequence[_Step], bits: int) -> set[int]:
    """The steps of a width in which a curve moves visibly and may bend: they have positives, others, and no ties."""
    found = _counted(steps)
    every, others = max(int(found.hits.sum()), 1), max(int((found.n - found.hits).sum()), 1)
    reached = found.reached
    wide = set()
    for index, step in enumerate(_descending(steps)):
        # Of the others either as a share of all of them (ROC), or of what has been reached (precision).
        share = (step.n - step.hits) / min(others, int(reached[index]))
        if step.bits == bits and not step.ties and step.hits / every > _VISIBLE and share > _VISIBLE:
            wide.add(step.at)
    return wide


def _descending(steps: Sequence[_Step]) -> list[_Step]:
    return sorted(steps, key=lambda step: step.place, reverse=True)


def _counted(steps: Sequence[_Step]) -> Steps:
    ordered = _descending(steps)
    n, hits = ([getattr(step, name) for step in ordered] for name in ("n", "hits"))
    return Steps(n=np.array(n, dtype=np.int64), hits=np.array(hits, dtype=np.int64))


def _histogram(rows: Sequence[Row]) -> tuple[int, ...]:
    """A score of 1 is in the last bin."""
    found = [0] * HISTOGRAM
    for row in rows:
        found[min(row["step"] * HISTOGRAM >> FIRST, HISTOGRAM - 1)] += row["n"]
    return tuple(found)


def _bins(rows: Sequence[Row]) -> tuple[Bin, ...]:
    """Bins of the calibration error, without empty ones."""
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(min(max(row["bin"] - 1, 0), BINS - 1), []).append(row)
    found = []
    for _, mine in sorted(grouped.items()):
        n = sum(row["n"] for row in mine)
        mean = sum(number(row["total"]) for row in mine) / n
        found.append(Bin(n=n, hits=sum(row["n"] for row in mine if row["hit"]), mean=mean))
    return tuple(found)
