"""The report: report.json, version 1. Layer: core.

This is its own type, apart from the values it is built from, because other people's scripts read it. A template or a
JSON reader sees nothing else, and everything is rendered from it alone, later and elsewhere.
"""

import json
import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ci_ml import __version__
from ci_ml.core import changes, verdict
from ci_ml.core import compare as judging
from ci_ml.core.compare import Comparison
from ci_ml.core.config import NAME, NAME_LENGTH
from ci_ml.core.distributions import DriftPart
from ci_ml.core.exhibits import (
    BeforePart,
    CodePart,
    ConfusionPart,
    CurvePart,
    EnvironmentPart,
    Exhibits,
    HistoryPart,
    LocationPart,
    PackagePart,
    PlotPart,
    RatePart,
)
from ci_ml.core.gates import MOVED, PERCENT, Gate
from ci_ml.core.part import Many, Part, Share
from ci_ml.core.sentences import allowance, settles
from ci_ml.core.testsets import TestSetPart
from ci_ml.core.types import (
    Change,
    Contrast,
    Direction,
    Margin,
    Measurement,
    MetricKey,
    Outcome,
    Require,
    Revision,
    Severity,
    Slice,
    Status,
)
from ci_ml.errors import ConfigError, UsageError
from ci_ml.stats import holm, power
from ci_ml.stats.estimate import NotEstimable
from ci_ml.stats.points import RELATIVE_TOLERANCE

SCHEMA: Literal["ci-ml/report/v1"] = "ci-ml/report/v1"
_SHA = r"^[0-9a-f]{40}([0-9a-f]{24})?$"
MAX_BYTES = 64 * 1024 * 1024
_PROBLEMS = 20
_SHOWN = 60  # characters of a schema that is none
# Fields whose values are digests and words of ours.
_VOCABULARY = frozenset(
    "schema subject sha digest source kind change outcome direction require severity status impact method margin forge "
    "state run".split()
)


class Tool(Part):
    """What wrote the report."""

    name: str = "ci-ml"
    version: str = __version__


class WaiverPart(Part):
    """Who accepted a verdict that would have blocked, when (ISO 8601) and by which label; `outcome` is what it was."""

    by: str = Field(max_length=200)
    at: str = Field(max_length=64)
    label: str = Field(max_length=200)
    outcome: Outcome


class VerdictPart(Part):
    """The outcome and why."""

    outcome: Outcome
    sentence: str
    reasons: tuple[str, ...] = ()
    waivers: tuple[WaiverPart, ...] = ()


class RevisionPart(Part):
    """One side: which commit, and why this one."""

    sha: str | None = Field(pattern=_SHA)
    ref: str | None = None
    why: str = ""
    dirty: bool = False

    @property
    def label(self) -> str:
        """Seven digits of the commit, and whether the work tree differs from it."""
        short = self.sha[:7] if self.sha else "no commit"
        return f"{short} + work tree" if self.dirty else short


class ChangePart(Part):
    """Which change this is about, as the CI system that made the report saw it."""

    forge: Literal["github", "gitlab"]
    repository: str | None = Field(default=None, max_length=300)
    number: int | None = None
    head: str | None = Field(default=None, pattern=_SHA)
    run: str | None = Field(default=None, max_length=64)
    run_url: str | None = Field(default=None, max_length=2000)


class PolicyPart(Part):
    """The gates: the digest of the file they came from, the side it was read from, and whether the change edits it.

    `read_at` is when it was read (ISO 8601). `comparisons` is how many comparisons its gates came to.
    """

    digest: str
    source: Literal["base", "head"] = Field(alias="from")
    changed_in_head: bool = False
    read_at: str | None = Field(default=None, max_length=64)
    comparisons: int | None = None


