"""A real project to run the real command on: a git repository, with or without DVC, in a folder of its own."""

import errno
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

# Generous, because it only ever ends a test that hangs.
DEADLINE = 120.0

# One process for all of DVC's part, because each `dvc` costs half a second to start.
_BUILD = """
import sys
from dvc.repo import Repo
with Repo.init() as repo:
    repo.add(sys.argv[1:])
    with repo.config.edit() as config:
        config["remote"]["storage"] = {"url": "../remote"}
        config["core"] = {"remote": "storage", "autostage": False, "analytics": False}
with Repo() as repo:
    repo.reproduce(["."], recursive=True)
    repo.push()
"""

SCRIPTS = {
    "src/prepare.py": """\
import random, yaml
params = yaml.safe_load(open("params.yaml"))["prepare"]
rows = open("data/raw.csv").read().split()
kept = rows[: int(len(rows) * params["keep"])]
open("data/clean.csv", "w").write("\\n".join(kept) + "\\n")
""",
    "src/train.py": """\
import json, math, yaml
params = yaml.safe_load(open("params.yaml"))["train"]
rows = [tuple(map(float, line.split(","))) for line in open("data/clean.csv")]
slope = offset = 0.0
for step in range(params["steps"]):
    for x, y in rows:
        error = 1 / (1 + math.exp(-(slope * x + offset))) - y
        slope -= params["rate"] * error * x
        offset -= params["rate"] * error
json.dump({"slope": slope, "offset": offset}, open("model.json", "w"))
print("trained", params["steps"], "steps")
""",
    "src/evaluate.py": """\
import json, math
model = json.load(open("model.json"))
rows = [tuple(map(float, line.split(","))) for line in open("data/raw.csv")]
score = lambda x: 1 / (1 + math.exp(-(model["slope"] * x + model["offset"])))
right = sum((score(x) > 0.5) == (y > 0.5) for x, y in rows)
loss = -sum(math.log(score(x) if y > 0.5 else 1 - score(x)) for x, y in rows) / len(rows)
json.dump({"accuracy": right / len(rows), "loss": {"log": loss}, "rows": len(rows)}, open("metrics.json", "w"))
""",
}

PARAMS = {"prepare": {"keep": 1.0}, "train": {"rate": 0.1, "steps": 3}}

DVC_YAML = """\
stages:
  prepare:
    cmd: python src/prepare.py
    deps: [src/prepare.py, data/raw.csv]
    params: [prepare]
    outs: [data/clean.csv]
  train:
    cmd: python src/train.py
    deps: [src/train.py, data/clean.csv]
    params: [train.rate, train.steps]
    outs: [model.json]
  evaluate:
    cmd: python src/evaluate.py
    deps: [src/evaluate.py, data/raw.csv, model.json]
    metrics: [metrics.json: {cache: false}]
"""

# Without MLflow, whose new store costs seconds; test_mlflow.py is about it.
CI_ML_YAML = """\
version: 1
train: {track: false}
gates:
  - metric: metrics.json:accuracy
    direction: higher
    margin: 0.01
  - metric: metrics.json:loss.log
    direction: lower
    margin: 10%
    severity: warn
"""

