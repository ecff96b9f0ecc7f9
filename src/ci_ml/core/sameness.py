"""How alike two trainings came out, and the first stage and input where they part. Layer: core. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ci_ml.core import changes
from ci_ml.core.listing import some
from ci_ml.core.pipeline import Pipeline, Stage, in_order
from ci_ml.core.types import Contrast, Margin

_NAMED = 5


class Sameness(StrEnum):
    """From the strongest to none: every byte, every number, all that the paired tests can tell, or different."""

    BITWISE = "bitwise"
    METRICS = "metrics"
    STATISTICAL = "statistical"
    DIFFERENT = "different"

    def meets(self, required: "Sameness") -> bool:
        """Whether this is as alike as was asked for."""
        return list(Sameness).index(self) <= list(Sameness).index(required)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What one run of a stage was given and what it made: digests by path (None: not known), and parameters."""

    name: str
    command: tuple[str, ...]
    deps: Mapping[str, str | None] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    outs: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Parting:
    """A stage that did not come out the same: which of its inputs differ, and which of its outputs.

    Without an input that differs, it made another output of the same inputs.
    """

    stage: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What parts there, in words."""
        if not self.outputs:
            return f"stage {self.stage} was given another {some(self.inputs, _NAMED)}, and made the same of it"
        made = some(self.outputs, _NAMED)
        if self.inputs:
            return f"stage {self.stage} made another {made}, of another {some(self.inputs, _NAMED)}"
        return f"stage {self.stage} made another {made} of the same inputs"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One number of both trainings, from a table of predictions where it has an interval; None where there is none."""

    metric: str
    before: float | None
    after: float | None
    interval: tuple[float, float] | None = None
    margin: float | None = None
    n: int | None = None

    @property
    def is_equal(self) -> bool:
        """Whether it is the very same number."""
        return self.before is not None and self.before == self.after

    @property
    def is_alike(self) -> bool:
        """Whether the paired test cannot tell the two apart, and bounds how far they may be by the gate's margin.

        An interval that merely holds 0 may be wide because there are few examples; with a margin, that shows nothing.
        """
        if self.interval is None:
            return self.is_equal
        low, high = self.interval
        return low <= 0.0 <= high and (not self.margin or (-self.margin <= low and high <= self.margin))

    @property
    def words(self) -> str:
        """What became of it, in words."""
        if self.before is None or self.after is None:
            return f"{self.metric} is there on one side only"
        said = f"{self.metric} {self.before:.6g} → {self.after:.6g}"
        if self.interval is None:
            return said
        low, high = self.interval
        within = "" if self.margin is None else f", margin {self.margin:.3g}"
        return f"{said} (difference {self.after - self.before:+.3g}, interval {low:+.3g} to {high:+.3g}{within})"


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What two trainings came to, side by side."""

    sameness: Sameness
    partings: tuple[Parting, ...] = ()
    measured: tuple[Measured, ...] = ()
    outputs: int = 0

    @property
    def first(self) -> Parting | None:
        """The first stage where they part."""
        return self.partings[0] if self.partings else None

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        count = "the one output is" if self.outputs == 1 else f"all {self.outputs} outputs are"
        match self.sameness:
            case Sameness.BITWISE:
                return f"Bitwise equal: {count} the same, byte for byte."
            case Sameness.METRICS:
                return f"Equal metrics: every number is the same, while {self._parts}."
            case Sameness.STATISTICAL:
                said = some((item.words for item in self.measured if item.interval is not None), 2)
                return f"Statistically equal: no paired test tells them apart: {said}; {self._parts}."
        return f"Different: {self._parts}." if self.partings else "Different: there is nothing to compare."

    @property
    def _parts(self) -> str:
        return self.first.words if self.first else "every stage came out the same"


def made(pipeline: Pipeline) -> tuple[Made, ...]:
    """What dvc.lock says of every stage, in the order in which they run."""
    ordered, _ = in_order(pipeline.stages)
    return tuple(_made(stage) for stage in ordered)


def _made(stage: Stage) -> Made:
    locked = stage.locked
    if locked is None:
        return Made(name=stage.name, command=stage.command, outs={out.path: None for out in stage.outs})
    params = {
        key if path == "params.yaml" else f"{path}:{key}": changes.jsonable(value)
        for path, values in locked.params.items()
        for key, value in values.items()
    }
    return Made(
        name=stage.name,
        command=locked.command,
        deps={path: str(digest) if digest else None for path, digest in locked.deps.items()},
        params=params,
        outs={out.path: str(out.recorded) if out.recorded else None for out in stage.outs},
    )


def partings(before: Iterable[Made], after: Iterable[Made]) -> tuple[Parting, ...]:
    """Every stage whose inputs or outputs are not the same, in the order in which stages run.

    What either side does not know of an output is no likeness. An input that only one side names is another input.
    """
    later = {one.name: one for one in after}
    found = [_parting(one, later.pop(one.name, None)) for one in before]
    found += [Parting(stage=name, outputs=tuple(sorted(one.outs)), inputs=("stage",)) for name, one in later.items()]
    return tuple(one for one in found if one is not None)


def _parting(before: Made, after: Made | None) -> Parting | None:
    if after is None:
        return Parting(stage=before.name, inputs=("stage",), outputs=tuple(sorted(before.outs)))
    inputs = ["command"] if before.command != after.command else []
    inputs += _differing(before.deps, after.deps)
    inputs += [f"param {key}" for key in _differing(before.params, after.params)]
    outputs = [path for path in sorted(before.outs.keys() | after.outs.keys()) if not _is_same(before, after, path)]
    if not inputs and not outputs:
        return None
    return Parting(stage=before.name, inputs=tuple(inputs), outputs=tuple(outputs))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    keys = sorted(before.keys() | after.keys())
    return [key for key in keys if before.get(key) != after.get(key)]


def _is_same(before: Made, after: Made, path: str) -> bool:
    return before.outs.get(path) is not None and before.outs.get(path) == after.outs.get(path)


def measured(metric: str, contrast: Contrast, margin: Margin) -> Measured:
    """What a paired test says of one metric of both trainings; the interval is that of the difference."""
    base = contrast.base
    return Measured(
        metric=metric,
        before=base,
        after=contrast.head,
        interval=contrast.interval,
        margin=None if base is None else margin.at(base),
        n=contrast.n,
    )


def likeness(
    before: Iterable[Made],
    after: Iterable[Made],
    numbers: tuple[Mapping[str, float], Mapping[str, float]],
    tests: Iterable[Measured] = (),
) -> Likeness:
    """How alike two trainings are: by their outputs, else by every number in metrics files, else by paired tests.

    Numbers that one side alone has, or none at all, are no equal metrics; and no tests are no statistical equality.
    """
    before = tuple(before)
    parted = partings(before, after)
    outputs = sum(len(one.outs) for one in before)
    one, two = numbers
    compared = tuple(
        Measured(metric=key, before=one.get(key), after=two.get(key)) for key in sorted(one.keys() | two.keys())
    )
    tested = tuple(tests)
    everything = (*compared, *tested)
    if not parted and outputs:
        level = Sameness.BITWISE
    elif everything and all(item.is_equal for item in everything):
        level = Sameness.METRICS
    elif any(item.interval for item in tested) and all(item.is_alike for item in tested):
        level = Sameness.STATISTICAL
    else:
        level = Sameness.DIFFERENT
    return Likeness(sameness=level, partings=parted, measured=everything, outputs=outputs)
