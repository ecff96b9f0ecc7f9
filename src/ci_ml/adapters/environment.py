"""The machine and the Python environment that trains. Layer: adapters."""

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from ci_ml.adapters import proc
from ci_ml.core.training import Environment
from ci_ml.errors import CiMlError

_PYTHON = ("python", "python3")
_IS_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_PROBE = """
import importlib.metadata, json, platform, sys
packages = {}
for found in importlib.metadata.distributions():
    name = found.metadata["Name"]
    if name:
        packages.setdefault(name.lower().replace("_", "-"), found.version)
print(json.dumps({"executable": sys.executable, "version": platform.python_version(),
                  "implementation": platform.python_implementation(), "packages": packages}))
"""


def read(folder: Path, commands: Iterable[str], env: Mapping[str, str]) -> Environment:
    """The environment of the interpreter that the stages call: the first Python in their commands, else on PATH.

    What cannot be found out is left empty; this never fails a training.
    """
    probed = _probe(_interpreter(folder, commands, env), env)
    packages = probed.pop("packages", {})
    assert isinstance(packages, dict)
    listing = "\n".join(f"{name}=={version}" for name, version in sorted(packages.items()))
    return Environment(
        interpreter={key: str(value) for key, value in probed.items()},
        packages=dict(sorted(packages.items())),
        packages_digest=f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}",
        os=platform.platform(),
        cpu=f"{_processor()}, {os.cpu_count() or '?'} logical cores",
        gpu=_gpus(folder, env),
    )


def _interpreter(folder: Path, commands: Iterable[str], env: Mapping[str, str]) -> str | None:
    for command in commands:
        try:
            words = shlex.split(command)
        except ValueError:
            continue
        for word in words[:4]:  # `uv run python …`, `poetry run python …`, `env X=1 python …`
            if not _IS_PYTHON.fullmatch(word.rpartition("/")[2]):
                continue
            if found := shutil.which(str(folder / word) if "/" in word else word, path=env.get("PATH")):
                return found
    return next((found for name in _PYTHON if (found := shutil.which(name, path=env.get("PATH")))), None)


def _probe(interpreter: str | None, env: Mapping[str, str]) -> dict[str, object]:
    if interpreter is None:
        return {}
    try:
        # Not in the project's folder: `python -c` would import a json.py that lies there.
        done = proc.run([interpreter, "-c", _PROBE], cwd=Path("/"), env=env, timeout=60)
        found = json.loads(done.out) if done.code == 0 else {}
    except (CiMlError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus(folder: Path, env: Mapping[str, str]) -> tuple[str, ...]:
    tool = shutil.which("nvidia-smi", path=env.get("PATH"))
    if tool is None:
        return ()
    query = [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = proc.run(query, cwd=folder, env=env, timeout=20)
    except CiMlError:
        return ()
    return tuple(done.out.decode("utf-8", "replace").splitlines()) if done.code == 0 else ()
