"""A model as bytes: its files, and the digests by which anybody recognises them. Layer: core. Pure."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MLMODEL = "MLmodel"  # https://mlflow.org/docs/latest/ml/model/#mlmodel-file


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file: its SHA-256 and its size."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A model: `path` is its name in the repository, `place` where it is on disk, `dvc` what DVC's digest of it is.

    `files` by their paths in the folder; of a model that is one file, by its name.
    """

    path: str
    place: Path
    is_folder: bool
    files: Mapping[str, Part]
    dvc: str = ""

    @property
    def size(self) -> int:
        """All bytes together."""
        return sum(part.size for part in self.files.values())

    @property
    def can_load(self) -> bool:
        """Whether MLflow knows how to load it."""
        return self.is_folder and MLMODEL in self.files

    @property
    def outputs(self) -> dict[str, str]:
        """The SHA-256 of every file by its path in the repository."""
        if not self.is_folder:
            (part,) = self.files.values()
            return {self.path: part.sha256}
        return {f"{self.path}/{name}": self.files[name].sha256 for name in sorted(self.files)}

    @property
    def digest(self) -> dict[str, str]:
        """As in-toto has it: of a file its SHA-256, of a folder that of the list of its files.

        https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md (under dirHash)
        """
        if not self.is_folder:
            (part,) = self.files.values()
            return {"sha256": part.sha256}
        lines = "".join(f"{self.files[name].sha256}  {name}\n" for name in sorted(self.files))
        return {"dirHash": hashlib.sha256(lines.encode()).hexdigest()}

    @property
    def mark(self) -> str:
        """The digest in one word; of a folder as Go writes it, which says what it is of."""
        ((algorithm, value),) = self.digest.items()
        if algorithm == "dirHash":
            return f"h1:{base64.b64encode(bytes.fromhex(value)).decode()}"
        return f"{algorithm}:{value}"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A model's files where a registry can have them: the run that has them, and the place that a version names."""

    run: str | None = None
    source: str = ""
