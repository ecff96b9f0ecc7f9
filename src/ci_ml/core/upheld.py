"""Whether the comparisons of a report are those that ci-ml.yaml asks for, so that nobody has asked for less in it.

Layer: core. Pure. A report says of every comparison what was asked; only the configuration knows whether that is so.
"""

from collections.abc import Iterator, Mapping, Sequence

from ci_ml.core import gates, upheld_tables
from ci_ml.core.config import Config, GateConfig
from ci_ml.core.gates import Gate
from ci_ml.core.report import ComparisonPart, Report, unwaived
from ci_ml.core.testsets import TestSetConfig
from ci_ml.core.types import MetricKey, Outcome, Slice


def weakened(report: Report, config: Config) -> list[str]:
    """What the configuration asks for and the report does not, or not as it is asked."""
    named = {str(gate.key): gate for gate in config.gates if not _is_open(gate)}
    open_ = [gate for gate in config.gates if _is_open(gate)]
    found: list[str] = []
    others: list[ComparisonPart] = []
    tables = tuple(f"{name}{end}" for name in config.data for end in ":.")
    for item in report.comparisons:
        mine = () if item.absolute and item.metric.startswith(tables) else open_
        gate = named.get(item.metric) or next((one for one in mine if _covers(one, item)), None)
        if gate is not None:
            found += _differing(item, gate)
            found += _unsure(item, config.confidence)
        else:
            others.append(item)
    found += upheld_tables.weakened(report, config, others)
    found += _absent(report.comparisons, config.gates, named)
    found += _of_test_sets(report, config.testsets)
    if report.policy.comparisons is None:
        found.append("it does not say how many comparisons its gates came to")
    return found


def _is_open(gate: GateConfig) -> bool:
    """Whether the gate covers whatever its glob matches; of repeats it is one number."""
    return not gate.asked and not gate.repeats and gates.is_glob(gate.metric)


def _covers(gate: GateConfig, item: ComparisonPart) -> bool:
    path, _, key = item.metric.partition(":")
    return gates.matches(gate.pattern, MetricKey(path=path, key=key))


def _differing(item: ComparisonPart, gate: GateConfig) -> Iterator[str]:
    cuts = {frozenset(cut) for cut in gate.slices.by} if gate.slices else set()
    if item.where is not None and _columns(item.where) not in cuts:
        yield f"{item.name} is a slice, and ci-ml.yaml asks for none such"
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


def _unsure(item: ComparisonPart, confidence: float) -> Iterator[str]:
    """Whether an interval, by which it was judged, is another than the configuration asks for."""
    has_interval = item.interval is not None or item.head_interval is not None
    if item.confidence not in (None, confidence) or (has_interval and item.confidence is None):
        yield f"confidence of {item.name} is {item.confidence}, and {confidence} in ci-ml.yaml"


def _of_test_sets(report: Report, asked: Mapping[str, TestSetConfig]) -> Iterator[str]:
    """A test set that is worn out, unknown or not there forbids a silent pass, or any."""
    outcome, there = unwaived(report).verdict.outcome, {part.name: part for part in report.testsets}
    for name, about in asked.items():
        part = there.get(name)
        least = Outcome.WARN if part is None or part.look is None else Outcome.PASS
        if part is not None and part.of != about.looks:
            yield f"the test set {name} bears {part.of} looks, and {about.looks} in ci-ml.yaml"
        if part is not None and part.look is not None and part.look > about.looks:
            least = Outcome.UNDECIDED if about.past == "undecided" else Outcome.WARN
        if outcome.rank < least.rank:
            said = part.words if part else "no look at it"
            yield f"the verdict is {outcome.value}, and {least.value} with the test set {name}: {said}"


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
