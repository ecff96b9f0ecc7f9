"""The hooks for pre-commit: what CI would block is blocked before it, and other changes go through."""

import os
from pathlib import Path

import pytest

from ci_ml import __version__
from tests.ci.conftest import tool
from tests.e2e.project import GATES, Project

pytestmark = pytest.mark.thorough

# As a user writes it, but for `language`: with `python`, pre-commit would install ci-ml and its packages from a registry.
CONFIG = """\
repos:
  - repo: %s
    rev: v%s
    hooks:
      - id: ci-ml-check
        language: system
"""


@pytest.fixture
def project(installed: Path, checkout: Path, machine: dict[str, str], tmp_path: Path) -> Project:
    """A clone with pre-commit's hook for pushes, on a branch of its own; `ci-ml` is on PATH."""
    pre_commit = Path(tool("pre-commit"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ci-ml").write_text(f'#!/bin/sh\nexec "{installed}" "$@"\n')
    (tmp_path / "bin" / "ci-ml").chmod(0o755)
    path = os.pathsep.join((str(tmp_path / "bin"), str(pre_commit.parent), machine["PATH"]))
    made = Project(root=tmp_path / "work", env={**machine, "HOME": str(tmp_path), "PATH": path})
    made.root.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "forge.git"))
    made.git("remote", "add", "origin", (tmp_path / "forge.git").as_uri())
    made.write("metrics.json", {"accuracy": 0.9})
    made.write("ci-ml.yaml", GATES)
    made.write(".gitignore", ".ci-ml/\n")
    made.write(".pre-commit-config.yaml", CONFIG % (checkout.as_uri(), __version__))
    made.commit("the baseline")
    made.git("push", "--quiet", "--set-upstream", "origin", "main")
    made.git("remote", "set-head", "origin", "main")
    hooked = made.run("pre-commit", "install", "--hook-type", "pre-push")
    assert hooked.code == 0, hooked.text
    made.branch()
    return made


def test_a_push_that_makes_the_model_worse_is_blocked(project: Project) -> None:
    project.write("metrics.json", {"accuracy": 0.8})
    project.commit()
    done = project.run("git", "push", "origin", "change")
    assert done.code == 1, done.text
    assert "ci-ml check" in done.out
    assert "metrics.json:accuracy fell from 0.9 to 0.8" in done.out + done.err
    assert not project.git("ls-remote", "origin", "change")


def test_one_that_does_not_goes_through_whatever_files_it_changes(project: Project) -> None:
    project.write("notes.md", "No file that a gate is about.\n")
    head = project.commit()
    done = project.run("git", "push", "origin", "change")
    assert done.code == 0, done.text
    assert "Passed" in done.out + done.err
    assert project.git("ls-remote", "origin", "change").startswith(head)


def test_commits_are_not_held_up(project: Project) -> None:
    project.write("metrics.json", {"accuracy": 0.8})
    project.git("add", "--all")
    done = project.run("pre-commit", "run")
    assert done.code == 0, done.text
    assert "accuracy" not in done.out
    pushed = project.run("pre-commit", "run", "--hook-stage", "pre-push")
    assert pushed.code == 1, pushed.text


def test_ci_files_that_are_out_of_date_are_not_committed(project: Project, checkout: Path) -> None:
    project.write("ci-ml.yaml", f"{GATES}pipelines: [{{forge: github}}]\n")
    config = CONFIG.replace("ci-ml-check", "ci-ml-generate")
    project.write(".pre-commit-config.yaml", config % (checkout.as_uri(), __version__))
    project.git("add", "--all")
    done = project.run("pre-commit", "run")
    assert done.code == 1, done.text
    assert "+++ b/.github/workflows/ci-ml.yml" in done.out
    project.run("ci-ml", "generate").expect(0)
    project.git("add", "--all")
    done = project.run("pre-commit", "run")
    assert done.code == 0, done.text
