"""The gate: base and head read, compared, judged, reported. Layer: usecases."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from ci_ml.core import compare, environments, gates, makers, report, sentences, testsets, verdict
from ci_ml.core.compare import Comparison
from ci_ml.core.config import NAME_LENGTH, Config
from ci_ml.core.distributions import DriftPart
from ci_ml.core.exhibits import EnvironmentPart, Exhibits, HistoryPart, PlotPart, RatePart
from ci_ml.core.pipeline import Pipeline, Stage, covering
from ci_ml.core.report import OutputPart, Report, TrainingPart
from ci_ml.core.staleness import STALE_LOCK, Freshness
from ci_ml.core.training import Earlier, Environment
from ci_ml.core.types import Change, DataKey, Gap, Metric, MetricKey, Require, Severity
from ci_ml.errors import OutOfDate
from ci_ml.ports import History, OpenTables
from ci_ml.usecases import evidence, policy, repeated, verify
from ci_ml.usecases import testsets as reading
from ci_ml.usecases.difference import Difference, difference
from ci_ml.usecases.evidence import Side
from ci_ml.usecases.exhibits import exhibits, kept
from ci_ml.usecases.policy import Policy
from ci_ml.usecases.project import Project

if TYPE_CHECKING:  # Ibis costs half a second, and only tables need it
    from ci_ml.usecases.expectations import Schema, Wanted


# Every look at a test set and every rotation there was, or why nobody can say.
Known = tuple[Sequence[testsets.Look], Sequence[testsets.Rotation]] | Gap


@dataclass(frozen=True, kw_only=True)
class Question:
    """Two sides, and how to ask about them."""

    base: Side
    head: Side
    scored: Side | None = None  # the base's model on the head's test data, where the base has others
    told: tuple[str, ...] = ()
    prefer: Literal["base", "head"] = "base"
    read_at: str | None = None  # when the policy is read (ISO 8601)
    freshness: Callable[[], tuple[Freshness, ...]] = tuple
    training: TrainingPart | None = None
    trained_in: tuple[Environment | Gap, Environment | Gap] | None = None
    change: Change = field(default_factory=Change)
    tables: OpenTables | None = None
    past: History | None = None
    deep: bool = False  # whether earlier tables are measured as well, which takes a while
    plots: Callable[[], tuple[tuple[PlotPart, ...], tuple[str, ...]]] | None = None
    schema: "Callable[[Policy], Schema] | None" = None  # what reads a user's own model of a table
    looks: Callable[[], Known] | None = None  # what is known of earlier looks at test sets
    only: "Wanted | None" = None  # of everything that is judged, only what is expected of tables


def check(question: Question) -> Report:
    """Judge the head against the base.

    Raises UsageError or ConfigError when there is nothing to judge by, OutOfDate when dvc.lock is stale and the
    configuration says that it may not be.
    """
    base, head = question.base, question.head
    chosen = policy.choose(base.tree, head.tree, head.project.config, base.revision, question.prefer)
    if question.only is None:
        comparisons, seen, drawn = _compared(question, chosen.config)
    else:
        comparisons, seen, drawn = [], (), Exhibits()
    expected, drawn = _expected(question, chosen, drawn)
    comparisons += expected
    read = _blocking(comparisons)
    warnings, doubts = staleness(head, read, verify.stale(question.freshness()), chosen)
    doubts += unmade(base, head, read, chosen)
    looked = _looked(question, chosen)
    found = difference(base, head, metrics=False)
    return report.build(
        name=report_name(head.project, chosen.config.name),
        judged=verdict.decide(comparisons, (*chosen.warnings, *warnings, *looked.warnings), (*doubts, *looked.doubts)),
        base=base.revision,
        head=head.revision,
        change=question.change,
        policy=report.PolicyPart.model_validate(
            {
                "digest": chosen.digest,
                "from": chosen.source,
                "changed_in_head": chosen.changed_in_head,
                "read_at": question.read_at,
            }
        ),
        comparisons=comparisons,
        differences=found.changes,
        training=_training(question.training, chosen.config),
        notices=(*chosen.notices, *question.told, *seen, *looked.notices, *found.notices),
        shown=_shown(question, comparisons, found, chosen.config, drawn),
        outputs=_outputs(head.pipeline),
        testsets=looked.parts,
    )


def _looked(question: Question, chosen: Policy) -> testsets.Counted:
    """Which looks at test sets this verdict is, and what they do to it."""
    config = chosen.config.testsets
    if not config or question.looks is None or question.only is not None:
        return testsets.Counted()
    head = question.head
    outputs = {one.path: testsets.bare(one.digest) for one in _outputs(head.pipeline)}
    what = testsets.identity(outputs, head.revision.sha, chosen.digest)
    known = question.looks()
    there = reading.digests(head, config)
    if isinstance(known, Gap):
        counted = testsets.counted(config, there, what, None)
        return replace(counted, notices=(*counted.notices, f"looks at test sets: {known.reason}"))
    return testsets.counted(config, there, what, *known)


def _outputs(pipeline: Pipeline) -> tuple[OutputPart, ...]:
    """What the stages made, by what dvc.lock says of it: the bytes that this verdict is about."""
    return tuple(
        OutputPart(path=out.path, digest=str(out.recorded))
        for stage in pipeline.stages
        for out in stage.outs
        if out.recorded is not None
    )


def _shown(
    question: Question, comparisons: Sequence[Comparison], found: Difference, chosen: Config, drawn: Exhibits
) -> Exhibits:
    """What the report shows beside its comparisons; `drawn` are the curves of tables."""
    base, past, most = question.base, question.past, chosen.report.history
    known = exhibits(base, question.head, past, comparisons, found, most)
    problems: list[str] = []
    nothing: tuple[tuple[PlotPart, ...], tuple[str, ...]] = ((), ())
    plots, notices = kept(question.plots, nothing, "plots of DVC", problems) if question.plots else nothing
    tables: tuple[HistoryPart, ...] = ()
    around: EnvironmentPart | None = None
    if pair := question.trained_in:
        around = kept(lambda: environments.compared(*pair), around, "in what both sides were trained", problems)
    if question.deep and past and question.tables and most and any(gate.asked for gate in chosen.gates):
        from ci_ml.usecases import earlier

        measure = partial(earlier.history, chosen, base, past, question.tables, most)
        tables = kept(measure, tables, "the history of tables", problems)
    return replace(
        known,
        environment=around,
        history=(*known.history, *tables),
        curves=drawn.curves,
        confusions=drawn.confusions,
        plots=plots,
        drifts=drawn.drifts,
        notices=(*known.notices, *drawn.notices, *notices, *problems),
    )


def _training(found: TrainingPart | None, chosen: Config) -> TrainingPart | None:
    """The training, with what an hour of it costs."""
    cost = chosen.train.cost
    if found is None or cost is None:
        return found
    return found.model_copy(update={"rate": RatePart(per_hour=cost.per_hour, currency=cost.currency)})


def _compared(question: Question, chosen: Config) -> tuple[list[Comparison], tuple[str, ...], Exhibits]:
    """Every gate's comparison: of numbers in files, of those from several seeds, and of tables of predictions.

    Then what a reader should know about them, and what there is to see.
    """
    base = question.scored or question.base
    one, two = (evidence.gather(side, chosen.gates) for side in (base, question.head))
    comparisons = [
        compare.compare(gate, *(side.reading(key) for side in (one, two)))
        for gate in gates.expand(chosen.gates, (one, two))
        if isinstance(key := gate.metric, MetricKey)
    ]
    comparisons += repeated.judge(chosen.gates, one, two, chosen.confidence)
    if not any(gate.asked for gate in chosen.gates):
        return comparisons, (), Exhibits()
    from ci_ml.usecases import tables

    assert question.tables is not None
    judged = tables.judge(chosen, base, question.head, question.tables, shown=True)
    whole = ((item.gate, item.contrast) for item in judged.comparisons if item.gate.slice is None and item.contrast)
    narrow = sentences.infeasible(whole)
    notices = (*judged.notices, *([narrow] if narrow else []))
    shown = Exhibits(curves=judged.curves, confusions=judged.confusions)
    return [*comparisons, *judged.comparisons], notices, shown


def _expected(question: Question, chosen: Policy, drawn: Exhibits) -> tuple[list[Comparison], Exhibits]:
    """What became of everything that is expected of tables, and what there is to see with that."""
    if not chosen.config.data:
        return [], drawn
    from ci_ml.core import movements
    from ci_ml.usecases import expectations

    assert question.tables is not None
    assert question.schema is not None
    judged = expectations.judge(
        chosen.config, question.base, question.head, question.tables, question.schema(chosen), question.only
    )
    problems: list[str] = []
    nothing: tuple[DriftPart, ...] = ()
    drifts = kept(lambda: movements.shown(judged.drifts), nothing, "the distributions of columns", problems)
    return judged.comparisons, replace(drawn, drifts=drifts, notices=(*drawn.notices, *problems))


def report_name(project: Project, configured: str | None) -> str:
    """The configured name, else the name of the project's folder."""
    folder = (project.folder or str(project.root)).rstrip("/").rpartition("/")[2]
    return configured or re.sub(r"[^A-Za-z0-9._-]+", "-", folder)[:NAME_LENGTH].strip("-._") or "ci-ml"


