from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from hypothesis import given

from ci_ml.core.report import Report, waived
from ci_ml.core.types import Gap, Require, Severity
from ci_ml.core.verdict import decide
from ci_ml.render import junit
from tests import reports
from tests.render.names import HALF, HOSTILE, NAMES, hostile

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "junit.xsd")


def suite(content: Report) -> ET.Element:
    """The suite of a report, which is valid and counts what is in it."""
    text = junit.report(content)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    SCHEMA.validate(text)
    root = ET.fromstring(text.encode())
    (found,) = root
    cases = found.findall("testcase")
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(found.attrib[attribute]) == sum(case.find(tag) is not None for case in cases)
    assert int(found.attrib["tests"]) == len(cases)
    return found


def cases(content: Report) -> dict[str, ET.Element]:
    return {case.attrib["name"]: case for case in suite(content).findall("testcase")}


def only(content: Report) -> tuple[str | None, str | None]:
    """What the only case of a report has inside, and what that says."""
    (case,) = cases(content).values()
    return next(((child.tag, child.text) for child in case), (None, None))


def test_everything_as_a_file(golden: Callable[[str, str], None]) -> None:
    golden("formats/junit.xml", junit.report(reports.everything()))


def test_a_case_for_each_gate_and_slice_says_where_it_is_declared() -> None:
    content = reports.everything()
    found = cases(content)
    assert list(found) == [item.name for item in content.comparisons]
    assert {case.attrib["classname"] for case in found.values()} == {"churn"}
    place = found["test.recall on plan = free"].attrib
    assert (place["file"], place["line"]) == ("ci-ml.yaml", "12")


def test_the_time_is_that_of_training() -> None:
    assert suite(reports.everything()).attrib["time"] == "268.400"
    assert suite(reports.undecided()).attrib["time"] == "0.000"


@pytest.mark.parametrize(
    ("head", "options", "tag"),
    [
        (0.5, {}, "failure"),
        (0.5, {"severity": Severity.WARN}, "system-out"),
        (0.5, {"require": Require.REPORT}, "skipped"),
        (Gap(reason="metrics.json has no key acc"), {}, "error"),
        (Gap(reason="metrics.json has no key acc"), {"severity": Severity.WARN}, "system-out"),
        (0.9, {"require": Require.IMPROVEMENT}, "failure"),
        (0.9, {}, None),
        (0.95, {}, None),
    ],
)
def test_what_a_status_is_as_a_test(head: float | Gap, options: dict[str, object], tag: str | None) -> None:
    comparison = reports.comparison("m.json:acc", 0.9, head, **options)
    found, text = only(reports.report(comparison))
    assert found == tag
    assert tag is None or comparison.reason.removesuffix(".") in str(text)
    assert ("asks for an improvement" in str(text)) is (options.get("require") is Require.IMPROVEMENT)


def test_a_slice_that_is_too_small_is_skipped_and_says_why() -> None:
    case = cases(reports.churn())["test.recall on country = IS"]
    assert "3 examples, fewer than the 200" in str(case.findtext("skipped"))


def test_what_cannot_be_decided_is_an_error() -> None:
    case = cases(reports.undecided())["test.accuracy"]
    assert "cannot be decided" in str(case.findtext("error"))


def test_a_verdict_that_no_gate_explains_is_a_case_of_its_own() -> None:
    tag, text = only(reports.report())
    assert (tag, text) == ("error", "No gates: nothing was judged.")
    held = reports.comparison("m.json:acc", 0.9, 0.95)
    stale = decide([held], doubts=("dvc.lock is stale: train",))
    assert cases(reports.report(held, judged=stale))["verdict"].findtext("error") == "dvc.lock is stale: train"
    warned = decide([held], warnings=("dvc.lock is stale: plots",))
    assert "stale: plots" in str(cases(reports.report(held, judged=warned))["verdict"].findtext("system-out"))
    assert "verdict" not in cases(reports.report(held))


def test_a_waiver_is_told_and_hides_nothing() -> None:
    content = waived(reports.churn(), "mona", "2026-11-21T14:02:00+00:00", "ci-ml: accept regression")
    found = suite(content)
    assert found.attrib["failures"] == "1"
    assert "verdict" not in cases(content)
    told = {one.attrib["name"]: one.attrib["value"] for one in found.iter("property")}
    assert told["outcome"] == "warn"
    assert "Accepted by mona" in told["waiver.1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_text(name: str) -> None:
    content = hostile(name)
    found = suite(content)
    assert len(found.findall("testcase")) == len(content.comparisons)
    text = junit.report(content)
    assert "##[" not in text
    assert not any(line.startswith("::") for line in text.splitlines())
    ours = "\n\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}"
    assert all(char.isprintable() or char in ours for char in text)


@given(one=HOSTILE, other=HOSTILE)
def test_whatever_names_there_are_it_is_valid_and_every_case_is_there(one: str, other: str) -> None:
    content = hostile(*dict.fromkeys((one, other)))
    assert len(suite(content).findall("testcase")) == len(content.comparisons)


def test_names_that_are_cut_alike_stay_apart() -> None:
    content = hostile(f"{HALF}1{HALF}", f"{HALF}2{HALF}")
    assert len(cases(content)) == len(content.comparisons)
    assert len(junit.report(content)) < 120_000
