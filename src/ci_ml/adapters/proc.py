"""The only door to other processes. Layer: adapters.

Commands are lists, never shell strings. Git's own variables are dropped from the environment, because a hook sets
them and every git below would then work on the wrong index (https://git-scm.com/docs/githooks).
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_ml.errors import DependencyError

_POLL = 0.2
_PATIENCE = 5.0

_GIT_OF_THE_HOOK = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
)


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: bytes
    err: str


def environment(base: Mapping[str, str], **extra: str) -> dict[str, str]:
    """`base` without what a git hook left in it, plus `extra`."""
    return {**{key: value for key, value in base.items() if key not in _GIT_OF_THE_HOOK}, **extra}


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a command to its end.

    Raises DependencyError when it cannot be started or does not end within `timeout` seconds.
    """
    source: dict[str, object] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    try:
        done = subprocess.run(  # noqa: S603
            list(command),
            cwd=cwd,
            env=dict(env),
            capture_output=True,
            timeout=timeout,
            check=False,
            **source,  # type: ignore[call-overload]
        )
    except FileNotFoundError:
        raise DependencyError(f"{command[0]} is not installed or not on PATH", f"install {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise DependencyError(f"{command[0]} {command[1]} did not answer within {timeout:g} s") from None
    except OSError as error:
        raise DependencyError(f"{command[0]} cannot be started: {error.strerror}") from None
    return Completed(code=done.returncode, out=done.stdout, err=done.stderr.decode("utf-8", "replace").strip())


@dataclass(frozen=True)
class Process:
    """A running command in a session of its own; its output and errors come through one pipe."""

    _popen: "subprocess.Popen[bytes]"

    def read(self, size: int, stopped: Callable[[], bool] = bool) -> bytes:
        """Up to `size` bytes as soon as there are any; nothing at the end of the output.

        The output ends when the command does, also when something it left in the background keeps the pipe open.
        Raises KeyboardInterrupt once `stopped` says so, for a thread that Ctrl-C does not reach.
        """
        assert self._popen.stdout is not None
        pipe = self._popen.stdout.fileno()
        while not (there := select.select([pipe], [], [], _POLL)[0]) or stopped():
            if stopped():
                raise KeyboardInterrupt
            if not there and self._popen.poll() is not None and not select.select([pipe], [], [], 0)[0]:
                return b""
        return os.read(pipe, size)

    def wait(self) -> int:
        """The exit code; negative for the signal that ended it."""
        return self._popen.wait()

    def stop(self, patience: float = _PATIENCE) -> None:
        """End the command and all its children, ever more firmly; returns when none is left."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)
            deadline = time.monotonic() + patience
            while self._is_there() and time.monotonic() < deadline:
                time.sleep(_POLL / 4)
            if not self._is_there():
                return

    def _is_there(self) -> bool:
        self._popen.poll()  # what has ended counts until somebody has asked
        try:
            os.killpg(self._popen.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def end(self, patience: float) -> None:
        """Wait for the end, and after `patience` seconds enforce it on the command and all its children."""
        try:
            self._popen.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
        if self._popen.stdout:
            self._popen.stdout.close()


_LINE_BYTES = 64 * 1024
_BREAK = re.compile(rb"\r\n|\n|\r")


def lines(process: Process, stopped: Callable[[], bool] = bool) -> Iterator[tuple[str, bool]]:
    """Lines as they come; one that ends in a carriage return alone is transient, and endless ones are cut."""
    pending = b""
    while chunk := process.read(_LINE_BYTES, stopped):
        pending += chunk
        position = 0
        for match in _BREAK.finditer(pending):
            if match.end() == len(pending) and match[0] == b"\r":
                break  # the line feed may be on its way
            piece = pending[position : match.start()]
            position = match.end()
            if piece:
                yield piece.decode("utf-8", "replace"), match[0] == b"\r"
        pending = pending[position:]
        if len(pending) > _LINE_BYTES:
            yield pending.decode("utf-8", "replace"), False
            pending = b""
    if pending.strip(b"\r\n"):
        yield pending.strip(b"\r\n").decode("utf-8", "replace"), False


def start(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    pass_fds: tuple[int, ...] = (),
) -> Process:
    """Start a command in a session of its own, with its output and errors in one pipe and no input.

    A session of its own lets the caller end it with all its children. Raises DependencyError when it cannot start.
    """
    try:
        popen = subprocess.Popen(  # noqa: S603
            list(command),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except OSError as error:
        raise DependencyError(f"{command[0]} cannot be started: {os.strerror(error.errno or 0)}") from None
    return Process(popen)
