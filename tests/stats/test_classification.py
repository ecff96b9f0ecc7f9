import contextlib
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ci_ml.stats import confusion
from ci_ml.stats.classification import FEW, difference, value
from ci_ml.stats.confusion import Metric, influence, of_side, point
from ci_ml.stats.counts import Counts
from ci_ml.stats.draws import DRAWS
from ci_ml.stats.estimate import Difference, NotEstimable, NoVariance, TooFew, Undefined
from ci_ml.stats.proportion import wilson
from ci_ml.stats.tango import PairedTable, tango

OVERALL = [Metric(name=name) for name in ("accuracy", "error_rate", "balanced_accuracy", "mcc", "kappa")]
AVERAGES = [
    Metric(name=name, average=average)
    for name in ("precision", "recall", "specificity", "f1")
    for average in ("macro", "micro", "weighted")
]
BINARY = [Metric(name=name, which=1) for name in ("precision", "recall", "specificity", "f1")]


def rows(seed: int, classes: int, n: int, wrong: float = 0.2, changed: float = 0.1) -> tuple[np.ndarray, ...]:
    """A base that is often wrong, and a head that differs from it now and then."""
    generator = np.random.default_rng(seed)
    label = generator.choice(classes, p=generator.dirichlet(np.full(classes, 3.0)), size=n)
    base = np.where(generator.random(n) < wrong, generator.integers(0, classes, n), label)
    head = np.where(generator.random(n) < changed, generator.integers(0, classes, n), base)
    return label, base, head


def table(seed: int, classes: int, n: int, **options: float) -> Counts:
    return Counts.of_rows(*rows(seed, classes, n, **options), classes)


def sklearns(metric: Metric, label: np.ndarray, guess: np.ndarray) -> float:
    options = {"zero_division": 0}
    if metric.which is not None:
        options |= {"labels": [metric.which], "average": "macro"}
    elif metric.average:
        options |= {"average": metric.average}
    return {
        "accuracy": lambda: metrics.accuracy_score(label, guess),
        "error_rate": lambda: metrics.zero_one_loss(label, guess),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(label, guess),
        "mcc": lambda: metrics.matthews_corrcoef(label, guess),
        "kappa": lambda: metrics.cohen_kappa_score(label, guess),
        "precision": lambda: metrics.precision_score(label, guess, **options),
        "recall": lambda: metrics.recall_score(label, guess, **options),
        "f1": lambda: metrics.f1_score(label, guess, **options),
    }[metric.name]()


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("metric", [metric for metric in OVERALL + AVERAGES if metric.name != "specificity"], ids=str)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 6), n=st.integers(5, 200))
@settings(max_examples=20)
def test_values_are_scikit_learns(metric: Metric, seed: int, classes: int, n: int) -> None:
    label, base, head = rows(seed, classes, n)
    assume(len(set(label)) > 1)
    counts = Counts.of_rows(label, base, head, classes)
    for side, guess in (("base", base), ("head", head)):
        try:
            found = point(counts, metric, side)
        except Undefined:
            assert metric.name in {"mcc", "kappa"}
            assert len(set(guess)) == 1
        else:
            assert found == pytest.approx(sklearns(metric, label, guess), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "specificity"])
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 5))
@settings(max_examples=20)
def test_values_of_a_class_are_scikit_learns(name: str, seed: int, classes: int) -> None:
    label, base, head = rows(seed, classes, 400)
    counts = Counts.of_rows(label, base, head, classes)
    for which in range(classes):
        if not ((label == which).any() and (base == which).any() and (label != which).any()):
            continue
        found = point(counts, Metric(name=name, which=which), "base")
        if name == "specificity":
            expected = metrics.recall_score(label != which, base != which)
        else:
            expected = sklearns(Metric(name=name, which=which), label, base)
        assert found == pytest.approx(expected, rel=1e-12)
        assert point(counts.one_vs_rest(which), Metric(name=name, which=1), "base") == pytest.approx(expected)


