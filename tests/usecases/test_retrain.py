"""The loop with a record in memory; what it runs is real in tests/e2e/test_retrain.py."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ci_ml.core import retraining
from ci_ml.core.ledger import Page
from ci_ml.core.report import Report
from ci_ml.core.retraining import Entry, Merge, RetrainConfig
from ci_ml.core.types import Outcome
from ci_ml.errors import DependencyError, StageFailed
from ci_ml.usecases.retrain import Loop, merges, retrain
from tests.reports import report

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@dataclass
class Memory:
    """A record; `rivals` write before us, so that our first attempts come late."""

    lines: bytes = b""
    rivals: list[Entry] = field(default_factory=list)
    broken: bool = False

    def read(self) -> Page:
        return Page(lines=self.lines)

    def append(self, page: Page, line: str, subject: str) -> Page | None:
        assert subject
        if self.broken:
            raise DependencyError("the server is gone")
        if self.rivals:
            self.lines += self.rivals.pop().to_line().encode()
        if page.lines != self.lines:
            return None
        self.lines += line.encode()
        return Page(lines=self.lines)

    @property
    def entries(self) -> list[Entry]:
        return list(retraining.entries(self.lines, "the record"))


def judged(outcome: Outcome) -> Report:
    found = report()
    return found.model_copy(update={"verdict": found.verdict.model_copy(update={"outcome": outcome})})


@dataclass
class Steps:
    """What ran, in order."""

    ran: list[str] = field(default_factory=list)
    changed: bool = True
    outcome: Outcome = Outcome.PASS
    error: Exception | None = None
    notices: list[str] = field(default_factory=list)

    def loop(self, book: Memory, **settings: Any) -> Loop:
        def step(name: str) -> None:
            self.ran.append(name)

        def train() -> bool:
            step("train")
            if self.error:
                raise self.error
            return self.changed

        def judge() -> Report:
            step("judge")
            return judged(self.outcome)

        def propose(_: Report) -> str | None:
            step("propose")
            return "https://forge.example/pull/7"

        clock = iter(NOW + timedelta(minutes=count) for count in range(1000))
        now: Callable[[], datetime] = lambda: next(clock)  # noqa: E731
        given = Loop(
            book=book,
            place="the record",
            chosen=RetrainConfig(),
            now=now,
            why="the clock",
            commit="a" * 40,
            run_url=None,
            refresh=lambda: step("refresh"),
            train=train,
            judge=judge,
            propose=propose,
            notice=self.notices.append,
        )
        return replace(given, **settings)


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.WARN])
def test_a_challenger_that_passes_is_proposed(outcome: Outcome) -> None:
    steps, book = Steps(outcome=outcome), Memory()
    turn = retrain(steps.loop(book))
    assert steps.ran == ["refresh", "train", "judge", "propose"]
    assert turn.proposal == "https://forge.example/pull/7"
    started, ended = book.entries
    assert (started.event, ended.event) == ("started", "ended")
    assert started.id == ended.id
    assert ended.at > started.at
    assert ended.outcome == outcome
    assert ended.proposal == turn.proposal
    assert ended.why == "the clock"


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.UNDECIDED])
def test_a_challenger_that_does_not_is_not(outcome: Outcome) -> None:
    steps, book = Steps(outcome=outcome), Memory()
    turn = retrain(steps.loop(book))
    assert steps.ran == ["refresh", "train", "judge"]
    assert turn.outcome is outcome
    assert book.entries[-1].outcome is outcome


def test_nothing_new_is_not_judged() -> None:
    steps, book = Steps(changed=False), Memory()
    assert retrain(steps.loop(book)).report is None
    assert steps.ran == ["refresh", "train"]
    assert book.entries[-1].outcome == "unchanged"


@pytest.mark.parametrize(
    "error", [StageFailed("train", "python train.py", 1, []), KeyboardInterrupt(), ValueError("x")]
)
def test_however_it_ends_the_record_says_so(error: Exception) -> None:
    steps, book = Steps(error=error), Memory()
    with pytest.raises(type(error)):
        retrain(steps.loop(book))
    assert book.entries[-1].outcome == "error"
    assert retraining.refusal(book.entries, RetrainConfig(), NOW + timedelta(hours=1)) is None


def test_while_one_runs_no_other_starts() -> None:
    book = Memory()
    book.lines = Entry(id="other", event="started", at=NOW, why="somebody").to_line().encode()
    steps = Steps()
    turn = retrain(steps.loop(book))
    assert "one is running since" in str(turn.refused)
    assert steps.ran == []
    assert len(book.entries) == 1


def test_of_two_that_start_at_once_one_is_refused() -> None:
    book = Memory(rivals=[Entry(id="other", event="started", at=NOW, why="somebody")])
    assert "one is running since" in str(retrain(Steps().loop(book)).refused)


def test_force_skips_the_cool_down_and_not_the_one_that_runs() -> None:
    chosen = RetrainConfig.model_validate({"cool_down": "24h", "budget": {"per": "7d", "runs": 1}})
    book = Memory()
    assert retrain(Steps().loop(book, chosen=chosen)).refused is None
    assert "cool_down" in str(retrain(Steps().loop(book, chosen=chosen)).refused)
    assert retrain(Steps().loop(book, chosen=chosen, forced=True)).refused is None
    book.lines += Entry(id="other", event="started", at=NOW, why="somebody").to_line().encode()
    assert "is running" in str(retrain(Steps().loop(book, chosen=chosen, forced=True)).refused)


def test_a_record_that_cannot_be_written_starts_nothing() -> None:
    steps = Steps()
    with pytest.raises(DependencyError, match="the server is gone"):
        retrain(steps.loop(Memory(broken=True)))
    assert steps.ran == []


def test_an_end_that_cannot_be_written_is_told_and_costs_no_verdict() -> None:
    steps, book = Steps(), Memory()

    def judge() -> Report:
        book.broken = True
        return judged(Outcome.PASS)

    assert retrain(steps.loop(book, judge=judge)).outcome is Outcome.PASS
    assert steps.notices == ["that it ended could not be written down: the server is gone"]


@pytest.mark.parametrize(
    ("merge", "outcome", "merged"),
    [
        (Merge.NEVER, Outcome.PASS, False),
        (Merge.HELD, Outcome.PASS, True),
        (Merge.HELD, Outcome.WARN, False),
        (Merge.HELD, Outcome.FAIL, False),
    ],
)
def test_who_merges(merge: Merge, outcome: Outcome, merged: bool) -> None:
    assert merges(judged(outcome), merge) is merged
