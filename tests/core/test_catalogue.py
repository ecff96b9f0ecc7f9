"""The metrics by name: what is a metric, what is asked of it, and which table can have it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import catalogue
from ci_ml.core.catalogue import ALIASES, CRITERIA, METRICS, Asked, Family, Task, UnknownMetric, parse, unfit
from ci_ml.core.types import Direction

# The contract's list, by task.
CLASSES = (
    "accuracy error_rate log_loss brier roc_auc average_precision precision recall specificity f1 balanced_accuracy "
    "mcc kappa ece flips_to_wrong flips_to_right"
).split()
NUMBERS = "mae mse rmse r2 mape median_ae pinball".split()
LOWER = (
    "error_rate log_loss brier ece flips_to_wrong mae mse rmse mape median_ae pinball false_positive_rate "
    "demographic_parity equal_opportunity equalized_odds"
).split()
AVERAGED = ("precision", "recall", "specificity", "f1")


def why(text: str, task: Task = Task.BINARY, *, scored: bool = True, clustered: bool = False) -> str | None:
    return unfit(parse(text), task, scored=scored, clustered=clustered)


class TestNames:
    @pytest.mark.parametrize("name", METRICS)
    def test_are_read_back_as_they_are_written(self, name: str) -> None:
        wanted = {"column": "(seconds)", "name": "(mine)"}.get(METRICS[name].argument or "", "")
        asked = parse(f"{name}{wanted}")
        assert str(asked) == f"{name}{wanted}"
        assert asked.known is METRICS[name]

    @pytest.mark.parametrize(("alias", "name"), ALIASES.items())
    def test_of_scikit_learn_mean_ours(self, alias: str, name: str) -> None:
        assert parse(alias) == parse(name)
        assert str(parse(alias)) == name

    def test_of_scikit_learn_are_its_functions_and_scorers(self) -> None:
        from sklearn import metrics

        functions = [alias for alias in ALIASES if hasattr(metrics, alias)]
        assert {*ALIASES} - {*functions} <= {*metrics.get_scorer_names()}

    @pytest.mark.parametrize("name", [*CLASSES, *NUMBERS])
    def test_of_the_contract_are_all_there_with_their_direction(self, name: str) -> None:
        assert METRICS[name].direction is (Direction.LOWER if name in LOWER else Direction.HIGHER)

    def test_have_a_direction_wherever_there_is_one(self) -> None:
        assert {name for name in METRICS if METRICS[name].direction is None} == {"mean", "custom", "selection_rate"}
        assert {name for name in METRICS if METRICS[name].direction is Direction.LOWER} == set(LOWER)

    def test_of_criteria_are_made_of_metrics_of_binary_tables(self) -> None:
        assert set(CRITERIA) == {name for name in METRICS if METRICS[name].family is Family.GAPS}
        for parts in CRITERIA.values():
            assert all(METRICS[part].family is Family.COUNTS and METRICS[part].rate for part in parts)

    @pytest.mark.parametrize("name", METRICS)
    def test_that_are_shares_are_counted_and_shown_in_percentage_points(self, name: str) -> None:
        shares = "accuracy error_rate precision recall specificity selection_rate false_positive_rate".split()
        assert METRICS[name].rate is (name in shares or METRICS[name].family in (Family.FLIPS, Family.GAPS))


class TestForms:
    @pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
    @pytest.mark.parametrize("name", AVERAGED)
    def test_an_average(self, name: str, average: str) -> None:
        assert parse(f"{name}_{average}") == Asked(name=name, average=average)
        assert str(parse(f"{name}_{average}")) == f"{name}_{average}"

    @pytest.mark.parametrize("alias", ["precision_score", "recall_score", "f1_score"])
    def test_an_average_of_an_alias(self, alias: str) -> None:
        assert str(parse(f"{alias}_macro")) == f"{alias.removesuffix('_score')}_macro"

    def test_the_average_of_an_auc(self) -> None:
        assert parse("roc_auc_macro") == parse("roc_auc_ovr") == Asked(name="roc_auc", average="macro")

    @given(which=st.text(min_size=1, max_size=20))
    def test_a_class_may_be_called_anything(self, which: str) -> None:
        asked = parse(f"recall[{which}]")
        assert asked == Asked(name="recall", which=which)
        assert parse(str(asked)) == asked

    @given(column=st.text(min_size=1, max_size=20))
    def test_so_may_a_column(self, column: str) -> None:
        assert parse(f"mean({column})") == Asked(name="mean", argument=column)

    @pytest.mark.parametrize("text", ["pinball", "pinball(0.9)", "pinball(1e-3)", "ece", "ece(2)", "ece(1000)"])
    def test_an_argument(self, text: str) -> None:
        assert str(parse(text)) == text

    def test_blanks_around_it_are_nothing(self) -> None:
        assert parse(" recall\n") == Asked(name="recall")


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("recal", "unknown metric recal; did you mean recall?"),
            ("auc_roc", "unknown metric auc_roc; did you mean roc_auc?"),
            ("f1_makro", "unknown metric f1_makro; did you mean f1_macro?"),
            ("acc", "unknown metric acc; did you mean accuracy?"),
            ("sensitivity", "unknown metric sensitivity; did you mean recall?"),
            ("accuracy_scor", "unknown metric accuracy_scor; did you mean accuracy_score?"),
            ("xyz", "unknown metric xyz"),
            ("Recall", "unknown metric Recall; did you mean recall?"),
            ("ROC AUC", "unknown metric ROC AUC; did you mean roc_auc?"),
            ("", "unknown metric "),
            ("recall[", "unknown metric recall[; did you mean recall?"),
            ("recall[]", "unknown metric recall[]; did you mean recall?"),
            ("mean()", "unknown metric mean(); did you mean mean?"),
            ("recall[a](b)", "unknown metric recall[a](b); did you mean recall?"),
        ],
    )
    def test_a_name_that_is_none(self, text: str, expected: str) -> None:
        with pytest.raises(UnknownMetric) as caught:
            parse(text)
        assert str(caught.value) == expected
        assert caught.value.close == (expected.partition("mean ")[2].removesuffix("?") or None)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("accuracy_macro", "accuracy has no macro average"),
            ("roc_auc_weighted", "roc_auc has no weighted average"),
            ("mae_micro", "mae has no micro average"),
            ("accuracy[cat]", "accuracy is one number for all classes, so [cat] says nothing"),
            ("kappa[cat]", "kappa is one number for all classes, so [cat] says nothing"),
            ("recall(3)", "recall takes nothing in parentheses"),
            ("mean", "mean needs a column: mean(NAME)"),
            ("custom", "custom needs a name: custom(NAME)"),
            *((f"pinball({q})", f"pinball({q}): the quantile is a number between 0 and 1") for q in ("0", "1", "x")),
            *(
                (f"ece({bins})", f"ece({bins}): the number of bins is a whole number from 2 to 1,000")
                for bins in ("1", "1001", "2.5", "many", "nan")
            ),
        ],
    )
    def test_a_metric_that_does_not_have_this(self, text: str, expected: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is what is tested
            parse(text)
        assert str(caught.value) == expected
        assert not isinstance(caught.value, UnknownMetric)

    @given(text=st.text(max_size=30) | st.sampled_from(sorted(METRICS)).map(lambda name: f"{name}_macro[x](y)"))
    def test_no_text_does_worse_than_a_value_error(self, text: str) -> None:
        try:
            asked = parse(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017
        else:
            assert parse(str(asked)) == asked


class TestWhatATableCanHave:
    @pytest.mark.parametrize("task", Task)
    @pytest.mark.parametrize("name", METRICS)
    def test_a_metric_of_another_task_is_refused_with_those_that_fit(self, name: str, task: Task) -> None:
        known = METRICS[name]
        asked = Asked(name=name, argument="x" if known.argument in ("column", "name") else None)
        found = unfit(asked, task, scored=True, clustered=False)
        if task not in known.tasks:
            assert found is not None
            assert found.startswith(f"{asked} is not a metric of {task.value} predictions; these are: ")
            listed = found.partition("these are: ")[2].split(", ")
            assert listed == sorted(other for other in METRICS if task in METRICS[other].tasks)
        elif task is not Task.MULTICLASS:
            assert found is None

    @pytest.mark.parametrize("name", ["log_loss", "brier", "roc_auc", "average_precision", "ece"])
    def test_scores_are_needed_where_they_are_read(self, name: str) -> None:
        assert why(name, scored=False) == f"{name} needs scores: name their column with `score`"
        assert why(name) is None

    @pytest.mark.parametrize(
        "name", [name for name in CLASSES if METRICS[name].family in (Family.COUNTS, Family.FLIPS)]
    )
    def test_and_not_where_only_classes_are(self, name: str) -> None:
        assert why(name, scored=False) is None

    @pytest.mark.parametrize(("name", "task"), [("ece", Task.BINARY), ("median_ae", Task.REGRESSION)])
    def test_clusters_are_never_ignored(self, name: str, task: Task) -> None:
        expected = f"{name} has no interval for clustered examples, and ignoring the clusters would be wrong"
        assert why(name, task, clustered=True) == expected
        assert why(name, task) is None

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            *(
                (name, f"{name} of several classes needs to know which: "
                       f"{name}_macro, {name}_micro, {name}_weighted or {name}[CLASS]")
                for name in AVERAGED
            ),
            ("selection_rate", "selection_rate of several classes needs to know which: selection_rate[CLASS]"),
            (
                "average_precision",
                "average_precision of several classes needs to know which: average_precision_macro or "
                "average_precision[CLASS]",
            ),
            (
                "equalized_odds",
                "equalized_odds is a criterion for binary predictions; "
                "gate the gap of recall[CLASS] or selection_rate[CLASS]",
            ),
        ],
    )  # fmt: skip
    def test_of_several_classes_one_is_named_or_an_average(self, name: str, expected: str) -> None:
        assert why(name, Task.MULTICLASS) == expected

    @pytest.mark.parametrize(
        "text", ["accuracy", "mcc", "log_loss", "roc_auc", "recall_macro", "f1[cat]", "roc_auc[cat]", "ece", "mean(x)"]
    )
    def test_what_several_classes_can_have(self, text: str) -> None:
        assert why(text, Task.MULTICLASS) is None

    @pytest.mark.parametrize("text", ["recall_macro", "f1_weighted", "roc_auc_macro", "recall[1]", "recall[cat]"])
    def test_a_binary_table_has_one_class_to_look_for(self, text: str) -> None:
        name = parse(text).name
        assert why(text) == f"{text}: a binary table has one class to look for, so write {name}"


def test_every_module_knows_every_family() -> None:
    assert {known.family for known in catalogue.METRICS.values()} == set(Family)
