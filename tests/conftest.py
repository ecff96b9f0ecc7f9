"""What every test gets: an environment that does not depend on this machine, and real repositories."""

import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.repositories import Repository

# Machines differ in speed, and a test that fails by the clock says nothing about the code.
settings.register_profile("ci-ml", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("ci-ml")

# Where nothing may be left out, a test that would skip itself fails.
_REQUIRE_ALL = bool(os.environ.get("CI_ML_REQUIRE_ALL"))
_LEAKS = ("GIT_", "GITHUB_", "GITLAB", "CI_", "RUNNER_", "MLFLOW_", "DVC_", "AWS_", "XDG_", "COLUMNS")


GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the files of tests/golden instead of comparing with them"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"nothing may be skipped here: {report.longrepr}"
    return report


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "linux: needs a file system that takes any bytes as a name")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What cannot happen on a platform is not tested there, which is not the same as skipping it."""
    impossible = [item for item in items if item.get_closest_marker("linux") and sys.platform != "linux"]
    if impossible:
        items[:] = [item for item in items if item not in impossible]
        config.hook.pytest_deselected(items=impossible)


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _isolated(_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home, nothing of a CI system, and an identity for commits."""
    for name in list(os.environ):
        if name == "CI" or name.startswith(_LEAKS):
            monkeypatch.delenv(name)
    settled = {
        "HOME": str(_home),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "GIT_CEILING_DIRECTORIES": str(_home.parent),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(_home / "dvc-site"),
        "DVC_GLOBAL_CONFIG_DIR": str(_home / "dvc-global"),
        "DVC_SYSTEM_CONFIG_DIR": str(_home / "dvc-system"),
    }
    for name, value in settled.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository on the branch main, in a folder with a blank and a letter beyond ASCII in its name."""
    return Repository.init(tmp_path / "a répository")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a file of tests/golden. `pytest --update-golden` writes it, for git to show what changed."""

    def compare(name: str, text: str) -> None:
        place = GOLDEN / name
        if request.config.getoption("--update-golden"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        assert place.is_file(), f"there is no {place.name} yet: run pytest --update-golden, and look at what it wrote"
        assert text == place.read_text(encoding="utf-8"), "if that is right, run pytest --update-golden"

    return compare
