"""`ci-ml data`: tables, what is expected of them, and how far one is from another. Layer: cli."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from ci_ml.cli import boundary, options, showing


@click.group()
def data() -> None:
    """Tables: what is expected of them, a first set of expectations, and how far one is from another."""


@data.command()
@options.common
@options.base
@options.policy
@click.option(
    "--examples",
    envvar="CI_ML_EXAMPLES",
    type=click.IntRange(0, 5),
    metavar="N",
    help="Show N values that break each rule.  [default: `examples` of the table in ci-ml.yaml, which is 0]",
)
@options.formats("terminal", "markdown", "json")
@click.argument("tables", nargs=-1)
def check(
    config: str | None,
    output: str | None,
    base: str | None,
    policy: Any,
    examples: int | None,
    format: str,
    tables: tuple[str, ...],
) -> None:
    """Judge tables by what ci-ml.yaml expects of them under `data`: TABLES by name, or all.

    `ci-ml check` judges the same, with everything else. The report is left in .ci-ml/data, also as HTML.
    """
    with boundary.errors():
        from ci_ml.wiring import gate, reports, workspace

        report = gate.data(workspace.find(config, output), base, policy, tables, examples, sys.stderr)
        showing.show(report, format, templates=showing.own(config, output, format))
    sys.exit(reports.exit_code(report))


@data.command()
@options.common
@click.option("--write", is_flag=True, help="Add it to ci-ml.yaml, where nothing else is touched.")
@click.option("--name", metavar="NAME", help="What to call the table.  [default: by its file]")
@click.argument("table", metavar="FILE|TABLE")
def profile(config: str | None, output: str | None, write: bool, name: str | None, table: str) -> None:
    """Print what could be expected of a table (FILE, or a TABLE under `data`), with what was seen of it as comments.

    Ranges are wider than what was seen, and nothing is proposed that the table itself would break. Look at it: values
    of columns with few of them are in it.
    """
    with boundary.errors():
        from ci_ml.render import safe
        from ci_ml.wiring import profiles, workspace

        click.echo(safe.inert(profiles.run(workspace.find(config, output), table, name, write=write)), nl=False)


@data.command()
@click.option(
    "--reference",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What the current table is compared with: a table, or a profile (.json) that was recorded of one.",
)
@click.option(
    "--current", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The table that is judged."
)
@click.option("--share", metavar="SHARE", help="The largest acceptable share of columns that drifted.  [default: 30%]")
@click.option("--only", multiple=True, metavar="COLUMN", help="Compare this column and no other; may be repeated.")
@click.option(
    "--except", "without", multiple=True, metavar="COLUMN", help="Do not compare this column; may be repeated."
)
@click.option("--never", multiple=True, metavar="COLUMN", help="This column must not drift; may be repeated.")
@click.option(
    "--together/--apart",
    default=True,
    help="Also ask a classifier whether the columns that did not drift tell the tables apart together.",
)
@options.formats("terminal", "json", "markdown")
def drift(
    reference: Path,
    current: Path,
    share: str | None,
    only: tuple[str, ...],
    without: tuple[str, ...],
    never: tuple[str, ...],
    together: bool,
    format: str,
) -> None:
    """Has a table drifted away from another? Columns have to move far, and not by chance.

    Exits with 10 when too many columns drifted, one that must not, or all of them together, and with 11 when a column
    cannot be compared.
    """
    with boundary.errors():
        from ci_ml.core.verdict import EXIT_CODES
        from ci_ml.render import drift as rendering
        from ci_ml.wiring import drift as comparing

        config = comparing.config(share, only=only, without=without, never=never, together=together)
        found = comparing.run(reference, current, config, os.environ)
        click.echo(_shown(rendering, found, format), nl=False)
    sys.exit(EXIT_CODES[found.outcome])


def _shown(rendering: Any, found: Any, format: str) -> str:
    if format == "json":
        return str(rendering.data(found))
    if format == "markdown":
        from ci_ml.render import safe

        return safe.inert(rendering.markdown(found))
    return str(rendering.terminal(found, width=boundary.width(), color=boundary.color()))
