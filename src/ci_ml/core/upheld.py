"""Whether the comparisons of a report are those that ci-ml.yaml asks for, so that nobody has asked for less in it.

Layer: core. Pure. A report says of every comparison what was asked; only the configuration knows whether that is so.
"""

from collections.abc import Iterator, Sequence

from ci_ml.core import drifted, expectations, gates
from ci_ml.core.config import Config, GateConfig
from ci_ml.core.expectations import DataConfig
from ci_ml.core.gates import Gate
from ci_ml.core.report import ComparisonPart, Report
from ci_ml.core.types import MetricKey, Require, Severity, Slice


def weakened(report: Report, config: Config) -> list[str]:
    """What the configuration asks for and the report does not, or not as it is asked."""
    named = {str(gate.key): gate for gate in config.gates if not _is_open(gate)}
    open_ = [gate for gate in config.gates if _is_open(gate)]
    found: list[str] = []
    for item in report.comparisons:
        gate = named.get(item.metric) or next((one for one in open_ if _covers(one, item)), None)
        if gate is not None:
            found += _differing(item, gate)
    for name, about in config.data.items():
        found += _of_table(name, about, [item for item in report.comparisons if item.metric not in named])
    return [*found, *_absent(report.comparisons, config.gates, named)]


def _is_open(gate: GateConfig) -> bool:
    """Whether the gate covers whatever its glob matches; of repeats it is one number."""
    return not gate.asked and not gate.repeats and gates.is_glob(gate.metric)


def _covers(gate: GateConfig, item: ComparisonPart) -> bool:
    path, _, key = item.metric.partition(":")
    return not item.absolute and gates.matches(gate.pattern, MetricKey(path=path, key=key))


def _differing(item: ComparisonPart, gate: GateConfig) -> Iterator[str]:
    if item.where is not None and gate.slices is None:
        yield f"{item.name} is a slice, and ci-ml.yaml asks for none"
        return
    wanted = gates.on_slice(gate, item.where) if item.where else gates.of(gate, gate.key)
    yield from _unlike(item, wanted)


def _unlike(item: ComparisonPart, wanted: Gate) -> Iterator[str]:
    margin = str(wanted.margin) if wanted.margin.relative else wanted.margin.value
    for name, given, asked in (
        ("require", item.require.value, wanted.require.value),
        ("severity", item.severity.value, wanted.severity.value),
        ("direction", item.direction.value, wanted.direction.value),
        ("margin", item.margin, margin),
        ("floor", item.floor, wanted.floor),
        ("ceiling", item.ceiling, wanted.ceiling),
        ("min_n", item.min_n, wanted.min_n),
        ("absolute", item.absolute, wanted.absolute),
    ):
        if given != asked:
            yield f"{name} of {item.name} is {given}, and {asked} in ci-ml.yaml"


def _absent(
    items: Sequence[ComparisonPart], asked: Sequence[GateConfig], named: dict[str, GateConfig]
) -> Iterator[str]:
    """The gates without a comparison. A gate's slices may be missing only where its metric itself is."""
    for gate in asked:
        if _is_open(gate):
            mine = [item for item in items if item.metric not in named and _covers(gate, item)]
        else:
            mine = [item for item in items if item.metric == str(gate.key)]
        whole = [item for item in mine if item.where is None]
        if not whole:
            yield f"{gate.key} is not among its comparisons"
        there = {_columns(item.where) for item in mine if item.where}
        cuts = gate.slices.by if gate.slices and any(item.head is not None for item in whole) else ()
        for cut in cuts:
            if frozenset(cut) not in there:
                yield f"{gate.key} by {' × '.join(cut)} is not among its comparisons"


def _columns(where: Slice) -> frozenset[str]:
    return frozenset(name for name, _ in where.parts)


def _of_table(name: str, about: DataConfig, items: Sequence[ComparisonPart]) -> Iterator[str]:
    """What is expected of a table, as far as the configuration alone knows it: a schema may have rules that warn."""
    mine = [item for item in items if item.metric.startswith((f"{name}:", f"{name}."))]
    never = {f"{name}.{column} {drifted.DRIFT}" for column in about.drift.columns.never} if about.drift else set()
    told = {item.metric for item in mine if item.metric.endswith(f" {drifted.DRIFT}")} - never  # and block nothing
    for item in mine:
        if item.severity is not about.severity and not (about.schema_ and item.severity is Severity.WARN):
            yield f"severity of {item.name} is {item.severity.value}, and {about.severity.value} in ci-ml.yaml"
        if item.require is not Require.NO_REGRESSION and item.metric not in told:
            yield f"require of {item.name} is {item.require.value}, and nothing in ci-ml.yaml says so"
    for rule in expectations.expected(about).rules:
        wanted = gates.on_data(rule.key(name), rule.limit, about.severity)
        found = [item for item in mine if item.metric == str(wanted.metric)]
        if not found:
            yield f"{wanted.metric} is not among its comparisons"
        for item in found:
            if item.ceiling != wanted.ceiling:
                yield f"{item.name} may be broken by {item.ceiling}, and by {wanted.ceiling} in ci-ml.yaml"
    if about.drift is not None and f"{name}: {drifted.SHARE}" not in {item.metric for item in mine}:
        yield f"the drift of {name} is not among its comparisons"
