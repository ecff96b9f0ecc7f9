"""Charts of a report, each with its name in words and a table of its data. Layer: render."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ci_ml.core import numbers
from ci_ml.core import vega as specifications
from ci_ml.core.exhibits import ConfusionPart, CurvePart, HistoryPart
from ci_ml.core.report import ComparisonPart, Report, TrainingPart
from ci_ml.render import cells, safe, vega

_COLUMNS = 12
_PLOTS = 60
_LONGEST = 80
_COMPOSED = frozenset({"facet", "hconcat", "vconcat", "concat", "repeat", "spec"})

TITLES = {
    "roc": "ROC",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration",
    "scores": "Scores",
    "residuals": "Residuals",
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One chart: `spec` draws it, `label` says in words what is to be seen, `problem` why it is not drawn.

    `columns` are those of the table of its data, each a title and a field of the specification's values.
    """

    title: str
    label: str
    detail: str = ""
    spec: dict[str, Any] = field(default_factory=dict)
    columns: Sequence[tuple[str, str]] = ()
    problem: str = ""
    foreign: bool = False
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Group:
    """The figures of one table of predictions."""

    title: str
    figures: Sequence[Figure]


def predictions(content: Report) -> list[Group]:
    """Curves and confusion matrices by table, and by the class that they tell apart."""
    found: dict[str, list[Figure]] = {}
    for part in content.curves:
        found.setdefault(part.table, []).append(curve(part))
    for matrix in content.confusions:
        found.setdefault(matrix.table, []).extend(confusion(matrix))
    return [Group(title=name, figures=figures) for name, figures in found.items()]


def every(content: Report) -> list[tuple[str, Figure]]:
    """Every chart that can be drawn, with a name for it: what it is about, and its title."""
    found = [(group.title, figure) for group in predictions(content) for figure in group.figures]
    known = {item.metric: item for item in reversed(content.comparisons) if item.slice is None}
    found += [(part.metric, figure) for part in content.history if (figure := history(part, known.get(part.metric)))]
    if content.training and (stages := training(content.training)):
        found.append(("training", stages))
    found += [("plot", figure) for figure in plots(content)]
    return [(f"{about} {figure.title}", figure) for about, figure in found if figure.spec]


def curve(part: CurvePart) -> Figure:
    """A curve of both sides, and the area under it where that is a metric."""
    areas = [(side, series.area) for side, series in _sides(part) if series.area is not None]
    shown = [numbers.plain(area, 4) for _, area in areas]
    detail = f"area {' → '.join(shown)}" if shown else ""
    of = f" of {_brief(part.of)}" if part.of is not None else ""
    x, y = vega.AXES[part.kind]
    sides = " and ".join(side for side, _ in _sides(part)) or "no side"
    label = f"{TITLES[part.kind]}{of} on {_brief(part.table)}, {sides}: {y} by {x}{f'; {detail}' if detail else ''}"
    is_histogram = part.kind in ("scores", "residuals")
    columns = [("side", "side"), (f"{x} from" if is_histogram else x, "x"), (y, "n" if is_histogram else "y")]
    if part.kind == "calibration":
        columns.append(("examples", "n"))
    return Figure(title=f"{TITLES[part.kind]}{of}", label=label, detail=detail, spec=vega.curve(part), columns=columns)


def _sides(part: CurvePart) -> list[tuple[str, Any]]:
    return [(name, side) for name, side in (("base", part.base), ("head", part.head)) if side is not None]


def confusion(part: ConfusionPart) -> list[Figure]:
    """A confusion matrix for each side."""
    names = [_brief(name) for name in part.classes]
    return [
        Figure(
            title=f"Confusion, {side}",
            label=f"Confusion matrix of {side} on {_brief(part.table)}: {len(names)} classes",
            detail=_right(counts),
            spec=vega.confusion(part.classes, counts, side),
            columns=[("label", "truth"), ("predicted", "called"), ("examples", "n"), ("share of the label", "share")],
        )
        for side, counts in vega.matrices(part)
    ]


def _right(counts: Sequence[Sequence[int]]) -> str:
    total = sum(map(sum, counts))
    right = sum(row[index] for index, row in enumerate(counts))
    return f"{numbers.plain(100 * right / total, 1)}{cells.NBSP}% right" if total else ""


def history(part: HistoryPart, item: ComparisonPart | None) -> Figure | None:
    """A metric over the last commits of the base branch; None where there is none."""
    if not part.points:
        return None
    values = [point.value for point in part.points]
    low, high = numbers.plain(min(values), -4), numbers.plain(max(values), -4)
    count = f"{len(values)} commit{'' if len(values) == 1 else 's'}"
    return Figure(
        title="History",
        label=f"{_brief(part.metric)} on {count} of the base branch: between {low} and {high}",
        detail=f"{count} of the base branch, then this change",
        spec=vega.history(part, item),
        columns=[("commit", "commit"), ("committed", "at"), ("value", "value")],
    )


def training(part: TrainingPart) -> Figure | None:
    """How long the stages took that ran; the table of all of them is beside the chart."""
    has_before = part.before is not None and bool(part.before.stages)
    if not has_before and not any(stage.state == "ran" for stage in part.stages):
        return None
    sides = "base and head" if has_before else "head"
    return Figure(title="Stages", label=f"Seconds of each stage, {sides}", spec=vega.timeline(part))


def plots(content: Report) -> list[Figure]:
    """The plots of DVC, made harmless; of one that cannot be drawn, why not."""
    found = [_plot(part.name, part.spec) for part in content.plots[:_PLOTS]]
    if len(content.plots) > _PLOTS:
        left = len(content.plots) - _PLOTS
        found.append(Figure(title=f"{left} more", label="", problem="they are in report.json", foreign=True))
    return found


def _plot(name: str, spec: dict[str, Any]) -> Figure:
    title = _brief(name)
    try:
        cleaned = specifications.clean(spec, _printable)
        specifications.size(cleaned)
    except specifications.Unfit as error:
        return Figure(title=title, label=f"Plot {title}", problem=f"not drawn: {error}", foreign=True)
    is_composed = bool(_COMPOSED & cleaned.keys())
    if not is_composed:
        cleaned |= {"width": "container", "height": 230}
    del cleaned["$schema"]  # of an older version it would be a warning on the page, and says nothing else
    cleaned.pop("title", None)  # it is above the plot already, or less than that
    return Figure(
        title=title, label=f"Plot {title}", spec=cleaned, columns=_columns(cleaned), foreign=True, wide=is_composed
    )


def _printable(text: str) -> str:
    """Text without characters that reorder or hide; line breaks and tabs are blanks in an expression."""
    if text.isprintable():
        return text
    return "".join(letter if letter in "\n\t" else safe.printable(letter) for letter in text)


def _columns(spec: dict[str, Any]) -> list[tuple[str, str]]:
    """The columns of the rows that a specification brings along."""
    data = spec.get("data")
    values = data.get("values") if isinstance(data, dict) else None
    rows = [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
    names = dict.fromkeys(key for row in rows[:_COLUMNS] for key in row)
    return [(_brief(name), name) for name in names][:_COLUMNS]


def _brief(name: str) -> str:
    return safe.shortened(safe.printable(name), _LONGEST)
