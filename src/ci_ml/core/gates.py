"""From the gates of the configuration to one gate per metric. Layer: core."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ci_ml.core.config import GateConfig
from ci_ml.core.expectations import Limit
from ci_ml.core.types import DataKey, Direction, Evidence, Margin, Metric, MetricKey, Require, Severity, Slice

# Units of how far a table moved: everything else counts what breaks a rule.
DISTANCE, PERCENT = "distance", "percent"
MOVED = frozenset({DISTANCE, PERCENT})


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is asked of one metric, on all examples or on one slice of them.

    `rate`: the metric is a share of examples. `min_n` is how many examples a slice needs to be judged. `absolute`: the
    head alone is judged, by its bounds, so it is never new; `unit` is what is counted then, such as rows, or how
    far the table moved, as a distance or in percent.
    """

    metric: Metric
    direction: Direction
    margin: Margin
    require: Require = Require.NO_REGRESSION
    severity: Severity = Severity.BLOCK
    floor: float | None = None
    ceiling: float | None = None
    slice: Slice | None = None
    min_n: int | None = None
    rate: bool = False
    absolute: bool = False
    unit: str = ""

    @property
    def name(self) -> str:
        """What sentences call it: the metric, and the slice where there is one."""
        return f"{self.metric} on {self.slice}" if self.slice else str(self.metric)


def is_glob(text: str) -> bool:
    """Whether the text holds a glob character; `[` is literal, because keys use it for classes."""
    return "*" in text or "?" in text


@functools.cache
def _regex(pattern: str, separator: str) -> re.Pattern[str]:
    inside = f"[^{re.escape(separator)}]"
    globs = {"**/": f"(?:.*{separator})?", "**": ".*", "*": f"{inside}*", "?": inside}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(globs.get(part, re.escape(part)) for part in parts), re.DOTALL)


def matches(pattern: MetricKey, metric: MetricKey) -> bool:
    """Whether a gate's pattern covers a metric. `*` stays within a folder or within a key's part, `**` crosses them."""
    return match_path(pattern.path, metric.path) and bool(_regex(pattern.key, ".").fullmatch(metric.key))


def match_path(pattern: str, path: str) -> bool:
    """Whether a path's glob covers a path."""
    return bool(_regex(pattern, "/").fullmatch(path))


def expand(configured: Iterable[GateConfig], sides: Iterable[Evidence]) -> tuple[Gate, ...]:
    """One gate per metric, in the order of the configuration.

    A gate that names one metric keeps it, known or not. A glob covers what it matches on either side, less what a gate
    without a glob names; a file that it matches and that cannot be read, and a glob that matches nothing, stay as
    they are written, so that they are reported as missing and never dropped. Gates on predictions and on repeats are
    not for here.
    """
    configured, sides = tuple(gate for gate in configured if not gate.asked and not gate.repeats), tuple(sides)
    named = {gate.pattern for gate in configured if not is_glob(gate.metric)}
    known = sorted({key for side in sides for key in side.readings} - named)
    broken = sorted({path for side in sides for path, gap in side.unreadable.items() if not gap.absent})
    gates: dict[MetricKey, Gate] = {}
    for gate in configured:
        for key in _covered(gate.pattern, known, broken) if is_glob(gate.metric) else [gate.pattern]:
            gates.setdefault(key, of(gate, key))
    return tuple(gates.values())


def _covered(pattern: MetricKey, known: list[MetricKey], broken: list[str]) -> list[MetricKey]:
    found = [key for key in known if matches(pattern, key)]
    read = {key.path for key in found}
    unread = [path for path in broken if path not in read and match_path(pattern.path, path)]
    return [*found, *(MetricKey(path=path, key=pattern.key) for path in unread)] or [pattern]


def of(gate: GateConfig, metric: Metric) -> Gate:
    """The gate on all examples, or on a number."""
    return Gate(
        metric=metric,
        direction=gate.direction,
        margin=gate.margin,
        require=gate.require,
        severity=gate.severity,
        floor=gate.floor,
        ceiling=gate.ceiling,
        rate=bool(gate.asked and gate.asked[1].known.rate),
    )


def on_data(key: DataKey, limit: Limit, severity: Severity, unit: str = "rows") -> Gate:
    """The gate on what is expected of a table: no more than the limit may break it."""
    return Gate(
        metric=key,
        direction=Direction.LOWER,
        margin=Margin(value=0.0),
        severity=severity,
        ceiling=limit.value,
        absolute=True,
        unit="share" if limit.share else unit,
    )


def on_slice(gate: GateConfig, where: Slice) -> Gate:
    """The gate on a slice: it has the slices' bounds, and their margin where they have one."""
    assert gate.slices is not None
    whole = of(gate, gate.key)
    margin = gate.slices.margin or whole.margin
    floor, ceiling = gate.slices.floor, gate.slices.ceiling
    return replace(whole, slice=where, margin=margin, floor=floor, ceiling=ceiling, min_n=gate.slices.min_n)
