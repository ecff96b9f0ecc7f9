"""What a job per stage costs and saves: a diamond of 20 stages on 1, 4 and 16 machines, against `dvc repro` in one job.

`python -m benchmarks.diamond` measures what a job adds to its stage (clone, what others handed on, `ci-ml stage`, what
it hands on itself), what the gate adds, and what DVC adds in one job. From that it computes how long the whole takes,
for stages of different lengths; `--start` is what a machine takes until the job's own commands begin, ci-ml's set-up
included. With `--rehearse` the computation is compared with a real run on this machine, where stages sleep.
"""

import argparse
import heapq
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import timing
from ci_ml.core import workflow

SIDES = 18
MACHINES = (1, 4, 16)
LENGTHS = (10, 60, 600)
_SLEEP = 15.0

# What every stage hands on has to be moved: twice in the cache of the CI system, once into each job that needs it.
_WORK = """\
import pathlib, random, sys, time
name, seconds, megabytes, *inputs = sys.argv[1:]
time.sleep(float(seconds))
for path in inputs:
    pathlib.Path(path).read_bytes()
pathlib.Path(name + ".bin").write_bytes(random.Random(name).randbytes(int(megabytes) * 2**20))
"""


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """Seconds that are not the stages' own: of a job, by its stage; of the gate; and of `dvc repro` for all stages."""

    jobs: Mapping[str, float]
    gate: float
    repro: float


def names() -> dict[str, tuple[str, ...]]:
    """The diamond: every stage with those that it needs, in order."""
    sides = [f"side-{number}" for number in range(SIDES)]
    return {"source": (), **dict.fromkeys(sides, ("source",)), "sink": tuple(sides)}


def project(folder: Path, seconds: float, megabytes: int) -> Path:
    """A repository with the diamond, of which nothing has run."""
    lines = ["stages:"]
    for name, needed in names().items():
        inputs = [f"{need}.bin" for need in needed]
        lines += [f"  {name}:", f"    cmd: python work.py {' '.join([name, f'{seconds:g}', str(megabytes), *inputs])}"]
        lines += ["    deps:", *(f"    - {path}" for path in ("work.py", *inputs)), f"    outs: [{name}.bin]"]
    files = {"work.py": _WORK, "dvc.yaml": "\n".join(lines) + "\n", "ci-ml.yaml": _CONFIG}
    folder.mkdir(parents=True)
    _run(folder, "git", "init", "-q", "-b", "main")
    _run(folder, *timing.dvc("init", "-q"))
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        _commit(folder, name)
    return folder


_CONFIG = "version: 1\ntrain: {track: false}\ngates: []\n"


def _commit(folder: Path, message: str) -> None:
    _run(folder, "git", "add", ".")
    _run(folder, "git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", message)


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


class Fleet:
    """The jobs of a diamond, each in a clone of its own."""

    def __init__(self, origin: Path, folder: Path) -> None:
        self.origin, self.folder = origin, folder
        self.ids = workflow.ids(names())

    def stage(self, name: str) -> float:
        """Run the job of a stage; returns its seconds."""
        begun = time.perf_counter()
        clone = self._clone(self.ids[name], names()[name])
        timing.once(timing.ci_ml("stage", "--base", "HEAD~1", name), clone)
        return time.perf_counter() - begun

    def gate(self) -> float:
        """Run the gate, which puts everything together; returns its seconds."""
        begun = time.perf_counter()
        clone = self._clone("the-gate", tuple(names()))
        timing.once(timing.ci_ml("ci", "--base", "HEAD~1", "--needs", "{}", "--no-publish"), clone)
        return time.perf_counter() - begun

    def _clone(self, place: str, needed: Sequence[str]) -> Path:
        clone = self.folder / place
        _run(self.folder, "git", "clone", "-q", "--depth=2", f"file://{self.origin}", str(clone))
        for need in map(self.ids.__getitem__, needed):
            handed = Path(".ci-ml", "handover", need)
            shutil.copytree(self.folder / need / handed, clone / handed)
        return clone


