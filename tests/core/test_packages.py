"""Packages whose locked version a change moves."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core.packages import differences, is_lock, locked

REQUIREMENTS = b"""\
# made by a tool
-r other.txt
Scikit_Learn==1.7.2 \\
    --hash=sha256:0123
pandas>=2,<3  # not pinned
torch @ https://example.org/torch.whl
numpy ; python_version > "3.10"
not a requirement at all!
"""
TOML = """\
version = 1
[[%s]]
name = "scikit-learn"
version = "1.7.2"
[[%s]]
name = "project"
"""
CONDA = """\
name: x
dependencies:
  - python=3.13
  - conda-forge::scikit-learn==1.7.2=py313_0
  - numpy
  - pip:
      - joblib==1.5.2
"""
CASES = {
    "requirements.txt": (
        REQUIREMENTS,
        {"scikit-learn": "1.7.2", "pandas": "<3,>=2", "torch": "https://example.org/torch.whl", "numpy": "any"},
    ),
    "uv.lock": ((TOML % ("package", "package")).encode(), {"scikit-learn": "1.7.2", "project": "any"}),
    "deep/poetry.lock": ((TOML % ("package", "package")).encode(), {"scikit-learn": "1.7.2", "project": "any"}),
    "pylock.toml": ((TOML % ("packages", "packages")).encode(), {"scikit-learn": "1.7.2", "project": "any"}),
    "Pipfile.lock": (
        json.dumps({"default": {"scikit-learn": {"version": "==1.7.2"}}, "develop": {"x": {"ref": "abc"}}}).encode(),
        {"scikit-learn": "1.7.2", "x": "abc"},
    ),
    "environment.yml": (
        CONDA.encode(),
        {"python": "3.13", "scikit-learn": "1.7.2=py313_0", "numpy": "any", "joblib": "1.5.2"},
    ),
    "conda-lock.yml": (
        b"package:\n- {name: scikit-learn, version: 1.7.2}\n",
        {"scikit-learn": "1.7.2"},
    ),
}


@pytest.mark.parametrize("path", CASES)
def test_what_a_lock_file_holds(path: str) -> None:
    data, expected = CASES[path]
    assert is_lock(path)
    assert locked(path, data) == expected


@pytest.mark.parametrize("path", ["requirements/train.txt", "a/requirements-dev.txt", "pylock.gpu.toml"])
def test_names_of_lock_files(path: str) -> None:
    assert is_lock(path)


@pytest.mark.parametrize("path", ["notes.txt", "dvc.lock", "package-lock.json", "my-uv.lock"])
def test_names_of_others(path: str) -> None:
    assert not is_lock(path)


def test_what_differs_is_there_with_both_versions() -> None:
    found = differences("requirements.txt", b"a==1\nb==2\nc==3\n", b"A==1\nb==2.1\nd==4\n")
    assert [(item.package, item.base, item.head) for item in found] == [
        ("b", "2", "2.1"),
        ("c", "3", None),
        ("d", None, "4"),
    ]


def test_a_file_that_came_or_went_has_all_its_packages() -> None:
    assert [item.base for item in differences("uv.lock", CASES["uv.lock"][0], None)] == ["any", "1.7.2"]
    assert [item.head for item in differences("uv.lock", None, CASES["uv.lock"][0])] == ["any", "1.7.2"]


@given(data=st.binary(max_size=300), path=st.sampled_from(sorted(CASES)))
def test_no_file_is_too_broken(data: bytes, path: str) -> None:
    assert not differences(path, data, data)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("requirements.txt", f'numpy; {"(" * 5000}os_name=="x"{")" * 5000}\nscipy==1.0\n'),
        ("conda-lock.yml", f"package: [{{name: a, version: 0x{'F' * 4200}}}]\n"),
        ("environment.yml", f"dependencies: [{{pip: [0x{'F' * 4200}]}}]\n"),
    ],
)
def test_what_no_parser_foresees_is_no_error(path: str, data: str) -> None:
    assert locked(path, data.encode()) in ({}, {"scipy": "1.0"})
