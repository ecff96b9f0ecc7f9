"""Numbers as people read them: true minus signs, digits that fit the change, thousands separated. Layer: core."""

import math

MINUS = "\N{MINUS SIGN}"


def plain(value: float, digits: int | None = None) -> str:
    """A value with `digits` decimals, or with up to six significant digits when none are given."""
    if value == 0:
        value = 0.0
    if digits is not None and abs(value) < 1e15:
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


def decimals(base: float | None, head: float | None, *changes: float) -> int | None:
    """How many decimals show both values and their change without hiding it; None when plain text does better.

    Enough for two significant digits of the smallest change that is not 0, at least what short values need.
    """
    values = [abs(value) for value in (base, head) if value is not None]
    if not values or max(values) >= 1e6 or (0 < max(values) < 1e-4):
        return None
    if all(value == int(value) for value in (*values, *changes)):
        return 0
    moving = [abs(change) for change in changes if change]
    finest = min(moving) if moving else max(values)
    needed = 1 - math.floor(math.log10(finest))
    own = max(_decimals_of(value) for value in values)
    return max(0, min(needed, own, 8))


def _decimals_of(value: float) -> int:
    text = f"{value:.12g}"
    return len(text.partition(".")[2]) if "e" not in text else 8


def percent(share: float) -> str:
    """A share as a signed percentage: two significant digits below ten percent, whole percent above."""
    value = share * 100
    digits = 0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2
    return f"{signed(value, digits)}\N{NO-BREAK SPACE}%"
