import posixpath
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.errors import UsageError
from ci_ml.usecases.project import Project


def project(folder: str) -> Project:
    return Project(root=Path("/r"), folder=folder, dvc=None, config=posixpath.join(folder, "ci-ml.yaml"))


@pytest.mark.parametrize(
    ("folder", "path", "inside"),
    [
        ("", "m.json", "m.json"),
        ("", "./a//b/../m.json", "a/m.json"),
        ("ml/churn", "m.json", "ml/churn/m.json"),
        ("ml/churn", "../shared/m.json", "ml/shared/m.json"),
        ("ml/churn", "../../m.json", "m.json"),
        ("ml", "..", ""),
        ("", "..a", "..a"),
    ],
)
def test_a_path_is_relative_to_the_project(folder: str, path: str, inside: str) -> None:
    assert project(folder).inside(path) == inside


@pytest.mark.parametrize(
    ("folder", "path"), [("", "../m.json"), ("", ".."), ("ml", "../../m.json"), ("ml", "/etc/passwd"), ("", "/x")]
)
def test_a_path_out_of_the_repository_is_an_error(folder: str, path: str) -> None:
    with pytest.raises(UsageError, match="is outside the repository"):
        project(folder).inside(path)


parts = st.lists(st.sampled_from(["a", "b", "é ü", "..x"]), max_size=3).map("/".join)


@given(folder=parts, path=parts.filter(bool))
def test_there_and_back_is_the_same_path(folder: str, path: str) -> None:
    assert project(folder).inside(project(folder).outside(path)) == path
