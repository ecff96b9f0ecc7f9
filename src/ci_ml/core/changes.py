"""What differs between two states of a pipeline: metrics, parameters, data and stages. Layer: core. Pure."""

import datetime as dt
import math
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ci_ml.core.pipeline import Pipeline, Stage
from ci_ml.core.types import MetricKey

ABSENT: Any = None
_NAMED = 3

# What is code by its ending; every other input that no stage makes is data.
_CODE = frozenset(
    ".py .pyi .ipynb .r .rmd .jl .sh .bash .sql .js .ts .java .scala .go .rs .c .cc .cpp .h .hpp .cu "
    ".toml .cfg .ini .lock".split()
)
_CODE_NAMES = frozenset({"makefile", "dockerfile", "requirements.txt", "environment.yml", "conda.yaml", "conda.yml"})


@dataclass(frozen=True, kw_only=True)
class ValueChange:
    """One value on both sides; None stands for absent (or null)."""

    metric: MetricKey
    base: Any
    head: Any

    @property
    def delta(self) -> float | None:
        """Head minus base when both are finite numbers."""
        if not (is_number(self.base) and is_number(self.head)):
            return None
        delta = self.head - self.base
        return delta if math.isfinite(delta) else None


@dataclass(frozen=True, kw_only=True)
class DataChange:
    """One data file or folder, by the digest that DVC recorded on each side."""

    path: str
    base: str | None
    head: str | None


@dataclass(frozen=True, kw_only=True)
class StageChange:
    """One stage: `added`, `removed` or `changed`, and what of it."""

    name: str
    change: str
    what: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Everything that differs between base and head, by kind."""

    metrics: tuple[ValueChange, ...] = ()
    params: tuple[ValueChange, ...] = ()
    data: tuple[DataChange, ...] = ()
    stages: tuple[StageChange, ...] = ()


_MOST_BITS = 1024


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; booleans are not."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond 1.8e308
        return False


def jsonable(value: Any) -> Any:
    """A value for strict JSON: NaN and infinity become text, as do dates and what is too long for a number."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, dt.date | dt.datetime | dt.time):
        return value.isoformat()
    # https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
    return hex(value) if isinstance(value, int) and value.bit_length() > _MOST_BITS else value


def values(
    base: Mapping[MetricKey, Any], head: Mapping[MetricKey, Any], *, unchanged: bool = False
) -> tuple[ValueChange, ...]:
    """The values that differ, by file and key; with `unchanged` those that do not as well."""
    keys = sorted(base.keys() | head.keys())
    pairs = (ValueChange(metric=key, base=base.get(key, ABSENT), head=head.get(key, ABSENT)) for key in keys)
    return tuple(pair for pair in pairs if unchanged or not _same(pair.base, pair.head))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return (type(one) is type(other) and bool(one == other)) or (is_number(one) and is_number(other) and one == other)


def data(base: Pipeline, head: Pipeline) -> tuple[DataChange, ...]:
    """The input data whose recorded digest differs."""
    before, after = _inputs(base), _inputs(head)
    paths = sorted(before.keys() | after.keys())
    return tuple(
        DataChange(path=path, base=before.get(path), head=after.get(path))
        for path in paths
        if before.get(path) != after.get(path)
    )


def _inputs(pipeline: Pipeline) -> dict[str, str | None]:
    made = {out.path for stage in pipeline.stages for out in stage.outs}
    found: dict[str, str | None] = {}
    for stage in pipeline.stages:
        for path, digest in (stage.locked.deps if stage.locked else {}).items():
            if path in stage.deps and path not in made and not is_code(path):
                found[path] = str(digest) if digest else None
    for source in pipeline.sources:
        for out in source.outs:
            found[out.path] = str(out.recorded) if out.recorded else None
    return found


def is_code(path: str) -> bool:
    """Whether a dependency is code rather than data, by its name; a folder counts as code when it is called so."""
    name = posixpath.basename(path).lower()
    suffix = posixpath.splitext(name)[1]
    return suffix in _CODE or name in _CODE_NAMES or (not suffix and name in {"src", "code", "scripts", "lib", "utils"})


def stages(base: Pipeline, head: Pipeline) -> tuple[StageChange, ...]:
    """The stages that came, went or changed, and what of each: command, params, code, data, outputs."""
    before = {stage.name: stage for stage in base.stages}
    after = {stage.name: stage for stage in head.stages}
    made = {out.path for stage in (*base.stages, *head.stages) for out in stage.outs}
    changes: list[StageChange] = []
    for name in dict.fromkeys((*after, *before)):
        if name not in before:
            changes.append(StageChange(name=name, change="added"))
        elif name not in after:
            changes.append(StageChange(name=name, change="removed"))
        elif what := tuple(_stage(before[name], after[name], made)):
            changes.append(StageChange(name=name, change="changed", what=what))
    return tuple(changes)


def _stage(base: Stage, head: Stage, made: set[str]) -> Iterable[str]:
    if base.command != head.command:
        yield "command"
    if _definition(base) != _definition(head):
        yield "definition"
    locks = (base.locked, head.locked)
    if locks[0] is None or locks[1] is None:
        if locks[0] is not locks[1]:
            yield "first run" if locks[0] is None else "lock entry gone"
        return
    for path in _differing(locks[0].params, locks[1].params):
        keys = _differing(locks[0].params.get(path, {}), locks[1].params.get(path, {}))
        yield f"param {', '.join(keys)}" if len(keys) <= _NAMED else f"{len(keys)} params in {path}"
    for path in _differing(locks[0].deps, locks[1].deps):
        yield f"{'input' if path in made else 'code' if is_code(path) else 'data'} {path}"
    yield from (f"output {path}" for path in _differing(locks[0].outs, locks[1].outs))


def _definition(stage: Stage) -> tuple[Any, ...]:
    outs = tuple((out.path, out.cached, out.metric, out.plot) for out in stage.outs)
    return (stage.wdir, stage.deps, stage.params, outs, stage.frozen, stage.always)


def _differing(base: Mapping[str, Any], head: Mapping[str, Any]) -> list[str]:
    return [str(key) for key in sorted(base.keys() | head.keys(), key=str) if base.get(key) != head.get(key)]
