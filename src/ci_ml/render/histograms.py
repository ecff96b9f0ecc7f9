"""Both distributions of the columns of a table as a page shows them, furthest drifted first. Layer: render."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ci_ml.core import numbers
from ci_ml.core.distributions import BarsPart, DriftColumnPart, DriftPart, TestPart
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.render import cells, explain, safe
from ci_ml.render.marks import Mark, mark

MOST = 200  # columns of a page
_BARS = 60  # more is nothing that we wrote
_CATEGORIES = 12
_STATISTICS = 40
_LONGEST = 60
_STEP, _TALL = 10, 100  # of a pair of bars
_DAYS = 3 * 86_400.0
_PAIRS = {
    "mean": "mean",
    "std": "standard deviation",
    "min": "smallest",
    "max": "largest",
    "categories": "categories",
    "missing": "without a value",
    "nan": "NaN",
    "infinite": "infinite",
    "unreadable": "not a number",
}
_RATES = frozenset({"missing", "nan", "infinite", "unreadable"})
_LABELS = {
    "wasserstein": "Wasserstein",
    "wasserstein_normed": "Wasserstein / standard deviation",
    "wasserstein_error": "error bound of Wasserstein",
    "jensen_shannon": "Jensen-Shannon",
    "psi": "PSI",
    "ks": "Kolmogorov-Smirnov",
    "ks_error": "error bound of Kolmogorov-Smirnov",
    "ks_p_value": "p of Kolmogorov-Smirnov",
    "chi_square": "chi-square",
    "chi_square_df": "degrees of freedom",
    "chi_square_p_value": "p of chi-square",
    "new_categories": "new categories",
    "new_categories_share": "rows in new categories",
    "vanished_categories": "vanished categories",
    "vanished_categories_share": "rows in vanished categories",
    "missing_p_value": "p of the change of missing values",
}
_ORDER = {name: index for index, name in enumerate(_LABELS)}
_TESTED = {"missing": "change of missing values", "nan": "change of NaN", "infinite": "change of infinite values"}
# Of times: seconds since 1970, seconds, and neither.
_MOMENTS = frozenset({"mean", "min", "max"})


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A histogram of numbers: a path of bars for each side, in a box of `width` by 100, and what stands below it."""

    width: int
    reference: str
    current: str
    label: str
    ends: tuple[str, str, str]
    beyond: str


@dataclass(frozen=True, kw_only=True)
class Category:
    """The share of a category on both sides."""

    name: str
    reference: str
    current: str
    widths: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. `measures` are what could have decided: distance, value, limit and p-value; `others` all the rest.

    `pairs` is what both sides have of it.
    """

    id: str
    name: str
    kind: str
    mark: Mark
    reason: str
    picture: Picture | None
    categories: Sequence[Category]
    more_categories: int
    measures: Sequence[tuple[str, str, str, str]]
    pairs: Sequence[tuple[str, str, str]]
    others: Sequence[tuple[str, str]]
    arrivals: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: what drifted or cannot be compared, and the rest."""

    id: str
    name: str
    sentence: str
    reference: str
    current: str
    loud: Sequence[Column]
    quiet: Sequence[Column]
    left_out: int
    added: str


@dataclass(frozen=True, kw_only=True)
class Drifts:
    """The tables of a report, and the id of each column's part of the page by the name of its comparison."""

    tables: Sequence[Table]
    links: Mapping[str, str]


def drifts(content: Report) -> Drifts:
    """Everything that a page shows of drift."""
    judged = {item.metric: item for item in content.comparisons if item.moved}
    links: dict[str, str] = {}
    tables: list[Table] = []
    for index, part in enumerate(content.drifts, 1):
        shown = part.columns[: max(MOST - len(links), 0)]
        found: list[Column] = []
        for column in shown:
            name = f"drift-{len(found) + 1}" if index == 1 else f"drift-{index}-{len(found) + 1}"
            links[column.metric] = name
            found.append(_column(name, column, judged.get(column.metric)))
        tables.append(_table(index, part, list(zip(shown, found, strict=True))))
    return Drifts(tables=tables, links=links)