@pytest.mark.parametrize("metric", [*OVERALL, *AVERAGES, *BINARY], ids=str)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 5))
@settings(max_examples=15)
def test_influences_are_slopes_of_the_value(metric: Metric, seed: int, classes: int) -> None:
    counts = table(seed, classes, 300)
    for side in ("base", "head"):
        guess = confusion.predicted(counts, side)
        try:
            point(counts, metric, side)
        except Undefined:
            continue
        found = influence(counts, metric, side)
        assert counts.count @ found == pytest.approx(0, abs=1e-9)
        step = 1e-4
        for at in range(0, len(found), max(1, len(found) // 5)):
            more, less = counts.count.copy(), counts.count.copy()
            more[at] += step
            less[at] -= step
            slope = (of_side(counts.side(guess, more), metric) - of_side(counts.side(guess, less), metric)) / (2 * step)
            assert found[at] == pytest.approx(slope, rel=1e-4, abs=1e-8)


BOOTSTRAPPED = [*OVERALL, *BINARY, *AVERAGES]


@pytest.fixture(scope="module", params=[2, 4])
def bootstrapped(request: pytest.FixtureRequest) -> tuple[Counts, np.ndarray]:
    """A table, and both sides' metrics on 2,000 samples of its rows with replacement (metrics x replicates x 2)."""
    label, base, head = rows(7, request.param, 5_000)
    generator = np.random.default_rng(11)
    drawn = []
    for _ in range(2_000):
        chosen = generator.integers(0, len(label), len(label))
        again = Counts.of_rows(label[chosen], base[chosen], head[chosen], request.param)
        drawn.append([[point(again, metric, side) for side in ("base", "head")] for metric in BOOTSTRAPPED])
    return Counts.of_rows(label, base, head, request.param), np.array(drawn).transpose(1, 0, 2)


@pytest.mark.thorough
@pytest.mark.parametrize("metric", BOOTSTRAPPED, ids=str)
def test_intervals_are_those_of_a_bootstrap_over_rows(metric: Metric, bootstrapped: tuple[Counts, np.ndarray]) -> None:
    counts, drawn = bootstrapped
    assert counts.changed >= 4 * FEW
    base, head = drawn[BOOTSTRAPPED.index(metric)].T
    for found, replicates in ((difference(counts, metric), head - base), (value(counts, metric), head)):
        # The Monte Carlo error of an end is 1.5 % of the width; Tango's and Wilson's intervals differ a little more.
        slack = 0.08 if found.method in {"tango", "wilson"} else 0.05
        expected = np.quantile(replicates, [0.025, 0.975])
        assert (found.low, found.high) == pytest.approx(expected, abs=slack * (found.high - found.low))
        assert found.standard_error is None or found.standard_error == pytest.approx(replicates.std(), rel=0.06)


@pytest.mark.parametrize("metric", [*BINARY, *OVERALL, Metric(name="f1", average="macro")], ids=str)
@pytest.mark.parametrize("classes", [2, 5])
def test_both_methods_agree_when_much_changes(metric: Metric, classes: int) -> None:
    counts = table(3, classes, 20_000)
    one, two = difference(counts, metric, method="draws"), difference(counts, metric, method="delta")
    assert (one.method, two.method) == ("multinomial draws", "adjusted delta method")
    assert (one.low, one.high) == pytest.approx((two.low, two.high), abs=0.03 * (one.high - one.low))
    assert one.p_value == two.p_value


def test_which_method_judges_what() -> None:
    many, few = table(1, 2, 2_000), table(1, 2, 200)
    assert many.changed >= FEW > few.changed
    for name in ("accuracy", "error_rate"):
        assert difference(many, Metric(name=name)).method == "tango"
    for name in ("recall", "specificity"):
        assert difference(many, Metric(name=name, which=1)).method == "tango"
    for average in ("precision", "recall", "f1"):
        assert difference(many, Metric(name=average, average="micro")).method == "tango"
    for metric in (Metric(name="f1", which=1), Metric(name="precision", which=1), Metric(name="mcc")):
        assert difference(many, metric).method == "multinomial draws"
        assert difference(few, metric).method == "adjusted delta method"
    wide = table(1, 30, 60_000, wrong=0.6, changed=0.5)
    assert len(wide.count) > 2_000
    assert difference(wide, Metric(name="f1", average="macro")).method == "adjusted delta method"


def test_proportions_are_paired_tables() -> None:
    label, base, head = rows(5, 2, 500)
    counts = Counts.of_rows(label, base, head, 2)

    def expected(chosen: np.ndarray) -> tuple[float, float]:
        one, two = (base == label)[chosen], (head == label)[chosen]
        parts = [int(part.sum()) for part in (one & two, one & ~two, ~one & two, ~one & ~two)]
        found = tango(PairedTable(both_right=parts[0], only_base=parts[1], only_head=parts[2], both_wrong=parts[3]))
        return found.low, found.high

    accuracy = difference(counts, Metric(name="accuracy"))
    assert (accuracy.low, accuracy.high) == expected(label >= 0)
    recall = difference(counts, Metric(name="recall", which=1))
    assert ((recall.low, recall.high), recall.n) == (expected(label == 1), (label == 1).sum())
    specificity = difference(counts, Metric(name="specificity", which=1))
    assert (specificity.low, specificity.high) == expected(label == 0)
    errors = difference(counts, Metric(name="error_rate"))
    assert (errors.low, errors.high) == (-accuracy.high, -accuracy.low)
    assert errors.delta == pytest.approx(errors.head - errors.base)


def outcome(counts: Counts, metric: Metric) -> Difference | type[NotEstimable]:
    """The difference, or which reason there is for none."""
    try:
        return difference(counts, metric)
    except NotEstimable as error:
        return type(error)


def check_mirrored(counts: Counts, metric: Metric) -> None:
    one, two = outcome(counts, metric), outcome(counts.mirrored(), metric)
    if isinstance(one, type) or isinstance(two, type):
        assert one is two
        return
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=1e-9)
    assert (one.delta, one.p_value) == pytest.approx((-two.delta, two.p_value), abs=1e-12)


@pytest.mark.parametrize("metric", [*OVERALL, *AVERAGES, *BINARY], ids=str)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([30, 200, 1_000]))
@settings(max_examples=15)
def test_exchanging_the_sides_mirrors_it(metric: Metric, seed: int, n: int) -> None:
    check_mirrored(table(seed, 2 if metric in BINARY else 3, n), metric)


