"""OpenMetrics text: what was measured, for GitLab's metrics report and for Prometheus. Layer: render.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
GitLab takes a line for two words of a shell, cut off at the first `#`, and compares values as text with those of the
target branch: https://docs.gitlab.com/ci/testing/metrics_reports/
"""

from collections.abc import Iterable, Iterator, Sequence

from ci_ml.core.distributions import DriftColumnPart, DriftPart
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import Outcome
from ci_ml.render import safe

_RANKS = ", ".join(f"{outcome.rank} {outcome.value}" for outcome in Outcome)
_NUMBER_SIGN = "\N{FULLWIDTH NUMBER SIGN}"

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]
Family = tuple[str, str, list[Sample]]


def report(content: Report) -> str:
    """Gauges; a slice has a label of its own, and what could not be measured has no sample."""
    gates = list(zip(_labels(content), content.comparisons, strict=True))
    verdict: Sample = ((("report", content.name),), content.verdict.outcome.rank)
    families: list[Family] = [
        ("ci_ml_outcome", f"The verdict: {_RANKS}.", [verdict]),
        ("ci_ml_gate", f"What a gate makes of it: {_RANKS}.", _samples(gates, "impact")),
        ("ci_ml_metric", "What was measured on each side.", list(_sides(gates))),
        ("ci_ml_change", "Head less base.", _samples(gates, "delta")),
        ("ci_ml_change_low", "The lower end of the change's interval.", _ends(gates, 0)),
        ("ci_ml_change_high", "The upper end of the change's interval.", _ends(gates, 1)),
        ("ci_ml_examples", "How many examples were measured.", _samples(gates, "n")),
        ("ci_ml_training_seconds", "How long training took.", list(_training(content))),
        *_drifts(content),
    ]
    lines = [line for name, about, samples in families if samples for line in _family(name, about, samples)]
    return "".join(f"{line}\n" for line in [*lines, "# EOF"])


def _labels(content: Report) -> Iterator[Labels]:
    """Those of each comparison, no two of them alike."""
    named = ((("report", content.name), ("metric", _text(item.metric))) for item in content.comparisons)
    return _apart(
        (*labels, ("slice", _text(str(item.where)))) if item.slice else labels
        for labels, item in zip(named, content.comparisons, strict=True)
    )


def _apart(given: Iterable[Labels]) -> Iterator[Labels]:
    """The same labels, with a number where some came before."""
    seen: dict[Labels, int] = {}
    for labels in given:
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


def _drifts(content: Report) -> list[Family]:
    """How far tables moved; of a column that could not be judged, ci_ml_drifted has no sample."""
    named = ((("report", content.name), ("table", _text(part.table))) for part in content.drifts)
    tables = list(zip(_apart(named), content.drifts, strict=True))
    every = [(at, column) for at, part in tables for column in part.columns]
    own = _apart((*at, ("column", _text(column.column))) for at, column in every)
    columns = list(zip(own, (column for _, column in every), strict=True))
    shares: list[Sample] = [(labels, part.drifted_share) for labels, part in tables if part.drifted_share is not None]
    moved: list[Sample] = [(labels, float(column.drifted)) for labels, column in columns if column.drifted is not None]
    return [
        (
            "ci_ml_drift_outcome",
            f"Whether a table drifted: {_RANKS}.",
            [(at, part.outcome.rank) for at, part in tables],
        ),
        ("ci_ml_drift_share", "The share of columns that drifted, of those that could be compared.", shares),
        ("ci_ml_drift_share_limit", "What that share may be.", [(at, part.share_limit) for at, part in tables]),
        ("ci_ml_drift_unknown", "How many columns could not be compared.", [(at, part.unknown) for at, part in tables]),
        ("ci_ml_drift_rows", "How many rows each side has.", [one for at, part in tables for one in _rows(at, part)]),
        ("ci_ml_drifted", "Whether a column drifted: 0 or 1.", moved),
        (
            "ci_ml_drift",
            "How far a column moved, by statistic.",
            [one for at, part in columns for one in _far(at, part)],
        ),
        ("ci_ml_drift_limit", "How far it may move.", [one for at, part in columns for one in _limits(at, part)]),
        (
            "ci_ml_column",
            "What a column holds, on each side.",
            [one for at, part in columns for one in _held(at, part)],
        ),
    ]


def _rows(labels: Labels, part: DriftPart) -> list[Sample]:
    return [
        ((*labels, ("side", "reference")), part.rows_reference),
        ((*labels, ("side", "current")), part.rows_current),
    ]


def _far(labels: Labels, column: DriftColumnPart) -> list[Sample]:
    """Everything but what each side has of it; of a test that is no statistic, its effect."""
    found = {_text(name): value for name, value in column.statistics.items() if _side(name) is None}
    found |= {_text(test.statistic): test.effect for test in column.tests}
    return [((*labels, ("statistic", name)), value) for name, value in found.items()]


def _limits(labels: Labels, column: DriftColumnPart) -> list[Sample]:
    found = {_text(test.statistic): test.limit for test in column.tests}
    return [((*labels, ("statistic", name)), value) for name, value in found.items()]


def _held(labels: Labels, column: DriftColumnPart) -> list[Sample]:
    found = {(_text(of[0]), of[1]): value for name, value in column.statistics.items() if (of := _side(name))}
    return [((*labels, ("statistic", name), ("side", side)), value) for (name, side), value in found.items()]


def _side(statistic: str) -> tuple[str, str] | None:
    """`mean_current` is the mean of one side; `psi` is of both."""
    name, _, side = statistic.rpartition("_")
    return (name, side) if name and side in ("reference", "current") else None


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
