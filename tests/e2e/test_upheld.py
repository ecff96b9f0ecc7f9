"""A report of `ci-ml check` with a gate of every kind, held against its ci-ml.yaml: whatever is missing is noticed."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from ci_ml.core.config import Config, load
from ci_ml.core.report import ComparisonPart, Report, contradictions
from ci_ml.core.report import load as read
from ci_ml.core.types import Outcome
from ci_ml.core.upheld import weakened
from tests.e2e.predictions import customers, text, wobbling
from tests.e2e.project import Project

CONFIG = """\
version: 1
predictions:
  test: {path: eval/test.csv, task: binary, id: row, label: churned, score: p}
gates:
  - {metric: test.recall, margin: 0.05, floor: 0.3, slices: {by: [country], margin: 0.2, min_n: 50, floor: 0.1}}
  - {metric: test.roc_auc, margin: 2%, require: non_inferior}
  - {metric: test.accuracy, margin: 0.1, gap: {by: country}}
  - {metric: "eval/*.json:acc*", direction: higher, margin: 1%, floor: 0.5}
  - {metric: "eval/b.json:loss", direction: lower, severity: warn, ceiling: 2}
  - {metric: "eval/seed-*.json:score", direction: higher, margin: 0.2, repeats: true}
data:
  train:
    path: data/train.csv
    columns: {age: {type: integer, min: 0, max: 120}, income: {missing: 1%}, country: {required: false}, row: {}}
    closed: true
    rows: {min: 10, max: 100000, change: 50%}
    unique: [[row]]
    rules: {grown: age >= 0}
    label: country
    disjoint_from: {table: other, by: row}
    balance: 0.2
    integrity: true
    same_columns_as: {table: other, beyond: 5%, ignore: row}
    drift: {columns: {never: [age]}, share: 0.5, limits: {psi: 0.4, wasserstein: 0.3}}
  other:
    path: data/other.csv
    drift: {reference: train, share: 60%, columns: {only: [age, income]}, alpha: 0.01}
  fresh:
    path: data/fresh.csv
    rows: {change: 10%}
    label: country
    balance: 0.1
    drift: {}
testsets:
  holdout: {path: eval/test.csv, looks: 8, past: undecided}
"""
# What the base never had, so that there is nothing to compare it with.
NEW = {
    "fresh: number of rows within 10% of the base",
    "fresh: balance of country as in the base",
    "fresh: share of columns that drifted",
}


def people(seed: int, start: int, income: float = 3000.0) -> dict[str, list[Any]]:
    draw = random.Random(seed)
    return {
        "row": list(range(start, start + 400)),
        "age": [draw.randint(18, 90) for _ in range(400)],
        "income": [round(draw.gauss(income, 500), 2) for _ in range(400)],
        "country": [draw.choice(["DE", "FR"]) for _ in range(400)],
    }


def measured(project: Project, better: float) -> None:
    project.write("eval/a.json", {"accuracy": 0.9 + better, "accent": 0.8})
    project.write("eval/b.json", {"loss": 0.3 - better})
    for seed in range(4):
        project.write(f"eval/seed-{seed}.json", {"score": 0.8 + better + seed / 100})
    project.write("eval/test.csv", text(wobbling(customers(), better), "test.csv"))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Report:
    root = tmp_path_factory.mktemp("upheld") / "repo"
    root.mkdir()
    project = Project(root=root, env=environment)
    project.git("init", "--quiet", "--initial-branch", "main")
    project.write("ci-ml.yaml", CONFIG)
    for name, seed in (("train", 1), ("other", 2)):
        project.write(f"data/{name}.csv", text(people(seed, 1000 * seed), f"{name}.csv"))
    measured(project, 0.0)
    project.commit("base")
    project.branch()
    project.write("data/train.csv", text(people(3, 1000, 3250.0), "train.csv"))
    project.write("data/fresh.csv", text(people(4, 5000), "fresh.csv"))
    measured(project, 0.01)
    project.commit("change")
    project.ci_ml("check").expect(0)
    return read(project.read(".ci-ml/report.json").encode(), "report.json")


@pytest.fixture(scope="module")
def config() -> Config:
    return load(CONFIG.encode(), "ci-ml.yaml").config


def problems(report: Report, config: Config) -> list[str]:
    return [*contradictions(report), *weakened(report, config)]


def test_a_report_that_nobody_has_touched_is_upheld(judged: Report, config: Config) -> None:
    assert problems(judged, config) == []
    metrics = {item.metric for item in judged.comparisons}
    assert {item.metric for item in judged.comparisons if item.status == "new"} == NEW
    assert metrics > {
        "test.recall", "test.accuracy gap by country", "eval/a.json:accent", "eval/seed-*.json:score", "train.age drift",
        "train: no other columns", "train: other columns together", "train: grown", "train: no row of other",
        "train: ranges and categories cover other", "train: no new copied columns", "other: share of columns that drifted",
    }  # fmt: skip


def with_items(report: Report, items: Iterable[ComparisonPart], told: int | None) -> Report:
    policy = report.policy.model_copy(update={"comparisons": told})
    return report.model_copy(update={"comparisons": tuple(items), "policy": policy})


def test_a_comparison_that_was_taken_out_is_missed(judged: Report, config: Config) -> None:
    for taken in judged.comparisons:
        others = [item for item in judged.comparisons if item is not taken]
        assert problems(with_items(judged, others, len(judged.comparisons)), config), taken.name


def test_a_gate_that_was_taken_out_is_missed_whatever_the_report_counts(judged: Report, config: Config) -> None:
    """The report's own count is made right, too: then it is ci-ml.yaml that asks for more."""
    of_a_glob = {"eval/a.json:accuracy", "eval/a.json:accent"}  # while one of them is there, so is their gate
    for metric in dict.fromkeys(item.metric for item in judged.comparisons):
        others = [item for item in judged.comparisons if item.metric != metric]
        found = weakened(with_items(judged, others, len(others)), config)
        assert found or metric in of_a_glob, metric
    others = [item for item in judged.comparisons if item.metric not in of_a_glob]
    assert weakened(with_items(judged, others, len(others)), config)
    assert weakened(with_items(judged, judged.comparisons, None), config), "no count is no excuse"


