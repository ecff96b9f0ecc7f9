"""Is dvc.lock true for the files of this work tree? Needs no data. Layer: usecases."""

from collections.abc import Callable, Mapping
from typing import Any

from ci_ml.core import documents, staleness
from ci_ml.core.pipeline import ParamsFile, Pipeline
from ci_ml.core.staleness import Digests, Freshness, State
from ci_ml.core.types import Gap
from ci_ml.errors import UsageError
from ci_ml.ports import Tree

PythonParams = Callable[[bytes, str], Mapping[str, Any]]


def verify(tree: Tree, pipeline: Pipeline, digests: Digests, python_params: PythonParams) -> tuple[Freshness, ...]:
    """The freshness of every stage, upstream first.

    `python_params` reads a parameters file that is a Python module, without running it. Raises UsageError when a
    parameters file is broken: DVC could not run either.
    """
    return staleness.check(pipeline, digests, _Params(tree, pipeline, python_params))


def stale(results: tuple[Freshness, ...]) -> tuple[Freshness, ...]:
    """Those that are stale."""
    return tuple(item for item in results if item.state is State.STALE)


class _Params:
    """Parameters files, read once each."""

    def __init__(self, tree: Tree, pipeline: Pipeline, python_params: PythonParams) -> None:
        paths = {params.path for stage in pipeline.stages for params in stage.params}
        self._contents = tree.read(paths)
        self._python = python_params
        self._parsed: dict[str, Any] = {}

    def __call__(self, wanted: ParamsFile) -> Mapping[str, Any] | None:
        data = self._contents.get(wanted.path)
        if not isinstance(data, bytes):
            if isinstance(data, Gap) and not data.absent:
                raise UsageError(data.reason, "DVC cannot read it either")
            return None
        if wanted.path not in self._parsed:
            self._parsed[wanted.path] = self._parse(data, wanted.path)
        value = self._parsed[wanted.path]
        if not wanted.keys:
            return value if isinstance(value, Mapping) else {}
        found = {key: _get(value, key) for key in wanted.keys}
        return {key: item for key, item in found.items() if item is not _ABSENT}

    def _parse(self, data: bytes, path: str) -> Any:
        if path.endswith(".py"):
            return self._python(data, path)
        try:
            return documents.parse(data, path).value
        except documents.DocumentError as error:
            where = f"{path}{f':{error.line}' if error.line else ''}"
            raise UsageError(f"{where}: {error.reason}", "DVC cannot read it either") from None


_ABSENT: Any = object()


def _get(value: Any, key: str) -> Any:
    """The value under a dotted key; a part may be an index into a list."""
    for part in key.split("."):
        if isinstance(value, Mapping):
            value = value.get(part, value.get(int(part), _ABSENT) if part.lstrip("-").isdigit() else _ABSENT)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _ABSENT
        if value is _ABSENT:
            return _ABSENT
    return value
