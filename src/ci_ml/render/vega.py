"""Charts as Vega-Lite specifications, plain dicts with their data in them, and their colours. Layer: render.

Base is always the dashed line or the first of two, head the solid one: no meaning hangs on colour alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ci_ml.core.exhibits import ConfusionPart, CurvePart, HistoryPart, SeriesPart
from ci_ml.core.report import ComparisonPart, TrainingPart
from ci_ml.core.types import Direction
from ci_ml.render import safe, spent, words

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
_SIDES = {"domain": ["base", "head"]}
_STROKES = {"symbolType": "stroke", "symbolSize": 300, "symbolOpacity": 1}
_LONGEST = 40
_MOST_WORDS = 12  # classes of a confusion matrix whose cells have room for a number
_MOST_LETTERS = 36  # that fit below a confusion matrix side by side
# In the page the colours are variables of its style, so that a theme and a printer change them without JavaScript.
PAGE = {
    "ink": "var(--ink)",
    "muted": "var(--muted)",
    "grid": "var(--grid)",
    "base": "var(--base)",
    "head": "var(--head)",
}
PAPER = {"ink": "#16191d", "muted": "#59636e", "grid": "#e8ebef", "base": "#6b7684", "head": "#0a5bd3"}
_OTHERS = ["#c2410c", "#0f766e", "#7c3aed", "#a16207", "#be185d", "#4d7c0f"]

AXES = {
    "roc": ("false positive rate", "true positive rate"),
    "precision_recall": ("recall", "precision"),
    "calibration": ("mean predicted probability", "share of positives"),
    "scores": ("score", "examples"),
    "residuals": ("prediction − label", "examples"),
}


def config(colors: Mapping[str, str]) -> Spec:
    """How everything looks that a specification says nothing about."""
    words = {"labelColor": colors["muted"], "titleColor": colors["muted"], "labelFontSize": 11, "titleFontSize": 11}
    lines = {"gridColor": colors["grid"], "domainColor": colors["grid"], "tickColor": colors["grid"]}
    return {
        "aria": False,  # the picture as a whole has a name, and a table of its data
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {**words, **lines, "titleFontWeight": "normal", "titlePadding": 6, "labelLimit": 160},
        "legend": {**words, "orient": "top", "title": None, "symbolStrokeWidth": 2, "offset": 4},
        "header": {**words},
        "title": {"color": colors["ink"], "fontSize": 12, "fontWeight": 600, "anchor": "start"},
        "text": {"color": colors["ink"], "fontSize": 11},
        "rule": {"color": colors["muted"]},
        "mark": {"color": colors["head"]},
        "line": {"strokeWidth": 2},
        "style": {
            "guide": {"color": colors["muted"], "strokeWidth": 1, "strokeOpacity": 0.5},
            "trail": {"color": colors["base"], "strokeWidth": 1.5},
        },
        "range": {"category": [colors["base"], colors["head"], *_OTHERS]},
    }


def curve(part: CurvePart) -> Spec:
    """A curve of both sides: ROC, precision-recall or calibration as lines, scores and residuals as histograms."""
    if part.kind in ("scores", "residuals"):
        return _histogram(part)
    points = [
        point for side, series in _sides(part) for point in _points(series, side, counted=part.kind == "calibration")
    ]
    x, y = (_unit(title) for title in AXES[part.kind])
    axes: Spec = {"x": {"field": "x", **x}, "y": {"field": "y", **y}}
    line: Spec = {"mark": {"type": "line"}, "encoding": {**axes, **_by_side()}}
    line["encoding"]["order"] = {"field": "i", "type": "quantitative"}
    line["encoding"]["tooltip"] = [
        {"field": "side", "type": "nominal"},
        {"field": "x", "type": "quantitative", "title": AXES[part.kind][0], "format": ".4~f"},
        {"field": "y", "type": "quantitative", "title": AXES[part.kind][1], "format": ".4~f"},
        *([{"field": "n", "type": "quantitative", "title": "examples", "format": ","}] * (part.kind == "calibration")),
    ]
    layers = [line] if part.kind == "precision_recall" else [_diagonal(), line]
    if part.kind == "calibration":
        tip = line["encoding"].pop("tooltip")
        dots = {"mark": {"type": "point", "filled": True, "size": 40, "opacity": 1}}
        layers.append({**dots, "encoding": {**axes, "color": _by_side()["color"], "tooltip": tip}})
    return {"$schema": SCHEMA, "width": "container", "height": 230, "data": {"values": points}, "layer": layers}


def _sides(part: CurvePart) -> list[tuple[str, SeriesPart]]:
    return [(name, series) for name, series in (("base", part.base), ("head", part.head)) if series is not None]


def _points(series: SeriesPart, side: str, *, counted: bool) -> list[Spec]:
    counts = series.n if counted and series.n else (None,) * len(series.x)
    return [
        {"i": index, "x": _short(x), "y": _short(y), "side": side, **({"n": n} if n is not None else {})}
        for index, (x, y, n) in enumerate(zip(series.x, series.y, counts, strict=False))
    ]


def _short(value: float) -> float:
    """Six digits are more than a picture shows, and a third of what they weigh."""
    return float(f"{value:.6g}")


def _unit(title: str) -> Spec:
    return {"type": "quantitative", "scale": {"domain": [0, 1]}, "title": title, "axis": {"tickCount": 5}}


def _by_side() -> Spec:
    return {
        "color": {"field": "side", "type": "nominal", "scale": _SIDES, "legend": _STROKES},
        "strokeDash": {
            "field": "side",
            "type": "nominal",
            "scale": {**_SIDES, "range": [[5, 3], [1, 0]]},
            "legend": _STROKES,
        },
    }


def _diagonal() -> Spec:
    ends = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
    axes = {name: {"field": name, "type": "quantitative"} for name in ("x", "y")}
    return {"data": {"values": ends}, "mark": {"type": "line", "style": "guide"}, "encoding": axes}


def _histogram(part: CurvePart) -> Spec:
    """Steps over the bins, filled lightly; the last edge closes the last bin."""
    values = []
    for side, series in _sides(part):
        heights = [*series.n, *series.n[-1:]]
        values += [{"x": _short(x), "n": n, "side": side} for x, n in zip(series.x, heights, strict=False)]
    x, y = AXES[part.kind]
    axes: Spec = {
        "x": {"field": "x", "type": "quantitative", "title": x},
        "y": {
            "field": "n",
            "type": "quantitative",
            "stack": None,
            "title": y,
            "axis": {"tickCount": 5, "format": "~s"},
        },
    }
    tip = [
        {"field": "side", "type": "nominal"},
        {"field": "x", "type": "quantitative", "title": f"{x} from", "format": ".4~f"},
        {"field": "n", "type": "quantitative", "title": "examples", "format": ","},
    ]
    sides = _by_side()
    area = {
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.12},
        "encoding": {**axes, "color": sides["color"]},
    }
    line = {"mark": {"type": "line", "interpolate": "step-after"}, "encoding": {**axes, **sides, "tooltip": tip}}
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": 230,
        "data": {"values": values},
        "layer": [area, line],
    }


def confusion(classes: Sequence[str], counts: Sequence[Sequence[int]], side: str) -> Spec:
    """One side's confusion matrix: how dark a cell is says which share of its row, so that rare classes are seen."""
    names = _apart(classes)
    values = [
        {"truth": truth, "called": called, "n": n, "share": _short(n / max(sum(row), 1)), "side": side}
        for truth, row in zip(names, counts, strict=True)
        for called, n in zip(names, row, strict=True)
    ]
    is_tight = sum(map(len, names)) > _MOST_LETTERS
    below, beside = (
        {"type": "nominal", "sort": names, "axis": {"labelAngle": angle, "labelLimit": 90, "grid": False}}
        for angle in (-90 if is_tight else 0, 0)
    )
    shade = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "range": [0.04, 0.6]},
        "legend": None,
    }
    cell: Spec = {
        "mark": {"type": "rect", "stroke": None},
        "encoding": {
            "color": {"field": "side", "type": "nominal", "scale": _SIDES, "legend": None},
            "opacity": shade,
            "tooltip": [
                {"field": "truth", "type": "nominal", "title": "label"},
                {"field": "called", "type": "nominal", "title": "predicted"},
                {"field": "n", "type": "quantitative", "title": "examples", "format": ","},
                {"field": "share", "type": "quantitative", "title": "of the label", "format": ".1%"},
            ],
        },
    }
    word = {"mark": {"type": "text"}, "encoding": {"text": {"field": "n", "type": "quantitative", "format": ","}}}
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": min(max(44 * len(classes), 120), 420),
        "data": {"values": values},
        "encoding": {
            "x": {"field": "called", "title": "predicted", **below},
            "y": {"field": "truth", "title": "label", **beside},
        },
        "layer": [cell, word] if len(classes) <= _MOST_WORDS else [cell],
    }


