"""DVC's own commands, several in one process of their own, for importing DVC costs a second. Layer: adapters.

Runs as `python -P -m ci_ml.adapters.dvc.commands COMMANDS`, with the commands as JSON.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_ml.adapters import proc
from ci_ml.errors import DependencyError


def run(commands: Sequence[Sequence[str]], *, cwd: Path, env: Mapping[str, str]) -> None:
    """Run `dvc COMMAND` for each command until one fails. Raises DependencyError with DVC's own words."""
    done = proc.run([sys.executable, "-E", "-P", "-m", __name__, json.dumps(commands)], cwd=cwd, env=env)
    if done.code != 0:
        words = " ".join(done.err.split()) or f"exit code {done.code}"
        raise DependencyError(f"DVC failed: {words[-500:]}")


def main() -> int:
    """Run the commands; the exit code is that of the first that failed, else 0."""
    from dvc.cli import main as dvc

    return next((code for command in json.loads(sys.argv[1]) if (code := int(dvc(command)))), 0)


if __name__ == "__main__":
    sys.exit(main())