@given(
    cells=st.lists(st.tuples(*[st.integers(0, 3)] * 3, st.sampled_from([1, 2, 5, 60, 500_000])), max_size=7),
    metric=st.sampled_from([*OVERALL, *AVERAGES]),
)
@settings(max_examples=100)
def test_so_it_does_for_odd_tables(cells: list[tuple[int, int, int, int]], metric: Metric) -> None:
    assume(sum(count for *_, count in cells) >= 2)
    check_mirrored(Counts.of_cells(cells, 4), metric)


# Predictions differ and the metric is the same in any sample: exactly, though floats leave widths of 1e-17.
UNMOVED = {
    "all labels are one class": (Metric(name="kappa"), [(0, 0, 2, 30), (0, 1, 0, 9)], 3),
    "what is predicted wrongly is no label": (
        Metric(name="precision", average="weighted"),
        [
            (0, 0, 0, 17),
            (0, 0, 2, 3),
            (0, 0, 3, 3),
            (0, 1, 1, 2),
            (0, 2, 0, 1),
            (0, 2, 1, 1),
            (0, 2, 2, 1),
            (0, 3, 3, 2),
        ],
        4,
    ),
    "seed 28984": (
        Metric(name="precision", average="weighted"),
        [(0, 0, 0, 10), (0, 0, 2, 1), (0, 2, 2, 2), (1, 1, 1, 14), (1, 1, 2, 2), (1, 2, 2, 1)],
        3,
    ),
}


@pytest.mark.parametrize("name", UNMOVED)
def test_a_metric_that_cannot_see_the_change_has_no_interval_whichever_side_is_the_base(name: str) -> None:
    metric, cells, classes = UNMOVED[name]
    counts = Counts.of_cells(cells, classes)
    for table in (counts, counts.mirrored()):
        with pytest.raises(NoVariance, match="predictions differ"):
            difference(table, metric)


def test_a_class_that_is_won_as_a_whole_is_not_certain_to_be() -> None:
    counts = Counts.of_cells([(0, 0, 0, 6), (0, 1, 1, 60), (1, 0, 1, 24_688)], 2)
    found = difference(counts, Metric(name="balanced_accuracy"))
    assert found.method == "adjusted delta method"
    assert found.delta == pytest.approx(0.5)
    assert found.high - found.low > 1e-5


