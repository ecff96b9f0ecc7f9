"""Whether one table has drifted away from another: `drift:` in ci-ml.yaml, and the decision. Layer: core. Pure.

A column has drifted when it moved further than its limit *and* that is no accident: at a million rows a shift of half a
percent of a standard deviation is significant and harmless, at fifty rows a large one is an accident. All tests of all
columns are one family for Benjamini and Hochberg's correction.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from ci_ml.core.kinds import Kind
from ci_ml.core.listing import some
from ci_ml.core.models import Model
from ci_ml.core.types import Gap, Outcome

# Fewer values on a side, and no test says much: a column with so few is not judged.
LEAST = 20
BARS = 30
BASE = "base"  # the reference that is the same table in the base
_PERCENT = "%"

# --- Configuration ---


def _share(value: Any) -> float:
    text = value.strip() if isinstance(value, str) else ""
    if text.endswith(_PERCENT):
        try:
            value = float(text.removesuffix(_PERCENT)) / 100
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("must be a share: a number between 0 and 1, or a percentage such as 5%")
    return float(value)


def _limit(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"must be a number of 0 or more, not {value!r}")
    return float(value)


_SHARE_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^\s*[0-9.]+\s*%\s*$"},
    ]
}
Share = Annotated[float, BeforeValidator(_share), WithJsonSchema(_SHARE_SCHEMA)]
Limit = Annotated[float, BeforeValidator(_limit), WithJsonSchema({"type": "number", "minimum": 0})]


class LimitsConfig(Model):
    """How far a column may move. What is `null` is shown and does not decide."""

    wasserstein: Limit | None = Field(
        default=0.1, description="Numbers: Wasserstein's distance, in standard deviations of the reference."
    )
    jensen_shannon: Limit | None = Field(
        default=0.1, description="Categories: Jensen and Shannon's distance (base 2), from 0 to 1."
    )
    psi: Limit | None = Field(default=None, description="Numbers and categories: the population stability index.")
    ks: Share | None = Field(
        default=None, description="Numbers: the largest difference of the distribution functions, from 0 to 1."
    )
    missing: Share | None = Field(
        default=0.05,
        description="The change of the share of rows without a value; likewise of NaN, of infinity, of text that is "
        "no number.",
    )
    new_categories: Share | None = Field(
        default=0.01, description="The share of rows whose category the reference does not have."
    )
    classifier: Share | None = Field(
        default=0.55, description="The ROC-AUC with which a classifier tells the two tables apart; 0.5 is chance."
    )

    @model_validator(mode="after")
    def _decides(self) -> "LimitsConfig":
        if self.wasserstein is None and self.psi is None and self.ks is None:
            raise ValueError("columns of numbers need a limit: wasserstein, psi or ks")
        if self.jensen_shannon is None and self.psi is None:
            raise ValueError("columns of categories need a limit: jensen_shannon or psi")
        return self


class ColumnsConfig(Model):
    """Which columns are compared."""

    only: tuple[str, ...] | None = Field(default=None, min_length=1, description="Compare these columns and no others.")
    except_: tuple[str, ...] = Field(default=(), alias="except", description="Do not compare these columns.")
    never: tuple[str, ...] = Field(default=(), description="These columns must not drift: each of them blocks alone.")

    @model_validator(mode="after")
    def _fits(self) -> "ColumnsConfig":
        if self.only is not None and self.except_:
            raise ValueError("`only` and `except` exclude each other")
        if lost := [name for name in self.never if not self.chosen(name)]:
            raise ValueError(f"{some(lost, 3)} must never drift, so it has to be compared")
        return self

    def chosen(self, name: str) -> bool:
        """Whether a column is compared."""
        return name in self.only if self.only is not None else name not in self.except_


class DriftConfig(Model):
    """Whether a table has drifted: columns that moved further than a limit, and not by chance."""

    reference: Annotated[str, Field(min_length=1)] = Field(
        default=BASE, description="What the table is compared with: `base`, or another table under `data`."
    )
    columns: ColumnsConfig = Field(
        default=ColumnsConfig(), description="Which columns are compared, and which of them must not drift."
    )
    share: Share = Field(default=0.3, description="The largest acceptable share of columns that drifted.")
    limits: LimitsConfig = Field(default=LimitsConfig(), description="How far a column may move, by what measures it.")
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=0.05,
        description="What a p-value must not exceed, after Benjamini and Hochberg's correction over all columns.",
    )
    multivariate: bool = Field(
        default=True,
        description="Also ask whether a classifier can tell the tables apart by the columns that did not drift, on a "
        "sample of 10,000 rows of each.",
    )


# --- Results ---

# What measures how far a column, or the whole table, moved, by the key of its limit; a test's name follows in reports.
METHODS = {
    "wasserstein": "normed Wasserstein",
    "psi": "PSI",
    "ks": "Kolmogorov-Smirnov distance",
    "jensen_shannon": "Jensen-Shannon distance",
    "missing": "change of the share of rows",
    "new_categories": "share of rows in new categories",
    "classifier": "ROC-AUC of a classifier",
}
# Where the reference holds one value alone, which has no spread to measure with, and no limit is given for this.
OF_ONE_VALUE = 0.1


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One question about a column, or about the whole table: how far it moved, and whether that may be chance.

    `effect` is compared with `limit`; `p_value` is that of `test`, `corrected` after the correction over all tests.
    `n` are the rows of the reference and of the current table that took part. `words` say it for people.
    """

    what: str
    method: str
    effect: float
    limit: float
    test: str
    p_value: float
    n: tuple[int, int]
    words: str
    corrected: float = 1.0
    alpha: float = 0.05

    @property
    def rate(self) -> bool:
        """Whether the effect is a share of rows."""
        return self.what in {"missing", "nan", "infinite", "unreadable", "new_categories"}

    @property
    def excess(self) -> float:
        """The effect as a multiple of the limit."""
        return self.effect / self.limit if self.limit else (math.inf if self.effect else 0.0)

    @property
    def significant(self) -> bool:
        """Whether chance is excluded."""
        return self.corrected <= self.alpha

    @property
    def drifted(self) -> bool:
        """Whether it moved too far, and not by chance."""
        return self.effect > self.limit and self.significant


