"""`ci-ml audit sign`, `bom`, `card` and `attestation`: what is made from records for others. Layer: cli."""

import sys
from pathlib import Path

import click

from ci_ml.cli import boundary, options


def register(group: click.Group) -> None:
    """Add these commands to `ci-ml audit`."""
    for command in (sign, verify_model, bom, card, attestation):
        group.add_command(command)


_to = click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there.  [default: stdout]"
)
_asked = click.argument("asked", metavar="MODEL|REV")


@click.command()
@options.common
@click.option(
    "--kept",
    is_flag=True,
    help="Sign the records in .ci-ml/records, and leave the signatures in .ci-ml/signatures: for who may not write the "
    "ledger.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="PATH",
    help="Also sign this model, a file or a folder, in the format of OpenSSF Model Signing; may be repeated.  "
    "[default: with `audit.models`, those that ci-ml.yaml registers]",
)
def sign(config: str | None, output: str | None, kept: bool, models: tuple[str, ...]) -> None:
    """Sign the records of the ledger that nobody signed yet, as `audit` in ci-ml.yaml says: with a key, or Sigstore.

    A key that is missing, wrong or no longer believed is exit 2; nothing is signed with another one.
    """
    with boundary.errors():
        from ci_ml.wiring import signing, workspace

        space = workspace.find(config, output)
        done = signing.sign_kept(space) if kept else signing.sign_ledger(space)
        noun = "record" if done.records == 1 else "records"
        before = f"; {done.already:,} were signed already" if done.already else ""
        click.echo(f"signed {done.records:,} {noun} with {done.by}{before}")
        _tell(*done.places)
        if asked := models or signing.models(space):
            _tell(*signing.sign_models(space, asked).places)


@click.command("verify-model")
@options.common
@click.option(
    "--signature",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The signature of the model.  [default: where `ci-ml audit sign --model` leaves it]",
)
@options.believed
@click.argument("model", type=click.Path(path_type=Path), metavar="PATH")
def verify_model(
    config: str | None, output: str | None, signature: Path | None, keys: tuple[Path, ...], model: Path
) -> None:
    """Is this model, a file or a folder, byte for byte what somebody who is believed has signed?

    With --key and --signature it takes no repository. Exits with 10 when the bytes are others, when somebody else has
    signed them, and when nobody has.
    """
    with boundary.errors():
        from ci_ml.render import safe
        from ci_ml.wiring import verifying, workspace

        found = verifying.model(lambda: workspace.find(config, output), model, signature, keys)
        click.echo(safe.inert(safe.printable(found.sentence)))
    sys.exit(10 if found.by is None else 0)


@click.command()
@options.common
@_to
@_asked
def bom(config: str | None, output: str | None, to: Path | None, asked: str) -> None:
    """The bill of materials of a model, CycloneDX 1.6 with a model card: data, packages, metrics with intervals.

    MODEL is what its first alias under `registry` was set to last, else its champion, else its newest promotion;
    MODEL@ALIAS and MODEL/VERSION are others; REV is what a commit made.
    """
    with boundary.errors():
        from ci_ml.wiring import dossiers, workspace

        _hand_over(dossiers.bom(workspace.find(config, output), asked), to)


@click.command()
@options.common
@_to
@click.option(
    "--task",
    default="other",
    show_default=True,
    help="What Hugging Face calls the task, such as tabular-classification.",
)
@click.option("--license", "licence", metavar="SPDX", help="The licence of the model, as Hugging Face names it.")
@click.option(
    "--about",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Markdown that says what the model is for, and where it must not be used: no record knows that.",
)
@_asked
def card(
    config: str | None,
    output: str | None,
    to: Path | None,
    task: str,
    licence: str | None,
    about: Path | None,
    asked: str,
) -> None:
    """The card of a model in the layout of Hugging Face: Markdown, with its metrics as `model-index`.

    MODEL is what its first alias under `registry` was set to last, else its champion, else its newest promotion;
    MODEL@ALIAS and MODEL/VERSION are others; REV is what a commit made.
    """
    with boundary.errors():
        from ci_ml.render import safe
        from ci_ml.wiring import dossiers, workspace

        text = dossiers.card(workspace.find(config, output), asked, task, licence, about)
        _hand_over(text if to else safe.inert(text), to)


@click.command()
@options.common
@click.option(
    "--kind",
    type=click.Choice(["verdict", "training", "promotion"]),
    default="verdict",
    show_default=True,
    help="Which record is attested: how the model was judged, how it was trained, or who promoted it.",
)
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where to write the files.  [default: .ci-ml/attestation]",
)
@_asked
def attestation(config: str | None, output: str | None, kind: str, to: Path | None, asked: str) -> None:
    """Write predicate.json, predicate-type.txt and subjects.txt: what GitHub's actions/attest takes.

    In GitHub Actions the outputs `predicate`, `predicate-type` and `subjects` of the step say where they are.
    """
    with boundary.errors():
        from ci_ml.core.statements import Kind
        from ci_ml.wiring import dossiers, workspace

        _tell(dossiers.attest(workspace.find(config, output), asked, Kind(kind), to))


def _tell(*places: Path) -> None:
    from ci_ml.render import safe

    for place in places:
        click.echo(safe.inert(safe.printable(str(place))))


def _hand_over(text: str, to: Path | None) -> None:
    if to is None:
        click.echo(text, nl=False)
        return
    from ci_ml.wiring import dossiers

    dossiers.leave(to, text)
