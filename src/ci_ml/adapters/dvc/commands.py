"""DVC's own commands, several in one process of their own, for importing DVC costs a second. Layer: adapters.

Runs as `python -P -m ci_ml.adapters.dvc.commands COMMANDS`, with the commands as JSON.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_ml.adapters import proc
from ci_ml.core.training import lacking, redact, secrets
from ci_ml.errors import DependencyError

_MOST = 500
_ERROR = re.compile(r"^ERROR: (.+(?:\n[ \t]+\S.*)*)", re.MULTILINE)


def run(commands: Sequence[Sequence[str]], *, cwd: Path, env: Mapping[str, str]) -> None:
    """Run `dvc COMMAND` for each command until one fails. Raises DependencyError with DVC's own words.

    With `--quiet` DVC does not say why it failed.
    """
    _done(commands, cwd, env)


def output(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> bytes:
    """What `dvc COMMAND` prints. Raises DependencyError as `run` does, and when it takes longer than `timeout`."""
    return _done([command], cwd, env, timeout).out


def _done(
    commands: Sequence[Sequence[str]], cwd: Path, env: Mapping[str, str], timeout: float | None = None
) -> proc.Completed:
    command = [sys.executable, "-E", "-P", "-m", __name__, json.dumps(commands)]
    done = proc.run(command, cwd=cwd, env=env, timeout=timeout)
    if done.code != 0:
        said = words(redact(done.err, secrets(env))) or f"exit code {done.code}"
        raise DependencyError(f"DVC failed: {said}", lacking(said))
    return done


def words(text: str) -> str:
    """What DVC logged as errors, without its advice; else the end of what was written."""
    if errors := [" ".join(line.split()) for line in _ERROR.findall(text)]:
        # There is one for each file, then one that says what came of them all.
        return "; ".join(line[: _MOST // 2].strip() for line in dict.fromkeys((errors[0], errors[-1])))
    return " ".join(text.split())[-_MOST:]


def main() -> int:
    """Run the commands; the exit code is that of the first that failed, else 0."""
    from dvc.cli import main as dvc

    return next((code for command in json.loads(sys.argv[1]) if (code := int(dvc(command)))), 0)


if __name__ == "__main__":
    sys.exit(main())
