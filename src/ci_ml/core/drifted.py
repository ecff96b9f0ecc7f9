"""What drifted, as gates and their comparisons: one language, one verdict. Layer: core. Pure.

A column's comparison only reports, unless it must never drift: what blocks is the share of columns that drifted, and
the whole table. A column that cannot be compared blocks always.
"""

from collections.abc import Iterator
from dataclasses import replace

from ci_ml.core import compare, drifting
from ci_ml.core.compare import Comparison
from ci_ml.core.drifts import ColumnDrift, Drift, Finding
from ci_ml.core.gates import DISTANCE, PERCENT, Gate
from ci_ml.core.types import Contrast, DataKey, Direction, Gap, Margin, Measurement, Require, Severity, Status

# What these comparisons are called.
DRIFT = "drift"
SHARE = "share of columns that drifted"
TOGETHER = "other columns together"  # than those that drifted by themselves
IDENTICAL = "identical"  # the method where every value is the same on both sides


def comparisons(name: str, drift: Drift, severity: Severity) -> Iterator[Comparison]:
    """The comparisons of a table called `name`: its columns, their share, and the table as a whole."""
    family = _family(drift)
    yield from columns(name, drift, severity)
    yield _share(name, drift, severity)
    if isinstance(drift.together, Gap):
        yield compare.compare_data(on_drift(DataKey(table=name, subject="", what=TOGETHER), severity), drift.together)
    elif drift.together is not None:
        key = DataKey(table=name, subject="", what=TOGETHER)
        yield _tested(on_drift(key, severity), drift.together, f"{name}: {drift.together.words}.", family)


def columns(name: str, drift: Drift, severity: Severity) -> Iterator[Comparison]:
    """Those of its columns alone."""
    return (_column(name, column, severity, _family(drift)) for column in drift.columns)


def _family(drift: Drift) -> int:
    return sum(len(column.tests) for column in drift.columns) + isinstance(drift.together, Finding)


def unmeasured(name: str, gap: Gap, severity: Severity, what: str = SHARE) -> Comparison:
    """The one comparison of a table of which nothing can be said."""
    return compare.compare_data(on_drift(DataKey(table=name, subject="", what=what), severity), gap)


def new(name: str, severity: Severity) -> Comparison:
    """The one comparison of a table that the base does not have: there is nothing to compare it with yet."""
    gate = replace(on_drift(DataKey(table=name, subject="", what=SHARE), severity), absolute=False, unit="")
    said = f"{gate.name} is new: the base has no such table to compare it with."
    return _judged(gate, Contrast(base=None, head=0.0, method="count"), said)


def on_drift(
    key: DataKey,
    severity: Severity,
    ceiling: float | None = None,
    *,
    require: Require = Require.NO_REGRESSION,
    rate: bool = False,
) -> Gate:
    """The gate on how far a column or a table moved; without a ceiling for what could not be measured."""
    return Gate(
        metric=key,
        direction=Direction.LOWER,
        margin=Margin(value=0.0),
        severity=severity,
        ceiling=ceiling,
        absolute=True,
        require=require,
        rate=rate,
        unit=PERCENT if rate else DISTANCE,
    )


def _column(name: str, column: ColumnDrift, severity: Severity, family: int) -> Comparison:
    key = DataKey(table=name, subject=column.column, what=DRIFT)
    if column.drifted is None:
        assert column.gap is not None
        return compare.compare_data(on_drift(key, severity), column.gap)
    require = Require.NO_REGRESSION if column.never else Require.REPORT
    gate = on_drift(key, severity, require=require)
    said = f"{name}.{column.sentence}"
    if column.decided is None:  # every value is the same on both sides
        gate = on_drift(key, severity, 0.0, require=require)
        return _judged(gate, Contrast(base=None, head=0.0, method=IDENTICAL), said)
    return _tested(gate, column.decided, said, family)


def _tested(gate: Gate, test: Finding, said: str, family: int) -> Comparison:
    gate = _gate_of(gate, test)
    found = Contrast(
        base=None,
        head=test.effect,
        confidence=1 - test.alpha,
        p_value=test.p_value,
        n=test.n[1],
        method=f"{test.method}, {test.test}",
    )
    return _judged(gate, found, said, test.corrected, family)


def _gate_of(gate: Gate, test: Finding) -> Gate:
    key = gate.metric
    assert isinstance(key, DataKey)
    return on_drift(key, gate.severity, test.limit, require=gate.require, rate=test.rate)


def _judged(
    gate: Gate, found: Contrast, said: str, corrected: float | None = None, family: int | None = None
) -> Comparison:
    return Comparison(
        gate=gate,
        contrast=found,
        base=Gap(reason="drift is a distance from the reference, which is 0 from itself", absent=True),
        head=Measurement(value=found.head, source=str(gate.metric)),
        status=compare.judge(gate, found, corrected),
        reason=said,
        corrected=corrected,
        family=family,
    )


def _share(name: str, drift: Drift, severity: Severity) -> Comparison:
    key = DataKey(table=name, subject="", what=SHARE)
    if drift.share is None:
        return compare.compare_data(on_drift(key, severity), Gap(reason="no column could be compared"))
    gate = on_drift(key, severity, drift.share_limit, rate=True)
    found = Contrast(base=None, head=drift.share, n=len(drift.columns) - len(drift.unknown), method="count")
    status = compare.judge(gate, found)
    verb = "is too large" if status is Status.REGRESSED else "holds"
    return _judged(gate, found, f"{key} {verb}: {drifting.sentence(drift)}")
