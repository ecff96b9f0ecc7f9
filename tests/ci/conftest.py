"""What a CI system brings along: its runner, a machine without this environment, a forge, and a project to gate."""

import functools
import http.server
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci_ml import __version__
from tests.ci import runners
from tests.ci.runners import ROOT, Forge
from tests.e2e.project import DEADLINE, Project, clean_environment

TOOLS = ROOT / ".tools" / "bin"
# As it was before any fixture changed it.
REAL = dict(os.environ)


def tool(name: str, *also: str) -> str:
    """The path of a program that .ci/run installs; where it is not there, the test is skipped and says so."""
    found = {one: shutil.which(one, path=f"{TOOLS}{os.pathsep}{REAL['PATH']}") for one in (name, *also)}
    if missing := [one for one, place in found.items() if place is None]:
        pytest.skip(f"{' and '.join(missing)} not installed (.ci/run does it)")
    return str(found[name])


@pytest.fixture(scope="session")
def act() -> str:
    """Runs workflows of GitHub."""
    return tool("act")


@pytest.fixture(scope="session")
def gitlab_ci_local() -> str:
    """Runs pipelines of GitLab."""
    return tool("gitlab-ci-local", "rsync", "node")


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that trains: scikit-learn and what it needs out of this one, and nothing of ci-ml."""
    place = tmp_path_factory.mktemp("training") / "a venv"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", place], check=True, timeout=DEADLINE)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(place)}))
    for name in _closure("scikit-learn", "pyyaml"):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return place


def _closure(*names: str) -> set[str]:
    """Distributions and, all the way down, those they require."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needed = [entry for entry in importlib.metadata.requires(name) or () if "extra ==" not in entry]
            waiting.extend(re.split(r"[^\w.-]", entry)[0] for entry in needed)
    return found


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine where nothing of this Python environment is on PATH, but for uv."""
    folder = tmp_path_factory.mktemp("machine")
    ours = str(Path(sys.executable).parent)
    path = [part for part in REAL["PATH"].split(os.pathsep) if part not in ("", ours)]
    (folder / "bin").mkdir()
    if uv := shutil.which("uv", path=f"{ours}{os.pathsep}{REAL['PATH']}"):
        (folder / "bin" / "uv").symlink_to(uv)
    kept = {
        name: value for name, value in REAL.items() if re.match(r"(UV|PIP)_.*(INDEX|CERT)|SSL_CERT_|.*_PROXY$", name)
    }
    cache = REAL.get("XDG_CACHE_HOME") or f"{REAL.get('HOME', '')}/.cache"
    return {
        **clean_environment(folder / "home"),
        **kept,
        "PATH": os.pathsep.join((str(folder / "bin"), *path)),
        # Packages come out of the cache that this environment was installed from: no network.
        "UV_CACHE_DIR": REAL.get("UV_CACHE_DIR", f"{cache}/uv"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory, machine: dict[str, str]) -> Path:
    """ci-ml as CI systems check it out: the files that they need, tagged as a release, without the history."""
    place = tmp_path_factory.mktemp("checkout") / "ci-ml"
    for name in ("examples", "requirements", "src", "templates"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    for name in ("action.yml", ".pre-commit-hooks.yaml", ".github/workflows/gate.yml"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    repository = Project(root=place, env=machine)
    repository.git("init", "--quiet")
    repository.commit("What this repository has now")
    repository.git("tag", f"v{__version__}")
    return place


@pytest.fixture(scope="session")
def installed(
    checkout: Path, training: Path, machine: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The command of ci-ml in an environment of its own, without extras: the real set-up has run."""
    place = tmp_path_factory.mktemp("tools")
    path = f"{training}/bin{os.pathsep}{machine['PATH']}"
    done = runners.set_up(checkout, place, {**machine, "PATH": path})
    assert done.code == 0, done.text
    return Path(done.out.removesuffix("\n"))


@pytest.fixture(scope="session")
def tool_cache(installed: Path) -> Path:
    """Where ci-ml's own environments are kept between jobs: that without extras is there."""
    return installed.parents[3]


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory, machine: dict[str, str]) -> Forge:
    """A repository with the example project, trained on main, and changes to it that nobody has trained."""
    environment = {**machine, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{machine['PATH']}"}
    return runners.forge(tmp_path_factory.mktemp("forge"), environment)


@pytest.fixture(scope="session")
def github_in(
    act: str, checkout: Path, tool_cache: Path, training: Path, machine: dict[str, str]
) -> Callable[[Path, Forge], runners.GitHub]:
    """Makes what runs the workflows of a forge as GitHub does, in a folder."""

    def made(folder: Path, forge: Forge) -> runners.GitHub:
        (folder / "act").mkdir()
        (folder / "act" / "tool_cache").symlink_to(tool_cache)
        env = {**machine, "TRAINING": str(training), "PIP_NO_INDEX": "1"}
        return runners.GitHub(act=act, action=checkout, folder=folder, forge=forge, env=env)

    return made


@pytest.fixture
def github(github_in: Callable[[Path, Forge], runners.GitHub], forge: Forge, tmp_path: Path) -> runners.GitHub:
    """Runs the workflows of the example as GitHub does."""
    return github_in(tmp_path, forge)


@pytest.fixture(scope="session")
def template(checkout: Path) -> Iterator[str]:
    """The address of templates/ci-ml.yml on a web server of our own."""
    handler = functools.partial(QuietHandler, directory=str(checkout / "templates"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/ci-ml.yml"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="session")
def gitlab_runner(gitlab_ci_local: str, tool_cache: Path, training: Path, machine: dict[str, str]) -> dict[str, str]:
    """The environment of what runs pipelines as GitLab does."""
    return {
        **machine,
        "PATH": os.pathsep.join((str(training / "bin"), str(Path(gitlab_ci_local).parent), machine["PATH"])),
        "RUNNER_TOOL_CACHE": str(tool_cache),
        "PIP_NO_INDEX": "1",
    }


@pytest.fixture
def gitlab(
    gitlab_ci_local: str, checkout: Path, template: str, gitlab_runner: dict[str, str], forge: Forge, tmp_path: Path
) -> runners.GitLab:
    """Runs pipelines as GitLab does."""
    return runners.GitLab(
        command=gitlab_ci_local,
        folder=tmp_path,
        forge=forge,
        source=checkout.as_uri(),
        release=f"v{__version__}",
        template=template,
        env=gitlab_runner,
    )
