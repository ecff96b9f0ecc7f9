"""Both distributions of columns on a page."""

import re
from typing import Any

import pytest

from ci_ml.core.kinds import Kind
from ci_ml.core.report import Report
from ci_ml.render import histograms, html
from tests import movements
from tests.render.test_html import NASTY, Page

_BAR = re.compile(r"M(\d+) 100v-(\d+)h4v\2z")


def _columns(content: Report) -> dict[str, histograms.Column]:
    (table,) = histograms.drifts(content).tables
    return {column.name: column for column in (*table.loud, *table.quiet)}


def test_bars_of_both_sides_stand_side_by_side_in_one_scale() -> None:
    content = movements.checked()
    drawn = _columns(content)["age"].picture
    bars = next(column.histogram for column in content.drifts[0].columns if column.column == "age")
    assert drawn is not None
    assert bars is not None
    highest = 0
    for path, counts, beyond, left in (
        (drawn.reference, bars.reference, bars.beyond_reference, 1),
        (drawn.current, bars.current, bars.beyond_current, 5),
    ):
        found = {int(at): int(tall) for at, tall in _BAR.findall(path)}
        assert found.keys() == {10 * index + left for index, count in enumerate(counts) if count}
        largest = max(range(len(counts)), key=counts.__getitem__)
        assert found[10 * largest + left] == max(found.values())
        share = counts[largest] / (sum(counts) + beyond)
        highest = max(highest, found[10 * largest + left])
        assert 0 < share < 1
    assert highest == 100
    assert drawn.ends[0] == "13"


def test_the_picture_is_told_to_who_does_not_see_it() -> None:
    drawn = _columns(movements.checked())["age"].picture
    assert drawn is not None
    assert re.fullmatch(
        r"Histogram of age from 13 to 80: the reference has most, [\d.]+\xa0%, from [\d.]+ to [\d.]+; "
        r"the current table has most, [\d.]+\xa0%, from [\d.]+ to [\d.]+",
        drawn.label,
    )


def test_times_are_days() -> None:
    column = _columns(movements.checked())["signed_up"]
    assert column.picture is not None
    assert [re.fullmatch(r"2025-\d\d-\d\d", end) is not None for end in column.picture.ends] == [True] * 3
    pairs = {label: (one, two) for label, one, two in column.pairs}
    assert pairs["smallest"][0] == "2025-01-01"
    assert pairs["standard deviation"][0].endswith(" days")


def test_everything_that_was_computed_is_there() -> None:
    content = movements.checked()
    shown = _columns(content)
    for part in content.drifts[0].columns:
        column = shown[part.column]
        sides = sum(name.endswith(("_reference", "_current")) for name in part.statistics)
        assert 2 * len(column.pairs) == sides
        assert len(column.measures) == len(part.tests)
        told = {test.statistic for test in part.tests} & part.statistics.keys()
        assert len(column.others) == len(part.statistics) - sides - len(told)


def test_what_drifted_is_open_and_the_rest_on_demand() -> None:
    page = Page(html.report(movements.checked()))
    (table,) = histograms.drifts(movements.checked()).tables
    assert [column.name for column in table.loud] == ["plan", "age", "income", "referrer"]
    assert {column.name for column in table.quiet} == {"country", "is_trial", "signed_up"}
    assert "3 columns did not drift" in page.words
    assert [one.get("class") for one in page.all("details")].count("still") == 1
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [link["href"] for link in page.all("a") if (link["href"] or "").startswith("#")]
    assert {f"#drift-{number}" for number in range(1, 5)} <= set(links)
    assert all((link or "")[1:] in ids for link in links)


def test_a_report_without_drift_says_nothing_of_it() -> None:
    from tests import reports

    assert 'id="drift"' not in html.report(reports.everything())


@pytest.mark.parametrize("name", NASTY)
def test_hostile_names_are_text(name: str) -> None:
    def page(name: str) -> Page:
        sides: dict[str, Any] = {
            name: (Kind.CATEGORICAL, {name: 900, "b": 100}, {name: 100, f"{name}2": 900}),
            f"{name} too": (Kind.NUMERIC, *movements.AGES),
        }
        return Page(html.report(movements.production(movements.between(sides, share=0), name="churn")))

    mine, theirs = page(name), page("plain name")
    assert [tag for tag, _ in mine.elements if tag != "wbr"] == [tag for tag, _ in theirs.elements if tag != "wbr"]
    assert [sorted(attributes) for tag, attributes in mine.elements if tag != "wbr"] == [
        sorted(attributes) for tag, attributes in theirs.elements if tag != "wbr"
    ]


def test_200_columns_stay_below_a_megabyte() -> None:
    text = html.report(movements.production(movements.many(200)))
    assert text.count('<article class="gate drift') == 200
    assert len(text.encode()) < 1_000_000


def test_a_page_shows_no_more_columns_than_it_has_room_for() -> None:
    content = movements.checked(movements.many(120))
    twice = content.model_copy(update={"drifts": content.drifts * 2})
    found = histograms.drifts(twice)
    assert sum(len(table.loud) + len(table.quiet) for table in found.tables) == histograms.MOST
    assert found.tables[1].left_out == 40


def test_bars_that_are_too_many_to_be_drawn_are_left_out() -> None:
    content = movements.checked()
    (part,) = content.drifts
    age = next(column for column in part.columns if column.column == "age")
    assert age.histogram
    wide = age.histogram.model_copy(update={"edges": tuple(map(float, range(1001))), "reference": (1,) * 1000, "current": (1,) * 1000})  # fmt: skip
    changed = part.model_copy(update={"columns": (age.model_copy(update={"histogram": wide}),)})
    assert _columns(content.model_copy(update={"drifts": (changed,)}))["age"].picture is None
