"""`make bench`: what ci-ml promises about its speed, measured here and now; exit 1 when a promise is not kept."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import repositories, timing


@dataclass(frozen=True, kw_only=True)
class Result:
    """One promise: what was measured, and the most it may be."""

    what: str
    ours: float
    theirs: float
    measured: float
    limit: float
    unit: str

    @property
    def kept(self) -> bool:
        """Whether the measurement is within the limit."""
        return self.measured <= self.limit

    def __str__(self) -> str:
        mark = "ok  " if self.kept else "SLOW"
        figures = f"{self.ours:6.2f} s against {self.theirs:6.2f} s"
        return f"{mark} {self.what:<58} {figures}   {self.measured:5.2f} {self.unit} (at most {self.limit:g})"


def check(folder: Path, runs: int) -> Result:
    """`ci-ml check` on 200 metrics files against `dvc metrics diff`."""
    project = repositories.stages(folder / "check", 200)
    ours, theirs = timing.in_turn(
        timing.ci_ml("check", "--base", "HEAD~1"), timing.dvc("metrics", "diff", "HEAD~1", "HEAD"), project, runs
    )
    return _ratio("check, 200 metrics files / dvc metrics diff", ours, theirs, 0.25)


def verify(folder: Path, runs: int) -> Result:
    """`ci-ml verify` on 1,000 stages against `dvc status`."""
    project = repositories.stages(folder / "verify", 1000)
    ours, theirs = timing.in_turn(timing.ci_ml("verify"), timing.dvc("status"), project, runs)
    return _ratio("verify, 1,000 stages / dvc status", ours, theirs, 0.5)


def version(folder: Path, runs: int) -> Result:
    """`ci-ml --version` against an interpreter that does nothing."""
    ours, theirs = timing.in_turn(timing.ci_ml("--version"), [sys.executable, "-c", "pass"], folder, runs)
    return _difference("--version - python -c pass", ours, theirs, 0.15)


def ci(folder: Path, runs: int) -> Result:
    """`ci-ml ci` on a pipeline that is up to date against `dvc repro` on it."""
    project = repositories.stages(folder / "ci", 20)
    ours, theirs = timing.in_turn(timing.ci_ml("ci", "--base", "HEAD~1"), timing.dvc("repro"), project, runs)
    return _difference("ci, nothing to train - dvc repro", ours, theirs, 2.0)


def predictions(folder: Path, runs: int) -> Result:
    """`ci-ml check` with ten gates on a table of 1,000 rows, two of them with slices, against one without tables."""
    project = repositories.predictions(folder / "predictions", 1000)
    ours, theirs = timing.in_turn(
        timing.ci_ml("check", "--base", "HEAD~1"),
        timing.ci_ml("check", "--base", "HEAD~1", "--config", "numbers.yaml"),
        project,
        runs,
    )
    return _difference("check, 1,000 predictions - check without tables", ours, theirs, 1.5)


def _ratio(what: str, ours: timing.Measured, theirs: timing.Measured, limit: float) -> Result:
    measured = ours.median / theirs.median
    return Result(what=what, ours=ours.median, theirs=theirs.median, measured=measured, limit=limit, unit="x")


def _difference(what: str, ours: timing.Measured, theirs: timing.Measured, limit: float) -> Result:
    measured = ours.median - theirs.median
    return Result(what=what, ours=ours.median, theirs=theirs.median, measured=measured, limit=limit, unit="s")


BENCHMARKS: dict[str, Callable[[Path, int], Result]] = {
    "check": check,
    "verify": verify,
    "version": version,
    "ci": ci,
    "predictions": predictions,
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
