"""What the action's own set-up costs, against a bare `uv pip sync` of the same lock: `python -m benchmarks.setup`.

Both have uv and start from the same cache: a full one, as on a runner that is kept, or an empty one, as on a new one,
where the network decides. The last lines are of a machine without uv, where pip has to bring it first, and of the disk.
"""

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import timing

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "templates" / "setup.sh"
LOCK = ROOT / "requirements"
RUNS = 5


def main() -> int:
    """Print a line for each promise; exit 1 when one is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        kept = [bench.full_cache(), bench.empty_cache(), bench.there_already(), bench.without_uv(), bench.size()]
    return 0 if all(kept) else 1


class Bench:
    """Folders for one environment each, and a cache that has everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.full = folder / "cache"
        self.numbers = itertools.count()
        self.uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "uv"
        (folder / "bin").mkdir()
        (folder / "bin" / "uv").symlink_to(self.uv)
        timing.once(self.setup(self.full), folder)
        timing.once(self.sync(self.full), folder)

    def new(self) -> Path:
        """A folder that is not there yet."""
        return self.folder / str(next(self.numbers))

    def setup(self, cache: Path, tools: Path | None = None) -> Sequence[str]:
        """The set-up, on a machine that has uv."""
        path = f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}"
        return _with({"UV_CACHE_DIR": cache, "RUNNER_TOOL_CACHE": tools or self.new(), "PATH": path}, "bash", SCRIPT)

    def sync(self, cache: Path) -> Sequence[str]:
        """The bare installation of the same packages; its empty environment is made before the clock starts."""
        environment = self.environment()
        return _with(
            {"UV_CACHE_DIR": cache},
            *(self.uv, "pip", "sync", "--quiet", "--require-hashes", "--build-constraints", LOCK / "build.txt"),
            *("--python", environment / "bin" / "python", LOCK / "ci-ml.txt"),
        )

    def environment(self) -> Path:
        """An empty environment."""
        place = self.new()
        subprocess.run([self.uv, "venv", "--quiet", "--python", sys.executable, place], check=True)
        return place

    def full_cache(self) -> bool:
        """Everything is in uv's cache."""
        pairs = [(lambda: self.setup(self.full)), (lambda: self.sync(self.full))]
        return self._ratio("set-up / uv pip sync, both with a full cache", pairs, 1.3)

    def empty_cache(self) -> bool:
        """Nothing is in uv's cache."""
        pairs = [(lambda: self.setup(self.new())), (lambda: self.sync(self.new()))]
        return self._ratio("set-up / uv pip sync, both with an empty cache", pairs, 1.3)

    def there_already(self) -> bool:
        """The environment is there."""
        tools = self.new()
        timing.once(self.setup(self.full, tools), self.folder)
        seconds = statistics.median(timing.once(self.setup(self.full, tools), self.folder) for _ in range(RUNS))
        return _line("set-up, its environment being there", f"{seconds:.2f} s", seconds, 0.3, "s")

    def without_uv(self) -> bool:
        """Neither has uv: what a user writes instead is `pip install uv`, `uv venv`, `uv pip sync`."""
        bare = os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep) if part and not (Path(part) / "uv").exists()
        )

        def ours() -> Sequence[str]:
            caches = {"UV_CACHE_DIR": self.new(), "PIP_NO_CACHE_DIR": "1", "RUNNER_TOOL_CACHE": self.new()}
            return _with({**caches, "PATH": bare}, "bash", SCRIPT)

        def theirs() -> Sequence[str]:
            place = self.new()
            steps = (
                f"python3 -m venv {place} && {place}/bin/pip install --quiet --require-hashes -r {LOCK}/uv.txt"
                f" && {place}/bin/uv venv --quiet {place}/env && {place}/bin/uv pip sync --quiet --require-hashes"
                f" --build-constraints {LOCK}/build.txt --python {place}/env/bin/python {LOCK}/ci-ml.txt"
            )
            return _with({"UV_CACHE_DIR": self.new(), "PIP_NO_CACHE_DIR": "1", "PATH": bare}, "sh", "-c", steps)

        return self._ratio("set-up / venv, pip install uv, uv pip sync by hand", [ours, theirs], 1.3)

    def size(self) -> bool:
        """The environment on disk, against that of `pip install dvc mlflow` at the same versions."""
        tools, peer = self.new(), self.environment()
        timing.once(self.setup(self.full, tools), self.folder)
        install = ("pip", "install", "--quiet", "--python", str(peer / "bin" / "python"), "dvc", "mlflow")
        subprocess.run([self.uv, *install, "--constraint", LOCK / "dev.txt"], check=True)
        (ours,) = tools.glob("ci-ml/[!.]*/lib")
        one, other = _bytes(ours), _bytes(peer / "lib")
        figures = f"{one / 1e6:.0f} MB against {other / 1e6:.0f} MB"
        return _line("its environment / pip install dvc mlflow", figures, one / other, 0.5, "x")

    def _ratio(self, what: str, commands: Sequence[Callable[[], Sequence[str]]], limit: float) -> bool:
        times: list[list[float]] = [[] for _ in commands]
        for _ in range(RUNS):
            for command, found in zip(commands, times, strict=True):
                found.append(timing.once(command(), self.folder))
        ours, theirs = map(statistics.median, times)
        return _line(what, f"{ours:.2f} s against {theirs:.2f} s", ours / theirs, limit, "x")


def _with(variables: Mapping[str, object], *command: object) -> Sequence[str]:
    return ["env", *(f"{name}={value}" for name, value in variables.items()), *map(str, command)]


def _line(what: str, figures: str, measured: float, limit: float, unit: str) -> bool:
    mark = "ok  " if measured <= limit else "SLOW"
    print(f"{mark} {what:<52} {figures:>23}   {measured:5.2f} {unit} (at most {limit:g})", flush=True)
    return measured <= limit


def _bytes(folder: Path) -> int:
    """What the files of a folder take, each counted once."""
    found = {(entry.st_dev, entry.st_ino): entry.st_size for path in folder.rglob("*") if (entry := path.lstat())}
    return sum(found.values())


if __name__ == "__main__":
    sys.exit(main())
