"""`ci-ml promote`, `rollback`, `history` and `serve-check`: models in a registry, and their aliases. Layer: cli."""

import json
import sys
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ci_ml.cli import boundary, options
from ci_ml.errors import UsageError

if TYPE_CHECKING:
    from ci_ml.usecases.promote import Moved
    from ci_ml.wiring.promotions import History

_REQUESTS = {"github": "pull request #", "gitlab": "merge request !"}
_FORCE = "Whoever has the turn, and wherever the aliases are. Never what the report, the bytes and approvals say."


@click.command()
@options.common
@click.argument("model")
@click.option("--alias", envvar="CI_ML_ALIAS", metavar="ALIAS", help="The alias.  [default: the first one configured]")
@click.option("--to", "several", metavar="A,B", help="Several aliases, which move together.")
@click.option("--report", metavar="FILE", help="The report to go by.  [default: report.json in --output]")
@click.option("--change", type=click.IntRange(min=1), metavar="NUMBER", help="The request that the commit came with.")
@click.option("--force", is_flag=True, help=_FORCE)
@options.formats("terminal", "json")
def promote(
    config: str | None,
    output: str | None,
    model: str,
    alias: str | None,
    several: str | None,
    report: str | None,
    change: int | None,
    force: bool,
    format: str,
) -> None:
    """Register the model of this commit and let an alias be its version, if its report allows that.

    MODEL is a name under `registry` in ci-ml.yaml. The report has to be about this commit and these very bytes, and to
    pass; approvals are counted where the alias asks for some. Exits with 10 when the model may not be promoted.
    """
    with boundary.errors():
        # CI_ML_ALIAS is what holds where nothing is said, and --to says it.
        is_said = click.get_current_context().get_parameter_source("alias") is ParameterSource.COMMANDLINE
        if alias and is_said and several is not None:
            raise UsageError("--alias and --to say the same", "--to takes several aliases, separated by commas")
        given = alias or "" if several is None else several
        names = [name.strip() for name in given.split(",") if name.strip()]
        if several is not None and not names:
            raise UsageError("--to names no alias", "name some, separated by commas: --to champion,shadow")
        from ci_ml.wiring import registry, workspace

        space = workspace.find(config, output)
        done = registry.promoted(space, model, names, sys.stderr, report=report, number=change, forced=force)
        _show(done, format)


@click.command()
@options.common
@click.argument("model")
@click.option("--alias", envvar="CI_ML_ALIAS", metavar="ALIAS", help="The alias.  [default: the first one configured]")
@click.option("--to", metavar="VERSION", help="The version to go back to.  [default: the one before]")
@click.option("--why", envvar="CI_ML_WHY", required=True, metavar="TEXT", help="The reason, for the record.")
@click.option("--force", is_flag=True, help="Wherever the alias is, whoever has moved it.")
@options.formats("terminal", "json")
def rollback(
    config: str | None,
    output: str | None,
    model: str,
    alias: str | None,
    to: str | None,
    why: str,
    force: bool,
    format: str,
) -> None:
    """Let an alias be an earlier version again. It has the right of way before promotions."""
    with boundary.errors():
        from ci_ml.wiring import registry, workspace

        space = workspace.find(config, output)
        _show(registry.rolled_back(space, model, alias, to, why, sys.stderr, forced=force), format)


@click.command()
@options.common
@click.argument("model")
@options.formats("terminal", "json")
def history(config: str | None, output: str | None, model: str, format: str) -> None:
    """Tell every change of every alias of a model: who, when, why and with which report; the newest first."""
    with boundary.errors():
        from ci_ml.wiring import promotions, workspace

        found = promotions.history(workspace.find(config, output), model)
        if format == "json":
            click.echo(promotions.as_json(found), nl=False)
            return
        _tell(found)


