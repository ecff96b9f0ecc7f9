"""The machine and the Python environment that trains. Layer: adapters."""

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path

from ci_ml.adapters import proc
from ci_ml.core.training import Environment
from ci_ml.errors import CiMlError

_DEVICES = Path("/dev")
_NAMES = ("nvidia[0-9]*", "kfd", "accel*")  # of NVIDIA, of AMD, and of those made for this alone
_NONE_FOUND = "No devices were found"  # says nvidia-smi, with an exit code of its own
_PYTHON = ("python", "python3")
_IS_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_PUNCTUATION = frozenset("();<>|&\n")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=")
_CHOOSE = frozenset({"PATH", "PYTHONHOME", "VIRTUAL_ENV"})  # of several Pythons
_PASSED = frozenset({"env", "exec", "time"})
_HARMLESS = frozenset("cat cd cp echo exit ls mkdir mv rm set tee test touch true".split())
# The path goes first: `python -c` would import a json.py that lies where it is called.
_PROBE = """
import sys
sys.path[:] = [place for place in sys.path if place]
import importlib.metadata, json, platform
packages = {}
for found in importlib.metadata.distributions():
    name = found.metadata["Name"]
    if name:
        packages.setdefault(name.lower().replace("_", "-"), found.version)
print(json.dumps({"executable": sys.executable, "version": platform.python_version(),
                  "implementation": platform.python_implementation(), "packages": packages}))
"""


def read(folder: Path, calls: Iterable[tuple[Path, str]], env: Mapping[str, str]) -> Environment:
    """The environment of the interpreter that stages call: the first Python in their commands, else on PATH.

    Each call is a command, and the folder that it runs in. What cannot be found out is left empty; this never fails a
    training.
    """
    calls = list(calls)
    known = _called(calls, env)
    probed = _probe(*(known or _guessed(folder, calls, env)), env)
    packages = probed.pop("packages", {})
    packages = {name: str(version) for name, version in packages.items()} if isinstance(packages, dict) else {}
    listing = "\n".join(f"{name}=={version}" for name, version in sorted(packages.items()))
    return Environment(
        interpreter={key: str(value) for key, value in probed.items()},
        packages=dict(sorted(packages.items())),
        packages_digest=f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}",
        os=platform.platform(),
        cpu=f"{_processor()}, {os.cpu_count() or '?'} logical cores",
        gpu=_gpus(folder, env),
        runs_stages=known is not None,
    )


def _called(calls: Iterable[tuple[Path, str]], env: Mapping[str, str]) -> tuple[str, Path] | None:
    """The one Python that all commands call themselves, and where; None where any may run something else."""
    found: dict[str, Path] = {}
    for place, command in calls:
        words = _pythons(command)
        if words is None:
            return None
        for word in words:
            path = shutil.which(str(place / word) if "/" in word else word, path=env.get("PATH"))
            if path is None:
                return None
            found.setdefault(path, place)
    return next(iter(found.items())) if len(found) == 1 else None


def _pythons(command: str) -> list[str] | None:
    """The Pythons that a command calls itself; None where anything in it may choose another, as `uv run` does."""
    if "`" in command or "$(" in command:
        return None
    found: list[str] = []
    moved = False
    try:
        parts = list(_parts(command))
    except ValueError:
        return None
    for words in parts:
        before = list(takewhile(lambda word: word in _PASSED or _ASSIGNED.match(word), words))
        if any(word.partition("=")[0] in _CHOOSE for word in before):
            return None
        name = words[len(before)] if len(words) > len(before) else "true"
        if _IS_PYTHON.fullmatch(name.rpartition("/")[2]) and not (moved and "/" in name):
            found.append(name)
        elif name not in _HARMLESS:
            return None
        moved = moved or name == "cd"
    return found


def _parts(command: str) -> Iterator[list[str]]:
    """The words of each command in a line of a shell, without what is read or written. Raises ValueError."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    is_file = False
    for word in lexer:
        if set(word) <= _PUNCTUATION:
            is_file = bool({"<", ">"} & set(word))
            if not is_file:
                yield words
                words = []
        elif is_file:
            is_file = False
        else:
            words.append(word)
    yield words


def _guessed(folder: Path, calls: Iterable[tuple[Path, str]], env: Mapping[str, str]) -> tuple[str | None, Path]:
    for place, command in calls:
        try:
            words = shlex.split(command)
        except ValueError:
            continue
        for word in words[:4]:  # `uv run python …`, `poetry run python …`
            if not _IS_PYTHON.fullmatch(word.rpartition("/")[2]):
                continue
            if found := shutil.which(str(place / word) if "/" in word else word, path=env.get("PATH")):
                return found, place
    return next((found for name in _PYTHON if (found := shutil.which(name, path=env.get("PATH")))), None), folder


def _probe(interpreter: str | None, place: Path, env: Mapping[str, str]) -> dict[str, object]:
    if interpreter is None:
        return {}
    try:
        # Where the stage runs: what stands for several Pythons, as pyenv's does, chooses by the folder.
        done = proc.run([interpreter, "-c", _PROBE], cwd=place, env=env, timeout=60)
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


def _gpus(folder: Path, env: Mapping[str, str]) -> tuple[str, ...] | None:
    """The accelerators, of which there may be none; None where nobody can say, which is no proof that there are none.

    On Linux no program can use one that has no device.
    """
    tool = shutil.which("nvidia-smi", path=env.get("PATH"))
    if tool is None:
        return (
            ()
            if sys.platform == "linux" and not any(place for name in _NAMES for place in _DEVICES.glob(name))
            else None
        )
    query = [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = proc.run(query, cwd=folder, env=env, timeout=20)
    except CiMlError:
        return None
    said = done.out.decode("utf-8", "replace")
    if done.code == 0:
        return tuple(said.splitlines())
    return () if _NONE_FOUND in said else None
