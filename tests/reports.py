"""Reports for tests, judged by the real gates."""

import hashlib
import math
from typing import Any

from ci_ml.core import report as reports
from ci_ml.core.changes import Changes, DataChange, ValueChange
from ci_ml.core.compare import Comparison, compare, compare_measured, compare_slices
from ci_ml.core.exhibits import (
    BeforePart,
    CodePart,
    ConfusionPart,
    CurvePart,
    EnvironmentPart,
    Exhibits,
    HistoryPart,
    LocationPart,
    PackagePart,
    PlotPart,
    PointPart,
    RatePart,
    SeriesPart,
    SettingPart,
)
from ci_ml.core.gates import Gate
from ci_ml.core.report import PolicyPart, Report, StageRunPart, TrainingPart
from ci_ml.core.types import (
    Change,
    Contrast,
    Direction,
    Gap,
    Margin,
    Measurement,
    MetricKey,
    Reading,
    Require,
    Revision,
    Run,
    Severity,
    Slice,
    TableKey,
)
from ci_ml.core.verdict import decide
from ci_ml.stats.estimate import Difference

BASE = Revision(sha="a" * 40, ref="main", why="merge base of HEAD and origin/main")
HEAD = Revision(sha="b" * 40, ref="feature", dirty=True, why="the work tree")

# What two-sided 95 % of a normal distribution reach, in standard errors.
_Z = 1.959963984540054


def comparison(
    metric: str,
    base: Reading | float,
    head: Reading | float,
    margin: float | str = 0.005,
    direction: str = "higher",
    **rest: Any,
) -> Comparison:
    """A judged gate on `eval/metrics.json:<metric>` (or on `metric` itself when it names a file)."""
    path, _, key = metric.rpartition(":")
    gate = Gate(
        metric=MetricKey(path=path or "eval/metrics.json", key=key),
        direction=Direction(direction),
        margin=_margin(margin),
        **rest,
    )
    sides = [Measurement(value=side, source=metric) if isinstance(side, float) else side for side in (base, head)]
    return compare(gate, *sides)


def _margin(given: float | str) -> Margin:
    return Margin(value=given) if not isinstance(given, str) else Margin(value=float(given[:-1]) / 100, relative=True)


def contrast(
    base: float | None,
    head: float,
    half: float,
    n: int = 4812,
    *,
    method: str = "paired t",
    clusters: int | None = None,
    own: float | None = None,
    between: tuple[str, str] | None = None,
) -> Contrast:
    """What a table says: a change with an interval that reaches `half` to either side, and the head's that reaches `own`.

    Without `half` both sides are identical; without a base there is nothing to compare.
    """
    head_interval = (head - own, head + own) if own is not None else None
    shared: dict[str, Any] = {
        "base": base, "head": head, "head_interval": head_interval, "confidence": 0.95, "n": n, "n_clusters": clusters
    }  # fmt: skip
    if base is None:
        return Contrast(**shared, method=method)
    delta = head - base
    found = Difference(
        base=base,
        head=head,
        delta=delta,
        low=delta - half,
        high=delta + half,
        p_value=math.erfc(abs(delta) / half * _Z / math.sqrt(2)) if half else 1.0,
        confidence=0.95,
        method=method,
        n=n,
        clusters=clusters,
        standard_error=half / _Z,
        identical=not half,
    )
    return Contrast(
        **shared,
        interval=(found.low, found.high),
        p_value=found.p_value,
        method=method,
        identical=not half,
        between=between,
        found=found,
    )


def gate(metric: str, margin: float | str = 0.01, direction: str = "higher", **rest: Any) -> Gate:
    """A gate on a metric of a table, such as `test.recall`."""
    table, _, name = metric.partition(".")
    key = TableKey(table=table, metric=name, gap=rest.pop("gap", ()))
    return Gate(metric=key, direction=Direction(direction), margin=_margin(margin), **rest)


def measured(asked: Gate, found: Contrast | Gap) -> Comparison:
    """A judged gate on a table of predictions."""
    return compare_measured(asked, found)


def sliced(
    metric: str, found: dict[Any, Contrast | Gap], margin: float | str = 0.03, min_n: int = 200, **rest: Any
) -> list[Comparison]:
    """The judged slices of a gate; a slice is `("plan", "free")`, or several of such."""
    direction = rest.pop("direction", "higher")
    gates = [gate(metric, margin, direction, slice=Slice(parts=_parts(where)), min_n=min_n, **rest) for where in found]
    return compare_slices(list(zip(gates, found.values(), strict=True)))


def _parts(where: Any) -> tuple[tuple[str, str | None], ...]:
    return (where,) if len(where) == 2 and not isinstance(where[0], tuple) else tuple(where)


