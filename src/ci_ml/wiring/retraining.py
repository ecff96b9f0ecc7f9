"""Continuous training: what makes, judges and proposes a challenger. Layer: wiring."""

import dataclasses
import datetime as dt
import json
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TextIO

from ci_ml.adapters import files, proc
from ci_ml.adapters.dvc import commands, definitions
from ci_ml.adapters.ledger import Ledger
from ci_ml.core import config as configuration
from ci_ml.core import retraining
from ci_ml.core.listing import some
from ci_ml.core.pipeline import covering
from ci_ml.core.report import Report
from ci_ml.core.retraining import RefreshConfig, RetrainConfig, Run
from ci_ml.core.topics import Labels, Merging, Sign
from ci_ml.core.training import redact, secrets
from ci_ml.core.types import Revision
from ci_ml.errors import CiMlError, DependencyError, UsageError
from ci_ml.ports import Forge
from ci_ml.usecases import policy, propose
from ci_ml.usecases import retrain as loop
from ci_ml.usecases.retrain import Turn
from ci_ml.wiring import branches, chronicle, gate, publishing, reports, searching, training
from ci_ml.wiring.workspace import Workspace, require_dvc

LEDGER = "refs/ci-ml/retraining"
_HOLDS = (
    "the work tree holds what came of it: `git restore :/ && dvc checkout` goes back to what is committed; "
    "to keep it, `dvc push`, then commit it"
)
_LAST = 3
_LINE = 2000


def run(
    space: Workspace,
    why: str | None,
    stream: TextIO,
    *,
    force: bool = False,
    proposes: bool = True,
    outputs: bool = True,
) -> Turn:
    """Make a challenger of what is committed, judge it, and propose it if it passes; report.json is written.

    `outputs`: later steps of the job get what became of it. Raises UsageError where there is nothing to go by, and
    whatever the steps raise.
    """
    told = space.env if outputs else {}
    try:
        turn = _Retraining(space=space, stream=stream, proposes=proposes).run(why, force=force)
    except CiMlError:
        publishing.outputs(told, {"outcome": "error"})
        raise
    judged = turn.report is not None
    page = space.output / publishing.PAGE
    publishing.outputs(
        told,
        {
            "outcome": str(turn.outcome),
            "report": str(space.output / reports.FILE) if judged else "",
            "page": str(page) if judged and page.is_file() else "",
            "proposal-url": turn.proposal or "",
        },
    )
    return turn


def as_json(turn: Turn) -> str:
    """What became of a turn, as strict JSON; the same keys however it ended."""
    report = json.loads(turn.report.to_json()) if turn.report else None
    return json.dumps(
        {
            "schema": "ci-ml/turn/v1",
            "outcome": turn.outcome,
            "why": turn.why,
            "sentence": turn.sentence,
            "proposal": turn.proposal,
            "report": report,
        },
        indent=1,
        ensure_ascii=False,
        allow_nan=False,
    )


@dataclass(frozen=True, kw_only=True)
class Status:
    """The retrainings that there were, oldest first, and why none may start now; None when one may."""

    runs: tuple[Run, ...]
    refused: str | None

    @property
    def sentence(self) -> str:
        """Whether one may start."""
        return f"None may start now: {self.refused}." if self.refused else "A retraining may start now."

    def to_json(self) -> str:
        """The record as strict JSON."""
        found = [
            {
                "id": run.id,
                "why": run.why,
                "began": run.began.isoformat(),
                "minutes": round(run.took.total_seconds() / 60, 1),
                "outcome": run.outcome,
                "sentence": run.ended.sentence if run.ended else "",
                "proposal": run.ended.proposal if run.ended else None,
                "commit": run.ended.commit if run.ended else None,
                "run_url": run.ended.run_url if run.ended else None,
            }
            for run in self.runs
        ]
        document = {"schema": "ci-ml/retrainings/v1", "refused": self.refused, "runs": found}
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def status(space: Workspace) -> Status:
    """The record of retrainings, and whether another may start. Raises UsageError for a record that is none."""
    asked = _Retraining(space=space, stream=sys.stderr)
    now = dt.datetime.now(dt.UTC)
    record = retraining.entries(asked.ledger.read().lines, LEDGER)
    chosen = asked.chosen
    known = retraining.runs(record, now, chosen.longest)
    return Status(runs=known, refused=retraining.refusal(record, chosen, now))


