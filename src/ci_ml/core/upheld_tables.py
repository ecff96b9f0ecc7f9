"""Whether a report asks of tables what ci-ml.yaml expects of them: rules, rows, columns, labels, leakage.

Layer: core. Pure. Of a schema, whose rules only the user's own model knows, it is their limits that are known.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ci_ml.core import demands, expectations, gates, upheld_drift
from ci_ml.core.config import Config
from ci_ml.core.gates import Gate
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import DataKey, Severity, Status


def weakened(report: Report, config: Config, items: Sequence[ComparisonPart]) -> Iterator[str]:
    """What is expected of tables and not asked for in the report, or not as it is; `items` are under no gate."""
    for name, about in config.data.items():
        mine = [item for item in items if item.metric.startswith((f"{name}:", f"{name}."))]
        rules = expectations.expected(about).rules
        known = [gates.on_data(rule.key(name), rule.limit, about.severity) for rule in rules]
        wanted = list(demands.of_table(name, about, closed=about.closed))
        new = {str(one.gate.metric) for one in wanted if one.topic in demands.OF_THE_BASE}
        known += [one.gate for one in wanted]
        yield from _of_gates(known, mine, new, config.confidence)
        named = {str(gate.metric) for gate in known}
        others = [item for item in mine if item.metric not in named]
        if about.drift is not None:
            moved = [item for item in others if upheld_drift.is_drift(name, item)]
            yield from upheld_drift.weakened(report, name, about.drift, about.severity, moved)
        if about.schema_ is not None:
            rest = [item for item in others if not (about.drift and upheld_drift.is_drift(name, item))]
            yield from (problem for item in rest for problem in _of_schema(item, about.severity))


def _of_gates(
    known: Sequence[Gate], items: Sequence[ComparisonPart], new: Collection[str], confidence: float
) -> Iterator[str]:
    """The gates that follow from the configuration alone; to those in `new` a table that is new has no answer."""
    counts = Counter(str(gate.metric) for gate in known)
    for metric, gate in {str(gate.metric): gate for gate in known}.items():
        found = [item for item in items if item.metric == metric]
        if len(found) != counts[metric]:
            yield f"{metric} is {f'{len(found)} times' if found else 'not'} among its comparisons"
        for item in found:
            is_new = metric in new and item.status is Status.NEW
            yield from upheld_drift.unlike(item, replace(gate, absolute=False, ceiling=None) if is_new else gate)
            yield from _unsure(item, confidence)


def _unsure(item: ComparisonPart, confidence: float) -> Iterator[str]:
    if item.head_interval is not None and item.confidence != confidence:
        yield f"confidence of {item.name} is {item.confidence}, and {confidence} in ci-ml.yaml"


def _of_schema(item: ComparisonPart, severity: Severity) -> Iterator[str]:
    """A rule of a user's own model, which only that knows: it may warn, and its limit is none, or of any rows."""
    own = item.model_copy(update={"severity": severity} if item.severity is Severity.WARN else {})
    limit = expectations.ANY if item.metric.endswith(": is there") else expectations.NONE
    columns = "columns" if item.metric.endswith(": no other columns") else "rows"
    yield from upheld_drift.unlike(
        own, gates.on_data(DataKey(table=item.metric, subject="", what=""), limit, severity, columns)
    )
