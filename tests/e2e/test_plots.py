"""The plots of dvc.yaml in the report of `ci-ml ci`, drawn by DVC itself."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.thorough

STAGE = """\
import json
slope = json.load(open("params.json"))["slope"]
json.dump([{"step": step, "loss": slope / (step + 1)} for step in range(4)], open("loss.json", "w"))
json.dump({"accuracy": 0.9}, open("metrics.json", "w"))
open("said.csv", "w").write("actual,predicted\\n" + "".join(f"{row % 3},{row * slope % 3}\\n" for row in range(9)))
"""
PICTURE = b"\x89PNG\r\n\x1a\n"
DVC_YAML = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [params.json: [slope]]
    metrics: [metrics.json: {cache: false}]
    outs: [said.csv]
    plots: [loss.json: {x: step, y: loss}]
"""
TOP = """\
plots:
  - said:
      template: confusion
      x: actual
      y: {said.csv: predicted}
  - picture.png
  - lost.json
"""
CI_ML = "version: 1\ntrain: {track: false}\ngates: [{metric: metrics.json:accuracy, direction: higher}]\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Project:
    """A pipeline with plots, trained on main, and a change that is not trained yet."""
    project = Project(root=tmp_path_factory.mktemp("plots") / "repo", env=environment)
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.dvc("init", "--quiet")
    project.write("train.py", STAGE)
    project.write("params.json", {"slope": 1})
    project.write("picture.png", PICTURE)
    project.write("dvc.yaml", DVC_YAML + TOP)
    project.write("ci-ml.yaml", CI_ML)
    project.dvc("repro", "--quiet")
    project.commit()
    project.branch()
    project.write("params.json", {"slope": 2})
    return project


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    shutil.copytree(template.root, tmp_path / "repo", symlinks=True)
    return Project(root=tmp_path / "repo", env=template.env)


def rows(plot: dict[str, Any], side: str) -> list[dict[str, Any]]:
    return [row for row in plot["spec"]["data"]["values"] if row["rev"] == side]


def ci(project: Project, *, code: int = 0) -> Any:
    """The report of a run on a change; nothing but what it trains is left in the repository."""
    before = set(project.status().splitlines())
    report = project.ci_ml("ci", "--format", "json").expect(code).json()
    assert not (project.root / "dvc_plots").exists()
    assert {line for line in set(project.status().splitlines()) - before if "dvc.lock" not in line} == set()
    return report


def test_both_sides_are_drawn(project: Project) -> None:
    report = ci(project)
    plots = {plot["name"]: plot for plot in report["plots"]}
    assert set(plots) == {"said", "loss.json"}
    assert [row["loss"] for row in rows(plots["loss.json"], "base")] == [1 / (step + 1) for step in range(4)]
    assert [row["loss"] for row in rows(plots["loss.json"], "head")] == [2 / (step + 1) for step in range(4)]
    assert len(rows(plots["said"], "base")) == len(rows(plots["said"], "head")) == 9
    assert "Of DVC's plots picture.png is left out: a report has no images of DVC" in report["notices"]
    assert "Of DVC's plots lost.json is left out: DVC has no data to draw" in report["notices"]


def test_a_plot_that_dvc_cannot_draw_changes_no_verdict(project: Project) -> None:
    project.edit("dvc.yaml", "template: confusion", "template: nowhere")
    report = ci(project)
    assert report["verdict"]["outcome"] == "pass"
    assert report["plots"] == []
    assert any(
        "There are no plots of DVC: DVC failed" in notice and "nowhere" in notice for notice in report["notices"]
    )


def test_what_a_template_would_load_is_left_out(project: Project) -> None:
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": "<DVC_METRIC_DATA>"},
        "layer": [{"data": {"url": "https://example.org/a.csv"}, "mark": "point"}],
        "usermeta": {"embedOptions": {"actions": True}},
        "title": "<DVC_METRIC_TITLE>",
    }
    project.write("outside.json", spec)
    project.edit("dvc.yaml", "template: confusion", "template: outside.json")
    plots = {plot["name"]: plot for plot in ci(project)["plots"]}
    assert plots["said"]["spec"]["layer"] == [{"data": {}, "mark": "point"}]
    assert "usermeta" not in plots["said"]["spec"]
    assert rows(plots["said"], "head")


def test_without_plots_dvc_is_not_asked(project: Project) -> None:
    project.write("dvc.yaml", DVC_YAML.replace("    plots: [loss.json: {x: step, y: loss}]\n", ""))
    report = ci(project)
    assert report["plots"] == []
    assert not any("plots" in notice for notice in report["notices"])


def test_check_does_not_wait_for_dvc(project: Project) -> None:
    project.run(sys.executable, "train.py")
    assert project.ci_ml("check", "--format", "json").json()["plots"] == []
