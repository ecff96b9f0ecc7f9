"""Where things are: the repository, the project in it, and how a path in ci-ml.yaml is meant. Layer: usecases."""

import posixpath
from dataclasses import dataclass
from pathlib import Path

from ci_ml.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Project:
    """`root` is the repository's top; relative to it, `folder` holds ci-ml.yaml and `dvc` holds .dvc, if any."""

    root: Path
    folder: str
    dvc: str | None
    config: str

    def inside(self, path: str) -> str:
        """A path written relative to the project, relative to the repository. Raises UsageError when it leaves that."""
        joined = posixpath.normpath(posixpath.join(self.folder, path))
        if joined == ".." or joined.startswith("../") or posixpath.isabs(joined):
            raise UsageError(
                f"{path} is outside the repository", "name files in it, relative to the folder of ci-ml.yaml"
            )
        return "" if joined == "." else joined

    def outside(self, path: str) -> str:
        """A path relative to the repository, as it is written relative to the project."""
        return posixpath.relpath(path, self.folder) if self.folder else path
