"""Lengths of time as ci-ml.yaml writes them: 30m, 24h, 7d, 2w. Layer: core."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_SPAN = re.compile(r"([0-9]{1,6})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=3660)


def parse(text: str) -> timedelta:
    """The length of time that a text such as 24h says. Raises ValueError for any other, none, or beyond 10 years."""
    match = _SPAN.fullmatch(text)
    found = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta(0)
    if not timedelta(0) < found <= _LONGEST:
        raise ValueError(f"must be a length of time such as 30m, 24h, 7d or 2w, not {text!r}")
    return found


def words(span: timedelta) -> str:
    """A length of time as people say it, in its largest two units: `3 days 4 hours`, `12 minutes`."""
    minutes = max(round(span.total_seconds() / 60), 0)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = [
        f"{count} {unit}{'' if count == 1 else 's'}"
        for count, unit in ((days, "day"), (hours, "hour"), (minutes, "minute"))
        if count
    ]
    return " ".join(parts[:2]) or "less than a minute"


def _span(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    return parse(value if isinstance(value, str) else str(value))


Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,6}[mhdw]$", "examples": ["24h", "7d"]}),
]
