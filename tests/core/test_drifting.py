"""Whether a column has drifted: far enough, and not by chance; and never `no` where it cannot be said."""

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ci_ml.core import drifting
from ci_ml.core.drifts import Drift, DriftConfig, Finding
from ci_ml.core.kinds import Kind
from ci_ml.core.profiles import ColumnProfile, Profile
from ci_ml.core.types import Gap, Outcome
from ci_ml.stats import grids
from ci_ml.stats.grids import Grid
from tests.stats.columns import counted

CHANCE = np.random.default_rng(20)


def numeric(values: Any, grid: Grid, name: str = "age", **states: int) -> ColumnProfile:
    rows = len(values) + sum(states.values())
    return ColumnProfile(
        name=name, kind=Kind.NUMERIC, type="float64", rows=rows, values=counted(grid, np.asarray(values)), **states
    )


def category(counts: dict[str, int], name: str = "country", missing: int = 0) -> ColumnProfile:
    rows = sum(counts.values()) + missing
    return ColumnProfile(name=name, kind=Kind.CATEGORICAL, type="string", rows=rows, missing=missing, values=counts)


def table(*columns: ColumnProfile, name: str = "now") -> Profile:
    return Profile(name=name, rows=columns[0].rows if columns else 0, columns={one.name: one for one in columns})


def compared(one: ColumnProfile, other: ColumnProfile, **config: Any) -> Drift:
    return drifting.judge(table(one, name="before"), table(other), DriftConfig.model_validate(config))


def numbers(n: int, shift: float = 0.0, m: int | None = None, **config: Any) -> Drift:
    one, other = CHANCE.normal(size=n), CHANCE.normal(size=m or n) + shift
    grid = grids.of_sample(one[:10_000], float(one.min()), float(one.max()))
    return compared(numeric(one, grid), numeric(other, grid), **config)


def test_a_large_significant_shift_is_drift_and_says_by_what() -> None:
    (column,) = numbers(20_000, 0.5).columns
    assert column.drifted is True
    assert column.sentence.startswith("age drifted: normed Wasserstein 0.")
    assert "(limit 0.1), KS p < 0.0001; its mean rose from " in column.sentence


def test_at_a_million_rows_a_harmless_shift_is_significant_and_no_drift() -> None:
    chance = np.random.default_rng(7)
    one, other = chance.normal(size=1_000_000), chance.normal(size=1_000_000) + 0.005
    grid = grids.of_sample(one[:10_000], float(one.min()), float(one.max()))
    found = compared(numeric(one, grid), numeric(other, grid))
    (column,) = found.columns
    assert column.decided is not None
    assert column.decided.corrected < 0.01
    assert column.decided.effect < 0.02
    assert column.drifted is False
    assert "did not drift" in column.sentence
    assert "although KS p" in column.sentence
    assert found.outcome is Outcome.PASS


def test_among_few_rows_a_large_shift_may_be_chance() -> None:
    one = np.linspace(0, 1, 25)
    grid = grids.of_values(one)
    (column,) = compared(numeric(one, grid), numeric(one + 0.1, grid)).columns
    assert column.decided is not None
    assert column.decided.effect > 0.1
    assert column.drifted is False
    assert "may be chance" in column.sentence


def test_missing_values_are_a_test_of_their_own() -> None:
    values = CHANCE.normal(size=1_000)
    grid = grids.of_values(np.unique(values))
    (column,) = compared(numeric(values, grid), numeric(values[:700], grid, missing=300)).columns
    assert column.drifted is True
    assert column.decided is not None
    assert column.decided.what == "missing"
    assert "the share of rows without a value rose from 0% to 30%" in column.sentence


@pytest.mark.parametrize(("state", "said"), [("nan", "are NaN"), ("infinite", "infinite"), ("unreadable", "read")])
def test_what_is_no_number_never_vanishes(state: str, said: str) -> None:
    values = CHANCE.normal(size=1_000)
    grid = grids.of_values(np.unique(values))
    (column,) = compared(numeric(values, grid), numeric(values[:800], grid, **{state: 200})).columns
    assert column.drifted is True
    assert said in column.sentence
    assert column.statistics[f"{state}_current"] == 0.2