def measured(folder: Path, megabytes: int) -> Overhead:
    """Run every job, one after the other, on stages that take no time; and `dvc repro` on them."""
    origin = project(folder / "origin", 0, megabytes)
    fleet = Fleet(origin, _made(folder / "jobs"))
    jobs = {name: fleet.stage(name) for name in names()}
    gate = fleet.gate()
    alone = folder / "alone"
    _run(folder, "git", "clone", "-q", f"file://{origin}", str(alone))
    return Overhead(jobs=jobs, gate=gate, repro=timing.once(timing.dvc("repro", "-q"), alone))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def makespan(overhead: Overhead, seconds: float, machines: int, start: float) -> float:
    """How long the diamond takes on so many machines, each job on the machine that is free first."""
    free = [0.0] * machines
    heapq.heapify(free)
    done: dict[str, float] = {}
    for name, needed in names().items():
        begin = max(heapq.heappop(free), max((done[need] for need in needed), default=0.0))
        done[name] = begin + start + overhead.jobs[name] + seconds
        heapq.heappush(free, done[name])
    return max(done.values()) + start + overhead.gate


def rehearsed(folder: Path, machines: int, megabytes: int) -> float:
    """The same for real, with stages that sleep and as many threads as machines; returns its seconds."""
    fleet = Fleet(project(folder / "origin", _SLEEP, megabytes), _made(folder / "jobs"))
    ended = {name: threading.Event() for name in names()}
    failed: list[BaseException] = []

    def job(name: str) -> None:
        for need in names()[name]:
            ended[need].wait()
        try:
            if not failed:
                fleet.stage(name)
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ended[name].set()

    begun = time.perf_counter()
    with ThreadPoolExecutor(machines) as pool:
        for running in [pool.submit(job, name) for name in names()]:
            running.result()
    fleet.gate()
    return time.perf_counter() - begun


def main() -> int:
    """Print what was measured and what follows from it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diamond", description=__doc__)
    parser.add_argument("--start", type=float, default=30.0, help="seconds until a job's own commands begin")
    parser.add_argument("--megabytes", type=int, default=10, help="the size of what a stage makes")
    parser.add_argument("--rehearse", action="store_true", help="run it for real as well, on two machines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        overhead = measured(_made(Path(folder, "measured")), options.megabytes)
        job = statistics.median(overhead.jobs.values())
        print(f"a job adds {job:.1f} s to its stage (outputs of {options.megabytes} MB), the gate takes")
        print(f"{overhead.gate:.1f} s; `dvc repro` adds {overhead.repro:.1f} s to all {len(overhead.jobs)} stages")
        print(f"\nminutes, with {options.start:g} s until a job begins:\n")
        print("| a stage takes | one job |", " | ".join(f"{count} runner{'s'[: count - 1]}" for count in MACHINES), "|")
        print("|---|---|", "---|" * len(MACHINES), sep="")
        for seconds in LENGTHS:
            alone = options.start + overhead.repro + len(overhead.jobs) * seconds
            several = [makespan(overhead, seconds, count, options.start) for count in MACHINES]
            cells = " | ".join(f"{one / 60:.1f} ({one / alone:.2f} x)" for one in several)
            print(f"| {seconds} s | {alone / 60:.1f} | {cells} |")
        if options.rehearse:
            _rehearse(Path(folder), overhead, options.megabytes)
    return 0


def _rehearse(folder: Path, overhead: Overhead, megabytes: int) -> None:
    real = rehearsed(_made(folder / "rehearsed"), 2, megabytes)
    paper = makespan(overhead, _SLEEP, 2, 0.0)
    print(f"\non two machines, stages of {_SLEEP:g} s: {real:.0f} s for real, {paper:.0f} s computed")


if __name__ == "__main__":
    sys.exit(main())
