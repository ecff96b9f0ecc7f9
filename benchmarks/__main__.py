"""`make bench`: what ci-ml promises about its speed, measured here and now; exit 1 when a promise is not kept."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import audit, generate, repositories, results, timing
from benchmarks.results import Result


def check(folder: Path, runs: int) -> Result:
    """`ci-ml check` on 200 metrics files against `dvc metrics diff`."""
    project = repositories.stages(folder / "check", 200)
    ours, theirs = timing.in_turn(
        timing.ci_ml("check", "--base", "HEAD~1"), timing.dvc("metrics", "diff", "HEAD~1", "HEAD"), project, runs
    )
    return results.ratio("check, 200 metrics files / dvc metrics diff", ours, theirs, 0.25)


def verify(folder: Path, runs: int) -> Result:
    """`ci-ml verify` on 1,000 stages against `dvc status`."""
    project = repositories.stages(folder / "verify", 1000)
    ours, theirs = timing.in_turn(timing.ci_ml("verify"), timing.dvc("status"), project, runs)
    return results.ratio("verify, 1,000 stages / dvc status", ours, theirs, 0.5)


def version(folder: Path, runs: int) -> Result:
    """`ci-ml --version` against an interpreter that does nothing."""
    ours, theirs = timing.in_turn(timing.ci_ml("--version"), [sys.executable, "-c", "pass"], folder, runs)
    return results.difference("--version - python -c pass", ours, theirs, 0.15)


def ci(folder: Path, runs: int) -> Result:
    """`ci-ml ci` on a pipeline that is up to date against `dvc repro` on it."""
    project = repositories.stages(folder / "ci", 20)
    ours, theirs = timing.in_turn(timing.ci_ml("ci", "--base", "HEAD~1"), timing.dvc("repro"), project, runs)
    return results.difference("ci, nothing to train - dvc repro", ours, theirs, 2.0)


def predictions(folder: Path, runs: int) -> Result:
    """`ci-ml check` with ten gates on a table of 1,000 rows, two of them with slices, against one without tables."""
    project = repositories.predictions(folder / "predictions", 1000)
    ours, theirs = timing.in_turn(
        timing.ci_ml("check", "--base", "HEAD~1"),
        timing.ci_ml("check", "--base", "HEAD~1", "--config", "numbers.yaml"),
        project,
        runs,
    )
    return results.difference("check, 1,000 predictions - check without tables", ours, theirs, 1.5)


BENCHMARKS: dict[str, Callable[[Path, int], Result]] = {
    "check": check,
    "verify": verify,
    "version": version,
    "ci": ci,
    "predictions": predictions,
    "generate": generate.generate,
    "plan": generate.plan,
    "audit": audit.audit,
    "hashing": audit.hashing,
}


def main() -> int:
    """Run the benchmarks named (all by default) and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each command [default: 5]")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names or BENCHMARKS:
            result = BENCHMARKS[name](Path(folder), options.runs)
            print(result, flush=True)
            kept = kept and result.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