class ComparisonPart(Part):
    """One gate: what was measured, its status, and one sentence for a human.

    `interval` belongs to `delta`, `head_interval` to `head`. `rate`: the metric is a share of examples. `between` are
    the groups of a gap. `corrected` is `p_value` after Holm's correction over the `family` slices of the gate that are
    judged; a slice with fewer examples than `min_n` is shown and not judged. `smallest_margin` is what an unchanged
    model passes in 80 % of test sets like this one, and `settles` says what would decide. `allowed` is how far the bad
    end of the interval may lie from 0, where it is not `margin_absolute`: a share of the base is as noisy as that.
    `declared` is the gate in ci-ml.yaml. `absolute`: it is what is expected of a table, and the head alone is judged,
    by its bounds; `unit` is what was counted then: rows, columns, or the share of rows that break it. What says how far
    a table moved has the unit distance, or percent.
    """

    metric: str = Field(min_length=1)
    slice: dict[str, str | None] | None = None
    between: tuple[str, str] | None = None
    rate: bool = False
    direction: Direction
    base: float | None
    head: float | None
    delta: float | None
    interval: tuple[float, float] | None = None
    head_interval: tuple[float, float] | None = None
    confidence: Share | None = None
    p_value: Share | None = None
    corrected: Share | None = None
    family: int | None = None
    identical: bool = False
    min_n: int | None = None
    smallest_margin: float | None = None
    settles: str = ""
    n: int | None = None
    n_clusters: int | None = None
    method: str = "point"
    margin: Annotated[float, Field(ge=0)] | Annotated[str, Field(pattern=r"^[0-9.e+-]{1,40}%?$")]
    margin_absolute: float | None = None
    allowed: float | None = None
    allows: str = ""
    floor: float | None = None
    ceiling: float | None = None
    require: Require
    severity: Severity
    status: Status
    impact: Outcome
    reason: str
    declared: LocationPart | None = None
    absolute: bool = False
    unit: Annotated[str, Field(max_length=40)] = ""

    @property
    def name(self) -> str:
        """The metric, and the slice where there is one."""
        return f"{self.metric} on {self.where}" if self.slice else self.metric

    @property
    def where(self) -> Slice | None:
        """The slice."""
        return Slice(parts=tuple(self.slice.items())) if self.slice else None

    @property
    def moved(self) -> bool:
        """Whether it says how far a table moved, and not how much of it breaks a rule."""
        return self.absolute and self.unit in MOVED

    @property
    def tally(self) -> bool:
        """Whether it counts the columns that drifted, which no test stands behind."""
        return self.moved and self.unit == PERCENT and self.p_value is None and self.head is not None

    @property
    def too_small(self) -> bool:
        """Whether this is a slice with fewer examples than its gate asks for."""
        return self.slice is not None and judging.too_small(self.min_n, self.n)


class ParamPart(Part):
    """A parameter that differs."""

    path: str
    key: str
    base: Any = None
    head: Any = None
    location: LocationPart | None = None


class DataPart(Part):
    """A data file or folder whose digest differs."""

    path: str
    base: str | None = None
    head: str | None = None


class StageChangePart(Part):
    """A stage that came, went or changed."""

    name: str
    change: Literal["added", "removed", "changed"]
    what: tuple[str, ...] = ()
    location: LocationPart | None = None


class OutputPart(Part):
    """A file or folder that a stage made, with the digest that dvc.lock has of it: `md5:…`, of a folder `md5:….dir`."""

    path: str
    digest: str


class StageRunPart(Part):
    """What became of one stage in training."""

    name: str
    state: Literal["ran", "cached", "skipped", "failed"]
    seconds: float


class TrainingPart(Part):
    """The training behind the head's numbers, and behind the base's where that is known."""

    stages: tuple[StageRunPart, ...] = ()
    seconds: float = 0.0
    mlflow_run: str | None = None
    before: BeforePart | None = None
    rate: RatePart | None = None


