"""What differs between two sides: metrics, parameters, data, stages. Never judges. Layer: usecases."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ci_ml.core import changes
from ci_ml.core.changes import Changes
from ci_ml.core.pipeline import Pipeline, covering
from ci_ml.core.types import Gap, MetricKey
from ci_ml.usecases.evidence import Side, leaves


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The changes, and what could not be read on either side."""

    changes: Changes
    notices: tuple[str, ...] = ()


def difference(base: Side, head: Side, *, unchanged: bool = False, metrics: bool = True) -> Difference:
    """Everything that differs between base and head; `unchanged` keeps the metrics and parameters that do not."""
    notices = [f"{side.pipeline.unreadable} ({side.revision})" for side in (base, head) if side.pipeline.unreadable]
    found = changes.Changes(
        metrics=changes.values(_metrics(base, notices), _metrics(head, notices), unchanged=unchanged)
        if metrics
        else (),
        params=changes.values(_params(base, notices), _params(head, notices), unchanged=unchanged),
        data=tuple(
            replace(item, path=head.project.outside(item.path)) for item in changes.data(base.pipeline, head.pipeline)
        ),
        stages=changes.stages(base.pipeline, head.pipeline),
    )
    return Difference(changes=found, notices=tuple(dict.fromkeys(notices)))


def numbers(side: Side) -> dict[str, float]:
    """Every finite number in the metrics files of one side, by `file:key`."""
    return {str(key): float(value) for key, value in _metrics(side, []).items() if changes.is_number(value)}


def _metrics(side: Side, notices: list[str]) -> dict[MetricKey, Any]:
    outs = [out.path for stage in side.pipeline.stages for out in stage.outs if out.metric]
    paths = sorted(dict.fromkeys((*outs, *side.pipeline.metrics)))
    return _values(side, [name for path in paths for name in _files(side, path)], notices)


def _files(side: Side, path: str) -> list[str]:
    """A declared file as it is, a declared folder as the files in it."""
    inside = sorted(name for name in side.tree.files() if name.startswith(f"{path}/"))
    if inside:
        return inside
    made = side.pipeline.outputs()
    owner = covering(path, made)
    out = made[owner][0] if owner else None
    if out and out.recorded and out.recorded.is_folder and out.cached and side.data and owner == path:
        return sorted(side.data.find(side.commit, path)) or [path]
    return [path]


def _params(side: Side, notices: list[str]) -> dict[MetricKey, Any]:
    """Every value of every parameters file that a stage or dvc.yaml names, and of params.yaml."""
    default = side.project.inside("params.yaml")
    named = params_files(side.pipeline)
    paths = sorted({*named, *([default] if default in side.tree.files() else [])})
    return _values(side, [path for path in paths if not path.endswith(".py")], notices) | _recorded(side.pipeline, side)


def params_files(pipeline: Pipeline) -> set[str]:
    """The parameters files that stages or dvc.yaml files name."""
    return {params.path for stage in pipeline.stages for params in stage.params} | set(pipeline.params)


def _recorded(pipeline: Pipeline, side: Side) -> dict[MetricKey, Any]:
    """Parameters in Python modules, as dvc.lock recorded them."""
    found: dict[MetricKey, Any] = {}
    for stage in pipeline.stages:
        for path, values in (stage.locked.params if stage.locked else {}).items():
            if path.endswith(".py"):
                found.update(
                    {MetricKey(path=side.project.outside(path), key=str(key)): value for key, value in values.items()}
                )
    return found


def _values(side: Side, paths: Iterable[str], notices: list[str]) -> dict[MetricKey, Any]:
    names = {path: side.project.outside(path) for path in paths if "://" not in path}
    found: dict[MetricKey, Any] = {}
    for name, data in side.read(names.values()).items():
        values = data if isinstance(data, Gap) else leaves(data, name)
        if isinstance(values, Gap):
            if not values.absent:
                notices.append(f"{values.reason} ({side.revision})")
            continue
        found.update({MetricKey(path=name, key=key): value for key, value in values.items()})
    return found
