"""Repositories to measure on: N stages, each with a script, a parameter and a metrics file, and two commits."""

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path


def stages(folder: Path, count: int) -> Path:
    """A committed DVC project whose dvc.lock is true at both commits; the second moves every metric and parameter."""
    folder.mkdir(parents=True)
    _run(folder, "git", "init", "-q", "-b", "main")
    _run(folder, sys.executable, "-m", "dvc", "init", "-q")
    for revision in range(2):
        _write(folder, count, revision, _GATES)
        _commit(folder, revision)
    return folder


def graph(folder: Path, count: int) -> Path:
    """Like `stages`, where each stage but the first needs the output of another, and has a job in ci-ml.yaml."""
    folder.mkdir(parents=True)
    _run(folder, "git", "init", "-q", "-b", "main")
    _run(folder, sys.executable, "-m", "dvc", "init", "-q")
    for revision in range(2):
        _write(folder, count, revision, _GATES + _PIPELINES, edges=True)
        _commit(folder, revision)
    return folder


def predictions(folder: Path, rows: int) -> Path:
    """A repository with a table of predictions at two commits, and gates on it (ci-ml.yaml) or on a number only."""
    folder.mkdir(parents=True)
    _run(folder, "git", "init", "-q", "-b", "main")
    for revision in range(2):
        chance = random.Random(revision)
        same = random.Random(7)
        lines = ["id,label,score,country"]
        for index in range(rows):
            label = int(same.random() < 0.3)
            score = min(max(same.gauss(0.35 + 0.3 * label, 0.18) + chance.gauss(0, 0.02), 0), 1)
            lines.append(f"{index},{label},{score:.6f},{same.choice(_COUNTRIES)}")
        files = {"p.csv": "\n".join(lines) + "\n", "m.json": '{"accuracy": 0.9}'}
        for name, text in {**files, "ci-ml.yaml": _TABLE_GATES, "numbers.yaml": _NUMBER_GATES}.items():
            (folder / name).write_text(text, encoding="utf-8")
        _commit(folder, revision)
    return folder


def _commit(folder: Path, revision: int) -> None:
    _run(folder, "git", "add", ".")
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    _run(folder, "git", *identity, "commit", "-q", "-m", f"revision {revision}")


def _write(folder: Path, count: int, revision: int, gates: str, *, edges: bool = False) -> None:
    rate = 0.1 + revision / 10
    files = {"params.yaml": f"lr: {rate}\n", "ci-ml.yaml": gates}
    pipeline, lock = ["stages:"], ["schema: '2.0'", "stages:"]
    for index in range(count):
        script = f"print({index})\n"
        metrics = json.dumps({"accuracy": 0.9 + revision / 100, "loss": 0.1, "classes": {"a": index, "b": 0.5}})
        files[f"src/s{index}.py"], files[f"metrics/m{index}.json"] = script, metrics
        above = f"metrics/m{(index - 1) // 2}.json" if edges and index else ""
        pipeline.append(_STAGE.format(index=index, above=f"\n    - {above}" if above else ""))
        known = _NEEDED.format(path=above, digest=_md5(files[above])) if above else ""
        lock.append(_LOCK.format(index=index, script=_md5(script), metrics=_md5(metrics), rate=rate, above=known))
    files |= {"dvc.yaml": "\n".join(pipeline) + "\n", "dvc.lock": "\n".join(lock) + "\n"}
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


_COUNTRIES = ("DE", "FR", "IT", "ES", "PL")
_NUMBER_GATES = """version: 1
gates:
- {metric: "m.json:accuracy", direction: higher}
"""
_TABLE_GATES = f"""{_NUMBER_GATES.rstrip()}
- {{metric: test.accuracy, margin: 0.02, slices: {{by: country}}}}
- {{metric: test.recall, margin: 0.05, slices: {{by: country}}}}
- {{metric: test.precision, margin: 0.05}}
- {{metric: test.f1, margin: 0.05}}
- {{metric: test.balanced_accuracy, margin: 0.05}}
- {{metric: test.mcc, margin: 0.05}}
- {{metric: test.log_loss, margin: 5%}}
- {{metric: test.brier, margin: 5%}}
- {{metric: test.roc_auc, margin: 0.02}}
- {{metric: test.average_precision, margin: 0.02}}
predictions:
  test: {{path: p.csv, task: binary, id: id, label: label, score: score}}
"""
_GATES = """version: 1
train: {track: false}
gates:
- {metric: "metrics/*.json:accuracy", direction: higher, margin: 0.005}
- {metric: "metrics/*.json:loss", direction: lower}
"""
_PIPELINES = """pipelines:
- {forge: github, layout: stages}
"""
_NEEDED = """
    - path: {path}
      hash: md5
      md5: {digest}"""
_STAGE = """  s{index}:
    cmd: python src/s{index}.py
    deps:
    - src/s{index}.py{above}
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
      md5: {script}{above}
    params:
      params.yaml:
        lr: {rate}
    outs:
    - path: metrics/m{index}.json
      hash: md5
      md5: {metrics}"""
