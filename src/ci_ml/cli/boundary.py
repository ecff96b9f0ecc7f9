"""Where errors end: one clear message on stderr and the exit code of the contract. Layer: cli."""

import errno
import io
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ci_ml.errors import CiMlError, ConfigError, DependencyError, StageFailed
from ci_ml.render import safe


@contextmanager
def errors() -> Iterator[None]:
    """Turn what the user can act on into a message and an exit code; everything else stays a crash (exit 1)."""
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character shows a question mark
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        yield
    except CiMlError as error:
        click.echo(message(error), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): end quietly, and keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        click.echo(message(DependencyError("the output could not be written: the disk is full")), err=True)
        sys.exit(DependencyError.exit_code)


def _interrupt(*_: object) -> None:
    """A CI system that cancels a job sends SIGTERM: end as cleanly as on Ctrl-C."""
    raise KeyboardInterrupt


def message(error: CiMlError) -> str:
    """What went wrong, where, and what to do, as lines of text without control characters."""
    lines = [f"{click.style('error:', fg='red', bold=True)} {safe.printable(error.what)}"]
    if isinstance(error, ConfigError):
        lines.extend(f"  {safe.printable(problem)}" for problem in error.problems)
    if isinstance(error, StageFailed) and error.last_lines:
        lines.extend(["its last lines:", *(f"  {safe.printable(line)}" for line in error.last_lines)])
    if error.hint:
        lines.append(f"{click.style('hint:', bold=True)} {safe.printable(error.hint)}")
    return safe.inert("\n".join(lines))


def width() -> int:
    """How wide output for people may be: the terminal's width, and 120 columns elsewhere."""
    return shutil.get_terminal_size((120, 24)).columns if getattr(sys.stdout, "isatty", bool)() else 120


def color() -> bool:
    """Whether stdout is a terminal that wants colour."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown")
    return getattr(sys.stdout, "isatty", bool)() and not plain
