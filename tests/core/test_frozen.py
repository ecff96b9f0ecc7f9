"""Which parts of uv.lock are installed again, and whether all of it has hashes."""

import pytest

from ci_ml.core import frozen

OWN = """
[[package]]
name = "model"
source = { virtual = "." }
[package.optional-dependencies]
train = [{ name = "Scikit_Learn" }, { name = "colorama", marker = "sys_platform == 'win32'" }]
docs = [{ name = "sphinx" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
lint = [{ name = "ruff" }]
"""


def test_extras_and_groups_are_those_whose_packages_were_there() -> None:
    assert frozen.options(OWN.encode(), ["scikit-learn", "ruff"]) == [
        "--extra", "train", "--no-group", "dev", "--group", "lint",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "not = [toml", "package = 1", OWN.replace('virtual = "."', 'git = "x#1"')])
def test_what_is_no_project_has_none(text: str) -> None:
    assert frozen.options(text.encode(), ["scikit-learn"]) == []
    assert frozen.options(OWN.encode(), []) == [], "nothing is known of what was installed"


@pytest.mark.parametrize(
    ("package", "fine"),
    [
        ('source = { registry = "x" }\nwheels = [{ url = "a.whl", hash = "sha256:1" }]', True),
        ('source = { registry = "x" }\nwheels = [{ path = "a.whl" }]', False),
        ('source = { registry = "x" }\nsdist = { url = "a.tar.gz" }\nwheels = [{ hash = "sha256:1" }]', False),
        ('source = { registry = "x" }', False),
        ('source = { git = "https://x#1" }', True),
        ('source = { editable = "lib" }', True),
    ],
)
def test_hashes_are_there_for_whatever_may_be_installed(package: str, fine: bool) -> None:
    assert frozen.is_hashed(f'{OWN}[[package]]\nname = "a"\n{package}\n'.encode()) is fine


@pytest.mark.parametrize("text", ["not = [toml", "package = 1", "package = [1]"])
def test_what_cannot_be_read_is_no_lock_file(text: str) -> None:
    assert not frozen.is_hashed(text.encode())
