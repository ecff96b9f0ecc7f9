"""Curves of a table's predictions, for readers: no gate reads them. Layer: usecases.

They are of the examples that base and head share, as the gates judge them. What is under a curve is told where a gate
asks for it, and is the number that the gate has.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ci_ml.core.catalogue import Task, parse
from ci_ml.core.compare import Comparison
from ci_ml.core.config import PredictionsConfig
from ci_ml.core.exhibits import ConfusionPart, CurvePart, SeriesPart
from ci_ml.core.types import TableKey
from ci_ml.metrics import confusions, curves, residuals
from ci_ml.metrics.curves import Scores
from ci_ml.metrics.engine import Engine
from ci_ml.metrics.paired import Paired, number, total
from ci_ml.stats import curves as points
from ci_ml.stats.curves import Steps

# Of how many classes there are curves.
MOST_CLASSES = 6
# What is told of a rate: far more than can be seen, and half as long as a float is.
_DIGITS = 9
_LONGEST = 10_000

_Shape = Callable[[Steps], tuple[list[float], list[float]]]
_SHAPES: tuple[tuple[str, str, _Shape], ...] = (
    ("roc", "roc_auc", points.roc),
    ("precision_recall", "average_precision", points.precision_recall),
)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a report shows of a table, and what its reader should know about it."""

    curves: tuple[CurvePart, ...] = ()
    confusions: tuple[ConfusionPart, ...] = ()
    notices: tuple[str, ...] = ()


def draw(
    engine: Engine,
    name: str,
    about: PredictionsConfig,
    paired: Paired,
    comparisons: Sequence[Comparison],
    *,
    new: bool,
) -> Drawn:
    """Everything that a table of this kind can show. `new`: there is no base, and the head stands for both."""
    drawing = _Drawing(engine=engine, name=name, paired=paired, areas=_areas(comparisons, about), new=new)
    if about.task is Task.REGRESSION:
        found = [drawing.residuals()]
    elif about.task is Task.BINARY:
        found = list(drawing.scores(None, ("roc", "precision_recall", "calibration", "scores"))) if about.score else []
    else:
        found = list(drawing.several(_named(comparisons))) if about.score else []
    shown = () if about.task is Task.REGRESSION else (drawing.confusion(about),)
    return Drawn(curves=tuple(found), confusions=shown, notices=tuple(drawing.notices))


def _areas(
    comparisons: Iterable[Comparison], about: PredictionsConfig
) -> Mapping[tuple[str, str | None], tuple[float | None, float]]:
    """What gates say of both sides by metric and class; not with several seeds, whose mean belongs to no curve."""
    if about.repeats:
        return {}
    return {
        (asked.name, asked.which): (item.contrast.base, item.contrast.head)
        for item in comparisons
        if item.contrast and item.gate.slice is None
        if isinstance(key := item.gate.metric, TableKey) and not key.gap
        if (asked := parse(key.metric)).average is None
    }


def _named(comparisons: Iterable[Comparison]) -> list[str]:
    """The classes that gates name."""
    keys = (item.gate.metric for item in comparisons)
    asked = (parse(key.metric) for key in keys if isinstance(key, TableKey))
    return list(dict.fromkeys(item.which for item in asked if item.which is not None))


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    engine: Engine
    name: str
    paired: Paired
    areas: Mapping[tuple[str, str | None], tuple[float | None, float]]
    new: bool
    notices: list[str] = field(default_factory=list)

    def several(self, named: Sequence[str]) -> Iterable[CurvePart]:
        """Of each class against the rest; of the predicted one, whether it is as probable as it says."""
        yield from self.scores(None, ("calibration", "scores"))
        for which in self._classes(named):
            yield from self.scores(which, ("roc", "precision_recall"))

    def _classes(self, named: Sequence[str]) -> Sequence[str]:
        if len(self.paired.classes) <= MOST_CLASSES:
            return self.paired.classes
        table = self.paired.table
        often = {row["label"]: number(row["n"]) for row in self.engine.rows(total(table, ["label"], {"n": table.one}))}
        frequent = sorted(self.paired.classes, key=lambda name: (-often.get(name, 0), name))
        chosen = list(dict.fromkeys([*(name for name in named if name in often), *frequent]))[:MOST_CLASSES]
        self.notices.append(
            f"{self.name}: there are curves of {MOST_CLASSES} of {len(self.paired.classes):,} classes, "
            "those that gates name before those that most examples have"
        )
        return chosen

    def scores(self, which: str | None, kinds: Sequence[str]) -> Iterable[CurvePart]:
        """The curves of one class against the rest."""
        head = curves.scores(self.engine, self.paired, "head", which)
        base = None if self.new else curves.scores(self.engine, self.paired, "base", which)
        if head.steps.both:
            for kind, metric, shape in _SHAPES:
                if kind in kinds:
                    one, two = self.areas.get((metric, which), (None, None))
                    yield self._curve(kind, which, _line(base, shape, one), _line(head, shape, two))
        if "calibration" in kinds:
            yield self._curve("calibration", which, _calibration(base), _calibration(head))
        if "scores" in kinds:
            yield self._curve("scores", which, _histogram(base), _histogram(head))

    def _curve(self, kind: str, which: str | None, base: SeriesPart | None, head: SeriesPart | None) -> CurvePart:
        of = which and which[:_LONGEST]
        return CurvePart.model_validate({"table": self.name, "kind": kind, "of": of, "base": base, "head": head})

    def residuals(self) -> CurvePart:
        """How far off predictions are."""
        found = residuals.residuals(self.engine, self.paired)
        beyond = [] if self.new else [(found.base_beyond, "base")]
        beyond = [(count, side) for count, side in [*beyond, (found.head_beyond, "head")] if count]
        if beyond:
            counted = " and ".join(f"{count:,} of the {side}" for count, side in beyond)
            self.notices.append(f"{self.name}: residuals too far out for the histogram: {counted}")
        base, head = (SeriesPart(x=found.edges, n=counts) for counts in (found.base, found.head))
        return self._curve("residuals", None, None if self.new else base, head)

    def confusion(self, about: PredictionsConfig) -> ConfusionPart:
        """Which class was taken for which."""
        found = confusions.confusion(self.engine, self.paired)
        classes = confusions.of_two(self.paired, about.positive) if about.task is Task.BINARY else found.classes
        if found.others:
            classes = (*classes, f"({found.others:,} others)")
            self.notices.append(
                f"{self.name}: the confusion matrix has {confusions.MOST} of "
                f"{len(self.paired.classes):,} classes, those that are confused most often; "
                "all others are one, whatever is confused among them"
            )
        names = tuple(name[:_LONGEST] for name in classes)
        return ConfusionPart(table=self.name, classes=names, base=None if self.new else found.base, head=found.head)


def _line(scores: Scores | None, shape: _Shape, area: float | None) -> SeriesPart | None:
    if scores is None:
        return None
    x, y = ([round(value, _DIGITS) for value in values] for values in shape(scores.steps))
    return SeriesPart(x=tuple(x), y=tuple(y), area=area)


def _calibration(scores: Scores | None) -> SeriesPart | None:
    if scores is None:
        return None
    return SeriesPart(
        x=tuple(round(part.mean, _DIGITS) for part in scores.bins),
        y=tuple(round(part.hits / part.n, _DIGITS) for part in scores.bins),
        n=tuple(part.n for part in scores.bins),
    )


def _histogram(scores: Scores | None) -> SeriesPart | None:
    if scores is None:
        return None
    edges = tuple(index / curves.HISTOGRAM for index in range(curves.HISTOGRAM + 1))
    return SeriesPart(x=edges, n=scores.histogram)
