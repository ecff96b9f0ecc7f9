"""What is made from the records of a model: bill of materials, card, attestation. Layer: wiring."""

from pathlib import Path

from ci_ml.adapters import files
from ci_ml.core import attestation as attesting
from ci_ml.core import dossier as dossiers
from ci_ml.core.dossier import Dossier, Records
from ci_ml.core.statements import Kind
from ci_ml.errors import DependencyError, UsageError
from ci_ml.wiring import publishing, stories
from ci_ml.wiring.workspace import Workspace

FOLDER = "attestation"
_ABOUT = 1_000_000  # bytes of what people write for a card


def find(space: Workspace, asked: str) -> tuple[Dossier, Records]:
    """What is known of MODEL, MODEL@ALIAS, MODEL/VERSION, or of what a commit made; of what `ci-ml audit show` tells.

    Raises UsageError when no record tells of it, DependencyError for records that are not as ci-ml writes them.
    """
    sources = stories.sources(stories.opened(space), asked)
    held = [one for one in (sources.training, sources.verdict, sources.promotion) if one is not None]
    if not held:
        raise UsageError(
            f"no record tells of {asked}", "`ci-ml audit record` enters the records of a training and a verdict"
        )
    records = Records(
        training=sources.training.record if sources.training else None,
        verdict=sources.verdict.record if sources.verdict else None,
        promotion=sources.promotion.record if sources.promotion else None,
        at=max((one.entry.at.isoformat() for one in held if one.entry), default=None),
    )
    try:
        return dossiers.read(records, space.project.root.name), records
    except ValueError as error:
        raise DependencyError(str(error), "`ci-ml audit verify` says whether somebody edited it") from None


# What is made from it.


def bom(space: Workspace, asked: str) -> str:
    """The bill of materials as JSON."""
    from ci_ml.render import bom as rendering

    return rendering.bom(find(space, asked)[0])


def card(space: Workspace, asked: str, task: str, licence: str | None, about: Path | None) -> str:
    """The model card as Markdown; `about` is a file of what people say of the model."""
    from ci_ml.render import card as rendering

    said = None
    if about is not None:
        data = files.read_plain(about, _ABOUT + 1)
        if len(data) > _ABOUT:
            raise UsageError(f"{about} is larger than {_ABOUT:,} bytes", "a card is for people to read")
        said = data.decode("utf-8", "replace")
    return rendering.card(find(space, asked)[0], task=task, licence=licence, about=said)


def attest(space: Workspace, asked: str, kind: Kind, folder: Path | None) -> Path:
    """Write what actions/attest takes into a folder, and tell later steps of the job where it is."""
    found, records = find(space, asked)
    record = next((one for one in records if one.kind is kind), None)
    if record is None:
        raise UsageError(
            f"{asked} has no record of a {kind.value}", f"it has: {', '.join(one.kind for one in records)}"
        )
    try:
        made = attesting.attestation(found, record)
    except ValueError as error:
        raise UsageError(
            f"{asked} cannot be attested: {error}", "promote it: that records the SHA-256 of each file"
        ) from None
    place = (folder or space.output / FOLDER).absolute()
    files.make_output(space.output)
    for name, text in (
        ("predicate.json", made.predicate),
        ("predicate-type.txt", f"{made.predicate_type}\n"),
        ("subjects.txt", made.subjects),
    ):
        files.write(place / name, text)
    publishing.outputs(
        space.env,
        {
            "predicate": str(place / "predicate.json"),
            "predicate-type": made.predicate_type,
            "subjects": str(place / "subjects.txt"),
        },
    )
    return place


def leave(place: Path, text: str) -> None:
    """Write what was made where somebody asked for it."""
    files.write_to(place.absolute(), text)
