"""Timing whole processes in turn, so that a machine whose speed drifts drifts for both."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds of each run of a command, one number per run."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.seconds)


def ci_ml(*arguments: str) -> list[str]:
    """The command of this environment."""
    return [str(Path(sys.executable).with_name("ci-ml")), *arguments]


def dvc(*arguments: str) -> list[str]:
    """The peer, from the same environment."""
    return [str(Path(sys.executable).with_name("dvc")), *arguments]


def in_turn(ours: Sequence[str], theirs: Sequence[str], folder: Path, runs: int) -> tuple[Measured, Measured]:
    """Run both commands `runs` times in turn, after one run of each that does not count.

    Raises RuntimeError when a command ends with an exit code that is not a result (2 or 3, or a signal).
    """
    times: tuple[list[float], list[float]] = ([], [])
    for index in range(runs + 1):
        for command, found in zip((ours, theirs), times, strict=True):
            seconds = once(command, folder)
            if index:
                found.append(seconds)
    return Measured(seconds=tuple(times[0])), Measured(seconds=tuple(times[1]))


def once(command: Sequence[str], folder: Path) -> float:
    """Wall-clock seconds of one run, with its output read and thrown away."""
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "true", "GIT_OPTIONAL_LOCKS": "0"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    begun = time.perf_counter()
    done = subprocess.run(list(command), cwd=folder, env=env, capture_output=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode not in (0, 10, 11, 12):
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()[-500:]}")
    return seconds


def seconds_of(run: Callable[[], object]) -> float:
    """Wall-clock seconds of one call in this process."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def line(
    what: str,
    ours: float,
    theirs: float,
    measured: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    right: bool = True,
) -> bool:
    """Print one comparison; whether it keeps its limit, and was right at all."""
    kept = right and (at_least is None or measured >= at_least) and (at_most is None or measured <= at_most)
    mark = "ok  " if kept else "SLOW" if right else "WRONG"
    limit = f"at least {at_least:,g}" if at_least is not None else f"at most {at_most:g}"
    print(f"{mark} {what:<92} {ours:8.2f} against {theirs:10,.2f}   {measured:8,.2f} x ({limit})", flush=True)
    return kept
