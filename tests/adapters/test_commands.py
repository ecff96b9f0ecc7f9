"""DVC's own commands: what is said when one fails."""

import tomllib
from pathlib import Path

import pytest

from ci_ml.adapters.dvc import commands
from ci_ml.core import training
from ci_ml.errors import DependencyError
from tests.e2e.project import clean_environment

ROOT = Path(__file__).parents[2]
PUSH = ["push", "--", "data.txt"]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A DVC repository with one file that can be pushed, and the environment of whoever does it."""
    place = tmp_path_factory.mktemp("started")
    env = clean_environment(place / "home")
    repository = place / "repository"
    repository.mkdir()
    (repository / "data.txt").write_text("1\n")
    commands.run([["init", "--quiet", "--no-scm"], ["add", "--quiet", "data.txt"]], cwd=repository, env=env)
    return repository, env


def said(started: tuple[Path, dict[str, str]], *lines: str, **more: str) -> DependencyError:
    """Why a push fails that has these lines as its configuration."""
    repository, env = started
    (repository / ".dvc" / "config").write_text("\n".join(("[core]", "no_scm = true", *lines, "")))
    with pytest.raises(DependencyError) as caught:
        commands.run([PUSH], cwd=repository, env={**env, **more})
    assert "Hit us up" not in caught.value.what
    return caught.value


def remote(url: str) -> tuple[str, ...]:
    return ("remote = store", "['remote \"store\"']", f"url = {url}")


def test_no_remote(started: tuple[Path, dict[str, str]]) -> None:
    what = said(started).what
    assert what.startswith("DVC failed: failed to push data to the cloud - config file error: no remote specified in ")
    assert what.endswith("Create a default remote with dvc remote add -d <remote name> <remote url>")


def test_a_remote_that_is_configured_nowhere(started: tuple[Path, dict[str, str]]) -> None:
    what = said(started, "remote = gone").what
    assert what == "DVC failed: failed to push data to the cloud - config file error: remote 'gone' doesn't exist"


def test_a_remote_that_cannot_be_written_to(started: tuple[Path, dict[str, str]]) -> None:
    (started[0] / "a-file").write_text("is in the way")
    found = said(started, *remote("../a-file"))
    assert found.what.startswith("DVC failed: unexpected error - [Errno 20] Not a directory: ")
    assert found.hint is None


def test_a_server_that_is_not_there_and_a_password_that_is_not_shown(started: tuple[Path, dict[str, str]]) -> None:
    what = said(started, *remote("http://ada:hunter22secret@127.0.0.1:9/store")).what
    assert "Cannot connect to host 127.0.0.1:9" in what
    assert what.endswith("; failed to push data to the cloud - 1 files failed to upload")
    assert "hunter22secret" not in what


def test_a_secret_of_the_environment_is_not_shown(started: tuple[Path, dict[str, str]]) -> None:
    what = said(started, "remote = s3cr3t-t0ken", STORE_TOKEN="s3cr3t-t0ken").what
    assert what.endswith("remote '***' doesn't exist")


def test_a_kind_of_remote_whose_package_is_not_here(started: tuple[Path, dict[str, str]]) -> None:
    found = said(started, *remote("oss://data/store"))
    assert "requires 'dvc-oss' to be installed" in found.what
    assert found.hint is None, "it is no extra of ci-ml"
    words = found.what.replace("oss", "s3")
    assert training.lacking(words) == "install ci-ml[s3]; in CI, name s3 in CI_ML_REMOTES"
    kinds = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for kind in ("azure", "gs", "s3", "ssh"):
        assert kind in kinds
        assert training.lacking(f"{kind} is supported, but requires 'dvc-{kind}' to be installed") is not None


def test_of_many_errors_the_first_and_the_last_are_said() -> None:
    log = "".join(f"ERROR: failed to transfer '{number}' - {'why ' * 200}\n" for number in range(50))
    words = commands.words(f"{log}WARNING: slow\nERROR: failed to push data to the cloud - 50 files failed to upload\n")
    assert words.startswith("failed to transfer '0' - why why")
    assert words.endswith("; failed to push data to the cloud - 50 files failed to upload")
    assert len(words) < 600
    assert commands.words("a traceback\nof Python\n") == "a traceback of Python"
