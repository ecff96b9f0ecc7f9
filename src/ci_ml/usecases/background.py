"""What a reviewer wants to know around a change: code and packages that differ, and what metrics were before.

Nothing here decides anything, and none of it is worth an error. Layer: usecases.
"""

from collections.abc import Iterable, Sequence

from ci_ml.core import documents, packages
from ci_ml.core.exhibits import CodePart, Exhibits, HistoryPart, PackagePart, PointPart
from ci_ml.core.pipeline import Pipeline, covering
from ci_ml.core.types import FileChange, Gap, Measurement, MetricKey
from ci_ml.ports import History
from ci_ml.usecases.difference import params_files
from ci_ml.usecases.evidence import Side, leaves

_DVC = ("dvc.yaml", "dvc.lock")


def around(base: Side, head: Side, past: History, keys: Sequence[MetricKey], most: int) -> Exhibits:
    """All of it; the head is the work tree."""
    assert base.revision.sha is not None
    listed = past.changed(base.revision.sha)
    return Exhibits(
        code=code(listed, base, head, keys), packages=moved(listed, base, head), history=history(keys, base, past, most)
    )


def code(listed: Iterable[FileChange], base: Side, head: Side, keys: Iterable[MetricKey] = ()) -> tuple[CodePart, ...]:
    """The files that differ and are shown nowhere else; those that a stage depends on come first.

    Data, parameters, metrics, lock files of packages, what DVC keeps, and what stages make are left to other parts.
    """
    others = {*params_files(base.pipeline), *params_files(head.pipeline), head.project.inside("params.yaml")}
    others |= {head.project.inside(key.path) for key in keys}
    others |= {*base.pipeline.metrics, *head.pipeline.metrics}
    made = {**base.pipeline.outputs(), **head.pipeline.outputs()}
    found = [
        CodePart(
            path=head.project.outside(item.path),
            change=item.change,
            added=item.added,
            removed=item.removed,
            stages=readers(item.path, head.pipeline),
        )
        for item in listed
        if _printable(item.path)
        and item.path not in others
        and not item.path.endswith((".dvc", *_DVC))
        and not packages.is_lock(item.path)
        and covering(item.path, made) is None
    ]
    return tuple(sorted(found, key=lambda item: (not item.stages, item.path)))


def _printable(path: str) -> bool:
    """Whether a report can hold the name."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def readers(path: str, pipeline: Pipeline) -> tuple[str, ...]:
    """The stages that depend on a file, or on a folder that it is in."""
    return tuple(stage.name for stage in pipeline.stages if covering(path, dict.fromkeys(stage.deps)) is not None)


def moved(listed: Iterable[FileChange], base: Side, head: Side) -> tuple[PackagePart, ...]:
    """The packages whose locked version differs, by the lock files that do."""
    paths = [item.path for item in listed if packages.is_lock(item.path) and _printable(item.path)]
    before, after = base.tree.read(paths), head.tree.read(paths)
    return tuple(
        part for path in sorted(paths) for part in packages.differences(path, _bytes(before[path]), _bytes(after[path]))
    )


def _bytes(found: bytes | Gap) -> bytes | None:
    return found if isinstance(found, bytes) else None


def history(keys: Sequence[MetricKey], base: Side, past: History, most: int) -> tuple[HistoryPart, ...]:
    """What numbers in files were at the last `most` commits that changed one of those files, up to the base.

    Only files that git tracks: others would have to be fetched, for every commit anew.
    """
    here = base.tree.files()
    paths = {key.path: base.project.inside(key.path) for key in keys}
    tracked = sorted({place for place in paths.values() if place in here})
    if not (tracked and most and base.revision.sha):
        return ()
    points: dict[MetricKey, list[PointPart]] = {key: [] for key in keys}
    for sha, at in reversed(past.log(base.revision.sha, tracked, most)):
        contents = past.tree(sha).read(tracked)
        values = {path: _leaves(contents.get(place), path) for path, place in paths.items()}
        for key in keys:
            found = documents.reading(values[key.path].get(key.key), str(key))
            if isinstance(found, Measurement):
                points[key].append(PointPart(sha=sha, at=at, value=found.value))
    return tuple(HistoryPart(metric=str(key), points=tuple(found)) for key, found in points.items() if len(found) > 1)


def _leaves(data: bytes | Gap | None, path: str) -> dict[str, object]:
    found = leaves(data, path) if isinstance(data, bytes) else {}
    return {} if isinstance(found, Gap) else found