def report(*comparisons: Comparison, differences: Changes | None = None, **rest: Any) -> Report:
    """A report on these comparisons."""
    known: dict[str, Any] = {
        "name": "churn",
        "judged": decide(comparisons),
        "base": BASE,
        "head": HEAD,
        "change": Change(),
        "policy": PolicyPart.model_validate({"digest": f"sha256:{'0' * 64}", "from": "base"}),
        "comparisons": comparisons,
        "differences": differences or Changes(),
        "training": None,
        "notices": (),
    }
    return reports.build(**{**known, **rest})


_COUNTRIES = "DE FR IT ES PL NL BE AT CH CZ PT SE DK FI IE GR HU RO BG SK HR SI".split()


def countries(metric: str = "test.recall", rate: bool = True) -> list[Comparison]:
    """Slices by country: 22 that hold, one that nobody can decide, and three that are too small."""
    found: dict[Any, Contrast | Gap] = {}
    for index, country in enumerate(_COUNTRIES):
        n = 21_004 // (index + 1)
        found["country", country] = contrast(
            0.843 - index / 1000, 0.841 + index * 0.0002 - index / 1000, 0.006 * math.sqrt(index + 1) ** 0.6, n,
            method="tango",
        )  # fmt: skip
    found["country", "MT"] = contrast(0.790, 0.770, 0.041, 296, method="tango")
    for country, n in (("LU", 41), ("CY", 12), ("IS", 3)):
        found["country", country] = contrast(0.80, 0.70, 0.3, n, method="tango")
    return sliced(metric, found, rate=rate)


def plans(metric: str = "test.recall") -> list[Comparison]:
    """Slices by plan, of which one got worse."""
    found: dict[Any, Contrast | Gap] = {
        ("plan", "free"): contrast(0.812, 0.781, 0.011, 4812, method="tango"),
        ("plan", "pro"): contrast(0.861, 0.864, 0.009, 6120, method="tango"),
        ("plan", None): contrast(0.833, 0.828, 0.014, 2044, method="tango"),
    }
    return sliced(metric, found, margin=0.01, rate=True)


def churn(**rest: Any) -> Report:
    """A pull request as it comes: one slice got worse, one cannot be decided, the rest held."""
    change = Change(
        forge="github",
        repository="acme/churn",
        number=7,
        head="b" * 40,
        run=Run(number=812, attempt=1),
        run_url="https://github.com/acme/churn/actions/runs/812",
    )
    stages = tuple(
        StageRunPart.model_validate({"name": name, "state": state, "seconds": 1.0})
        for name, state in (("prepare", "cached"), ("train", "ran"), ("evaluate", "ran"))
    )
    differences = Changes(
        params=(
            ValueChange(metric=MetricKey(path="params.yaml", key="train.class_weight"), base="balanced", head="none"),
            ValueChange(metric=MetricKey(path="params.yaml", key="train.max_depth"), base=8, head=12),
        ),
        data=(DataChange(path="data/train.parquet", base="md5:3f0a5b7", head="md5:9bc21d0"),),
    )
    known: dict[str, Any] = {
        "change": change,
        "differences": differences,
        "training": TrainingPart(stages=stages, seconds=268.4),
    }
    gates = [
        measured(
            gate("test.recall", rate=True, floor=0.8),
            contrast(0.8402, 0.8361, 0.0048, 57_301, method="tango", own=0.0030),
        ),
        *plans(),
        *countries(),
        measured(gate("test.roc_auc", 0.005), contrast(0.9104, 0.9121, 0.0013, 57_301, method="delong")),
        measured(gate("test.brier", 0.0015, "lower"), contrast(0.0912, 0.0909, 0.0006, 57_301)),
        comparison("train.seconds", 212.0, 268.0, "20%", "lower", severity=Severity.WARN),
    ]
    return report(*gates, **{**known, **rest})


def undecided(**rest: Any) -> Report:
    """A small test set under a gate that asks for a proof."""
    proof = {"require": Require.NON_INFERIOR}
    gates = [
        measured(gate("test.accuracy", 0.005, rate=True, **proof), contrast(0.916, 0.909, 0.019, 285, method="tango")),
        measured(gate("test.f1", 0.02, **proof), contrast(0.901, 0.899, 0.011, 285, method="adjusted delta method")),
        measured(gate("test.log_loss", "5%", "lower"), contrast(0.2314, 0.2287, 0.0081, 285, clusters=41, method="clustered t")),
        measured(
            gate("test.recall", 0.03, "lower", rate=True, gap=("country",)),
            contrast(0.041, 0.052, 0.06, 285, method="gap (delta method)", between=("country = DE", "country = MT")),
        ),
        measured(gate("val.accuracy", 0.01, rate=True), contrast(0.912, 0.912, 0.0, 285, method="tango")),
    ]  # fmt: skip
    return report(*gates, **rest)


