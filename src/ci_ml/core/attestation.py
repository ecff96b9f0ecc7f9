"""What GitHub's actions/attest takes: subjects with their SHA-256, and a predicate of some type. Layer: core. Pure.

https://github.com/actions/attest#inputs
"""

import json
from dataclasses import dataclass

from ci_ml.core.dossier import Dossier
from ci_ml.core.statements import PREDICATE, Statement

_MOST = 1024  # subjects, as the action takes them


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """The three files that the action reads."""

    predicate_type: str
    predicate: str
    subjects: str


def attestation(dossier: Dossier, record: Statement) -> Attestation:
    """What says `record` of the files that the model is made of. Raises ValueError, in words, where that cannot be."""
    known = [one for one in dossier.outputs if one.sha256]
    if lost := next((one.name for one in dossier.outputs if not one.sha256), None):
        raise ValueError(f"no record has the SHA-256 of {lost}, and the action takes no other digest")
    if not known:
        raise ValueError("no record says of which files the model is made")
    if len(known) > _MOST:
        raise ValueError(f"the model is made of {len(known):,} files, and the action takes {_MOST:,}")
    if odd := next((one.name for one in known if not one.name.isprintable()), None):
        raise ValueError(f"the name {odd[:80]!r} cannot stand in a list of checksums")
    return Attestation(
        predicate_type=PREDICATE[record.kind],
        predicate=json.dumps(record.predicate, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        subjects="".join(f"{one.sha256}  {one.name}\n" for one in known),
    )
