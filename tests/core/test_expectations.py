"""What is expected of tables: the keys of `data:`, the rules that follow, and how a comparison comes of one."""

import datetime as dt

import pytest

from ci_ml.core import compare, config, expectations, gates, report, verdict
from ci_ml.core.expectations import Expected, Kind, Limit, Rule
from ci_ml.core.types import Contrast, DataKey, Gap, Outcome, Severity, Status
from ci_ml.errors import ConfigError
from tests import reports


def loaded(text: str) -> config.Config:
    return config.load(f"version: 1\ndata:\n{text}".encode(), "ci-ml.yaml").config


def column(text: str) -> list[str]:
    about = loaded(f"  train:\n    path: train.parquet\n    columns:\n      age: {{{text}}}\n").data["train"]
    return [str(rule.key("train")) for rule in expectations.expected(about).rules]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as found:
        loaded(text)
    return list(found.value.problems)


def of_column(text: str) -> str:
    (problem,) = problems(f"  train:\n    path: train.parquet\n    columns:\n      age: {{{text}}}\n")
    return problem


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ["no missing values"]),
        ("missing: 100%", []),
        ("missing: 1%", ["at most 1% missing"]),
        ("type: integer, min: 0, max: 120", ["integer", "no missing values", "at least 0", "at most 120"]),
        ("above: 0.5, below: 1, missing: 100%", ["above 0.5", "below 1"]),
        ("allowed: [DE, FR], missing: 100%", ["one of DE, FR"]),
        ("forbidden: [1, true, x], missing: 100%", ["none of 1, true, x"]),
        ("allowed: [a, b, c, d, e, f], missing: 3", ["at most 3 missing", "one of a, b, c, d, e, … (6 values)"]),
        ("matches: '[a-z]+', missing: 100%", ["matches [a-z]+"]),
        ("length: {min: 2, max: 2}, missing: 100%", ["2 characters"]),
        ("length: {min: 1}, missing: 100%", ["at least 1 character"]),
        ("unique: true", ["no missing values", "unique"]),
        ("min: 2024-01-31, missing: 100%", ["at least 2024-01-31"]),
        ("type: timestamp, max: '2024-01-31T10:00:00+00:00'", ["timestamp", "no missing values", "at most 2024-01-31"]),
    ],
)
def test_every_key_of_a_column_is_a_rule_with_a_name(text: str, named: list[str]) -> None:
    found = [name.removeprefix("train.age: ") for name in column(text)]
    assert [name[: len(wanted)] for name, wanted in zip(found, named, strict=True)] == named


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min: 5, max: 1", "5 to 1 is no range"),
        ("above: 5, below: 5", "5 to 5 is no range"),
        ("min: 5, above: 5", "`min` and `above` say the same"),
        ("min: .nan", "must be a number, or a date"),
        ("max: .inf", "must be a number, or a date"),
        ("min: yes please", "must be a number, or a date"),
        ("min: 0, max: 2024-01-31", "both ends of a range"),
        ("min: '2024-01-31T00:00:00', max: '2024-02-01T00:00:00Z'", "both ends of a range"),
        ("type: string, min: 0", "does not fit the type string"),
        ("type: integer, matches: x", "are about text"),
        ("type: int", "must be integer, number, string, boolean, date or timestamp"),
        ("missing: 101%", "a share of them such as 1%"),
        ("missing: -1", "a share of them such as 1%"),
        ("allowed: []", "must not be empty"),
        ("allowed: [[1]]", "must be text, a number"),
        ("length: {}", "give `min`, `max` or both"),
        ("matches: '(a'", "is no regular expression"),
        ("matches: '(a+)+\\1'", "\\1 is not supported"),
        ("matches: 'a(?=b)'", "(?= is not supported"),
        ("matches: '(?<!b)a'", "(?<! is not supported"),
        ("matches: 'a{2000}'", "more than 1000 repetitions"),
        ("alowed: [1]", "unknown key; did you mean allowed?"),
    ],
)
def test_what_cannot_be_expected_of_a_column_is_an_error_with_its_place(text: str, said: str) -> None:
    problem = of_column(text)
    assert problem.startswith("ci-ml.yaml:6: data.train.columns.age")
    assert said in problem


