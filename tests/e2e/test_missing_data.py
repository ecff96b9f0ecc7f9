"""Training where data is missing: pulled when a remote has it, made again when a stage can, an error otherwise."""

import shutil

import pytest

from tests.e2e.project import Project


def states(project: Project) -> dict[str, str]:
    """What became of each stage in the last training."""
    return {stage["name"]: stage["state"] for stage in project.json(".ci-ml/training.json")["stages"]}


def without_remote_and_cache(project: Project) -> None:
    """The project as a fresh clone of a repository that has no remote, with only its raw data in place."""
    project.dvc("remote", "remove", "storage")
    project.commit("no remote")
    for name in ("model.json", "data/clean.csv"):
        (project.root / name).unlink()
    shutil.rmtree(project.root / ".dvc/cache")


@pytest.mark.thorough
def test_an_input_that_is_nowhere_is_made_again_by_the_stage_that_makes_it(project: Project) -> None:
    without_remote_and_cache(project)
    before = project.json("metrics.json")
    project.edit("params.yaml", "steps: 3", "steps: 4")
    result = project.ci_ml("ci").expect(0)
    assert states(project) == {"prepare": "ran", "train": "ran", "evaluate": "ran"}
    assert result.err.index("prepare | $ python") < result.err.index("train | $ python")
    assert project.json("metrics.json") != before
    project.ci_ml("verify").expect(0)


def test_what_nothing_needs_stays_away(project: Project) -> None:
    without_remote_and_cache(project)
    project.ci_ml("train").expect(0)
    assert states(project) == {"prepare": "skipped", "train": "skipped", "evaluate": "skipped"}
    assert not (project.root / "model.json").exists()


@pytest.mark.thorough
def test_a_folder_that_lacks_some_of_its_data_is_filled_before_it_is_looked_at(project: Project) -> None:
    project.edit("dvc.yaml", "deps: [src/prepare.py, data/raw.csv]", "deps: [src/prepare.py, data/raw]")
    project.edit("src/prepare.py", "data/raw.csv", "data/raw/rows.csv")
    project.write("data/raw/rows.csv", project.read("data/raw.csv"))
    project.write("data/raw/README", "rows of numbers\n")
    project.dvc("add", "--quiet", "data/raw/rows.csv")
    project.ci_ml("train").expect(0)
    project.commit("a folder")
    project.dvc("push", "--quiet")
    clone = project.clone("clone")
    clone.ci_ml("verify").expect(0)
    clone.ci_ml("train").expect(0)
    assert states(clone)["prepare"] == "skipped"
    assert (clone.root / "data/raw/rows.csv").exists()


@pytest.mark.thorough
def test_a_folder_that_cannot_be_filled_is_never_trained_on(project: Project) -> None:
    project.edit("dvc.yaml", "deps: [src/prepare.py, data/raw.csv]", "deps: [src/prepare.py, data/raw]")
    project.edit("src/prepare.py", "data/raw.csv", "data/raw/rows.csv")
    project.write("data/raw/rows.csv", project.read("data/raw.csv"))
    project.write("data/raw/README", "rows of numbers\n")
    project.dvc("add", "--quiet", "data/raw/rows.csv")
    project.dvc("remote", "remove", "storage")
    project.ci_ml("train").expect(0)
    project.commit("a folder, and no remote")
    clone = project.clone("clone")
    result = clone.ci_ml("train").expect(3)
    assert "rows.csv" in result.err
    assert "$ python" not in result.err


@pytest.mark.thorough
def test_an_output_that_was_never_made_is_made_although_nothing_else_changed(project: Project) -> None:
    project.edit("dvc.yaml", "outs: [model.json]", "outs: [model.json, log.txt]")
    project.edit("src/train.py", 'print("trained"', 'open("log.txt", "w").write("done"); print("trained"')
    project.ci_ml("verify").expect(12)
    project.ci_ml("train").expect(0)
    assert states(project)["train"] == "ran"
    project.ci_ml("verify").expect(0)


@pytest.mark.thorough
def test_outputs_of_another_branch_are_no_staleness_and_no_evidence(project: Project) -> None:
    project.edit("dvc.yaml", "metrics: [metrics.json: {cache: false}]", "metrics: [metrics.json]")
    project.git("rm", "--quiet", "--cached", "metrics.json")
    project.write(".gitignore", project.read(".gitignore") + "/metrics.json\n")
    project.ci_ml("train").expect(0)
    project.commit("cached metrics")
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 4")
    project.ci_ml("train").expect(0)
    project.commit("another model")
    project.git("switch", "--quiet", "main")

    found = project.ci_ml("verify", "--format", "json").expect(0).json()
    assert {path for stage in found["stages"] for path in stage["modified"]} == {"model.json", "metrics.json"}
    report = project.ci_ml("check", "--base", "change", "--format", "json").expect(11).json()
    assert "dvc checkout" in report["verdict"]["sentence"]

    project.dvc("checkout", "--quiet")
    project.ci_ml("check", "--base", "change").expect(0)


@pytest.mark.thorough
@pytest.mark.parametrize("command", [("train",), ("stage", "--base", "HEAD~1", "use")])
def test_an_import_comes_from_where_it_was_imported_from(empty: Project, command: tuple[str, ...]) -> None:
    """As with `dvc pull`, that needs no remote here."""
    source = Project(root=empty.root.parent / "source", env=empty.env)
    source.root.mkdir()
    source.git("init", "--quiet")
    source.dvc("init", "--quiet")
    source.write("x.csv", "1\n")
    source.dvc("add", "--quiet", "x.csv")
    source.commit()
    empty.dvc("init", "--quiet")
    empty.dvc("import", "--quiet", str(source.root), "x.csv")
    empty.write("ci-ml.yaml", "version: 1\ntrain: {track: false}\n")
    empty.commit()
    empty.write("dvc.yaml", {"stages": {"use": {"cmd": "cp x.csv y.csv", "deps": ["x.csv"], "outs": ["y.csv"]}}})
    empty.commit()
    clone, late = empty.clone("clone"), empty.clone("late")
    clone.ci_ml(*command).expect(0)
    assert clone.read("y.csv") == "1\n"
    shutil.move(source.root, source.root.with_name("moved"))
    done = late.ci_ml(*command).expect(3)
    assert "x.csv, which x.csv.dvc imports, cannot be fetched from where it comes from" in done.err
