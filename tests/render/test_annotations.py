import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given

from ci_ml.core.report import Report, waived
from ci_ml.render import annotations
from tests import reports
from tests.render.names import HOSTILE, NAMES, hostile


@dataclass(frozen=True)
class Command:
    level: str
    properties: dict[str, str]
    message: str


def command(line: str) -> Command:
    """A line as GitHub's runner takes it apart: https://github.com/actions/runner, ActionCommand.TryParseV2."""
    assert line.startswith("::")
    end = line.index("::", 2)
    level, _, given = line[2:end].partition(" ")
    properties = dict(part.split("=", 1) for part in given.split(",") if part)
    return Command(level, {key: unescaped(value) for key, value in properties.items()}, unescaped(line[end + 2 :]))


def unescaped(text: str) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def commands(content: Report) -> list[Command]:
    found = [command(line) for line in annotations.report(content).splitlines()]
    assert {one.level for one in found} <= {"error", "warning", "notice"}
    assert all(one.properties.keys() <= {"file", "line", "title"} and one.message for one in found)
    return found


def test_everything_as_a_file(golden: Callable[[str, str], None]) -> None:
    golden("formats/annotations.txt", annotations.report(reports.everything()))


def test_levels_and_places() -> None:
    found = commands(reports.everything())
    assert [(one.level, one.properties["file"], one.properties["line"]) for one in found] == [
        ("error", "ci-ml.yaml", "12"),
        ("warning", "ci-ml.yaml", "23"),
        ("warning", "ci-ml.yaml", "12"),
        ("warning", "ci-ml.yaml", "12"),
        ("notice", "params.yaml", "4"),
        ("notice", "params.yaml", "5"),
    ]
    assert found[0].properties["title"] == "churn: test.recall on plan = free: regressed"
    assert "95 %" in found[0].message


def test_what_cannot_be_decided_is_an_error_where_it_blocks() -> None:
    assert [one.level for one in commands(reports.undecided())].count("error") == 1


def test_a_verdict_that_no_gate_explains_is_told_without_a_place() -> None:
    (one,) = commands(reports.report())
    assert (one.level, one.properties, one.message) == (
        "error",
        {"title": "churn: churn undecided"},
        "No gates: nothing was judged.",
    )


def test_what_passes_says_nothing() -> None:
    assert annotations.report(reports.report(reports.comparison("m.json:a", 0.9, 0.9))) == ""


def test_a_waiver_makes_errors_warnings() -> None:
    content = waived(reports.churn(), "mona", "2026-11-21T14:02:00+00:00", "ci-ml: accept regression")
    assert "error" not in {one.level for one in commands(content)}


@pytest.mark.parametrize(("gates", "shown", "left"), [(10, 10, None), (11, 9, "2"), (2009, 9, "2,000")])
def test_no_more_than_the_runner_keeps(gates: int, shown: int, left: str | None) -> None:
    content = reports.report(*(reports.comparison(f"m.json:{n}", 0.9, 0.5) for n in range(gates)))
    found = commands(content)
    told = [one for one in found if "more are in" in one.message]
    assert len(found) - len(told) == shown
    assert [one.message.split(" ")[0] for one in told] == ([left] if left else [])


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_text_on_one_line(name: str) -> None:
    content = hostile(name)
    found = commands(content)
    assert [one.level for one in found] == ["error", "error", "warning", "notice", "notice", "notice"]
    assert annotations.report(content).count("\n") == len(found)
    assert all(len(one.message) < 1200 for one in found)
    assert "##[" not in re.sub("file=[^,]*", "", annotations.report(content))


@given(name=HOSTILE)
def test_whatever_name_there_is_every_annotation_is_one_line(name: str) -> None:
    assert len(commands(hostile(name))) == 6
