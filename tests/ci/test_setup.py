"""templates/setup.sh, run for real: an environment of ci-ml's own, complete or not there, and nobody else's touched."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci_ml import __version__
from tests.ci import runners
from tests.ci.runners import ROOT
from tests.e2e.project import DEADLINE, Project, Result, ended, until

pytestmark = pytest.mark.thorough

# What a job may have set for its own Python, pip and uv, and what each would do to ours.
FOREIGN = {
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "{folder}/shadows",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_TARGET": "{folder}/target",
    "PIP_USER": "1",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "UV_PROJECT_ENVIRONMENT": "{folder}/target",
    "UV_SYSTEM_PYTHON": "1",
    "UV_PYTHON": "2.7",
    "UV_EXCLUDE_NEWER": "2001-01-01T00:00:00Z",
    "UV_CONSTRAINT": "{folder}/constraints.txt",
    "UV_COMPILE_BYTECODE": "1",
    "UV_NO_BUILD": "1",
    "VIRTUAL_ENV": "{folder}/target",
}


def test_it_prints_the_path_of_a_command_that_works_and_nothing_else(
    tool_cache: Path, checkout: Path, ready: dict[str, str]
) -> None:
    done = runners.set_up(checkout, tool_cache, ready)
    assert (done.code, done.err) == (0, ""), "it was there already"
    command = Path(done.out.removesuffix("\n"))
    assert command.parts[-4:-2] == ("ci-ml", command.parts[-3])
    assert command.parts[-3].startswith(f"{__version__}-")
    assert Project(root=tool_cache, env=ready).run(str(command), "--version").out == f"ci-ml {__version__}\n"


def test_what_it_installs_is_what_the_wheel_would_hold(tool_cache: Path, checkout: Path) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["src/ci_ml"]
    package = _package(tool_cache)
    for source, target in {"src/ci_ml": "ci_ml", **wheel["force-include"]}.items():
        for file in _files(checkout / source):
            assert (package.parent / target / file).read_bytes() == (checkout / source / file).read_bytes()


def test_every_package_is_the_one_in_the_lock(tool_cache: Path, ready: dict[str, str]) -> None:
    python = _package(tool_cache).parents[3] / "bin" / "python"
    listing = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"
    found = (
        Project(root=tool_cache, env=ready)
        .run(str(python), "-I", "-c", listing)
        .out.lower()
        .replace("_", "-")
        .replace(".", "-")
    )
    lock = (ROOT / "requirements" / "ci-ml.txt").read_text().lower().replace("_", "-").replace(".", "-")
    locked = set(re.findall(r"^(\S+==\S+)", lock, re.MULTILINE))
    assert found.split()
    assert set(found.split()) <= locked


def test_a_job_that_set_everything_for_its_own_python_gets_the_same(
    checkout: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    for name in ("click", "yaml", "ci_ml", "sitecustomize"):
        (tmp_path / "shadows").mkdir(exist_ok=True)
        (tmp_path / "shadows" / f"{name}.py").write_text("raise SystemExit('this is not the one')")
    (tmp_path / "constraints.txt").write_text("click==1.0\n")
    (tmp_path / "target").mkdir()
    (tmp_path / "uv.toml").write_text('exclude-newer = "2001-01-01T00:00:00Z"\n')
    foreign = {name: value.format(folder=tmp_path) for name, value in FOREIGN.items()}
    done = runners.set_up(checkout, tmp_path, {**ready, **foreign})
    assert done.code == 0, done.text
    assert not list((tmp_path / "target").iterdir())
    here = Project(root=tmp_path / "shadows", env={**ready, **foreign})
    assert here.run(done.out.strip(), "schema").expect(0).json()["title"]
    bytecode = list(_package(tmp_path).rglob("*.pyc"))
    assert bytecode, "importing DVC without bytecode costs seconds each time"


def test_what_the_training_has_in_its_path_is_for_the_training_alone(
    tool_cache: Path, checkout: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    command = runners.set_up(checkout, tool_cache, ready).out.strip()
    (tmp_path / "shadows").mkdir()
    (tmp_path / "shadows" / "funcy.py").write_text("print('the one of the training')\n")
    here = Project(root=tmp_path, env={**ready, "PYTHONPATH": str(tmp_path / "shadows")})
    here.git("init", "--quiet")
    assert here.run(str(Path(command).with_name("python")), "-I", "-m", "dvc", "init", "--quiet").code == 0
    here.write("dvc.yaml", {"stages": {"train": {"cmd": "python -c 'import funcy' > words", "outs": ["words"]}}})
    here.write("ci-ml.yaml", "version: 1\ntrain: {track: false}\ngates: []\n")
    here.commit()
    here.run(command, "train").expect(0)
    assert here.read("words") == "the one of the training\n"


def test_the_training_environment_stays_as_it_is(
    checkout: Path, ready: dict[str, str], training: Path, tmp_path: Path
) -> None:
    before = sorted(training.rglob("*"))
    done = runners.set_up(checkout, tmp_path, {**ready, "VIRTUAL_ENV": str(training)})
    assert done.code == 0, done.text
    assert sorted(training.rglob("*")) == before
    prefixes = "import sys; print(sys.prefix, sys.base_prefix)"
    ours, base = (
        Project(root=tmp_path, env=ready).run(done.out.replace("ci-ml\n", "python"), "-c", prefixes).out.split()
    )
    assert Path(ours).is_relative_to(tmp_path)
    assert not Path(base).is_relative_to(training), "or it would end with the training environment"


def test_two_jobs_at_once_end_with_one_environment(checkout: Path, ready: dict[str, str], tmp_path: Path) -> None:
    jobs = [_start(checkout, tmp_path, ready) for _ in range(2)]
    outputs = []
    for job in jobs:
        with ended(job):
            outputs.append(job.communicate(timeout=DEADLINE)[0].decode().strip())
            assert job.returncode == 0
    assert outputs[0] == outputs[1]
    assert Project(root=tmp_path, env=ready).run(outputs[0], "--version").code == 0
    assert list((tmp_path / "ci-ml").iterdir()) == [place := Path(outputs[0]).parents[1]]
    assert not (place / "env").exists(), "the slower one's, moved into the faster one's"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_killed_leaves_nothing_that_looks_complete(
    checkout: Path, ready: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with ended(_start(checkout, tmp_path, ready)) as job:
        until(lambda: list(tmp_path.glob("ci-ml/.new-*/env/lib/*/site-packages/*")), "packages are being installed")
        os.killpg(job.pid, number)
        job.wait(DEADLINE)
    assert not list(tmp_path.glob("ci-ml/[!.]*"))
    assert bool(list(tmp_path.glob("ci-ml/.new-*"))) == (number is signal.SIGKILL), "a job that is cancelled tidies up"
    done = runners.set_up(checkout, tmp_path, ready)
    assert done.code == 0, done.text
    assert Project(root=tmp_path, env=ready).run(done.out.strip(), "--version").code == 0


def test_what_goes_into_an_environment_decides_which_one_it_is(
    checkout: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    places = {runners.set_up(checkout, tools, ready).out}
    for path in ("requirements/ci-ml.txt", "src/ci_ml/errors.py", "examples/breast-cancer/params.yaml"):
        changed = tmp_path / path.replace("/", "-")
        shutil.copytree(checkout, changed)
        (changed / path).write_text((changed / path).read_text() + "# changed\n")
        places.add(runners.set_up(changed, tools, ready).out)
    assert len(places) == len(list((tools / "ci-ml").iterdir())) == 4


def test_an_environment_whose_interpreter_is_gone_is_built_again(
    checkout: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    python = Path(runners.set_up(checkout, tmp_path, ready).out.replace("ci-ml\n", "python"))
    python.unlink()
    python.symlink_to("/nowhere/python3")
    done = runners.set_up(checkout, tmp_path, ready)
    assert Project(root=tmp_path, env=ready).run(done.out.strip(), "--version").code == 0


def test_the_interpreters_it_takes_are_those_that_the_project_supports() -> None:
    script = (ROOT / "templates" / "setup.sh").read_text()
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    minors = [int(found[1]) for line in classifiers if (found := re.search(r"Python :: 3\.(\d+)$", line))]
    assert f"readonly OLDEST={min(minors)} NEWEST={max(minors)}\n" in script


@pytest.fixture
def ready(machine: dict[str, str], training: Path) -> dict[str, str]:
    """A job's environment with its training environment on PATH."""
    return {**machine, "PATH": f"{training}/bin{os.pathsep}{machine['PATH']}"}


