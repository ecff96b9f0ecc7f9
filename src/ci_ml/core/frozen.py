"""What uv.lock holds for who makes the environment of a training again: hashes, extras and groups. Layer: core. Pure.

https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from ci_ml.core import documents

NAME = "uv.lock"
# Sources whose content is that of the commit, or that name one: nothing else can be had under them.
_COMMITTED = ("git", "directory", "editable", "virtual")


def is_hashed(data: bytes) -> bool:
    """Whether every file that may be installed has a hash: those of a folder of wheels have none."""
    packages = _packages(data)
    return packages is not None and all(_is_hashed(one) for one in packages)


def options(data: bytes, recorded: Collection[str]) -> list[str]:
    """Options of `uv sync` for the extras and groups that were installed: those whose packages were all there.

    `recorded` are the names of packages of the training; without any, uv does what it does by itself.
    """
    there = {canonicalize_name(name) for name in recorded}
    own = next((one for one in _packages(data) or () if _is_root(one)), None)
    if own is None or not there:
        return []
    extras = [name for name, wanted in _parts(own, "optional-dependencies") if wanted <= there]
    groups = [
        ("--group" if wanted <= there else "--no-group", name) for name, wanted in _parts(own, "dev-dependencies")
    ]
    return [word for name in extras for word in ("--extra", name)] + [word for pair in groups for word in pair]


def _packages(data: bytes) -> Sequence[Mapping[str, Any]] | None:
    """The packages of the file; None for what cannot be read as one."""
    try:
        value = documents.parse(data, "uv.lock.toml").value
    except documents.DocumentError:
        return None
    listed = value.get("package", []) if isinstance(value, Mapping) else None
    return listed if isinstance(listed, list) and all(isinstance(one, Mapping) for one in listed) else None


def _is_hashed(package: Mapping[str, Any]) -> bool:
    source, wheels = package.get("source"), package.get("wheels", [])
    if isinstance(source, Mapping) and any(kind in source for kind in _COMMITTED):
        return True
    found = [*(wheels if isinstance(wheels, list) else []), *([package["sdist"]] if "sdist" in package else [])]
    return bool(found) and all(isinstance(one, Mapping) and one.get("hash") for one in found)


def _is_root(package: Mapping[str, Any]) -> bool:
    source = package.get("source")
    return isinstance(source, Mapping) and "." in (source.get("virtual"), source.get("editable"))


def _parts(package: Mapping[str, Any], key: str) -> Iterator[tuple[str, set[str]]]:
    """Extras or groups, with the packages that they want everywhere: a marker leaves one out on some systems."""
    parts = package.get(key)
    for name, listed in parts.items() if isinstance(parts, Mapping) else ():
        wanted = [one for one in listed if isinstance(one, Mapping) and "marker" not in one]
        yield str(name), {canonicalize_name(str(one.get("name"))) for one in wanted}
