"""Which files GitLab reads: `.gitlab-ci.yml`, and what that includes. Layer: core.

What other repositories and servers bring is not here to be read: of that nobody knows, which is said and never guessed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ci_ml.core import documents, generated

ENTRY = ".gitlab-ci.yml"
TAGS = frozenset({"!reference"})
_MOST_FILES = 150  # https://docs.gitlab.com/ci/yaml/#include


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Of our files: those that nothing includes, and those of which nobody knows, for the reason `why`.

    `dangling` are those that `.gitlab-ci.yml` includes, and that are not there.
    """

    absent: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    why: str = ""
    dangling: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Read:
    """Every file that is read, and why there may be more of them."""

    paths: frozenset[str]
    doubts: tuple[str, ...]


def entry(read: Callable[[str], bytes], paths: Iterable[str], ours: Iterable[str]) -> Entry:
    """Whether GitLab reads our files. `paths` are those of the repository, `read` gives what is in one."""
    wanted, there = sorted(ours), frozenset(paths)
    found = reached(read, {*there, *wanted})
    lost = tuple(path for path in wanted if path not in found.paths)
    here = {*there, *wanted}
    dangling = tuple(path for path in _named(read) if path not in here and generated.placed(path))
    if lost and found.doubts:
        return Entry(doubtful=lost, why=found.doubts[0], dangling=dangling)
    return Entry(absent=lost, dangling=dangling)


def _named(read: Callable[[str], bytes]) -> tuple[str, ...]:
    try:
        return listed(read(ENTRY))
    except documents.DocumentError:  # which `reached` says
        return ()


def listed(data: bytes) -> tuple[str, ...]:
    """The files of this repository that a file includes by their path; none where it cannot be read."""
    try:
        document = documents.parse(data, ENTRY, TAGS).value
    except documents.DocumentError:
        return ()
    items = _items(document.get("include")) if isinstance(document, Mapping) else []
    return tuple(path for item in items if (path := _local(item)[0]) and "*" not in path)


def reached(read: Callable[[str], bytes], paths: Iterable[str]) -> Read:
    """Every file that GitLab reads for a pipeline. What `read` cannot give is a DocumentError."""
    known = frozenset(paths) | {ENTRY}
    found: set[str] = set()
    doubts: list[str] = []
    waiting = [ENTRY]
    while waiting:
        path = waiting.pop()
        if path in found or path not in known:
            continue
        if len(found) >= _MOST_FILES:
            doubts.append(f"there are more than {_MOST_FILES} files")
            break
        found.add(path)
        try:
            document = documents.parse(read(path), path, TAGS).value
        except documents.DocumentError as error:
            doubts.append(f"{path} cannot be read: {error}")
            continue
        for local, doubt in _included(document):
            waiting.extend(sorted(_fitting(local, known)) if local else ())
            doubts.extend([f"{path} {doubt}"] if doubt else [])
    return Read(paths=frozenset(found), doubts=tuple(doubts))


def _included(document: Any) -> Iterator[tuple[str | None, str | None]]:
    """Each thing that a file includes: a path or glob of this repository, else what it is instead."""
    if not isinstance(document, Mapping):
        return
    for item in _items(document.get("include")):
        yield _local(item)
    for name, job in document.items():
        # A child pipeline is one of another kind, in which our jobs do not run as they are.
        trigger = job.get("trigger") if isinstance(job, Mapping) else None
        if isinstance(trigger, Mapping) and any(_local(item)[0] for item in _items(trigger.get("include"))):
            yield None, f"starts a child pipeline from a file ({name})"


def _items(value: Any) -> list[Any]:
    if isinstance(value, list) and not isinstance(value, documents.Tagged):
        return value
    return [] if value is None else [value]


def _local(item: Any) -> tuple[str | None, str | None]:
    path = item if isinstance(item, str) else item.get("local") if isinstance(item, Mapping) else None
    if isinstance(path, str) and not re.match(r"https?://", path):
        return (None, f"includes {path}, where a variable decides") if "$" in path else (path.lstrip("/"), None)
    if isinstance(path, str):
        return None, "includes a file of another server"
    kinds = ("remote", "project", "template", "component", "artifact")
    kind = next((kind for kind in kinds if isinstance(item, Mapping) and kind in item), None)
    return None, f"includes a {kind}" if kind else "has an include of a kind that ci-ml does not know"


def _fitting(pattern: str, paths: frozenset[str]) -> Iterable[str]:
    """The files that an include names: `*` stands for anything but `/`, `**` for anything."""
    if "*" not in pattern:
        return [pattern]
    parts = (".*" if part == "**" else "[^/]*" if part == "*" else re.escape(part) for part in _STARS.split(pattern))
    fits = re.compile("".join(parts), re.DOTALL)
    return [path for path in paths if fits.fullmatch(path)]


_STARS = re.compile(r"(\*\*|\*)")
