"""The demo project and the parts of ci-ml that work in it. Layer: wiring."""

import importlib.util
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from ci_ml.adapters import examples, git, proc
from ci_ml.adapters.dvc import commands
from ci_ml.core.report import Report
from ci_ml.core.training import Training
from ci_ml.errors import DependencyError, UsageError
from ci_ml.usecases import difference
from ci_ml.wiring import gate, training, workspace

# Another repository's, server's or CI job's settings have no place in the demo, which is about itself.
_NOT_FOR_DEMO = re.compile(r"(GITHUB_|GITLAB_|CI_|MLFLOW_|DVC_(?!SITE_CACHE_DIR))\w+|CI")


def run(output: Path, stream: TextIO, *, width: int, color: bool) -> None:
    """Build the demo project in `output`, and show what ci-ml says about it.

    Raises UsageError when something is missing or `output` is somebody else's, before anything is touched.
    """
    from ci_ml.usecases import demo  # it renders: no other command pays for that

    folder = Path.cwd() / output
    example = examples.source(demo.EXAMPLE)
    shop = _Workshop(folder=folder, env=_demo_environment(folder))
    _require_for_demo(shop.env)
    examples.claim(folder)
    examples.copy(example, folder)

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    named = shlex.quote(str(output))
    demo.demo(shop, demo.Screen(write=write, width=width, color=color, folder=named, activate=_activation()))


def _demo_environment(folder: Path) -> dict[str, str]:
    """This environment with ci-ml's interpreter as `python`, and with no settings for git and DVC but the demo's."""
    kept = {name: value for name, value in os.environ.items() if not _NOT_FOR_DEMO.fullmatch(name)}
    nowhere = str(folder / ".git" / "no-config")
    identity = {f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in _DEMO_AUTHOR.items()}
    return proc.environment(
        kept,
        **identity,
        PATH=os.pathsep.join(filter(None, (str(Path(sys.executable).parent), kept.get("PATH")))),
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_CONFIG_NOSYSTEM="1",
        DVC_NO_ANALYTICS="1",
        DVC_GLOBAL_CONFIG_DIR=nowhere,
        DVC_SYSTEM_CONFIG_DIR=nowhere,
    )


_DEMO_AUTHOR = {"NAME": "ci-ml demo", "EMAIL": "demo@ci-ml.invalid"}


def _require_for_demo(env: Mapping[str, str]) -> None:
    if importlib.util.find_spec("sklearn") is None:
        raise UsageError("the demo trains with scikit-learn, which is not installed", "pip install 'ci-ml[demo]'")
    if shutil.which("python", path=str(Path(sys.executable).parent)) is None:
        where = Path(sys.executable).parent
        raise UsageError(
            f"the demo's stages call `python`, and {where} has none", "install ci-ml in a virtual environment"
        )
    proc.run(["git", "--version"], cwd=Path.cwd(), env=env)


def _activation() -> str | None:
    """The command that puts this environment on PATH, where it is a virtual environment and not active."""
    script = Path(sys.prefix) / "bin" / "activate"
    if sys.prefix in (sys.base_prefix, os.environ.get("VIRTUAL_ENV")) or not script.is_file():
        return None
    near = script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script
    return f"source {shlex.quote(str(near))}"


@dataclass(frozen=True, kw_only=True)
class _Workshop:
    """The demo's folder, and the parts of ci-ml that work in it."""

    folder: Path
    env: Mapping[str, str] = field(repr=False)

    def git(self, *arguments: str) -> None:
        git.Git(root=self.folder, env=self.env).tell(*arguments)

    def hide(self, *names: str) -> None:
        examples.hide(self.folder, examples.MARKER, *names)

    def dvc(self, *run: Sequence[str]) -> None:
        commands.run(run, cwd=self.folder, env=self.env)

    def python(self, script: str) -> None:
        done = proc.run(["python", script], cwd=self.folder, env=self.env)
        if done.code != 0:
            raise DependencyError(f"python {script} failed: {done.err[-500:]}")

    def edit(self, path: str, old: str, new: str) -> None:
        examples.replace(self.folder / path, old, new)

    def train(self) -> Training:
        return training.run(self._space(), io.StringIO())

    def numbers(self) -> Mapping[str, float]:
        return difference.numbers(self._space().head_side())

    def check(self) -> Report:
        return gate.run(self._space(), None, "base", sys.stderr)

    def _space(self) -> workspace.Workspace:
        return workspace.find(None, None, cwd=self.folder, env=self.env)
