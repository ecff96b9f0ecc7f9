"""GitLab's registry within its documented limits, through MLflow's own client."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_ml.adapters.mlflow import Tracking
from ci_ml.adapters.mlflow.gitlab import GitLabModels, speaks
from ci_ml.core.bundle import Bundle, Part
from ci_ml.core.types import Gap
from ci_ml.errors import DependencyError, UsageError
from tests.fakes import gitlab_mlflow
from tests.fakes.gitlab_mlflow import Project

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.thorough]  # MLflow's own

COMMIT = {"ci-ml.commit": "c" * 40}


@pytest.fixture
def gitlab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with gitlab_mlflow.served() as project:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", project.token)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield project


def models(project: Project, folder: Path) -> GitLabModels:
    return GitLabModels(tracking=Tracking(uri=project.tracking, folder=folder, experiment="e"))


def bundle(folder: Path, **contents: str) -> Bundle:
    place = folder / "model"
    files = {}
    for name, text in contents.items():
        path = place / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        files[path.relative_to(place).as_posix()] = Part(sha256=digest, size=len(text))
    return Bundle(path="model", place=place, is_folder=True, files=files)


def test_what_is_a_gitlab_project() -> None:
    assert speaks("https://gitlab.example/api/v4/projects/7/ml/mlflow")
    assert speaks("https://gitlab.example/api/v4/projects/a%2Fb/ml/mlflow/")
    assert not speaks("https://mlflow.example")
    assert not speaks("sqlite:///mlflow.db")


def test_a_version_and_its_files(gitlab: Project, tmp_path: Path) -> None:
    registry, made = models(gitlab, tmp_path), bundle(tmp_path, MLmodel="flavors: {}", weights="abc")
    staged = registry.stage(made, None, None, COMMIT)
    assert registry.register("churn", staged, COMMIT, "1.0.0", made) == "1.0.0"
    version = gitlab.models["churn"]["1.0.0"]
    assert version.files == {"MLmodel": b"flavors: {}", "weights": b"abc"}
    assert version.tags["ci-ml.commit"] == COMMIT["ci-ml.commit"]
    before = len(gitlab.log)
    assert registry.register("churn", staged, COMMIT, "1.0.0", made) == "1.0.0"
    assert not any(line.startswith("PUT") for line in gitlab.log[before:]), "nothing is uploaded twice"
    registry.mark("churn", "1.0.0", {"ci-ml.entry": "sha256:1"})
    registry.mark("churn", "1.0.0", {"ci-ml.entry": "sha256:2"})
    assert version.tags["ci-ml.entry"] == "sha256:1"
    assert registry.commit("churn", "1.0.0") == COMMIT["ci-ml.commit"]
    assert registry.targets("churn") == {}
    registry.point("churn", "champion", "1.0.0")
    assert isinstance(registry.marks("churn", "9.0.0"), Gap)


def test_an_upload_that_breaks_off_is_gone_on_with(gitlab: Project, tmp_path: Path) -> None:
    registry, made = models(gitlab, tmp_path), bundle(tmp_path, one="1", two="2")
    staged = registry.stage(made, None, None, COMMIT)
    gitlab.refused.add("/files/two")
    with pytest.raises(DependencyError):
        registry.register("churn", staged, COMMIT, "1.0.0", made)
    gitlab.refused.clear()
    assert registry.register("churn", staged, COMMIT, "1.0.0", made) == "1.0.0"
    assert set(gitlab.models["churn"]["1.0.0"].files) == {"one", "two"}
    assert len(gitlab.models["churn"]) == 1


def test_somebody_elses_version_is_not_overwritten(gitlab: Project, tmp_path: Path) -> None:
    registry, made = models(gitlab, tmp_path), bundle(tmp_path, one="1")
    staged = registry.stage(made, None, None, COMMIT)
    registry.register("churn", staged, {"ci-ml.commit": "d" * 40}, "1.0.0", made)
    with pytest.raises(DependencyError, match=r"has a version 1\.0\.0 of churn already, and it is another model"):
        registry.register("churn", staged, COMMIT, "1.0.0", made)


def test_what_it_cannot_take_is_said_before_anything_is_made(gitlab: Project, tmp_path: Path) -> None:
    registry = models(gitlab, tmp_path)
    with pytest.raises(UsageError, match="takes no folders in a model, and model holds code/a"):
        registry.stage(bundle(tmp_path, code__a="1"), None, None, COMMIT)
    large = Bundle(path="m", place=tmp_path, is_folder=False, files={"m": Part(sha256="0" * 64, size=5 * 10**9 + 1)})
    with pytest.raises(UsageError, match="takes files of up to 5 GB, and m of m is larger"):
        registry.stage(large, None, None, COMMIT)
    assert gitlab.log == []


def test_a_token_that_does_not_fit_is_told_without_it(gitlab: Project, tmp_path: Path) -> None:
    gitlab.token = "another"
    made = bundle(tmp_path, one="1")
    registry = models(gitlab, tmp_path)
    staged = registry.stage(made, None, None, COMMIT)
    with pytest.raises(DependencyError) as error:
        registry.register("churn", staged, COMMIT, "1.0.0", made)
    assert "401" in error.value.what
    assert "glpat" not in error.value.what
