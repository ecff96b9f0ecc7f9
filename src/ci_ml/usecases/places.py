"""Where things stand in the files of a side: gates, params and stages, by file and line. Layer: usecases.

A line that nobody can tell is left out, and never a reason to fail.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ci_ml.core import config, documents, positions
from ci_ml.core.changes import StageChange, ValueChange
from ci_ml.core.config import GateConfig
from ci_ml.core.documents import Document
from ci_ml.core.exhibits import LocationPart
from ci_ml.core.gates import is_glob, matches
from ci_ml.core.types import DataKey, Gap, Metric, MetricKey
from ci_ml.errors import CiMlError, UsageError
from ci_ml.usecases.evidence import Side

_NOTHING = Document(value=None)


def gates(side: Side, metrics: Iterable[Metric]) -> dict[str, LocationPart]:
    """The entries of ci-ml.yaml that the gates on these metrics come from: the file, where it has none (any more)."""
    path = side.project.config
    data = side.tree.read([path])[path]
    if isinstance(data, Gap):
        return {}
    entries, document = _configured(data), _parsed(data, path)
    found = {}
    for metric in metrics:
        if isinstance(metric, DataKey):
            line = _line(document, ("data", metric.table, "columns", metric.subject))
        else:
            index = _entry(metric, entries)
            line = None if index is None else _line(document, ("gates", index))
        found[str(metric)] = LocationPart(path=path, line=line)
    return found


def params(side: Side, changed: Iterable[ValueChange]) -> dict[tuple[str, str], LocationPart]:
    """The keys that differ, in the files that this side has; of Python it is the file as a whole."""
    keys = [item.metric for item in changed if _is_inside(side, item.metric.path)]
    contents = side.read(dict.fromkeys(key.path for key in keys))
    read = {path: _dotted(_lines(data, path)) for path, data in contents.items() if not isinstance(data, Gap)}
    return {
        (key.path, key.key): LocationPart(path=side.project.inside(key.path), line=_nearest(read[key.path], key.key))
        for key in keys
        if key.path in read
    }


def stages(side: Side, changed: Iterable[StageChange]) -> dict[str, LocationPart]:
    """The stages that differ, in the dvc.yaml that defines them here; all those of a foreach stand in one place."""
    names = {item.name for item in changed}
    files = {stage.name: stage.file for stage in side.pipeline.stages if stage.name in names}
    contents = side.tree.read(dict.fromkeys(files.values()))
    read = {path: _parsed(data, path) for path, data in contents.items() if not isinstance(data, Gap)}
    return {
        name: LocationPart(path=path, line=_line(read[path], ("stages", _defined(name))))
        for name, path in files.items()
        if path in read
    }


def _is_inside(side: Side, path: str) -> bool:
    """Whether a file is one of the repository: DVC takes params from anywhere."""
    try:
        side.project.inside(path)
    except UsageError:
        return False
    return True


def _configured(data: bytes) -> tuple[GateConfig, ...]:
    try:
        return config.load(data, config.FILE_NAME).config.gates
    except CiMlError:  # whose file it is has been told by then
        return ()


def _entry(metric: Metric, entries: tuple[GateConfig, ...]) -> int | None:
    """The entry that names a metric, else the first whose glob covers it: as gates are expanded."""
    named = next((index for index, entry in enumerate(entries) if entry.key == metric), None)
    if named is not None or not isinstance(metric, MetricKey):
        return named
    globs = ((index, entry) for index, entry in enumerate(entries) if not entry.asked and is_glob(entry.metric))
    return next((index for index, entry in globs if not entry.repeats and matches(entry.pattern, metric)), None)


def _parsed(data: bytes, path: str) -> Document:
    if path.endswith(".py"):
        return _NOTHING
    try:
        return documents.parse(data, path)
    except documents.DocumentError:
        return _NOTHING


def _lines(data: bytes, path: str) -> Mapping[documents.Path, int]:
    """Where keys are: YAML is parsed with it, other kinds are read again."""
    document = _parsed(data, path)
    if document is _NOTHING or document.lines:
        return document.lines
    return positions.lines(data.decode("utf-8-sig"), path.rpartition(".")[2].lower())


def _line(document: Document, path: documents.Path) -> int | None:
    """The line of a key, else of the nearest one around it: what is behind an alias has no line of its own."""
    return next((document.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in document.lines), None)


def _dotted(lines: Mapping[documents.Path, int]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for path, line in lines.items():
        found.setdefault(".".join(map(str, path)), line)
    return found


def _nearest(lines: Mapping[str, int], key: str) -> int | None:
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key) if key else None


def _defined(name: str) -> Any:
    """A stage as its dvc.yaml calls it: without the file before it, and what a foreach or a matrix adds to it."""
    return name.rpartition(":")[2].partition("@")[0]
