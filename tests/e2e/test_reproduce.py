"""`ci-ml reproduce`: the same bytes from the record alone, or where it parts and why; and nothing of it stays here."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.project import Project


def anew(project: Project) -> str:
    """Train and commit, with a record of it; the commit."""
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.ci_ml("train").expect(0)
    return project.commit("trained anew")


def records(project: Project) -> dict[str, dict[str, object]]:
    """What lies in .ci-ml/records, by digest."""
    return {place.stem: json.loads(place.read_bytes()) for place in (project.root / ".ci-ml/records").glob("*.json")}


def of_kind(project: Project, kind: str) -> list[dict[str, object]]:
    return [one for one in records(project).values() if str(one["predicateType"]).startswith(kind)]


def test_the_same_bytes_come_back_and_nothing_stays(project: Project, tmp_path: Path) -> None:
    sha = anew(project)
    project.commit("something else")
    (tmp_path / "scratch").mkdir()
    cached, remote = project.cached(), project.remote_files()
    done = project.ci_ml("reproduce", sha, "--format", "json", env={"TMPDIR": str(tmp_path / "scratch")}).expect(0)
    found = done.json()
    assert (found["sameness"], found["commit"], found["met"]) == ("bitwise", sha, True)
    assert found["environment"]["restored"] is None
    assert found["record"].removeprefix("sha256:") in records(project)
    assert project.status() == ""
    assert (project.cached(), project.remote_files()) == (cached, remote)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not (project.root / ".git/worktrees").exists()
