"""A fake forge as a process of its own, for jobs that run in containers or under another tool.

Prints its address on the first line, then serves until SIGTERM or SIGINT; then writes its memory as JSON to --dump, or prints
it. Meanwhile `GET /_fake/state` tells the same.
"""

import argparse
import json
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fakes.server import Server


def main(
    kind: Callable[..., Server],
    populated: Callable[[Any, Mapping[str, Any]], None],
    arguments: Sequence[str] | None = None,
) -> None:
    parser = argparse.ArgumentParser(description="A fake forge on a port of its own.")
    parser.add_argument("--setup", type=Path, help="JSON with the repositories, pull requests and tokens to begin with")
    parser.add_argument("--dump", type=Path, help="where the memory is written at the end; by default it is printed")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="", help="such as /api/v3, of a GitHub Enterprise Server")
    chosen = parser.parse_args(arguments)
    options = {"prefix": chosen.prefix} if chosen.prefix else {}
    forge = kind(host=chosen.host, port=chosen.port, **options)
    if chosen.setup:
        populated(forge, json.loads(chosen.setup.read_bytes()))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with forge:
        print(forge.url, flush=True)
        ended.wait()
    memory = json.dumps(forge.state(), indent=1)
    if chosen.dump:
        chosen.dump.write_text(memory, encoding="utf-8")
    else:
        print(memory, flush=True)
