"""The rows of a table that lie in a span of time. Layer: metrics.

Time is UTC here. A column of moments is compared as it is; one of wall-clock times or dates only once somebody has said
of which zone they are; a text is read where all of its values are ISO 8601, and all of them say their offset or none
does. Rows without a time are in no span. What lies in the future is not in it either, and is told: that is how a wrong
zone shows.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import ibis

from ci_ml.core.sources import WindowConfig, zone
from ci_ml.metrics.columns import Source, Unusable, listed, shown
from ci_ml.metrics.engine import Engine

# Days and times that there are, for an engine that meets another says neither where nor which.
_LEAP = r"([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_MONTHS = (
    r"(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])",
    r"(0[469]|11)-(0[1-9]|[12][0-9]|30)",
    r"02-(0[1-9]|1[0-9]|2[0-8])",
)
_DAY = rf"([0-9]{{4}}-({'|'.join(_MONTHS)})|{_LEAP}-02-29)"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
_OFFSET = r"(Z|[+-][0-9]{2}:?[0-9]{2})"


@dataclass(frozen=True, kw_only=True)
class Windowed:
    """The rows from `start` until just before `end`, and how many rows have no time or one that is yet to come."""

    source: Source
    start: dt.datetime
    end: dt.datetime
    n: int
    missing: int
    later: int

    @property
    def notices(self) -> tuple[str, ...]:
        """What somebody should know who trusts these rows."""
        found = []
        if self.missing:
            found.append(f"{self.source.name}: {self.missing:,} rows have no time, and are left out")
        if self.later:
            found.append(
                f"{self.source.name}: {self.later:,} rows are of the future, and are left out; is the zone right?"
            )
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class _Times:
    """A column of times, and the two ends in its own terms."""

    value: ibis.Value
    start: Any
    end: Any


def window(engine: Engine, source: Source, about: WindowConfig, now: dt.datetime) -> Windowed:
    """The rows of a table that are not older than `about` says. Raises Unusable, also when there are none."""
    start = now - about.last
    try:
        times = _times(engine, source, about, start, now)
    except Unusable:
        if engine.rows(source.table.limit(1)):
            raise
        raise Unusable(f"{source.name} has no rows") from None  # and so nothing to say of its times
    missing, later = times.value.isnull(), times.value >= times.end
    inside = (times.value >= times.start) & (times.value < times.end)
    # Older rows are looked at by nobody: an index on the column leads past them.
    recent = source.table.filter((times.value >= times.start) | missing)
    (row,) = engine.rows(
        recent.aggregate(
            n=inside.ifelse(1, 0).cast("int64").sum(),
            missing=missing.ifelse(1, 0).cast("int64").sum(),
            later=later.ifelse(1, 0).cast("int64").sum(),
        )
    )
    counts = {name: int(row[name] or 0) for name in ("n", "missing", "later")}
    span = f"from {start:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC"
    if not counts["n"]:
        (last,) = engine.rows(source.table.aggregate(newest=times.value.max().cast("string")))
        newest = f"its newest is of {shown(last['newest'])}" if last["newest"] else "no row has a time"
        raise Unusable(f"{source.name} has no rows {span} by {shown(about.column)}: {newest}")
    rows = Source(table=source.table.filter(inside), name=source.name, typed=source.typed)
    return Windowed(source=rows, start=start, end=now, **counts)


def _times(engine: Engine, source: Source, about: WindowConfig, start: dt.datetime, end: dt.datetime) -> _Times:
    name = f"column {shown(about.column)} of {source.name}"
    if about.column not in source.table.columns:
        raise Unusable(f"{source.name} has no column {shown(about.column)}; it has {listed(source.table.columns)}")
    value = source.table[about.column]
    kind = value.type()
    if kind.is_string():
        return _texts(engine, source, value, about, name, start, end)
    if not (kind.is_timestamp() or kind.is_date()):
        raise Unusable(f"{name} holds no times: it is of type {kind}")
    if kind.is_timestamp() and kind.timezone is not None:
        moments = (ibis.literal(moment, type="timestamp('UTC')") for moment in (start, end))
        return _Times(value=value, start=next(moments), end=next(moments))
    # Dates become the moment at which they begin.
    return _local(value.cast("timestamp"), about, name, start, end)


def _local(value: ibis.Value, about: WindowConfig, name: str, start: dt.datetime, end: dt.datetime) -> _Times:
    """Times as a clock on a wall shows them: the ends are brought to that clock."""
    if about.zone is None:
        raise Unusable(f"{name} says no time zone: say which one it is, such as `zone: UTC`")
    there = zone(about.zone)
    first, last = (ibis.literal(moment.astimezone(there).replace(tzinfo=None)) for moment in (start, end))
    return _Times(value=value, start=first, end=last)


def _texts(
    engine: Engine,
    source: Source,
    value: ibis.Value,
    about: WindowConfig,
    name: str,
    start: dt.datetime,
    end: dt.datetime,
) -> _Times:
    """Times that are written out. The offset is taken off by hand: engines differ in what they read."""
    text = value.strip()
    with_offset = text.re_search(rf"^{_DAY}[T ]{_CLOCK}{_OFFSET}$")
    without = text.re_search(rf"^{_DAY}([T ]{_CLOCK})?$")
    counted = {"far": with_offset, "near": without, "wrong": ~(with_offset | without)}
    sums = {key: (rows & value.notnull()).ifelse(1, 0).cast("int64").sum() for key, rows in counted.items()}
    (row,) = engine.rows(source.table.aggregate(**sums))
    far, near, wrong = (int(row[key] or 0) for key in ("far", "near", "wrong"))
    if wrong:
        raise Unusable(f"{name} holds {wrong:,} values that are no times such as 2026-01-31T12:00:00Z")
    if far and near:
        raise Unusable(
            f"{name} mixes time zones: {far:,} values say their offset and {near:,} do not; let all of them say it"
        )
    plain = text.substr(0, 10).concat(" ").concat((text.length() > 10).ifelse(text.substr(11, 8), "00:00:00"))
    moment = plain.cast("timestamp")
    if not far:
        return _local(moment, about, name, start, end)
    digits = text.re_extract(r"([+-][0-9]{2}):?([0-9]{2})$", 0).replace(":", "")
    sign = digits.startswith("-").ifelse(-1, 1)
    minutes = sign * (digits.substr(1, 2).cast("int64") * 60 + digits.substr(3, 2).cast("int64"))
    shifted = text.endswith("Z").ifelse(moment, moment - text.endswith("Z").ifelse(0, minutes).as_interval("m"))
    first, last = (ibis.literal(bound.astimezone(dt.UTC).replace(tzinfo=None)) for bound in (start, end))
    return _Times(value=shifted, start=first, end=last)
