"""What a report shows beside its comparisons, put together. Layer: usecases.

None of it is worth a verdict: what cannot be had is a notice, whatever kept it from being had.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ci_ml.core.compare import Comparison
from ci_ml.core.exhibits import Exhibits
from ci_ml.core.types import MetricKey
from ci_ml.errors import CiMlError
from ci_ml.ports import History
from ci_ml.usecases import background, places
from ci_ml.usecases.difference import Difference
from ci_ml.usecases.evidence import Side

T = TypeVar("T")
# What reading the files of strangers, or asking git, can end in.
_FAULTS = (CiMlError, ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError)


def exhibits(
    base: Side, head: Side, past: History | None, comparisons: Sequence[Comparison], found: Difference, most: int
) -> Exhibits:
    """Where things are declared, and, with a `past`, what else changed and what numbers were at `most` commits."""
    metrics = dict.fromkeys(item.gate.metric for item in comparisons)
    keys = tuple(metric for metric in metrics if isinstance(metric, MetricKey))
    notices: list[str] = []
    around = Exhibits()
    if past is not None:
        known = past
        around = kept(lambda: background.around(base, head, known, keys, most), around, "what else changed", notices)
    return replace(
        around,
        gates=kept(lambda: places.gates(head, metrics), {}, "where gates are declared", notices),
        params=kept(lambda: places.params(head, found.changes.params), {}, "where params are", notices),
        stages=kept(lambda: places.stages(head, found.changes.stages), {}, "where stages are", notices),
        notices=(*around.notices, *notices),
    )


def kept(make: Callable[[], T], otherwise: T, what: str, notices: list[str]) -> T:
    """What was made; else `otherwise`, and a notice that says why `what` is not shown."""
    try:
        return make()
    except _FAULTS as error:
        why = error.what if isinstance(error, CiMlError) else type(error).__name__
        notices.append(f"{what} cannot be shown: {why}")
        return otherwise
