"""The example projects that ci-ml ships, and the folder that `ci-ml demo` owns. Layer: adapters."""

import importlib.resources
import shutil
from importlib.resources.abc import Traversable
from pathlib import Path

from ci_ml.errors import DependencyError, UsageError

MARKER = ".ci-ml-demo"
_MADE_BY = "Made by `ci-ml demo`."
_NOTE = f"{_MADE_BY} It makes this folder anew when it runs again, unless this file is gone.\n"


def source(name: str) -> Traversable:
    """An example's folder: inside the package once it is installed, in the repository when that is installed editable.

    Raises UsageError when this installation has neither.
    """
    package = importlib.resources.files("ci_ml")
    shipped = package / "examples" / name
    if shipped.is_dir():
        return shipped
    checkout = Path(str(package)).parents[1] / "examples" / name
    if checkout.is_dir():
        return checkout
    raise UsageError(f"this installation of ci-ml came without examples/{name}", "install it again: pip install ci-ml")


def texts(example: Traversable) -> dict[str, str]:
    """The content of every file of an example, by its path."""
    found: dict[str, str] = {}
    for item in example.iterdir():
        if item.is_dir():
            if item.name != "__pycache__":
                found |= {f"{item.name}/{path}": text for path, text in texts(item).items()}
        else:
            found[item.name] = item.read_text(encoding="utf-8")
    return found


def copy(example: Traversable, folder: Path) -> None:
    """Copy an example's files into an empty folder. Raises DependencyError when they cannot be written."""
    try:
        _copy(example, folder)
    except OSError as error:
        raise _unwritable(folder, error) from None


def claim(folder: Path) -> None:
    """Make `folder` an empty folder that is marked as a demo's, so that the next demo may empty it again.

    Its content is removed when an earlier demo made it; the folder itself stays, for somebody's shell may be in it.
    The marker goes last and comes first: a demo that is interrupted at any point does not block the next one.
    Raises UsageError when something else is there, which is left alone, and DependencyError when it is not writable.
    """
    try:
        if folder.is_dir():
            content = sorted(folder.iterdir(), key=lambda item: item.name == MARKER)
            if content and not _is_ours(folder):
                raise UsageError(
                    f"{folder} exists and was not made by `ci-ml demo`, so it is left alone",
                    "name a folder that does not exist: ci-ml demo --output DIR",
                )
            for item in content:
                _remove(item)
        elif folder.exists() or folder.is_symlink():
            raise UsageError(f"{folder} is not a folder", "name a folder that does not exist: ci-ml demo --output DIR")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text(_NOTE, encoding="utf-8")
    except OSError as error:
        raise _unwritable(folder, error) from None


def hide(folder: Path, *names: str) -> None:
    """Have git ignore `names` in this clone alone, beside the example's own .gitignore."""
    try:
        exclude = folder / ".git" / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text("".join(f"/{name}\n" for name in names), encoding="utf-8")
    except OSError as error:
        raise _unwritable(folder, error) from None


def replace(path: Path, old: str, new: str) -> None:
    """Replace the one place in a file where `old` stands. Raises DependencyError when it cannot be written."""
    try:
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} has to be in {path} once"
        path.write_text(text.replace(old, new), encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def _is_ours(folder: Path) -> bool:
    marker = folder / MARKER
    return marker.is_file() and marker.read_text(encoding="utf-8", errors="replace").startswith(_MADE_BY)


def _copy(item: Traversable, target: Path) -> None:
    if not item.is_dir():
        target.write_bytes(item.read_bytes())
        return
    target.mkdir(exist_ok=True)
    for child in item.iterdir():
        if child.name != "__pycache__":
            _copy(child, target / child.name)


def _remove(item: Path) -> None:
    if item.is_dir() and not item.is_symlink():
        shutil.rmtree(item)
    else:
        item.unlink()


def _unwritable(path: Path, error: OSError) -> DependencyError:
    reason = error.strerror or str(error)
    return DependencyError(f"{path} could not be written: {reason}", "choose another folder: ci-ml demo --output DIR")
