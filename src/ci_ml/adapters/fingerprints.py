"""The digests of a model's files, as fast as the disk and the processor allow. Layer: adapters.

SHA-256 is what records name; the md5 that DVC has is reckoned by `adapters.dvc.digests` at the same time, in another
thread: Python lets go of its lock while it hashes.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ci_ml.core.bundle import Bundle, Part
from ci_ml.errors import DependencyError, UsageError

_MOST = 50_000  # files of one model
_THREADS = min(8, os.cpu_count() or 1)


def bundle(path: str, place: Path, ignore: Callable[[str], bool], dvc: Callable[[], str]) -> Bundle:
    """A model on disk, with its digests; `ignore` says what DVC does not see, `dvc` reckons DVC's own digest.

    Raises UsageError for what is no file and no folder of files, DependencyError for what cannot be read.
    """
    try:
        status = place.stat()
        if stat.S_ISDIR(status.st_mode):
            names = [name for name in _walk(place) if not ignore(f"{path}/{name}")]
            found = {name: place / name for name in names}
        elif stat.S_ISREG(status.st_mode):
            found = {place.name: place}
        else:
            raise UsageError(f"{path} is neither a file nor a folder")
        if not found:
            raise UsageError(f"{path} is an empty folder", "the stage that makes the model has left nothing there")
        with ThreadPoolExecutor(max(2, _THREADS)) as pool:
            known = pool.submit(dvc)
            parts = dict(zip(found, pool.map(_part, found.values()), strict=True))
            return Bundle(
                path=path, place=place, is_folder=stat.S_ISDIR(status.st_mode), files=parts, dvc=known.result()
            )
    except FileNotFoundError:
        raise UsageError(f"there is no {path} here", "`dvc pull` gets it, or `ci-ml train` makes it") from None
    except OSError as error:
        raise DependencyError(f"{path} cannot be read: {error.strerror}") from None


def _walk(top: Path) -> list[str]:
    """The files of a folder; what is reached through a link that leads out of it is none of the model's."""
    found = []
    root = top.resolve()
    for place, _, names in os.walk(top):
        for name in names:
            file = Path(place) / name
            if file.is_symlink() and not _is_cached(file, root):
                raise UsageError(f"{file} is a link out of the model's folder", "a model is registered with all of it")
            found.append(file.relative_to(top).as_posix())
            if len(found) > _MOST:
                raise UsageError(f"{top.name} holds more than {_MOST:,} files", "register one folder of the model")
    return sorted(found)


def _is_cached(file: Path, root: Path) -> bool:
    """Whether a link leads into DVC's cache (cache.type symlink), or stays inside."""
    target = file.resolve()
    return target.is_relative_to(root) or f"{os.sep}files{os.sep}md5{os.sep}" in str(target)


def _part(file: Path) -> Part:
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        return Part(sha256=hashlib.file_digest(stream, "sha256").hexdigest(), size=size)