@dataclass(frozen=True, kw_only=True)
class _Retraining:
    space: Workspace
    stream: TextIO = field(repr=False)
    proposes: bool = True
    told: list[str] = field(default_factory=list)

    def run(self, why: str | None, *, force: bool) -> Turn:
        space = self.space
        root = require_dvc(space)
        if self.proposes and self._place and definitions.default_remote(space.head_tree, root) is None:
            what = "there is no default remote of DVC: a challenger would be proposed whose data nobody has"
            raise UsageError(what, "`dvc remote add --default …`, or --no-propose")
        if space.history.is_dirty():
            raise UsageError("the work tree has changes that are not committed", "commit or stash them first")
        searching.refuse(self._policy)
        files.make_output(space.output)
        try:
            return self._turned(why, force=force)
        finally:
            if space.change.forge is None and space.history.is_dirty():
                self._tell(_HOLDS)

    def _turned(self, why: str | None, *, force: bool) -> Turn:
        space = self.space
        return loop.retrain(
            loop.Loop(
                book=self.ledger,
                place=LEDGER,
                chosen=self.chosen,
                now=lambda: dt.datetime.now(dt.UTC),
                why=why or self._reason(),
                commit=space.head.sha,
                run_url=space.change.run_url,
                refresh=self._refresh,
                train=self._train,
                judge=self._judge,
                propose=self._propose,
                notice=self._tell,
                forced=force,
            )
        )

    def _tell(self, text: str) -> None:
        print(f"note: {redact(text, secrets(self.space.env))}", file=self.stream)

    def _reason(self) -> str:
        change = self.space.change
        return "the schedule" if change.is_scheduled else f"a run of {change.forge}" if change.forge else "by hand"

    @cached_property
    def _policy(self) -> configuration.Config:
        space = self.space
        loaded = policy.load(space.head_tree, space.project.config, space.project.config)
        if loaded is None:
            raise UsageError(f"there is no {space.project.config}", "the README shows a minimal file")
        return loaded.config

    @property
    def chosen(self) -> RetrainConfig:
        """What the work tree's ci-ml.yaml says of retraining."""
        return self._policy.retrain or RetrainConfig()

    @cached_property
    def _champion(self) -> Revision:
        head = self.space.head
        return dataclasses.replace(head, dirty=False, why="the champion: what is committed, on the same test data")

    @cached_property
    def _place(self) -> str | None:
        """Where git pushes to; None without a server."""
        return publishing.repository(self.space.change, self.space.env) or self.space.history.remote()

    @cached_property
    def ledger(self) -> Ledger:
        """The record, on the server or here."""
        return Ledger(
            history=self.space.history,
            ref=LEDGER,
            place=self._place,
            hint=branches.hint(self.space.change),
            hidden=secrets(self.space.env),
        )

    # The steps of a turn.

    def _refresh(self) -> None:
        """Bring in new data."""
        asked = self.chosen.refresh
        if asked is None:
            return
        settings = configuration.TrainConfig(track=False, when="always")
        for name in asked.stages:
            training.run(dataclasses.replace(self.space), self.stream, settings, only=name)
        root = self.space.project.root / (self.space.project.dvc or "")
        env = publishing.without_token(self.space.change, self.space.env)
        if asked.update:
            folder = self.space.project.root / self.space.project.folder
            commands.run([["update", "--", *asked.update]], cwd=folder, env=env)
        if asked.command:
            self._command(asked)
            sources = [source.file for source in self.space.head_pipeline.sources if not source.imported]
            if changed := [str(self.space.project.root / name) for name in sources]:
                commands.run([["commit", "--quiet", "--force", "--", *changed]], cwd=root, env=env)
        self._tell_loose()

    def _command(self, asked: RefreshConfig) -> None:
        """Run the user's command, line by line before everybody's eyes. Raises DependencyError when it fails."""
        folder = self.space.project.root / self.space.project.folder
        env = publishing.without_token(self.space.change, self.space.env)
        hidden = secrets(self.space.env)
        said: deque[str] = deque(maxlen=_LAST)
        process = proc.start(list(asked.command), cwd=folder, env=env)
        try:
            for text, transient in proc.lines(process):
                if not transient:
                    said.append(redact(text, hidden)[:_LINE])
                    print(f"refresh | {said[-1]}", file=self.stream, flush=True)
            code = process.wait()
        except BaseException:
            process.stop()
            raise
        finally:
            process.end(0)
        if code != 0:
            ending = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            words = " ".join(said) or "it said nothing"
            raise DependencyError(f"retrain.refresh: {asked.command[0]} ended with {ending}: {words}")

    def _tell_loose(self) -> None:
        """What a refresh left where neither git nor DVC sees it."""
        space = dataclasses.replace(self.space)
        pipeline = space.head_pipeline
        if strange := self._loose(space):
            self._tell(f"neither git nor DVC tracks {some(strange, 5)}, and no stage reads it: it is not proposed")
        made = pipeline.outputs()
        deps = [dep for stage in pipeline.stages for dep in stage.deps if covering(dep, made) is None]
        here = [dep for dep in dict.fromkeys(deps) if (space.project.root / dep).is_file()]
        listed = space.head_tree.files()
        if hidden := [dep for dep in here if dep not in listed]:
            self._tell(f"git ignores {some(hidden, 5)}, and DVC does not track it: nobody else can train on it")

    def _loose(self, space: Workspace) -> tuple[str, ...]:
        assert space.head.sha is not None
        return retraining.loose(space.history.changed(space.head.sha), space.head_pipeline)

    def _train(self) -> bool:
        """Train on what is there now; whether anything came out that is not committed."""
        space = dataclasses.replace(self.space)
        if self.chosen.search:
            found = searching.search(space, self._policy, self.chosen.search, self.stream)
            self.told.extend(found.notes)
            for note in found.notes:
                self._tell(note)
            space = dataclasses.replace(space)
        training.run(space, self.stream, self._policy.train)
        return space.history.is_dirty()

    def _judge(self) -> Report:
        space = dataclasses.replace(self.space)
        report = gate.judge(space, self._champion, "base", self.stream, deep=True)
        hidden = secrets(space.env)
        report = report.model_copy(update={"notices": (*report.notices, *(redact(note, hidden) for note in self.told))})
        files.write(space.output / reports.FILE, report.to_json())
        chronicle.keep_verdict(space, report)
        for problem in reports.leave(report, space.output, {}):
            self._tell(problem)
        with publishing.harmless(self.stream):
            self._summarized(report)
        return report

    def _summarized(self, report: Report) -> None:
        from ci_ml.render import markdown

        frame = markdown.Place(run_url=self.space.change.run_url, measure=markdown.utf8)
        publishing.summarize(
            self.space.env,
            lambda room: markdown.report(report, dataclasses.replace(frame, longest=room)),
            self.stream,
        )

    # What becomes of a challenger.

    def _propose(self, report: Report) -> str | None:
        if not self.proposes:
            return None
        space = dataclasses.replace(self.space)
        commit = self._committed(space, report)
        target = space.change.ref or space.history.branch() or self._branch_of_server()
        self._pushed(space, commit)
        forge = publishing.outlet(space.change, space.env).forge
        if forge is None or target is None:
            self._tell(f"{commit[:7]} is on {self.chosen.branch}; there is no forge to propose it on")
            return None
        return self._offered(forge, report, commit, target)

    def _branch_of_server(self) -> str | None:
        found = self.space.history.target_branch()
        return found.removeprefix("origin/") if found else None

    def _committed(self, space: Workspace, report: Report) -> str:
        sha = space.head.sha
        assert sha is not None
        root = space.project.root / (space.project.dvc or "")
        if space.history.remote() or self._place:
            commands.run([["push"]], cwd=root, env=publishing.without_token(space.change, space.env))
        if strange := self._loose(space):
            self._tell(f"left out of the proposal: {some(strange, 5)}, which neither git nor DVC tracks")
        paths = [change.path for change in space.history.changed(sha) if change.path not in strange]
        message = f"Retrain: {report.verdict.sentence}\n\nWhat changed: {some(paths, 10)}\n"
        if space.change.run_url:
            message += f"{space.change.run_url}\n"
        return space.history.committed(sha, paths, message, branches.author(space))

    def _pushed(self, space: Workspace, commit: str) -> None:
        branch, place = self.chosen.branch, self._place
        if place is None:
            space.history.tell("update-ref", f"refs/heads/{branch}", commit)
            return
        there = space.history.tip(place, branch)
        tip = branches.pushed(space, commit, place, branch, there, quiet=False)
        if tip != commit:
            raise DependencyError(f"somebody else has pushed to {branch} meanwhile", "it is for ci-ml alone")

    def _offered(self, forge: Forge, report: Report, commit: str, target: str) -> str | None:
        from ci_ml.render import markdown

        chosen, name = self.chosen, report.name
        sign = Sign(about="retrain", name=name, run=self.space.change.run)

        def body(longest: int) -> str:
            frame = markdown.Place(
                run_url=self.space.change.run_url, marker=str(sign), longest=longest, measure=markdown.utf16
            )
            return markdown.report(report, frame)

        merging = Merging.SQUASH if loop.merges(report, chosen.merge) else None
        offer = propose.Offer(
            sign=sign,
            branch=chosen.branch,
            target=target,
            head=commit,
            title=f"Retrain {name}",
            body=body,
            labels=Labels(wanted=chosen.labels),
            merging=merging,
        )
        offered = propose.propose(forge, offer, time.sleep)
        for trouble in (*offered.troubles, forge.silence()):
            if trouble:
                self._tell(trouble)
        return offered.topic.url
