"""ci-ml.yaml with tables of predictions: what is read, and what every mistake is told like."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import config
from ci_ml.core.catalogue import METRICS, Asked, Task, parse
from ci_ml.core.config import Config
from ci_ml.core.documents import parse as document
from ci_ml.core.types import Direction, Margin, TableKey
from ci_ml.errors import ConfigError

BINARY = "path: p.csv, task: binary, id: i, label: y, score: s"
SEVERAL = "path: p.csv, task: multiclass, id: i, label: y, prediction: p"
NUMBERS = "path: p.csv, task: regression, id: i, label: y, prediction: p"

CONTRACT = """\
version: 1
predictions:
  test:
    path: eval/predictions.parquet
    task: binary
    id: row_id
    label: churned
    score: p_churn
    threshold: 0.4
    cluster: customer_id
    labels: head
  seeds: {repeats: eval/seed-*.jsonl.gz, task: multiclass, id: i, label: y, score: p_*, prediction: class}
  prices: {path: p.tsv, task: regression, id: i, label: y, prediction: p}
gates:
  - metric: test.roc_auc
    margin: 0.005
    require: non_inferior
  - metric: test.recall_score
    floor: 0.80
    margin: 0.01
    slices: {by: [country, plan, [country, plan]], margin: 3%, min_n: 200, floor: 0.7}
  - {metric: "seeds.recall[a/b: c]", margin: 0.02}
  - {metric: seeds.f1_macro}
  - {metric: prices.pinball(0.9), margin: 5%}
  - {metric: prices.mean(seconds), direction: lower}
  - {metric: test.precision, gap: {by: [sex, age], measure: ratio, min_n: 50}, floor: 0.8}
  - {metric: test.equal_opportunity, gap: {by: sex}, ceiling: 0.1}
  - {metric: eval/seed-*.json:accuracy, direction: higher, repeats: true}
confidence: 0.9
engine: duckdb
"""


def read(text: str) -> Config:
    return config.load(text.encode(), "ci-ml.yaml").config


def problems(text: str) -> list[str]:
    """What is wrong, without the file's name, in which every problem starts."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert all(problem.startswith("ci-ml.yaml:") for problem in caught.value.problems)
    return [problem.removeprefix("ci-ml.yaml:") for problem in caught.value.problems]


def table(about: str = BINARY) -> str:
    """A configuration with one table, in line 3."""
    return f"version: 1\npredictions:\n  test: {{{about}}}\n"


def gates(*written: str, about: str = BINARY) -> str:
    """A configuration with one table and these gates, from line 5 on."""
    return table(about) + "gates:\n" + "".join(f"  - {{{gate}}}\n" for gate in written)


