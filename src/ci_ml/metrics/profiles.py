"""The columns of a table, counted where they are: a profile. Layer: metrics.

A reference is read three times: for a sample that only places the grids, for the ends of its columns, and to count
each column; another table once, or twice where a classifier wants a sample of it. A column is read by itself, which in
Parquet and in the engine's own tables is as if all of them were read once.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ibis
import numpy as np
from numpy.typing import NDArray

from ci_ml.core.kinds import Kind
from ci_ml.core.profiles import LONGEST_CATEGORY, MOST_CATEGORIES, ColumnProfile, Profile
from ci_ml.core.types import Gap
from ci_ml.metrics.columns import Source, infinite, shown
from ci_ml.metrics.engine import Engine, Row
from ci_ml.stats import grids
from ci_ml.stats.distances import Counted
from ci_ml.stats.grids import Grid

SAMPLE = 10_000
SEED = 20_240_229
# A float holds every whole number up to here, and not the next one.
_EXACT = 2**53
# A sample with fewer different values than this is of a column that may have a cell for each.
_FEW = grids.MOST_VALUES // 2
# With a known grid, so many different values are looked up here, and more by the engine.
_LISTED = 20_000
_ROUNDS = 3

# A value per row and column, as profiles compare them: a number, a text, or None.
Sample = Sequence[Row]


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """One column of one table: how its values are read.

    `raw` is the column as it is, without blanks where it is a text that holds a number; `value` what is compared.
    `floats`: it may hold NaN and infinity. `parsed`: it is read from a text. `whole` is `value` before NaN and infinity
    were taken out of it, where they were.
    """

    name: str
    kind: Kind
    type: str
    raw: ibis.Value
    value: ibis.Value
    floats: bool = False
    parsed: bool = False
    whole: ibis.Value | None = None


Chosen = Callable[[str], bool]


def every(_: str) -> bool:
    """Choose every column."""
    return True


def reference(engine: Engine, source: Source, chosen: Chosen = every) -> tuple[Profile, Sample]:
    """The profile of a table with which others are compared, and a sample of its values by column."""
    names = [name for name in source.table.columns if chosen(name)]
    readers: dict[str, _Reader] = {}
    gaps: dict[str, ColumnProfile] = {}
    rows = _count(engine, source)
    sample = engine.sample(_sampled(source, names), SAMPLE, SEED) if rows and names else []
    for name in names:
        kind = _kind(source, name, [row[name] for row in sample])
        found = _reader(source, name, kind)
        if isinstance(found, Gap):
            gaps[name] = _uncounted(name, kind, str(source.table[name].type()), rows, found)
        else:
            readers[name] = found
    values = _values(readers, sample)
    counter = _Counter(engine=engine, source=source, rows=rows)
    ends = counter.ends([reader for reader in readers.values() if reader.kind.counted])
    columns = {}
    for name in names:
        if name in gaps:
            columns[name] = gaps[name]
        elif readers[name].kind.counted:
            columns[name] = counter.placed(readers[name], [row[name] for row in values], ends[name])
        else:
            columns[name] = counter.categories(readers[name])
    return Profile(name=source.name, rows=rows, columns=columns), values


def against(engine: Engine, source: Source, profile: Profile, chosen: Chosen = every) -> Profile:
    """The profile of another table, counted where the reference's is."""
    rows = _count(engine, source)
    counter = _Counter(engine=engine, source=source, rows=rows)
    columns = {}
    for name in filter(chosen, source.table.columns):
        known = profile.columns.get(name)
        kind_of = str(source.table[name].type())
        if known is None:
            columns[name] = _uncounted(name, Kind.OTHER, kind_of, rows, Gap(reason="the reference does not have it"))
            continue
        found = _as_known(source, name, known)
        if isinstance(found, Gap):
            columns[name] = _uncounted(name, known.kind, kind_of, rows, found)
        elif known.numbers is not None:
            columns[name] = counter.numbers(found, known.numbers.grid)
        elif known.kind.counted:
            columns[name] = counter.states(found)
        else:
            columns[name] = counter.categories(found)
    return Profile(name=source.name, rows=rows, columns=columns)


