"""What the documentation says is what the program does."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ci_ml.cli import cli
from ci_ml.core import config
from ci_ml.core.types import Require, Status
from ci_ml.core.verdict import EXIT_CODES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_derived_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_readme_lists_every_command_and_no_other() -> None:
    listed = set(re.findall(r"^\| `ci-ml ([a-z-]+)`", README, re.MULTILINE))
    assert listed == set(cli.commands)


def test_every_option_in_the_documentation_exists() -> None:
    groups = (one for one in cli.commands.values() if isinstance(one, click.Group))
    commands = [*cli.commands.values(), *(inner for group in groups for inner in group.commands.values())]
    known = {name for command in commands for item in command.params for name in (*item.opts, *item.secondary_opts)}
    said = {name for line in re.findall(r"`ci-ml [a-z-]+( [^`]*)`", README) for name in re.findall(r"--[a-z-]+", line)}
    assert said <= known | {"--version"}
    assert said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_configuration_in_the_documentation_is_valid(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        if block.startswith("version:"):
            assert config.load(block.encode(), page.name).config.gates


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_lists_every_exit_code_of_a_verdict() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert {*EXIT_CODES.values(), 1, 2, 3, 12} == listed


def test_the_page_on_gates_knows_every_status_and_requirement() -> None:
    page = (ROOT / "docs/gates.md").read_text(encoding="utf-8")
    for word in (*Status, *Require):
        assert f"`{word.value}`" in page


def test_the_lock_holds_hashes_and_no_address() -> None:
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text