class TestReading:
    def test_the_example(self) -> None:
        found = read(CONTRACT)
        test, seeds, prices = found.predictions.values()
        assert (test.path, test.task, test.id, test.label) == (
            "eval/predictions.parquet", Task.BINARY, "row_id", "churned",
        )  # fmt: skip
        assert (test.score, test.threshold, test.cluster, test.labels) == ("p_churn", 0.4, "customer_id", "head")
        assert (seeds.path, seeds.repeats, seeds.score) == (None, "eval/seed-*.jsonl.gz", "p_*")
        assert (seeds.threshold, seeds.labels, seeds.positive, prices.cluster) == (0.5, "same", None, None)
        assert (found.confidence, found.engine) == (0.9, "duckdb")

    def test_the_gates_of_the_example(self) -> None:
        judged = [(str(gate.key), gate.direction.value) for gate in read(CONTRACT).gates]
        assert judged == [
            ("test.roc_auc", "higher"),
            ("test.recall", "higher"),
            ("seeds.recall[a/b: c]", "higher"),
            ("seeds.f1_macro", "higher"),
            ("prices.pinball(0.9)", "lower"),
            ("prices.mean(seconds)", "lower"),
            ("test.precision gap by sex × age", "higher"),
            ("test.equal_opportunity gap by sex", "lower"),
            ("eval/seed-*.json:accuracy", "higher"),
        ]

    def test_slices_and_gaps(self) -> None:
        _, recall, *_, precision, equal, _ = read(CONTRACT).gates
        assert recall.slices is not None
        assert recall.slices.by == (("country",), ("plan",), ("country", "plan"))
        assert (recall.slices.margin, recall.slices.min_n) == (Margin(value=0.03, relative=True), 200)
        assert (recall.slices.floor, recall.slices.ceiling) == (0.7, None)
        assert precision.gap is not None
        assert (precision.gap.by, precision.gap.measure, precision.gap.min_n) == (("sex", "age"), "ratio", 50)
        assert equal.key == TableKey(table="test", metric="equal_opportunity", gap=("sex",))

    @pytest.mark.parametrize(
        ("written", "cuts"),
        [
            ("plan", (("plan",),)),
            ("[plan]", (("plan",),)),
            ("[[plan, country]]", (("plan", "country"),)),
            ("[plan, [plan, country]]", (("plan",), ("plan", "country"))),
        ],
    )
    def test_columns_of_slices(self, written: str, cuts: tuple[tuple[str, ...], ...]) -> None:
        (gate,) = read(gates(f"metric: test.recall, slices: {{by: {written}}}")).gates
        assert gate.slices is not None
        assert (gate.slices.by, gate.slices.min_n, gate.slices.margin) == (cuts, 100, None)

    def test_without_a_word_about_it(self) -> None:
        found = read("version: 1")
        assert (found.predictions, found.confidence, found.engine) == ({}, 0.95, "duckdb")

    @pytest.mark.parametrize("written", ["1", "yes", '"1"', "0", "cat"])
    def test_the_class_that_is_looked_for(self, written: str) -> None:
        assert str(read(table(f"{BINARY}, positive: {written}")).predictions["test"].positive) == written.strip('"')

    def test_true_is_what_is_looked_for_anyway(self) -> None:
        assert read(table(f"{BINARY}, positive: true")).predictions["test"].positive is None

    @pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl", "ndjson", "csv.gz", "jsonl.gz"])
    def test_kinds_of_files(self, ending: str) -> None:
        assert read(table(BINARY.replace("p.csv", f"a b/p.{ending}"))).predictions["test"].path == f"a b/p.{ending}"

    @pytest.mark.parametrize("name", [*(name for name in METRICS if METRICS[name].argument != "name"), "custom(f)"])
    def test_a_direction_that_is_known_needs_no_saying_and_may_be_said(self, name: str) -> None:
        asked = parse(f"{name}(c)" if name == "mean" else name)
        gap = ", gap: {by: g}" if name in ("demographic_parity", "equal_opportunity", "equalized_odds") else ""
        about = BINARY if Task.BINARY in asked.known.tasks else NUMBERS
        known = asked.known.direction
        if known is None:
            (problem,) = problems(gates(f"metric: test.{asked}{gap}", about=about))
            assert problem.startswith("5: gates.0.direction: missing: say whether higher or lower is better")
        for said in [known] if known else list(Direction):
            (gate,) = read(gates(f"metric: test.{asked}{gap}, direction: {said}", about=about)).gates
            assert gate.direction is said
        if known:
            (gate,) = read(gates(f"metric: test.{asked}{gap}", about=about)).gates
            assert gate.direction is known


