from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from ci_ml.core import retraining
from ci_ml.core.retraining import Entry, RetrainConfig, refusal
from ci_ml.core.types import Outcome
from ci_ml.errors import UsageError

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def config(**settings: Any) -> RetrainConfig:
    return RetrainConfig.model_validate(settings)


def run(began: timedelta, took: timedelta | None, name: str = "a") -> list[Entry]:
    """A retraining that began so long ago and took so long; None for one that never said that it ended."""
    first = Entry(id=name, event="started", at=NOW - began, why="the clock")
    if took is None:
        return [first]
    return [first, Entry(id=name, event="ended", at=NOW - began + took, why="the clock", outcome=Outcome.PASS)]


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def test_the_first_may_start() -> None:
    assert refusal([], config(cool_down="24h", budget={"per": "7d", "runs": 1}), NOW) is None


def test_one_at_a_time() -> None:
    assert "one is running since 2026-03-10 11:00 UTC (the clock)" in str(refusal(run(hours(1), None), config(), NOW))


def test_one_that_was_killed_does_not_block_for_ever() -> None:
    assert refusal(run(hours(25), None), config(), NOW) is None
    assert refusal(run(hours(3), None), config(longest="2h"), NOW) is None


def test_cool_down_counts_from_the_end() -> None:
    record = run(hours(25), hours(2))
    assert "another may start in 1 hour (cool_down)" in str(refusal(record, config(cool_down="24h"), NOW))
    assert refusal(record, config(cool_down="23h"), NOW) is None


def test_a_number_of_runs() -> None:
    chosen = config(budget={"per": "7d", "runs": 2})
    record = [*run(hours(100), hours(1), "a"), *run(hours(50), hours(1), "b")]
    assert "there were 2 in the last 7 days, and the budget is 2" in str(refusal(record, chosen, NOW))
    assert refusal([*run(hours(24 * 8), hours(1), "a"), *run(hours(50), hours(1), "b")], chosen, NOW) is None


def test_minutes_add_up_also_those_of_one_that_was_killed() -> None:
    chosen = config(budget={"per": "7d", "minutes": 90}, longest="1h")
    record = [*run(hours(100), hours(0.5), "a"), *run(hours(50), None, "b")]
    assert "took 1 hour 30 minutes, and the budget is 1 hour 30 minutes" in str(refusal(record, chosen, NOW))
    assert refusal(record[:2], chosen, NOW) is None


def test_entries_of_one_run_may_come_in_any_order() -> None:
    record = [*run(hours(3), hours(1), "a"), *run(hours(2), hours(1), "b")]
    assert refusal(record, config(cool_down="2h"), NOW) == refusal(record[::-1], config(cool_down="2h"), NOW)


def test_the_record_is_read_as_it_was_written() -> None:
    record = tuple(run(hours(3), hours(1)))
    assert retraining.entries("".join(entry.to_line() for entry in record).encode(), "the record") == record


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"schema": "ci-ml/retraining/v2"}', b"\xff", b'{"at": 1}', b"[" * 5000]
)
def test_a_record_that_somebody_has_edited_is_an_error_with_its_line(line: bytes) -> None:
    whole = run(hours(3), None)[0].to_line().encode() + line + b"\n"
    with pytest.raises(UsageError, match="the record, line 2"):
        retraining.entries(whole, "the record")


@pytest.mark.parametrize(
    ("record", "outcome"),
    [(run(hours(1), None), "running"), (run(hours(30), None), "lost"), (run(hours(3), hours(1)), "pass")],
)
def test_the_record_says_how_each_ended(record: list[Entry], outcome: str) -> None:
    (found,) = retraining.runs(record, NOW, timedelta(hours=24))
    assert (found.outcome, found.why) == (outcome, "the clock")


def test_an_entry_says_when_with_its_zone() -> None:
    with pytest.raises(ValidationError):
        Entry(id="a", event="started", at=datetime(2026, 3, 10), why="")  # noqa: DTZ001


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"budget": {"per": "7d"}}, "runs"),
        ({"refresh": {}}, "name one of"),
        ({"refresh": {"stages": "fetch", "command": ["true"]}}, "name one of"),
        ({"cool_down": "soon"}, "length of time"),
        ({"branch": "-f"}, "pattern"),
        ({"merge": "always"}, "never"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        config(**settings)
