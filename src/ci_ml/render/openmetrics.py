"""OpenMetrics text: what was measured, for GitLab's metrics report and for Prometheus. Layer: render.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
GitLab takes a line for two words of a shell, cut off at the first `#`, and compares values as text with those of the
target branch: https://docs.gitlab.com/ci/testing/metrics_reports/
"""

from collections.abc import Iterator, Sequence

from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Outcome
from ci_ml.render import safe

_RANKS = ", ".join(f"{outcome.rank} {outcome.value}" for outcome in Outcome)
_NUMBER_SIGN = "\N{FULLWIDTH NUMBER SIGN}"

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]


def report(content: Report) -> str:
    """Gauges; a slice has a label of its own, and what could not be measured has no sample."""
    gates = list(zip(_labels(content), content.comparisons, strict=True))
    verdict: Sample = ((("report", content.name),), content.verdict.outcome.rank)
    families: list[tuple[str, str, list[Sample]]] = [
        ("ci_ml_outcome", f"The verdict: {_RANKS}.", [verdict]),
        ("ci_ml_gate", f"What a gate makes of it: {_RANKS}.", _samples(gates, "impact")),
        ("ci_ml_metric", "What was measured on each side.", list(_sides(gates))),
        ("ci_ml_change", "Head less base.", _samples(gates, "delta")),
        ("ci_ml_change_low", "The lower end of the change's interval.", _ends(gates, 0)),
        ("ci_ml_change_high", "The upper end of the change's interval.", _ends(gates, 1)),
        ("ci_ml_examples", "How many examples were measured.", _samples(gates, "n")),
        ("ci_ml_training_seconds", "How long training took.", list(_training(content))),
    ]
    lines = [line for name, about, samples in families if samples for line in _family(name, about, samples)]
    return "".join(f"{line}\n" for line in [*lines, "# EOF"])


def _labels(content: Report) -> Iterator[Labels]:
    """Those of each comparison, no two of them alike."""
    seen: dict[Labels, int] = {}
    for item in content.comparisons:
        labels: Labels = (("report", content.name), ("metric", _text(item.metric)))
        if item.slice:
            labels = (*labels, ("slice", _text(str(item.where))))
        seen[labels] = count = seen.get(labels, 0) + 1
        yield labels if count == 1 else (*labels, ("number", str(count)))


def _samples(gates: Sequence[tuple[Labels, ComparisonPart]], field: str) -> list[Sample]:
    values = ((labels, getattr(item, field)) for labels, item in gates)
    return [
        (labels, value.rank if isinstance(value, Outcome) else value) for labels, value in values if value is not None
    ]


def _sides(gates: Sequence[tuple[Labels, ComparisonPart]]) -> Iterator[Sample]:
    for labels, item in gates:
        for side, value in (("head", item.head), ("base", item.base)):
            if value is not None:
                yield (*labels, ("side", side)), value


def _ends(gates: Sequence[tuple[Labels, ComparisonPart]], end: int) -> list[Sample]:
    return [(labels, item.interval[end]) for labels, item in gates if item.interval]


def _training(content: Report) -> Iterator[Sample]:
    if content.training is None:
        return
    yield (("report", content.name), ("side", "head")), content.training.seconds
    if content.training.before is not None:
        yield (("report", content.name), ("side", "base")), content.training.before.seconds


def _family(name: str, about: str, samples: Sequence[Sample]) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    if name.endswith("_seconds"):
        yield f"# UNIT {name} seconds"
    yield f"# HELP {name} {about}"
    for labels, value in samples:
        given = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        yield f"{name}{{{given}}} {float(value)!r}"


def _text(name: str) -> str:
    """A name as a label: on one line, of bounded length, and without what GitLab takes for a comment."""
    return safe.shortened(safe.printable(name)).replace("#", _NUMBER_SIGN)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