class TestMistakesInATable:
    @pytest.mark.parametrize(
        ("about", "expected"),
        [
            ("", ["3: predictions.test.task: missing", "3: predictions.test.id: missing",
                  "3: predictions.test.label: missing"]),
            ("task: binary, id: i, label: y, score: s",
             ["3: predictions.test: name its file with `path`, or its files with `repeats`, and not both"]),
            (f"{BINARY}, repeats: 's*.csv'",
             ["3: predictions.test: name its file with `path`, or its files with `repeats`, and not both"]),
            ("path: p.csv, task: binary, id: i, label: y",
             ["3: predictions.test: name the column of scores with `score`, of predicted classes with `prediction`, "
              "or both"]),
            (f"{BINARY}, task: classification", ["3: the key 'task' is there twice"]),
            (BINARY.replace("binary", "classification"),
             ["3: predictions.test.task: must be binary, multiclass or regression, not classification"]),
            (BINARY.replace("p.csv", "/p.csv"),
             ["3: predictions.test.path: the file is relative to the folder of ci-ml.yaml, with / between folders"]),
            (BINARY.replace("p.csv", "p.xlsx"),
             ["3: predictions.test.path: must end with .parquet, .csv, .tsv, .jsonl, .ndjson (texts also with .gz), "
              "not 'p.xlsx'"]),
            (BINARY.replace("p.csv", "p.parquet.gz"),
             ["3: predictions.test.path: must end with .parquet, .csv, .tsv, .jsonl, .ndjson (texts also with .gz), "
              "not 'p.parquet.gz'"]),
            (BINARY.replace("p.csv", "'p*.csv'"),
             ["3: predictions.test.path: `path` is one file, and `repeats` a glob of several, "
              "such as eval/seed-*.parquet"]),
            (BINARY.replace("path", "repeats"),
             ["3: predictions.test.repeats: `path` is one file, and `repeats` a glob of several, "
              "such as eval/seed-*.parquet"]),
            (BINARY.replace("id: i", "id: 5"), ["3: predictions.test.id: must be text"]),
            (BINARY.replace("label: y", "label: [y]"), ["3: predictions.test.label: must be text"]),
            (f"{BINARY}, cluster: ''", ["3: predictions.test.cluster: must not be empty"]),
            (f"{BINARY}, threshold: 1.5", ["3: predictions.test.threshold: must be a number from 0 to 1, not 1.5"]),
            (f"{BINARY}, threshold: half", ["3: predictions.test.threshold: must be a number from 0 to 1, not 'half'"]),
            (f"{BINARY}, threshold: .nan", ["3: predictions.test.threshold: must be a number from 0 to 1, not nan"]),
            (f"{BINARY}, labels: base", ["3: predictions.test.labels: must be same or head, not base"]),
            (f"{BINARY}, socre: s", ["3: predictions.test.socre: unknown key; did you mean score?"]),
            (f"{BINARY}, positive: 1.5",
             ["3: predictions.test.positive: must be the label of a class, text or a whole number, not 1.5"]),
            (f"{BINARY}, positive: false",
             ["3: predictions.test.positive: must be the label of a class, text or a whole number, not False"]),
            (f"{SEVERAL}, positive: cat", ["3: predictions.test: `positive` belongs to a binary task"]),
            (f"{NUMBERS}, threshold: 0.5", ["3: predictions.test: `threshold` belongs to a binary task"]),
            (f"{BINARY}, prediction: p, threshold: 0.5",
             ["3: predictions.test: `threshold` makes classes from scores, and `prediction` names them: "
              "leave one out"]),
            (BINARY.replace("score: s", "score: y"),
             ["3: predictions.test: the column y cannot be two of id, label, score and prediction"]),
            (NUMBERS.replace("prediction", "score"),
             ["3: predictions.test: a regression needs `prediction`, the column of the predicted number"]),
            (f"{NUMBERS}, score: s", ["3: predictions.test: a regression has a `prediction` and no `score`"]),
            (f"{SEVERAL}, score: s",
             ["3: predictions.test: `score` of several classes holds one `*` where the class's name stands, "
              "such as p_*"]),
            (f"{SEVERAL}, score: '*_*'",
             ["3: predictions.test: `score` of several classes holds one `*` where the class's name stands, "
              "such as p_*"]),
        ],
    )  # fmt: skip
    def test_is_told_where_it_is_and_what_is_right(self, about: str, expected: list[str]) -> None:
        assert problems(table(about)) == expected

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("predictions: [test]", "2: predictions: must be a mapping"),
            ("predictions:\n  test:", "3: predictions.test: must be a mapping"),
            (f"predictions:\n  my table: {{{BINARY}}}",
             "3: predictions.my table: the name of a table is a letter, then letters, digits, _ and -, "
             "not 'my table'"),
            (f"predictions:\n  2024: {{{BINARY}}}",
             "3: predictions.2024: the name of a table is a letter, then letters, digits, _ and -, not 2024"),
            (f"predicitons:\n  test: {{{BINARY}}}", "2: predicitons: unknown key; did you mean predictions?"),
            ("confidence: 95", "2: confidence: must be a share from 0.5 to 0.9999, such as 0.95, not 95"),
            ("confidence: 95%", "2: confidence: must be a share from 0.5 to 0.9999, such as 0.95, not '95%'"),
            ("confidence: 1", "2: confidence: must be a share from 0.5 to 0.9999, such as 0.95, not 1"),
            ("confidence: .nan", "2: confidence: must be a share from 0.5 to 0.9999, such as 0.95, not nan"),
            ("engine: spark", "2: engine: must be duckdb, or a URL such as pyspark://local, not 'spark'"),
            ("engine: duckdb://", None),
        ],
    )  # fmt: skip
    def test_around_it(self, written: str, expected: str | None) -> None:
        if expected is None:
            read(f"version: 1\n{written}")
        else:
            assert problems(f"version: 1\n{written}") == [expected]


