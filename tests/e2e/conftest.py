"""The projects of the end-to-end tests: built once, copied for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import CI_ML_YAML, DVC_YAML, GATES, PARAMS, SCRIPTS, Project, clean_environment, copy


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands get as their environment."""
    return clean_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session", autouse=True)
def _isolated(environment: dict[str, str]) -> Iterator[None]:
    """DVC as a library, which some tests ask for the truth, sees the same environment as the commands."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("CI_", "GITHUB_", "GITLAB_", "MLFLOW_", "DVC_", "GIT_", "AWS_")) or name in (
                "CI",
                "SHELL",
            ):
                patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A folder with `repo`, a DVC pipeline that has run and is committed on main, and `remote`, where its data is."""
    folder = tmp_path_factory.mktemp("trained")
    project = _started(folder, environment)
    for path, text in SCRIPTS.items():
        project.write(path, text)
    rows = ((step * 37 % 101 - 50) / 10 for step in range(200))
    noisy = "".join(f"{x},{int(x + (step % 7 - 3) * 0.6 > 0)}\n" for step, x in enumerate(rows))
    project.write("data/raw.csv", noisy)
    project.write("params.yaml", PARAMS)
    project.write("dvc.yaml", DVC_YAML)
    project.write("ci-ml.yaml", CI_ML_YAML)
    project.build("data/raw.csv")
    project.commit("the baseline")
    return folder


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A folder with `repo`, numbers in git without any DVC, committed on main."""
    folder = tmp_path_factory.mktemp("counted")
    project = _started(folder, environment)
    project.write("metrics.json", {"accuracy": 0.9})
    project.write("ci-ml.yaml", GATES)
    project.commit("the baseline")
    return folder


def _started(folder: Path, environment: dict[str, str]) -> Project:
    project = Project(root=folder / "repo", env=environment)
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    return project


@pytest.fixture
def project(trained: Path, environment: dict[str, str], tmp_path: Path) -> Project:
    """The trained DVC project, on main, for this test alone."""
    copy(trained, tmp_path / "p")
    return Project(root=tmp_path / "p" / "repo", env=environment)


@pytest.fixture
def plain(counted: Path, environment: dict[str, str], tmp_path: Path) -> Project:
    """A project with metrics.json and ci-ml.yaml in git and no DVC, on main, for this test alone."""
    copy(counted, tmp_path / "p")
    return Project(root=tmp_path / "p" / "repo", env=environment)


@pytest.fixture
def empty(environment: dict[str, str], tmp_path: Path) -> Project:
    """A git repository without a commit."""
    (tmp_path / "p").mkdir()
    return _started(tmp_path / "p", environment)