@pytest.mark.parametrize("text", [r"\(\?=a\)", r"[(?=]", r"[^\]]+", r"a\\1", r"(?i)[a-z]{1,1000}", r"\d+\.\d*"])
def test_a_pattern_that_only_looks_like_what_re2_lacks_is_one(text: str) -> None:
    assert expectations.pattern(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  train: {path: /data/train.csv}\n", "relative to the folder"),
        ("  train: {path: train.xlsx}\n", "must end with .parquet"),
        ("  train: {path: train-*.csv}\n", "must be one file"),
        ("  train: {path: t.csv, balance: 0.1}\n", "`balance` needs `label`"),
        ("  train: {path: t.csv, label: y, balance: 2}\n", "less than or equal to 1"),
        ("  train: {path: t.csv, closed: true}\n", "`closed` needs `columns`"),
        ("  train: {path: t.csv, disjoint_from: train}\n", "names the table itself"),
        ("  train: {path: t.csv, same_columns_as: serving}\n", "no table serving under data"),
        ("  train: {path: t.csv, schema: ../train.py:Train}\n", "must be FILE.py:NAME"),
        ("  train: {path: t.csv, rows: {min: 5, max: 1}}\n", "min 5 is above max 1"),
        ("  train: {path: t.csv, colums: {}}\n", "did you mean columns?"),
        ("  2train: {path: t.csv}\n", "the name of a table is a letter"),
        (
            "  train: {path: t.csv, rules: {a: \"read_csv('b') > 1\"}}\n",
            "a: read_csv('b') > 1 READ_CSV('b') is not known",
        ),
        ("  train: {path: t.csv, rules: {a: 'x >'}}\n", "a: x > is no expression"),
    ],
)
def test_what_cannot_be_expected_of_a_table_is_an_error(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert said in problem


def test_rules_of_two_origins_are_each_there_once_and_told_apart() -> None:
    low = Rule(what="at least 0", kind=Kind.MIN, columns=("age",), value=0)
    shown_alike = Rule(what="at least 0", kind=Kind.MIN, columns=("age",), value=0, limit=Limit(value=3))
    found = expectations.joined(Expected(rules=(low,), closed=frozenset({"age"})), Expected(rules=(low, shown_alike)))
    assert [rule.what for rule in found.rules] == ["at least 0", "at least 0 (2)"]
    assert found.closed == {"age"}


def test_moments_are_dates_and_times() -> None:
    assert expectations.moment("2024-01-31") == dt.date(2024, 1, 31)
    assert expectations.moment("2024-01-31 10:00") == dt.datetime(2024, 1, 31, 10)  # noqa: DTZ001
    assert expectations.moment("20240131") is None or expectations.moment("20240131") != dt.date(2024, 1, 31)
    assert expectations.moment("soon") is None


KEY = DataKey(table="train", subject="age", what="at least 0")


def judged(value: float, limit: Limit = expectations.NONE, n: int = 1200) -> compare.Comparison:
    gate = gates.on_data(KEY, limit, Severity.BLOCK)
    return compare.compare_data(gate, Contrast(base=None, head=value, n=n, method="count"))


def test_what_is_expected_holds_or_does_not_and_is_never_new() -> None:
    held, broken = judged(0), judged(3)
    assert (held.status, broken.status) == (Status.HELD, Status.REGRESSED)
    assert held.reason == "train.age: at least 0 holds in all 1,200 rows."
    assert broken.reason == "train.age: at least 0 does not hold in 3 of 1,200 rows; it has to hold in all."
    assert verdict.decide([held, broken]).outcome is Outcome.FAIL
    assert verdict.decide([held]).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("value", "limit", "status"),
    [
        (5, Limit(value=5), Status.HELD),
        (6, Limit(value=5), Status.REGRESSED),
        (0.01, Limit(value=0.01, share=True), Status.HELD),
        (0.0101, Limit(value=0.01, share=True), Status.REGRESSED),
        (float("nan"), Limit(value=5), Status.MISSING),
    ],
)
def test_exactly_what_is_allowed_is_allowed(value: float, limit: Limit, status: Status) -> None:
    assert judged(value, limit, n=10_000).status is status


def test_a_share_is_said_in_rows() -> None:
    share = Limit(value=0.01, share=True)
    assert judged(0.005, share, n=1000).reason.endswith("does not hold in 5 of 1,000 rows, within the allowed 1%.")
    assert judged(0.05, share, n=1000).reason.endswith("does not hold in 50 of 1,000 rows; at most 1% may break it.")


def test_what_cannot_be_judged_is_missing_and_blocks() -> None:
    gate = gates.on_data(KEY, expectations.NONE, Severity.BLOCK)
    found = compare.compare_data(gate, Gap(reason="train.csv has no column age"))
    assert found.status is Status.MISSING
    assert found.reason == "train.age: at least 0 cannot be judged: train.csv has no column age."
    assert verdict.decide([found]).outcome is Outcome.UNDECIDED


def test_the_names_of_keys() -> None:
    assert str(DataKey(table="train", subject="", what="at least 1,000 rows")) == "train: at least 1,000 rows"
    assert str(DataKey(table="train", subject="age", what="drift")) == "train.age drift"


def test_a_report_follows_from_what_was_expected() -> None:
    found = [judged(0), judged(3)]
    parts = [report._comparison(item, None) for item in found]
    assert [part.absolute for part in parts] == [True, True]
    assert [report._status(part) for part in parts] == [Status.HELD, Status.REGRESSED]
    written = reports.report(*found)
    assert not report.contradictions(written)
    lies = written.comparisons[0].model_copy(update={"ceiling": None, "status": Status.HELD, "impact": Outcome.PASS})
    assert report.contradictions(written.model_copy(update={"comparisons": (lies, *written.comparisons[1:])}))
    forged = parts[1].model_copy(update={"status": Status.HELD, "impact": Outcome.PASS})
    assert report._status(forged) is Status.REGRESSED
