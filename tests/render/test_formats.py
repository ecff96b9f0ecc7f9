import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_ml.cli import cli
from ci_ml.core.changes import Changes
from ci_ml.core.report import Report, load
from ci_ml.core.staleness import Freshness, State
from ci_ml.core.types import Revision
from ci_ml.render import data, safe, terminal
from ci_ml.render.formats import FORMATS, STYLED, render
from tests import reports
from tests.render.names import HOSTILE, NAMES, commands, hostile

_DOCUMENTED = Path(__file__).parents[2] / "docs" / "reports.md"


def test_the_command_offers_every_format() -> None:
    (option,) = (item for item in cli.commands["report"].params if item.name == "format")
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == {"terminal", *FORMATS, *STYLED}


def test_the_documentation_lists_every_format() -> None:
    rows = [line.split("|")[1] for line in _DOCUMENTED.read_text().splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall("`([a-z]+)`", row)}
    assert {"terminal", *FORMATS, *STYLED} <= listed


def test_every_format_renders_every_kind_of_report() -> None:
    for content in (reports.everything(), reports.undecided(), reports.report()):
        for name in (*FORMATS, *STYLED):
            text = render(name, content, {})
            assert text.endswith("\n") or (name == "annotations" and not text)
            assert render(name, content, {}) == text


# --- A log, where a runner reads along --------------------------------------------------------------------------------


def _printed(form: str, content: Report) -> str:
    text = terminal.report(content, width=120, color=False) if form == "terminal" else render(form, content, {})
    return safe.inert(text) if form == "markdown" else text


PRINTED = ["terminal", *(form for form in (*FORMATS, *STYLED) if form != "annotations")]


@pytest.mark.parametrize("form", PRINTED)
def test_no_format_holds_a_command_to_a_runner(form: str) -> None:
    known = [name for name in NAMES if any(part in name for part in ("[", "::", "section")) and len(name) < 1000]
    for name in (*known, "\n::error::x", "#" * 4 + "[x]", ":" * 4):
        assert commands(_printed(form, hostile(name))) == []


@given(names=st.lists(HOSTILE, min_size=1, max_size=2, unique=True))
@settings(max_examples=8, deadline=None)
def test_no_name_makes_a_command_to_a_runner(names: list[str]) -> None:
    content = hostile(*names)
    for form in PRINTED:
        assert commands(_printed(form, content)) == []


def test_a_form_without_a_command_says_the_same() -> None:
    name = "##[error]x ::error::y ##vso[a]"
    content = hostile(name)
    assert load(render("json", content, {}).encode(), "x") == load(content.to_json().encode(), "x")
    cases = [case.attrib["name"] for case in ET.fromstring(render("junit", content, {}).encode()).iter("testcase")]
    assert any(safe.inert(name) in case for case in cases)
    page = _Texts()
    page.feed(render("html", content, {}))
    assert name in page.text


class _Texts(HTMLParser):
    """What a browser shows of a page, in one text."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_scripts_of_a_page_are_those_that_its_policy_names() -> None:
    page = render("html", hostile("##[error]x", "\n::error::x"), {})
    for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page


def test_what_machines_read_of_a_verification_and_a_diff_holds_no_command() -> None:
    found = Freshness(name="##[error]x", state=State.STALE, reasons=("##vso[task.complete]",))
    for text in (
        data.freshness([found]),
        data.diff(Revision(sha="a" * 40), Revision(sha="b" * 40), Changes(), ["##[group]"]),
    ):
        assert commands(text) == []
        assert any(item in str(json.loads(text)) for item in ("##[error]x", "##[group]"))