def _table(index: int, part: DriftPart, columns: Sequence[tuple[DriftColumnPart, Column]]) -> Table:
    added = ", ".join(safe.shortened(name, _LONGEST) for name in part.added[:_CATEGORIES])
    return Table(
        id=f"drift-of-{index}",
        name=safe.shortened(part.table),
        sentence=safe.shortened(part.sentence, 1000),
        reference=_side(part.reference, part.rows_reference),
        current=_side(part.current, part.rows_current),
        loud=[column for told, column in columns if told.drifted is not False],
        quiet=[column for told, column in columns if told.drifted is False],
        left_out=part.left_out + len(part.columns) - len(columns),
        added=added,
    )


def _side(name: str, rows: int) -> str:
    return f"{safe.shortened(name, _LONGEST)}, {rows:,} row{'' if rows == 1 else 's'}"


def _column(name: str, part: DriftColumnPart, judged: ComparisonPart | None) -> Column:
    drawn = part.histogram
    categories, more = _categories(drawn) if drawn and drawn.categories is not None else ([], 0)
    arrivals = [
        (label, ", ".join(safe.shortened(one, _LONGEST) for one in found[:_CATEGORIES]))
        for label, found in (("new", part.new_categories), ("vanished", part.vanished_categories))
    ]
    return Column(
        id=name,
        name=safe.shortened(part.column),
        kind=part.kind,
        mark=mark(judged) if judged else _unjudged(part),
        reason=safe.brief(part.reason, [part.column]),
        picture=_picture(part, drawn) if drawn and drawn.edges is not None else None,
        categories=categories,
        more_categories=more,
        measures=[_tested(test) for test in part.tests[:_STATISTICS]],
        pairs=_pairs(part),
        others=_others(part),
        arrivals=[(label, said) for label, said in arrivals if said],
    )


def _unjudged(part: DriftColumnPart) -> Mark:
    """The sign of a column whose comparison is not in the report."""
    if part.drifted is None:
        return Mark(kind="undecided", word="missing")
    return Mark(kind="info", word="drifted") if part.drifted else Mark(kind="pass", word="no drift")


# --- Bars -------------------------------------------------------------------------------------------------------------


