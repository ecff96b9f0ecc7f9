"""In what both sides ran: packages of lock files, and what the records of both trainings say. Layer: render."""

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from ci_ml.core.report import Report
from ci_ml.render import words

TRAINING = "training"
_CALLED = {"python": "Python", "platform": "platform", "processor": "processor", "gpu": "GPU"}
_UNRECORDED = "in what both sides were trained (there is no record of a training of this change)"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Something that differs: a package, or what `_CALLED` names; and who says so, lock files or both trainings."""

    name: str
    base: str
    head: str
    sources: Sequence[str]
    is_package: bool


def rows(content: Report) -> list[Row]:
    """What differs, of the trainings first; what a lock file says as well is one row."""
    found: dict[tuple[str, str | None, str | None], Row] = {}
    for item in content.environment.differences if content.environment else ():
        name = item.name or "" if item.kind == "package" else _CALLED[item.kind]
        _add(found, name, item.base, item.head, TRAINING, is_package=item.kind == "package")
    for lock in content.packages:
        _add(found, lock.package, lock.base, lock.head, lock.file, is_package=True)
    return list(found.values())


def _add(
    found: dict[tuple[str, str | None, str | None], Row],
    name: str,
    base: str | None,
    head: str | None,
    source: str,
    *,
    is_package: bool,
) -> None:
    key = (canonicalize_name(name) if is_package else f" {name}", base, head)
    known = found.get(key)
    found[key] = Row(
        name=name,
        base=words.text(base),
        head=words.text(head),
        sources=[*(known.sources if known else ()), source],
        is_package=is_package,
    )


def missing(content: Report) -> str:
    """What is not known, as a sentence; nothing where all is."""
    if content.environment is None:
        return f"Not known: {_UNRECORDED}." if content.packages else ""
    return f"Not known: {'; '.join(content.environment.missing)}." if content.environment.missing else ""


def summary(content: Report) -> str | None:
    """`Environment: Python and 2 packages differ`; None where there is nothing that could be said."""
    if content.environment is None and not content.packages:
        return None
    found = rows(content)
    packages = words.count(len({canonicalize_name(row.name) for row in found if row.is_package}), "package")
    named = [*(row.name for row in found if not row.is_package), *([packages] if packages else [])]
    *most, last = named or ["nothing"]
    several = bool(most) or (packages is not None and not packages.startswith("1 "))
    said = f"{', '.join(most)}{' and ' if most else ''}{last} differ{'' if several else 's'}"
    if missing(content):
        return f"Environment: {f'{said}, as far as is known' if found else 'not known'}"
    return f"Environment: {said if found else 'the same in both trainings'}"
