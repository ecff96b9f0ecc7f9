"""How long a promotion and a rollback take, against MLflow's own calls for them: `python -m benchmarks.promote`.

MLflow's calls run in a process of their own, import and all, on the same server: upload the model, make the version,
set the alias and the tags; and for a rollback read where the alias is and set it. In turn, on a project made here.
`--large` promotes one model of 5 GB (it needs 16 GB of disk) and says what that took in time and memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import results, timing
from benchmarks.timing import Measured

_LIMIT = 1.5
_MEMORY = 1.0
_THEIRS = """\
import logging, sys
logging.disable(logging.CRITICAL)
from mlflow import MlflowClient
client, model, action = MlflowClient(), sys.argv[1], sys.argv[2]
if action == "promote":
    experiment = client.get_experiment_by_name("bare")
    number = experiment.experiment_id if experiment else client.create_experiment("bare")
    run = client.create_run(number)
    client.log_artifact(run.info.run_id, model, "model")
    client.set_terminated(run.info.run_id)
    try:
        client.create_registered_model("bare")
    except Exception:
        pass
    source = run.info.artifact_uri + "/model/" + model
    tags = {"commit": "c", "sha256": "s"}
    version = client.create_model_version("bare", source, run_id=run.info.run_id, tags=tags)
    client.set_registered_model_alias("bare", "champion", version.version)
    client.set_model_version_tag("bare", version.version, "report", "r")
    client.set_model_version_tag("bare", version.version, "entry", "e")
else:
    there = client.get_model_version_by_alias("bare", "champion")
    client.get_model_version("bare", "1")
    client.set_registered_model_alias("bare", "champion", "1")
    client.set_model_version_tag("bare", "1", "entry", there.version)
"""
_CONFIG = """\
version: 1
train: {track: false}
gates: [{metric: "metrics.json:accuracy", direction: higher, margin: 1}]
registry: {churn: {model: model.bin}}
"""
_STAGE = """\
with open("seed") as seed, open("model.bin", "wb") as model:
    size, line = int(seed.readline()), seed.read()
    block = line.encode() * 100_000
    while model.tell() < size:
        model.write(block[:size - model.tell()])
open("metrics.json", "w").write('{"accuracy": 0.9}')
"""


def main() -> int:
    """Print a line for each promise; exit 1 when one is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promote", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each command [default: 5]")
    parser.add_argument("--large", type=int, nargs="?", const=5 * 2**30, metavar="BYTES", help="only one large model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ci-ml-bench-") as folder, _served(Path(folder)) as url:
        os.environ["MLFLOW_TRACKING_URI"] = url
        project = _project(Path(folder) / "p")
        if options.large:
            return 0 if _large(project, options.large) else 1
        found = [*_measured(project, options.runs)]
    for line in found:
        print(line)
    return 0 if all(one.kept for one in found) else 1


def _large(project: Path, size: int) -> bool:
    """One promotion of a model of so many bytes, in bounded memory."""
    _judged(project, "large", size)
    begun = time.perf_counter()
    process = subprocess.Popen(timing.ci_ml("promote", "churn"), cwd=project)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    most = used.ru_maxrss / (1e6 if sys.platform == "linux" else 1e9)
    kept = status == 0 and most <= _MEMORY
    mark = "ok  " if kept else "SLOW"
    print(
        f"{mark} promote a model of {size / 1e9:.1f} GB: {seconds:.1f} s, {most:.2f} GB of memory (at most {_MEMORY:g})"
    )
    return kept


def _measured(project: Path, runs: int) -> Iterator[results.Result]:
    times: dict[str, tuple[list[float], list[float]]] = {"promote": ([], []), "rollback": ([], [])}
    for index in range(runs + 1):
        _judged(project, str(index))
        for action, (ours, theirs) in times.items():
            # Forced, for the model before was rolled back from.
            more = ["--force"] if action == "promote" else ["--why", "measured", "--to", "1"]
            own = [action, "churn", *more]
            one = timing.once(timing.ci_ml(*own), project)
            other = timing.once([sys.executable, "-c", _THEIRS, "model.bin", action], project)
            if index:  # the first of each does not count
                ours.append(one)
                theirs.append(other)
    for action, (ours, theirs) in times.items():
        yield results.ratio(
            f"{action} / MLflow's own calls, imports included",
            Measured(seconds=tuple(ours)),
            Measured(seconds=tuple(theirs)),
            _LIMIT,
        )


def _project(place: Path) -> Path:
    place.mkdir()
    stage = {"cmd": f"{sys.executable} stage.py", "deps": ["seed"], "outs": ["model.bin"]}
    stage["metrics"] = [{"metrics.json": {"cache": False}}]  # type: ignore[list-item]
    (place / "dvc.yaml").write_text(json.dumps({"stages": {"train": stage}}))
    (place / "stage.py").write_text(_STAGE)
    (place / "ci-ml.yaml").write_text(_CONFIG)
    (place / "seed").write_text("20\nnone\n")
    _do(place, "git", "init", "--quiet", "--initial-branch=main")
    _do(place, *timing.dvc("init", "--quiet"))
    _do(place, *timing.dvc("repro", "--quiet"))
    _commit(place, "start")
    return place


def _judged(place: Path, seed: str, size: int = 20) -> None:
    (place / "seed").write_text(f"{size}\n{seed}\n")
    _do(place, *timing.dvc("repro", "--quiet"))
    _commit(place, seed)
    _do(place, *timing.ci_ml("check"))


def _commit(place: Path, message: str) -> None:
    _do(place, "git", "add", "--all")
    who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgSign=false")
    _do(place, "git", *who, "commit", "--quiet", "--message", message)


def _do(place: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=place, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()[-500:]}")


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """MLflow's own server, on SQLite, on this machine."""
    import socket

    import requests

    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/m.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            for _ in range(600):
                try:
                    if requests.get(f"{url}/health", timeout=5).ok:
                        break
                except requests.RequestException:
                    time.sleep(0.2)
            yield url
        finally:
            os.killpg(server.pid, 9)
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
