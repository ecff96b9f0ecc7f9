"""`ci-ml monitor`: production, compared with what was recorded of the model. Layer: cli."""

import sys

import click

from ci_ml.cli import boundary, options, showing
from ci_ml.render import safe


@click.command()
@options.common
@options.formats("terminal", "markdown", "json")
@click.argument("names", nargs=-1)
def monitor(config: str | None, output: str | None, names: tuple[str, ...], format: str) -> None:
    """Compare production with what was recorded of the model: its inputs, its answers, and how right they were.

    NAMES are those under `monitor` in ci-ml.yaml; all without. Exits with 10 when production has drifted or the model
    decayed, with 11 when that cannot be said, and with 10 before 11 when there are several.
    """
    with boundary.errors():
        from ci_ml.wiring import monitoring, reports, workspace

        space = workspace.find(config, output)
        found = monitoring.run(space, names, sys.stderr)
        for watched in found:
            showing.show(watched.report, format, templates={})
            if watched.issue:
                click.echo(f"issue: {watched.issue}", err=True)
        worst = monitoring.worst(found)
        retrained = monitoring.retrain(space, found, sys.stderr)
        if retrained:
            click.echo(safe.inert(safe.printable(retrained)), err=True)
    sys.exit(reports.exit_code(worst.report))