def test_rare_classes_keep_their_digits() -> None:
    counts = Counts.of_cells([(0, 1, 2, 6), (1, 0, 1, 90_866)], 3)
    assert point(counts, Metric(name="mcc"), "base") == -1
    rare = Counts.of_cells([(0, 0, 0, 10**12), (1, 1, 1, 3), (1, 0, 0, 1)], 2)
    # One example is wrong, where chance would get 4 + 3 wrong.
    assert point(rare, Metric(name="kappa"), "base") == pytest.approx(1 - 1 / 7, rel=1e-9)


@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 4))
@settings(max_examples=8)
def test_the_order_of_rows_does_not_matter(seed: int, classes: int) -> None:
    label, base, head = rows(seed, classes, 800)
    order = np.random.default_rng(seed).permutation(800)
    one = Counts.of_rows(label, base, head, classes)
    cells = list(zip(label[order].tolist(), base[order].tolist(), head[order].tolist(), [1] * 800, strict=True))
    two = Counts.of_cells(cells, classes)
    for metric in (Metric(name="kappa"), Metric(name="f1", average="weighted"), Metric(name="recall", which=0)):
        assert difference(one, metric) == difference(two, metric)


@pytest.mark.parametrize("metric", [*OVERALL, *AVERAGES, *BINARY], ids=str)
def test_identical_predictions_differ_by_exactly_0(metric: Metric) -> None:
    label, base, _ = rows(2, 2, 300)
    found = difference(Counts.of_rows(label, base, base, 2), metric)
    assert found.delta == 0
    assert found.p_value == 1
    if found.method == "tango":
        assert found.low == -found.high < 0
    else:
        assert (found.low, found.high, found.identical) == (0, 0, True)
        assert found.base_error == found.head_error != 0


@pytest.mark.parametrize("metric", [Metric(name="recall", average="macro"), Metric(name="balanced_accuracy")], ids=str)
def test_changes_from_wrong_to_wrong_do_not_make_it_certain(metric: Metric) -> None:
    counts = Counts.of_cells([(0, 0, 0, 40), (1, 1, 1, 40), (2, 2, 2, 10), (2, 0, 1, 5)], 3)
    found = difference(counts, metric)
    assert found.low < found.delta == 0 < found.high


@pytest.mark.parametrize(
    ("cells", "metric", "why"),
    [
        ([(0, 0, 0, 9), (1, 0, 1, 9)], Metric(name="precision", which=1), "base is undefined: it never predicts"),
        ([(0, 0, 1, 9), (0, 1, 1, 9)], Metric(name="recall", which=1), "base is undefined: no example has the class"),
        ([(1, 0, 1, 9), (1, 1, 1, 9)], Metric(name="specificity", which=1), "no example has another class"),
        ([(0, 0, 0, 9), (0, 0, 1, 9)], Metric(name="f1", which=1), "neither labelled nor predicted"),
        ([(0, 0, 0, 9), (0, 0, 1, 9)], Metric(name="balanced_accuracy"), "all examples have one class"),
        ([(0, 0, 0, 9), (1, 0, 1, 9)], Metric(name="mcc"), "mcc of the base is undefined"),
        ([(0, 0, 0, 9), (0, 0, 1, 9)], Metric(name="kappa"), "kappa of the base is undefined"),
    ],
)
def test_0_over_0_says_so(cells: list[tuple[int, int, int, int]], metric: Metric, why: str) -> None:
    with pytest.raises(Undefined, match=why):
        difference(Counts.of_cells(cells, 2), metric)


def test_what_would_often_be_undefined_has_no_percentiles() -> None:
    counts = Counts.of_cells([(0, 0, 0, 500), (1, 0, 0, 100), (1, 1, 1, 2), (0, 1, 0, 60), (1, 1, 0, 3)], 2)
    with pytest.raises(TooFew, match="would be undefined in 1"):
        difference(counts, Metric(name="precision", which=1), method="draws")
    kept = difference(counts, Metric(name="precision", which=1), method="delta")
    assert kept.low < kept.high


