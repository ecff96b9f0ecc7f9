"""Every metric on every kind of table: values are scikit-learn's, intervals are those of `stats` on the examples."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields

import pytest

from ci_ml.adapters.tables.duckdb import DuckDB
from ci_ml.core.catalogue import Task
from ci_ml.core.types import Slice
from ci_ml.metrics.paired import Cut
from ci_ml.metrics.statistic import Statistic
from ci_ml.stats import draws
from ci_ml.stats.estimate import Difference, Estimate, NoVariance, TooFew, Undefined
from tests.metrics import tables
from tests.metrics.expected import Answer, value
from tests.metrics.tables import CUTS, Table

# Where clusters take another way through the code than single examples do.
CLUSTERED = {"plain", "identical", "one side apart", "ties", "all scores equal", "all lost", "one class in a slice"}
CLUSTERED |= {"shifted", "apart"}


def cases() -> Iterator[object]:
    for task in Task:
        for name, table in tables.adversarial(task).items():
            cuts = CUTS if name == "plain" else CUTS[:2]
            # The slowest are several classes, whose oddities are those of two.
            slow = [pytest.mark.thorough]
            marks = slow if task is Task.MULTICLASS and name != "plain" else []
            yield pytest.param(table, cuts, id=f"{task}-{name}", marks=marks)
            if name in CLUSTERED:
                marks = slow if task is Task.MULTICLASS else []
                yield pytest.param(tables.clustered(table), cuts, id=f"{task}-{name}-clustered", marks=marks)


def answer(ask, *arguments) -> Difference | Estimate | type[ValueError]:
    """What is answered, or which error."""
    try:
        return ask(*arguments)
    except ValueError as error:
        return type(error)


# What rounding leaves of a variance of 0, when it is computed from numbers like 1: its root.
ROUNDING = 1e-8


def close(found: object, wanted: object) -> bool:
    """Equal to 1e-9, number by number; of two reasons why there is no answer either will do."""
    certain = isinstance(wanted, Estimate) and (wanted.standard_error or 1) < ROUNDING
    if isinstance(found, Difference | Estimate) and type(found) is type(wanted):
        pairs = [(getattr(found, field.name), getattr(wanted, field.name)) for field in fields(found)]
        return all(_close(mine, theirs, ROUNDING if certain else 1e-9) for mine, theirs in pairs)
    return found == wanted or {found, wanted} == {TooFew, Undefined} or (certain and found is NoVariance)


def _close(mine: object, theirs: object, tolerance: float) -> bool:
    if isinstance(mine, float) and isinstance(theirs, float):
        return math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=tolerance if theirs > tolerance else ROUNDING)
    return mine == theirs


def compare(metric: str, where: Slice | None, table: Table, found: Statistic, confidence: float) -> list[str]:
    """What is not as it should be, in words."""
    asked = [("difference", (confidence,)), ("value", (confidence, False)), ("value", (confidence, True))]
    problems = []
    for name, arguments in asked:
        mine = answer(getattr(found, name), *arguments)
        theirs = answer(lambda name=name, arguments=arguments: getattr(Answer(table, metric), name)(*arguments))
        if not close(mine, theirs):
            problems.append(f"{metric} on {where}: {name}{arguments[1:]}\n  {mine}\n  {theirs}")
    mine = answer(found.difference, confidence)
    if isinstance(mine, Difference):
        for side in ("base", "head"):
            point, peers = getattr(mine, side), value(table, metric, side)
            if not math.isclose(point, peers, rel_tol=1e-9, abs_tol=1e-9):
                problems.append(f"{metric} on {where}: {side} is {point}, {peers}")
    return problems


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:divide by zero")  # of what every example is a positive for
@pytest.mark.parametrize(("table", "cuts"), list(cases()))
def test_every_metric_is_what_its_peers_say(
    engine: DuckDB, table: Table, cuts: Sequence[Cut], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draws, "DRAWS", 199)  # the same ones for both, and those take most of the time
    confidence = 0.9
    names = tables.metrics(table) if cuts == CUTS else tables.some(table)
    found = tables.measure(engine, table, names, cuts, confidence)
    slices = {where: part for cut in cuts for where, part in table.cut(cut).items()}
    assert set(found) == {(name, where) for name in names for where in slices}
    problems = [
        problem
        for (name, where), statistic in found.items()
        for problem in compare(name, where, slices[where], statistic, confidence)
    ]
    assert not problems, "\n".join(problems)