def staleness(
    head: Side, metrics: Iterable[Metric], stale: tuple[Freshness, ...], chosen: Policy
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a stale dvc.lock means: a warning, or a doubt when a stale stage makes a file that a blocking gate reads.

    Raises OutOfDate when the configuration says that dvc.lock may not be stale.
    """
    if not stale:
        return (), ()
    if chosen.config.train.when == "never":
        refuse_stale(stale)
    made = head.pipeline.outputs()
    owners = {covering(head.project.inside(path), made) for metric in metrics for path in _files(metric, head, chosen)}
    names = {maker.name for path in owners if path and isinstance(maker := made[path][1], Stage)}
    behind = tuple(item for item in stale if item.name in names)
    if behind:
        return (), (f"{_stale_words(behind)}, so its numbers are not from this code: `ci-ml train` makes them anew.",)
    return (f"{_stale_words(stale)}; no gate reads what it makes.",), ()


def _blocking(comparisons: Iterable[Comparison]) -> frozenset[Metric]:
    """The metrics of gates that block."""
    gates_ = (item.gate for item in comparisons if item.gate.severity is Severity.BLOCK)
    return frozenset(gate.metric for gate in gates_ if gate.require is not Require.REPORT)


def unmade(base: Side, head: Side, metrics: Iterable[Metric], chosen: Policy) -> tuple[str, ...]:
    """Why the numbers of gates that block do not come from this change, though dvc.lock may be true.

    It froze a stage behind them, left a file whose stage it took away, or edited what a frozen stage had made.
    """
    if not base.pipeline.stages:
        return ()
    read = dict.fromkeys(base.project.inside(path) for metric in metrics for path in _files(metric, base, chosen))
    unknown = [path for path, found in head.tree.read(read).items() if isinstance(found, Gap) and found.absent]
    files = head.tree.files() | (read.keys() - set(unknown))  # one that git ignores is read as well
    found = makers.stopped(base.pipeline, head.pipeline, sorted(read), files, lambda path: _edited(path, base, head))
    return tuple(makers.words(found))


def _edited(path: str, base: Side, head: Side) -> bool:
    """Whether an output is another than at the base: by what DVC recorded of it, or by its content in git."""
    before, after = (side.pipeline.outputs() for side in (base, head))
    owner = covering(path, before) or path
    recorded = [made[owner][0].recorded if owner in made else None for made in (before, after)]
    known = [digest and (digest.algorithm, digest.value) for digest in recorded]
    if (owner in after or before[owner][0].cached) and known[0] != known[1]:
        return True
    listed = ({name for name in side.tree.files() if f"{name}/".startswith(f"{path}/")} for side in (base, head))
    names = set.union(*listed)
    return base.tree.read(names) != head.tree.read(names)


def _files(metric: Metric, side: Side, chosen: Policy) -> list[str]:
    """The files that a metric is read from."""
    if isinstance(metric, MetricKey):
        return side.paths(metric.path)
    if isinstance(metric, DataKey):
        return [chosen.config.data[metric.table].path]
    about = chosen.config.predictions[metric.table]
    return [about.path] if about.path else side.paths(about.repeats or "")


def refuse_stale(stale: tuple[Freshness, ...]) -> None:
    """Raises OutOfDate when a stage is stale."""
    if stale:
        raise OutOfDate(_stale_words(stale), "train.when is never: run `dvc repro` and commit dvc.lock")


def _stale_words(stale: tuple[Freshness, ...]) -> str:
    more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
    return f"{STALE_LOCK}: {stale[0].name} ({stale[0].reasons[0]}){more}"


def training_part(data: bytes, lock: str | None) -> TrainingPart | None:
    """The training recorded in training.json if it made this dvc.lock (`lock` is its digest); None otherwise."""
    try:
        record = json.loads(data)
        if record["lock"] != lock or record["outcome"] != "success":
            return None
        return TrainingPart.model_validate(record)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def trained_in(data: bytes, before: Earlier | None) -> tuple[Environment | Gap, Environment | Gap]:
    """What the trainings behind base and head ran in; the head's is recorded in training.json, which is that of `data`.

    A training in which no stage ran says nothing about what its numbers were made in.
    """
    base: Environment | Gap = Gap(reason="no record was found of the training that made its dvc.lock")
    if before is not None:
        base = before.environment or Gap(reason="the record of its training does not hold it")
    try:
        record = json.loads(data)
        ran = any(stage["state"] == "ran" for stage in record["stages"])
        found = environments.load(record["environment"])
    except (ValueError, TypeError, KeyError, RecursionError):
        ran, found = True, None
    if not ran:
        return base, Gap(reason="no stage ran for this change, so its results were made elsewhere or earlier")
    return base, found or Gap(reason="the record of its training does not hold it")
