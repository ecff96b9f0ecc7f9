"""What an earlier run has left is gone when a later one ends without a report, and what others have left stays."""

import json
import signal
from pathlib import Path

import pytest

from tests.e2e.project import DEADLINE, Project, ended
from tests.e2e.test_train import running, stuck

FORMS = ("report.json", "report.html", "junit.xml", "openmetrics.txt", "codequality.json")
# What others put where ci-ml writes, by names that it has for its own.
FOREIGN = {
    "report.json": '{"weighted avg": {"f1-score": 0.9}}',
    "report.html": "<!doctype html><title>pytest</title>",
    "junit.xml": '<?xml version="1.0"?><testsuites name="pytest tests"/>',
    "openmetrics.txt": "# TYPE requests counter\n# EOF\n",
    "codequality.json": '[{"check_name": "F401"}]',
}


def left(project: Project, folder: str = ".ci-ml") -> set[str]:
    return {name for name in FORMS if (project.root / folder / name).exists()}


def judged(project: Project, folder: str = ".ci-ml") -> None:
    """An earlier run has left its report in every form."""
    place = project.root / "metrics.json"
    kept = place.read_text()
    project.write("metrics.json", {"accuracy": 0.5})
    project.ci_ml("ci", "--no-publish", "--output", str(project.root / folder)).expect(10)
    place.write_text(kept)
    assert left(project, folder) == set(FORMS)


FAILING = {
    "no such base": (("ci", "--no-publish", "--base", "nowhere"), 2),
    "no such base for check": (("check", "--base", "nowhere"), 2),
    "no DVC to train with": (("train",), 2),
    "a configuration elsewhere": (("ci", "--no-publish", "--config", "nowhere/ci-ml.yaml", "--output", ".ci-ml"), 2),
}


@pytest.mark.thorough
@pytest.mark.parametrize(("arguments", "code"), FAILING.values(), ids=FAILING)
def test_an_error_leaves_no_report_of_an_earlier_run(plain: Project, arguments: tuple[str, ...], code: int) -> None:
    judged(plain)
    plain.ci_ml(*arguments).expect(code)
    assert left(plain) == set()


@pytest.mark.thorough
@pytest.mark.parametrize("command", [["ci", "--no-publish"], ["check"]], ids=["ci", "check"])
def test_a_broken_configuration_leaves_none_either(plain: Project, command: list[str]) -> None:
    judged(plain)
    plain.write("ci-ml.yaml", "gates: [{")
    plain.ci_ml(*command, "--policy", "head").expect(2)
    assert left(plain) == set()


def test_nor_does_a_repository_that_git_refuses(plain: Project) -> None:
    judged(plain)
    (plain.root / ".git").rename(plain.root / "git")
    plain.ci_ml("ci").expect(2)
    assert left(plain) == set()


def test_a_check_leaves_no_form_of_the_report_before(plain: Project) -> None:
    judged(plain)
    plain.write("metrics.json", {"accuracy": 0.95})
    plain.ci_ml("check").expect(0)
    assert left(plain) == {"report.json"}
    assert plain.json(".ci-ml/report.json")["verdict"]["outcome"] == "pass"


@pytest.mark.thorough
@pytest.mark.parametrize("command", [["ci", "--no-publish"], ["train"]], ids=["ci", "train"])
def test_a_run_that_is_killed_leaves_none(project: Project, command: list[str]) -> None:
    folder = project.root / ".ci-ml"
    project.ci_ml("check", "--base", "HEAD")
    folder.mkdir(exist_ok=True)
    for name in FORMS:
        (folder / name).write_text("{}")
    stuck(project)
    with ended(project.start(*command)) as process:
        running(project, process.pid)
        assert left(project) == set(), "they are gone before anything is trained"
        process.send_signal(signal.SIGKILL)
        assert process.wait(DEADLINE) == -signal.SIGKILL
    assert left(project) == set()
    assert [place.name for place in folder.iterdir() if place.name.startswith((".report", ".junit"))] == []


# --- What stays -------------------------------------------------------------------------------------------------------


def test_files_of_others_stay_in_a_folder_of_theirs(plain: Project) -> None:
    for name, text in FOREIGN.items():
        plain.write(f"results/{name}", text)
    for command in ("ci", "check", "train"):
        plain.ci_ml(command, "--output", "results", *(["--base", "nowhere"] if command != "train" else [])).expect(2)
    assert {name: plain.read(f"results/{name}") for name in FOREIGN} == FOREIGN


def test_those_of_ours_go_there(plain: Project) -> None:
    judged(plain, "results")
    plain.write("results/notes.txt", "mine")
    plain.ci_ml("ci", "--output", "results", "--base", "nowhere").expect(2)
    assert left(plain, "results") == set()
    assert plain.read("results/notes.txt") == "mine"


def test_an_empty_list_of_findings_goes_too(plain: Project) -> None:
    plain.write("metrics.json", {"accuracy": 0.95})
    plain.ci_ml("ci", "--no-publish", "--output", "results").expect(0)
    assert json.loads(plain.read("results/codequality.json")) == []
    plain.ci_ml("ci", "--output", "results", "--base", "nowhere").expect(2)
    assert left(plain, "results") == set()


def test_what_other_jobs_handed_on_stays(plain: Project) -> None:
    judged(plain)
    plain.write(".ci-ml/handover/all.stages/handover.json", "{}")
    plain.write(".ci-ml/training.json", "{}")
    plain.ci_ml("ci", "--base", "nowhere").expect(2)
    assert plain.read(".ci-ml/handover/all.stages/handover.json") == "{}"
    assert plain.read(".ci-ml/training.json") == "{}"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "command",
    [
        ["report", ".ci-ml/report.json"],
        ["report", "--format", "junit", "--to", "junit.xml"],
        ["publish", ".ci-ml/report.json"],
        ["diff"],
        ["verify"],
        ["doctor"],
        ["selftest", "--draws", "20"],
        ["generate"],
        ["init", "--dry-run"],
        ["record"],
        ["plan"],
    ],
    ids=" ".join,
)
def test_who_does_not_judge_takes_nothing_away(plain: Project, command: list[str]) -> None:
    judged(plain)
    plain.ci_ml(*command)
    assert left(plain) == set(FORMS)


def test_no_link_is_followed(plain: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "report.json").write_text('{\n "schema": "ci-ml/report/v1"}')
    (other / "junit.xml").write_text("theirs")
    (plain.root / ".ci-ml").symlink_to(other)
    for command in ("ci", "check", "train"):
        assert "it is a symbolic link" in plain.ci_ml(command).expect(3).err
    (plain.root / ".ci-ml").unlink()
    (plain.root / ".ci-ml").mkdir()
    (plain.root / ".ci-ml" / "junit.xml").symlink_to(other / "junit.xml")
    plain.ci_ml("ci", "--base", "nowhere").expect(2)
    assert not (plain.root / ".ci-ml" / "junit.xml").is_symlink()
    assert {place.name for place in other.iterdir()} == {"report.json", "junit.xml"}
