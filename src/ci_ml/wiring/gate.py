"""The gate and what belongs to it: check, ci, verify, diff. Layer: wiring."""

import contextlib
import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, TextIO

from ci_ml.adapters import console, files
from ci_ml.adapters.dvc import definitions
from ci_ml.core.report import Report, redacted
from ci_ml.core.staleness import Freshness
from ci_ml.core.training import Earlier, redact, secrets
from ci_ml.core.trials import Trial
from ci_ml.core.types import Revision
from ci_ml.errors import CiMlError, UsageError
from ci_ml.usecases import baseline, check, difference, policy
from ci_ml.wiring import chronicle, publishing, reports, rescoring, stages, tables, training
from ci_ml.wiring import plots as drawing
from ci_ml.wiring.rescoring import Rescored
from ci_ml.wiring.workspace import Workspace, require_dvc, settled

if TYPE_CHECKING:  # Ibis costs half a second, and only tables need it
    from ci_ml.usecases.expectations import Schema, Wanted

DATA = "data"  # the folder of what `ci-ml data check` leaves


def ci(
    space: Workspace,
    base: str | None,
    prefer: Literal["base", "head"],
    stream: TextIO,
    *,
    publish: bool = True,
    needs: str | None = None,
    hand_on: bool = False,
) -> Report:
    """Train, judge, publish. The verdict is what the job's exit code says, whatever becomes of publishing it.

    With `needs` other jobs have trained, a stage each: what they hand on is put together instead. It is what GitHub
    says of those jobs, as JSON; `{}` elsewhere. `hand_on` leaves what was trained for a job that records it.
    """
    out = publishing.outlet(space.change, space.env) if publish else publishing.SILENT
    try:
        space, report, style = _reproduced(space, base, prefer, stream, needs, hand_on=hand_on)
    except CiMlError as error:
        with publishing.harmless(stream):
            out.tell_failure(_name(space), error, stream)
        raise
    out, trouble = dataclasses.replace(out, style=style), None
    with publishing.harmless(stream):
        report, trouble = out.waived(report)
    place = space.output / reports.FILE
    files.write(place, report.to_json())
    chronicle.keep_verdict(space, report)  # before anybody is told
    with publishing.harmless(stream):
        for problem in reports.leave(report, space.output, style.templates):
            print(f"note: {problem}", file=stream)
    with publishing.harmless(stream):
        out.tell(report, stream, place, trouble)
    if publish and space.change.forge == "github":
        with publishing.harmless(stream):
            _annotate(report, stream)
    return report


def _annotate(report: Report, stream: TextIO) -> None:
    """Tell GitHub's runner, which reads commands from every line of a step, on either stream."""
    from ci_ml.render import annotations

    stream.write(annotations.report(report))
    stream.flush()


def _name(space: Workspace) -> str:
    """The name of a report that could not be made."""
    loaded = None
    with contextlib.suppress(CiMlError):
        loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    return check.report_name(space.project, loaded.config.name if loaded else None)


def _reproduced(
    space: Workspace,
    base: str | None,
    prefer: Literal["base", "head"],
    stream: TextIO,
    needs: str | None,
    *,
    hand_on: bool,
) -> tuple[Workspace, Report, publishing.Style]:
    """Train, then judge. What would make the judgement impossible is found out before anything is trained."""
    reports.forget(space.output)
    baseline.require_change(space.history, space.head, space.change)
    space, against = settled(space, base, first=True)
    reports.forget(space.output)  # which is another, where the base has the configuration elsewhere
    assert against.sha is not None
    chosen = policy.choose(space.history.tree(against.sha), space.head_tree, space.project.config, against, prefer)
    tree = space.history.tree(against.sha) if chosen.source == "base" else space.head_tree
    templates = policy.templates(tree, space.project, chosen.config)
    style = publishing.Style(templates=templates, images=chosen.config.report.images)
    settings = training.settings(space, chosen)
    before = training.before(space, against, settings)  # while this training is not among those that it finds
    if space.project.dvc is not None:  # what is trained is part of the policy: a change cannot leave stages out
        if needs is None:
            done = training.run(space, stream, settings)
            if hand_on:
                stages.give_all(dataclasses.replace(space), done)
        else:
            stages.collect(space, needs, stages.planned(space, base, prefer))
    trained = dataclasses.replace(space)  # the files have changed: forget what was read of them
    _deepen(trained, against, chosen.config.report.history)
    report = judge(trained, against, prefer, stream, before=before, deep=True)
    return trained, report, style


def _deepen(space: Workspace, against: Revision, commits: int) -> None:
    """CI clones without history; what a metric was before is in that of the base, and no other branch is wanted."""
    remote = space.history.remote()
    if commits and remote and against.sha and space.history.is_shallow():
        with contextlib.suppress(CiMlError):  # without it there is less to show
            space.history.fetch(f"--deepen={commits}", remote, against.sha)


def run(space: Workspace, base: str | None, prefer: Literal["base", "head"], stream: TextIO) -> Report:
    """Judge the work tree, and write report.json; what is scored anew is shown on `stream`."""
    reports.forget(space.output)
    space, against = settled(space, base)
    reports.forget(space.output)  # which is another, where the base has the configuration elsewhere
    report = judge(space, against, prefer, stream)
    files.write(space.output / reports.FILE, report.to_json())
    chronicle.keep_verdict(space, report)
    return report


