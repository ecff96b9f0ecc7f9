"""Whether a report asks of the drift of a table what ci-ml.yaml does. Layer: core. Pure.

Which columns there are only the tables know: how many were compared, and how many of them drifted, is held against
what the report says of that in other places.
"""

from collections.abc import Iterator, Mapping, Sequence

from ci_ml.core import drifted
from ci_ml.core.drifts import BASE, METHODS, OF_ONE_VALUE, DriftConfig
from ci_ml.core.gates import Gate
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import DataKey, Require, Severity, Status

_OF_ROWS = ("missing", "new_categories")  # limits that are shares of rows


def weakened(
    report: Report, name: str, asked: DriftConfig, severity: Severity, mine: Sequence[ComparisonPart]
) -> Iterator[str]:
    """What is asked of the drift of a table and not in the report, or not as it is; `mine` are about its drift."""
    items = {item.metric: item for item in mine}
    share, together = items.get(f"{name}: {drifted.SHARE}"), items.get(f"{name}: {drifted.TOGETHER}")
    if len(items) < len(mine):
        yield f"the drift of {name} is among its comparisons twice"
    if share is None:
        yield f"{name}: {drifted.SHARE} is not among its comparisons"
        return
    if asked.reference == BASE and share.status is Status.NEW:
        yield from unlike(share, drifted.new(name, severity).gate)
        return
    columns = [item for item in items.values() if item.metric.endswith(f" {drifted.DRIFT}")]
    yield from _unlike(share, severity, asked.share, rate=True)
    for item in columns:
        yield from _of_column(name, item, asked, severity)
    if together is not None:
        yield from _unlike(together, severity, asked.limits.classifier)
    for item in [*columns, *([together] if together else [])]:
        if item.confidence not in (None, 1 - asked.alpha) or (item.p_value is not None and item.confidence is None):
            yield f"confidence of {item.name} is {item.confidence}, and {1 - asked.alpha} in ci-ml.yaml"
    if share.head is not None:
        yield from _lacking(name, asked, items)
        yield from _uncounted(report, name, asked, share, columns)


def is_drift(name: str, item: ComparisonPart) -> bool:
    """Whether a comparison says how far a table, or a column of it, moved."""
    whole = (f"{name}: {drifted.SHARE}", f"{name}: {drifted.TOGETHER}")
    return item.metric in whole or item.metric.endswith(f" {drifted.DRIFT}")


def unlike(item: ComparisonPart, wanted: Gate) -> Iterator[str]:
    """In what a comparison is not what is asked."""
    for what, given, asked in (
        ("severity", item.severity.value, wanted.severity.value),
        ("require", item.require.value, wanted.require.value),
        ("direction", item.direction.value, wanted.direction.value),
        ("margin", item.margin, wanted.margin.value),
        ("floor", item.floor, wanted.floor),
        ("absolute", item.absolute, wanted.absolute),
        ("unit", item.unit, wanted.unit),
        ("ceiling", item.ceiling, wanted.ceiling),
        ("slice", item.slice, None),
        ("min_n", item.min_n, None),
    ):
        if given != asked:
            yield f"{what} of {item.name} is {given}, and {asked} in ci-ml.yaml"


def _unlike(
    item: ComparisonPart,
    severity: Severity,
    limit: float | None,
    require: Require = Require.NO_REGRESSION,
    *,
    rate: bool = False,
) -> Iterator[str]:
    """Where it could not be measured there is no limit, and it blocks whatever it is."""
    key = DataKey(table=item.metric, subject="", what="")
    if item.head is None:
        return unlike(item, drifted.on_drift(key, severity))
    return unlike(item, drifted.on_drift(key, severity, limit, require=require, rate=rate))


def _of_column(name: str, item: ComparisonPart, asked: DriftConfig, severity: Severity) -> Iterator[str]:
    """A column only reports, unless it must not drift."""
    never = {f"{name}.{column} {drifted.DRIFT}" for column in asked.columns.never}
    require = Require.NO_REGRESSION if item.metric in never else Require.REPORT
    key = next((key for key, words in METHODS.items() if item.method.startswith(words)), "")
    limit = 0.0 if item.method == drifted.IDENTICAL else getattr(asked.limits, key, None)
    if key == "ks" and limit is None:
        limit = OF_ONE_VALUE
    return _unlike(item, severity, limit, require, rate=key in _OF_ROWS)


def _lacking(name: str, asked: DriftConfig, items: Mapping[str, ComparisonPart]) -> Iterator[str]:
    """What has to be there once columns could be compared."""
    wanted = [f"{name}.{column} {drifted.DRIFT}" for column in (*(asked.columns.only or ()), *asked.columns.never)]
    share = items[f"{name}: {drifted.SHARE}"]
    calm = (share.n or 0) * (1 - (share.head or 0.0))  # the columns that did not drift by themselves
    if asked.multivariate and asked.limits.classifier is not None and calm > 1.5:
        wanted.append(f"{name}: {drifted.TOGETHER}")
    yield from (f"{metric} is not among its comparisons" for metric in dict.fromkeys(wanted) if metric not in items)


def _uncounted(
    report: Report, name: str, asked: DriftConfig, share: ComparisonPart, columns: Sequence[ComparisonPart]
) -> Iterator[str]:
    """Columns that are counted in one place, and are not there in another."""
    judged = [item for item in columns if item.head is not None]
    if share.n != len(judged):
        yield f"{share.metric} is about {share.n} columns, and {len(judged)} are among its comparisons"
    most = sum(item.status is Status.REGRESSED for item in judged)
    if (share.head or 0.0) * len(judged) < most - 0.5:
        yield f"{share.metric} is {share.head}, and {most} of {len(judged)} columns drifted"
    for part in report.drifts:
        if part.table == name and part.unknown != len(columns) - len(judged):
            yield f"{part.unknown} columns of {name} could not be compared, and other ones are among its comparisons"
        if part.table == name and (part.share_limit, part.alpha) != (asked.share, asked.alpha):
            yield f"the limits of the drift of {name} are others in ci-ml.yaml"
