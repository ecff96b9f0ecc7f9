import json
from typing import Any

import numpy as np
import pytest

from ci_ml.core import movements as drawing
from ci_ml.core import report as reports
from ci_ml.core.exhibits import Exhibits
from ci_ml.core.kinds import Kind
from ci_ml.errors import ConfigError
from tests import movements


def test_what_drifted_furthest_comes_first_and_what_cannot_be_compared_before_what_did_not() -> None:
    (part,) = drawing.shown({"train": movements.customers()})
    assert [column.drifted for column in part.columns] == [True, True, True, None, False, False, False]
    furthest = [max(test.effect / test.limit for test in column.tests) for column in part.columns[:3]]
    assert furthest == sorted(furthest, reverse=True)
    assert (part.drifted, part.judged, part.unknown, part.left_out) == (3, 6, 1, 0)
    assert part.columns[3].gap == "a list is not compared"


def test_every_row_is_in_a_bar_or_beyond_them() -> None:
    (part,) = drawing.shown({"train": movements.customers()})
    found = {column.column: column.histogram for column in part.columns}
    for name, rows in (("age", (10_000, 771)), ("plan", (10_000, 771)), ("income", (10_000, 617))):
        bars = found[name]
        assert bars is not None
        assert sum(bars.reference) + bars.beyond_reference == rows[0]
        assert sum(bars.current) + bars.beyond_current == rows[1]
    assert found["referrer"] is None


def test_a_report_holds_200_columns_of_all_tables_together_the_worst_of_them() -> None:
    both = {"one": movements.many(150), "two": movements.many(150)}
    parts = drawing.shown(both)
    assert sum(len(part.columns) for part in parts) == 200
    for part, drift in zip(parts, both.values(), strict=True):
        shown = {column.column for column in part.columns}
        assert shown >= {column.column for column in drift.drifted}
        assert part.left_out == 150 - len(part.columns)
        assert part.judged == 150
        assert all(len(column.histogram.reference) <= 30 for column in part.columns if column.histogram)


def test_values_are_told_only_as_far_as_examples_are_asked_for() -> None:
    shown, hidden = (
        reports.Report.to_json(movements.checked(movements.customers(examples=examples))) for examples in (5, 0)
    )
    for name in ("student", "team"):
        assert name in shown
        assert name not in hidden
    assert "category 1" in hidden


def test_a_long_category_is_cut() -> None:
    long = "x" * 5_000
    sides: dict[str, Any] = {"a": (Kind.CATEGORICAL, {long: 500, "b": 500}, {long: 400, "b": 600})}
    (part,) = drawing.shown({"train": movements.between(sides)})
    assert part.columns[0].histogram is not None
    assert max(map(len, part.columns[0].histogram.categories or ())) == 200


def test_it_survives_report_json() -> None:
    content = movements.production()
    assert reports.load(content.to_json().encode(), "report.json") == content
    assert reports.contradictions(content) == []


def test_a_report_of_an_older_version_has_neither_drift_nor_another_subject() -> None:
    document = json.loads(movements.checked().to_json())
    del document["subject"], document["drifts"]
    found = reports.load(json.dumps(document).encode(), "report.json")
    assert (found.subject, found.drifts) == ("change", ())


def test_bars_that_do_not_belong_together_are_no_report() -> None:
    document = json.loads(movements.checked().to_json())
    drawn = next(column["histogram"] for column in document["drifts"][0]["columns"] if column["histogram"])
    drawn["current"].append(1)
    with pytest.raises(ConfigError, match="not a valid report"):
        reports.load(json.dumps(document).encode(), "report.json")


def test_a_secret_among_the_categories_is_hidden_and_columns_still_belong_to_their_comparisons() -> None:
    content = reports.redacted(movements.checked(), lambda text: text.replace("student", "***").replace("age", "***"))
    assert "student" not in content.to_json()
    metrics = {item.metric for item in content.comparisons}
    assert all(column.metric in metrics for column in content.drifts[0].columns)


def test_numbers_that_are_all_alike_have_one_bar() -> None:
    pair = movements.numbers(np.full(500, 3.0), np.full(80, 3.0))
    (part,) = drawing.shown({"train": movements.between({"a": (Kind.NUMERIC, *pair)})})
    drawn = part.columns[0].histogram
    assert drawn is not None
    assert (drawn.categories, drawn.reference, drawn.current) == (("3",), (500,), (80,))
    assert Exhibits(drifts=(part,)).drifts == (part,)
