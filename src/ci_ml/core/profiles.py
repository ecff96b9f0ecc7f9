"""What a table's columns hold, in numbers that are few however many rows there are: `ci-ml/profile/v1`. Layer: core.

A profile of a reference says where another table is counted, so drift is a function of two profiles, and the rows of
the one need not be where those of the other are.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from ci_ml.core.kinds import Kind
from ci_ml.core.models import Model
from ci_ml.core.types import Gap
from ci_ml.errors import UsageError
from ci_ml.stats.distances import Counted
from ci_ml.stats.grids import Grid, Spacing

SCHEMA = "ci-ml/profile/v1"
# A column with more different values names things, and does not sort them into kinds.
MOST_CATEGORIES = 10_000
LONGEST_CATEGORY = 256
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnProfile:
    """One column: how many of its rows hold what, and the distribution of its values or why there is none.

    `missing` has no value at all, `nan` and `infinite` have a float that is no number, `unreadable` a text where a
    number should be. `type` is the engine's, for people. `categories` are counts by value, most frequent first.
    """

    name: str
    kind: Kind
    type: str
    rows: int
    missing: int = 0
    nan: int = 0
    infinite: int = 0
    unreadable: int = 0
    values: Counted | Mapping[str, int] | Gap = field(default_factory=lambda: Gap(reason="it was not counted"))

    @property
    def numbers(self) -> Counted | None:
        """The distribution of a column of numbers."""
        return self.values if isinstance(self.values, Counted) else None

    @property
    def categories(self) -> Mapping[str, int] | None:
        """Counts by value of a column of categories."""
        return None if isinstance(self.values, Counted | Gap) else self.values

    @property
    def filled(self) -> int:
        """How many rows hold a value that is compared."""
        return self.rows - self.missing - self.nan - self.infinite - self.unreadable


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """A table: its name, how many rows it has, and its columns by name."""

    name: str
    rows: int
    columns: Mapping[str, ColumnProfile]


# --- JSON ---

_Count = Annotated[int, Field(ge=0, le=2**53)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class _GridPart(Model):
    cuts: tuple[_Number, ...]
    closed: tuple[bool, ...]
    cells: tuple[Annotated[int, Field(ge=1, le=100_000)], ...]
    spacing: tuple[Spacing, ...]
    center: _Number

    @model_validator(mode="after")
    def _whole(self) -> "_GridPart":
        self.grid()
        return self

    def grid(self) -> Grid:
        return Grid(cuts=self.cuts, closed=self.closed, cells=self.cells, spacing=self.spacing, center=self.center)


class _NumbersPart(Model):
    grid: _GridPart
    counts: tuple[_Count, ...]
    sums: tuple[float, ...]
    squares: float
    low: _Number
    high: _Number

    @model_validator(mode="after")
    def _fits(self) -> "_NumbersPart":
        size = self.grid.grid().size
        if len(self.counts) != size or len(self.sums) != size:
            raise ValueError(f"the grid has {size} cells, and as many counts and sums are needed")
        if self.low > self.high or not sum(self.counts):
            raise ValueError("there are numbers, from the smallest to the largest")
        return self

    def counted(self) -> Counted:
        return Counted(
            grid=self.grid.grid(),
            counts=np.array(self.counts, dtype=np.int64),
            sums=np.array(self.sums, dtype=float),
            squares=self.squares,
            low=self.low,
            high=self.high,
        )


class _ColumnPart(Model):
    column: str
    kind: Kind
    type: str
    rows: _Count
    missing: _Count = 0
    nan: _Count = 0
    infinite: _Count = 0
    unreadable: _Count = 0
    numbers: _NumbersPart | None = None
    categories: dict[str, _Count] | None = Field(default=None, max_length=MOST_CATEGORIES)
    gap: str | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> "_ColumnPart":
        found = [part for part in (self.numbers, self.categories, self.gap) if part is not None]
        if len(found) != 1:
            raise ValueError(f"{self.column} has numbers, categories, or a reason why not")
        profile = self.profile()
        held = profile.numbers.n if profile.numbers else sum((profile.categories or {}).values())
        if self.gap is None and held != profile.filled:
            raise ValueError(f"the counts of {self.column} do not add up to its rows")
        return self

    def profile(self) -> ColumnProfile:
        values = (
            self.numbers.counted()
            if self.numbers is not None
            else self.categories
            if self.categories is not None
            else Gap(reason=self.gap or "")
        )
        return ColumnProfile(
            name=self.column,
            kind=self.kind,
            type=self.type,
            rows=self.rows,
            missing=self.missing,
            nan=self.nan,
            infinite=self.infinite,
            unreadable=self.unreadable,
            values=values,
        )


class _ProfilePart(Model):
    schema_: Literal["ci-ml/profile/v1"] = Field(alias="schema")
    table: str
    rows: _Count
    columns: tuple[_ColumnPart, ...]

    @model_validator(mode="after")
    def _fits(self) -> "_ProfilePart":
        names = [part.column for part in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column is there twice")
        if any(part.rows != self.rows for part in self.columns):
            raise ValueError("every column has as many rows as the table")
        return self


def dump(profile: Profile) -> str:
    """A profile as JSON: numbers without loss, no NaN; at most 4,100 cells or 10,000 categories for a column."""
    return json.dumps(document(profile), ensure_ascii=False, allow_nan=False) + "\n"


def document(profile: Profile) -> dict[str, Any]:
    """What that JSON says."""
    return {
        "schema": SCHEMA,
        "table": profile.name,
        "rows": profile.rows,
        "columns": [_column(column) for column in profile.columns.values()],
    }


def _column(column: ColumnProfile) -> dict[str, Any]:
    found: dict[str, Any] = {
        "column": column.name,
        "kind": column.kind.value,
        "type": column.type,
        "rows": column.rows,
        "missing": column.missing,
        "nan": column.nan,
        "infinite": column.infinite,
        "unreadable": column.unreadable,
    }
    if column.numbers is not None:
        return found | {"numbers": _numbers(column.numbers)}
    if column.categories is not None:
        return found | {"categories": dict(column.categories)}
    assert isinstance(column.values, Gap)
    return found | {"gap": column.values.reason}


def _numbers(counted: Counted) -> dict[str, Any]:
    grid = counted.grid
    return {
        "grid": {
            "cuts": grid.cuts,
            "closed": grid.closed,
            "cells": grid.cells,
            "spacing": grid.spacing,
            "center": grid.center,
        },
        "counts": counted.counts.tolist(),
        "sums": [value if math.isfinite(value) else 0.0 for value in counted.sums.tolist()],
        "squares": counted.squares if math.isfinite(counted.squares) else 0.0,
        "low": counted.low,
        "high": counted.high,
    }


def load(data: bytes, path: str) -> Profile:
    """A profile from its file. Raises UsageError, with the first problem, for anything else."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} is larger than {MAX_BYTES // 2**20} MiB, and no profile")
    return _read(lambda: _ProfilePart.model_validate_json(data, strict=True), path)


def read(document: Any, path: str) -> Profile:
    """A profile from what its JSON says. Raises UsageError, with the first problem, for anything else."""
    return load(json.dumps(document).encode(), path)


def _read(parse: Callable[[], _ProfilePart], path: str) -> Profile:
    try:
        part = parse()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path} is no profile of ci-ml: {where + ': ' if where else ''}{first['msg']}") from None
    return Profile(
        name=part.table, rows=part.rows, columns={column.column: column.profile() for column in part.columns}
    )