def test_new_and_vanished_categories_are_named() -> None:
    (column,) = compared(category({"DE": 500, "FR": 480, "UK": 20}), category({"DE": 490, "FR": 470, "US": 40})).columns
    assert column.drifted is True
    assert (column.new, column.vanished) == (("US",), ("UK",))
    assert "4% of the rows are in 1 new category (US)" in column.sentence


def test_values_of_the_data_can_be_kept_quiet() -> None:
    one, other = category({"DE": 500, "secret": 480}), category({"DE": 490, "hidden": 500})
    found = drifting.judge(table(one, name="before"), table(other), DriftConfig(), examples=0)
    (column,) = found.columns
    assert column.drifted is True
    told = json.dumps([column.sentence, column.bars.labels if column.bars else None, column.new, column.vanished])
    assert "secret" not in told
    assert "hidden" not in told


def test_a_constant_column_that_changes_is_drift_and_one_that_does_not_is_none() -> None:
    grid = grids.of_values(np.array([3.0]))
    same = np.full(100, 3.0)
    assert compared(numeric(same, grid), numeric(same, grid)).columns[0].drifted is False
    assert compared(numeric(same, grid), numeric(same + 1, grid)).columns[0].drifted is True


def unknown(found: Drift, said: str) -> None:
    """It cannot be said, and that is neither a pass nor a failure."""
    (column,) = found.columns
    assert column.drifted is None
    assert said in column.sentence
    assert found.outcome is Outcome.UNDECIDED
    assert "could not be compared" in drifting.sentence(found)


def test_what_cannot_be_compared_is_undecided() -> None:
    grid = grids.of_values(np.arange(100.0))
    one = numeric(np.arange(100.0), grid)
    gap = ColumnProfile(name="age", kind=Kind.NUMERIC, type="x", rows=100, values=Gap(reason="its type changed"))
    unknown(compared(one, gap), "its type changed")
    unknown(compared(gap, one), "its type changed")
    unknown(compared(one, numeric(np.arange(19.0), grid)), "holds 19 values in it, and a test needs 20")
    unknown(drifting.judge(table(one), Profile(name="now", rows=0, columns={}), DriftConfig()), "has no column age")
    empty = ColumnProfile(name="age", kind=Kind.NUMERIC, type="x", rows=0, values=Gap(reason="nothing"))
    unknown(compared(one, empty), "now has no rows")
    ids = category({f"u{index}": 1 for index in range(100)}, "age")
    unknown(compared(ids, ids), "names things")
    assert drifting.judge(table(), table(), DriftConfig()).outcome is Outcome.UNDECIDED


def test_a_column_that_is_asked_for_and_not_there_is_undecided() -> None:
    one = category({"DE": 100})
    found = compared(one, one, columns={"only": ["country", "gone"]})
    assert found.outcome is Outcome.UNDECIDED
    assert "the reference has no column gone" in found.columns[1].sentence


def several(drifted: int, count: int, **config: Any) -> Drift:
    one = [category({"a": 500, "b": 500}, f"c{at}") for at in range(count)]
    other = [category({"a": 900, "b": 100} if at < drifted else {"a": 500, "b": 500}, f"c{at}") for at in range(count)]
    return drifting.judge(table(*one, name="before"), table(*other), DriftConfig.model_validate(config))


def test_the_share_of_drifted_columns_decides() -> None:
    assert several(3, 10).outcome is Outcome.PASS  # exactly the share is acceptable
    assert several(4, 10).outcome is Outcome.FAIL
    assert several(4, 10, share="40%").outcome is Outcome.PASS
    assert several(4, 10).share == 0.4


