"""A report was judged by a configuration when every comparison asks for what its gate asks for."""

from collections.abc import Callable
from typing import Any

import pytest

from ci_ml.core.compare import Comparison, compare, compare_data, compare_measured, compare_slices
from ci_ml.core.config import Config, GateConfig, load
from ci_ml.core.expectations import ANY, NONE, Kind, Rule, expected
from ci_ml.core.gates import of, on_data, on_slice
from ci_ml.core.report import Report, contradictions
from ci_ml.core.report import load as read
from ci_ml.core.types import Contrast, DataKey, Measurement, MetricKey, Severity, Slice
from ci_ml.core.upheld import weakened
from tests.reports import contrast, report

YAML = b"""\
version: 1
predictions:
  test: {path: test.csv, task: binary, id: id, label: label, prediction: pred, score: score}
data:
  train: {path: train.csv, columns: {age: {min: 0}}}
gates:
  - metric: test.recall
    margin: 0.01
    floor: 0.5
    slices: {by: [country], margin: 0.05, min_n: 50}
  - {metric: "eval/*.json:acc*", direction: higher, margin: 2%}
  - {metric: "eval/a.json:loss", direction: lower, severity: warn}
"""


@pytest.fixture(scope="module")
def config() -> Config:
    return load(YAML, "ci-ml.yaml").config


def judged(config: Config) -> Report:
    """What a check of this configuration leaves: the accuracy has regressed."""
    recall, accuracy, loss = config.gates

    def number(gate: GateConfig, metric: str, base: float, head: float) -> Comparison:
        path, _, key = metric.partition(":")
        sides = [Measurement(value=value, source=metric) for value in (base, head)]
        return compare(of(gate, MetricKey(path=path, key=key)), *sides)

    return report(
        compare_measured(of(recall, recall.key), contrast(0.8, 0.81, 0.005)),
        *compare_slices(
            [(on_slice(recall, Slice(parts=(("country", name),))), contrast(0.8, 0.8, 0.005)) for name in ("de", "fr")]
        ),
        number(accuracy, "eval/a.json:accuracy", 0.9, 0.5),
        number(loss, "eval/a.json:loss", 0.3, 0.3),
        *(
            compare_data(
                on_data(rule.key("train"), rule.limit, config.data["train"].severity),
                Contrast(base=None, head=0.0, n=9, method="count"),
            )
            for rule in expected(config.data["train"]).rules
        ),
    )


def edited(found: Report, change: Callable[[list[dict[str, Any]]], Any]) -> Report:
    document = found.model_dump(mode="json", by_alias=True)
    change(document["comparisons"])
    outcomes = [item["impact"] for item in document["comparisons"]]
    document["verdict"]["outcome"] = next((word for word in ("fail", "undecided", "warn") if word in outcomes), "pass")
    return Report.model_validate(document)


def one(items: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    return next(item for item in items if item["metric"] == metric and not item["slice"])


def test_what_was_judged_by_it_is_upheld(config: Config) -> None:
    found = judged(config)
    assert weakened(found, config) == []
    assert weakened(read(found.to_json().encode(), "report.json"), config) == []


def test_a_failing_report_that_was_edited_without_a_contradiction(config: Config) -> None:
    def only_report(items: list[dict[str, Any]]) -> None:
        for item in items:
            item.update(require="report", impact="pass")

    found = edited(judged(config), only_report)
    assert (contradictions(found), found.verdict.outcome.value) == ([], "pass"), "it follows from itself"
    assert "require of eval/a.json:accuracy is report, and no_regression in ci-ml.yaml" in weakened(found, config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda items: one(items, "eval/a.json:accuracy").update(severity="warn"), "severity of eval/a.json:accuracy"),
        (lambda items: one(items, "eval/a.json:accuracy").update(margin="90.0%"), "margin of eval/a.json:accuracy"),
        (lambda items: one(items, "test.recall").update(floor=None), "floor of test.recall is None, and 0.5"),
        (lambda items: one(items, "eval/a.json:loss").update(direction="higher"), "direction of eval/a.json:loss"),
        (lambda items: items.remove(one(items, "eval/a.json:accuracy")), "eval/*.json:acc* is not among"),
        (lambda items: items.remove(one(items, "eval/a.json:loss")), "eval/a.json:loss is not among"),
        (lambda items: [item.update(min_n=10**6) for item in items if item["slice"]], "min_n of test.recall on"),
        (lambda items: items.__setitem__(slice(None), [i for i in items if not i["slice"]]), "test.recall by country"),
        (lambda items: one(items, "train.age: at least 0").update(severity="warn"), "severity of train.age: at least"),
        (lambda items: one(items, "train.age: at least 0").update(require="report"), "require of train.age: at least"),
        (lambda items: one(items, "train.age: at least 0").update(ceiling=1e9), "ceiling of train.age: at least"),
        (lambda items: items.remove(one(items, "train.age: at least 0")), "train.age: at least 0 is not among"),
    ],
)
def test_less_than_was_asked_for(config: Config, change: Callable[[list[dict[str, Any]]], Any], words: str) -> None:
    problems = weakened(edited(judged(config), change), config)
    assert any(words in problem for problem in problems), problems


def test_the_rules_of_a_schema_which_only_the_model_knows_have_no_other_limits() -> None:
    config = load(
        b"version: 1\ndata: {train: {path: a.csv, schema: 'a.py:A', columns: {age: {}}}}\n", "ci-ml.yaml"
    ).config
    own = expected(config.data["train"]).rules
    rules = [
        *own,
        Rule(what="at most 9", kind=Kind.MAX),
        Rule(what="is there", kind=Kind.MISSING, limit=ANY, warns=True),
    ]
    found = report(
        *(
            compare_data(
                on_data(rule.key("train"), rule.limit, Severity.WARN if rule.warns else Severity.BLOCK),
                Contrast(base=None, head=0.0, n=9, method="count"),
            )
            for rule in rules
        ),
        compare_data(
            on_data(DataKey(table="train", subject="", what="no other columns"), NONE, Severity.BLOCK, "columns"),
            Contrast(base=None, head=0.0, n=9, method="count"),
        ),
    )
    assert weakened(found, config) == []
    for name in ("train: at most 9", "train: is there", "train: no other columns"):
        for update in ({"ceiling": 7.0}, {"require": "report"}, {"absolute": False}, {"min_n": 10}):
            problems = weakened(edited(found, lambda items, n=name, u=update: one(items, n).update(u)), config)
            assert any(name in problem for problem in problems), (name, update, problems)
    own_warns = edited(found, lambda items: one(items, "train.age: no missing values").update(severity="warn"))
    assert weakened(own_warns, config) == ["severity of train.age: no missing values is warn, and block in ci-ml.yaml"]
