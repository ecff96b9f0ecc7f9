"""Repositories to measure on: N stages, each with a script, a parameter and a metrics file, and two commits."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path


def stages(folder: Path, count: int) -> Path:
    """A committed DVC project whose dvc.lock is true at both commits; the second moves every metric and parameter."""
    folder.mkdir(parents=True)
    _run(folder, "git", "init", "-q", "-b", "main")
    _run(folder, sys.executable, "-m", "dvc", "init", "-q")
    for revision in range(2):
        _write(folder, count, revision)
        _run(folder, "git", "add", ".")
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
        _run(folder, "git", *identity, "commit", "-q", "-m", f"revision {revision}")
    return folder


def _write(folder: Path, count: int, revision: int) -> None:
    rate = 0.1 + revision / 10
    files = {"params.yaml": f"lr: {rate}\n", "ci-ml.yaml": _GATES}
    pipeline, lock = ["stages:"], ["schema: '2.0'", "stages:"]
    for index in range(count):
        script = f"print({index})\n"
        metrics = json.dumps({"accuracy": 0.9 + revision / 100, "loss": 0.1, "classes": {"a": index, "b": 0.5}})
        files[f"src/s{index}.py"], files[f"metrics/m{index}.json"] = script, metrics
        pipeline.append(_STAGE.format(index=index))
        lock.append(_LOCK.format(index=index, script=_md5(script), metrics=_md5(metrics), rate=rate))
    files |= {"dvc.yaml": "\n".join(pipeline) + "\n", "dvc.lock": "\n".join(lock) + "\n"}
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


_GATES = """version: 1
train: {track: false}
gates:
- {metric: "metrics/*.json:accuracy", direction: higher, margin: 0.005}
- {metric: "metrics/*.json:loss", direction: lower}
"""
_STAGE = """  s{index}:
    cmd: python src/s{index}.py
    deps:
    - src/s{index}.py
    params:
    - lr
    metrics:
    - metrics/m{index}.json:
        cache: false"""
_LOCK = """  s{index}:
    cmd: python src/s{index}.py
    deps:
    - path: src/s{index}.py
      hash: md5
      md5: {script}
    params:
      params.yaml:
        lr: {rate}
    outs:
    - path: metrics/m{index}.json
      hash: md5
      md5: {metrics}"""
