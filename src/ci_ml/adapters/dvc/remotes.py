"""Is DVC's default remote there? Asked in a process of its own, which may be ended. Layer: adapters.

Runs as `python -E -P -m ci_ml.adapters.dvc.remotes`. What it says goes to stdout as one line of JSON.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from ci_ml.adapters import proc
from ci_ml.core.doctor import Storage
from ci_ml.errors import DependencyError


def probe(folder: Path, *, env: Mapping[str, str], patience: float) -> Storage:
    """Look whether the default remote can be reached and holds anything, for at most `patience` seconds."""
    try:
        done = proc.run([sys.executable, "-E", "-P", "-m", __name__], cwd=folder, env=env, timeout=patience)
    except DependencyError:
        return Storage(trouble=f"it did not answer within {patience:g} s")
    try:
        found = json.loads(done.out.splitlines()[-1])
        return Storage(name=str(found["name"]), holds=found["holds"] is True)
    except (IndexError, KeyError, TypeError, ValueError):
        words = (done.err or f"exit code {done.code}").splitlines()[-1]
        return Storage(trouble=" ".join(words.split())[:300])


def main() -> int:
    """Ask for the remote's own folder: one request, whatever the storage is."""
    import logging

    from dvc.repo import Repo

    logging.disable(logging.CRITICAL)
    try:
        remote = Repo(".").cloud.get_remote()
        holds = bool(remote.fs.exists(remote.path))
    except Exception as error:  # noqa: BLE001  each storage raises its own kinds; the parent words it
        sys.stderr.write(f"{type(error).__name__}: {' '.join(str(error).split())}\n")
        return 1
    sys.stdout.write(json.dumps({"name": remote.name, "holds": holds}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
