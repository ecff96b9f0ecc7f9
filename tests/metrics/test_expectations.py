"""How many rows break a rule: by type, by value, by pandera's own opinion, and in how many scans."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci_ml.adapters.tables.duckdb import DuckDB
from ci_ml.core import expectations
from ci_ml.core.expectations import ColumnConfig, Kind, Rule
from ci_ml.core.types import Gap
from ci_ml.metrics import expectations as counting
from ci_ml.metrics.columns import Source
from ci_ml.metrics.engine import Row
from ci_ml.metrics.expectations import Broken, Shown

NAN, INF = math.nan, math.inf
DAY = dt.date(2024, 1, 31)
NOON = dt.datetime(2024, 1, 31, 12)  # noqa: DTZ001


def source(engine: DuckDB, columns: dict[str, Sequence[Any]], types: dict[str, str], *, typed: bool = True) -> Source:
    return Source(table=engine.put(columns, types), name="t.parquet" if typed else "t.csv", typed=typed)


def broken(engine: DuckDB, kind: str, values: Sequence[Any], **about: Any) -> dict[str, int | str]:
    """By rule how many rows break it, or why that cannot be told; a column of text is that of a CSV file."""
    typed = kind != "text"
    table = source(engine, {"x": values}, {"x": kind if typed else "string"}, typed=typed)
    rules = tuple(expectations.of_column("x", ColumnConfig.model_validate({"missing": "100%", **about})))
    found = counting.count(engine, table, rules).found
    return {rule.kind.value: what.reason if isinstance(what, Gap) else what.rows for rule, what in found.items()}


@pytest.mark.parametrize(
    ("kind", "values", "about", "found"),
    [
        ("int64", [1, 5, None, 9], {"min": 5}, {"min": 1}),
        ("int64", [1, 5, None, 9], {"max": 5}, {"max": 1}),
        ("int64", [1, 5, None, 9], {"above": 5}, {"above": 2}),
        ("int64", [1, 5, None, 9], {"below": 5}, {"below": 2}),
        ("int64", [2**53 + 1, 2**53], {"min": 2**53 + 1}, {"min": 1}),
        ("int64", [2**62], {"max": 10**30}, {"max": 0}),
        ("uint64", [2**64 - 1, 0], {"min": -1, "max": 2**63}, {"min": 0, "max": 1}),
        ("float64", [0.5, NAN, INF, -INF, None], {"min": 0}, {"min": 2}),
        ("float64", [0.5, NAN, INF, -INF, None], {"max": 1}, {"max": 2}),
        ("float64", [0.5, NAN, INF, None], {"missing": 0}, {"missing": 2}),
        ("float32", [0.1, 0.7], {"min": 0.1, "max": 0.7}, {"min": 0, "max": 0}),
        ("date", [DAY, dt.date(2024, 2, 1), None], {"max": "2024-01-31"}, {"max": 1}),
        ("timestamp", [NOON, dt.datetime(2024, 1, 31)], {"max": "2024-01-31"}, {"max": 1}),  # noqa: DTZ001
        ("timestamp('UTC')", [NOON], {"max": "2024-01-31T12:00:00Z"}, {"max": 0}),
        ("timestamp('UTC')", [NOON], {"max": "2024-01-31T12:00:00+01:00"}, {"max": 1}),
        ("string", ["DE", "de", "", None], {"allowed": ["DE", "FR"]}, {"allowed": 2}),
        ("string", ["DE", "de", "", None], {"forbidden": ["DE", "FR"]}, {"forbidden": 1}),
        ("string", ["1", "2"], {"allowed": [1]}, {"allowed": 1}),
        ("int64", [1, 2, None], {"allowed": [1, 3]}, {"allowed": 1}),
        ("boolean", [True, False, None], {"allowed": [True]}, {"allowed": 1}),
        ("date", [DAY, None], {"allowed": [dt.date(2024, 1, 30)]}, {"allowed": 1}),
        ("string", ["a@b", "a@b\n", "xa@b", "@", None], {"matches": "[a-z]@[a-z]"}, {"matches": 3}),
        ("string", ["ß", "ab", "", None], {"length": {"min": 1, "max": 1}}, {"length": 2}),
        ("int64", [1, 1, 2, None, None], {"unique": True}, {"unique": 2}),
        ("int64", [1, 2], {"type": "integer"}, {"type": 0}),
        ("float64", [1.0, 2.0], {"type": "integer"}, {"type": 2}),
        ("string", ["1", "2"], {"type": "integer"}, {"type": 2}),
        ("int64", [1], {"type": "number"}, {"type": 0}),
        ("boolean", [True], {"type": "number"}, {"type": 1}),
        ("timestamp", [NOON], {"type": "date"}, {"type": 1}),
    ],
)
def test_rows_that_break_a_rule_are_counted(
    engine: DuckDB, kind: str, values: list[Any], about: dict[str, Any], found: dict[str, int]
) -> None:
    names = {"matches": "pattern"}
    assert broken(engine, kind, values, **about) == {names.get(name, name): count for name, count in found.items()}


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ("integer", ["1", "-5", "+7", "007", "9223372036854775807"], ["1.0", "1e3", " 7", "", "0x1", "1_000", "9223372036854775808", "nan", "\uff11"]),
        ("number", ["1", "-.5", "1.", "1e-3", "+2E5"], ["nan", "inf", "1,5", "", "1e", ".", "1_0", " 1"]),
        ("boolean", ["true", "False", "1", "0"], ["yes", "2", "", "t"]),
        ("date", ["2024-01-31", "2024-02-29"], ["2024-1-31", "2023-02-29", "31.01.2024", "2024-01-31 00:00", ""]),
        ("timestamp", ["2024-01-31", "2024-01-31 10:00", "2024-01-31T10:00:00.123"], ["10:00", "2024-13-01", "2024-01-31T25:00", "now", ""]),
        ("string", ["", "x", "1"], []),
    ],
)  # fmt: skip
def test_text_is_read_to_the_letter(engine: DuckDB, wanted: str, good: list[str], bad: list[str]) -> None:
    assert broken(engine, "text", [*good, None], type=wanted) == {"type": 0}
    assert broken(engine, "text", [*good, *bad], type=wanted) == {"type": len(bad)}


@pytest.mark.parametrize(
    ("values", "about", "found"),
    [
        (["1", "-1", "x", None], {"min": 0}, {"min": 2}),
        (["1", "01", "1.0", "2", "x"], {"allowed": [1]}, {"allowed": 2}),
        (["1", "2"], {"type": "string", "allowed": ["1"]}, {"type": 0, "allowed": 1}),
        (["2024-01-31T12:00:00+02:00", "2024-01-31T10:00:01Z"], {"max": "2024-01-31T10:00:00Z"}, {"max": 1}),
        (["2024-01-31T12:00:00+02:00", "2024-01-31T10:00:00Z"], {"type": "timestamp"}, {"type": 0}),
        (["2024-01-31T12:00:00+02:00", "2024-01-31T10:00:00", "2024-01-31"], {"type": "timestamp"}, {"type": 2}),
    ],
)
def test_values_in_text_are_those_that_they_are_written_as(
    engine: DuckDB, values: list[Any], about: dict[str, Any], found: dict[str, int]
) -> None:
    assert broken(engine, "text", values, **about) == found


@pytest.mark.parametrize(
    ("kind", "about", "why"),
    [
        ("string", {"min": 0}, "the column x holds values of the type string"),
        ("int64", {"matches": "a"}, "the column x holds values of the type int64"),
        ("int64", {"allowed": ["a"]}, "holds values of the type int64, and a is none"),
        ("int64", {"min": "2024-01-31"}, "the column x holds values of the type int64"),
        ("timestamp", {"min": "2024-01-31T00:00:00Z"}, "the times of x have no zone"),
    ],
)
def test_what_cannot_be_asked_of_a_column_is_a_gap(engine: DuckDB, kind: str, about: dict[str, Any], why: str) -> None:
    values = {"string": "a", "int64": 1, "timestamp": NOON}[kind]
    (found,) = broken(engine, kind, [values], **about).values()
    assert why in str(found)


def test_an_empty_table_breaks_nothing_and_is_never_fine(engine: DuckDB) -> None:
    (found,) = broken(engine, "int64", [], min=0).values()
    assert found == "t.parquet has no rows"


def test_a_column_that_is_not_there_is_a_gap_unless_it_need_not_be(engine: DuckDB) -> None:
    table = source(engine, {"x": [1]}, {"x": "int64"})
    rules = [
        *expectations.of_column("y\u202e", ColumnConfig.model_validate({"min": 0})),
        *expectations.of_column("z", ColumnConfig.model_validate({"min": 0, "required": False})),
    ]
    found = list(counting.count(engine, table, rules).found.values())
    assert [str(getattr(gap, "reason", gap)) for gap in found] == ["t.parquet has no column 'y\\u202e'; it has: x"] * 2


def test_values_are_shown_where_they_are_asked_for_and_cannot_move_a_cursor(engine: DuckDB) -> None:
    table = source(engine, {"id": [1, 2, 3], "x": ["a", "\x1b[2Jb", "c" * 200]}, {"id": "int64", "x": "string"})
    rule = Rule(what="one of z", kind=Kind.ALLOWED, columns=("x",), value=("z",))
    hidden = counting.count(engine, table, [rule]).found[rule]
    told = counting.count(engine, table, [rule], Shown(most=2, id="id")).found[rule]
    assert isinstance(hidden, Broken)
    assert isinstance(told, Broken)
    assert hidden.examples == ()
    assert told.examples == ("id 1, x a", "id 2, x '\\x1b[2Jb'")


class Counting:
    """An engine that counts what it is asked."""

    def __init__(self, engine: DuckDB) -> None:
        self.engine, self.asked = engine, 0

    def rows(self, table: ibis.Table) -> list[Row]:
        self.asked += 1
        return list(self.engine.rows(table))

    def hold(self, table: ibis.Table, most: int | None = None) -> ibis.Table:
        raise AssertionError("a rule needs no copy of the table")

    put = hold  # type: ignore[assignment]


def test_twenty_rules_are_one_scan_and_uniqueness_one_more(engine: DuckDB) -> None:
    names = [f"c{index}" for index in range(10)]
    table = source(engine, {name: [1, 2, 3] for name in names}, dict.fromkeys(names, "int64"))
    rules = [rule for name in names for rule in expectations.of_column(name, ColumnConfig(min=0))]
    counted = Counting(engine)
    assert len(rules) == 20
    counting.count(counted, table, rules)
    assert counted.asked == 1
    counting.count(counted, table, [*rules, Rule(what="unique", kind=Kind.UNIQUE, columns=("c1", "c2"))])
    assert counted.asked == 3


# --- Expressions


def holding(engine: DuckDB, text: str, rows: dict[str, list[Any]], types: dict[str, str]) -> Any:
    table = source(engine, rows, types)
    rule = Rule(what="rule", kind=Kind.HOLDS, value=text)
    found = counting.count(engine, table, [rule]).found[rule]
    return found.reason if isinstance(found, Gap) else found.rows


ROWS = {"a": [1, 2, 3, None], "b": [1.0, 5.0, NAN, 2.0], "end": ["x", "yy", None, "x"]}
TYPES = {"a": "int64", "b": "float64", "end": "string"}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a < 3", 1),
        ("a <= b", 1),  # NaN is no number that anything is below
        ("not (a > b)", 1),
        ("a = 1 or a = 2 or a is null", 1),
        ("a is not null", 1),
        ("a in (1, 2)", 1),
        ("a not in (1, 2)", 2),
        ("a between 2 and 3", 1),
        ("end = 'x'", 1),
        ("length(end) < 2 and lower(end) = 'x'", 1),
        ("coalesce(a, 9) < 9", 1),
        ("case when a = 1 then end = 'x' else true end", 0),
        ("a % 2 = 0", 2),
        ("abs(a - 2) * 2 + 1 > 1", 1),
        ("regexp_matches(end, '^x$')", 1),
        ("isnan(b) or b < 3", 1),
        ("not (a = 1 and end = 'x')", 1),
        ("(not (a = 1)) is null or a > 0", 0),
        ("(not (a = 1)) = (a > 1)", 0),
    ],
)
def test_rows_where_an_expression_does_not_hold_are_counted(engine: DuckDB, text: str, rows: int) -> None:
    assert holding(engine, text, ROWS, TYPES) == rows


def test_what_cannot_be_worked_out_though_nothing_is_missing_does_not_hold(engine: DuckDB) -> None:
    assert holding(engine, "try_cast(x as int) > 0", {"x": ["1", "a", None]}, {"x": "string"}) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a", "a rule is something that holds or does not"),
        ("a + 1", "a rule is something that holds or does not"),
        ("a > 'x'", "compares int64 with string"),
        ("end > 1", "compares string with int"),
        ("end + 1 > 2", "which are no numbers"),
        ("nothing > 1", "has no column nothing"),
        ("1 < 2", "is about no column"),
        ("day >= 'soon'", "has no column day"),
        ("length(a) > 1", "needs a text"),
        ("1 < a < 3", "compares boolean with int"),
    ],
)
def test_an_expression_whose_types_do_not_fit_is_a_gap(engine: DuckDB, text: str, why: str) -> None:
    assert why in holding(engine, text, ROWS, TYPES)


# --- What pandera says

NUMBERS = st.lists(st.one_of(st.none(), st.integers(-4, 4)), min_size=1, max_size=12)
TEXTS = st.lists(st.one_of(st.none(), st.text("ab@\n", max_size=3)), min_size=1, max_size=12)
_BOUND = st.integers(-4, 4)


@st.composite
def checks(draw: st.DrawFn) -> tuple[str, list[Any], dict[str, Any], str, tuple[Any, ...]]:
    """A kind of column and its values, a key of ours, and the check of pandera that means the same."""
    if draw(st.booleans()):
        key, check = draw(st.sampled_from([("min", "ge"), ("max", "le"), ("above", "gt"), ("below", "lt")]))
        bound = draw(_BOUND)
        return draw(st.sampled_from(["int64", "float64"])), draw(NUMBERS), {key: bound}, check, (bound,)
    if draw(st.booleans()):
        key, check = draw(st.sampled_from([("allowed", "isin"), ("forbidden", "notin")]))
        values = draw(st.lists(_BOUND, min_size=1, max_size=3, unique=True))
        return "int64", draw(NUMBERS), {key: values}, check, (values,)
    texts = draw(TEXTS)
    if draw(st.booleans()):
        low, high = sorted((draw(st.integers(0, 3)), draw(st.integers(0, 3))))
        return "string", texts, {"length": {"min": low, "max": high}}, "str_length", (low, high)
    found = draw(st.sampled_from(["a", "a+b?", "[^@]*", "a|b", "(ab)*"]))
    return "string", texts, {"matches": found}, "str_matches", (rf"^(?:{found})$",)


@pytest.fixture(scope="module")
def pandera() -> Any:
    return pytest.importorskip("pandera.ibis")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=checks())
@pytest.mark.filterwarnings("ignore")
def test_a_rule_means_what_the_check_of_pandera_means(engine: DuckDB, pandera: Any, case: Any) -> None:
    kind, values, about, name, arguments = case
    values = [float(value) if kind == "float64" and value is not None else value for value in values]
    table = ibis.memtable({"x": values}, schema={"x": kind})
    theirs = getattr(pandera.Check, name)(*arguments)(table, "x").failure_cases.count().execute()
    (ours,) = broken(engine, kind, values, **about).values()
    assert ours == theirs
