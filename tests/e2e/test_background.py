"""What a report says around a change: code, packages, and what a metric was before."""

from pathlib import Path

import pytest

from tests.e2e.predictions import ABOUT, customers, missing, text, wobbling
from tests.e2e.project import Project


@pytest.mark.thorough
def test_code_and_packages_that_differ_are_told_apart(project: Project) -> None:
    project.write("requirements.txt", "scikit-learn==1.7.2\njoblib==1.5.1\n")
    project.commit("packages")
    project.branch()
    project.write("requirements.txt", "scikit-learn==1.8.0\njoblib==1.5.1\n")
    project.edit("src/evaluate.py", "score(x) > 0.5", "score(x) > 0.6")
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.write("notes on this.md", "one\ntwo\n")
    project.commit("change")
    project.ci_ml("train").expect(0)
    project.ci_ml("check")
    found = project.json(".ci-ml/report.json")
    assert found["code"] == [
        {"path": "src/evaluate.py", "change": "changed", "added": 1, "removed": 1, "stages": ["evaluate"]},
        {"path": "notes on this.md", "change": "added", "added": 2, "removed": 0, "stages": []},
    ]
    assert found["packages"] == [
        {"file": "requirements.txt", "package": "scikit-learn", "base": "1.7.2", "head": "1.8.0"}
    ]


@pytest.mark.thorough
def test_without_a_record_of_the_base_its_environment_is_not_known(project: Project) -> None:
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.commit("change")
    project.ci_ml("train").expect(0)
    project.ci_ml("check")
    found = project.json(".ci-ml/report.json")["environment"]
    said = "in what the base was trained (no record was found of the training that made its dvc.lock)"
    assert found == {"differences": [], "missing": [said]}
    project.commit("trained")
    project.ci_ml("train").expect(0)
    project.ci_ml("check")
    missing = project.json(".ci-ml/report.json")["environment"]["missing"]
    assert missing[1].startswith("in what the head was trained (no stage ran for this change")


def test_a_metric_is_shown_with_what_it_was_at_each_commit_that_changed_it(project: Project) -> None:
    values = [project.json("metrics.json")["accuracy"]]
    for value in (0.5, 0.625):
        project.write("metrics.json", {**project.json("metrics.json"), "accuracy": value})
        project.commit(f"accuracy {value}")
        project.write("NOTES.md", f"{value}\n")
        project.commit("a note")
        values.append(value)
    project.branch()
    project.write("metrics.json", {**project.json("metrics.json"), "accuracy": 0.75})
    project.commit("change")
    project.ci_ml("check")
    (found,) = [item for item in project.json(".ci-ml/report.json")["history"] if item["metric"].endswith(":accuracy")]
    assert [point["value"] for point in found["points"]] == values
    assert found["points"][-1]["sha"] == project.git("rev-parse", "main~1")
    project.write("ci-ml.yaml", project.read("ci-ml.yaml") + "report: {history: 2}\n")
    project.ci_ml("check", "--policy", "head")
    (found,) = [item for item in project.json(".ci-ml/report.json")["history"] if item["metric"].endswith(":accuracy")]
    assert [point["value"] for point in found["points"]] == values[-2:]


@pytest.mark.thorough
def test_training_says_what_it_costs(project: Project) -> None:
    project.edit("ci-ml.yaml", "{track: false}", "{track: false, cost: {per_hour: 2.5, currency: EUR}}")
    project.commit("cost")
    project.branch()
    project.edit("params.yaml", "steps: 3", "steps: 2")
    project.commit("change")
    project.ci_ml("train").expect(0)
    project.ci_ml("check")
    assert project.json(".ci-ml/report.json")["training"]["rate"] == {"per_hour": 2.5, "currency": "EUR"}


@pytest.mark.thorough
def test_ci_measures_the_tables_of_earlier_commits(plain: Project) -> None:
    table = customers(400, seed=3)
    models = [missing(table, 4), missing(table, 8), table]
    for model in models:
        plain.write("p.csv", text(model, "p.csv").decode())
        plain.write(
            "ci-ml.yaml",
            f"version: 1\npredictions: {{test: {{path: p.csv, {ABOUT}}}}}\n"
            "gates: [{metric: test.recall, margin: 0.02, slices: {by: [country], min_n: 50}}]\n",
        )
        plain.commit("a model")
    recalls = [plain.ci_ml("check", "--base", f"main~{back}", "--format", "json").json() for back in (2, 1)]
    values = [report["comparisons"] for report in recalls]
    whole = [next(item for item in items if item["slice"] is None) for items in values]
    plain.branch()
    plain.write("p.csv", text(wobbling(table, 0.05), "p.csv").decode())
    plain.commit("another model")
    plain.ci_ml("ci", "--no-publish", "--base", "main").expect(0)
    (found,) = plain.json(".ci-ml/report.json")["history"]
    assert found["metric"] == "test.recall"
    assert [point["value"] for point in found["points"]] == [whole[0]["base"], whole[1]["base"], whole[1]["head"]]
    assert len({point["sha"] for point in found["points"]}) == 3


def test_what_git_cannot_tell_costs_a_notice_and_no_verdict(plain: Project) -> None:
    plain.branch()
    plain.write("metrics.json", {"accuracy": 0.95})
    plain.commit("better")
    plain.git("config", "diff.orderFile", "/nowhere/at/all")
    done = plain.ci_ml("check").expect(0)
    assert "note: what else changed cannot be shown: git diff failed" in done.out
    assert plain.json(".ci-ml/report.json")["verdict"]["outcome"] == "pass"


def test_only_the_branch_of_the_base_is_deepened(plain: Project, tmp_path: Path) -> None:
    for number in range(5):
        plain.write("metrics.json", {"accuracy": 0.8 + number / 100})
        plain.commit(f"accuracy {number}")
    plain.git("branch", "other")
    clone = Project(root=tmp_path / "shallow", env=plain.env)
    clone.root.mkdir()
    clone.git("init", "--quiet")
    clone.git("remote", "add", "origin", plain.root.as_uri())
    plain.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone.git("fetch", "--quiet", "--depth=2", "origin", "main")
    clone.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    clone.ci_ml("ci", "--no-publish", "--base", "HEAD~1").expect(0)
    assert clone.git("branch", "--remotes").split() == ["origin/main"]
    (found,) = clone.json(".ci-ml/report.json")["history"]
    assert [point["value"] for point in found["points"]] == [0.9, *(0.8 + number / 100 for number in range(4))]