def matrices(part: ConfusionPart) -> list[tuple[str, Sequence[Sequence[int]]]]:
    """The sides that there are."""
    return [(name, counts) for name, counts in (("base", part.base), ("head", part.head)) if counts is not None]


def _apart(names: Sequence[str]) -> list[str]:
    """Names that fit a picture, and stay as many as they were."""
    found: dict[str, None] = {}
    for name in names:
        short = safe.shortened(safe.printable(name), _LONGEST)
        found[short if short not in found else f"{short} ({len(found) + 1})"] = None
    return list(found)


def history(part: HistoryPart, item: ComparisonPart | None) -> Spec:
    """A metric on the commits of the base branch, then the head, and the line that the gate draws."""
    values: list[Spec] = [
        {
            "i": index,
            "value": point.value,
            "commit": point.sha[:7],
            "at": safe.printable(words.moment(point.at)),
            "side": "base",
        }
        for index, point in enumerate(part.points)
    ]
    if item is not None and item.head is not None:
        values.append({"i": len(values), "value": item.head, "commit": "this change", "at": "", "side": "head"})
    x = {"field": "i", "type": "quantitative", "axis": None, "scale": {"nice": False}}
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"zero": False},
        "title": None,
        "axis": {"tickCount": 3, "domain": False},
    }
    tip = [
        {"field": "commit", "type": "nominal"},
        {"field": "at", "type": "nominal", "title": "committed"},
        {"field": "value", "type": "quantitative", "format": ".6~g"},
    ]
    line = {"mark": {"type": "line", "style": "trail"}, "encoding": {"x": x, "y": y}}
    shape = {"field": "side", "type": "nominal", "scale": {**_SIDES, "range": ["circle", "diamond"]}, "legend": None}
    color = {"field": "side", "type": "nominal", "scale": _SIDES, "legend": None}
    dots = {
        "mark": {"type": "point", "filled": True, "opacity": 1, "size": 45},
        "encoding": {"x": x, "y": y, "color": color, "shape": shape, "tooltip": tip},
    }
    limits = [{"value": value} for value in _limits(item)]
    allowed = {
        "data": {"values": limits},
        "mark": {"type": "rule", "strokeDash": [3, 3]},
        "encoding": {"y": {"field": "value", "type": "quantitative"}},
    }
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": 90,
        "data": {"values": values},
        "layer": [*([allowed] if limits else []), line, dots],
    }


