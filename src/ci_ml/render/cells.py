"""One comparison as cells of a table: values, the change with its interval, how many examples. Layer: render."""

import math
from collections.abc import Iterable, Sequence

from ci_ml.core import numbers
from ci_ml.core.gates import PERCENT
from ci_ml.core.report import ComparisonPart
from ci_ml.core.types import Direction, Require, Status
from ci_ml.render import charts, methods

NONE = "\N{EN DASH}"
NBSP = "\N{NO-BREAK SPACE}"
PLOT_TITLE = "−m ┊ 0 │ better"


def only_reported(item: ComparisonPart) -> bool:
    """Whether this would be a reason to stop, if the gate did more than report."""
    bad = item.status in (Status.REGRESSED, Status.INCONCLUSIVE, Status.MISSING)
    return item.require is Require.REPORT and bad and not item.too_small


def digits(item: ComparisonPart) -> int | None:
    """Decimals of the change, by the width of its interval; None for what has none."""
    if item.interval is None or is_identical(item):
        return None
    return numbers.interval_digits(item.interval, rate=item.rate)


def is_identical(item: ComparisonPart) -> bool:
    """Whether both sides count every example alike, which is no estimate."""
    return item.identical and item.delta == 0


def values(item: ComparisonPart) -> tuple[str, str]:
    """Base and head with the digits that show their difference; of what is expected of a table, what breaks it."""
    if item.absolute:
        return NONE, NONE if item.head is None else counted_as(item, item.head)
    changes = [item.delta] if item.delta is not None else []
    shown = numbers.decimals(item.base, item.head, *changes)
    if (own := digits(item)) is not None:
        shown = _enough(item, numbers.value_digits(own, rate=item.rate))
    elif item.delta is None and item.head_interval:
        shown = numbers.value_digits(numbers.interval_digits(item.head_interval, rate=item.rate), rate=item.rate)
    return tuple(NONE if value is None else numbers.plain(value, shown) for value in (item.base, item.head))  # type: ignore[return-value]


def _enough(item: ComparisonPart, own: int) -> int:
    """Decimals of values of which the interval leaves `own` worth showing: four do, if they show the difference."""
    found = [value for value in (item.base, item.head) if value is not None]
    largest = max(map(abs, found), default=0.0)
    least = max(4, 2 - math.floor(math.log10(largest))) if largest else own
    differing = (n for n in range(min(least, own), own) if len({numbers.plain(value, n) for value in found}) > 1)
    return next(differing, own)


_MOVED = {Status.HELD: "no drift", Status.REGRESSED: "drifted", Status.INCONCLUSIVE: "cannot be told"}
_COUNTED = {Status.HELD: "holds", Status.REGRESSED: "too many"}  # columns that drifted
_EXPECTED = {Status.HELD: "holds", Status.REGRESSED: "does not hold", Status.INCONCLUSIVE: "cannot be told"}


def counted_as(item: ComparisonPart, value: float) -> str:
    """How much breaks what is expected of a table: `3 rows`, `0.25 %`; or how far it moved: `0.31`, `15.6 %`."""
    if item.moved:
        shown = numbers.plain(float(f"{value * (100 if item.unit == PERCENT else 1):.3g}"))
        return f"{shown}{NBSP}%" if item.unit == PERCENT else shown
    if item.unit == "share":
        return f"{numbers.plain(value * 100, -3 if 0 < value < 0.1 else None)}{NBSP}%"
    if item.unit not in ("rows", "columns"):
        return numbers.plain(value, 3)
    return f"{numbers.plain(value)}{NBSP}{item.unit[:-1] if value == 1 else item.unit}"


def moved(item: ComparisonPart) -> str:
    """The change without its interval: percentage points for a rate, a share for a relative margin without one."""
    if item.tally:
        return _COUNTED.get(item.status, item.status.value)
    if item.moved:
        return _MOVED.get(item.status, item.status.value)
    if item.absolute:
        return _EXPECTED.get(item.status, item.status.value)
    if item.delta is None:
        return item.status.value
    if is_identical(item):
        return "identical"
    if (own := digits(item)) is not None:
        shown = _scaled(item, item.delta, own)
        return f"{shown}{NBSP}pp" if item.rate else shown
    if isinstance(item.margin, str) and item.base:
        return numbers.percent(item.delta / abs(item.base))
    return numbers.signed(item.delta, numbers.decimals(item.base, item.head, item.delta))


def ends(item: ComparisonPart) -> tuple[str, str] | None:
    """The ends of the interval of the change, in the unit of `moved`; None for what has none."""
    own = digits(item)
    if own is None or item.interval is None:
        return None
    low, high = (_scaled(item, end, own) for end in item.interval)
    return low, high