def _tell(found: "History") -> None:
    """As lines; whoever may push can have written into the ledger."""
    from ci_ml.render import safe
    from ci_ml.wiring import promotions

    lines = [f"{alias} of {found.model} is version {version}" for alias, version in (found.aliases or {}).items()]
    lines += [f"! {doubt}" for doubt in found.doubts]
    for row in promotions.rows(found):
        before = f"version {row['previous']}" if row["previous"] else "nothing"
        went = f"{row['alias']}: {before} → version {row['version']}"
        if row["previous"] == row["version"]:
            went = f"{row['alias']} stays version {row['version']}"
        who = f" by {row['by']}" if row["by"] else ""
        lines.append(f"{row['at'][:16].replace('T', ' ')} UTC  {went}{who}")
        forced = " (forced)" if row["forced"] else ""
        because = f": {row['why']}" if row["why"] else ""
        lines.append(f"  {row['action']}{forced}{because}, {row['outcome'] or 'no report is known'}")
        lines.append(f"  commit {row['commit'] or 'unknown'}, report {row['report'] or 'unknown'}")
        if change := row["change"]:
            lines.append(f"  {_REQUESTS.get(change['forge'], '#')}{change['number']}{_comma(change['url'])}")
        lines += [f"  approved by {one['by']} at {one['at']}" for one in row["approvals"]]
        lines += [f"  waived by {one['by']} at {one['at']}" for one in row["waivers"]]
        lines.append(f"  entry {row['entry']} of the ledger{_comma(row['run_url'])}")
    if not found.state.done:
        lines.append(f"the ledger knows no promotion of {found.model}")
    click.echo(safe.inert("".join(f"{safe.printable(line)}\n" for line in lines)), nl=False)


def _comma(text: str | None) -> str:
    return f", {text}" if text else ""


def _show(done: "Moved", format: str) -> None:
    from ci_ml.render import safe

    if format == "terminal":
        click.echo(safe.inert(safe.printable(done.sentence)))
        return
    document = {
        "schema": "ci-ml/promotion/v1",
        "model": done.model,
        "version": done.version,
        "previous": dict(done.previous),
        "changed": done.changed,
        "sentence": done.sentence,
        "record": done.record,
        "entry": done.entry,
    }
    click.echo(json.dumps(document, indent=1, ensure_ascii=False))


@click.command("serve-check")
@options.common
@click.argument("model")
@click.option("--alias", envvar="CI_ML_ALIAS", metavar="ALIAS", help="The alias.  [default: the first one configured]")
@click.option("--version", "number", metavar="VERSION", help="A version instead of what has the alias.")
@click.option("--here", is_flag=True, help="The model as it is here, before it is registered.")
@click.option("--python", metavar="FILE", help="The Python that loads the model.  [default: the one that runs ci-ml]")
@options.formats("terminal", "json")
def serve_check(
    config: str | None,
    output: str | None,
    model: str,
    alias: str | None,
    number: str | None,
    here: bool,
    python: str | None,
    format: str,
) -> None:
    """Score a fixed sample through the packaged model and compare with what was evaluated.

    The model that ships is the model that was judged: the registry's bytes are those that were promoted, and they give
    the answers that the report is about. Exits with 10 when either is not so.
    """
    with boundary.errors():
        if here and (alias or number):
            raise UsageError("--here is about no version", "leave --alias and --version out")
        from ci_ml.wiring import serving, workspace

        space = workspace.find(config, output)
        found = serving.check(space, model, alias=alias, version=number, here=here, python=python)
        served = found.served
        if format == "json":
            document = {
                "schema": "ci-ml/serve-check/v1",
                "what": found.what,
                "same": served.same,
                "rows": served.rows,
                "differing": served.differing,
                "unknown": served.unknown,
                "largest": served.largest,
                "examples": list(served.examples),
            }
            click.echo(json.dumps(document, indent=1, ensure_ascii=False))
        else:
            from ci_ml.render import safe

            click.echo(safe.inert(safe.printable(f"{found.what}: {served.sentence}")))
    if not served.same:
        sys.exit(10)