@given(
    cells=st.lists(st.tuples(*[st.integers(0, 2)] * 3, st.integers(0, 30)), max_size=9),
    metric=st.sampled_from([*OVERALL, *AVERAGES]),
)
def test_any_table_gives_finite_numbers_or_a_reason(cells: list[tuple[int, int, int, int]], metric: Metric) -> None:
    assume(sum(count for *_, count in cells) >= 2)
    counts = Counts.of_cells(cells, 3)
    try:
        found = difference(counts, metric)
    except NotEstimable:
        pass
    else:
        assert found.low <= found.delta <= found.high
        assert found.identical or found.low < found.high
    with contextlib.suppress(NotEstimable):
        assert value(counts, metric).low < value(counts, metric).high


def test_values_of_one_side_are_wilsons_where_they_are_proportions() -> None:
    label, base, head = rows(6, 2, 400)
    counts = Counts.of_rows(label, base, head, 2)
    hits, labels, guesses = int((label & head).sum()), int(label.sum()), int(head.sum())
    expected = {
        "precision": wilson(hits, guesses),
        "recall": wilson(hits, labels),
        "specificity": wilson(int(((label == 0) & (head == 0)).sum()), 400 - labels),
    }
    for name, bound in expected.items():
        found = value(counts, Metric(name=name, which=1))
        assert (found.value, found.low, found.high) == pytest.approx((bound.value, bound.low, bound.high))
    jaccard = wilson(hits, labels + guesses - hits)
    f1 = value(counts, Metric(name="f1", which=1))
    assert f1.value == pytest.approx(metrics.f1_score(label, head))
    assert f1.low == pytest.approx(2 * jaccard.low / (1 + jaccard.low))
    assert value(counts, Metric(name="accuracy"), "base").value == pytest.approx((label == base).mean())


def test_a_perfect_side_still_has_a_width() -> None:
    counts = Counts.of_cells([(0, 0, 0, 20), (1, 0, 1, 3), (1, 1, 1, 17)], 2)
    for metric in [*OVERALL, *BINARY, *AVERAGES]:
        found = value(counts, metric)
        assert found.low < found.high
        assert found.value == (0 if metric.name == "error_rate" else 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "auc"},
        {"name": "f1"},
        {"name": "f1", "average": "harmonic"},
        {"name": "f1", "average": "macro", "which": 1},
        {"name": "kappa", "which": 1},
        {"name": "accuracy", "average": "macro"},
    ],
)
def test_a_metric_says_which_class_or_average(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"is not|needs a class|one number"):
        Metric(**wrong)  # type: ignore[arg-type]


def test_a_table_has_two_classes_and_two_examples() -> None:
    with pytest.raises(ValueError, match="1 classes"):
        Counts.of_cells([(0, 0, 0, 5)], 1)
    with pytest.raises(ValueError, match="outside the 2 classes"):
        Counts.of_cells([(0, 0, 2, 5)], 2)
    with pytest.raises(ValueError, match="outside the 2 classes"):
        Counts.of_cells([(0, 0, 1, -5)], 2)
    with pytest.raises(TooFew):
        Counts.of_cells([(0, 0, 1, 1)], 2)
    with pytest.raises(TooFew):
        Counts.of_cells([], 2)
    with pytest.raises(ValueError, match=r"class 2 is not one of 0\.\.1"):
        Counts.of_cells([(0, 0, 1, 5)], 2).one_vs_rest(2)


def test_many_classes_are_drawn_in_bounded_memory() -> None:
    counts = table(1, 40, 3_000, changed=0.4)
    assert 1_000 < len(counts.count) <= 2_000
    tracemalloc.start()
    found = difference(counts, Metric(name="f1", average="macro"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.method == "multinomial draws"
    assert peak < 200e6 < len(counts.count) * DRAWS * 8 * 2 + 1e8, peak


def test_a_thousand_classes_are_no_trouble() -> None:
    label, base, head = rows(1, 1_000, 50_000)
    counts = Counts.of_rows(label, base, head, 1_000)
    found = difference(counts, Metric(name="f1", average="macro"))
    assert math.isclose(found.head, metrics.f1_score(label, head, average="macro"))


def test_many_classes_of_which_few_occur_are_drawn_as_well() -> None:
    cells = [(0, 0, 1, 40), (1, 1, 1, 300), (900, 900, 2, 30), (2, 2, 2, 300), (0, 0, 0, 200)]
    assert difference(Counts.of_cells(cells, 1_000), Metric(name="kappa")).method == "multinomial draws"
