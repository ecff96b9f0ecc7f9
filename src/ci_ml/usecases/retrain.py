"""Continuous training: a challenger is made, judged against the champion, and proposed, or refused. Layer: usecases."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

from ci_ml.core import retraining
from ci_ml.core.ledger import Page
from ci_ml.core.report import Report
from ci_ml.core.retraining import Entry, Merge, RetrainConfig
from ci_ml.core.types import Outcome, Status
from ci_ml.errors import CiMlError, DependencyError

_ATTEMPTS = 8


class Book(Protocol):
    """The record of retrainings, which parallel jobs share."""

    def read(self) -> Page:
        """The record as it is now."""
        ...

    def append(self, page: Page, line: str, subject: str) -> Page | None:
        """The record with a line more; None when somebody else was faster."""
        ...


@dataclass(frozen=True, kw_only=True)
class Loop:
    """One turn of the loop. `train` says whether anything came out that the champion's commit does not have.

    `propose` makes the challenger a request, and returns its address; `forced` skips cool-down and budget, and nothing
    else.
    """

    book: Book
    place: str
    chosen: RetrainConfig
    now: Callable[[], datetime]
    why: str
    commit: str | None
    run_url: str | None
    refresh: Callable[[], None]
    train: Callable[[], bool]
    judge: Callable[[], Report]
    propose: Callable[[Report], str | None]
    notice: Callable[[str], None]
    forced: bool = False


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What became of it: `refused` says why none was started; without a report there was nothing new to judge."""

    why: str
    refused: str | None = None
    report: Report | None = None
    proposal: str | None = None

    @property
    def outcome(self) -> Outcome | Literal["unchanged", "refused"]:
        """How it ended, as the record has it."""
        if self.refused is not None:
            return "refused"
        return self.report.verdict.outcome if self.report else "unchanged"

    @property
    def sentence(self) -> str:
        """What to tell whoever waits for it."""
        if self.refused is not None:
            return f"No retraining: {self.refused}."
        if self.report is None:
            return "Nothing new: training on what is there gives what is committed."
        return self.report.verdict.sentence


def retrain(loop: Loop) -> Turn:
    """Refresh the data, train, judge, propose what passed, and write down that it was done and why.

    Whatever goes wrong after it has started is in the record too. Raises what the steps raise.
    """
    started = Entry(
        id=uuid.uuid4().hex, event="started", at=loop.now(), why=loop.why, commit=loop.commit, run_url=loop.run_url
    )
    if refused := _begin(loop, started):
        return Turn(why=loop.why, refused=refused)
    ended = started.model_copy(update={"event": "ended", "outcome": "error", "sentence": "it was stopped"})
    try:
        turn = _turn(loop)
        ended = ended.model_copy(
            update={"outcome": turn.outcome, "sentence": turn.sentence[:2000], "proposal": turn.proposal}
        )
    except CiMlError as error:
        ended = ended.model_copy(update={"sentence": error.what[:2000]})
        raise
    finally:
        _end(loop, ended.model_copy(update={"at": loop.now()}))
    return turn


def _turn(loop: Loop) -> Turn:
    loop.refresh()
    if not loop.train():
        return Turn(why=loop.why)
    report = loop.judge()
    turn = Turn(why=loop.why, report=report)
    return replace(turn, proposal=loop.propose(report)) if passed(report) else turn


def passed(report: Report) -> bool:
    """Whether a challenger is good enough to be proposed."""
    return report.verdict.outcome in (Outcome.PASS, Outcome.WARN)


def merges(report: Report, chosen: Merge) -> bool:
    """Whether nobody needs to look before it is merged: a verdict that warns is for people."""
    if chosen is Merge.NEVER or report.verdict.outcome is not Outcome.PASS:
        return False
    return chosen is Merge.HELD or any(item.status is Status.IMPROVED for item in report.comparisons)


def _begin(loop: Loop, started: Entry) -> str | None:
    """Write down that it starts, or say why it may not. Of two that start at once one is refused."""
    for _ in range(_ATTEMPTS):
        page = loop.book.read()
        record = retraining.entries(page.lines, loop.place)
        asked = loop.chosen.model_copy(update={"cool_down": None, "budget": None}) if loop.forced else loop.chosen
        if refused := retraining.refusal(record, asked, loop.now()):
            return refused
        if loop.book.append(page, started.to_line(), f"Retraining starts: {loop.why}") is not None:
            return None
    raise DependencyError(f"{loop.place} could not be written: others always were faster", "try again later")


def _end(loop: Loop, ended: Entry) -> None:
    """Write down how it ended; what cannot be written is told, for the next run takes it for one that still runs."""
    try:
        for _ in range(_ATTEMPTS):
            page = loop.book.read()
            if loop.book.append(page, ended.to_line(), f"Retraining ended: {ended.outcome}") is not None:
                return
    except CiMlError as error:
        loop.notice(f"that it ended could not be written down: {error.what}")
        return
    loop.notice("that it ended could not be written down: others always were faster")
