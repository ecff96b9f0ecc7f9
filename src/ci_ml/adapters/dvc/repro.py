"""Reproducing a pipeline in another process, as a stream of events. Layer: adapters."""

import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ci_ml.adapters import proc
from ci_ml.core.training import CommandStarted, Event, Failure, OutputLine, StageRun, StageStarted, StageState

# The runner ends a stubborn stage within 15 s; after that it is ended itself.
_PATIENCE = 30.0


def reproduce(
    folder: Path,
    targets: Sequence[str],
    *,
    force: bool,
    env: Mapping[str, str],
    alone: bool = False,
    anew: bool = False,
    kept: bool = True,
    stopped: Callable[[], bool] = bool,
) -> Generator[Event]:
    """Reproduce `targets` (every stage below `folder` when empty), pulling what that needs; yields what happens.

    `alone`: none of the stages upstream of the targets is looked at, and the targets' outputs are here afterwards.
    `anew`: outputs that outlive a run (`persist`) are put back to what dvc.lock has first. Not `kept`: what is made
    gets into no cache, and dvc.lock of `folder` says all the same what it was.

    Closing the generator, or an exception in its consumer such as KeyboardInterrupt, stops the training: when it
    returns, no process of it is left. In a thread, `stopped` says that there
    was one elsewhere. The environment of the stages is `env` as it is.
    """
    nonce = f"\x1e{secrets.token_hex(16)} "
    control, ours = os.pipe()
    chosen = {"root": ".", "targets": list(targets), "force": force, "alone": alone, "anew": anew, "kept": kept}
    options = json.dumps({**chosen, "control": control})
    command = [sys.executable, "-E", "-P", "-m", "ci_ml.adapters.dvc.runner", nonce, options]
    try:
        process = proc.start(command, cwd=folder, env=env, pass_fds=(control,))
    finally:
        os.close(control)
    try:
        yield from _events(process, nonce, stopped)
    finally:
        with contextlib.suppress(OSError):
            os.close(ours)
        process.end(_PATIENCE)


def _events(process: proc.Process, nonce: str, stopped: Callable[[], bool]) -> Iterator[Event]:
    stage: str | None = None
    failed = False
    for text, transient in proc.lines(process, stopped):
        if not text.startswith(nonce):
            yield OutputLine(name=stage, text=text, transient=transient)
            continue
        event = json.loads(text[len(nonce) :])
        stage = event.get("stage") if event["event"] in ("start", "command") else stage
        failed = failed or event["event"] == "failure"
        yield _event(event)
    code = process.wait()
    if code not in (0, 130) and not failed:
        yield Failure(stage=stage, message=f"DVC ended with {_ending(code)} without saying why")


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _event(event: Mapping[str, Any]) -> Event:
    match event["event"]:
        case "start":
            return StageStarted(name=event["stage"])
        case "command":
            return CommandStarted(name=event["stage"], commands=tuple(event["commands"]))
        case "end":
            return StageRun(name=event["stage"], state=StageState(event["state"]), seconds=round(event["seconds"], 3))
        case _:
            return Failure(**{key: value for key, value in event.items() if key != "event"})