# What nobody may write in place of what is asked for, by the field of a comparison.
LIMITS = {
    "require": ["report", "non_inferior", "no_regression"],
    "severity": ["warn", "block"],
    "direction": ["higher", "lower"],
    "margin": [0.9, "99%"],
    "floor": [None, -1.0],
    "ceiling": [None, 1e9],
    "min_n": [None, 10**6],
    "confidence": [None, 0.5, 0.999],
    "absolute": [True, False],
    "slice": [{"country": "XX", "plan": "XX"}],
}


def edits(item: ComparisonPart) -> Iterator[tuple[str, Any]]:
    document = item.model_dump(mode="json")
    for key, values in LIMITS.items():
        if key != "confidence" or item.confidence is not None:
            yield from ((key, value) for value in values if value != document[key])


def test_a_limit_that_was_changed_is_noticed(judged: Report, config: Config) -> None:
    unnoticed = []
    for index, item in enumerate(judged.comparisons):
        for key, value in edits(item):
            edited = ComparisonPart.model_validate({**item.model_dump(mode="json"), key: value})
            items = [*judged.comparisons[:index], edited, *judged.comparisons[index + 1 :]]
            if not weakened(with_items(judged, items, len(items)), config):
                unnoticed.append((item.name, key, value))
    assert unnoticed == []


def test_a_drift_that_contradicts_itself_is_noticed(judged: Report, config: Config) -> None:
    """What drifted is counted in one place and named in others."""

    def with_share(**update: Any) -> list[str]:
        items = [
            item.model_copy(update=update) if item.metric == "train: share of columns that drifted" else item
            for item in judged.comparisons
        ]
        return weakened(with_items(judged, items, len(items)), config)

    assert with_share(n=3) == [
        "train: share of columns that drifted is about 3 columns, and 4 are among its comparisons"
    ]
    assert with_share(head=0.0) == ["train: share of columns that drifted is 0.0, and 1 of 4 columns drifted"]
    drifts = [part.model_copy(update={"share_limit": 0.9}) for part in judged.drifts]
    assert weakened(judged.model_copy(update={"drifts": tuple(drifts)}), config)


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"of": 9}, "the test set holdout bears 9 looks, and 8 in ci-ml.yaml"),
        ({"look": 9}, "undecided with the test set holdout: look 9 of 8"),
        ({"look": None}, "warn with the test set holdout: look unknown of 8"),
        (None, "warn with the test set holdout: no look at it"),
    ],
)
def test_a_test_set_that_is_worn_out_or_left_out(
    judged: Report, config: Config, update: dict[str, Any] | None, words: str
) -> None:
    parts = () if update is None else (judged.testsets[0].model_copy(update=update),)
    verdict = judged.verdict.model_copy(update={"outcome": Outcome.PASS})
    (problem,) = weakened(judged.model_copy(update={"testsets": parts, "verdict": verdict}), config)
    assert problem.endswith(words)
