"""A Python environment made anew from a lock file: whole, with every hash checked, or not at all. Layer: adapters.

Only what is locked with hashes counts: a list of versions alone gets whatever an index serves under them today.
https://pip.pypa.io/en/stable/topics/secure-installs/
"""

import os
import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ci_ml.adapters import proc
from ci_ml.core import frozen
from ci_ml.core.documents import MAX_BYTES
from ci_ml.core.training import redact, secrets
from ci_ml.errors import DependencyError

_REQUIREMENTS = re.compile(r"(^|/)requirements(/[^/]+|[^/]*)\.(txt|lock)$")
_VERSION = re.compile(r"3\.\d{1,3}(\.\d{1,3})?")
_PATIENCE = 3600.0
_SAID = 600


def lock_file(root: Path, paths: Iterable[str]) -> str | None:
    """The one of these files from which an environment can be made: uv.lock, else requirements with hashes.

    Of several requirements the one with the shortest name, for `requirements-dev.txt` is what a model is not made of.
    """
    named = sorted(paths, key=lambda path: (path.count("/"), len(path), path))
    found = [path for path in named if path.rpartition("/")[2] == frozen.NAME and frozen.is_hashed(_read(root / path))]
    found += [path for path in named if _REQUIREMENTS.search(path) and _is_hashed(_read(root / path))]
    return found[0] if found else None


def _read(place: Path) -> bytes:
    """What a lock file holds; nothing where it is none that can be read."""
    try:
        return b"" if place.is_symlink() or place.stat().st_size > MAX_BYTES else place.read_bytes()
    except OSError:
        return b""


def _is_hashed(data: bytes) -> bool:
    """Whether every requirement of a file has a hash: pip refuses it otherwise, and says so only when it installs."""
    try:
        text = data.decode("utf-8").replace("\\\n", " ")
    except UnicodeDecodeError:
        return False
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    return bool(wanted) and all("--hash=" in line for line in wanted)


def restore(
    lock: Path, target: Path, python: str | None, env: Mapping[str, str], packages: Collection[str] = ()
) -> dict[str, str]:
    """Make an environment at `target` from a lock file, and return what it takes to work in it.

    `python` is the version that is wanted, such as 3.12.4; `packages` are the names of those that were installed, by
    which extras and groups of a project are chosen. Raises DependencyError when it cannot be made.
    """
    uv = shutil.which("uv", path=env.get("PATH"))
    inner = {
        **{name: value for name, value in env.items() if name not in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")},
        "VIRTUAL_ENV": str(target),
        "PATH": f"{target / 'bin'}{os.pathsep}{env.get('PATH', '')}",
    }
    wanted = python if python and _VERSION.fullmatch(python) else None
    if lock.name == frozen.NAME:
        if uv is None:
            raise DependencyError(f"{lock.name} takes uv, which is not on PATH", "install uv, or --environment here")
        chosen = ["--python", wanted] if wanted else []
        command = [uv, "sync", "--frozen", "--no-progress", *chosen, *frozen.options(_read(lock), packages)]
        _run(command, lock.parent, {**inner, "UV_PROJECT_ENVIRONMENT": str(target)}, lock.name)
        return inner
    _made(uv, target, wanted, lock.parent, inner)
    if uv is not None:
        command = [uv, "pip", "install", "--quiet", "--require-hashes", "--requirement", str(lock)]
    else:
        # `-I`: what lies in the folder of the lock file must not stand in for pip itself.
        pip = [str(target / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--require-hashes", "--requirement", str(lock)]
    _run(command, lock.parent, inner, lock.name)
    return inner


def _made(uv: str | None, target: Path, wanted: str | None, folder: Path, env: Mapping[str, str]) -> None:
    """An empty environment of that Python: of the very version with uv, else of its minor version."""
    if uv is not None:
        chosen = ["--python", wanted] if wanted else []
        _run([uv, "venv", "--quiet", *chosen, str(target)], folder, env, f"Python {wanted or ''}".strip())
        return
    minor = ".".join(wanted.split(".")[:2]) if wanted else ""
    names = [f"python{minor}"] if minor else ["python3", "python"]
    found = next((place for name in names if (place := shutil.which(name, path=env.get("PATH")))), None)
    if found is None:
        what = f"it was trained with Python {wanted}, and there is no {names[0]} on PATH"
        raise DependencyError(what, "install it, or uv, which gets it; or --environment here")
    _run([found, "-I", "-m", "venv", str(target)], folder, env, f"Python {wanted or ''}".strip())


def _run(command: list[str], folder: Path, env: Mapping[str, str], what: str) -> None:
    done = proc.run(command, cwd=folder, env=env, timeout=_PATIENCE)
    if done.code != 0:
        words = " ".join(redact(done.err or done.out.decode("utf-8", "replace"), secrets(env)).split())
        raise DependencyError(
            f"the environment could not be restored from {what}: {words[-_SAID:]}",
            "check the package index and its credentials; --environment here trains in what is here",
        )