def _picture(part: DriftColumnPart, bars: BarsPart) -> Picture | None:
    assert bars.edges is not None
    if not 0 < len(bars.reference) <= _BARS:
        return None
    sides = [
        _shares(counts, beyond)
        for counts, beyond in ((bars.reference, bars.beyond_reference), (bars.current, bars.beyond_current))
    ]
    highest = max(map(max, sides)) or 1.0
    low, middle, high = (bars.edges[at] for at in (0, len(bars.edges) // 2, -1))
    spread = high - low
    most = [_most(part, bars.edges, shares, spread) for shares in sides]
    ends = tuple(_at(part, value, spread) for value in (low, middle, high))
    beyond = [1 - sum(shares) for shares in sides]
    return Picture(
        width=_STEP * len(bars.reference),
        reference=_path(sides[0], highest, 1),
        current=_path(sides[1], highest, _STEP // 2),
        label=f"Histogram of {safe.shortened(part.column)} from {ends[0]} to {ends[2]}: the reference has most, "
        f"{most[0]}; the current table has most, {most[1]}",
        ends=(ends[0], ends[1], ends[2]),
        beyond=f"outside: {_percent(beyond[0])} and {_percent(beyond[1])}" if max(beyond) > 5e-5 else "",
    )


def _shares(counts: Sequence[int], beyond: int) -> list[float]:
    whole = sum(counts) + beyond
    return [count / whole if whole else 0.0 for count in counts]


def _path(shares: Sequence[float], highest: float, left: int) -> str:
    """Bars that stand on the bottom; what is there at all is seen."""
    heights = [max(1, round(share / highest * _TALL)) if share else 0 for share in shares]
    return "".join(
        f"M{index * _STEP + left} {_TALL}v-{tall}h4v{tall}z" for index, tall in enumerate(heights) if tall
    )  # fmt: skip


def _most(part: DriftColumnPart, edges: Sequence[float], shares: Sequence[float], spread: float) -> str:
    at = max(range(len(shares)), key=lambda index: shares[index])
    return f"{_percent(shares[at])}, from {_at(part, edges[at], spread)} to {_at(part, edges[at + 1], spread)}"


def _categories(bars: BarsPart) -> tuple[list[Category], int]:
    """The largest ones, which come first; the rest is one row, and how many are in it."""
    assert bars.categories is not None
    sides = [_shares(bars.reference, bars.beyond_reference), _shares(bars.current, bars.beyond_current)]
    rows = list(zip(bars.categories, *sides, strict=True))
    shown, rest = rows[:_CATEGORIES], rows[_CATEGORIES:]
    highest = max((max(one, two) for _, one, two in shown), default=0.0) or 1.0
    found = [_category(name, one, two, highest) for name, one, two in shown]
    return found, len(rest)


def _category(name: str, one: float, two: float, highest: float) -> Category:
    widths = (f"{one / highest * 100:.3g}%", f"{two / highest * 100:.3g}%")
    return Category(
        name=safe.shortened(name, _LONGEST), reference=_percent(one), current=_percent(two), widths=widths
    )  # fmt: skip


# --- Statistics -------------------------------------------------------------------------------------------------------


def _tested(test: TestPart) -> tuple[str, str, str, str]:
    label = _LABELS.get(test.statistic) or _TESTED.get(test.what)
    shown = _percent if test.rate else _number
    return (
        label or safe.shortened(test.method, _LONGEST),
        shown(test.effect),
        shown(test.limit),
        explain.p_value(test.corrected),
    )


def _others(part: DriftColumnPart) -> list[tuple[str, str]]:
    """Everything that was computed and is shown nowhere else, in an order that is the same everywhere."""
    told = {f"{name}_{side}" for name in _PAIRS for side in ("reference", "current")}
    told |= {test.statistic for test in part.tests}
    names = sorted(
        (name for name in part.statistics if name not in told), key=lambda name: _ORDER.get(name, len(_ORDER))
    )
    return [
        (_LABELS.get(name) or safe.shortened(name.replace("_", " "), _LONGEST), _value(name, part.statistics[name]))
        for name in names[:_STATISTICS]
    ]


def _value(name: str, value: float) -> str:
    if name.endswith("p_value"):
        return explain.p_value(value)
    return _percent(value) if name.endswith("_share") else _number(value)


def _pairs(part: DriftColumnPart) -> list[tuple[str, str, str]]:
    found = []
    spread = part.statistics.get("max_reference", 0.0) - part.statistics.get("min_reference", 0.0)
    for name, label in _PAIRS.items():
        sides = [part.statistics.get(f"{name}_{side}") for side in ("reference", "current")]
        if any(side is not None for side in sides):
            one, two = (cells.NONE if side is None else _of_side(part, name, side, spread) for side in sides)
            found.append((label, one, two))
    return found


def _of_side(part: DriftColumnPart, name: str, value: float, spread: float) -> str:
    if name in _RATES:
        return _percent(value)
    if part.kind == "time" and name == "std":
        return f"{_number(value / 86_400)} days"
    return _at(part, value, spread) if name in _MOMENTS else _number(value)


def _at(part: DriftColumnPart, value: float, spread: float) -> str:
    """A place on the axis: a number, or the day of a time, with the minute where there are few days."""
    if part.kind != "time":
        return _number(value)
    try:
        moment = dt.datetime.fromtimestamp(value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return _number(value)
    return f"{moment:%Y-%m-%d %H:%M}" if abs(spread) < _DAYS else f"{moment:%Y-%m-%d}"


def _number(value: float) -> str:
    return numbers.plain(float(f"{value:.4g}"))


def _percent(share: float) -> str:
    return f"{numbers.plain(float(f'{share * 100:.3g}'))}{cells.NBSP}%"
