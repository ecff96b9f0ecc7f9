"""What is expected of a table as such, and not of its rows one by one: each as a gate. Layer: core. Pure.

They follow from the keys of the table alone, so whoever holds a report against ci-ml.yaml knows them without the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ci_ml.core import gates
from ci_ml.core.expectations import NONE, DataConfig, Limit, RowsConfig
from ci_ml.core.gates import Gate
from ci_ml.core.types import DataKey


class Topic(StrEnum):
    """What a demand is about."""

    CLOSED = "closed"
    LEAST = "least"
    MOST = "most"
    CHANGE = "change"
    SHARED = "shared"
    SHARED_ROWS = "shared rows"
    BALANCE = "balance"
    CONSTANT = "constant"
    EMPTY = "empty"
    COPIES = "copies"
    SAME_COLUMNS = "same columns"
    COVERED = "covered"


# Of these a table that the base never had says nothing: there is nothing to measure it against.
OF_THE_BASE = frozenset({Topic.CHANGE, Topic.BALANCE})
_INTEGRITY = {Topic.CONSTANT: "constant", Topic.EMPTY: "empty", Topic.COPIES: "copied"}


@dataclass(frozen=True, kw_only=True)
class Demand:
    """One thing that is expected of a table as such."""

    topic: Topic
    gate: Gate


def of_table(name: str, about: DataConfig, *, closed: bool) -> Iterator[Demand]:
    """Everything that is expected of a table called `name`; `closed`: there are no columns but those that are named."""
    if closed:
        yield _demand(name, about, Topic.CLOSED, "no other columns", unit="columns")
    yield from _of_size(name, about)
    if other := about.disjoint_from:
        if other.by:
            yield _demand(name, about, Topic.SHARED, f"no {', '.join(other.by)} of {other.table}", other.shared)
        if other.rows:
            yield _demand(name, about, Topic.SHARED_ROWS, f"no row of {other.table}", other.shared)
    if about.balance is not None:
        what, limit = f"balance of {about.label} as in the base", Limit(value=about.balance)
        yield _demand(name, about, Topic.BALANCE, what, limit, gates.DISTANCE)
    for topic, words in _INTEGRITY.items() if about.integrity else ():
        yield _demand(name, about, topic, f"no new {words} columns", unit="columns")
    if same := about.same_columns_as:
        yield _demand(name, about, Topic.SAME_COLUMNS, f"same columns as {same.table}", unit="columns")
        yield _demand(name, about, Topic.COVERED, f"ranges and categories cover {same.table}", same.beyond)


def _of_size(name: str, about: DataConfig) -> Iterator[Demand]:
    rows = about.rows or RowsConfig()
    if rows.min is not None:
        yield _demand(name, about, Topic.LEAST, f"at least {_rows(rows.min)}")
    if rows.max is not None:
        yield _demand(name, about, Topic.MOST, f"at most {_rows(rows.max)}")
    if rows.change is not None:
        yield _demand(name, about, Topic.CHANGE, f"number of rows within {rows.change} of the base", rows.change)


def _demand(name: str, about: DataConfig, topic: Topic, what: str, limit: Limit = NONE, unit: str = "rows") -> Demand:
    key = DataKey(table=name, subject="", what=what)
    return Demand(topic=topic, gate=gates.on_data(key, limit, about.severity, unit))


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
