"""Does the registry answer? Asked in a process of its own, which may be ended. Layer: adapters.

Runs as `python -E -P -m ci_ml.adapters.mlflow.probe`, with the names of models. It says nothing when all is well; its
last word on stderr is what is not.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_ml.adapters import proc
from ci_ml.adapters.mlflow import registries
from ci_ml.adapters.mlflow.tracking import Tracking
from ci_ml.errors import DependencyError

_STARTS = 30.0  # seconds: Python, MLflow, and a store of files
_ON_DISK = ("sqlite:///", "file://")


def is_new(address: str, cwd: Path) -> bool:
    """Whether a store in files is not there yet; asking it would make it."""
    prefix = next((one for one in _ON_DISK if address.startswith(one)), None)
    return prefix is not None and not (cwd / address.removeprefix(prefix)).exists()


def probe(names: Sequence[str], *, cwd: Path, env: Mapping[str, str], patience: float) -> str | None:
    """Why the registry that the environment names cannot be asked for these models; None when it can.

    A server is given `patience` seconds. That it has none of them is an answer, too.
    """
    seconds = str(max(1, round(patience)))
    impatient = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": seconds, **env}
    command = [sys.executable, "-E", "-P", "-m", __name__, *names]
    try:
        done = proc.run(command, cwd=cwd, env=impatient, timeout=patience + _STARTS)
    except DependencyError:
        return f"it did not answer within {patience + _STARTS:g} s"
    words = (done.err.splitlines() or [f"exit code {done.code}"])[-1]
    return " ".join(words.split())[:300] if done.code else None


def main() -> int:
    """Ask for each model."""
    tracking = Tracking(uri=os.environ["MLFLOW_TRACKING_URI"], folder=Path(), experiment="")
    registry = registries.opened(tracking, os.environ.get("MLFLOW_REGISTRY_URI"))
    try:
        for name in sys.argv[1:]:
            if registry.keeps_aliases:
                registry.targets(name)
            else:
                registry.marks(name, "1.0.0")
    except DependencyError as error:
        sys.stderr.write(f"\n{error.what}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
