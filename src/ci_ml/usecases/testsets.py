"""The content of test sets, as digests. Layer: usecases."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ci_ml.core.testsets import TestSetConfig
from ci_ml.core.types import Gap
from ci_ml.usecases.evidence import Side


def digests(side: Side, config: Mapping[str, TestSetConfig]) -> dict[str, str]:
    """The digest of each test set that is there: DVC's own where DVC tracks it, else SHA-256 of what git has."""
    made = side.pipeline.outputs()
    found: dict[str, str] = {}
    for name, asked in config.items():
        path = side.project.inside(asked.path)
        out = made[path][0] if path in made else None
        value = str(out.recorded) if out and out.recorded else _content(side, path)
        if value is not None:
            found[name] = value
    return found


def _content(side: Side, path: str) -> str | None:
    """Of a file its SHA-256, of a folder that of its files' names and SHA-256; None for what is not there."""
    names = side.within(path)
    hashes = {name: _hashed(side, name) for name in names}
    if any(value is None for value in hashes.values()):
        return None
    if names == [path]:
        return f"sha256:{hashes[path]}"
    listing = "".join(f"{hashes[name]}  {name.removeprefix(f'{path}/')}\n" for name in sorted(names))
    return f"sha256:{hashlib.sha256(listing.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _hashed(side: Side, name: str) -> str | None:
    with tempfile.TemporaryDirectory(prefix="ci-ml-testset-") as folder:
        place = side.place(side.project.outside(name), Path(folder))
        if isinstance(place, Gap):
            return None
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
