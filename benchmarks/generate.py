"""CI files and plans for a graph of 1,000 stages, against what DVC needs to read the same graph."""

import json
import subprocess
from pathlib import Path

from benchmarks import repositories, results, timing
from benchmarks.results import Result

_STAGES = 1000


def generate(folder: Path, runs: int) -> Result:
    """`ci-ml generate` with a job for each of 1,000 stages against `dvc dag` on them, without its drawing."""
    project = repositories.graph(folder / "generate", _STAGES)
    ours, theirs = timing.in_turn(timing.ci_ml("generate"), timing.dvc("dag", "--dot"), project, runs)
    return results.ratio("generate, 1,000 stages / dvc dag --dot", ours, theirs, 0.5)


def plan(folder: Path, runs: int) -> Result:
    """`ci-ml plan` of 1,000 stages, all of them up to date, against `dvc status`."""
    project = repositories.graph(folder / "plan", _STAGES)
    command = timing.ci_ml("plan", "--base", "HEAD~1")
    found = subprocess.run(command, cwd=project, check=True, capture_output=True).stdout
    if json.loads(found):
        raise RuntimeError(f"every stage is up to date, and the plan is {found[:200]!r}")
    ours, theirs = timing.in_turn(command, timing.dvc("status"), project, runs)
    return results.ratio("plan, 1,000 stages up to date / dvc status", ours, theirs, 0.5)
