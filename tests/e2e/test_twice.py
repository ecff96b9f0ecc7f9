"""`ci-ml train --twice`: which stage makes something else of the same inputs, and that nothing of it stays."""

import pytest

from tests.e2e.project import Project


def test_a_pipeline_that_makes_the_same_is_deterministic_and_leaves_nothing(project: Project) -> None:
    before = project.cached()
    done = project.ci_ml("train", "--twice").expect(0)
    assert "deterministic: all 3 stages make the same of the same inputs" in done.out
    assert project.status() == ""
    assert project.cached() == before
    assert not (project.root / ".git/worktrees").exists()


@pytest.mark.thorough
def test_the_stage_that_is_not_is_named_and_those_after_it_are_judged_by_themselves(project: Project) -> None:
    project.edit(
        "src/train.py", "slope = offset = 0.0", "import os\nslope = offset = int.from_bytes(os.urandom(6)) / 2**60"
    )
    project.edit("src/evaluate.py", "import json, math", "import json, math, time")
    done = project.ci_ml("train", "--twice").expect(10)
    assert "not deterministic: 1 of 3 stages" in done.out
    assert "stage train made another model.json of the same inputs" in done.out
    assert "✓ evaluate" in done.out
    cached = project.cached()
    assert project.digest("model.json") in cached
    project.ci_ml("train").expect(0)  # nor is there another answer in the run cache
    assert project.cached() == cached
