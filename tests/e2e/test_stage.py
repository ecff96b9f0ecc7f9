"""`ci-ml stage`: one stage on what other jobs handed on, in a checkout that has nothing else."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.thorough

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


def trained(project: Project, made: str, read: str, **options: bool) -> None:
    """Train and commit, then change the first stage on a branch. The options are those of the first output."""
    first = {"cmd": f"python stage.py make {made}", "params": ["make"], "outs": [{made: options}]}
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


def test_what_is_never_pushed_is_handed_on_all_the_same(pair: Project) -> None:
    trained(pair, *PATHS["the same"], push=False)
    pair.edit("dvc.yaml", "use used.txt", "use  used.txt")
    pair.commit()
    assert pair.ci_ml("plan", "--base", "main").expect(0).json() == {"make": ["make"], "use": ["use"]}
    first = job(pair, "make")
    (document,) = (first.root / ".ci-ml" / "handover").rglob("handover.json")
    assert len(json.loads(document.read_text())["objects"]) == 2  # the folder's listing, and what is in it
    second = job(pair, "use", first)
    assert state(second) == "ran"
    assert not (second.root / ".ci-ml" / "handover" / "use" / "objects").exists()
    pair.dvc("repro", "--quiet")
    assert second.read("dvc.lock") == pair.read("dvc.lock")


def test_a_stage_runs_alone_or_not_at_all(pair: Project) -> None:
    """What makes its input belongs on another machine, and into the report under its own name."""
    trained(pair, *PATHS["the same"])
    shutil.rmtree(pair.root.parent / "remote")
    pair.edit("dvc.yaml", "use used.txt", "use  used.txt")
    pair.commit()
    clone = pair.clone("job")
    done = clone.ci_ml("stage", "--base", "origin/main", "use").expect(3)
    assert "missing data: made, made by stage make, was neither handed on nor is it to be had from a remote" in done.err
    assert not (clone.root / "made").exists()


def tampered(project: Project) -> tuple[Project, Path]:
    """A clone that is to run the second stage, with what the job of the first one handed on as artifacts."""
    trained(project, *PATHS["the same"])
    project.edit("params.yaml", "make: 10", "make: 20")
    project.commit()
    first, second = project.clone("job-make"), project.clone("job-use")
    first.ci_ml("stage", "--base", "origin/main", "make").expect(0)
    place = second.root / ".ci-ml" / "handover" / "make"
    shutil.copytree(first.root / ".ci-ml" / "handover" / "make", place)
    return second, place


def refused(project: Project, said: str, code: int = 3) -> None:
    before = project.status()
    found = project.ci_ml("stage", "--base", "origin/main", "use").expect(code)
    assert said in found.err, found.err
    assert project.status() == before
    assert not (project.root / "used.txt").exists()


class TestWhatSomebodyTamperedWith:
    def test_an_object_that_is_not_what_its_name_says(self, pair: Project) -> None:
        second, place = tampered(pair)
        changed = next(item for item in (place / "objects").rglob("*") if item.is_file() and item.suffix != ".dir")
        changed.chmod(0o644)
        changed.write_text("another model\n")
        refused(second, "is not what its name says")

    def test_an_object_that_is_a_link(self, pair: Project) -> None:
        second, place = tampered(pair)
        changed = next(item for item in (place / "objects").rglob("*") if item.is_file())
        changed.unlink()
        changed.symlink_to(second.root / ".git" / "config")
        refused(second, "no plain file")

    def test_an_object_that_is_not_there(self, pair: Project) -> None:
        second, place = tampered(pair)
        next(item for item in (place / "objects").rglob("*") if item.is_file()).unlink()
        refused(second, "is listed, and was not handed on")

    def test_an_entry_that_dvc_could_not_read(self, pair: Project) -> None:
        second, place = tampered(pair)
        document = json.loads((place / "handover.json").read_text())
        document["stages"][0]["entry"] = {"cmd": 5, "outs": "x", "params": []}
        (place / "handover.json").write_text(json.dumps(document))
        refused(second, "the entry of make is none of dvc.lock: ")

    def test_a_file_that_no_stage_makes(self, pair: Project) -> None:
        second, place = tampered(pair)
        document = json.loads((place / "handover.json").read_text())
        (place / "handover.json").write_text(json.dumps({**document, "files": ["stage.py"]}))
        (place / "files").mkdir()
        (place / "files" / "stage.py").write_text("print('mine')")
        refused(second, "is no output of its stages", code=2)

    @pytest.mark.parametrize("name", ["../.git/config", "/etc/x", "a/../../x", ".git/config", "a/.DVC/config"])
    def test_a_folder_that_lists_what_is_elsewhere(self, pair: Project, name: str) -> None:
        second, place = tampered(pair)
        document = json.loads((place / "handover.json").read_text())
        (listing,) = (place / "objects").rglob("*.dir")
        entries = json.loads(listing.read_text())
        changed = json.dumps([{**entries[0], "relpath": name}]).encode()
        digest = hashlib.md5(changed, usedforsecurity=False).hexdigest()
        target = place / "objects" / "md5" / digest[:2] / f"{digest[2:]}.dir"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(changed)
        document["objects"].append(f"md5/{digest[:2]}/{digest[2:]}.dir")
        document["stages"][0]["entry"]["outs"][0]["md5"] = f"{digest}.dir"
        (place / "handover.json").write_text(json.dumps(document))
        refused(second, "which is no place for data")

    def test_a_stage_in_the_place_of_another(self, pair: Project) -> None:
        second, place = tampered(pair)
        place.rename(place.with_name("use"))
        refused(second, "is not the place of make", code=2)

    def test_a_handover_that_is_a_link(self, pair: Project) -> None:
        second, place = tampered(pair)
        kept = (place / "handover.json").rename(second.root.parent / "elsewhere.json")
        (place / "handover.json").symlink_to(kept)
        found = second.ci_ml("stage", "--base", "origin/main", "use")
        assert found.code in (2, 3), found.text
        assert not (second.root / "used.txt").exists()


def test_what_git_tracks_is_handed_on_as_it_is(empty: Project) -> None:
    """A program may be run, and a folder without anything in it is there: neither is in an artifact of a CI system."""
    empty.dvc("init", "--quiet")
    empty.write("ci-ml.yaml", NO_TRACK)
    made = "printf '#!/bin/sh\\necho 1 > $1\\n' > tool.sh; chmod +x tool.sh; mkdir -p kept/empty; echo a > kept/a"
    empty.write(
        "dvc.yaml",
        {
            "stages": {
                "make": {"cmd": made, "outs": [{"tool.sh": {"cache": False}}, {"kept": {"cache": False}}]},
                "use": {
                    "cmd": "ls kept/empty && ./tool.sh used.txt",
                    "deps": ["tool.sh", "kept"],
                    "outs": ["used.txt"],
                },
            }
        },
    )
    empty.commit()
    empty.write("README.md", "A change.\n")
    empty.commit()
    first, second = empty.clone("job-make"), empty.clone("job-use")
    first.ci_ml("stage", "--base", "HEAD~1", "make").expect(0)
    place = second.root / ".ci-ml" / "handover" / "make"
    shutil.copytree(first.root / ".ci-ml" / "handover" / "make", place, copy_function=shutil.copyfile)
    for left in place.rglob("kept/empty"):
        left.rmdir()
    second.ci_ml("stage", "--base", "HEAD~1", "use").expect(0)
    empty.dvc("repro", "--quiet")
    assert second.read("dvc.lock") == empty.read("dvc.lock")


def test_a_project_in_a_folder_of_the_pipelines_repository(empty: Project) -> None:
    empty.dvc("init", "--quiet")
    empty.write("proj/ci-ml.yaml", NO_TRACK)
    empty.write("proj/dvc.yaml", {"stages": {"make": {"cmd": "echo 1 > made.txt", "outs": ["made.txt"]}}})
    empty.commit()
    empty.write("proj/README.md", "A change.\n")
    empty.commit()
    clone = empty.clone("job")
    plan = clone.ci_ml("plan", "--base", "HEAD~1", cwd="proj").expect(0).json()
    ((name,),) = plan.values()
    clone.ci_ml("stage", "--base", "HEAD~1", name, cwd="proj").expect(0)
    clone.ci_ml("ci", "--base", "HEAD~1", "--needs", "{}", "--no-publish", cwd="proj").expect(11)  # it has no gates
    empty.run("python", "-m", "dvc", "repro", "--quiet", cwd="proj")
    assert clone.read("proj/dvc.lock") == empty.read("proj/dvc.lock")


ON_GITLAB = {"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_DEFAULT_BRANCH": "main"}
ON_GITLAB |= {"CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}


@pytest.mark.parametrize("folder", ["", "ml"])
def test_a_stage_that_has_no_job_is_no_stage_that_failed(project: Project, folder: str) -> None:
    """The file of the jobs is older than dvc.yaml, and no log of any job could say so."""
    project.write("ci-ml.yaml", f"{NO_TRACK}pipelines: [{{forge: gitlab, layout: stages}}]\n")
    if folder:
        moved = [name for name in project.git("ls-files").split() if not name.startswith("ml/")]
        (project.root / folder).mkdir()
        project.git("mv", *{name.partition("/")[0] for name in moved}, folder)
    config = ("--config", f"{folder}/ci-ml.yaml".lstrip("/"))
    project.ci_ml("generate", *config).expect(0)
    project.commit("Generate")
    project.branch()
    definitions = f"{folder}/dvc.yaml".lstrip("/")
    project.edit(definitions, "stages:\n", "stages:\n  added:\n    cmd: echo > new\n    outs: [new]\n")
    project.commit("Another stage")
    judge = ("ci", *config, "--no-publish", "--needs", "{}", "--base", "main")
    done = project.ci_ml(*judge, env=ON_GITLAB).expect(12)
    assert "the CI file has no job for added: it is older than dvc.yaml" in done.err
    assert "run `ci-ml generate`, and commit what it writes" in done.err
    project.ci_ml("generate", *config).expect(0)
    project.commit("Generate")
    done = project.ci_ml(*judge, env=ON_GITLAB).expect(3)
    assert "the stage added has not run" in done.err
