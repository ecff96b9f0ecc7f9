"""`ci-ml stage`: one stage on what other jobs handed on, in a checkout that has nothing else."""

import shutil

import pytest

from tests.e2e.project import Project

NO_TRACK = "version: 1\ntrain: {track: false}\ngates: []\n"

# What is made, and what the stage after it reads: the same path, a file in a folder, the folder around a file.
PATHS = {"the same": ("made", "made"), "inside": ("made", "made/part.txt"), "around": ("folder/made", "folder")}

STAGE = """\
import sys, yaml
from pathlib import Path
params = yaml.safe_load(open("params.yaml"))
name, out = sys.argv[1:]
Path(out).parent.mkdir(parents=True, exist_ok=True)
if name == "make":
    Path(out).mkdir()
    Path(out, "part.txt").write_text(f"{params['make'] // 10}\\n")
else:
    parts = [place for top in ("made", "folder") for place in Path(top).rglob("part.txt")]
    Path(out).write_text("".join(place.read_text() for place in parts))
"""


@pytest.fixture
def pair(empty: Project) -> Project:
    """Two stages, one after the other, whose data goes through a remote; nothing is trained or committed yet."""
    empty.dvc("init", "--quiet")
    empty.dvc("remote", "add", "--quiet", "--default", "storage", str(empty.root.parent / "remote"))
    empty.write("ci-ml.yaml", NO_TRACK)
    empty.write("stage.py", STAGE)
    empty.write("params.yaml", {"make": 10})
    return empty


def trained(project: Project, made: str, read: str) -> None:
    """Train and commit, then change the first stage on a branch."""
    first = {"cmd": f"python stage.py make {made}", "params": ["make"], "outs": [made]}
    second = {"cmd": "python stage.py use used.txt", "deps": [read], "outs": ["used.txt"]}
    project.write("dvc.yaml", {"stages": {"make": first, "use": second}})
    project.dvc("repro", "--quiet")
    project.dvc("push", "--quiet")
    project.commit("trained")
    project.branch()


def job(project: Project, stage: str, *before: Project) -> Project:
    """Run a stage in a clone of its own, with what the jobs before it left."""
    clone = project.clone(f"job-{stage}")
    for other in before:
        shutil.copytree(other.root / ".ci-ml" / "handover", clone.root / ".ci-ml" / "handover", dirs_exist_ok=True)
    clone.ci_ml("stage", "--base", "origin/main", "--transfer", "remote", stage).expect(0)
    return clone


def state(project: Project) -> str:
    """What became of the only stage of a job."""
    (stage,) = project.json(".ci-ml/training.json")["stages"]
    return str(stage["state"])


@pytest.mark.parametrize("kind", PATHS)
def test_an_input_that_changed_and_is_not_here_is_noticed(pair: Project, kind: str) -> None:
    trained(pair, *PATHS[kind])
    pair.edit("params.yaml", "make: 10", "make: 20")
    pair.commit()
    first = job(pair, "make")
    second = job(pair, "use", first)
    assert (state(first), state(second)) == ("ran", "ran")
    assert second.read("used.txt") == "2\n"
    (handed,) = (second.root / ".ci-ml" / "handover").iterdir()  # what it received is in place, and not handed on again
    assert handed.name == "use"
    pair.dvc("repro", "--quiet")
    assert second.read("dvc.lock") == pair.read("dvc.lock")


@pytest.mark.parametrize("kind", PATHS)
def test_an_input_that_is_made_again_as_it_was_makes_nothing_run(pair: Project, kind: str) -> None:
    trained(pair, *PATHS[kind])
    pair.edit("params.yaml", "make: 10", "make: 11")
    pair.commit()
    first = job(pair, "make")
    second = job(pair, "use", first)
    assert (state(first), state(second)) == ("ran", "skipped")
    assert second.read("used.txt") == "1\n"  # for the stage after it, or the gate
