"""report.json with intervals: everything is there, is read back, and does not let itself be tampered with."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ci_ml.core.compare import Comparison, compare_measured, compare_slices
from ci_ml.core.gates import Gate
from ci_ml.core.report import ComparisonPart, Report, contradictions, load, redacted
from ci_ml.core.types import Contrast, Gap, Outcome, Require, Severity, Slice, Status, TableKey
from ci_ml.errors import ConfigError
from tests import reports
from tests.reports import churn, comparison, contrast, gate, report, sliced, undecided

NEW_FIELDS = (
    "between rate head_interval corrected family identical min_n smallest_margin settles n_clusters confidence p_value"
).split()


def written(content: Report) -> dict[str, Any]:
    return dict(json.loads(content.to_json(), parse_constant=pytest.fail))


def read(document: dict[str, Any]) -> Report:
    return load(json.dumps(document).encode(), "report.json")


def named(content: Report, name: str) -> ComparisonPart:
    return next(item for item in content.comparisons if item.name == name)


class TestWhatIsInIt:
    def test_a_slice(self) -> None:
        item = named(churn(), "test.recall on plan = free")
        assert (item.metric, item.slice, item.rate, item.min_n) == ("test.recall", {"plan": "free"}, True, 200)
        assert (item.base, item.head, item.interval) == (0.812, 0.781, pytest.approx((-0.042, -0.020)))
        assert (item.confidence, item.n, item.n_clusters, item.method) == (0.95, 4812, None, "tango")
        assert item.p_value is not None
        assert item.corrected is not None
        assert item.p_value < item.corrected < 1e-6
        assert (item.family, item.status, item.impact) == (3, Status.REGRESSED, Outcome.FAIL)
        assert item.smallest_margin == pytest.approx(0.011 / 1.96 * 2.8016, rel=1e-2)  # Tango's is a little wider

    def test_a_slice_without_a_value(self) -> None:
        item = named(churn(), "test.recall on plan is missing")
        assert item.slice == {"plan": None}

    def test_a_gap(self) -> None:
        item = named(undecided(), "test.recall gap by country")
        assert (item.between, item.slice, item.direction.value) == (("country = DE", "country = MT"), None, "lower")

    def test_clusters_and_a_relative_margin(self) -> None:
        item = named(undecided(), "test.log_loss")
        assert (item.n, item.n_clusters, item.margin) == (285, 41, "5%")
        assert item.margin_absolute == pytest.approx(0.01157)

    def test_sides_that_are_identical(self) -> None:
        item = named(undecided(), "val.accuracy")
        assert (item.identical, item.interval, item.status) == (True, (0.0, 0.0), Status.UNCHANGED)
        assert (item.smallest_margin, item.settles) == (None, "")

    def test_the_heads_own_interval(self) -> None:
        assert named(churn(), "test.recall").head_interval == pytest.approx((0.8331, 0.8391))

    def test_what_would_settle_it(self) -> None:
        assert named(undecided(), "test.accuracy").settles.endswith(" examples would settle it")

    def test_what_could_not_be_measured_says_on_how_many_examples(self) -> None:
        one, two = sliced(
            "test.recall", {("a", "x"): Gap(reason="no positives", n=7), ("a", "y"): Gap(reason="-", n=300)}
        )
        small, missing = report(one, two).comparisons[::-1]
        assert (small.n, small.head, small.interval, small.status) == (7, None, None, Status.INCONCLUSIVE)
        assert (missing.n, missing.status, missing.impact) == (300, Status.MISSING, Outcome.UNDECIDED)


class TestReadingItBack:
    @pytest.mark.parametrize("content", [churn(), undecided()], ids=["churn", "undecided"])
    def test_gives_the_same_report(self, content: Report) -> None:
        assert read(written(content)) == content
        assert redacted(content, lambda text: text) == content

    def test_slices_keep_the_order_of_their_columns(self) -> None:
        crossed = sliced("test.recall", {(("plan", "free"), ("country", None)): contrast(0.8, 0.8, 0.01)})
        (item,) = read(written(report(*crossed))).comparisons
        assert item.where == Slice(parts=(("plan", "free"), ("country", None)))
        assert item.name == "test.recall on plan = free, country is missing"

    def test_of_an_older_version_without_any_of_it(self) -> None:
        document = written(report(comparison("a", 0.9, 0.8), comparison("b", 0.9, 0.9)))
        for item in document["comparisons"]:
            for name in NEW_FIELDS:
                del item[name]
        old = read(document)
        assert [item.status for item in old.comparisons] == [Status.REGRESSED, Status.UNCHANGED]
        assert (old.comparisons[0].interval, old.comparisons[0].too_small) == (None, False)
        assert contradictions(old) == []

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("interval", [0.1]), ("interval", [0.1, "x"]), ("interval", [None, 1]), ("p_value", 1.5), ("corrected", -1),
            ("confidence", 95), ("slice", {"plan": 7}), ("slice", ["plan"]), ("between", ["DE"]), ("identical", "maybe"),
            ("n", 1.5), ("head_interval", 3),
        ],
    )  # fmt: skip
    def test_of_nonsense_is_refused(self, field: str, value: Any) -> None:
        document = written(churn())
        document["comparisons"][0][field] = value
        with pytest.raises(ConfigError) as caught:
            read(document)
        assert caught.value.problems[0].startswith(f"report.json: comparisons.0.{field}")


def tampered(content: Report, name: str, **fields: Any) -> list[str]:
    """What is found after the fields of one comparison were changed, with the verdict that would follow."""
    document = written(content)
    for item, part in zip(document["comparisons"], content.comparisons, strict=True):
        if part.name == name:
            item.update(fields)
    impacts = [Outcome(item["impact"]) for item in document["comparisons"]]
    document["verdict"]["outcome"] = max(impacts, key=lambda outcome: outcome.rank).value
    return contradictions(read(document))


FREE = "test.recall on plan = free"
REGRESSED, INCONCLUSIVE, HELD = "regressed", "inconclusive", "held"


class TestTampering:
    @pytest.mark.parametrize("content", [churn(), undecided()], ids=["churn", "undecided"])
    def test_a_report_as_it_was_written_does_not_contradict_itself(self, content: Report) -> None:
        assert contradictions(content) == []
        assert contradictions(read(written(content))) == []

    @pytest.mark.parametrize(
        "fields",
        [
            {"impact": "pass"},
            {"impact": "warn"},
            {"status": HELD, "impact": "pass"},
            {"status": INCONCLUSIVE, "impact": "warn"},
            {"status": "new", "impact": "warn"},
            {"status": "unchanged", "impact": "pass"},
            {"status": "unchanged", "impact": "pass", "identical": True},
            {"status": "missing", "impact": "pass"},
            {"interval": [-0.05, 0.01]},
            {"interval": [-0.005, 0.005]},
            {"interval": None, "method": "point", "base": 0.78, "delta": 0.001},
            {"interval": [0.001, 0.002], "status": "improved", "impact": "pass"},
            {"direction": "lower"},
            {"margin": 0.5},
            {"margin": "50%"},
            {"head": 0.812, "status": HELD, "impact": "pass"},
            {"base": None, "status": "new", "impact": "warn"},
            {"corrected": 0.5, "status": INCONCLUSIVE, "impact": "warn"},
            {"p_value": 0.5, "corrected": 0.5, "status": INCONCLUSIVE, "impact": "warn"},
            {"p_value": None, "corrected": None},
            {"min_n": 100_000, "impact": "pass"},
            {"n": 5, "impact": "pass"},
            {"severity": "warn"},
            {"require": "report"},
        ],
    )
    def test_of_one_field_is_found(self, fields: dict[str, Any]) -> None:
        assert tampered(churn(), FREE, **fields)

    @pytest.mark.parametrize(
        "fields",
        [
            {"status": HELD, "impact": "pass"},
            {"status": "unchanged", "impact": "pass", "identical": True},
            {"min_n": 100_000, "impact": "pass"},  # too small is a matter of slices
            {"interval": [-0.004, 0.004]},
        ],
    )
    def test_of_what_is_undecided_is_found(self, fields: dict[str, Any]) -> None:
        assert tampered(undecided(), "test.accuracy", **fields)

    @pytest.mark.parametrize(
        "fields",
        [
            {"head_interval": [0.70, 0.79]},
            {"head_interval": [0.70, 0.85]},
            {"floor": 0.835},
            {"delta": 0.004},
            {"delta": -0.5},
        ],
    )
    def test_of_a_floor_or_a_change_is_found(self, fields: dict[str, Any]) -> None:
        assert tampered(churn(), "test.recall", **fields)

    @pytest.mark.parametrize("fields", [{"allowed": None}, {"allowed": -1.0}])
    def test_of_what_a_share_of_the_base_allows_is_found(self, fields: dict[str, Any]) -> None:
        assert tampered(undecided(), "test.log_loss", **fields)

    def test_of_the_verdict_is_found(self) -> None:
        document = written(churn())
        document["verdict"]["outcome"] = "pass"
        assert contradictions(read(document)) == ["the verdict is pass, and its comparisons say fail"]

    def test_of_the_family_is_found(self) -> None:
        """Made-up slices would make every claim look like chance."""
        document = written(churn())
        (free,) = (item for item in document["comparisons"] if item["slice"] == {"plan": "free"})
        document["comparisons"] += [
            {**free, "slice": {"plan": f"made up {index}"}, "p_value": 1.0, "corrected": 1.0} for index in range(9)
        ]
        assert f"the correction of {FREE} does not follow from its gate's slices" in contradictions(read(document))

    def test_says_what_does_not_fit(self) -> None:
        assert tampered(churn(), FREE, status=HELD) == [
            f"{FREE} is held, which means pass, not fail",
            f"{FREE} is regressed by its numbers, not held",
        ]
        assert tampered(churn(), FREE, delta=0.5) == [f"the change of {FREE} is not 0.5 by its numbers"]


finite = st.floats(-1e6, 1e6)
widths = st.floats(1e-9, 1e3)


@st.composite
def found(draw: st.DrawFn) -> Contrast | Gap:
    kind, n = draw(st.integers(0, 5)), draw(st.integers(0, 400))
    if kind == 0:
        return Gap(reason="one class only", n=n)
    head = draw(finite)
    own = (head - draw(widths), head + draw(widths)) if draw(st.booleans()) else None
    shared: dict[str, Any] = {"head": head, "head_interval": own, "confidence": 0.95, "n": n}
    if kind == 1:
        return Contrast(base=None, **shared)
    shared["allowed"] = draw(finite)
    if kind == 2:
        return Contrast(base=head, interval=(0.0, 0.0), p_value=1.0, identical=True, **shared)
    base = draw(finite)
    low, high = head - base - draw(widths), head - base + draw(widths)
    assume(low < high)
    return Contrast(base=base, interval=(low, high), p_value=draw(st.floats(0, 1)), **shared)


@st.composite
def judged(draw: st.DrawFn) -> list[Comparison]:
    """The comparisons of one gate, with slices or without."""
    low, high = sorted((draw(finite), draw(finite)))
    asked: Gate = gate(
        f"test.{draw(st.sampled_from(['recall', 'brier']))}",
        draw(st.floats(0, 10)) if draw(st.booleans()) else f"{draw(st.integers(0, 50))}%",
        draw(st.sampled_from(["higher", "lower"])),
        require=draw(st.sampled_from(Require)),
        severity=draw(st.sampled_from(Severity)),
        floor=low if draw(st.booleans()) else None,
        ceiling=high if draw(st.booleans()) else None,
    )
    slices = [
        (dataclasses.replace(asked, slice=Slice(parts=(("plan", str(index)),)), min_n=200), one)
        for index, one in enumerate(draw(st.lists(found(), max_size=5)))
    ]
    return [compare_measured(asked, draw(found())), *compare_slices(slices)]


class TestAnyReport:
    @given(items=judged())
    def test_is_strict_json_is_read_back_and_does_not_contradict_itself(self, items: list[Comparison]) -> None:
        content = report(*items)
        assert read(written(content)) == content
        assert contradictions(content) == []

    @given(items=judged(), other=st.sampled_from(["held", "unchanged", "improved", "inconclusive", "new"]))
    def test_whose_blocking_status_was_changed_contradicts_itself(self, items: list[Comparison], other: str) -> None:
        content = report(*items)
        for item in content.comparisons:
            if item.impact.rank > Outcome.WARN.rank and item.status.value != other:
                assert tampered(content, item.name, status=other, impact="pass")


def test_the_example_has_everything_a_report_can_have() -> None:
    """So that what is tested with it is tested with every field."""
    items = [*churn().comparisons, *undecided().comparisons]
    for name in ComparisonPart.model_fields:
        if name not in ("ceiling", "declared", "absolute", "unit"):  # tests/core/test_expectations.py is about these
            assert any(getattr(item, name) not in (None, "", False) for item in items), name
    assert TableKey(table="a", metric="b") != reports.gate("a.c").metric
