"""Test sets on a real project: looks are counted out of records, shown wherever a verdict is, and begin anew."""

from typing import Any

import pytest

from tests.e2e.project import Project

ASKED = "testsets:\n  holdout: {path: data/raw.csv, looks: 3}\n"


def looks(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project.json(".ci-ml/report.json")["testsets"]
    return found


def test_a_look_is_shown_everywhere_and_the_same_result_is_none(project: Project) -> None:
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + ASKED)
    project.commit("a test set")
    project.branch()
    project.write("metrics.json", {"accuracy": 0.99, "loss": {"log": 0.1}, "rows": 200})
    first = project.ci_ml("check", "--base", "main")
    assert looks(project) == [
        {"name": "holdout", "digest": f"md5:{project.digest('data/raw.csv')}", "look": 1, "of": 3}
    ]
    assert "look 1 of 3" in first.out
    project.ci_ml("check", "--base", "main")  # the very same
    assert looks(project)[0]["look"] == 1
    for form in ("markdown", "html", "json"):
        assert "look 1 of 3" in project.ci_ml("report", "--format", form).out or form == "json"


@pytest.mark.thorough
def test_worn_out_it_warns_and_a_rotation_begins_anew(project: Project) -> None:
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + ASKED.replace("looks: 3", "looks: 1, past: undecided"))
    project.commit("a test set")
    project.commit("the first that is judged by it")
    project.ci_ml("check", "--base", "HEAD~1")
    for steps in ("2", "4"):
        project.write("params.yaml", {"prepare": {"keep": 1.0}, "train": {"rate": 0.1, "steps": int(steps)}})
        project.commit(steps)
        done = project.ci_ml("ci", "--no-publish", "--base", "HEAD~1")
    assert looks(project)[0]["look"] == 3
    assert done.code == 11
    assert "The test set holdout is worn out: look 3 of 1" in done.out
    again = project.ci_ml("testset", "rotate", "holdout", "--why", "June").expect(2)
    assert "they are not new" in again.err
    assert "there is no test set other" in project.ci_ml("testset", "rotate", "other", "--why", "x").expect(2).err
    assert "without a reason" in project.ci_ml("testset", "rotate", "holdout", "--why", " ").expect(2).err
    project.write("data/raw.csv", project.read("data/raw.csv") + "1.0,1\n")
    project.dvc("add", "data/raw.csv")
    project.commit("the rows of June")
    turned = project.ci_ml("testset", "rotate", "holdout", "--why", "the rows of \x1b[31mJune").expect(0)
    assert "after 3 looks at the old one" in turned.out
    (row,) = project.ci_ml("testset", "show", "--format", "json").expect(0).json()["testsets"]
    assert (row["looks"], row["of"], row["rotations"][0]["looks"]) == (0, 1, 3)
    shown = project.ci_ml("testset", "show").expect(0)
    assert "\x1b" not in shown.out
    assert "was rotated after 3 looks" in shown.out
    project.ci_ml("ci", "--no-publish", "--base", "HEAD~1")
    assert looks(project)[0]["look"] == 1
    assert not any("no rotation" in note for note in project.json(".ci-ml/report.json")["notices"])


@pytest.mark.thorough
def test_a_test_set_is_known_by_its_path_and_by_its_predictions_too(project: Project) -> None:
    tables = "predictions:\n  test: {path: data/raw.csv, task: binary, id: x, label: y, score: p}\n"
    more = "  copy: {path: ./metrics.json}\n  twin: {path: metrics.json}\n"
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + tables + ASKED + more)

    def shown(*asked: str) -> list[str]:
        rows = project.ci_ml("testset", "show", "--format", "json", *asked).expect(0).json()["testsets"]
        return [row["name"] for row in rows]

    assert shown() == ["holdout", "copy", "twin"]
    for asked in ("holdout", "data/raw.csv", "./data/raw.csv", "test"):
        assert shown(asked) == ["holdout"]
    assert "was rotated" not in project.ci_ml("testset", "show", "twin").expect(0).out
    project.ci_ml("testset", "rotate", "test", "--why", "the first rows").expect(0)
    assert "was rotated" in project.ci_ml("testset", "show", "holdout").expect(0).out
    unclear = project.ci_ml("testset", "rotate", "metrics.json", "--why", "x").expect(2)
    assert "metrics.json is the test sets copy and twin" in unclear.err
    strange = project.ci_ml("testset", "show", "other").expect(2)
    assert "there are: holdout, copy, twin" in strange.err


def test_a_ledger_that_cannot_be_read_is_no_small_number(project: Project) -> None:
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + ASKED)
    project.commit("a test set")
    project.commit("the first that is judged by it")
    project.git("remote", "add", "origin", "file:///nowhere/at/all")
    done = project.ci_ml("check", "--base", "HEAD~1").expect(0)
    assert looks(project)[0]["look"] is None
    assert "look unknown of 3" in done.out or "is not known" in done.out
    assert project.json(".ci-ml/report.json")["verdict"]["outcome"] == "warn"
    assert "is not known" in project.ci_ml("testset", "show").expect(3).err


def test_no_test_set_is_named(plain: Project) -> None:
    assert "names no test set" in plain.ci_ml("testset", "show").expect(2).err


@pytest.mark.thorough
def test_looks_are_those_of_everybody_whose_records_are_in_the_ledger(project: Project) -> None:
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + ASKED)
    project.commit("a test set")
    project.git("clone", "--quiet", "--bare", ".", "../server")
    project.git("remote", "add", "origin", str(project.root.parent / "server"))
    one, other = (project.clone(name, url=str(project.root.parent / "server")) for name in ("one", "other"))
    for clone, steps in ((one, "2"), (other, "4")):
        clone.dvc("cache", "dir", "--local", str(project.root / ".dvc" / "cache"))
        clone.edit("params.yaml", "steps: 3", f"steps: {steps}")
        clone.commit(steps)
        clone.ci_ml("ci", "--no-publish", "--base", "origin/main")
        assert looks(clone)[0]["look"] == 1 if clone is one else 2
        clone.ci_ml("audit", "record").expect(0)
    assert looks(other)[0]["look"] == 2
    (row,) = project.ci_ml("testset", "show", "--format", "json").expect(0).json()["testsets"]
    assert row["looks"] == 2
    # What was trained elsewhere comes again from the ledger: the commit is fetched into the copy.
    one.git("push", "--quiet", "origin", "HEAD:refs/heads/two")
    shown = project.ci_ml("reproduce", one.git("rev-parse", "HEAD")).expect(2)
    assert "neither a commit of this clone" in shown.err
    project.git("fetch", "--quiet", "origin", "two")
    again = project.ci_ml("reproduce", "FETCH_HEAD", "--format", "json").expect(0).json()
    assert again["sameness"] == "bitwise"
