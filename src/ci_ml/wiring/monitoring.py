"""Watching production: what is read, what is left behind, and who is told. Layer: wiring."""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ci_ml.adapters import files
from ci_ml.core import report as reporting
from ci_ml.core import verdict
from ci_ml.core.changes import Changes
from ci_ml.core.config import Config
from ci_ml.core.distributions import DriftPart
from ci_ml.core.exhibits import Exhibits
from ci_ml.core.monitoring import MonitorConfig
from ci_ml.core.references import Watch
from ci_ml.core.report import PolicyPart, Report, redacted
from ci_ml.core.topics import Labels, Sign
from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Outcome, Revision
from ci_ml.errors import CiMlError, DependencyError, UsageError
from ci_ml.usecases import alarm, policy
from ci_ml.usecases.exhibits import kept
from ci_ml.usecases.policy import Policy
from ci_ml.wiring import publishing, recorded, reports, tables, training
from ci_ml.wiring.workspace import Workspace

if TYPE_CHECKING:  # Ibis costs half a second
    from ci_ml.usecases.monitor import Seen, Watching

FOLDER = "monitor"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What became of one monitor: its report, and the address of the issue where there is one."""

    name: str
    report: Report
    place: Path
    issue: str | None = None


def run(space: Workspace, names: Sequence[str], stream: TextIO, now: dt.datetime | None = None) -> tuple[Watched, ...]:
    """Compare production with what was recorded, for these monitors or all; each leaves its reports in a folder.

    Raises UsageError for a monitor that is not configured, and what kept one from being read once all were looked at;
    where another has failed, that is told in `stream` only.
    """
    try:
        done = _run(space, names, stream, now or dt.datetime.now(dt.UTC))
    except CiMlError:
        publishing.outputs(space.env, {"outcome": "error"})
        raise
    last = worst(done)
    page = last.place / publishing.PAGE
    publishing.outputs(
        space.env,
        {
            "outcome": last.report.verdict.outcome.value,
            "report": str(last.place / reports.FILE),
            "page": str(page) if page.is_file() else "",
            "issue-url": last.issue or "",
        },
    )
    return done


def _run(space: Workspace, names: Sequence[str], stream: TextIO, at: dt.datetime) -> tuple[Watched, ...]:
    from ci_ml.usecases import monitor

    _forget(space, names)
    chosen = _policy(space)
    config = chosen.config
    if not config.monitor:
        raise UsageError("ci-ml.yaml watches nothing", "say what under `monitor`: docs/monitoring.md")
    if stranger := next((name for name in names if name not in config.monitor), None):
        raise UsageError(f"there is no {stranger} under monitor", f"there are: {', '.join(config.monitor)}")
    out = publishing.outlet(space.change, space.env)
    done: list[Watched] = []
    broken: list[tuple[str, CiMlError]] = []
    for name in dict.fromkeys(names or config.monitor):
        try:
            seen = monitor.watch(_watching(space, config, name, at))
        except CiMlError as error:  # the others are looked at all the same
            broken.append((name, error))
            continue
        report = _report(space, chosen, name, at, seen)
        watched = Watched(name=name, report=report, place=space.output / FOLDER / name)
        done.append(_told(space, config.monitor[name], watched, at, out, stream))
    _raise(broken, done, stream)
    return tuple(done)


def _raise(broken: Sequence[tuple[str, CiMlError]], done: Sequence[Watched], stream: TextIO) -> None:
    """What could not be read ends in an error, unless something else has failed already: that is the worse news."""
    failed = any(watched.report.verdict.outcome is Outcome.FAIL for watched in done)
    for name, error in broken if failed else broken[1:]:
        print(f"error: {name}: {error.what}{f'; {error.hint}' if error.hint else ''}", file=stream)
    if broken and not failed:
        raise broken[0][1]


def _forget(space: Workspace, names: Sequence[str]) -> None:
    """What is left of another run is not about production as it is now, whatever becomes of this one."""
    folder = space.output / FOLDER
    for place in folder.iterdir() if folder.is_dir() else ():
        if not names or place.name in names:
            reports.forget(place)


def worst(found: Sequence[Watched]) -> Watched:
    """The one whose verdict counts for all."""
    return max(found, key=lambda watched: watched.report.verdict.outcome.rank)


def _policy(space: Workspace) -> Policy:
    """Nothing is proposed here: what is checked out is what is in production, and its own policy judges it."""
    loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    if loaded is None:
        raise UsageError(f"there is no {space.project.config}", "the README shows a minimal file")
    return Policy(config=loaded.config, digest=loaded.digest, source="head", changed_in_head=False)


def _watching(space: Workspace, config: Config, name: str, at: dt.datetime) -> "Watching":
    from ci_ml.usecases.monitor import Watching

    about = config.monitor[name]

    return Watching(
        name=name,
        config=config,
        side=space.head_side(),
        now=at,
        open_tables=tables.opener(space.env),
        open_warehouse=tables.warehouses(space.env),
        recorded=lambda table: recorded.find(space, training.tracker(space), about, table),
    )


def _report(space: Workspace, chosen: Policy, name: str, at: dt.datetime, seen: "Seen") -> Report:
    from ci_ml.core import movements  # as late as what it is about

    head, model = space.head, chosen.config.monitor[name].model
    recorded = f"recorded with the model {model}" if model else f"recorded with the model at {head.short}"
    problems: list[str] = []
    nothing: tuple[DriftPart, ...] = ()
    drifts = kept(lambda: movements.shown(seen.drifts), nothing, "the distributions of columns", problems)
    rows = f"{seen.rows:,} rows of production" if seen.rows is not None else "production"
    found = reporting.build(
        name=name,
        judged=verdict.decide(seen.comparisons),
        base=replace(head, dirty=False, why=recorded),
        head=Revision(sha=head.sha, ref=head.ref, why=f"{rows} {seen.span or f'at {at:%Y-%m-%d %H:%M} UTC'}"),
        change=space.change,
        policy=PolicyPart.model_validate({"digest": chosen.digest, "from": "head"}),
        comparisons=seen.comparisons,
        differences=Changes(),
        training=None,
        notices=(*seen.notices, *problems),
        shown=Exhibits(drifts=drifts),
        subject="production",
    )
    hidden = secrets(space.env)
    return redacted(found, lambda text: redact(text, hidden))


def _told(
    space: Workspace,
    about: MonitorConfig,
    watched: Watched,
    at: dt.datetime,
    out: publishing.Outlet,
    stream: TextIO,
) -> Watched:
    """Leave the reports, and tell MLflow and the forge; what they do not take is a note, and costs no verdict."""
    files.make_output(space.output)
    files.write(watched.place / reports.FILE, watched.report.to_json())
    with publishing.harmless(stream):
        for problem in reports.leave(watched.report, watched.place, {}):
            print(f"note: {problem}", file=stream)
    with publishing.harmless(stream):
        _tracked(space, watched, at, stream)
    with publishing.harmless(stream):
        _summarized(space, watched.report, stream)
    issue = None
    with publishing.harmless(stream):
        issue = _issue(space, about, watched.report, out, stream) if about.issue else None
    return replace(watched, issue=issue)


def _summarized(space: Workspace, report: Report, stream: TextIO) -> None:
    from ci_ml.render import markdown

    frame = markdown.Place(run_url=space.change.run_url, measure=markdown.utf8)
    publishing.summarize(space.env, lambda room: markdown.report(report, replace(frame, longest=room)), stream)


def _tracked(space: Workspace, watched: Watched, at: dt.datetime, stream: TextIO) -> None:
    loaded = policy.load(space.head_tree, space.project.config, space.project.config)
    if loaded is None or not loaded.config.train.track:
        return
    measured = {str(item.name): item.head for item in watched.report.comparisons if item.head is not None}
    watch = Watch(
        name=watched.name,
        at=at,
        outcome=watched.report.verdict.outcome.value,
        metrics=measured,
        run_url=space.change.run_url,
    )
    try:
        training.tracker(space).watched(watch)
    except DependencyError as error:
        print(f"note: what was seen was not logged: {redact(error.what, secrets(space.env))}", file=stream)


def _issue(
    space: Workspace, about: MonitorConfig, report: Report, out: publishing.Outlet, stream: TextIO
) -> str | None:
    """The issue that is open while something is wrong."""
    from ci_ml.render import markdown, words

    if out.forge is None:
        if out.trouble:
            print(f"note: {out.trouble.replace('No comment, no status', 'No issue')}", file=stream)
        return None
    sign = Sign(about="monitor", name=report.name, run=space.change.run)
    outcome = report.verdict.outcome
    over = report.verdict.sentence if outcome is Outcome.PASS else None

    def body(longest: int) -> str:
        frame = markdown.Place(run_url=space.change.run_url, marker=str(sign), longest=longest, measure=markdown.utf16)
        return markdown.report(report, frame)

    notice = alarm.Notice(
        sign=sign,
        title=f"{report.name}: {words.headline(report)}",
        body=body,
        labels=Labels(wanted=about.labelled),
        over=over,
        opens=outcome is not Outcome.WARN,
    )
    try:
        told = alarm.tell(out.forge, notice, time.sleep)
    except CiMlError as error:
        hint = f"; {error.hint}" if error.hint else ""
        print(f"note: No issue: {error.what}{hint}", file=stream)
        return None
    for trouble in told.troubles:
        print(f"note: {trouble}", file=stream)
    return told.url


def retrain(space: Workspace, found: Sequence[Watched], stream: TextIO) -> str | None:
    """Start a retraining where a monitor that failed asks for it; returns what became of it, for people.

    What goes wrong in it is told as well, and does not take the place of what was found in production.
    """
    from ci_ml.wiring import retraining

    config = _policy(space).config
    failed = [
        watched
        for watched in found
        if watched.report.verdict.outcome is Outcome.FAIL and config.monitor[watched.name].retrain == "fail"
    ]
    if not failed:
        return None
    why = f"monitor {failed[0].name}: {failed[0].report.verdict.sentence}"
    try:
        turn = retraining.run(space, why[:1000], stream, outputs=False)
    except CiMlError as error:
        hint = f"; {error.hint}" if error.hint else ""
        return redact(f"the retraining ended in an error: {error.what}{hint}", secrets(space.env))
    publishing.outputs(space.env, {"proposal-url": turn.proposal or ""})
    return f"retrained: {turn.sentence}{f' {turn.proposal}' if turn.proposal else ''}"