def _start(checkout: Path, tools: Path, env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["bash", checkout / "templates" / "setup.sh"],
        env={**env, "RUNNER_TOOL_CACHE": str(tools)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _package(tools: Path) -> Path:
    """Where ci_ml is installed."""
    (found,) = tools.glob("ci-ml/[!.]*/lib/python3*/site-packages/ci_ml")
    return found


def _files(folder: Path) -> list[Path]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if not any(part == "__pycache__" or part.endswith("_cache") for part in path.parts)]


# --- When there is nothing to set up with ---------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path, machine: dict[str, str]) -> Project:
    """A machine on which no Python works and no uv is, until a test puts one there; nothing can be downloaded."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in "bash cat chmod cp dirname env find getconf grep mkdir mktemp mv rm sed sh sha256sum sort touch tr uname xargs".split():
        if place := shutil.which(name):
            (tools / name).symlink_to(place)
    offline = {"UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never", "PIP_NO_INDEX": "1"}
    env = {**machine, **offline, "PATH": str(tools), "RUNNER_TOOL_CACHE": str(tmp_path / "tools")}
    return Project(root=tmp_path, env=env)


def _set_up(machine: Project, checkout: Path, **env: str) -> Result:
    return machine.run("bash", str(checkout / "templates" / "setup.sh"), env=env)


def test_without_python_and_uv_it_says_what_to_install(bare: Project, checkout: Path) -> None:
    done = _set_up(bare, checkout)
    assert (done.code, done.out) == (2, "")
    assert "neither uv nor a Python with pip is here" in done.err
    assert "error: " in done.err


def test_with_uv_but_no_python_and_no_download_it_says_which_are_good(bare: Project, checkout: Path) -> None:
    (bare.root / "bin" / "uv").symlink_to(_uv(bare))
    done = _set_up(bare, checkout, GITHUB_ACTIONS="true")
    assert (done.code, done.out) == (2, "")
    assert "::error title=ci-ml::there is no Python that ci-ml runs on (CPython 3.11 to 3.14)" in done.err


def _uv(bare: Project) -> str:
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return found or pytest.skip("uv is not installed (make test does it)")


@pytest.mark.parametrize("wanted", ["/usr/bin/env", "nothing/here"])
def test_a_path_that_is_no_python_is_named(bare: Project, checkout: Path, wanted: str) -> None:
    done = _set_up(bare, checkout, CI_ML_PYTHON=wanted)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: {wanted} is not a Python that ci-ml runs on, which are CPython 3.11 to 3.14\n"


def test_the_wanted_python_is_taken_as_a_path_or_a_version(
    checkout: Path, tool_cache: Path, ready: dict[str, str], tmp_path: Path
) -> None:
    found = runners.set_up(checkout, tool_cache, ready).out
    subprocess.run([sys.executable, "-m", "venv", "--copies", "--without-pip", tmp_path / "copy"], check=True)
    version = ".".join(map(str, sys.version_info[:2]))
    for wanted in (version, sys.executable, str(tmp_path / "copy" / "bin" / "python")):
        assert runners.set_up(checkout, tool_cache, {**ready, "CI_ML_PYTHON": wanted}).out == found


def test_a_cache_that_cannot_be_written_to_is_named(bare: Project, checkout: Path) -> None:
    (bare.root / "tools").write_text("a file is in the way")
    done = _set_up(bare, checkout, CI_ML_PYTHON=sys.executable)
    assert (done.code, done.out) == (2, "")
    assert f"{bare.root}/tools/ci-ml cannot be written to; set RUNNER_TOOL_CACHE or XDG_CACHE_HOME" in done.err