def sample(engine: Engine, source: Source, profile: Profile, names: Iterable[str]) -> Sample:
    """Values of another table, read as the reference's are."""
    readers = {}
    for name in names:
        found = _as_known(source, name, profile.columns[name])
        if isinstance(found, _Reader):
            readers[name] = found
    if not readers:
        return []
    table = source.table.select(**{name: reader.value for name, reader in readers.items()})
    # Not the places that the reference was asked for: tables that share rows would be sampled in pairs.
    return engine.sample(table, SAMPLE, SEED + 1)


def _count(engine: Engine, source: Source) -> int:
    (row,) = engine.rows(source.table.aggregate(n=source.table.count()))
    return int(row["n"])


def _uncounted(name: str, kind: Kind, of: str, rows: int, gap: Gap) -> ColumnProfile:
    return ColumnProfile(name=name, kind=kind, type=of, rows=rows, values=gap)


# --- How a column is read ---


def _kind(source: Source, name: str, sampled: Sequence[Any]) -> Kind:
    """As what a column is compared: by its type, and in a table of texts by what a sample of it holds."""
    kind = source.table[name].type()
    if kind.is_boolean():
        return Kind.BOOLEAN
    if kind.is_numeric():
        return Kind.NUMERIC
    if kind.is_timestamp() or kind.is_date():
        return Kind.TIME
    if not kind.is_string():
        return Kind.OTHER
    filled = [value for value in sampled if value is not None and value.strip()] if not source.typed else []
    return Kind.NUMERIC if filled and all(_parsed(value) is not None for value in filled) else Kind.CATEGORICAL


