"""Which of many experiments is the best, and by what none may be chosen."""

from typing import Any

import pytest

from ci_ml.core import search
from ci_ml.core.config import Config
from ci_ml.core.retraining import SearchConfig
from ci_ml.core.search import Tried
from ci_ml.core.types import Gap, Measurement, Reading
from ci_ml.errors import DependencyError, UsageError


def asked(direction: str = "higher", metric: str = "validation.json:auc") -> SearchConfig:
    return SearchConfig.model_validate({"params": "a=1,2", "metric": metric, "direction": direction})


def tried(*values: float | None) -> list[Tried]:
    def reading(value: float | None) -> Reading:
        return Gap(reason="it failed") if value is None else Measurement(value=value, source="validation.json:auc")

    trials = search.trials([{"params.yaml": (f"a={number}",)} for number in range(len(values))])
    return [Tried(trial=trial, reading=reading(value)) for trial, value in zip(trials, values, strict=True)]


@pytest.mark.parametrize(
    ("direction", "values", "best"),
    [
        ("higher", [0.1, 0.9, 0.5], 2),
        ("lower", [0.1, 0.9, 0.5], 1),
        ("higher", [0.9, 0.9], 1),
        ("lower", [0.2, 0.1, 0.1], 2),
        ("higher", [None, -5.0], 2),
        ("lower", [None, 5.0], 2),
    ],
)
def test_the_best_is_chosen_and_of_equals_the_first(direction: str, values: list[float | None], best: int) -> None:
    assert search.conclusion(asked(direction), len(values), tried(*values)).best.trial.number == best


def test_what_was_left_out_and_what_failed_is_told() -> None:
    first, more, lost = search.conclusion(asked(), 10, tried(0.5, None)).notes
    assert first == "search: of 2 experiments, validation.json:auc is highest (0.5) with a=0"
    assert more.startswith("search: 2 of 10 combinations were tried")
    assert lost == "search: 1 experiment came to nothing: a=1 (it failed)"


def test_all_failed_is_an_error() -> None:
    with pytest.raises(DependencyError, match=r"none of 2 experiments has validation\.json:auc: a=0: it failed; a=1"):
        search.conclusion(asked(), 2, tried(None, None))


def test_parameters_of_other_files_are_named_with_them() -> None:
    (trial,) = search.trials([{"params.yaml": ("a=1", "b=2"), "more.yaml": ("c=3",)}])
    assert trial.words == "a=1, b=2, more.yaml:c=3"


@pytest.mark.parametrize(
    ("gate", "refused"),
    [
        ({"metric": "test.json:auc"}, True),
        ({"metric": "*.json:*"}, True),
        ({"metric": "test.json:auc", "severity": "warn"}, True),
        ({"metric": "test.json:auc", "require": "report"}, False),
        ({"metric": "test.json:loss"}, False),
    ],
)
def test_a_number_that_a_gate_judges_chooses_nothing(gate: dict[str, Any], refused: bool) -> None:
    chosen = Config.model_validate({"version": 1, "gates": [{**gate, "direction": "higher"}]})
    if refused:
        with pytest.raises(UsageError, match=r"retrain\.search\.metric: the gate .* judges test\.json:auc"):
            search.refuse_test_set(chosen, asked(metric="test.json:auc"))
    else:
        search.refuse_test_set(chosen, asked(metric="test.json:auc"))


@pytest.mark.parametrize(
    "metric", ["test.roc_auc", "file.json:", ":key", "*.json:auc", "file.json:a.*", "/file.json:a"]
)
def test_the_metric_is_one_number_in_a_file(metric: str) -> None:
    with pytest.raises(ValueError, match="metric"):
        asked(metric=metric)
