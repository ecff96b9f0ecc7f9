"""The vocabulary: what a side measured, how two sides differ, and how sure that is. Layer: core.

Three things stay apart: how much (`Contrast`), how sure (`Status`), who cares (`Require`, `Severity`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from ci_ml.stats.estimate import Difference


class Direction(StrEnum):
    """Which way a metric is better."""

    HIGHER = "higher"
    LOWER = "lower"


class Require(StrEnum):
    """What a gate asks of the change."""

    NO_REGRESSION = "no_regression"
    NON_INFERIOR = "non_inferior"
    IMPROVEMENT = "improvement"
    REPORT = "report"


class Severity(StrEnum):
    """Whether a gate that is not met stops the change."""

    BLOCK = "block"
    WARN = "warn"


class Status(StrEnum):
    """What one comparison came to; docs/gates.md says when each holds."""

    MISSING = "missing"
    NEW = "new"
    REGRESSED = "regressed"
    UNCHANGED = "unchanged"
    IMPROVED = "improved"
    HELD = "held"
    INCONCLUSIVE = "inconclusive"


class Outcome(StrEnum):
    """The verdict on a change, from best to worst."""

    PASS = "pass"
    WARN = "warn"
    UNDECIDED = "undecided"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """Position from best (0) to worst (3)."""
        return list(Outcome).index(self)


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The largest acceptable loss: in the metric's own units, or as a share of the base value."""

    value: float
    relative: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or self.value < 0:
            raise ValueError(f"a margin is a number of 0 or more, not {self.value}")

    def at(self, base: float) -> float:
        """The margin in the metric's units when the base measured `base`."""
        return abs(base) * self.value if self.relative else self.value

    def __str__(self) -> str:
        return f"{self.value * 100:.12g}%" if self.relative else f"{self.value:.12g}"


@dataclass(frozen=True, kw_only=True, order=True)
class MetricKey:
    """A number in a file: the file's path, and the dotted key in it (empty when the file is a bare number)."""

    path: str
    key: str

    def __str__(self) -> str:
        return f"{self.path}:{self.key}" if self.key else self.path


@dataclass(frozen=True, kw_only=True, order=True)
class TableKey:
    """A metric of a table of predictions: `test.roc_auc`, `test.f1_macro`, `test.recall[cat]`, `test.mean(seconds)`.

    `gap` names the columns whose groups are compared, for a gate on how far they lie apart.
    """

    table: str
    metric: str
    gap: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """What stands for a file's path: the table's name."""
        return self.table

    def __str__(self) -> str:
        name = f"{self.table}.{self.metric}"
        return f"{name} gap by {' × '.join(self.gap)}" if self.gap else name


@dataclass(frozen=True, kw_only=True, order=True)
class DataKey:
    """What is expected of a table: `train.age: at least 0`, `train: at least 1,000 rows`, `train.age drift`.

    `subject` is the column, and empty for what is about the whole table. Of drift there is one for each column.
    """

    table: str
    subject: str
    what: str

    @property
    def path(self) -> str:
        """What stands for a file's path: the table's name."""
        return self.table

    def __str__(self) -> str:
        place = f"{self.table}.{self.subject}" if self.subject else self.table
        return f"{place} drift" if self.what == "drift" else f"{place}: {self.what}"


Metric = MetricKey | TableKey | DataKey


@dataclass(frozen=True, kw_only=True, order=True)
class Slice:
    """Examples that share the value of one column, or of several; None stands for a value that is missing."""

    parts: tuple[tuple[str, str | None], ...]

    def __str__(self) -> str:
        return ", ".join(
            f"{column} is missing" if value is None else f"{column} = {value}" for column, value in self.parts
        )


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A finite number and where it came from. NaN and infinity cannot be constructed."""

    value: float
    source: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a measurement is a finite number, not {self.value}")


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Why there is no number.

    `absent` is True when the revision never had it (no such file or key), False when it has it and it cannot be used.
    `n` is how many examples there were, where the metric could not be measured on them.
    """

    reason: str
    absent: bool = False
    n: int | None = None


