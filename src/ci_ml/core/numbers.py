"""Numbers as people read them: true minus signs, digits that fit the change, thousands separated. Layer: core."""

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"


def plain(value: float, digits: int | None = None) -> str:
    """A value with `digits` decimals, with -`digits` significant digits, or with up to six when none are given."""
    if value == 0:
        value = 0.0
    if math.isinf(value):
        text = "-∞" if value < 0 else "∞"
    elif digits is not None and digits < 0:
        text = f"{value:.{-digits}g}"
    elif digits is not None and abs(value) < 1e15:
        text = f"{value:,.{digits}f}"
    elif value == int(value) and abs(value) < 1e15:
        text = f"{int(value):,}"
    elif 1e-4 <= abs(value) < 1e6:
        text = f"{value:,.{max(0, 5 - math.floor(math.log10(abs(value))))}f}".rstrip("0").rstrip(".")
    else:
        text = f"{value:.6g}"
    return text.replace("-", MINUS)


def signed(value: float, digits: int | None = None) -> str:
    """A change: always with its sign, except for exactly 0."""
    text = plain(value, digits)
    return f"+{text}" if value > 0 else text


def decimals(base: float | None, head: float | None, *changes: float) -> int:
    """How many decimals show both values and their change without hiding it, for `plain` and `signed`.

    Enough for two significant digits of the smallest change that is not 0, at most what short values need, and always
    so many that different values look different. Where decimals do not serve, very large and very small values get
    significant digits instead.
    """
    values = [value for value in (base, head) if value is not None]
    largest = max(map(abs, values), default=0.0)
    if largest >= 1e15 or 0 < largest < 1e-4:
        return next((-digits for digits in range(6, 17) if _shows(values, changes, -digits)), -17)
    if all(value == int(value) for value in (*values, *changes)):
        return 0
    moving = [abs(change) for change in changes if change]
    needed = 1 - math.floor(math.log10(min(moving) if moving else largest / 10))
    own = max(_decimals_of(value) for value in values)
    first = max(0, min(needed, own, 8))
    return next((digits for digits in range(first, 18) if _shows(values, moving, digits)), -17)


def _shows(values: Sequence[float], changes: Sequence[float], digits: int) -> bool:
    """Whether different values look different, and no change looks like 0."""
    apart = len({plain(value, digits) for value in values}) == len(set(values))
    return apart and all(plain(change, digits) != plain(0.0, digits) for change in changes if change)


def _decimals_of(value: float) -> int:
    text = f"{value:.12g}"
    return len(text.partition(".")[2]) if "e" not in text else 8


def percent(share: float) -> str:
    """A share as a signed percentage: two significant digits below ten percent, whole percent above."""
    value = share * 100
    size = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 2
    digits = max(0, 1 - size) if size > -4 else -2
    return f"{signed(value, digits)}\N{NO-BREAK SPACE}%"


def interval_digits(interval: tuple[float, float], *, rate: bool = False) -> int:
    """Decimals that show two significant digits of an interval's half-width; of percentage points for a rate."""
    half = (interval[1] - interval[0]) / 2 * (100 if rate else 1)
    if half <= 0 or not math.isfinite(half):
        return 2
    return min(max(0, 1 - math.floor(math.log10(half))), 12)


def value_digits(digits: int, *, rate: bool) -> int:
    """Decimals of a value whose changes have so many: a change of 3.1 percentage points is one of 0.031."""
    return digits + 2 if rate else digits


def scaled(value: float, digits: int | None = None, *, rate: bool) -> str:
    """A change without its unit: percentage points for a rate."""
    return signed(value * 100 if rate else value, digits)


def amount(value: float, digits: int | None = None, *, rate: bool) -> str:
    """How much of a metric, with its unit: `3.1 pp`, `0.0042`."""
    return f"{plain(value * 100, digits)}\N{NO-BREAK SPACE}pp" if rate else plain(value, digits)


def rough(count: int) -> str:
    """A number of examples, as roughly as it is known: two significant digits."""
    size = max(0, math.floor(math.log10(count)) - 1) if count > 0 else 0
    return f"{math.ceil(count / 10**size) * 10**size:,}"
