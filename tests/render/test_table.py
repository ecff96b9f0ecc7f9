import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import given

from ci_ml.core.report import Report
from ci_ml.render import safe, table
from tests import reports
from tests.render.names import HOSTILE, LONG, NAMES, hostile


def rows(content: Report) -> list[dict[str, str]]:
    found = list(csv.DictReader(io.StringIO(table.report(content), newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in found)
    return found


def test_everything_as_a_file(golden: Callable[[str, str], None]) -> None:
    golden("formats/table.csv", table.report(reports.everything()))


def test_every_number_is_there_with_every_digit() -> None:
    content = reports.everything()
    found = rows(content)
    assert len(found) == len(content.comparisons)
    for row, item in zip(found, content.comparisons, strict=True):
        for column in ("base", "head", "delta", "p_value", "corrected", "smallest_margin", "floor", "n", "min_n"):
            value = getattr(item, column)
            assert (float(row[column]) if row[column] else None) == value, column
        interval = (float(row["low"]), float(row["high"])) if row["low"] else None
        assert interval == item.interval
        assert (row["metric"], row["status"], row["impact"]) == (item.metric, item.status.value, item.impact.value)
    assert (found[0]["slice"], found[0]["file"], found[0]["line"]) == ("plan = free", "ci-ml.yaml", "12")


def test_a_negative_number_stays_a_number() -> None:
    assert float(rows(reports.everything())[0]["delta"]) < 0


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1"])
def test_no_spreadsheet_computes_a_text(name: str) -> None:
    content = reports.report(reports.comparison("m.json:a", 0.9, 0.5))
    (item,) = content.comparisons
    content = content.model_copy(update={"comparisons": (item.model_copy(update={"metric": name, "reason": name}),)})
    (row,) = rows(content)
    assert not row["metric"].lstrip().startswith(tuple("=+-@"))
    assert row["metric"].lstrip("'") == safe.printable(name)
    assert row["reason"] == row["metric"]


@pytest.mark.parametrize("name", [*NAMES, LONG])
def test_a_hostile_name_is_one_cell(name: str) -> None:
    content = hostile(name)
    found = rows(content)
    assert [row["metric"].replace("\u200b", "") for row in found] == [
        safe.printable(i.metric) for i in content.comparisons
    ]
    assert "##[" not in table.report(content)
    assert table.report(content).count("\n") == len(found) + 1


@given(one=HOSTILE, other=HOSTILE)
def test_whatever_names_there_are_it_is_read_back(one: str, other: str) -> None:
    content = hostile(*dict.fromkeys((one, other)))
    found = rows(content)
    assert [row["metric"].replace("\u200b", "") for row in found] == [
        safe.printable(i.metric) for i in content.comparisons
    ]