class TestMistakesInAGate:
    @pytest.mark.parametrize(
        ("gate", "expected"),
        [
            ("metric: test.roc_acu", "metric: unknown metric roc_acu; did you mean roc_auc?"),
            ("metric: test.acc", "metric: unknown metric acc; did you mean accuracy?"),
            ("metric: test.something", "metric: unknown metric something"),
            ("metric: 'test.Recall'", "metric: unknown metric Recall; did you mean recall?"),
            ("metric: tset.recall", "metric: no table tset under predictions; did you mean test?"),
            ("metric: other.recall", "metric: no table other under predictions; there are: test"),
            ("metric: test.mae", "metric: mae is not a metric of binary predictions; these are: accuracy, "),
            ("metric: test.f1_macro", "metric: f1_macro: a binary table has one class to look for, so write f1"),
            ("metric: 'test.f1[cat]'", "metric: f1[cat]: a binary table has one class to look for, so write f1"),
            ("metric: test.accuracy_macro", "metric: accuracy has no macro average"),
            ("metric: test.accuracy(3)", "metric: accuracy takes nothing in parentheses"),
            ("metric: test.ece(1)", "metric: ece(1): the number of bins is a whole number from 2 to 1,000"),
            ("metric: test.mean", "metric: mean needs a column: mean(NAME)"),
            ("metric: test.custom", "metric: custom needs a name: custom(NAME)"),
            ("metric: test.recall, direction: lower",
             "direction: test.recall is better when it is higher: leave `direction` out"),
            ("metric: test.mean(x), direction: up", "direction: must be higher or lower, not up"),
            ("metric: test.recall, gap: {by: g}, direction: higher",
             "direction: the difference between groups is better when it is lower: leave `direction` out"),
            ("metric: test.recall, gap: {by: g, measure: ratio}, direction: lower",
             "direction: the ratio between groups is better when it is higher: leave `direction` out"),
            ("metric: test.recall, gap: country", "gap: must be a mapping such as {by: country}, not 'country'"),
            ("metric: test.recall, gap: {}", "gap.by: missing"),
            ("metric: test.recall, gap: {by: []}", "gap.by: must not be empty"),
            ("metric: test.recall, gap: {by: g, measure: quotient}",
             "gap.measure: must be difference or ratio, not quotient"),
            ("metric: test.recall, gap: {by: g, min_n: 1}", "gap.min_n: must be greater than or equal to 2"),
            ("metric: test.recall, gap: {by: g}, slices: {by: g}",
             ": a gap compares the slices already: leave `slices` out"),
            ("metric: test.ece, gap: {by: g}", ": the gap of ece between groups has no interval"),
            ("metric: test.equal_opportunity",
             ": equal_opportunity compares groups: name their column, gap: {by: COLUMN}"),
            ("metric: test.recall, slices: country",
             "slices: must be a mapping such as {by: [country, plan]}, not 'country'"),
            ("metric: test.recall, slices: {by: []}", "slices.by: must not be empty"),
            ("metric: test.recall, slices: {by: [a, [a]]}", "slices.by: names the same column twice"),
            ("metric: test.recall, slices: {by: [[a, b], [b, a]]}", "slices.by: names the same column twice"),
            ("metric: test.recall, slices: {by: [[a, a]]}", "slices.by: names the same column twice"),
            ("metric: test.recall, slices: {by: [2024]}", "slices.by.0.0: must be text"),
            ("metric: test.recall, slices: {by: a, min_n: 1}", "slices.min_n: must be greater than or equal to 2"),
            ("metric: test.recall, slices: {by: a, min_n: many}", "slices.min_n: must be a whole number"),
            ("metric: test.recall, slices: {by: a, minn: 5}", "slices.minn: unknown key; did you mean min_n?"),
            ("metric: test.recall, slices: {by: a, floor: 0.9, ceiling: 0.1}",
             "slices: floor 0.9 is above ceiling 0.1: no value could pass"),
            ("metric: test.recall, margin: 5", "margin: 5 is too much: recall is at most 1, and 5 points are 0.05"),
            ("metric: test.roc_auc, floor: 90", "floor: 90 is too much: roc_auc is at most 1, and 5 points are 0.05"),
            ("metric: test.recall, slices: {by: a, margin: 3}",
             "slices.margin: 3 is too much: recall is at most 1, and 5 points are 0.05"),
            ("metric: test.recall, margin: 150%", "margin: a loss of 150% of the base would be everything"),
            ("metric: test.recall, slices: {by: a, margin: 100%}",
             "slices.margin: a loss of 100% of the base would be everything"),
            ("metric: test.flips_to_right, margin: 0.01",
             "margin: the base has none of them, so no margin is ever lost: give a `floor`"),
            ("metric: test.recall, repeats: true",
             ": repeats of predictions are named under predictions: `repeats: GLOB` instead of `path`"),
            ("metric: 'm.json:a', direction: higher, repeats: true",
             ": repeats needs a glob that covers a file per seed, such as eval/seed-*.json:accuracy"),
            ("metric: 'm-*.json:test.*', direction: higher, repeats: true",
             ": repeats are one number in a file per seed: its key holds no glob"),
            ("metric: 'm.json:a', direction: higher, slices: {by: a}",
             ": slices and gap need a metric of predictions: numbers in files have no examples"),
        ],
    )  # fmt: skip
    def test_is_told_where_it_is_and_what_is_right(self, gate: str, expected: str) -> None:
        (found,) = problems(gates(gate))
        place = "5: gates.0" if expected.startswith(":") else "5: gates.0."
        assert found == f"{place}{expected}" or (expected.endswith(", ") and found.startswith(f"{place}{expected}"))

    def test_all_gates_at_once_each_in_its_line(self) -> None:
        wrong = ("metric: test.recall, margin: 5", "metric: test.mae", "metric: 'm.json:a'", "metric: a.mcc")
        assert [problem.partition(": mae is")[0] for problem in problems(gates(*wrong))] == [
            "5: gates.0.margin: 5 is too much: recall is at most 1, and 5 points are 0.05",
            "6: gates.1.metric",
            "7: gates.2.direction: missing: say whether higher or lower is better; it is never guessed from a name",
            "8: gates.3.metric: no table a under predictions; there are: test",
        ]

    def test_twice_is_told_by_whatever_name(self) -> None:
        assert problems(gates("metric: test.recall", "metric: test.mcc", "metric: test.recall_score")) == [
            "7: gates.2.metric: gates.0 judges test.recall already"
        ]

    def test_of_a_table_that_is_wrong_itself_waits_for_the_table(self) -> None:
        found = problems(gates("metric: test.mae", about=BINARY.replace("binary", "binry")))
        assert found == ["3: predictions.test.task: must be binary, multiclass or regression, not binry"]

    @pytest.mark.parametrize(
        ("about", "metric", "expected"),
        [
            (BINARY.replace("score", "prediction"), "roc_auc", "roc_auc needs scores: name their column with `score`"),
            (f"{BINARY}, cluster: c", "ece",
             "ece has no interval for clustered examples, and ignoring the clusters would be wrong"),
            (SEVERAL, "f1",
             "f1 of several classes needs to know which: f1_macro, f1_micro, f1_weighted or f1[CLASS]"),
            (SEVERAL, "selection_rate", "selection_rate of several classes needs to know which: selection_rate[CLASS]"),
            (SEVERAL.replace("prediction: p", "score: p_*"), "average_precision",
             "average_precision of several classes needs to know which: average_precision_macro or "
             "average_precision[CLASS]"),
            (NUMBERS, "recall",
             "recall is not a metric of regression predictions; these are: custom, mae, mape, mean, median_ae, mse, "
             "pinball, r2, rmse"),
        ],
    )  # fmt: skip
    def test_that_its_table_cannot_have(self, about: str, metric: str, expected: str) -> None:
        direction = ", direction: lower" if metric == "selection_rate" else ""
        (found,) = problems(gates(f"metric: test.{metric}{direction}", about=about))
        assert found == f"5: gates.0.metric: {expected}"

    def test_a_table_where_none_is_named(self) -> None:
        text = "version: 1\ngates:\n  - metric: test.recall\n  - metric: test.recal\n"
        assert problems(text) == [
            "3: gates.0.metric: no table test under predictions; none is named",
            "4: gates.1.metric: unknown metric recal; did you mean recall?",
        ]
        assert problems(text.replace("recal\n", "mcc\n")) == [
            "3: gates.0.metric: no table test under predictions; none is named",
            "4: gates.1.metric: no table test under predictions; none is named",
        ]

    @pytest.mark.parametrize("path", ["score.txt", "eval.json", "a/test.recall", "./test.recall", "accuracy"])
    def test_a_file_whose_name_looks_like_a_metric_is_a_file(self, path: str) -> None:
        if "." not in path:
            assert "names no file" in problems(gates(f"metric: {path}, direction: higher"))[0]
        else:
            (gate,) = read(gates(f"metric: {path}, direction: higher")).gates
            assert (gate.asked, gate.pattern.path) == (None, path)

    @given(
        values=st.dictionaries(
            st.sampled_from("path task id label score prediction threshold cluster labels positive repeats x".split()),
            st.sampled_from(["p.csv", "p*.csv", "binary", "regression", "multiclass", "i", "1", "true", "null", "[1]"]),
        )
    )
    def test_no_table_does_worse_than_a_config_error(self, values: dict[str, str]) -> None:
        written = ", ".join(f"{key}: '{value}'" for key, value in values.items())
        for text in (table(written), table(written.replace("'", ""))):
            try:
                read(text)
            except ConfigError as error:
                assert all(problem.startswith("ci-ml.yaml:3: predictions.test") for problem in error.problems)  # noqa: PT017