def _scaled(item: ComparisonPart, value: float, own: int) -> str:
    """A change or an end of its interval; what rounds to 0 has no sign."""
    shown = numbers.scaled(value, own, rate=item.rate)
    return shown if shown.strip(f"+{numbers.MINUS}0.") else shown.lstrip(f"+{numbers.MINUS}")


def change(item: ComparisonPart) -> str:
    """The change with its interval: `−3.1 pp [−4.2, −2.0]`."""
    found = ends(item)
    return f"{moved(item)} {bracketed(found)}" if found else moved(item)


def plot(item: ComparisonPart) -> str:
    """The row of the forest plot; nothing where there is no change."""
    if item.delta is None:
        return ""
    sign = 1 if item.direction is Direction.HIGHER else -1
    interval = (sign * item.interval[0], sign * item.interval[1]) if item.interval else None
    return charts.forest(sign * item.delta, item.margin_absolute or 0.0, interval)


def bracketed(pair: tuple[str, str]) -> str:
    """`[−4.2, −2.0]`."""
    return f"[{pair[0]}, {pair[1]}]"


def groups(item: ComparisonPart) -> tuple[str, ...]:
    """The groups of a gap, without the column that the name of the gate has already."""
    if item.between is None:
        return ()
    shared = f"{item.metric.rpartition(' gap by ')[2]} = "
    return tuple(group.removeprefix(shared) for group in item.between)


def found_titles(items: Iterable[ComparisonPart]) -> tuple[str, str, str]:
    """What stands above what is judged in the head alone, above what was found of it, and above what may be."""
    kinds = {item.moved for item in items}
    if kinds == {True}:
        return "what is compared", "value", "limit"
    return "what is expected", "breaks it" if kinds == {False} else "found", "allowed"


def change_title(items: Iterable[ComparisonPart]) -> str:
    """What stands above the changes: `change [95 % interval]` where any has one."""
    title = interval_title(items)
    return f"change [{title}]" if title else "change"


def interval_title(items: Iterable[ComparisonPart]) -> str:
    """What stands above the intervals: `95 % interval`, or nothing where there are none."""
    found = {item.confidence for item in items if ends(item)}
    if not found:
        return ""
    return f"{level(found.pop())}{NBSP}interval" if len(found) == 1 else "interval"


def level(confidence: float | None) -> str:
    """`95 %`."""
    return f"{numbers.plain((confidence or 0.0) * 100)}{NBSP}%"


def counted(item: ComparisonPart) -> str:
    """`4,812 examples`, or the clusters that they fall into."""
    if item.n is None:
        return "its examples"
    noun = "example" if methods.covers_examples(item.method) else "training"
    examples = f"{item.n:,} {noun}{'' if item.n == 1 else 's'}"
    return examples if item.n_clusters is None else f"{item.n_clusters:,} clusters ({examples})"


def span(counts: Sequence[int]) -> str:
    """`285`, or from the smallest to the largest of what is in order."""
    return f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"


def allows(item: ComparisonPart) -> str:
    """What the gate asks for, in a cell's width."""
    if item.moved:
        return "" if item.ceiling is None else f"≤ {counted_as(item, item.ceiling)}"
    if item.absolute:
        return f"≤ {counted_as(item, item.ceiling)}" if item.ceiling else "none"
    parts = []
    if item.require.value == "report":
        parts.append("report only")
    elif item.require.value == "improvement":
        parts.append("an improvement")
    elif isinstance(item.margin, str):
        parts.append(f"{'−' if item.direction.value == 'higher' else '+'}{item.margin}")
    elif item.margin == 0:
        parts.append("no loss" if item.direction.value == "higher" else "no rise")
    else:
        shown = numbers.amount(item.margin, rate=item.rate)
        parts.append(f"{'−' if item.direction.value == 'higher' else '+'}{shown}")
    if item.floor is not None:
        parts.append(f"≥ {numbers.plain(item.floor)}")
    if item.ceiling is not None:
        parts.append(f"≤ {numbers.plain(item.ceiling)}")
    return ", ".join(parts)


def outside_bounds(item: ComparisonPart) -> bool:
    """Whether the head, with the whole of its interval, is beyond a floor or a ceiling."""
    if item.head is None:
        return False
    low, high = item.head_interval or (item.head, item.head)
    below = item.floor is not None and high < item.floor
    return below or (item.ceiling is not None and low > item.ceiling)


def unclear_bound(item: ComparisonPart) -> bool:
    """Whether the interval of the head reaches beyond a floor or a ceiling, and not wholly."""
    if item.head_interval is None or outside_bounds(item):
        return False
    low, high = item.head_interval
    below = item.floor is not None and low < item.floor
    return below or (item.ceiling is not None and high > item.ceiling)
