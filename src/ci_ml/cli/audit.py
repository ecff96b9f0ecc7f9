"""`ci-ml audit`: the ledger of trainings, verdicts and promotions. Layer: cli."""

import sys
from pathlib import Path
from typing import Any

import click

from ci_ml.cli import attesting, boundary, options

_registry = click.option(
    "--registry/--no-registry",
    default=True,
    help="Ask the registry which entries its model versions remember, where one is configured.",
)


@click.group()
def audit() -> None:
    """The ledger: who made, judged and promoted which model, from what, and when.

    It is on the ref refs/ci-ml/ledger of the repository, and only ever added to.
    """


attesting.register(audit)


@audit.command()
@options.common
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path))
def record(config: str | None, output: str | None, files: tuple[Path, ...]) -> None:
    """Enter the records that `ci-ml train`, `check` and `ci` left in .ci-ml/records, and FILES that others left there.

    For a job whose token may write. What is in the ledger already is not entered twice, so it may run again.
    """
    with boundary.errors():
        from ci_ml.core import chain
        from ci_ml.render import safe
        from ci_ml.wiring import auditing, workspace

        new = auditing.record(workspace.find(config, output), files)
        lines = [f"entered {entry.number}: {entry.kind} {chain.short(entry.record)}" for entry in new]
        text = "\n".join(lines) or "there is nothing to enter that is not in the ledger"
        click.echo(safe.inert(text))


@audit.command()
@options.common
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="DIGEST",
    help="The digest of an entry that is known from elsewhere, such as an earlier run's; may be repeated.",
)
@click.option("--signatures", is_flag=True, help="Every record must be signed, by a key that ci-ml.yaml names.")
@options.believed
@_registry
@options.formats("terminal", "json")
def verify(
    config: str | None,
    output: str | None,
    anchors: tuple[str, ...],
    signatures: bool,
    keys: tuple[Path, ...],
    registry: bool,
    format: str,
) -> None:
    """Walk the whole ledger: every edit, removal, insertion and other order is found, with the entry.

    Exits with 0 when it holds and 10 when it does not, and with 3 when it cannot be read.
    """
    with boundary.errors():
        from ci_ml.wiring import auditing, workspace

        space = workspace.find(config, output)
        found = auditing.verify(space, anchors, signatures=signatures, keys=keys, registry=registry)
        click.echo(found.to_json() if format == "json" else _checked(found), nl=False)
    sys.exit(10 if found.problems else 0)


@audit.command()
@options.common
@options.formats("terminal", "markdown", "json")
@click.option(
    "--registry/--no-registry",
    default=True,
    help="Ask the registry whether the alias is where the ledger has it.",
)
@click.argument("what", metavar="REV|MODEL[@ALIAS|/VERSION]")
def show(config: str | None, output: str | None, registry: bool, what: str, format: str) -> None:
    """One page about a commit or a model: what data, what code and environment, what evidence, who approved.

    MODEL alone is what has its first alias under `registry` in ci-ml.yaml, or else champion.
    """
    with boundary.errors():
        from ci_ml.render import safe
        from ci_ml.render import story as rendering
        from ci_ml.wiring import stories, workspace

        found = stories.tell(workspace.find(config, output), what, ask=registry)
        if format == "json":
            click.echo(found.to_json(), nl=False)
        elif format == "markdown":
            click.echo(safe.inert(rendering.markdown(found)), nl=False)
        else:
            click.echo(rendering.terminal(found, width=boundary.width(), color=boundary.color()), nl=False)


@audit.command()
@options.common
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR|FILE.zip",
    help="Where to write it; nothing may be there yet.",
)
@_registry
def export(config: str | None, output: str | None, target: Path, registry: bool) -> None:
    """Write the ledger for an auditor, to be read and checked offline.

    Entries, records and signatures as they are, a page (index.html), and verify.py, which needs nothing but Python.
    Exits with 10 when the ledger does not hold; it is written all the same.
    """
    with boundary.errors():
        from ci_ml.render import safe
        from ci_ml.wiring import auditing, workspace

        found = auditing.export(workspace.find(config, output), target, registry=registry)
        click.echo(safe.inert(f"{_checked(found)}wrote {safe.printable(str(target))}\n"), nl=False)
    sys.exit(10 if found.problems else 0)


def _checked(found: Any) -> str:
    """What was found of a ledger, in lines."""
    from ci_ml.render import safe

    lines = [found.sentence, *(f"  {problem}" for problem in found.problems)]
    lines += [f"! {notice}" for notice in found.notices]
    if found.newest and not found.problems:
        lines.append(f"newest entry: {found.newest} (keep it elsewhere, and give it to --anchor the next time)")
    return safe.inert("".join(f"{safe.printable(line)}\n" for line in lines))
