"""What people copy is right in itself: linters find nothing, releases agree, and hooks are what pre-commit takes."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ci_ml import __version__
from tests.ci.conftest import REAL, TOOLS, tool
from tests.ci.runners import EXAMPLE, ROOT
from tests.e2e.project import DEADLINE

WORKFLOWS = sorted([*EXAMPLE.glob(".github/workflows/*.yml"), *ROOT.glob(".github/workflows/*.yml")])
GATE = ROOT / ".github" / "workflows" / "gate.yml"
SCRIPTS = [ROOT / "templates" / "setup.sh", ROOT / ".ci" / "run", ROOT / ".ci" / "tools" / "install"]


def lint(program: str, *arguments: str | Path) -> None:
    """Run a linter, which must find nothing. It finds the other linters that it asks on PATH."""
    env = {**REAL, "PATH": f"{TOOLS}{os.pathsep}{REAL['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run([tool(program), *arguments], capture_output=True, text=True, env=env, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_scripts_are_clean() -> None:
    lint("shellcheck", *SCRIPTS)


def test_workflows_are_right() -> None:
    tool("shellcheck")
    lint("actionlint", *WORKFLOWS)


def test_workflows_and_the_action_are_safe() -> None:
    config = Path(__file__).with_name("zizmor.yml")
    lint("zizmor", "--offline", "--quiet", "--config", config, *WORKFLOWS, ROOT / "action.yml")


def test_the_steps_of_the_action_are_clean(tmp_path: Path) -> None:
    steps = YAML(typ="safe", pure=True).load((ROOT / "action.yml").read_text())["runs"]["steps"]
    for number, step in enumerate(steps):
        (tmp_path / f"{number}.sh").write_text(f"#!/bin/bash -e\n{step['run']}")
    lint("shellcheck", *sorted(tmp_path.iterdir()))


def test_the_job_of_the_template_is_clean_in_any_shell(tmp_path: Path) -> None:
    _, job = YAML(typ="safe", pure=True).load_all((ROOT / "templates" / "ci-ml.yml").read_text())
    (script,) = next(iter(job.values()))["script"]
    (tmp_path / "job.sh").write_text(f"#!/bin/sh -e\n{script}")
    lint("shellcheck", tmp_path / "job.sh")


def test_the_hook_is_as_pre_commit_wants_it() -> None:
    lint("pre-commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml")


@pytest.mark.parametrize("path", [*EXAMPLE.rglob("*.yml"), ROOT / "templates" / "ci-ml.yml", GATE])
def test_every_file_names_this_release(path: Path) -> None:
    named = re.findall(
        r"ci-ml/ci-ml(?:/\.github/workflows/gate\.yml)?[@/]v?(\d\S*?)(?=[/\s]|$)|default: v(\d\S+)", path.read_text()
    )
    assert {one or other for one, other in named} == {__version__}
