"""`ci-ml retrain`: a challenger, judged and proposed. Layer: cli."""

import sys
from typing import Any

import click

from ci_ml.cli import boundary, options, showing


@click.command()
@options.common
@click.option("--why", envvar="CI_ML_WHY", metavar="TEXT", help="What started it, for the record.")
@click.option("--force", is_flag=True, help="Whatever cool_down and budget say. Never while another one runs.")
@click.option("--propose/--no-propose", default=True, help="Push the challenger and open a pull or merge request.")
@click.option("--status", is_flag=True, help="Start none: tell which there were, and whether another may start.")
@options.formats("terminal", "markdown", "json")
def retrain(
    config: str | None, output: str | None, why: str | None, force: bool, propose: bool, status: bool, format: str
) -> None:
    """Bring in new data, train, judge the challenger against the champion on the same test data, and propose it.

    Exits with 0 when it is proposed, and when there was nothing to do: nothing new, or too soon for another.
    """
    with boundary.errors():
        from ci_ml.wiring import reports, retraining, workspace

        space = workspace.find(config, output)
        if status:
            found = retraining.status(space)
            click.echo(found.to_json() if format == "json" else _record(found), nl=format == "json")
            return
        turn = retraining.run(space, why, sys.stderr, force=force, proposes=propose)
        if format == "json":
            click.echo(retraining.as_json(turn))
        elif turn.report is None:
            click.echo(turn.sentence)
        else:
            showing.show(turn.report, format, templates=showing.own(config, output, format))
        if turn.proposal:
            click.echo(f"proposed: {turn.proposal}", err=True)
    if turn.report is not None:
        sys.exit(reports.exit_code(turn.report))


def _record(found: Any) -> str:
    """The record as lines, the newest first; whoever may push can have written into it."""
    from ci_ml.core.retraining import moment
    from ci_ml.core.spans import words
    from ci_ml.render import safe

    lines = [found.sentence]
    for run in reversed(found.runs):
        lines.append(f"{moment(run.began)}  {run.outcome}, {words(run.took)}: {run.why}")
        if run.ended and run.ended.sentence:
            lines.append(f"  {run.ended.sentence}")
        if run.ended and run.ended.proposal:
            lines.append(f"  {run.ended.proposal}")
    return safe.inert("".join(f"{safe.printable(line)}\n" for line in lines))