def test_a_column_that_must_never_drift_blocks_alone() -> None:
    assert several(1, 10).outcome is Outcome.PASS
    assert several(1, 10, columns={"never": ["c0"]}).outcome is Outcome.FAIL
    assert several(1, 10, columns={"never": ["c1"]}).outcome is Outcome.PASS


def test_columns_can_be_left_out() -> None:
    found = several(4, 10, columns={"except": ["c0", "c1"]})
    assert [column.column for column in found.columns] == [f"c{at}" for at in range(2, 10)]


def test_all_tests_are_one_family() -> None:
    """A p-value that is small by itself is not among many others."""
    one = [category({"a": 500, "b": 500}, f"c{at}") for at in range(40)]
    other = [category({"a": 550 if at == 0 else 500, "b": 450 if at == 0 else 500}, f"c{at}") for at in range(40)]
    config = DriftConfig.model_validate({"limits": {"jensen_shannon": 0.01}})
    alone = drifting.judge(table(one[0]), table(other[0]), config).columns[0]
    among = drifting.judge(table(*one), table(*other), config).columns[0]
    assert alone.drifted is True
    assert among.drifted is False


def together(auc: float, p_value: float) -> Drift:
    return drifting.beside(several(0, 3), drifting.together(auc, 0.55, p_value, (5_000, 5_000), ["c1"]))


def test_a_classifier_blocks_when_it_is_both_good_and_significant() -> None:
    assert together(0.7, 1e-9).outcome is Outcome.FAIL
    assert "mostly by c1" in drifting.sentence(together(0.7, 1e-9))
    assert together(0.53, 1e-9).outcome is Outcome.PASS
    assert together(0.7, 0.2).outcome is Outcome.PASS


def test_a_classifier_that_could_not_be_asked_is_undecided() -> None:
    assert drifting.beside(several(0, 3), Gap(reason="39 rows")).outcome is Outcome.UNDECIDED


def test_a_column_that_is_new_is_listed() -> None:
    one, other = category({"a": 100}), category({"a": 100}, "more")
    found = drifting.judge(table(one), table(one, other), DriftConfig())
    assert found.added == ("more",)


def test_bars_hold_every_row() -> None:
    (column,) = numbers(20_000, 0.3, 9_000).columns
    assert column.bars is not None
    assert len(column.bars.reference) == len(column.bars.edges or ()) - 1 == 30
    assert sum(column.bars.reference) + column.bars.beyond[0] == 20_000
    assert sum(column.bars.current) + column.bars.beyond[1] == 9_000
    many = category({f"k{at}": 1_000 - at for at in range(200)})
    bars = compared(many, many).columns[0].bars
    assert bars is not None
    assert len(bars.labels or ()) == 30
    assert sum(bars.reference) == many.rows


def test_the_effect_that_goes_furthest_speaks() -> None:
    (column,) = numbers(20_000, 0.5, limits={"psi": 0.01, "ks": 0.5}).columns
    assert column.decided is not None
    assert column.decided.what == "psi"


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 1.5},
        {"share": "many"},
        {"share": True},
        {"alpha": 0},
        {"limits": {"wasserstein": -1}},
        {"limits": {"wasserstein": None}},
        {"limits": {"jensen_shannon": None}},
        {"limits": {"other": 1}},
        {"columns": {"only": ["a"], "except": ["b"]}},
        {"columns": {"only": []}},
        {"columns": {"only": ["a"], "never": ["b"]}},
        {"columns": {"except": ["b"], "never": ["b"]}},
        {"more": 1},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DriftConfig.model_validate(wrong)


def test_shares_are_numbers_or_percentages() -> None:
    found = DriftConfig.model_validate({"share": "30%", "limits": {"missing": "5 %", "new_categories": 0.01}})
    assert (found.share, found.limits.missing, found.limits.new_categories) == (0.3, 0.05, 0.01)


def test_a_test_without_a_limit_of_its_own_is_exceeded_by_anything() -> None:
    test = Finding(what="ks", method="", effect=0.1, limit=0, test="KS", p_value=0, n=(9, 9), words="", corrected=0.0)
    assert test.drifted