@dataclass(frozen=True, kw_only=True)
class Bars:
    """The same bars for both sides: `labels` of categories, or `edges` of numbers, one more than there are bars.

    Of numbers, `beyond` counts what lies outside of the edges, by side.
    """

    reference: tuple[int, ...]
    current: tuple[int, ...]
    labels: tuple[str, ...] | None = None
    edges: tuple[float, ...] | None = None
    beyond: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """What became of one column.

    `statistics` are numbers by name, all that could be computed; `gap` is why it could not be judged, if so. `decided`
    is the test that a reader should see. `never` says that the column must not drift.
    """

    column: str
    kind: Kind
    tests: tuple[Finding, ...]
    statistics: Mapping[str, float]
    gap: Gap | None
    sentence: str
    bars: Bars | None = None
    never: bool = False
    new: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()

    @property
    def drifted(self) -> bool | None:
        """None where that cannot be said: never False for what was not compared."""
        if any(test.drifted for test in self.tests):
            return True
        return None if self.gap is not None else False

    @property
    def decided(self) -> Finding | None:
        """The test that decided: of those that drifted the one that went furthest, else the closest to it."""
        return max(self.tests, key=lambda test: (test.drifted, test.excess), default=None)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One table against another."""

    reference: str
    current: str
    rows: tuple[int, int]
    columns: tuple[ColumnDrift, ...]
    share_limit: float
    alpha: float
    together: Finding | Gap | None
    added: tuple[str, ...]
    notices: tuple[str, ...] = ()

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns that did."""
        return tuple(column for column in self.columns if column.drifted)

    @property
    def unknown(self) -> tuple[ColumnDrift, ...]:
        """The columns of which it cannot be said."""
        return tuple(column for column in self.columns if column.drifted is None)

    @property
    def share(self) -> float | None:
        """The share of the columns that were judged; None when none was."""
        judged = len(self.columns) - len(self.unknown)
        return len(self.drifted) / judged if judged else None

    @property
    def outcome(self) -> Outcome:
        """FAIL for too many drifted columns, one that must never drift, or a table that is told apart as a whole."""
        too_many = self.share is not None and self.share > self.share_limit
        together = isinstance(self.together, Finding) and self.together.drifted
        if too_many or together or any(column.never for column in self.drifted):
            return Outcome.FAIL
        if self.unknown or not self.columns or isinstance(self.together, Gap):
            return Outcome.UNDECIDED
        return Outcome.PASS