class TestSchema:
    @pytest.fixture
    def validator(self) -> jsonschema.Draft202012Validator:
        return jsonschema.Draft202012Validator(config.json_schema())

    @pytest.mark.parametrize(
        "gate",
        [
            "metric: test.recall",
            "metric: test.roc_auc_ovr",
            "metric: 'seeds.recall[a/b: c]'",
            "metric: test.recall, slices: {by: plan, margin: 2%}",
            "metric: test.selection_rate, gap: {by: plan}",
            "metric: test.mean(x), gap: {by: [plan, sex]}",
            "metric: test.mean(x), direction: lower",
            "metric: 'm.json:recall', direction: lower",
            "metric: score.txt, direction: lower",
        ],
    )
    def test_takes_what_ci_ml_takes(self, validator: jsonschema.Draft202012Validator, gate: str) -> None:
        text = gates(gate).replace("predictions:\n", f"predictions:\n  seeds: {{{SEVERAL}}}\n")
        if "ovr" not in gate:
            read(text)
        validator.validate(self._value(text))

    def test_takes_the_example(self, validator: jsonschema.Draft202012Validator) -> None:
        validator.validate(self._value(CONTRACT))

    @pytest.mark.parametrize(
        "gate",
        [
            "metric: test.mean(x)",
            "metric: test.custom(x)",
            "metric: test.selection_rate",
            "metric: 'm.json:recall'",
            "metric: eval/test.recall",
            "metric: 'm.json:a', gap: null",
            "metric: test.recall, slices: plan",
            "metric: test.recall, slices: {}",
            "metric: test.recall, gap: {}",
            "metric: test.recall, slices: {by: a, min_n: 1}",
        ],
    )
    def test_refuses_what_ci_ml_refuses(self, validator: jsonschema.Draft202012Validator, gate: str) -> None:
        problems(gates(gate))
        assert not validator.is_valid(self._value(gates(gate)))

    @pytest.mark.parametrize("about", ["", f"{BINARY}, x: 1", f"{BINARY}, threshold: 2", f"{BINARY}, labels: no"])
    def test_refuses_a_table_that_ci_ml_refuses(self, validator: jsonschema.Draft202012Validator, about: str) -> None:
        problems(table(about))
        assert not validator.is_valid(self._value(table(about)))

    def _value(self, text: str) -> Any:
        return document(text.encode(), "ci-ml.yaml").value


def test_every_metric_has_a_gate_that_parses_back() -> None:
    for name, known in METRICS.items():
        asked = Asked(name=name, argument={"column": "c", "name": "f"}.get(known.argument or ""))
        assert parse(str(asked)) == asked
