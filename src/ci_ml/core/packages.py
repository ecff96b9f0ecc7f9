"""Which versions of packages a lock file holds, and which of them a change moves. Layer: core.

The layouts: requirements files (https://pip.pypa.io/en/stable/reference/requirements-file-format/), `[[package]]` of
uv.lock, poetry.lock and pdm.lock, `[[packages]]` of pylock.toml (https://packaging.python.org/specifications/pylock-toml/),
Pipfile.lock, conda's environment.yml, and conda-lock.yml.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ci_ml.core import documents
from ci_ml.core.exhibits import PackagePart

_NAMES = (
    "requirements*.txt",
    "requirements/*.txt",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "pylock.*.toml",
    "Pipfile.lock",
    "environment.yml",
    "environment.yaml",
    "conda-lock.yml",
)
_CONDA = re.compile(r"(?:[\w.-]+::)?([A-Za-z0-9_.-]+) ?(.*)")
_COMMENT = re.compile(r"(^|\s)#.*$")


def is_lock(path: str) -> bool:
    """Whether a file, by its name, says which packages the project is run with."""
    folder, name = posixpath.split(path)
    shown = f"{posixpath.basename(folder)}/{name}"
    return any(fnmatchcase(shown if "/" in pattern else name, pattern) for pattern in _NAMES)


def differences(path: str, base: bytes | None, head: bytes | None) -> tuple[PackagePart, ...]:
    """The packages of one file whose version differs; a file that cannot be read as its kind differs in nothing."""
    before, after = ({} if data is None else locked(path, data) for data in (base, head))
    return tuple(
        PackagePart(file=path, package=name, base=before.get(name), head=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def locked(path: str, data: bytes) -> dict[str, str]:
    """Version, or what is asked for where none is pinned, by the normalised name of the package."""
    name = posixpath.basename(path)
    try:
        if name.endswith(".txt"):
            found = dict(_requirements(data.decode("utf-8-sig")))
        else:
            kind = {".lock": ".json" if name == "Pipfile.lock" else ".toml"}.get(posixpath.splitext(name)[1])
            found = dict(_read(documents.parse(data, f"{name}{kind or ''}").value))
    except (ValueError, RecursionError):  # what is in it is the change's, and no parser foresees it all
        return {}
    return {canonicalize_name(package): version[:200] for package, version in found.items()}


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", " ").splitlines():
        asked = _COMMENT.sub("", line).partition(" --hash")[0].strip()
        if not asked or asked.startswith("-"):
            continue
        try:
            found = Requirement(asked)
        except (InvalidRequirement, RecursionError):
            continue
        pinned = [one.version for one in found.specifier if one.operator in ("==", "===")]
        yield found.name, pinned[0] if pinned else found.url or str(found.specifier) or "any"


def _read(value: Any) -> Iterator[tuple[str, str]]:
    """The packages of a lock file that is TOML, JSON or YAML."""
    if not isinstance(value, Mapping):
        return
    for key in ("package", "packages"):  # uv, poetry, pdm, pylock, conda-lock
        listed = value.get(key)
        for entry in listed if isinstance(listed, list) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
                yield entry["name"], str(entry.get("version") or "any")
    for key in ("develop", "default"):  # Pipfile.lock
        listed = value.get(key)
        for name, entry in listed.items() if isinstance(listed, Mapping) else ():
            if isinstance(entry, Mapping):
                yield str(name), str(entry.get("version") or entry.get("ref") or "any").removeprefix("==")
    if isinstance(listed := value.get("dependencies"), list):
        yield from _conda(listed)


def _conda(listed: list[Any]) -> Iterator[tuple[str, str]]:
    for entry in listed:
        if isinstance(entry, str) and (found := _CONDA.fullmatch(entry.replace("=", " ", 1).strip())):
            yield found[1], found[2].strip("= ") or "any"
        elif isinstance(entry, Mapping) and isinstance(entry.get("pip"), list):
            yield from _requirements("\n".join(str(line) for line in entry["pip"]))
