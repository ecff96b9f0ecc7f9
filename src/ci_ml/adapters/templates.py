"""The templates of CI files that ci-ml ships, and the user may replace. Layer: adapters."""

import importlib.resources
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from ci_ml.errors import UsageError

_ENDING = ".yml.j2"


def builtin() -> Mapping[str, str]:
    """Every template by its name, such as `github/single.yml.j2`. Raises UsageError when the installation has none."""
    package = importlib.resources.files("ci_ml")
    shipped = package / "templates"
    # Installed editable, they are beside the package's folder.
    folder = shipped if shipped.is_dir() else Path(str(package)).parents[1] / "templates"
    found = dict(_texts(folder, ""))
    if not found:
        raise UsageError("this installation of ci-ml came without templates", "install it again: pip install ci-ml")
    return found


def _texts(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_ENDING):
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")
