"""What a table holds, and a first set of expectations from it. Layer: core. Pure.

What is proposed is wider than what was seen, for the next table is another one; and nothing that the table itself
would break.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ci_ml.core import numbers
from ci_ml.core.expectations import ColumnType

MOST_VALUES = 20
_LONGEST_VALUE = 60
_EACH = 10  # rows for each value of a category, on average
_CODES = 5  # whole numbers in a row up to which they are codes; more of them count something
_ENOUGH = 20  # rows from which "unique" says something
_LARGEST = 1e30  # a range up to that is none


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One column: how many values there are, the ends of numbers and dates, and the values where they are few.

    `odd` is how many are NaN, `infinite` how many beyond all bounds. `unique`: no value is there twice.
    """

    name: str
    type: ColumnType | None
    given: int
    odd: int = 0
    infinite: int = 0
    low: Any = None
    high: Any = None
    values: Sequence[Any] = ()
    distinct: int = 0
    unique: bool = False


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """What to expect of a column, by key of ci-ml.yaml, and what was seen of it."""

    name: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    seen: str = ""


def rows(n: int) -> dict[str, int]:
    """How many rows to expect: half as many to twice as many, roughly."""
    return {"min": _down(n / 2), "max": _up(n * 2)} if n else {}


def propose(seen: Seen, n: int) -> Proposed:
    """What to expect of a column, in a table of `n` rows."""
    keys: dict[str, Any] = {}
    missing = n - seen.given + seen.odd
    if seen.type is not None:
        keys["type"] = seen.type.value
    if missing:
        keys["missing"] = _missing(missing / n)
    is_unique = seen.unique and n >= _ENOUGH and missing == 0
    if is_unique and seen.type is not ColumnType.NUMBER:
        keys["unique"] = True
    elif seen.values and n >= _EACH * len(seen.values) and not _counts(seen):
        keys["allowed"] = sorted(seen.values, key=lambda value: (str(type(value)), value))
    elif seen.type in (ColumnType.INTEGER, ColumnType.NUMBER) and not seen.infinite and _is_finite(seen.low, seen.high):
        keys |= _range(seen.low, seen.high, whole=seen.type is ColumnType.INTEGER)
    return Proposed(name=seen.name, keys=keys, seen=_words(seen, n, missing))


def _counts(seen: Seen) -> bool:
    """Whether whole numbers count something: most of those between their ends are there, and the next may well come."""
    if seen.type is not ColumnType.INTEGER or len(seen.values) <= _CODES:
        return False
    return bool(len(seen.values) * 2 > max(seen.values) - min(seen.values))


def _is_finite(low: Any, high: Any) -> bool:
    return all(isinstance(end, int | float) and abs(end) < _LARGEST for end in (low, high))  # nor is NaN


def _missing(share: float) -> str:
    """Half as many again as there are, in whole percent."""
    percent = math.ceil(share * 150 + 0.5)
    return f"{percent}%" if percent < 75 else "100%"


def _range(low: float, high: float, *, whole: bool) -> dict[str, Any]:
    """A range with room on both sides; what is never negative starts at 0, and a share ends at 1."""
    room = (high - low or abs(high) or 1) / 10
    least = 0 if low >= 0 else -_up(-(low - room), whole=whole)
    if not whole and low >= 0 and high <= 1:
        return {"min": 0, "max": 1}
    most = 0 if high <= 0 else _up(high + room, whole=whole)
    return {"min": least, "max": most}


def _up(value: float, *, whole: bool = True) -> Any:
    """The next number of two digits that is no smaller."""
    return _rounded(value, math.ceil, whole=whole)


def _down(value: float) -> int:
    return int(_rounded(value, math.floor, whole=True))


def _rounded(value: float, to: Any, *, whole: bool) -> float:
    if not value:
        return 0
    size = math.floor(math.log10(abs(value))) - 1
    if whole:
        size = max(size, 0)
    found = to(value / 10**size) * 10**size if size >= 0 else to(value * 10**-size) / 10**-size
    return int(found) if whole or found == int(found) else found


def _words(seen: Seen, n: int, missing: int) -> str:
    """What was seen, for a comment: `18 … 90`, `2 values`, `0.3% missing`."""
    found = []
    if not seen.given:
        return "no value at all"
    if seen.low is not None and seen.type is not ColumnType.STRING:
        found.append(f"{_said(seen.low)} … {_said(seen.high)}")
    if seen.unique:
        found.append("no value twice")
    elif seen.distinct:
        found.append(f"{seen.distinct:,} value{'' if seen.distinct == 1 else 's'}")
    if missing:
        found.append(f"{missing:,} of {n:,} missing")
    if seen.infinite:
        found.append(f"{seen.infinite:,} infinite")
    return ", ".join(found)


def _said(value: Any) -> str:
    if isinstance(value, dt.date):
        return str(value)
    return numbers.plain(float(value)) if isinstance(value, int | float) else str(value)


def is_plain(value: Any) -> bool:
    """Whether a value can stand in a list that people read."""
    return not isinstance(value, str) or (len(value) <= _LONGEST_VALUE and value.isprintable())