def exhibits() -> Exhibits:
    """What `churn` shows beside its comparisons."""
    return Exhibits(
        gates={
            name: LocationPart(path="ci-ml.yaml", line=line)
            for name, line in {
                "test.recall": 12,
                "test.roc_auc": 19,
                "test.brier": 21,
                "eval/metrics.json:train.seconds": 23,
            }.items()
        },
        params={
            ("params.yaml", "train.class_weight"): LocationPart(path="params.yaml", line=4),
            ("params.yaml", "train.max_depth"): LocationPart(path="params.yaml", line=5),
        },
        stages={"train": LocationPart(path="dvc.yaml", line=9)},
        code=(
            CodePart(path="src/train.py", change="changed", added=14, removed=3, stages=("train",)),
            CodePart(path="src/features.py", change="added", added=40, removed=0),
            CodePart(path="assets/logo.png", change="removed"),
        ),
        packages=(
            PackagePart(file="requirements.txt", package="scikit-learn", base="1.7.2", head="1.8.0"),
            PackagePart(file="requirements.txt", package="joblib", head="1.5.2"),
        ),
        environment=EnvironmentPart(
            differences=(
                SettingPart(kind="python", base="3.12.11", head="3.13.5"),
                SettingPart(kind="package", name="numpy", base="2.3.4", head="2.4.1"),
                SettingPart(kind="package", name="scikit-learn", base="1.7.2", head="1.8.0"),
                SettingPart(kind="platform", base="Linux x86_64, glibc2.39", head="Linux x86_64, glibc2.41"),
            ),
            missing=("the processor of the base (it is not recorded)",),
        ),
        history=tuple(
            HistoryPart(
                metric=metric,
                points=tuple(
                    PointPart(
                        sha=hashlib.sha1(str(index).encode()).hexdigest(),
                        at=f"2026-10-{index + 1:02}T09:00:00+00:00",
                        value=value,
                    )
                    for index, value in enumerate(values)
                ),
            )
            for metric, values in {
                "test.recall": (0.821, 0.826, 0.825, 0.838, 0.8402),
                "test.roc_auc": (0.897, 0.901, 0.9043, 0.9101, 0.9104),
                "eval/metrics.json:train.seconds": (190.0, 201.0, 199.0, 210.0, 212.0),
            }.items()
        ),
        curves=_curves(),
        confusions=(
            ConfusionPart(
                table="test",
                classes=("0", "1"),
                base=((48_211, 2_310), (1_085, 5_695)),
                head=((48_502, 2_019), (1_113, 5_667)),
            ),
        ),
        plots=(
            PlotPart(
                name="plots/loss.csv",
                spec={
                    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
                    "title": "plots/loss.csv",
                    "data": {
                        "values": [
                            {"step": step, "loss": round(1 / (step + 1) + 0.01 * side, 4), "rev": rev}
                            for side, rev in enumerate(("main", "workspace"))
                            for step in range(10)
                        ]
                    },
                    "mark": "line",
                    "encoding": {
                        "x": {"field": "step", "type": "quantitative"},
                        "y": {"field": "loss", "type": "quantitative"},
                        "color": {"field": "rev", "type": "nominal"},
                    },
                },
            ),
        ),
    )


def _curves() -> tuple[CurvePart, ...]:
    grid = tuple(index / 50 for index in range(51))
    edges, tenths = tuple(index / 20 for index in range(21)), tuple(index / 10 for index in range(10))

    def side(power: float, area: float, shift: int) -> dict[str, SeriesPart]:
        return {
            "roc": SeriesPart(x=grid, y=tuple(x**power for x in grid), area=area),
            "precision_recall": SeriesPart(x=grid, y=tuple(1 - x**4 * 0.8 for x in grid), area=area - 0.2),
            "calibration": SeriesPart(
                x=tuple(x + 0.05 for x in tenths), y=tuple((x + 0.05) ** (1 + shift / 100) for x in tenths),
                n=tuple(9000 - 800 * index for index in range(10)),
            ),
            "scores": SeriesPart(x=edges, n=tuple(4000 - 190 * index + shift for index in range(20))),
        }  # fmt: skip

    base, head = side(0.12, 0.9104, 0), side(0.115, 0.9121, 12)
    return tuple(
        CurvePart.model_validate({"table": "test", "kind": kind, "of": "1", "base": base[kind], "head": head[kind]})
        for kind in base
    )


def everything() -> Report:
    """`churn` with all that a report can show."""
    stages = tuple(
        StageRunPart.model_validate({"name": name, "state": state, "seconds": seconds})
        for name, state, seconds in (("prepare", "cached", 0.4), ("train", "ran", 244.0), ("evaluate", "ran", 21.5))
    )
    training = TrainingPart(
        stages=stages,
        seconds=268.4,
        mlflow_run="run-812",
        before=BeforePart(seconds=212.0, stages={"prepare": 0.4, "train": 190.0, "evaluate": 20.5}, run="run-640"),
        rate=RatePart(per_hour=2.4, currency="EUR"),
    )
    return churn(training=training, shown=exhibits())