Reading = Measurement | Gap


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A state of the repository: a commit, or the work tree on top of one (`dirty` when they differ).

    `why` it is this one; `notices` are what a reader has to know about that.
    """

    sha: str | None
    ref: str | None = None
    dirty: bool = False
    why: str = ""
    notices: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """Seven digits of the commit, or what stands in for it."""
        return self.sha[:7] if self.sha else "no commit"

    def __str__(self) -> str:
        return f"{self.short} + work tree" if self.dirty else self.short


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """A file that differs from a commit; lines are None for what is no text."""

    path: str
    change: Literal["added", "removed", "changed"]
    added: int | None = None
    removed: int | None = None


@dataclass(frozen=True, kw_only=True, order=True)
class Run:
    """A run of the CI system, and the attempt at it; later runs have larger numbers."""

    number: int = 0
    attempt: int = 0

    def __str__(self) -> str:
        return f"{self.number}.{self.attempt}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a CI system says about the change that is judged; everything is None on a laptop.

    `head` is the commit that was proposed, which differs from HEAD when the CI system checked out a merge of it.
    `number` is that of the pull or merge request in `repository`; `source` is where the change comes from, as
    OWNER:BRANCH, where the number has to be looked up with it. `outsider` says whose changes get no secrets and a
    read-only token, if this is such a one. `checked_out` is the commit that the job was given, and `pipeline` the one
    of GitLab to which its statuses belong.
    """

    forge: str | None = None
    event: str | None = None
    head: str | None = None
    target: str | None = None
    base: str | None = None
    is_merge: bool = False
    ref: str | None = None
    repository: str | None = None
    number: int | None = None
    source: str | None = None
    outsider: str | None = None
    checked_out: str | None = None
    run: Run = field(default_factory=Run)
    pipeline: int | None = None
    run_url: str | None = None

    @property
    def is_scheduled(self) -> bool:
        """Whether the clock started this run, and no change: does the model still come out of what is committed?"""
        return self.event == "schedule"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One side of a comparison: what could be read of it by metric, and the files that could not be read at all.

    `others` are values under a glob that are no numbers here: a glob alone does not ask for them.
    """

    revision: Revision
    readings: Mapping[MetricKey, Reading] = field(default_factory=dict)
    unreadable: Mapping[str, Gap] = field(default_factory=dict)
    others: Mapping[MetricKey, Reading] = field(default_factory=dict)

    def reading(self, metric: MetricKey) -> Reading:
        """What this side measured of a metric, or why it did not."""
        found = self.readings.get(metric) or self.others.get(metric) or self.unreadable.get(metric.path)
        if found is not None:
            return found
        return Gap(
            reason=f"{metric.path} has no key {metric.key}" if metric.key else f"no file {metric.path}", absent=True
        )


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One metric on one slice, base against head; `delta` is head - base in the metric's own units.

    `interval` belongs to `delta` and is None for a point estimate, where nothing is known about noise; `head_interval`
    is that of the head's own value, for floors and ceilings. Both are at `confidence`. `n` and `n_clusters` count what
    was measured. `between` are the two groups of a gap. `identical`: every example counts alike on both sides.
    `found` is the difference as `stats` answered it, from which power and relative margins follow. `allowed` is how far
    the bad end of the interval may lie from 0, where it is not the margin: a share of the base is as noisy as that.
    """

    base: float | None
    head: float
    interval: tuple[float, float] | None = None
    head_interval: tuple[float, float] | None = None
    confidence: float | None = None
    p_value: float | None = None
    n: int | None = None
    n_clusters: int | None = None
    method: str = "point"
    identical: bool = False
    between: tuple[str, str] | None = None
    found: Difference | None = None
    allowed: float | None = None

    @classmethod
    def of(cls, found: Difference, head_interval: tuple[float, float] | None) -> "Contrast":
        """A difference as `stats` answered it, with the interval of the head's own value."""
        return cls(
            base=found.base,
            head=found.head,
            interval=(found.low, found.high),
            head_interval=head_interval,
            confidence=found.confidence,
            p_value=found.p_value,
            n=found.n,
            n_clusters=found.clusters,
            method=found.method,
            identical=found.identical,
            found=found,
        )

    @property
    def delta(self) -> float | None:
        """Head minus base, or None without a base."""
        return None if self.base is None else self.head - self.base
