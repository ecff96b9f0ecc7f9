"""Training as people watch it: a live line on a terminal, plain lines elsewhere. Layer: adapters."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO

from ci_ml.core.training import CommandStarted, Event, OutputLine, StageRun, StageStarted, StageState

_TRANSIENT_EVERY = 10.0
_STYLE = {StageState.RAN: "green", StageState.CACHED: "cyan", StageState.SKIPPED: "dim", StageState.FAILED: "red"}
_WORDS = {
    StageState.RAN: "ran in {seconds}",
    StageState.CACHED: "from cache in {seconds}",
    StageState.SKIPPED: "did not change",
    StageState.FAILED: "failed after {seconds}",
}


class Display(Protocol):
    """Shows events as they happen."""

    def show(self, event: Event) -> None: ...


@contextlib.contextmanager
def display(stream: TextIO, total: int) -> Iterator[Display]:
    """A display on `stream` for a pipeline of `total` stages: live on a terminal, plain lines elsewhere."""
    if not stream.isatty():
        yield Plain(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=stream, highlight=False, markup=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        yield Live(progress, progress.add_task("starting DVC", total=total or None))


@contextlib.contextmanager
def counting(stream: TextIO, total: int) -> Iterator[Callable[[str, int], None]]:
    """What is told, by name, how many of `total` are done: a bar on a terminal, nothing elsewhere."""
    if not stream.isatty():
        yield lambda name, done: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream, highlight=False, markup=False), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda name, done: progress.update(task, description=name, completed=done)


class Plain:
    """One line per line, each with its stage in front; progress bars at most every ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0.0

    def show(self, event: Event) -> None:
        match event:
            case CommandStarted():
                for command in event.commands:
                    self._line(event.name, f"$ {command}")
            case OutputLine():
                if not event.transient or self._is_due():
                    self._line(event.name, event.text)
            case StageRun():
                self._line(event.name, outcome(event))

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._shown < _TRANSIENT_EVERY:
            return False
        self._shown = now
        return True

    def _line(self, name: str | None, text: str) -> None:
        self._stream.write(f"{name or 'dvc'} | {text}\n")
        self._stream.flush()


class Live:
    """Lines scroll above a bar that says which stage runs and for how long."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task

    def show(self, event: Event) -> None:
        from rich.text import Text

        match event:
            case StageStarted():
                self._progress.update(self._task, description=event.name)
            case CommandStarted():
                for command in event.commands:
                    self._progress.console.print(Text(f"$ {command}", style="bold"))
            case OutputLine() if event.transient:
                self._progress.update(self._task, description=f"{event.name}: {Text.from_ansi(event.text).plain[:60]}")
            case OutputLine():
                self._progress.console.print(Text.from_ansi(event.text))
            case StageRun():
                self._progress.update(self._task, advance=1)
                self._progress.console.print(Text(f"{event.name}: {outcome(event)}", style=_STYLE[event.state]))


def outcome(event: StageRun) -> str:
    """What became of a stage, in words."""
    return _WORDS[event.state].format(seconds=f"{event.seconds:.1f} s")
