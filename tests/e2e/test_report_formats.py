"""`ci-ml report --format …` on real reports, and what `ci-ml ci` leaves for the forges."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.e2e.project import Project
from tests.e2e.test_publish import on_github, on_gitlab
from tests.fakes.github import GitHub
from tests.fakes.gitlab import GitLab

MACHINE = ("junit", "openmetrics", "codequality", "annotations", "csv")
# The edit moves every gate two lines down: the gates are those of the base, and their lines those of the change.
EDITED = "# two lines\n# more\n"


@pytest.fixture
def worse(project: Project) -> Project:
    """A change that trains worse, and that edits every file with a line in it."""
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 0")
    project.write("ci-ml.yaml", EDITED + project.read("ci-ml.yaml"))
    project.write("dvc.yaml", project.read("dvc.yaml").replace("  train:\n", "  # the model\n  train:\n"))
    project.edit("dvc.yaml", "cmd: python src/train.py", "cmd: python  src/train.py")
    project.ci_ml("train").expect(0)
    project.ci_ml("check").expect(10)
    return project


def rendered(project: Project, style: str) -> str:
    return project.ci_ml("report", "--format", style).expect(0).out


def line_of(project: Project, path: str, text: str) -> int:
    return next(number for number, line in enumerate(project.read(path).splitlines(), 1) if text in line)


def test_every_format_of_a_real_report(worse: Project) -> None:
    accuracy = line_of(worse, "ci-ml.yaml", "metrics.json:accuracy")
    steps, train = line_of(worse, "params.yaml", "steps"), line_of(worse, "dvc.yaml", "  train:")

    (suite,) = ET.fromstring(rendered(worse, "junit").encode())
    case = next(case for case in suite.iter("testcase") if case.attrib["name"] == "metrics.json:accuracy")
    assert (case.attrib["file"], case.attrib["line"]) == ("ci-ml.yaml", str(accuracy))
    assert "fell from" in str(case.findtext("failure"))
    assert float(suite.attrib["time"]) > 0

    found = json.loads(rendered(worse, "codequality"))
    places = {(one["check_name"], one["location"]["path"], one["location"]["lines"]["begin"]) for one in found}
    assert {("ci-ml/regressed", "ci-ml.yaml", accuracy), ("ci-ml/param", "params.yaml", steps)} <= places
    assert ("ci-ml/stage", "dvc.yaml", train) in places

    told = rendered(worse, "annotations").splitlines()
    assert told[0].startswith(f"::error file=ci-ml.yaml,line={accuracy},title=repo%3A metrics.json%3Aaccuracy")
    assert any(line.startswith(f"::notice file=params.yaml,line={steps},") for line in told)

    report = worse.json(".ci-ml/report.json")
    values = {
        (sample.name, sample.labels.get("metric"), sample.labels.get("side")): sample.value
        for family in text_string_to_metric_families(rendered(worse, "openmetrics"))
        for sample in family.samples
    }
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(rendered(worse, "csv")))}
    for item in report["comparisons"]:
        assert values["ci_ml_metric", item["metric"], "head"] == item["head"] == float(rows[item["metric"]]["head"])


@pytest.mark.thorough
@pytest.mark.parametrize("style", ["terminal", "markdown", "json", *MACHINE])
def test_a_report_goes_to_a_file_instead(plain: Project, style: str) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    plain.ci_ml("check").expect(10)
    shown = rendered(plain, style)
    assert plain.ci_ml("report", "--format", style, "--to", "out/report").expect(0).out == ""
    assert plain.read("out/report") == shown
    assert plain.ci_ml("report", "--format", style, "--to", "out/report").expect(0).err == ""
    assert list((plain.root / "out").glob(".report*")) == []


def test_a_file_that_cannot_be_written_is_an_error(plain: Project) -> None:
    plain.ci_ml("check", "--base", "HEAD")
    plain.write("metrics.json", {"accuracy": 0.5})
    plain.ci_ml("check").expect(10)
    result = plain.ci_ml("report", "--format", "csv", "--to", "metrics.json/report.csv").expect(3)
    assert "metrics.json/report.csv could not be written" in result.err
    plain.ci_ml("report", "--format", "csv", "--to", ".").expect(2)


@pytest.mark.thorough
def test_old_reports_without_places_are_rendered(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.5})
    plain.ci_ml("check").expect(10)
    document = plain.json(".ci-ml/report.json")
    for item in document["comparisons"]:
        del item["declared"]
    plain.write("old.json", document)
    for style in MACHINE:
        assert plain.ci_ml("report", "old.json", "--format", style).expect(0).out


# --- What `ci-ml ci` leaves and prints --------------------------------------------------------------------------------


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as forge:
        yield forge


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as forge:
        yield forge


def test_gitlab_finds_its_reports_beside_the_report(plain: Project, gitlab: GitLab) -> None:
    job = on_gitlab(plain, gitlab)
    result = job.ci_ml("ci").expect(10)
    folder = plain.root / ".ci-ml"
    for name, style in (
        ("junit.xml", "junit"), ("openmetrics.txt", "openmetrics"), ("codequality.json", "codequality")
    ):  # fmt: skip
        assert (folder / name).read_text() == rendered(plain, style)
    assert "::error" not in result.text


def test_github_gets_annotations_where_no_output_is_disturbed(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    result = job.ci_ml("ci", "--format", "json").expect(10)
    assert result.json()["verdict"]["outcome"] == "fail"
    told = [line for line in result.err.splitlines() if line.startswith("::")]
    assert told == rendered(plain, "annotations").splitlines()
    (one,) = told
    assert one.startswith("::error file=ci-ml.yaml,line=3,title=repo%3A metrics.json%3Aaccuracy%3A regressed::")


def test_nothing_is_annotated_where_nothing_is_published(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    assert "::error" not in job.ci_ml("ci", "--no-publish").expect(10).text


def test_the_verdict_stands_where_nothing_can_be_left(plain: Project, github: GitHub) -> None:
    job = on_github(plain, github)
    place = Path(plain.root / ".ci-ml" / "junit.xml")
    place.mkdir(parents=True)
    result = job.ci_ml("ci").expect(10)
    assert "junit.xml could not be written" in result.err
    assert "::error file=ci-ml.yaml" in result.err
    assert len(job.comments) == 1