GATES = """\
version: 1
gates:
  - {metric: "metrics.json:accuracy", direction: higher, margin: 0.01}
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def json(self) -> Any:
        """What it printed, read as strict JSON."""
        return strict(self.out)

    def expect(self, code: int) -> "Result":
        """This result, if it ended with `code` and showed no traceback."""
        assert self.code == code, self.text
        assert "Traceback" not in self.out + self.err, self.text
        return self


def strict(text: str | bytes) -> Any:
    """JSON without NaN and infinity."""

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Wait until a condition holds and hand back its value; fail after a deadline."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"still not after {seconds:g} s: {what}"
        time.sleep(0.01)
    return value


def clean_environment(home: Path) -> dict[str, str]:
    """An environment with nothing of the machine in it: no CI system, no configuration of git or DVC, an empty HOME."""
    home.mkdir(parents=True, exist_ok=True)
    who = {"NAME": "Ada", "EMAIL": "ada@example.org"}
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()},
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "100",  # a server that is there answers, however busy the machine is
        "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc-global"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
    }


@dataclass(frozen=True, kw_only=True)
class Project:
    """A repository at `root`; every command gets `env` and nothing else of this process's environment."""

    root: Path
    env: Mapping[str, str] = field(repr=False)

    def run(
        self,
        *command: str,
        cwd: str | Path = ".",
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        **options: Any,
    ) -> Result:
        done = subprocess.run(
            command,
            cwd=self.root / cwd,
            env={**self.env, **(env or {})},
            input=(stdin or "").encode(),
            capture_output=True,
            timeout=DEADLINE,
            **options,
        )
        return Result(
            code=done.returncode, out=done.stdout.decode("utf-8", "replace"), err=done.stderr.decode("utf-8", "replace")
        )

    def ci_ml(self, *arguments: str, **options: Any) -> Result:
        """Run `ci-ml` as a process; options are those of `run`."""
        return self.run(sys.executable, "-m", "ci_ml", *arguments, **options)

    def build(self, *data: str) -> None:
        """Make it a DVC project that has run, with this data and everything that it made on a remote beside it."""
        done = self.run(sys.executable, "-c", _BUILD, *data)
        assert done.code == 0, done.text

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> "subprocess.Popen[bytes]":
        """Start `ci-ml` and hand back the running process."""
        defaults: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "start_new_session": True,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "ci_ml", *arguments],
            cwd=self.root,
            env={**self.env, **(env or {})},
            **{**defaults, **options},
        )

    def on_a_terminal(self, *arguments: str, code: int = 0, **env: str) -> str:
        """What `ci-ml` shows when its output is a terminal; it has to end with `code`."""
        ours, theirs = pty.openpty()
        shown = b""
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        with ended(self.start(*arguments, env={"TERM": "xterm-256color", **env}, **streams)) as process:
            os.close(theirs)
            try:
                while chunk := os.read(ours, 4096):
                    shown += chunk
            except OSError as error:
                if error.errno != errno.EIO:  # how Linux says that the other side has closed
                    raise
            finally:
                os.close(ours)
            assert process.wait(DEADLINE) == code, shown.decode()
        return shown.decode()

    def git(self, *arguments: str) -> str:
        """Run a git command that must succeed; hands back what it printed."""
        return self._tell("git", *arguments)

    def dvc(self, *arguments: str) -> str:
        """Run a DVC command that must succeed; hands back what it printed."""
        return self._tell(sys.executable, "-m", "dvc", *arguments)

    def _tell(self, *command: str) -> str:
        done = self.run(*command)
        assert done.code == 0, f"{' '.join(command)}: {done.text}"
        return done.out.rstrip("\n")

    def write(self, path: str, content: Any) -> Path:
        """Write a file: text and bytes as they are, anything else as JSON or, by the file's ending, as YAML."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        elif isinstance(content, str):
            place.write_text(content, encoding="utf-8", newline="")
        elif path.endswith((".yaml", ".lock", ".dvc")):
            yaml = YAML()
            buffer = io.StringIO()
            yaml.dump(content, buffer)
            place.write_text(buffer.getvalue(), encoding="utf-8")
        else:
            place.write_text(json.dumps(content), encoding="utf-8")
        return place

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def yaml(self, path: str) -> Any:
        return YAML(typ="safe", pure=True).load(self.read(path))

    def json(self, path: str) -> Any:
        return strict(self.read(path))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file that must contain it exactly once."""
        text = self.read(path)
        assert text.count(old) == 1, (path, old, text)
        self.write(path, text.replace(old, new))

    def remove(self, path: str) -> None:
        place = self.root / path
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()

    def commit(self, message: str = "change") -> str:
        """Commit everything; hands back the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str = "change") -> None:
        """A new branch from here, checked out."""
        self.git("checkout", "--quiet", "-b", name)

    def status(self) -> str:
        """What git sees as changed."""
        return self.git("status", "--porcelain")

    def clone(self, name: str, *options: str, url: str | None = None) -> "Project":
        """A fresh clone beside this one, which reaches the same DVC remote."""
        target = self.root.parent / name
        self.git("clone", "--quiet", *options, url or str(self.root), str(target))
        return Project(root=target, env=self.env)

    def remote_files(self) -> set[str]:
        """The digests of the objects on the DVC remote."""
        return objects(self.root.parent / "remote" / "files" / "md5")

    def cached(self) -> set[str]:
        """The digests of the objects in the DVC cache."""
        return objects(self.root / ".dvc" / "cache" / "files" / "md5")

    def digest(self, path: str) -> str:
        """The digest that a .dvc file or dvc.lock records for an output."""
        if (self.root / f"{path}.dvc").exists():
            return str(self.yaml(f"{path}.dvc")["outs"][0]["md5"])
        found = {
            out["path"]: out["md5"]
            for stage in self.yaml("dvc.lock")["stages"].values()
            for out in stage.get("outs", [])
        }
        return str(found[path])


def objects(folder: Path) -> set[str]:
    """The digests of the objects in a DVC store."""
    return {place.parent.name + place.name for place in folder.glob("??/*")}


def copy(template: Path, target: Path) -> None:
    """Copy a template with everything in it, times included."""
    shutil.copytree(template, target, symlinks=True)


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is gone when the block is left, whatever happens in it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(DEADLINE)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def alive(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return re.match(r"\d+ \(.*\) Z", state, re.DOTALL) is None
