"""Numbers that the change's own code had no part in: its stage is frozen, or gone while its file stays."""

import re

import pytest

from tests.e2e.project import Project

# No other code, so that the only thing wrong is what the test does.
FROZEN = ("    cmd: python src/{}.py\n", "    frozen: true\n    cmd: python src/{}.py\n")


def freeze(project: Project, stage: str) -> None:
    project.edit("dvc.yaml", *(text.format(stage) for text in FROZEN))


def better(project: Project) -> None:
    """A number that somebody typed."""
    project.write("metrics.json", {**project.json("metrics.json"), "accuracy": 0.99})


def without_evaluate(project: Project) -> None:
    for path in ("dvc.yaml", "dvc.lock"):
        found = project.yaml(path)
        del found["stages"]["evaluate"]
        project.write(path, found)


def judged(project: Project, code: int, *command: str) -> str:
    project.commit()
    command = command or ("check",)
    report = project.ci_ml(*command, "--base", "main", "--format", "json").expect(code).json()
    return str(report["verdict"]["sentence"])


@pytest.mark.thorough
def test_a_stage_that_the_change_freezes_is_a_doubt(project: Project) -> None:
    project.branch()
    freeze(project, "evaluate")
    better(project)
    project.edit("src/evaluate.py", "> 0.5) ==", "> 0.6) ==")
    project.commit()
    assert project.ci_ml("plan", "--base", "main").expect(0).json() == {}
    said = judged(project, 11, "ci", "--no-publish")
    assert said.startswith("This change freezes stage evaluate, so a gate's numbers are not from this code: unfreeze")


def test_so_is_one_upstream(project: Project) -> None:
    project.branch()
    freeze(project, "train")
    assert "freezes stage train" in judged(project, 11)


@pytest.mark.parametrize("typed", [False, True])
def test_a_file_that_stays_without_its_stage_is_a_doubt(project: Project, typed: bool) -> None:
    project.branch()
    without_evaluate(project)
    if typed:
        better(project)
    said = judged(project, 11)
    assert said.startswith("This change leaves metrics.json, but no stage that makes it, as stage evaluate did, so ")


def test_a_stage_of_another_name_makes_it_all_the_same(project: Project) -> None:
    project.branch()
    for path in ("dvc.yaml", "dvc.lock"):
        project.write(path, re.sub(r"(?m)^  evaluate:", "  judge:", project.read(path)))
    judged(project, 0)


def test_what_was_frozen_at_the_base_is_as_before_until_it_is_edited(project: Project) -> None:
    freeze(project, "evaluate")
    freeze(project, "train")
    project.commit()
    project.branch()
    project.write("README.md", "A change.\n")
    judged(project, 0)
    better(project)
    said = judged(project, 11)
    assert said.startswith("This change edits metrics.json, and stage evaluate, which made it, is frozen, so ")


@pytest.mark.thorough
def test_data_that_a_frozen_stage_made_is_edited_in_dvc_lock(project: Project) -> None:
    freeze(project, "train")
    project.commit()
    project.branch()
    project.write("model.json", {"slope": 9.0, "offset": 0.0})
    project.dvc("commit", "--force", "--quiet", "train")
    project.ci_ml("train").expect(0)
    assert "edits model.json, and stage train" in judged(project, 11)
