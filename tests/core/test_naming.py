"""Projects of one repository: no two have the same files, jobs or check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core.naming import naming

# Each looks like another one once everything but letters, digits, `-` and `_` is gone, or like a file with a meaning.
FOLDERS = [
    *("", "a", "a/b", "a-b", "a--b", "a b", "a.b", "-a", "a-", "a/-b", "日本", "中国", "日/本", "publish", "a/publish"),
    *("a-publish", "stage", "é" * 200, "x" * 300, "x" * 299, "other", "\udcff", "\udcfe"),
    *("monitor", "a/retrain", "a-monitor", "b-retrain", "b"),
]
CONFIGS = [f"{folder}/ci-ml.yaml".lstrip("/") for folder in FOLDERS] + ["other.yaml", "other.yml", "a/other.yaml"]


def names(config: str) -> list[str]:
    """What has to be a project's own."""
    folder = config.rpartition("/")[0]
    found = naming(folder, config)
    first = f"ci-ml-{found.slug}".rstrip("-")
    files = [first, *(f"{first}-{kind}" for kind in ("publish", "monitor", "retrain", "rollback"))]
    return [*(file.lower() for file in files), f"job {found.prefix}".lower(), found.required, f"title {found.title}"]


def test_no_two_projects_have_a_name_in_common() -> None:
    listed = [name for config in CONFIGS for name in names(config)]
    assert len(listed) == len(set(listed))
    assert all(len(name) < 100 for config in CONFIGS for name in names(config)[:5])


@given(st.lists(st.text("ab-/. _", min_size=1, max_size=6), min_size=2, max_size=2, unique=True))
def test_two_folders_never_have(folders: list[str]) -> None:
    one, other = (naming(folder, f"{folder}/ci-ml.yaml") for folder in folders)
    assert one.slug != other.slug
    assert f"{one.slug}-publish" != other.slug


@pytest.mark.parametrize(
    ("folder", "config", "slug", "required"),
    [
        ("", "ci-ml.yaml", "", "gate"),
        ("ml", "ml/ci-ml.yaml", "ml", "gate ml"),
        ("my-proj", "my-proj/ci-ml.yaml", "my-proj", "gate my-proj"),
        ("models/churn", "models/churn/ci-ml.yaml", "models--churn", "gate models/churn"),
        ("models/a b", "models/a b/ci-ml.yaml", "models--a-b-751ac7", "gate models/a b"),
        ("", "other.yaml", "other-021979", "gate other.yaml"),
        ("ml", "ml/other.yaml", "ml--other-803545", "gate ml/other.yaml"),
    ],
)
def test_plain_folders_keep_their_names(folder: str, config: str, slug: str, required: str) -> None:
    found = naming(folder, config)
    assert (found.slug, found.prefix, found.required) == (slug, slug, required)
    assert found.option == ("" if config.endswith("ci-ml.yaml") else "other.yaml")


def test_a_prefix_stands_in_the_place_of_the_folder() -> None:
    found = naming("ml", "ml/ci-ml.yaml", "fast")
    assert (found.slug, found.prefix, found.required) == ("ml", "fast", "fast:gate")
