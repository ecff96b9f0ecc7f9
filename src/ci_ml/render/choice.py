"""Which gates somebody asks about. Layer: render."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ci_ml.core.listing import some
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.errors import UsageError
from ci_ml.render import safe

EVERYTHING = "all"
_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The gate of one metric: on all examples, where it is asked for, and its slices."""

    metric: str
    whole: Sequence[ComparisonPart]
    slices: Sequence[ComparisonPart]


def choose(report: Report, wanted: str) -> list[Chosen]:
    """The gates that somebody asks about: by metric, with or without its table or file, or by a part that one has.

    Raises UsageError, with the gates there are, when it is none or could be several.
    """
    items = report.comparisons
    for item in items:
        if item.slice and wanted == item.name:
            return [Chosen(metric=item.metric, whole=[item], slices=[])]
    metrics = list(dict.fromkeys(item.metric for item in items))
    return [
        Chosen(
            metric=metric,
            whole=[item for item in items if item.metric == metric and not item.slice],
            slices=[item for item in items if item.metric == metric and item.slice],
        )
        for metric in _named(metrics, wanted)
    ]


def _named(metrics: Sequence[str], wanted: str) -> Sequence[str]:
    if wanted == EVERYTHING:
        return metrics
    hint = f"{_some(metrics)}; or `{EVERYTHING}`" if metrics else "there are no gates: add some to ci-ml.yaml"
    tests: list[Callable[[str], bool]] = [
        lambda metric: metric == wanted,
        lambda metric: wanted in (metric.partition(".")[2], metric.rpartition(":")[2]),
    ]
    for test in tests:
        if found := [metric for metric in metrics if test(metric)]:
            return found
    part = [metric for metric in metrics if wanted and wanted.casefold() in metric.casefold()]
    if len(part) > 1:
        raise UsageError(f"{safe.shortened(wanted)!r} could be {len(part)} gates", f"these are: {_some(part)}")
    if not part:
        raise UsageError(f"no gate is called {safe.shortened(wanted)!r}", f"these are: {hint}" if metrics else hint)
    return part


def _some(names: Sequence[str]) -> str:
    return some(map(safe.shortened, names), _LISTED)