def data(
    space: Workspace,
    base: str | None,
    prefer: Literal["base", "head"],
    names: Sequence[str],
    examples: int | None,
    stream: TextIO,
) -> Report:
    """Judge tables of the work tree by what is expected of them, and nothing else; reports are left in a folder."""
    from ci_ml.usecases.expectations import Wanted

    place = space.output / DATA
    reports.forget(place)
    space, against = settled(space, base, first=True)  # tables are judged by themselves, mostly
    report = judge(space, against, prefer, only=Wanted(tables=names, examples=examples))
    if not report.comparisons:
        raise UsageError(
            "nothing is expected of tables: ci-ml.yaml says nothing under `data`",
            "`ci-ml data profile FILE` proposes what to expect of a table; --policy head tries an edited file",
        )
    files.make_output(space.output)
    files.write(place / reports.FILE, report.to_json())
    for problem in reports.leave(report, place, {}):
        print(f"note: {problem}", file=stream)
    return report


def judge(
    space: Workspace,
    against: Revision,
    prefer: Literal["base", "head"],
    stream: TextIO | None = None,
    *,
    before: Earlier | None = None,
    deep: bool = False,
    only: "Wanted | None" = None,
) -> Report:
    """Judge the work tree against a commit; `before` is the training behind that.

    With `deep` earlier tables are measured, and DVC draws its plots, which takes seconds. With a `stream` to show it
    on, the base's model is scored on the head's test data where those are others.
    """
    recorded = space.output / training.FILE
    record = recorded.read_bytes() if recorded.is_file() else b""
    behind = check.training_part(record, space.lock)
    if behind is not None and before is not None:
        behind = behind.model_copy(update={"before": before.part})
    base, head = space.side(against), space.head_side()
    chosen = policy.choose(base.tree, head.tree, space.project.config, against, prefer).config
    question = check.Question(
        base=base,
        head=head,
        prefer=prefer,
        read_at=chronicle.now(space).isoformat(),
        freshness=space.freshness,
        training=behind,
        trained_in=check.trained_in(record, before) if behind is not None else None,
        change=space.change,
        tables=tables.opener(space.env),
        past=space.history,
        deep=deep,
        plots=partial(drawing.plots, space, against) if deep else None,
        schema=partial(_schema, space, against),
        looks=partial(_looks, space),
        only=only,
    )
    anew = rescoring.rescored(space, against, chosen, stream) if stream else contextlib.nullcontext(Rescored())
    with anew as scored:
        report = check.check(
            dataclasses.replace(question, scored=scored.side, told=(*against.notices, *scored.notices))
        )
    hidden = secrets(space.env)
    return redacted(report, lambda text: redact(text, hidden))


def _looks(space: Workspace) -> check.Known:
    from ci_ml.wiring import testsets  # the ledger is read only where a test set is named

    return testsets.known(space)


def _schema(space: Workspace, against: Revision, chosen: policy.Policy) -> "Schema":
    from ci_ml.wiring import schemas

    return schemas.loader(space, against.sha, chosen)


def selftest(
    space: Workspace, base: str | None, prefer: Literal["base", "head"], draws: int, stream: TextIO
) -> tuple[tuple[Trial, ...], float]:
    """The A/A test of the gates on predictions, and the confidence of their intervals."""
    from ci_ml.usecases import selftest as trying  # Ibis: no other command pays for it

    space, against = settled(space, base)
    assert against.sha is not None
    chosen = policy.choose(space.history.tree(against.sha), space.head_tree, space.project.config, against, prefer)
    with console.counting(stream, draws) as counted:
        opener = tables.opener(space.env)
        found = trying.selftest(chosen.config, space.side(against), space.head_side(), opener, draws, counted)
    return found, chosen.config.confidence


def diff(
    space: Workspace, base: str | None, head: str | None, *, unchanged: bool
) -> tuple[Revision, Revision, difference.Difference]:
    """What differs between two revisions, or between a revision and the work tree."""
    if head is None:
        against = _diff_base(space, base)
        other = space.head_side()
    else:
        sha = space.history.commit(head)
        if sha is None:
            raise UsageError(f"{head} is not a commit of this clone", "check --head")
        other = space.side(Revision(sha=sha, ref=head, why="named with --head"))
        at = Revision(sha=sha, dirty=True)  # diff never blocks: the same commit on both sides is an empty diff
        if base is None and not space.history.parents(sha):
            raise UsageError(
                f"{head} is the first commit: there is nothing before it", "name the other side: --base REV"
            )
        against = baseline.resolve(space.history, "auto", base or f"{sha}^", at, space.change)
    found = difference.difference(space.side(against), other, unchanged=unchanged)
    return against, other.revision, found


def _diff_base(space: Workspace, base: str | None) -> Revision:
    if base is None:
        return space.base(None)
    anywhere = Revision(sha=space.head.sha, dirty=True)
    return baseline.resolve(space.history, "auto", base, anywhere, space.change)


def verify(space: Workspace) -> tuple[Freshness, ...]:
    """What dvc.lock is worth for every stage.

    Raises UsageError where there is no DVC project, or when DVC would refuse its files.
    """
    definitions.validate(space.head_tree, require_dvc(space))
    return space.freshness()