class Report(Part):
    """Everything about one verdict: on a change, or on what production has become since the model was recorded.

    Of production, `base` is what was recorded with the model, and `head` what was seen; their `why` says it in words.
    """

    schema_: Literal["ci-ml/report/v1"] = Field(default=SCHEMA, alias="schema")
    tool: Tool = Tool()
    name: str = Field(default="ci-ml", max_length=NAME_LENGTH, pattern=NAME)
    subject: Literal["change", "production"] = "change"
    verdict: VerdictPart
    base: RevisionPart
    head: RevisionPart
    change: ChangePart | None = None
    policy: PolicyPart
    comparisons: Many[ComparisonPart] = ()
    params: Many[ParamPart] = ()
    data: Many[DataPart] = ()
    stages: Many[StageChangePart] = ()
    outputs: Many[OutputPart] = ()
    testsets: Many[TestSetPart] = ()
    code: Many[CodePart] = ()
    packages: Many[PackagePart] = ()
    environment: EnvironmentPart | None = None
    training: TrainingPart | None = None
    history: Many[HistoryPart] = ()
    curves: Many[CurvePart] = ()
    confusions: Many[ConfusionPart] = ()
    plots: Many[PlotPart] = ()
    drifts: Many[DriftPart] = ()
    notices: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Strict JSON, ending in a line break."""
        document = self.model_dump(mode="json", by_alias=True)
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def build(
    *,
    name: str,
    judged: verdict.Verdict,
    base: Revision,
    head: Revision,
    change: Change,
    policy: PolicyPart,
    comparisons: Sequence[Comparison],
    differences: changes.Changes,
    training: TrainingPart | None,
    notices: Sequence[str],
    shown: Exhibits | None = None,
    subject: Literal["change", "production"] = "change",
    outputs: Sequence[OutputPart] = (),
    testsets: Sequence[TestSetPart] = (),
) -> Report:
    """Put a report together; comparisons come out with the most harmful first."""
    shown = shown or Exhibits()
    return Report(
        name=name,
        subject=subject,
        verdict=VerdictPart(outcome=judged.outcome, sentence=judged.sentence, reasons=judged.reasons),
        base=RevisionPart(sha=base.sha, ref=base.ref, why=base.why, dirty=base.dirty),
        head=RevisionPart(sha=head.sha, ref=head.ref, why=head.why, dirty=head.dirty),
        change=_change(change),
        policy=policy.model_copy(update={"comparisons": len(comparisons)}),
        comparisons=tuple(
            _comparison(item, shown.gates.get(str(item.gate.metric))) for item in verdict.by_harm(comparisons)
        ),
        params=tuple(
            ParamPart(
                path=item.metric.path,
                key=item.metric.key,
                base=changes.jsonable(item.base),
                head=changes.jsonable(item.head),
                location=shown.params.get((item.metric.path, item.metric.key)),
            )
            for item in differences.params
        ),
        data=tuple(DataPart(path=item.path, base=item.base, head=item.head) for item in differences.data),
        stages=tuple(
            StageChangePart.model_validate(
                {
                    "name": item.name,
                    "change": item.change,
                    "what": item.what,
                    "location": shown.stages.get(item.name),
                }
            )
            for item in differences.stages
        ),
        outputs=tuple(outputs),
        testsets=tuple(testsets),
        code=shown.code,
        packages=shown.packages,
        environment=shown.environment,
        training=training,
        history=shown.history,
        curves=shown.curves,
        confusions=shown.confusions,
        plots=shown.plots,
        drifts=shown.drifts,
        notices=(*notices, *shown.notices),
    )


def _change(change: Change) -> ChangePart | None:
    if change.forge is None:
        return None
    return ChangePart.model_validate(
        {
            "forge": change.forge,
            "repository": (change.repository or "")[:300] or None,
            "number": change.number,
            "head": change.head,
            "run": str(change.run),
            "run_url": (change.run_url or "")[:2000] or None,
        }
    )


def waived(report: Report, by: str, at: str, label: str) -> Report:
    """The report with a waiver: what blocked is a warning that says who accepted it, and every reason stays."""
    before = report.verdict
    waiver = WaiverPart(by=by, at=at, label=label, outcome=before.outcome)
    verdict_ = before.model_copy(update={"outcome": Outcome.WARN, "waivers": (*before.waivers, waiver)})
    return report.model_copy(update={"verdict": verdict_})


def unwaived(report: Report) -> Report:
    """The report as it was judged, for who trusts no waiver in it: what it claims may come from anybody."""
    if not report.verdict.waivers:
        return report
    outcome = max((report.verdict.outcome, *(item.outcome for item in report.verdict.waivers)), key=_rank)
    return report.model_copy(update={"verdict": report.verdict.model_copy(update={"outcome": outcome, "waivers": ()})})


def redacted(report: Report, hide: Callable[[str], str]) -> Report:
    """The report with every text from elsewhere passed through `hide`, before it is written or shown anywhere."""

    def clean(value: Any) -> Any:
        if isinstance(value, Part):
            return value.model_copy(
                update={
                    name: item if isinstance(item, str) and _is_ours(value, name) else clean(item)
                    for name, item in value
                }
            )
        if isinstance(value, str):
            return value if isinstance(value, Enum) else hide(value)
        if isinstance(value, dict):  # of the user's: its keys are names of theirs, and mean nothing to us
            return {clean(key): clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(clean(item) for item in value)
        return value

    return Report.model_validate(clean(report).model_dump(by_alias=True))


def _is_ours(part: Part, name: str) -> bool:
    """Whether the text of a field is one of our words, or a name that has been checked."""
    return name.rstrip("_") in _VOCABULARY or (name == "name" and isinstance(part, Report | Tool))


def _rank(outcome: Outcome) -> int:
    return outcome.rank


def contradictions(report: Report) -> list[str]:
    """Where a report without waivers does not follow from its own comparisons, as one that was tampered with does not.

    A status is computed again from its numbers, with and without an interval, and so is Holm's correction.
    """
    found = _uncorrected(report.comparisons)
    there, told = len(report.comparisons), report.policy.comparisons
    if told is not None and told != there:
        found.append(f"its gates came to {told} comparisons, and {there} are there")
    for item in report.comparisons:
        expected = verdict.weigh(item.require, item.severity, item.status, too_small=item.too_small)
        if expected is not item.impact:
            found.append(f"{item.name} is {item.status.value}, which means {expected.value}, not {item.impact.value}")
        status = _status(item)
        if status is not item.status:
            found.append(f"{item.name} is {status.value} by its numbers, not {item.status.value}")
        if item.interval and str(item.margin).endswith("%") and item.allowed is None:
            found.append(f"{item.name} has a margin that is a share of the base, and does not say what that allows")
        is_limited = item.ceiling is not None or item.status is Status.MISSING
        if item.absolute and (not is_limited or item.base is not None):
            found.append(f"{item.name} claims to be what is expected of a table, and has no limit of its own")
        if item.delta is not None and not _is_difference(item):
            found.append(f"the change of {item.name} is not {item.delta:g} by its numbers")
    least = _least(report.comparisons)
    if report.verdict.outcome.rank < least.rank:
        found.append(f"the verdict is {report.verdict.outcome.value}, and its comparisons say {least.value}")
    return found


def _is_difference(item: ComparisonPart) -> bool:
    """Whether the change is that of the two sides, and within its interval."""
    if item.base is None or item.head is None or item.delta is None:
        return False
    rounding = RELATIVE_TOLERANCE * max(abs(item.base), abs(item.head))
    low, high = item.interval or (item.delta, item.delta)
    is_within = low - rounding <= item.delta <= high + rounding
    return is_within and abs(item.head - item.base - item.delta) <= rounding


def _uncorrected(comparisons: Sequence[ComparisonPart]) -> list[str]:
    """The slices whose p-value after Holm's correction does not follow from those of their gate's slices."""
    families: dict[tuple[str, int | None], list[ComparisonPart]] = {}
    for item in comparisons:
        if item.slice is not None and item.p_value is not None and not item.too_small:
            families.setdefault((item.metric, item.family), []).append(item)
    found = []
    for (_, size), items in families.items():
        expected = holm.adjusted([item.p_value for item in items if item.p_value is not None])
        for item, p in zip(items, expected, strict=True):
            if len(items) != size or item.corrected != (p if size > 1 else None):
                found.append(f"the correction of {item.name} does not follow from its gate's slices")
    return found


def _least(comparisons: Sequence[ComparisonPart]) -> Outcome:
    """The best verdict that these comparisons allow; it is `verdict.decide` for what has been judged already."""
    if not comparisons:
        return Outcome.UNDECIDED
    if all(item.status is Status.NEW for item in comparisons if not item.too_small):
        return Outcome.WARN
    return max((item.impact for item in comparisons), key=_rank)


def _status(item: ComparisonPart) -> Status:
    if item.too_small:
        return Status.INCONCLUSIVE
    if item.head is None or item.status is Status.MISSING:
        return Status.MISSING  # which never helps anybody
    given = str(item.margin)
    is_share = given.endswith("%")
    value = float(given.removesuffix("%")) / (100 if is_share else 1)
    gate = Gate(
        metric=MetricKey(path=item.metric, key=""),
        direction=item.direction,
        margin=Margin(value=value, relative=is_share),
        require=item.require,
        severity=item.severity,
        floor=item.floor,
        ceiling=item.ceiling,
        absolute=item.absolute,
    )
    found = Contrast(
        base=item.base,
        head=item.head,
        interval=item.interval,
        head_interval=item.head_interval,
        confidence=item.confidence,
        identical=item.identical,
        allowed=item.allowed,
    )
    return judging.judge(gate, found, item.corrected)


def _comparison(item: Comparison, declared: LocationPart | None) -> ComparisonPart:
    contrast, gate = item.contrast, item.gate
    base = item.base.value if isinstance(item.base, Measurement) else None
    return ComparisonPart(
        metric=str(gate.metric),
        slice=dict(gate.slice.parts) if gate.slice else None,
        between=contrast.between if contrast else None,
        rate=gate.rate,
        direction=gate.direction,
        base=base,
        head=item.head.value if isinstance(item.head, Measurement) else None,
        delta=_finite(contrast.delta) if contrast else None,
        interval=contrast.interval if contrast else None,
        head_interval=contrast.head_interval if contrast else None,
        confidence=contrast.confidence if contrast else None,
        p_value=contrast.p_value if contrast else None,
        corrected=item.corrected,
        family=item.family,
        identical=bool(contrast and contrast.identical),
        min_n=gate.min_n,
        smallest_margin=_smallest_margin(contrast),
        settles=settles(gate, contrast).removeprefix("; ") if contrast else "",
        n=item.n,
        n_clusters=contrast.n_clusters if contrast else None,
        method=contrast.method if contrast else "point",
        margin=str(gate.margin) if gate.margin.relative else gate.margin.value,
        margin_absolute=_margin_absolute(gate.margin, base),
        allowed=contrast.allowed if contrast else None,
        allows=allowance(gate, base) if base is not None else "",
        floor=gate.floor,
        ceiling=gate.ceiling,
        require=gate.require,
        severity=gate.severity,
        status=item.status,
        impact=verdict.impact(item),
        reason=item.reason,
        declared=declared,
        absolute=gate.absolute,
        unit=gate.unit,
    )


def _smallest_margin(contrast: Contrast | None) -> float | None:
    if contrast is None or contrast.found is None:
        return None
    try:
        return power.smallest_margin_of(contrast.found)
    except NotEstimable:
        return None


def _margin_absolute(margin: Margin, base: float | None) -> float | None:
    if base is not None:
        return _finite(margin.at(base))
    return None if margin.relative else margin.value


def _finite(value: float | None) -> float | None:
    """The difference of two finite numbers can be beyond what JSON (and a float) holds."""
    return value if value is not None and math.isfinite(value) else None


def load(data: bytes, name: str) -> Report:
    """Read a report.json.

    Raises UsageError when it is too large or of a newer schema, ConfigError when it is not a report.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{name} is too large; reports of up to {MAX_BYTES // 2**20} MiB are read",
            "give the report.json that ci-ml wrote",
        )
    try:
        document = json.loads(data, parse_constant=_refuse)
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not strict JSON: {error}", "give the report.json that ci-ml wrote") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith("ci-ml/report/v"):
            schema = schema[:_SHOWN]
            raise UsageError(f"{name} has the schema {schema}; this ci-ml {__version__} reads {SCHEMA}", "update ci-ml")
        said = repr(schema)[:_SHOWN]
        raise UsageError(f"{name} is not a report of ci-ml: its schema is {said}", f"a report says {SCHEMA!r}")
    try:
        return Report.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:_PROBLEMS]
        problems = [f"{name}: {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found]
        hint = "give the report.json that ci-ml wrote"
        raise ConfigError(f"{name} is not a valid report", problems, hint=hint) from None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not allowed")
