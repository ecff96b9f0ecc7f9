"""Options that several commands have. Layer: cli."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def common(command: Command) -> Command:
    """Where the configuration is, and where results go."""
    command = click.option(
        "--config", envvar="CI_ML_CONFIG", metavar="FILE", help="The configuration.  [default: the nearest ci-ml.yaml]"
    )(command)
    return click.option(
        "--output", envvar="CI_ML_OUTPUT", metavar="DIR", help="Where results are written.  [default: .ci-ml]"
    )(command)


base = click.option(
    "--base",
    envvar="CI_ML_BASE",
    metavar="REV",
    help="The commit to compare with.  [default: `baseline` in ci-ml.yaml]",
)
policy = click.option(
    "--policy",
    envvar="CI_ML_POLICY",
    type=click.Choice(["base", "head"]),
    default="base",
    show_default=True,
    help="Whose gates judge: `head` tries an edited ci-ml.yaml.",
)

believed = click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A public key to believe instead of those that ci-ml.yaml names; may be repeated.",
)


def formats(*names: str) -> Callable[[Command], Command]:
    """The forms in which a command prints, the first by default."""
    kinds = click.Choice(names)
    return click.option("--format", type=kinds, default=names[0], show_default=True)
