"""What a report shows beside its comparisons, put together. Layer: usecases."""

from collections.abc import Sequence
from dataclasses import replace

from ci_ml.core.compare import Comparison
from ci_ml.core.exhibits import Exhibits
from ci_ml.core.types import MetricKey
from ci_ml.ports import History
from ci_ml.usecases import background, places
from ci_ml.usecases.difference import Difference
from ci_ml.usecases.evidence import Side


def exhibits(
    base: Side, head: Side, past: History | None, comparisons: Sequence[Comparison], found: Difference, most: int
) -> Exhibits:
    """Where things are declared, and, with a `past`, what else changed and what numbers were at `most` commits."""
    metrics = dict.fromkeys(item.gate.metric for item in comparisons)
    keys = tuple(metric for metric in metrics if isinstance(metric, MetricKey))
    around = background.around(base, head, past, keys, most) if past else Exhibits()
    return replace(
        around,
        gates=places.gates(head, metrics),
        params=places.params(head, found.changes.params),
        stages=places.stages(head, found.changes.stages),
    )
