"""Reports for tests, judged by the real gates."""

import math
from typing import Any

from ci_ml.core import report as reports
from ci_ml.core.changes import Changes, DataChange, ValueChange
from ci_ml.core.compare import Comparison, compare, compare_measured, compare_slices
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
