"""Do the gates keep their promise on this repository's own tables? The A/A test. Layer: usecases.

Base and head are exchanged at random, example by example (cluster by cluster where there are any): then neither is
better, and every `regressed` is a false alarm. Which examples are exchanged follows from their ids and the number of
the draw, so a test can be repeated.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import ibis

from ci_ml.core import sentences
from ci_ml.core.compare import Comparison
from ci_ml.core.config import Config
from ci_ml.core.trials import Trial
from ci_ml.core.types import Status
from ci_ml.errors import UsageError
from ci_ml.metrics.paired import Paired
from ci_ml.metrics.pairing import Pairing
from ci_ml.ports import OpenTables
from ci_ml.stats import flips
from ci_ml.usecases import tables
from ci_ml.usecases.evidence import Side


@dataclass(kw_only=True)
class _Tally:
    draws: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    slices: int = 0
    any_slice: int = 0
    all_slices: int = 0


def selftest(
    config: Config,
    base: Side,
    head: Side,
    open_tables: OpenTables,
    draws: int,
    progress: Callable[[str, int], None],
) -> tuple[Trial, ...]:
    """Judge exchanged sides `draws` times; `progress` is told the table and how many draws are done.

    Raises UsageError when no gate is on predictions.
    """
    asked = [gate for gate in config.gates if gate.asked]
    if not asked:
        raise UsageError("no gate is on predictions, so there is nothing to test", "docs/gates.md shows such a gate")
    trials: list[Trial] = []
    for name in config.predictions:
        with tables.measuring(config, name, base, head, open_tables) as found:
            if isinstance(found, tables.Measuring) and found.base:
                trials += _table(found, draws, functools.partial(progress, name))
            elif isinstance(found, tables.Measuring):
                trials += [_untried(str(gate.key), "the base has no such table") for gate in found.gates]
            else:
                trials += [_untried(item.gate.name, item.reason) for item in found.comparisons]
    return tuple(trials)


def _untried(gate: str, problem: str) -> Trial:
    return Trial(gate=gate, draws=0, problem=problem)


def _table(measuring: tables.Measuring, draws: int, progress: Callable[[int], None]) -> list[Trial]:
    measuring.ids = True
    pairings = measuring.pairings()
    if isinstance(pairings, tables.Judged):
        return [_untried(item.gate.name, item.reason) for item in pairings.comparisons]
    real = measuring.judge(pairings)
    if all(_same(measuring, pairing.paired) for pairing in pairings):
        return [_untried(str(gate.key), "both sides predict the same: name another base") for gate in measuring.gates]
    tallies = {str(gate.key): _Tally() for gate in measuring.gates}
    for draw in range(draws):
        judged = measuring.judge([_exchanged(measuring, pairing, draw) for pairing in pairings])
        _count(tallies, judged.comparisons)
        progress(draw + 1)
    return [trial for item in real.comparisons if item.gate.slice is None for trial in _trials(item, tallies)]


def _same(measuring: tables.Measuring, paired: Paired) -> bool:
    (row,) = measuring.tables.engine.rows(paired.table.aggregate(changed=paired.table.changed.sum()))
    return not row["changed"]


def _exchanged(measuring: tables.Measuring, pairing: Pairing, draw: int) -> Pairing:
    """The same examples, with base and head exchanged on about half of them."""
    table = pairing.paired.table
    unit = table.cluster.cast("string") if pairing.paired.clustered else table.id
    swap = (unit + f"#{draw}").hash() % 2 == 0
    pairs = [name.removeprefix("base_") for name in table.columns if name.startswith("base_")]
    mixed: dict[str, ibis.Value] = {}
    for name in pairs:
        one, two = table[f"base_{name}"], table[f"head_{name}"]
        mixed |= {f"base_{name}": ibis.ifelse(swap, two, one), f"head_{name}": ibis.ifelse(swap, one, two)}
    held = measuring.tables.engine.hold(table.mutate(**mixed))
    return dataclasses.replace(pairing, paired=dataclasses.replace(pairing.paired, table=held))


def _count(tallies: dict[str, _Tally], comparisons: Sequence[Comparison]) -> None:
    for name, tally in tallies.items():
        mine = [item for item in comparisons if str(item.gate.metric) == name]
        slices = [item for item in mine if item.gate.slice is not None and not item.too_small]
        tally.draws += 1
        tally.statuses.update(item.status for item in mine if item.gate.slice is None)
        tally.slices = max(tally.slices, len(slices))
        tally.any_slice += any(item.status is Status.REGRESSED for item in slices)
        tally.all_slices += bool(slices) and all(item.status in _PASSED for item in slices)


_PASSED = (Status.HELD, Status.UNCHANGED, Status.IMPROVED)


def _trials(item: Comparison, tallies: dict[str, _Tally]) -> list[Trial]:
    """The gate's own line, and one for its slices together."""
    name = str(item.gate.metric)
    tally = tallies[name]
    if item.contrast is None or item.contrast.base is None:
        return [_untried(name, item.reason)]
    if item.contrast.method == flips.METHOD:
        return [_untried(name, "exchanging the sides leaves as many flips: there is no false alarm to count")]
    margin = sentences.allowance(item.gate, item.contrast.base)
    whole = Trial(
        gate=name,
        draws=tally.draws,
        regressed=tally.statuses[Status.REGRESSED],
        held=sum(tally.statuses[status] for status in _PASSED),
        margin=margin,
        n=item.n,
    )
    if not tally.slices:
        return [whole]
    together = dataclasses.replace(
        whole,
        gate=f"{name}, any of its slices",
        regressed=tally.any_slice,
        held=tally.all_slices,
        slices=tally.slices,
        margin="",
    )
    return [whole, together]