def _parsed(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _reader(source: Source, name: str, kind: Kind) -> _Reader | Gap:
    column = source.table[name]
    of = column.type()
    made = functools.partial(_Reader, name=name, kind=kind, type=str(of))
    if kind is Kind.NUMERIC and of.is_numeric():
        odd = of.is_floating() or of.is_decimal()  # PostgreSQL's decimals may be NaN or infinite
        return made(raw=column, value=column.cast("float64"), floats=odd)
    if kind is Kind.NUMERIC and of.is_string() and not source.typed:
        text = column.strip().nullif("")
        return made(raw=text, value=text.try_cast("float64"), floats=True, parsed=True)
    if kind is Kind.TIME and (of.is_timestamp() or of.is_date()):
        return made(
            raw=column,
            value=column.cast("timestamp").epoch_seconds().cast("float64")
            if of.is_date()
            else column.epoch_seconds().cast("float64"),
        )
    if kind is Kind.BOOLEAN and of.is_boolean():
        return made(raw=column, value=column)
    if kind is Kind.CATEGORICAL and of.is_string():
        text = column if source.typed else column.nullif("")
        return made(raw=text, value=text)
    if kind is Kind.OTHER:
        return Gap(reason=f"values of type {of} are not compared")
    return Gap(reason=f"its type changed: {_WORDS[kind]} in the reference, {of} in {source.name}")


_WORDS = {
    Kind.NUMERIC: "numbers",
    Kind.TIME: "times",
    Kind.BOOLEAN: "true or false",
    Kind.CATEGORICAL: "text",
    Kind.OTHER: "something else",
}


def _as_known(source: Source, name: str, known: ColumnProfile) -> _Reader | Gap:
    """Another table's column, read as the reference's is, or why that cannot be."""
    if name not in source.table.columns:
        return Gap(reason=f"{source.name} has no column {shown(name)}", absent=True)
    of = source.table[name].type()
    if known.kind is Kind.TIME and of.is_timestamp() and known.type.startswith("timestamp"):
        zones = ("('" in known.type), ("('" in str(of))
        if zones[0] != zones[1]:
            without, having = (source.name, "the reference") if zones[0] else ("the reference", source.name)
            return Gap(reason=f"its times have a time zone in {having} and none in {without}")
    if known.kind is Kind.BOOLEAN and of.is_string() and not source.typed:
        text = source.table[name].strip().lower().nullif("")
        return _Reader(name=name, kind=Kind.BOOLEAN, type=str(of), raw=text, value=text)
    return _reader(source, name, known.kind)


def _sampled(source: Source, names: Sequence[str]) -> ibis.Table:
    """The columns of a sample: read as they are compared where the type says how, else as they are."""
    chosen: dict[str, ibis.Value] = {}
    for name in names:
        column = source.table[name]
        kind = _kind(source, name, ()) if source.typed or not column.type().is_string() else Kind.OTHER
        found = _reader(source, name, kind)
        if isinstance(found, _Reader):
            chosen[name] = found.value
        else:  # a text that may hold numbers; of what is not compared, nothing is fetched
            chosen[name] = column if column.type().is_string() else ibis.null().cast("string")
    return source.table.select(**chosen)


def _values(readers: Mapping[str, _Reader], sample: Sample) -> Sample:
    """A sample as it is compared: of a table of texts, the engine gave texts."""
    texts = [reader for reader in readers.values() if reader.parsed or reader.raw.type().is_string()]
    if not texts:
        return sample
    return [{**row, **{reader.name: _value(reader, row[reader.name]) for reader in texts}} for row in sample]


def _value(reader: _Reader, value: Any) -> Any:
    if value is None or not reader.parsed or not isinstance(value, str):
        return (value or None) if reader.kind is Kind.CATEGORICAL else value
    return _parsed(value.strip())


# --- Counting ---


@dataclass(frozen=True, kw_only=True)
class _Ends:
    """The smallest and the largest value of a column; `odd`: NaN or infinity are among them."""

    low: float | None
    high: float | None
    odd: bool = False


@dataclass(frozen=True, kw_only=True)
class _Totals:
    """A column in one row: how many numbers there are and what else, and their sums."""

    n: int
    missing: int
    nan: int
    infinite: int
    unreadable: int
    total: float
    squares: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class _Counter:
    """Counts the columns of one table."""

    engine: Engine
    source: Source
    rows: int

    def ends(self, readers: Sequence[_Reader]) -> Mapping[str, _Ends]:
        """The smallest and the largest number of every column, in one pass; a second where NaN or infinity are."""
        found = self._ends(readers)
        odd = [reader for reader in readers if reader.floats and _is_odd(found[reader.name])]
        again = self._ends([_finite(reader) for reader in odd]) if odd else {}
        return found | {name: _Ends(low=ends.low, high=ends.high, odd=True) for name, ends in again.items()}

    def _ends(self, readers: Sequence[_Reader]) -> dict[str, _Ends]:
        if not readers or not self.rows:
            return {reader.name: _Ends(low=None, high=None) for reader in readers}
        asked = {
            f"{which}{at}": getattr(reader.value, which)()
            for at, reader in enumerate(readers)
            for which in ("min", "max")
        }
        (row,) = self.engine.rows(self.source.table.aggregate(**asked))
        return {reader.name: _Ends(low=row[f"min{at}"], high=row[f"max{at}"]) for at, reader in enumerate(readers)}

    def placed(self, reader: _Reader, values: Sequence[Any], ends: _Ends) -> ColumnProfile:
        """A column of the reference, on a grid of its own."""
        reader = _finite(reader) if ends.odd else reader
        if ends.low is None or ends.high is None:
            return self._without_numbers(reader)
        if gap := _inexact(reader, ends.low, ends.high):
            return _uncounted(reader.name, reader.kind, reader.type, self.rows, gap)
        known = np.array([value for value in values if value is not None and math.isfinite(value)], dtype=float)
        # What a sample says of a column with few values in many rows is too little; all of them are not many either.
        if len(np.unique(known)) <= _FEW or self.rows <= 2 * SAMPLE:
            most = 2 * SAMPLE if self.rows <= 2 * SAMPLE else grids.MOST_VALUES
            if (listed := self._listed(reader, most)) is not None:
                return self._of_listed(reader, grids.of_counted(*listed), listed)
        known = known if len(known) else np.array([ends.low, ends.high])
        found = self._by_formulas(reader, grids.of_sample(known, ends.low, ends.high))
        for _ in range(_ROUNDS):
            counted = found.numbers
            if counted is None or not len(heavy := grids.heavy(counted.grid, counted.counts)):
                break
            found = self._by_cuts(reader, self._split(reader, counted, heavy))
        return found

    def numbers(self, reader: _Reader, grid: Grid) -> ColumnProfile:
        """A column of another table, on the reference's grid."""
        if not self.rows:
            return self._without_numbers(reader)
        if not (grid.explicit and len(grid.cuts) > grids.MOST_BRANCHES):
            return self._by_formulas(reader, grid)
        (row,) = self.engine.rows(self.source.table.aggregate(low=reader.value.min(), high=reader.value.max()))
        if reader.floats and _is_odd(_Ends(low=row["low"], high=row["high"])):
            reader = _finite(reader)
        if (listed := self._listed(reader, _LISTED)) is not None:
            return self._of_listed(reader, grid, listed)
        return self._by_cuts(reader, grid)

    def states(self, reader: _Reader) -> ColumnProfile:
        """A column of numbers that are compared with none: only what it holds beside them."""
        return self._without_numbers(reader, "the reference holds no number in it")

    # One way to count for each kind of grid.

    def _listed(self, reader: _Reader, most: int) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
        """Every value with the number of its rows, increasing; None if there are more than `most`."""
        table = self.source.table.select(x=reader.value)
        counted = table.filter(table.x.notnull()).group_by("x").aggregate(n=ibis._.count())
        rows = self.engine.rows(counted.limit(most + 1))
        if len(rows) > most:
            return None
        values = np.array([row["x"] for row in rows], dtype=float) + 0.0
        unique, where = np.unique(values, return_inverse=True)  # -0.0 is 0.0
        counts = np.bincount(where, weights=[row["n"] for row in rows], minlength=len(unique)).astype(np.int64)
        return unique, counts

    def _of_listed(
        self, reader: _Reader, grid: Grid, listed: tuple[NDArray[np.float64], NDArray[np.int64]]
    ) -> ColumnProfile:
        values, counts = listed
        cells = grid.place(values)
        away = values - grid.center
        with np.errstate(over="ignore"):
            squares = float((counts * away**2).sum())
        return self._profile(
            reader,
            self._totals(reader),
            grid,
            np.bincount(cells, weights=counts, minlength=grid.size).astype(np.int64),
            np.bincount(cells, weights=counts * away, minlength=grid.size).astype(np.float64),
            squares=squares,
        )

    def _totals(self, reader: _Reader, center: float = 0.0) -> _Totals:
        """What of a column is no number, and its ends and sums."""
        return _totals(self.engine.rows(_summed(self.source.table, reader, center)), self.rows)

    def _without_numbers(self, reader: _Reader, why: str = "") -> ColumnProfile:
        totals = self._totals(_finite(reader) if reader.floats else reader)
        return self._column(reader, totals, Gap(reason=why or f"{self.source.name} holds no value in it", n=0))

    def _column(self, reader: _Reader, totals: _Totals, values: Counted | Gap) -> ColumnProfile:
        return ColumnProfile(
            name=reader.name,
            kind=reader.kind,
            type=reader.type,
            rows=self.rows,
            missing=totals.missing,
            nan=totals.nan,
            infinite=totals.infinite,
            unreadable=totals.unreadable,
            values=values,
        )

    def _by_formulas(self, reader: _Reader, grid: Grid) -> ColumnProfile:
        """Group by the number of the cell, which few comparisons and one formula say."""
        rows = self.engine.rows(_grouped(self.source.table, reader, grid))
        if reader.floats and any(row["n"] and _is_odd(_Ends(low=row["low"], high=row["high"])) for row in rows):
            reader = _finite(reader)
            rows = self.engine.rows(_grouped(self.source.table, reader, grid))
        counts, sums = np.zeros(grid.size, dtype=np.int64), np.zeros(grid.size)
        for row in rows:
            counts[int(row["cell"])] = row["n"]
            sums[int(row["cell"])] = row["total"] or 0.0
        return self._profile(reader, _totals(rows, self.rows), grid, counts, sums)

    def _by_cuts(self, reader: _Reader, grid: Grid) -> ColumnProfile:
        """Sort the values among the cuts, and look at each cut what lies below it."""
        totals = self._totals(reader, grid.center)
        if totals.low is None:
            return self._without_numbers(reader)
        cuts = self.engine.put(
            {"x": grid.cuts, "rank": [1 if closed else -1 for closed in grid.closed]},
            {"x": "float64", "rank": "int8"},
        )
        zero = ibis.literal(0, type="int64")
        marks = cuts.select(x=cuts.x, rank=cuts["rank"], one=zero, away=ibis.literal(0.0))
        values = self.source.table.select(
            x=reader.value, rank=ibis.literal(0, type="int8"), one=zero + 1, away=reader.value - grid.center
        )
        every = ibis.union(values.filter(values.x.notnull()), marks)
        # Values by the cut that they lie below: of many rows, as few are kept as there are cuts.
        below = ibis.window(order_by=[every.x, every["rank"]], rows=(None, 0))
        running = every.mutate(n=every.one.sum().over(below), total=every.away.sum().over(below))
        rows = self.engine.rows(
            running.filter(running["rank"] != 0).select("x", "rank", "n", "total").order_by(["x", "rank"])
        )
        counts = np.diff([0, *(int(row["n"]) for row in rows), totals.n])
        sums = np.diff([0.0, *(float(row["total"]) for row in rows), totals.total])
        return self._profile(reader, totals, grid, counts.astype(np.int64), np.where(counts == 0, 0.0, sums))

    def _split(self, reader: _Reader, counted: Counted, cells: NDArray[np.int64]) -> Grid:
        """Cut cells that are too heavy: around values that many share, and at quantiles of what else is inside."""
        lefts, rights = counted.grid.edges
        low, high = float(lefts[cells].min()), float(rights[cells].max())
        table = self.source.table.select(x=reader.value)
        table = table.filter(table.x.notnull() & (table.x >= low) & (table.x <= high))
        counts = table.group_by("x").aggregate(n=ibis._.count())
        least = grids.SHARE / 2 * counted.n
        shared = self.engine.rows(counts.filter(counts.n >= least).limit(math.ceil(2 / grids.SHARE)))
        drawn = np.array([row["x"] for row in self.engine.sample(table, 2 * SAMPLE, SEED)], dtype=float)
        placed = counted.grid.place(drawn)
        inside = [(int(cell), np.sort(drawn[placed == cell])) for cell in cells]
        return grids.split(counted.grid, counted.counts, inside, np.array([row["x"] for row in shared], dtype=float))

    def _profile(
        self,
        reader: _Reader,
        totals: _Totals,
        grid: Grid,
        counts: NDArray[np.int64],
        sums: NDArray[np.float64],
        *,
        squares: float | None = None,
    ) -> ColumnProfile:
        if totals.low is None or totals.high is None:
            return self._without_numbers(reader)
        counted = Counted(
            grid=grid,
            counts=counts,
            sums=sums,
            squares=totals.squares if squares is None else squares,
            low=totals.low,
            high=totals.high,
        )
        return self._column(reader, totals, _inexact(reader, totals.low, totals.high) or counted)

    def categories(self, reader: _Reader) -> ColumnProfile:
        """A column of texts, by value."""
        made = functools.partial(ColumnProfile, name=reader.name, kind=reader.kind, type=reader.type, rows=self.rows)
        if not self.rows:
            return made(values=Gap(reason=f"{self.source.name} holds no value in it", n=0))
        table = self.source.table.select(x=reader.value)
        counted = table.group_by("x").aggregate(n=ibis._.count())
        rows = self.engine.rows(counted.order_by([ibis.desc("n"), "x"]).limit(MOST_CATEGORIES + 2))
        found = {_name(row["x"]): int(row["n"]) for row in rows if row["x"] is not None}
        missing = sum(int(row["n"]) for row in rows if row["x"] is None)
        if gap := _uncategorical(found, self.source.name):
            return made(values=gap)
        if not found:
            return made(missing=missing, values=Gap(reason=f"{self.source.name} holds no value in it", n=0))
        return made(missing=missing, values=found)


def _name(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _uncategorical(found: Mapping[str, int], where: str) -> Gap | None:
    """Why what was found are no categories."""
    if len(found) > MOST_CATEGORIES:
        many = f"it has more than {MOST_CATEGORIES:,} different values in {where}"
        return Gap(reason=f"{many}: leave it out, or make categories of them")
    if any(len(name) > LONGEST_CATEGORY for name in found):
        return Gap(reason=f"it holds texts of more than {LONGEST_CATEGORY} characters in {where}: leave it out")
    return None


def _is_odd(ends: _Ends) -> bool:
    """Whether the ends of some values say that NaN or infinity are among them. Spark gives NaN back as nothing."""
    return any(value is None or not math.isfinite(value) for value in (ends.low, ends.high))


def _inexact(reader: _Reader, low: float, high: float) -> Gap | None:
    """Whole numbers that floats cannot tell apart are ids, mostly."""
    if reader.floats or reader.kind is not Kind.NUMERIC or max(-low, high) <= _EXACT:
        return None
    if reader.type.startswith("decimal"):
        return None
    return Gap(reason="it holds whole numbers beyond 2^53, which cannot be told apart: leave it out, or divide it")


def _finite(reader: _Reader) -> _Reader:
    """The same column with NaN and infinity as nothing; `raw` tells them apart from what is missing."""
    value = reader.value
    odd = value.isnan() | infinite(value)
    return replace(reader, value=odd.ifelse(ibis.null("float64"), value), floats=False, whole=value)


def _columns(
    table: ibis.Table, reader: _Reader, center: float, **more: ibis.Value
) -> tuple[ibis.Table, dict[str, Any]]:
    """A column's numbers, and the aggregates of every group of them."""
    odd = reader.whole is not None
    chosen = {**more, "x": reader.value}
    if odd or reader.parsed:
        chosen["raw"] = reader.raw
    if reader.whole is not None:
        chosen["plain"] = reader.whole
    found = table.select(**chosen)
    away = found.x - center
    asked = {
        "n": found.x.count(),
        "total": away.sum(),
        "squares": (away * away).sum(),
        "low": found.x.min(),
        "high": found.x.max(),
    }
    if odd or reader.parsed:
        asked["filled"] = found.raw.count()
    if odd:
        asked["nan"] = found.plain.isnan().cast("int64").sum()
        asked["infinite"] = infinite(found.plain).cast("int64").sum()
    return found, asked


def _summed(table: ibis.Table, reader: _Reader, center: float) -> ibis.Table:
    found, asked = _columns(table, reader, center)
    return found.aggregate(**asked)


def _grouped(table: ibis.Table, reader: _Reader, grid: Grid) -> ibis.Table:
    found, asked = _columns(table, reader, grid.center, cell=_cell(reader.value, grid))
    return found.group_by("cell").aggregate(**asked)


def _totals(rows: Sequence[Row], count: int) -> _Totals:
    """All groups of a column together."""

    given = rows[0] if rows else {}

    def add(name: str) -> float:
        return float(np.array([row[name] or 0 for row in rows], dtype=float).sum()) if name in given else 0.0

    lows, highs = ([value for row in rows if (value := row[name]) is not None] for name in ("low", "high"))
    n, nan, infinite = (round(add(name)) for name in ("n", "nan", "infinite"))
    filled = round(add("filled")) if "filled" in given else n
    return _Totals(
        n=n,
        missing=count - filled,
        nan=nan,
        infinite=infinite,
        unreadable=filled - n - nan - infinite,
        total=add("total"),
        squares=add("squares"),
        low=min(lows, default=None),
        high=max(highs, default=None),
    )


# --- The number of a cell, as an expression ---


def _cell(value: ibis.Value, grid: Grid) -> ibis.Value:
    """The number of the cell that a number is in: a tree of comparisons, and a formula at each of its leaves.

    What is NULL, or NaN, is beyond every cut; it is not counted there.
    """
    return _branch(value, grid, 0, len(grid.cuts)).cast("int32")


def _branch(value: ibis.Value, grid: Grid, low: int, high: int) -> ibis.Value:
    if low == high:
        return _leaf(value, grid, low)
    middle = (low + high) // 2
    cut = ibis.literal(grid.cuts[middle], type="float64")
    below = value <= cut if grid.closed[middle] else value < cut
    return below.ifelse(_branch(value, grid, low, middle), _branch(value, grid, middle + 1, high))


def _leaf(value: ibis.Value, grid: Grid, interval: int) -> ibis.Value:
    first, count = float(grid.offsets[interval]), grid.cells[interval]
    if count == 1:
        return ibis.literal(first, type="float64")
    left, right = (ibis.literal(cut, type="float64") for cut in grid.cuts[interval - 1 : interval + 1])
    last = ibis.literal(float(count - 1), type="float64")
    kind = grid.spacing[interval]
    if kind == "even":
        scaled = (value - left) * ibis.literal(grid.scale(interval), type="float64")
        return ibis.least(scaled.floor().cast("float64"), last) + first
    away = (value - left if kind == "up" else right - value) / ibis.literal(grid.width(interval), type="float64")
    step = ibis.least((away.sqrt().sqrt().sqrt() * float(count)).floor().cast("float64"), last)
    return step + first if kind == "up" else last + first - step
