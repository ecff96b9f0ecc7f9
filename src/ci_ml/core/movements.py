"""What drifted, as a report shows it: as much as fits, harm first. Layer: core. Pure."""

from collections.abc import Mapping

from ci_ml.core import drifting
from ci_ml.core.distributions import BarsPart, DriftColumnPart, DriftPart, TestPart
from ci_ml.core.drifts import Bars, ColumnDrift, Drift, Finding
from ci_ml.core.types import DataKey

# Columns of all tables together; categories that came or went; characters of one.
COLUMNS = 200
_LISTED = 50
_LONGEST = 200


def shown(drifts: Mapping[str, Drift]) -> tuple[DriftPart, ...]:
    """What a report shows of these tables, by name."""
    every = [(name, column) for name, drift in drifts.items() for column in drift.columns]
    kept = {id(column) for _, column in sorted(every, key=lambda pair: _harm(pair[1]))[:COLUMNS]}
    return tuple(
        _part(name, drift, [one for one in drift.columns if id(one) in kept]) for name, drift in drifts.items()
    )


def _harm(column: ColumnDrift) -> tuple[int, float, str]:
    """Harm first: what drifted, furthest first; what cannot be compared; what came closest to drifting."""
    rank = {True: 0, None: 1, False: 2}[column.drifted]
    return rank, -(column.decided.excess if column.decided else 0.0), column.column


def _part(name: str, drift: Drift, columns: list[ColumnDrift]) -> DriftPart:
    unknown = len(drift.unknown)
    return DriftPart(
        table=name,
        reference=drift.reference,
        current=drift.current,
        rows_reference=drift.rows[0],
        rows_current=drift.rows[1],
        outcome=drift.outcome,
        sentence=drifting.sentence(drift),
        columns=tuple(_column(name, column) for column in sorted(columns, key=_harm)),
        left_out=len(drift.columns) - len(columns),
        judged=len(drift.columns) - unknown,
        drifted=len(drift.drifted),
        unknown=unknown,
        drifted_share=drift.share,
        share_limit=drift.share_limit,
        alpha=drift.alpha,
        together=_test(drift.together) if isinstance(drift.together, Finding) else None,
        added=tuple(map(_cut, drift.added[:_LISTED])),
    )


def _column(table: str, column: ColumnDrift) -> DriftColumnPart:
    return DriftColumnPart(
        column=column.column,
        metric=str(DataKey(table=table, subject=column.column, what="drift")),
        kind=column.kind.value,
        drifted=column.drifted,
        never=column.never,
        reason=column.sentence,
        gap=column.gap.reason if column.gap else None,
        decided_by=column.decided.what if column.decided else None,
        tests=tuple(map(_test, column.tests)),
        statistics=dict(column.statistics),
        new_categories=tuple(map(_cut, column.new[:_LISTED])),
        vanished_categories=tuple(map(_cut, column.vanished[:_LISTED])),
        histogram=_bars(column.bars) if column.bars else None,
    )


def _test(test: Finding) -> TestPart:
    return TestPart(
        what=test.what,
        method=test.method,
        effect=test.effect,
        limit=test.limit,
        test=test.test,
        p_value=test.p_value,
        corrected=test.corrected,
        n_reference=test.n[0],
        n_current=test.n[1],
        drifted=test.drifted,
        rate=test.rate,
    )


def _bars(bars: Bars) -> BarsPart:
    return BarsPart(
        categories=tuple(map(_cut, bars.labels)) if bars.labels is not None else None,
        edges=bars.edges,
        reference=bars.reference,
        current=bars.current,
        beyond_reference=bars.beyond[0],
        beyond_current=bars.beyond[1],
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
