import click

from ci_ml.cli import cli
from ci_ml.render.formats import FORMATS, STYLED, render
from tests import reports


def test_the_command_offers_every_format() -> None:
    (option,) = (item for item in cli.commands["report"].params if item.name == "format")
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == {"terminal", *FORMATS, *STYLED}


def test_every_format_renders_every_kind_of_report() -> None:
    for content in (reports.everything(), reports.undecided(), reports.report()):
        for name in (*FORMATS, *STYLED):
            text = render(name, content, {})
            assert text.endswith("\n") or (name == "annotations" and not text)
            assert render(name, content, {}) == text
