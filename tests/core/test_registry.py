"""`registry:` in ci-ml.yaml, and what follows from records of promotions."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import config, promotions
from ci_ml.core.promotions import LEASE, Action, Promotion, Step, fold
from ci_ml.core.references import IN_PRODUCTION
from ci_ml.core.serving import compared
from ci_ml.errors import ConfigError

HEAD = """\
version: 1
gates: [{metric: "metrics.json:accuracy", direction: higher}]
predictions: {test: {path: p.csv, task: binary, id: id, label: y, prediction: said}}
"""
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        config.load((HEAD + text).encode(), "ci-ml.yaml")
    return "\n".join(error.value.problems)


def test_a_registry_with_everything() -> None:
    text = """\
registry:
  churn:
    model: ./models/churn/
    aliases:
      champion: {approvals: 2, from: [ada, "@acme/risk"]}
      shadow:
    serve: {sample: data/test.csv, predictions: test, rows: 10, tolerance: 0.001, columns: [a, b], output: 0}
  other: {model: m.bin}
"""
    found = config.load((HEAD + text).encode(), "ci-ml.yaml").config.registry
    assert found["churn"].model == "models/churn"
    assert list(found["churn"].aliases) == ["champion", "shadow"]
    assert found["churn"].aliases["champion"].from_ == ("ada", "@acme/risk")
    assert list(found["other"].aliases) == ["champion"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("registry: {a/b: {model: m}}", "registry.a/b: the name of a model is a letter, then letters"),
        ("registry: {churn: {}}", "registry.churn.model: missing"),
        ("registry: {churn: {model: ../m}}", "is relative to the folder of ci-ml.yaml"),
        ("registry: {churn: {model: m, aliases: {latest: {}}}}", "'latest' means a version to MLflow"),
        ("registry: {churn: {model: m, aliases: {V12: {}}}}", "'V12' means a version to MLflow"),
        ("registry: {churn: {model: m, aliases: {a b: {}}}}", "an alias is a letter, then letters"),
        ("registry: {churn: {model: m, aliases: {}}}", "must not be empty"),
        ("registry: {churn: {model: m, aliases: {a: {approvals: -1}}}}", "approvals"),
        ("registry: {churn: {model: m, aliases: {a: {from: ['a b']}}}}", "must be a login, or @organization/team"),
        ("registry: {churn: {model: m, alias: {}}}", "unknown key; did you mean aliases?"),
        ("registry: {churn: {model: m, serve: {sample: s.csv, predictions: tset}}}", "no table tset under predictions"),
        ("registry: {churn: {model: m, serve: {sample: s.pkl, predictions: test}}}", "must end with .parquet"),
        ("registry: {churn: {model: m, serve: {sample: s.csv, predictions: test, tolerance: .nan}}}", "tolerance"),
    ],
)
def test_mistakes(text: str, words: str) -> None:
    assert words in problems(text)


@pytest.mark.parametrize("given_", ["mlflow:models:/churn@champion", "mlflow:models:/churn/3"])
def test_a_baseline_in_production(given_: str) -> None:
    assert config.load((HEAD + f'baseline: "{given_}"').encode(), "c").config.baseline == given_
    assert IN_PRODUCTION.fullmatch(given_)


@pytest.mark.parametrize("given_", ["mlflow:churn", "mlflow:models:/churn", "mlflow:models:/a b@c", "mlflow:runs:/1"])
def test_no_baseline(given_: str) -> None:
    assert "must be auto" in problems(f'baseline: "{given_}"')


def what(action: Action, of: Action = Action.PROMOTE, **more: Any) -> Promotion:
    known: dict[str, Any] = {"aliases": ("champion",), "previous": {"champion": None}}
    return Promotion(model="churn", action=action, of=of, **{**known, **more})


def step(number: int, about: Promotion, minutes: float = 0) -> Step:
    at = NOON + dt.timedelta(minutes=minutes)
    return Step(number=number, at=at, record=f"sha256:{number:064x}", entry=f"sha256:{number:064x}", what=about)


def ends(begin: Step, number: int, version: str, action: Action = Action.PROMOTE) -> Step:
    return step(number, what(action, begin.what.of, begun=begin.record, version=version))


def test_a_begin_while_another_is_under_way_is_void_until_that_one_is_old() -> None:
    first = step(1, what(Action.BEGIN))
    for minutes, holder in ((1, 1), (LEASE.total_seconds() / 60, 2)):
        state = fold([first, step(2, what(Action.BEGIN), minutes)])
        assert state.holder is not None
        assert state.holder.number == holder
    for later in (what(Action.BEGIN, Action.ROLLBACK, version="1"), what(Action.BEGIN, forced=True)):
        state = fold([first, step(2, later)])
        assert state.holder is not None
        assert state.holder.number == 2
        assert fold([first, step(2, later), ends(first, 3, "9")]).done == (), "its turn is over"


def test_an_end_counts_for_who_has_the_turn() -> None:
    first = step(1, what(Action.BEGIN))
    assert fold([first, ends(first, 2, "1")]).targets == {"champion": "1"}
    stranger = step(2, what(Action.PROMOTE, begun=f"sha256:{9:064x}", version="1"))
    assert fold([first, stranger]).targets == {}
    assert fold([ends(first, 2, "1")]).targets == {}
    gone = fold([first, ends(first, 2, "1", Action.ABANDON)])
    assert (gone.targets, gone.holder) == ({}, None)


@given(st.lists(st.tuples(st.sampled_from(list(Action)), st.integers(0, 9), st.integers(0, 30)), max_size=30))
def test_any_order_of_entries_has_a_meaning(entries: list[tuple[Action, int, int]]) -> None:
    """Nothing that stands in a ledger makes it unreadable, and only ends that follow their begin move an alias."""
    steps = []
    for number, (action, begun, minutes) in enumerate(entries, start=1):
        of = Action.ROLLBACK if action is Action.ROLLBACK else Action.PROMOTE
        more = {} if action is Action.BEGIN else {"begun": f"sha256:{begun:064x}"}
        steps.append(step(number, what(action, of, version=str(number), **more), minutes))
    state = fold(steps)
    for done in state.done:
        begin = steps[int((done.what.begun or "sha256:0")[7:], 16) - 1]
        assert begin.what.action is Action.BEGIN
        assert begin.number < done.number
    assert set(state.targets.values()) <= {done.what.version for done in state.done}


@pytest.mark.parametrize(
    "document",
    [
        {}, {"model": "m"}, {"model": "m", "action": "delete", "of": "promote", "aliases": ["a"], "previous": {}},
        {"model": "m", "action": "begin", "of": "promote", "aliases": [], "previous": {}},
        {"model": "m", "action": "begin", "of": "promote", "aliases": ["a"], "previous": {}, "report": "sha256:x"},
        {"model": "m", "action": "begin", "of": "promote", "aliases": ["a"], "previous": {}, "commit": "--help"},
        {"model": "m" * 300, "action": "begin", "of": "promote", "aliases": ["a"], "previous": {}},
    ],
)  # fmt: skip
def test_what_is_no_promotion(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no promotion"):
        promotions.read(document)


def test_a_promotion_reads_as_it_was_written() -> None:
    made = what(Action.PROMOTE, version="3", outputs={"m": "0" * 64}, begun=f"sha256:{1:064x}")
    assert promotions.read(json.loads(json.dumps(made.data()))) == made


class TestServing:
    def test_the_same_answers(self) -> None:
        found = compared([1, "2", 3.0], [0.5, True, "cat"], {"1": 0.5 + 1e-9, "2": 1, "3": "cat"}, 1e-6)
        assert found.same
        assert found.sentence == "all 3 rows are answered as they were evaluated, up to 1e-09"

    @pytest.mark.parametrize(
        ("answer", "evaluated"), [(0.5, 0.6), ("cat", "dog"), (None, 1.0), (1.0, None), (None, None), ("1", 2)]
    )
    def test_other_answers(self, answer: Any, evaluated: Any) -> None:
        found = compared([1], [answer], {"1": evaluated}, 1e-6)
        assert (found.rows, found.differing, found.same) == (1, 1, False)

    def test_rows_that_nobody_has_evaluated(self) -> None:
        found = compared([1, 2], [1, 1], {"1": 1}, 0)
        assert not found.same
        assert "1 rows of the sample were never evaluated" in found.sentence
        assert "none of the rows was evaluated" in compared([2], [1], {"1": 1}, 0).sentence
        assert not compared([], [], {}, 0).same
