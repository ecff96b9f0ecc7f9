"""Files that ci-ml writes: whole or not at all. Layer: adapters."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ci_ml.errors import DependencyError, UsageError

_READ = 64 * 2**20
_COPIED = 2**20
_FICLONE = 0x40049409  # https://man7.org/linux/man-pages/man2/ioctl_ficlone.2.html


def make_output(folder: Path) -> None:
    """Make the output folder before anything is written there. Raises DependencyError when that is impossible."""
    try:
        _own_folder(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None


def write(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or as it was before, and keep its folder out of git.

    A link in its place is replaced, for a change may have put it there. Raises DependencyError when the disk is full,
    the folder cannot be written, or a device or a pipe is there.
    """
    data = _bytes(content)
    temporary = None
    try:
        _refuse_special(path)
        _own_folder(path.parent)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise _unwritable(path, error) from None


def write_to(path: Path, content: str | bytes) -> None:
    """Write where somebody asked for it, whole or not at all; as a shell does into a device, a pipe or through a link.

    Those stay what they are: to put a file in their place is not what was asked for. Raises DependencyError.
    """
    try:
        if not path.is_symlink() and not (path.exists() and _is_special(path.stat().st_mode)):
            write(path, content)
            return
        with path.open("wb") as stream:
            stream.write(_bytes(content))
    except OSError as error:
        raise DependencyError(f"{path} could not be written: {error.strerror}", "choose another place") from None


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")


def _is_special(mode: int) -> bool:
    """Whether what is there is a device, a pipe or a socket."""
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode))


def remove(path: Path) -> None:
    """Remove a file, if it is there. Raises DependencyError when it cannot be removed, or its folder is a link."""
    try:
        _refuse_link(path.parent)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises UsageError when it is, DependencyError when it cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already", "take it away, or edit it") from None
    except OSError as error:
        raise DependencyError(f"{path} could not be written: {error.strerror}") from None


def write_alone(path: Path, data: bytes) -> None:
    """Write a file where somebody asked for it, whole or not at all. Raises DependencyError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DependencyError(f"{path} could not be written: {error.strerror}") from None


def write_folder(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write a folder of files by their paths in it, whole or not at all. Raises DependencyError."""
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        for path, data in content.items():
            place = temporary / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        temporary.chmod(0o755)
        temporary.replace(folder)  # which may be there, if it is empty
    except OSError as error:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
        raise DependencyError(f"{folder} could not be written: {error.strerror}") from None


def write_tracked(root: Path, path: str, text: str) -> None:
    """Write a file that git tracks, whole or not at all; no folder on the way may be a link out of the repository.

    Raises UsageError for such a link, DependencyError when it cannot be written.
    """
    place = _inside(root, path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(place)
    except OSError as error:
        raise DependencyError(f"{path} could not be written: {error.strerror}") from None


def remove_tracked(root: Path, path: str) -> None:
    """Take away a file that git tracks. Raises UsageError behind a link, DependencyError when it cannot be done."""
    place = _inside(root, path)
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        raise DependencyError(f"{path} could not be taken away: {error.strerror}") from None


def _inside(root: Path, path: str) -> Path:
    place = root / path
    if any(folder.is_symlink() for folder in (place, *place.parents) if folder.is_relative_to(root) and folder != root):
        raise UsageError(f"{path} is, or is behind, a symbolic link", "take the link away")
    return place


def copy(source: Path, target: Path) -> None:
    """A copy that shares the blocks of the original where the file system can do that, and changes apart from it.

    Never a hard link: whoever writes into one writes into the other. Raises OSError.
    """
    with source.open("rb") as one, target.open("wb") as other:
        try:
            fcntl.ioctl(other.fileno(), _FICLONE, one.fileno())
        except OSError:
            shutil.copyfileobj(one, other, _COPIED)


@contextlib.contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A folder for as long as the block lasts; one that a killed process left under this prefix goes as well.

    Who holds the lock of a folder is alive, for the system gives it back when a process ends, however it does.
    """
    around = Path(tempfile.gettempdir()).resolve()
    for left in around.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if left.is_dir() and not left.is_symlink() and left.stat().st_uid == os.getuid():
                _swept(left)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=around, ignore_cleanup_errors=True) as folder,
        (Path(folder) / _ALIVE).open("w") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        yield Path(folder)


_ALIVE = ".alive"


def _swept(folder: Path) -> None:
    """Take away a folder that nobody works in. Raises OSError for one that somebody does, or that is none of ours."""
    with (folder / _ALIVE).open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


def append(path: Path, text: str) -> None:
    """Add to a file that the CI system reads. Raises DependencyError when it cannot be written."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        raise DependencyError(f"{path} could not be written: {error.strerror}") from None


def read_plain(path: Path, most: int) -> bytes:
    """At most so many bytes of a file that is one: no link, no pipe, no device. Raises UsageError otherwise."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UsageError(f"{path} is no plain file")
            return stream.read(most)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def is_file(path: Path, mark: re.Pattern[bytes] | None = None) -> bool:
    """Whether there is a file, or a link in its place; with `mark`, a plain file of bounded size that holds it."""
    if mark is None:
        return os.path.islink(path) or os.path.isfile(path)  # noqa: PTH113, PTH114  pathlib raises for a name too long
    try:
        return mark.search(read_plain(path, _READ)) is not None
    except UsageError:
        return False


def sha256(path: Path, most: int) -> str | None:
    """The SHA-256 of a plain file of at most so many bytes, in hexadecimal; None where there is no such file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb", buffering=0) as stream:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                return None
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def changed(path: Path) -> float:
    """When a file was last written, in seconds; 0 when there is none."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def size(path: Path) -> int:
    """Bytes in a file; 0 when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _unwritable(path: Path, error: OSError) -> DependencyError:
    hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "choose another place"
    return DependencyError(f"{path} could not be written: {error.strerror}", f"{hint}, or use --output DIR")


def _own_folder(folder: Path) -> None:
    """Make the output folder; a folder made here ignores itself, so that no run shows up in git status.

    Raises OSError when it cannot be made.
    """
    _refuse_link(folder)
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def _refuse_special(path: Path) -> None:
    if os.path.lexists(path) and _is_special(path.lstat().st_mode):
        raise OSError(errno.EEXIST, "it is no plain file")


def _refuse_link(folder: Path) -> None:
    if folder.is_symlink():  # a change may have put it there, to have us write or remove elsewhere
        raise OSError(errno.ELOOP, "it is a symbolic link")
