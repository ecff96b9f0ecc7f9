"""Every command. Layer: cli; what a command needs is imported when it runs, for no command pays for another."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ci_ml import __version__
from ci_ml.cli import boundary

CONTEXT = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CI_ML"}

Command = Callable[..., Any]


def _common(command: Command) -> Command:
    command = click.option(
        "--config", envvar="CI_ML_CONFIG", metavar="FILE", help="The configuration.  [default: the nearest ci-ml.yaml]"
    )(command)
    return click.option(
        "--output", envvar="CI_ML_OUTPUT", metavar="DIR", help="Where results are written.  [default: .ci-ml]"
    )(command)


_base = click.option(
    "--base",
    envvar="CI_ML_BASE",
    metavar="REV",
    help="The commit to compare with.  [default: `baseline` in ci-ml.yaml]",
)
_policy = click.option(
    "--policy",
    envvar="CI_ML_POLICY",
    type=click.Choice(["base", "head"]),
    default="base",
    show_default=True,
    help="Whose gates judge: `head` tries an edited ci-ml.yaml.",
)


def _format(*names: str) -> Callable[[Command], Command]:
    kinds = click.Choice(names)
    return click.option("--format", type=kinds, default=names[0], show_default=True)


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="ci-ml", message="%(prog)s %(version)s")
def cli() -> None:
    """Gates for machine learning in CI: reproduce a change, measure it against its base, judge it, explain it.

    Exit codes: 0 pass, 2 usage or configuration, 3 something ci-ml depends on failed, 10 a blocking regression,
    11 undecided, 12 dvc.lock or a generated file is out of date.
    """


_explain = click.option(
    "--explain",
    envvar="CI_ML_EXPLAIN",
    metavar="GATE",
    help="Say in plain words how a gate was judged: its metric, a part of its name, or `all`.",
)


@cli.command()
@_common
@_base
@_policy
@_explain
@_format("terminal", "markdown", "json")
def check(
    config: str | None, output: str | None, base: str | None, policy: Any, explain: str | None, format: str
) -> None:
    """Judge the work tree against its base, offline: the verdict that CI will give."""
    _only_for_people(explain, format)
    with boundary.errors():
        from ci_ml.wiring import gate, reports, workspace

        report = gate.run(workspace.find(config, output), base, policy)
        _show(report, format, explain)
    sys.exit(reports.exit_code(report))


@cli.command()
@_common
@_base
@_policy
@click.option(
    "--draws",
    type=click.IntRange(20, 100_000),
    default=200,
    show_default=True,
    help="How often the sides are exchanged.",
)
def selftest(config: str | None, output: str | None, base: str | None, policy: Any, draws: int) -> None:
    """Exchange base and head at random, example by example: how often do the gates on predictions cry wolf?

    Exits with 10 if more often than they promise, and with 11 if none could be tried.
    """
    with boundary.errors():
        from ci_ml.core import trials as tried
        from ci_ml.core import verdict
        from ci_ml.render import trials
        from ci_ml.wiring import gate, workspace

        found, confidence = gate.selftest(workspace.find(config, output), base, policy, draws, sys.stderr)
        click.echo(trials.trials(found, draws=draws, confidence=confidence), nl=False)
    sys.exit(verdict.EXIT_CODES[tried.outcome(found, confidence)])


@cli.command()
@_common
@_base
@_policy
@click.option("--publish/--no-publish", default=True, help="Comment, commit status and job summary on the forge.")
@_format("terminal", "markdown", "json")
def ci(config: str | None, output: str | None, base: str | None, policy: Any, publish: bool, format: str) -> None:
    """Train what is stale, check, publish: what a CI job runs. Its exit code is the verdict, published or not."""
    with boundary.errors():
        from ci_ml.wiring import gate, reports, workspace

        report = gate.ci(workspace.find(config, output), base, policy, sys.stderr, publish=publish)
        _show(report, format)
    sys.exit(reports.exit_code(report))


@cli.command()
@_common
@click.option("--dry-run", is_flag=True, help="Print the file, and write nothing.")
def init(config: str | None, output: str | None, dry_run: bool) -> None:
    """Look at the repository, and write a first ci-ml.yaml with margins that its test set can hold.

    On a terminal it asks which way a number is better; elsewhere that is left as TODO, for nobody can guess it.
    """
    with boundary.errors():
        from ci_ml.wiring import initialize, workspace

        space = workspace.find(config, output)
        text = initialize.propose(space, _ask if sys.stdin.isatty() and sys.stderr.isatty() else lambda _: None)
        if dry_run:
            click.echo(text, nl=False)
            return
        click.echo(f"wrote {initialize.write(space, text)}; read it, commit it, then run `ci-ml check`")
        if "TODO" in text:
            click.echo("lines with TODO are for you to fill in: nothing is judged before")


def _ask(metric: str) -> Any:
    """Which way a number is better, or None for later."""
    from ci_ml.core.types import Direction
    from ci_ml.render import safe

    choice = click.Choice(["higher", "lower", "later"])
    answer = click.prompt(f"{safe.printable(metric)}: which way is better?", type=choice, default="later", err=True)
    return None if answer == "later" else Direction(answer)


@cli.command()
@_common
@click.argument("targets", nargs=-1)
def train(config: str | None, output: str | None, targets: tuple[str, ...]) -> None:
    """Reproduce what is stale (TARGETS, else those of ci-ml.yaml), pulling only what that needs."""
    with boundary.errors():
        from ci_ml.wiring import training, workspace

        space = workspace.find(config, output)
        done = training.run(space, sys.stderr, targets=targets)
        from ci_ml.render import terminal

        text = terminal.training(done, space.output / training.FILE, width=boundary.width(), color=boundary.color())
        click.echo(text, nl=False)


@cli.command()
@_common
@_format("terminal", "json")
def verify(config: str | None, output: str | None, format: str) -> None:
    """Is dvc.lock true for this commit? Needs no data. Exit 12 when a stage is stale."""
    with boundary.errors():
        from ci_ml.core.staleness import State
        from ci_ml.wiring import gate, workspace

        items = gate.verify(workspace.find(config, output))
        if format == "json":
            from ci_ml.render import data

            click.echo(data.freshness(items), nl=False)
        else:
            from ci_ml.render import terminal

            click.echo(terminal.freshness(items, width=boundary.width(), color=boundary.color()), nl=False)
    sys.exit(12 if any(item.state is State.STALE for item in items) else 0)


@cli.command()
@_common
@click.option(
    "--base",
    envvar="CI_ML_BASE",
    metavar="REV",
    help="The first revision.  [default: as in check; with --head, its parent]",
)
@click.option("--head", metavar="REV", help="The second revision.  [default: the work tree]")
@click.option("--all", is_flag=True, help="Show metrics and params that are the same, too.")
@_format("terminal", "json")
def diff(config: str | None, output: str | None, base: str | None, head: str | None, all: bool, format: str) -> None:
    """Metrics, params, data and stages that differ between two revisions. Never blocks."""
    with boundary.errors():
        from ci_ml.wiring import gate, workspace

        one, other, found = gate.diff(workspace.find(config, output), base, head, unchanged=all)
        if format == "json":
            from ci_ml.render import data

            click.echo(data.diff(one, other, found.changes, found.notices), nl=False)
        else:
            from ci_ml.render import terminal

            text = terminal.diff(
                one, other, found.changes, found.notices, width=boundary.width(), color=boundary.color()
            )
            click.echo(text, nl=False)


@cli.command()
@_common
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@_explain
@_format("terminal", "markdown", "json")
def report(config: str | None, output: str | None, file: Path | None, explain: str | None, format: str) -> None:
    """Render a report.json again (FILE, by default the last one here). Exits 0 whatever its verdict."""
    _only_for_people(explain, format)
    with boundary.errors():
        from ci_ml.wiring import reports

        _show(reports.read(file or reports.last(config, output)), format, explain)


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the comment, and publish nothing.")
def publish(file: Path, dry_run: bool) -> None:
    """Publish a report.json that another run made (FILE): comment, commit status, job summary.

    What it is about comes from this run's own event, and the file is taken for a stranger's. Exits 0 when it was
    published, whatever the verdict is: the commit status is the gate.
    """
    with boundary.errors():
        from ci_ml.wiring import publishing, reports

        told = publishing.run(reports.received(file), file, sys.stderr, dry=dry_run)
        said = told if isinstance(told, str) else f"{told.comment_url or 'published without a comment'}\n"
        click.echo(said, nl=False)


@cli.command()
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("ci-ml-demo"), show_default=True
)
def demo(output: Path) -> None:
    """Build a small real project with a regressing branch, and show the verdict on it."""
    with boundary.errors():
        from ci_ml.wiring import demo as demonstration

        demonstration.run(output, sys.stdout, width=boundary.width(), color=boundary.color())


@cli.command()
def schema() -> None:
    """Print the JSON Schema of ci-ml.yaml."""
    import json

    from ci_ml.core import config as configuration

    click.echo(json.dumps(configuration.json_schema(), indent=2))


def _only_for_people(explain: str | None, format: str) -> None:
    if explain is not None and format != "terminal":
        raise click.UsageError(f"--explain is for people to read: leave --format {format} out")


def _show(report: Any, format: str, explain: str | None = None) -> None:
    if format == "json":
        click.echo(report.to_json().replace("##[", "\\u0023#["), nl=False)  # a command to GitHub's runner
    elif format == "markdown":
        from ci_ml.render import markdown

        click.echo(markdown.report(report), nl=False)
    else:
        from ci_ml.render import terminal

        width, color = boundary.width(), boundary.color()
        if explain is None:
            said = terminal.report(report, width=width, color=color)
        else:
            said = terminal.explain(report, explain, width=width, color=color)
        click.echo(said, nl=False)
