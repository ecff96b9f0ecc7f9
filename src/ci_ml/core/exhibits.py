"""What a report shows beside its comparisons: where things are declared, what was before, curves, plots. Layer: core.

Nothing here decides anything. All of it is optional: what could not be had is left out, and a notice says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ci_ml.core.distributions import DriftPart
from ci_ml.core.part import Many, Part

_Name = str  # of whatever length: a name that is long is no reason to judge nothing


class LocationPart(Part):
    """A line (counted from 1) of a file, by its path in the repository; without a line the file as a whole."""

    path: _Name
    line: Annotated[int, Field(ge=1)] | None = None


class PointPart(Part):
    """A metric's value at a commit of the base branch; `at` is when that was committed (ISO 8601)."""

    sha: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    at: Annotated[str, Field(max_length=64)]
    value: float


class HistoryPart(Part):
    """The values of a metric on the base branch, oldest first; the last is that of the base."""

    metric: _Name
    points: Many[PointPart] = ()


class SeriesPart(Part):
    """One side of a curve.

    `x` and `y` are its points in order; `n` the examples behind each, where it is made of bins; `area` what is under
    it, where that is a metric. A histogram has one x more than it has n, and no y.
    """

    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    n: tuple[Annotated[int, Field(ge=0)], ...] = ()
    area: float | None = None

    @model_validator(mode="after")
    def _lengths(self) -> "SeriesPart":
        expected = len(self.y) if self.y else len(self.n) + bool(self.n)
        if len(self.x) != expected or (self.y and self.n and len(self.n) != len(self.y)):
            raise ValueError("x, y and n do not belong together")
        return self


class CurvePart(Part):
    """A curve of base and head over the examples that both have.

    roc: false positive rate, true positive rate. precision_recall: recall, precision. calibration: mean of the
    predicted probability, share of positives, n of each bin. scores, residuals: histograms, both sides with the same
    edges; residuals are prediction - label. `of` is the class that is told apart from the others.
    """

    table: _Name
    kind: Literal["roc", "precision_recall", "calibration", "scores", "residuals"]
    of: _Name | None = None
    base: SeriesPart | None = None
    head: SeriesPart | None = None


class ConfusionPart(Part):
    """How often each class (row) was predicted as each class (column), on both sides."""

    table: _Name
    classes: tuple[_Name, ...]
    base: tuple[tuple[int, ...], ...] | None = None
    head: tuple[tuple[int, ...], ...] | None = None

    @model_validator(mode="after")
    def _square(self) -> "ConfusionPart":
        size = len(self.classes)
        for side in (self.base, self.head):
            if side is not None and (len(side) != size or any(len(row) != size for row in side)):
                raise ValueError("a confusion matrix has a row and a column for each class")
        return self


class PlotPart(Part):
    """A plot of DVC: a Vega-Lite specification with its data in it."""

    name: _Name
    spec: dict[str, Any]


class CodePart(Part):
    """A file that differs, and is neither data nor what a stage makes; lines are None for what is no text."""

    path: _Name
    change: Literal["added", "removed", "changed"]
    added: int | None = None
    removed: int | None = None
    stages: tuple[_Name, ...] = ()


class PackagePart(Part):
    """A package whose locked version differs; None where it is not locked."""

    file: _Name
    package: _Name
    base: _Name | None = None
    head: _Name | None = None


class RatePart(Part):
    """What an hour of training costs."""

    per_hour: Annotated[float, Field(ge=0)]
    currency: Annotated[str, Field(max_length=20)]


class SettingPart(Part):
    """Something in which the environments of two trainings differ; `name` is that of a package."""

    kind: Literal["python", "platform", "processor", "gpu", "package"]
    name: _Name | None = None
    base: _Name | None = None
    head: _Name | None = None


class EnvironmentPart(Part):
    """In what both sides were trained, by the records of those trainings.

    `differences` are only about what both records hold; `missing` names what is not known, and why (in brackets).
    """

    differences: Many[SettingPart] = ()
    missing: tuple[_Name, ...] = ()


class BeforePart(Part):
    """The training behind the base's numbers: how long it took, in seconds."""

    seconds: Annotated[float, Field(ge=0)]
    stages: dict[_Name, float] = Field(default={})
    run: _Name | None = None


@dataclass(frozen=True, kw_only=True)
class Exhibits:
    """Everything of one report: `gates`, `params` and `stages` say where each of them is, by its name."""

    gates: Mapping[str, LocationPart] = field(default_factory=dict)
    params: Mapping[tuple[str, str], LocationPart] = field(default_factory=dict)
    stages: Mapping[str, LocationPart] = field(default_factory=dict)
    code: tuple[CodePart, ...] = ()
    packages: tuple[PackagePart, ...] = ()
    environment: EnvironmentPart | None = None
    history: tuple[HistoryPart, ...] = ()
    curves: tuple[CurvePart, ...] = ()
    confusions: tuple[ConfusionPart, ...] = ()
    plots: tuple[PlotPart, ...] = ()
    drifts: tuple[DriftPart, ...] = ()
    notices: tuple[str, ...] = ()