def _limits(item: ComparisonPart | None) -> list[float]:
    """Where the gate stops the metric: the base less its margin."""
    if item is None or item.base is None or item.margin_absolute is None:
        return []
    sign = 1 if item.direction is Direction.HIGHER else -1
    return [item.base - sign * item.margin_absolute]


def timeline(training: TrainingPart) -> Spec:
    """How long each stage took that ran, base against head; a stage that did not run says what became of it instead."""
    before = training.before.stages if training.before else {}
    names = dict.fromkeys((*(stage.name for stage in training.stages), *before))
    short = dict(zip(names, _apart(list(names)), strict=True))
    values: list[Spec] = [
        {"stage": short[name], "side": "base", "seconds": seconds} for name, seconds in before.items()
    ]
    for stage in training.stages:
        known = {"seconds": stage.seconds} if stage.state == "ran" else {"became": spent.BECAME[stage.state]}
        values.append({"stage": short[stage.name], "side": "head", **known})
    place: Spec = {"y": {"field": "stage", "type": "nominal", "sort": list(short.values()), "title": None}}
    if before:
        place["yOffset"] = {"field": "side", "type": "nominal", "scale": _SIDES}
    rows = len(names) * (2 if before else 1)
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": min(max(rows * 18, 60), 900),
        "data": {"values": values},
        "layer": [_bars(place), *([_instead(place)] if any("became" in value for value in values) else [])],
    }


def _bars(place: Spec) -> Spec:
    return {
        "transform": [{"filter": "isValid(datum.seconds)"}],
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            **place,
            "x": {"field": "seconds", "type": "quantitative", "title": "seconds", "axis": {"tickCount": 6}},
            "color": {"field": "side", "type": "nominal", "scale": _SIDES},
            "tooltip": [
                {"field": "stage", "type": "nominal"},
                {"field": "side", "type": "nominal"},
                {"field": "seconds", "type": "quantitative", "format": ",.1f"},
            ],
        },
    }


def _instead(place: Spec) -> Spec:
    """Words where a bar would be."""
    return {
        "transform": [{"filter": "isValid(datum.became)"}],
        "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": 4},
        "encoding": {**place, "x": {"value": 0}, "text": {"field": "became", "type": "nominal"}},
    }
