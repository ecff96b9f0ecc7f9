"""Which of many experiments is the best. Layer: core. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ci_ml.core.config import Config
from ci_ml.core.gates import matches
from ci_ml.core.listing import some
from ci_ml.core.retraining import SearchConfig
from ci_ml.core.types import Direction, Gap, Measurement, MetricKey, Reading, Require
from ci_ml.errors import DependencyError, UsageError

# For each file what to set in it, in the words of `dvc exp run --set-param`.
Overrides = Mapping[str, tuple[str, ...]]
_DEFAULT = "params.yaml"
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One experiment: its number, from 1 on, and the parameters that are set for it."""

    number: int
    overrides: Overrides

    @property
    def words(self) -> str:
        """`train.rate=0.1, train.steps=3`, with the file where it is not params.yaml."""
        named = (
            f"{'' if path == _DEFAULT else f'{path}:'}{text}"
            for path, texts in self.overrides.items()
            for text in texts
        )
        return some(named, 20)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What an experiment came to, or why it came to nothing; `files` are the parameter files as it had them."""

    trial: Trial
    reading: Reading
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best experiment, its number, and what to know of the search."""

    best: Tried
    value: float
    notes: tuple[str, ...]


def refuse_test_set(chosen: Config, search: SearchConfig) -> None:
    """Raises UsageError when the search would choose by what the challenger is judged by."""
    path, _, key = search.metric.partition(":")
    metric = MetricKey(path=path, key=key)
    for gate in chosen.gates:
        if gate.asked is None and gate.require is not Require.REPORT and matches(gate.pattern, metric):
            raise UsageError(
                f"retrain.search.metric: the gate {gate.metric} judges {metric}: a search that chooses by the test set "
                "has looked at it, and the judgement is worth nothing",
                "name a number of a validation set, which no gate judges",
            )


def conclusion(asked: SearchConfig, count: int, tried: Sequence[Tried]) -> Found:
    """The best of what was tried; of equals the first, and never one without a number.

    Raises DependencyError when none has one.
    """
    measured = [(one, one.reading.value) for one in tried if isinstance(one.reading, Measurement)]
    lost = [one for one in tried if isinstance(one.reading, Gap)]
    if not measured:
        said = some((f"{one.trial.words}: {_why(one)}" for one in lost), _SHOWN, between="; ")
        raise DependencyError(
            f"retrain.search: none of {_experiments(len(tried))} has {asked.metric}: {said}",
            "try one by hand: `dvc exp run --temp --set-param …`",
        )
    sign = 1 if asked.direction is Direction.HIGHER else -1
    best, value = max(measured, key=lambda pair: sign * pair[1])
    most = "highest" if sign > 0 else "lowest"
    notes = [f"search: of {_experiments(len(tried))}, {asked.metric} is {most} ({value:g}) with {best.trial.words}"]
    if count > len(tried):
        notes.append(
            f"search: {len(tried)} of {count} combinations were tried, chosen by chance but the same every time "
            "(retrain.search.trials)"
        )
    if lost:
        said = some((f"{one.trial.words} ({_why(one)})" for one in lost), _SHOWN, between="; ")
        notes.append(f"search: {_experiments(len(lost))} came to nothing: {said}")
    return Found(best=best, value=value, notes=tuple(notes))


def trials(combinations: Iterable[Overrides]) -> tuple[Trial, ...]:
    """Experiments, numbered."""
    return tuple(Trial(number=number, overrides=one) for number, one in enumerate(combinations, start=1))


def _why(one: Tried) -> str:
    return one.reading.reason if isinstance(one.reading, Gap) else ""


def _experiments(count: int) -> str:
    return f"{count} experiment{'' if count == 1 else 's'}"
