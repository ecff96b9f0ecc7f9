"""Every command. Layer: cli; what a command needs is imported when it runs, for no command pays for another."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ci_ml import __version__
from ci_ml.cli import boundary, options, showing

CONTEXT = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CI_ML"}


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
@options.common
@options.base
@options.policy
@_explain
@options.formats("terminal", "markdown", "json")
def check(
    config: str | None, output: str | None, base: str | None, policy: Any, explain: str | None, format: str
) -> None:
    """Judge the work tree against its base, offline: the verdict that CI will give."""
    _only_for_people(explain, format)
    with boundary.errors():
        from ci_ml.wiring import gate, reports

        report = gate.run(reports.opened(config, output), base, policy, sys.stderr)
        showing.show(report, format, explain, templates=showing.own(config, output, format))
    sys.exit(reports.exit_code(report))


@cli.command()
@options.common
@options.base
@options.policy
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
@options.common
@options.base
@options.policy
@click.option("--publish/--no-publish", default=True, help="Comment, commit status and job summary on the forge.")
@click.option(
    "--needs",
    envvar="CI_ML_NEEDS",
    metavar="JSON",
    help="Train nothing: put together what `ci-ml stage` left in other jobs. JSON says how they ended: GitHub's "
    "toJSON(needs), elsewhere {}.",
)
@click.option(
    "--hand-on",
    envvar="CI_ML_HAND_ON",
    is_flag=True,
    help="Leave what was trained in .ci-ml/handover, for `ci-ml record` in a job that may write.",
)
@options.formats("terminal", "markdown", "json")
def ci(
    config: str | None,
    output: str | None,
    base: str | None,
    policy: Any,
    publish: bool,
    needs: str | None,
    hand_on: bool,
    format: str,
) -> None:
    """Train what is stale, check, publish: what a CI job runs. Its exit code is the verdict, published or not."""
    with boundary.errors():
        from ci_ml.wiring import gate, reports

        space = reports.opened(config, output)
        report = gate.ci(space, base, policy, sys.stderr, publish=publish, needs=needs, hand_on=hand_on)
        if hand_on:
            from ci_ml.wiring import stages

            stages.tell(space, handover=str(place) if (place := stages.folder(space)).is_dir() else "")
        showing.show(report, format, templates=showing.own(config, output, format))
    sys.exit(reports.exit_code(report))


@cli.command()
@options.common
@click.option(
    "--forge",
    envvar="CI_ML_FORGE",
    type=click.Choice(["github", "gitlab"]),
    help="Whose CI files to write.  [default: that of git's remote]",
)
@click.option(
    "--example",
    type=click.Choice(["classification", "regression"]),
    help="Start a small DVC pipeline that works, where there is none.",
)
@click.option("--dry-run", is_flag=True, help="Print every file, and write nothing.")
def init(config: str | None, output: str | None, forge: str | None, example: str | None, dry_run: bool) -> None:
    """Look at the repository, and write a first ci-ml.yaml, with margins that its test set can hold, and the CI files.

    On a terminal it asks which way a number is better; elsewhere that is left as TODO, for nobody can guess it.
    """
    with boundary.errors():
        from ci_ml.core.workflow import ForgeKind
        from ci_ml.render import setup
        from ci_ml.wiring import initialize, workspace

        space = workspace.find(config, output)
        found = initialize.plan(space, _asker(), asked=ForgeKind(forge) if forge else None, example=example)
        if dry_run:
            click.echo(setup.found(found), err=True, nl=False)
            click.echo(setup.files(found), nl=False)
            return
        initialize.write(space, found)
        click.echo(setup.found(found) + setup.written(found), nl=False)


@cli.command()
@options.common
@click.option("--check", "only_check", is_flag=True, help="Write nothing: show what would change, and exit 12.")
@click.option("--graph", is_flag=True, help="Draw the jobs as a Mermaid flowchart instead.")
@click.option("--force", is_flag=True, help="Overwrite what was edited by hand outside of the kept lines.")
@click.option(
    "--child",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write GitLab's child pipeline instead: a job for each stage that has to run, and the gate.",
)
@options.base
@options.policy
def generate(
    config: str | None,
    output: str | None,
    only_check: bool,
    graph: bool,
    force: bool,
    child: Path | None,
    base: str | None,
    policy: Any,
) -> None:
    """Write the CI files that `pipelines` in ci-ml.yaml declares."""
    with boundary.errors():
        from ci_ml.errors import UsageError
        from ci_ml.wiring import generate as generating
        from ci_ml.wiring import stages, workspace

        asked = [name for name, given in (("--check", only_check), ("--graph", graph), ("--child", child)) if given]
        if len(asked) > 1:
            raise UsageError(f"{' and '.join(asked)} ask for different things", "one at a time")
        space = workspace.find(config, output)
        if child is not None:
            names = stages.child(space, base, policy, child)
            click.echo("".join(f"to run: {name}\n" for name in names) or "every stage is up to date\n", nl=False)
            return
        if graph:
            from ci_ml.render import graph as drawing

            click.echo(drawing.graph(generating.specs(space)), nl=False)
            return
        if not only_check:
            found = generating.run(space, force=force)
            lines = [f"wrote {one.path}\n" for one in found.changed]
            lines += [f"took away {one.path}\n" for one in found.surplus]
            click.echo("".join(lines) or "every file is as it should be\n", nl=False)
            _warn(found.lacks)
        else:
            found = generating.checked(space)
            diffs = [one.diff() for one in found.changed] + [one.diff() for one in found.surplus]
            click.echo("".join(diffs), nl=False)
        _advise(found.entry)
    sys.exit(0 if found.current or not only_check else 12)


def _advise(entry: Any) -> None:
    """Say what to add where GitLab does not read our file: on stderr, for what goes to stdout is a patch."""
    from ci_ml.render import pipelines, safe

    if said := pipelines.advice(entry):
        click.echo(safe.inert(f"{click.style('note:', bold=True)} {said}"), err=True, nl=False)


def _warn(lacks: Sequence[Any]) -> None:
    """Say what jobs will miss that the files cannot give them."""
    from ci_ml.render import safe

    for lack in lacks:
        said = safe.printable(f"{lack.sentence}; {lack.fix}")
        click.echo(safe.inert(f"{click.style('note:', bold=True)} {said}\n"), err=True, nl=False)


def _asker() -> Callable[[str], Any]:
    """Asks which way a number is better, where somebody is there to answer."""
    from ci_ml.core.proposal import Answer

    if sys.stdin.isatty() and sys.stderr.isatty():
        return lambda metric: Answer(_ask(metric, [answer.value for answer in Answer], Answer.LATER.value))
    return lambda _: Answer.LATER


def _ask(metric: str, answers: list[str], otherwise: str) -> str:
    from ci_ml.render import safe

    question = f"{safe.printable(metric)}: which way is better?"
    return str(click.prompt(question, type=click.Choice(answers), default=otherwise, err=True))


@cli.command()
@options.common
@click.argument("targets", nargs=-1)
@click.option(
    "--twice",
    is_flag=True,
    help="Then run every stage once more in a copy, on the same inputs, and say which makes something else of them.",
)
def train(config: str | None, output: str | None, targets: tuple[str, ...], twice: bool) -> None:
    """Reproduce what is stale (TARGETS, else those of ci-ml.yaml), pulling only what that needs.

    With --twice it exits with 10 when a stage is not deterministic; what the second time makes is kept nowhere.
    """
    with boundary.errors():
        from ci_ml.wiring import reports, training

        space = reports.opened(config, output)
        if twice:
            from ci_ml.render import sameness
            from ci_ml.wiring import repetition

            found = repetition.run(space, sys.stderr, targets)
            text = sameness.repetition(
                found.stages, found.partings, found.left, width=boundary.width(), color=boundary.color()
            )
            click.echo(text, nl=False)
            sys.exit(0 if found.is_deterministic else 10)
        done = training.run(space, sys.stderr, targets=targets)
        from ci_ml.render import terminal

        text = terminal.training(done, space.output / training.FILE, width=boundary.width(), color=boundary.color())
        click.echo(text, nl=False)


@cli.command()
@options.common
@options.base
@options.policy
@click.option("--jobs", envvar="CI_ML_JOBS", default="", metavar="IDS", help="The jobs that the workflow has.")
def plan(config: str | None, output: str | None, base: str | None, policy: Any, jobs: str) -> None:
    """Which stages have to run, as JSON by job: the first job of the layout `stages`. Needs no data."""
    with boundary.errors():
        from ci_ml.wiring import stages, workspace

        space = workspace.find(config, output)
        found = stages.as_json(stages.by_job(space, stages.planned(space, base, policy), jobs.split()))
        stages.tell(space, stages=found)
        click.echo(found)


@cli.command()
@options.common
@options.base
@options.policy
@click.argument("name", envvar="CI_ML_STAGE")
@click.option(
    "--transfer",
    envvar="CI_ML_TRANSFER",
    type=click.Choice(["remote", "artifacts"]),
    default="artifacts",
    show_default=True,
    help="How the outputs get to other jobs: with `dvc push`, or in the folder beside what is handed on.",
)
@click.option("--planned", is_flag=True, help="Do nothing for a stage that `ci-ml plan` leaves out.")
def stage(
    config: str | None, output: str | None, base: str | None, policy: Any, name: str, transfer: str, planned: bool
) -> None:
    """Run one stage of dvc.yaml (NAME) on what earlier jobs handed on in .ci-ml/handover, and hand it on there."""
    with boundary.errors():
        from ci_ml.core.workflow import Transfer
        from ci_ml.wiring import stages, training, workspace

        space = workspace.find(config, output)
        if planned and name not in stages.planned(space, base, policy):
            click.echo(f"{name} does not have to run")
            return
        done, place = stages.run(space, name, Transfer(transfer), base, policy, sys.stderr)
        from ci_ml.render import terminal

        stages.tell(space, handover=str(place.parent), id=place.name)
        text = terminal.training(done, space.output / training.FILE, width=boundary.width(), color=boundary.color())
        click.echo(text, nl=False)


@cli.command()
@options.common
def record(config: str | None, output: str | None) -> None:
    """Push the data that other jobs trained, and commit dvc.lock and metrics: what is merged is the next baseline.

    For a job on the default branch, after the gate. It commits right after the commit that was judged; where the branch
    has moved on, it leaves that to the run of what is there now.
    """
    with boundary.errors():
        from ci_ml.wiring import recording, workspace

        click.echo(recording.record(workspace.find(config, output)).said)


@cli.command()
@options.common
@options.formats("terminal", "json")
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
@options.common
@options.formats("terminal", "json")
def doctor(config: str | None, output: str | None, format: str) -> None:
    """What would stop ci-ml from working here, with a fix for each: files, base, DVC's remote, registry, forge.

    The forge is asked when there is a token (CI_ML_TOKEN, GITHUB_TOKEN, GH_TOKEN, GITLAB_TOKEN); nothing is changed
    there. Exits 0 when no problem was found, also where something could not be looked at; else with the code of the
    most serious one: 2 configuration or settings, then 3 what does not answer (DVC's remote, the registry, git) or the
    token, then 12 a stale file.
    """
    with boundary.errors():
        from ci_ml.core import doctor as findings
        from ci_ml.render import doctor as rendering
        from ci_ml.wiring import doctor as examining
        from ci_ml.wiring import workspace

        found = examining.run(workspace.find(config, output))
        if format == "json":
            text = rendering.data(found.forge, found.repository, found.findings)
        else:
            text = rendering.terminal(found.findings, width=boundary.width(), color=boundary.color())
        click.echo(text, nl=False)
    sys.exit(findings.exit_code(found.findings))


@cli.command()
@options.common
@click.option(
    "--base",
    envvar="CI_ML_BASE",
    metavar="REV",
    help="The first revision.  [default: as in check; with --head, its parent]",
)
@click.option("--head", metavar="REV", help="The second revision.  [default: the work tree]")
@click.option("--all", is_flag=True, help="Show metrics and params that are the same, too.")
@options.formats("terminal", "json")
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
@options.common
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@_explain
@options.formats("terminal", "markdown", "html", "json", "junit", "openmetrics", "codequality", "annotations", "csv")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Write it to a file, and print nothing.",
)
@click.option(
    "--charts",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write every chart into a folder instead, as SVG.",
)
@click.option("--png", is_flag=True, help="With --charts: as PNG.")
def report(
    config: str | None,
    output: str | None,
    file: Path | None,
    explain: str | None,
    format: str,
    to: Path | None,
    charts: Path | None,
    png: bool,
) -> None:
    """Render a report.json again (FILE, by default the last one here). Exits 0 whatever its verdict."""
    _only_for_people(explain, format)
    if png and charts is None:
        raise click.UsageError("--png says how --charts are written")
    with boundary.errors():
        from ci_ml.wiring import reports

        found = reports.read(file or reports.last(config, output))
        if charts is not None:
            for place in reports.charts(found, charts, "png" if png else "svg"):
                click.echo(place)
            return
        templates = showing.own(config, output, format)
        if to is None:
            showing.show(found, format, explain, templates=templates)
        else:
            reports.save(
                to, showing.rendered(found, format, explain, width=showing.PAGE, color=False, templates=templates)
            )


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
        from ci_ml.render import safe

        click.echo(safe.inert(said), nl=False)


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
