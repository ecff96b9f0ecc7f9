"""`ci-ml reproduce`, and `ci-ml testset`: training again from a record, and how worn a test set is. Layer: cli."""

import sys

import click

from ci_ml.cli import boundary, options


@click.command()
@options.common
@click.argument("what", metavar="REV|MODEL")
@click.option(
    "--environment",
    type=click.Choice(["here", "locked"]),
    help="Train in the environment that is here, or in one made from the lock file of the commit.  "
    "[default: locked, unless what is here is the recorded one or there is no lock file with hashes]",
)
@click.option(
    "--require",
    type=click.Choice(["bitwise", "metrics", "statistical"]),
    default="statistical",
    show_default=True,
    help="How alike it has to come out.",
)
@options.formats("terminal", "markdown", "json")
def reproduce(
    config: str | None, output: str | None, what: str, environment: str | None, require: str, format: str
) -> None:
    """Train again what a commit or a model was trained by, from its record alone, and compare.

    WHAT is a commit, MODEL, MODEL@ALIAS or MODEL/VERSION; MODEL alone is what has its first alias under `registry`. In
    a clean copy of the commit, with the recorded data and environment; nothing here changes. Exits with 0 when it came
    out as alike as --require asks, with 10 when it did not, and with 3 when it cannot be done: no record, data that are
    gone, an environment that cannot be restored.
    """
    with boundary.errors():
        from ci_ml.core.reproducing import Restoring
        from ci_ml.core.sameness import Sameness
        from ci_ml.render import sameness as rendering
        from ci_ml.wiring import reproducing, workspace

        required = Sameness(require)
        space = workspace.find(config, output)
        asked = Restoring(environment) if environment else None
        found, record = reproducing.run(space, what, required, asked, sys.stderr)
        if format == "json":
            text = rendering.data(found, record)
        elif format == "markdown":
            from ci_ml.render import safe

            text = safe.inert(rendering.markdown(found, required))
        else:
            text = rendering.terminal(found, required, width=boundary.width(), color=boundary.color())
        click.echo(text, nl=False)
    sys.exit(0 if found.likeness.sameness.meets(required) else 10)


@click.group()
def testset() -> None:
    """Test sets: how often each has been used to decide, and turning to a new one."""


@testset.command()
@options.common
@options.formats("terminal", "json")
@click.argument("name", required=False)
def show(config: str | None, output: str | None, format: str, name: str | None) -> None:
    """How often each test set of ci-ml.yaml, or the one called NAME, has been looked at, and when it was rotated.

    Its path does as well, and the table of predictions with that path.
    """
    with boundary.errors():
        from ci_ml.render import testsets as rendering
        from ci_ml.wiring import testsets, workspace

        found = [
            rendering.Row(name=one.name, config=one.config, digest=one.digest, looks=one.looks, rotations=one.rotations)
            for one in testsets.show(workspace.find(config, output), name)
        ]
        if format == "json":
            text = rendering.data(found)
        else:
            text = rendering.terminal(found, width=boundary.width(), color=boundary.color())
        click.echo(text, nl=False)


@testset.command()
@options.common
@click.argument("name")
@click.option("--why", required=True, metavar="TEXT", help="What the new rows are, and why it was time.")
def rotate(config: str | None, output: str | None, name: str, why: str) -> None:
    """Record that the test set NAME has new rows: its looks are counted from 1 again.

    Its path does as well, and the table of predictions with that path, where just one test set is meant.

    Put the new rows into its file first. Rows that have been looked at before are no new test set.
    """
    with boundary.errors():
        from ci_ml.render import testsets as rendering
        from ci_ml.wiring import testsets, workspace

        rotation, trouble = testsets.rotate(workspace.find(config, output), name, why)
        click.echo(rendering.rotated(rotation, trouble), nl=False)
