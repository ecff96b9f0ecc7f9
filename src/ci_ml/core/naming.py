"""What a project is called in CI files: no two of a repository have a file, a job or a check in common. Layer: core."""

import hashlib
import posixpath
import re
from dataclasses import dataclass

FILE_NAME = "ci-ml.yaml"
_LONGEST = 60
# A folder whose name can stand in the names of files and jobs as it is: `--` is for `/`.
_PLAIN = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*(?:/[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*)*")
_SECOND = ("publish", "monitor", "retrain", "rollback")  # what more files of GitHub end in


@dataclass(frozen=True, kw_only=True)
class Naming:
    """`title` is for people: the folder, or the path of a configuration that is not called ci-ml.yaml.

    `slug` is for the names of files, `prefix` is what the names of jobs begin with, `required` is the name of the
    check to require, and `option` the name of a configuration to pass on. All but `required` may be empty.
    """

    title: str
    slug: str
    prefix: str
    required: str
    option: str


def naming(folder: str, config: str, prefix: str | None = None) -> Naming:
    """The names of the project with this configuration; a `prefix` stands in the place of the folder."""
    name = posixpath.basename(config)
    usual = name == FILE_NAME
    title = folder if usual else config
    short = (
        slug(folder if usual else posixpath.splitext(config)[0], distinct=None if usual else config) if title else ""
    )
    suffix = f" {title}" if title else ""
    return Naming(
        title=title,
        slug=short,
        prefix=prefix or short,
        required=f"{prefix}:gate" if prefix else f"gate{suffix}",
        option="" if usual else name,
    )


def slug(text: str, distinct: str | None = None) -> str:
    """A path as letters, digits, `-` and `_`: with a digest, of `distinct` if given, where another path may look so."""
    plain = _joined(text)
    clear = _PLAIN.fullmatch(text) and len(plain) <= _LONGEST and not plain.endswith(_SECOND)
    if clear and distinct is None:
        return plain
    digest = hashlib.sha256((distinct or text).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return "-".join(part for part in (plain[:_LONGEST].strip("-"), digest) if part)


def _joined(path: str) -> str:
    parts = (re.sub(r"[^A-Za-z0-9_]+", "-", part).strip("-") for part in path.split("/"))
    return "--".join(part for part in parts if part)
