"""What a report shows of drift: both distributions of every column, and all that was computed of them. Layer: core.

The names are those of `ci-ml/drift/v1`. Nothing here decides anything: the comparisons do.
"""

from typing import Annotated

from pydantic import Field, model_validator

from ci_ml.core.part import Many, Part, Share
from ci_ml.core.types import Outcome

_STATISTIC = {"wasserstein": "wasserstein_normed", "new_categories": "new_categories_share"}
_Count = Annotated[int, Field(ge=0)]


class TestPart(Part):
    """One question about a column, or about the whole table: `effect` is compared with `limit`.

    `corrected` is `p_value` after Benjamini and Hochberg's correction over all tests of the table.
    """

    what: str
    method: str
    effect: float
    limit: float
    test: str
    p_value: Share
    corrected: Share
    n_reference: _Count
    n_current: _Count
    drifted: bool
    rate: bool = False

    @property
    def statistic(self) -> str:
        """What its effect is called among the statistics of the column."""
        return _STATISTIC.get(self.what, self.what)


class BarsPart(Part):
    """The same bars for both sides: of `categories`, or between `edges`, one more than there are bars.

    Of numbers, `beyond_…` counts the rows that lie outside of the edges. Times are seconds since 1970.
    """

    categories: tuple[str, ...] | None = None
    edges: tuple[float, ...] | None = None
    reference: tuple[_Count, ...]
    current: tuple[_Count, ...]
    beyond_reference: _Count = 0
    beyond_current: _Count = 0

    @model_validator(mode="after")
    def _lengths(self) -> "BarsPart":
        bars = len(self.categories) if self.categories is not None else len(self.edges or ()) - 1
        if not bars == len(self.reference) == len(self.current):
            raise ValueError("the bars of both sides do not belong together")
        return self


class DriftColumnPart(Part):
    """What became of one column. `metric` is its comparison, `drifted` null where `gap` kept it from being judged.

    `statistics` are numbers by name, all that could be computed; `decided_by` is the test that went furthest.
    """

    column: str
    metric: str
    kind: Annotated[str, Field(max_length=40)]
    drifted: bool | None
    never: bool = False
    reason: str
    gap: str | None = None
    decided_by: str | None = None
    tests: tuple[TestPart, ...] = ()
    statistics: dict[str, float] = Field(default={})
    new_categories: tuple[str, ...] = ()
    vanished_categories: tuple[str, ...] = ()
    histogram: BarsPart | None = None


class DriftPart(Part):
    """One table against another: its columns, those that drifted furthest first, of which `left_out` have no room.

    `drifted_share` is null where no column could be compared; `unknown` counts the columns that could not.
    """

    table: str
    reference: str
    current: str
    rows_reference: _Count
    rows_current: _Count
    outcome: Outcome
    sentence: str
    columns: Many[DriftColumnPart] = ()
    left_out: _Count = 0
    judged: _Count = 0
    drifted: _Count = 0
    unknown: _Count = 0
    drifted_share: Share | None = None
    share_limit: Share
    alpha: Share
    together: TestPart | None = None
    added: tuple[str, ...] = ()
