"""Reports for tests, judged by the real gates."""

from typing import Any

from ci_ml.core import report as reports
from ci_ml.core.changes import Changes
from ci_ml.core.compare import Comparison, compare
from ci_ml.core.gates import Gate
from ci_ml.core.report import PolicyPart, Report
from ci_ml.core.types import Change, Direction, Margin, Measurement, MetricKey, Reading, Revision
from ci_ml.core.verdict import decide

BASE = Revision(sha="a" * 40, ref="main", why="merge base of HEAD and origin/main")
HEAD = Revision(sha="b" * 40, ref="feature", dirty=True, why="the work tree")


def comparison(
    metric: str,
    base: Reading | float,
    head: Reading | float,
    margin: float | str = 0.005,
    direction: str = "higher",
    **rest: Any,
) -> Comparison:
    """A judged gate on `eval/metrics.json:<metric>` (or on `metric` itself when it names a file)."""
    path, _, key = metric.rpartition(":")
    limit = (
        Margin(value=margin) if not isinstance(margin, str) else Margin(value=float(margin[:-1]) / 100, relative=True)
    )
    gate = Gate(
        metric=MetricKey(path=path or "eval/metrics.json", key=key),
        direction=Direction(direction),
        margin=limit,
        **rest,
    )
    sides = [Measurement(value=side, source=metric) if isinstance(side, float) else side for side in (base, head)]
    return compare(gate, *sides)


def report(*comparisons: Comparison, differences: Changes | None = None, **rest: Any) -> Report:
    """A report on these comparisons."""
    known: dict[str, Any] = {
        "name": "churn",
        "judged": decide(comparisons),
        "base": BASE,
        "head": HEAD,
        "change": Change(),
        "policy": PolicyPart.model_validate({"digest": f"sha256:{'0' * 64}", "from": "base"}),
        "comparisons": comparisons,
        "differences": differences or Changes(),
        "training": None,
        "notices": (),
    }
    return reports.build(**{**known, **rest})
