"""What a report shows beside its comparisons, put together. Layer: usecases."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ci_ml.core.compare import Comparison
from ci_ml.core.exhibits import Exhibits
from ci_ml.usecases import places
from ci_ml.usecases.difference import Difference
from ci_ml.usecases.policy import Policy

if TYPE_CHECKING:
    from ci_ml.usecases.check import Question


def exhibits(
    question: "Question",
    chosen: Policy,  # noqa: ARG001  for what comes next
    comparisons: Sequence[Comparison],
    found: Difference,
) -> Exhibits:
    """Everything of the head that its report shows."""
    head = question.head
    return Exhibits(
        gates=places.gates(head, dict.fromkeys(item.gate.metric for item in comparisons)),
        params=places.params(head, found.changes.params),
        stages=places.stages(head, found.changes.stages),
    )
