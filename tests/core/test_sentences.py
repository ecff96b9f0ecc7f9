"""One sentence per comparison: what moved, how sure that is, what is allowed, and what would settle it."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import numbers, sentences
from ci_ml.core.compare import compare_measured
from ci_ml.core.types import Contrast, Gap, Require, Status
from ci_ml.stats import power
from tests.reports import contrast, gate, sliced


def said(asked: Any, found: Contrast | Gap) -> str:
    """The sentence, with plain minus signs and blanks, so that it can be read here."""
    return plain(compare_measured(asked, found).reason)


def plain(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", " ")


RECALL = gate("test.recall", 0.01, rate=True)
LOSS = gate("test.log_loss", 0.005, "lower")


class TestEveryStatus:
    @pytest.mark.parametrize(
        ("asked", "found", "expected"),
        [
            (RECALL, contrast(0.812, 0.781, 0.011),
             "test.recall fell by 3.1 pp, from 0.812 to 0.781 (95 % interval -4.2 … -2.0, 4,812 examples); "
             "the gate allows a loss of 1 pp."),
            (gate("test.recall", 0, rate=True), contrast(0.812, 0.781, 0.011),
             "test.recall fell by 3.1 pp, from 0.812 to 0.781 (95 % interval -4.2 … -2.0, 4,812 examples); "
             "the gate allows no loss."),
            (LOSS, contrast(0.2314, 0.2514, 0.0081),
             "test.log_loss rose by 0.0200, from 0.2314 to 0.2514 (95 % interval +0.0119 … +0.0281, 4,812 examples); "
             "the gate allows a rise of 0.005."),
            (LOSS, contrast(0.2314, 0.2307, 0.0021),
             "test.log_loss fell by 0.0007, from 0.2314 to 0.2307 (95 % interval -0.0028 … +0.0014, 4,812 examples): "
             "a rise of more than 0.005 is excluded."),
            (gate("test.recall", 0, rate=True), contrast(0.812, 0.832, 0.004),
             "test.recall rose by 2.00 pp, from 0.8120 to 0.8320 (95 % interval +1.60 … +2.40, 4,812 examples), "
             "which is better."),
            (RECALL, contrast(0.812, 0.812, 0.0), "test.recall is unchanged at 0.812: all 4,812 examples count alike."),
            (RECALL, contrast(None, 0.85, 0.0, own=0.02),
             "test.recall is new: 0.850 (95 % interval 0.830 … 0.870, 4,812 examples); "
             "the base has nothing to compare it with."),
            (RECALL, contrast(None, 0.8512, 0.0),
             "test.recall is new: 0.851; the base has nothing to compare it with."),
            (RECALL, contrast(0.812, 0.802, 0.019, n=285),
             "test.recall cannot be decided with 285 examples: a loss of up to 2.9 pp is possible, "
             "and the gate allows a loss of 1 pp; about 2,200 examples would settle it."),
            (RECALL, Gap(reason="eval/p.csv of the work tree has no rows"),
             "test.recall cannot be judged: eval/p.csv of the work tree has no rows."),
        ],
    )  # fmt: skip
    def test_on_all_examples(self, asked: Any, found: Contrast | Gap, expected: str) -> None:
        assert said(asked, found) == expected

    def test_on_slices(self) -> None:
        found = {
            ("plan", "free"): contrast(0.8, 0.77, 0.028, 900),
            ("plan", None): contrast(0.8, 0.8, 0.02, 900),
            (("plan", "pro"), ("country", "DE")): contrast(0.8, 0.7, 0.1, 90),
            ("plan", "trial"): Gap(reason="no positives", n=1),
            ("plan", "old"): Gap(reason="no positives", n=900),
        }
        assert [plain(item.reason) for item in sliced("test.recall", found, margin=0.01, rate=True)] == [
            "test.recall on plan = free fell by 3.0 pp, from 0.800 to 0.770 (95 % interval -5.8 … -0.2, 900 examples), "
            "which may be chance among 2 slices (p 0.071 after Holm's correction); the gate allows a loss of 1 pp.",
            "test.recall on plan is missing cannot be decided with 900 examples: a loss of up to 2.0 pp is possible, "
            "and the gate allows a loss of 1 pp; about 7,400 examples would settle it.",
            "test.recall on plan = pro, country = DE has 90 examples, fewer than the 200 that its gate asks for: "
            "shown, not judged.",
            "test.recall on plan = trial has 1 example to measure it on (no positives), fewer than the 200 that its gate asks "
            "for: shown, not judged.",
            "test.recall on plan = old cannot be judged: no positives.",
        ]

    def test_on_clusters(self) -> None:
        found = contrast(0.2314, 0.2514, 0.0081, clusters=41)
        assert "(95 % interval +0.0119 … +0.0281, 4,812 examples in 41 clusters)" in said(LOSS, found)
        found = contrast(0.2314, 0.2344, 0.0081, clusters=41)
        assert said(LOSS, found).startswith("test.log_loss cannot be decided with 4,812 examples in 41 clusters: ")
        assert said(LOSS, found).endswith("; about 220 clusters would settle it.")

    def test_of_a_gap_names_the_groups(self) -> None:
        asked = gate("test.recall", 0.01, "lower", rate=True, gap=("country",))
        between = ("country = DE", "country = MT")
        assert said(asked, contrast(0.012, 0.12, 0.05, between=between)) == (
            "test.recall gap by country rose by 10.8 pp, from 0.012 to 0.120 (95 % interval +5.8 … +15.8, "
            "4,812 examples, between country = DE and country = MT); the gate allows a rise of 1 pp."
        )
        assert said(asked, contrast(0.12, 0.12, 0.0, between=between)) == (
            "test.recall gap by country is unchanged at 0.12: in the groups that make it, examples count alike."
        )

    def test_of_repeats_counts_trainings(self) -> None:
        asked = gate("test.acc", 0.01)
        found = contrast(0.9, 0.9, 0.02, 7, method="repeats (seeds)")
        assert said(asked, found).startswith("test.acc cannot be decided with 7 trainings: ")
        assert said(asked, found).endswith("; about 58 trainings would settle it.")
        assert "all 7 trainings count alike" in said(asked, contrast(0.9, 0.9, 0.0, 7, method="repeats (seeds)"))

    @pytest.mark.parametrize(("left", "words"), [(0.0021, "0.0021"), (-0.001, "nothing")])
    def test_of_a_share_of_a_noisy_base(self, left: float, words: str) -> None:
        found = replace(contrast(0.2314, 0.2334, 0.002), allowed=left)
        asked = gate("test.log_loss", "2%", "lower")
        assert plain(sentences.interval(asked, found, Status.INCONCLUSIVE, None, None)).startswith(
            "test.log_loss cannot be decided with 4,812 examples: a rise of up to 0.0040 is possible, and the gate "
            f"allows a rise of 2% (0.004628), of which noise in the base leaves {words}"
        )

    def test_at_another_confidence(self) -> None:
        found = replace(contrast(0.812, 0.781, 0.011), confidence=0.999)
        assert "(99.9 % interval" in said(RECALL, found)


class TestBounds:
    @pytest.mark.parametrize(
        ("bound", "head", "expected"),
        [
            ({"floor": 0.8}, 0.772, "0.772 (95 % interval 0.752 … 0.792, 4,812 examples), wholly below its floor of 0.8."),
            ({"ceiling": 0.7}, 0.772,
             "0.772 (95 % interval 0.752 … 0.792, 4,812 examples), wholly above its ceiling of 0.7."),
            ({"floor": 0.8}, 0.812,
             "0.812 (95 % interval 0.792 … 0.832, 4,812 examples): that it is above its floor of 0.8 is not shown; "
             "about 28,000 examples would settle it."),
            ({"ceiling": 0.8}, 0.79,
             "0.790 (95 % interval 0.770 … 0.810, 4,812 examples): that it is below its ceiling of 0.8 is not shown; "
             "about 40,000 examples would settle it."),
        ],
    )  # fmt: skip
    def test_are_what_the_sentence_is_about_when_they_decide(
        self, bound: dict[str, float], head: float, expected: str
    ) -> None:
        asked = gate("test.recall", 0.01, rate=True, **bound)
        assert said(asked, contrast(head, head, 0.004, own=0.02)) == f"test.recall is {expected}"

    def test_of_what_is_new(self) -> None:
        asked = gate("test.recall", 0.01, rate=True, floor=0.8)
        assert said(asked, contrast(None, 0.81, 0.0, own=0.02)).startswith(
            "test.recall is new and 0.810 (95 % interval 0.790 … 0.830, 4,812 examples): that it is above its floor"
        )

    def test_that_are_cleared_are_not_mentioned(self) -> None:
        asked = gate("test.recall", 0.01, rate=True, floor=0.7, ceiling=0.9)
        for half in (0.004, 0.03):
            assert "floor" not in said(asked, contrast(0.812, 0.812, half, own=0.02))

    @given(head=st.floats(0.78, 0.82), own=st.floats(0.03, 0.1), n=st.integers(10, 10**5))
    def test_that_are_not_shown_take_more_examples_than_there_are(self, head: float, own: float, n: int) -> None:
        asked = gate("test.recall", 0.01, rate=True, floor=0.8)
        needed = re.search(r"about ([\d,]+) examples", said(asked, contrast(head, head, 0.004, n, own=own)))
        assert needed is None or int(needed[1].replace(",", "")) > n


class TestWhatWouldSettleIt:
    @given(
        base=st.floats(0.1, 0.9), delta=st.floats(-0.05, 0.05), half=st.floats(0.001, 0.1), margin=st.floats(0.001, 0.1)
    )
    def test_is_more_than_there_is(self, base: float, delta: float, half: float, margin: float) -> None:
        item = compare_measured(gate("test.auc", margin), contrast(base, base + delta, half, 1000))
        if item.status is Status.INCONCLUSIVE:
            needed = re.search(r"about ([\d,]+) examples would settle it\.$", item.reason)
            assert needed is None or int(needed[1].replace(",", "")) > 1000

    def test_is_the_number_that_an_unchanged_model_needs(self) -> None:
        found = contrast(0.8, 0.8, 0.02, 1000)
        assert found.found is not None
        assert power.needed(found.found, 0.01) == 8173
        assert sentences.settles(RECALL, found) == "; about 8,200 examples would settle it"

    def test_is_no_number_that_nobody_has(self) -> None:
        for margin in (1e-6, 1e-200):
            assert sentences.settles(gate("test.recall", margin), contrast(0.8, 0.8, 0.02)) == ""

    @pytest.mark.parametrize("floor", [0.0, 1e-200])
    def test_is_nothing_where_the_head_is_at_its_floor(self, floor: float) -> None:
        assert sentences.settles(gate("test.mcc", floor=floor), contrast(0.0, 0.0, 0.02, own=0.1)) == ""

    def test_is_about_the_margin_where_a_bound_is_settled(self) -> None:
        asked, found = gate("test.recall", 0.01, rate=True, floor=0.9), contrast(0.8, 0.8, 0.02, 1000, own=0.02)
        assert sentences.settles(asked, found) == "; about 8,200 examples would settle it"

    def test_of_a_share_takes_what_the_noise_of_the_base_leaves(self) -> None:
        asked, found = gate("test.recall", "2%", rate=True), contrast(0.8, 0.8, 0.02, 1000)
        for left, examples in ((0.012, 5_676), (0.009, 10_090)):
            expected = f"; about {numbers.rough(examples)} examples would settle it"
            assert sentences.settles(asked, replace(found, allowed=left)) == expected
        assert sentences.settles(asked, replace(found, allowed=0.001)) == "", "more examples make that larger, too"

    def test_is_nothing_where_that_many_did_not_settle_it(self) -> None:
        found = contrast(0.8, 0.8, 0.02, 10_000)
        assert sentences.settles(gate("test.recall", 0.04, rate=True), found) == ""

    def test_is_nothing_for_a_margin_of_0(self) -> None:
        asked = gate("test.recall", 0, rate=True)
        assert said(asked, contrast(0.812, 0.812, 0.004)) == (
            "test.recall cannot be decided with 4,812 examples: a loss of up to 0.40 pp is possible, and the gate "
            "allows no loss; no test set can show that, and the smallest margin that this one holds is 0.57 pp."
        )

    def test_cannot_be_said_of_sides_that_are_identical(self) -> None:
        assert sentences.settles(RECALL, contrast(0.8, 0.8, 0.0)) == ""


class TestMarginsThatATestSetCannotHold:
    def test_are_named_with_what_it_can(self) -> None:
        found = contrast(0.8, 0.8, 0.02, 1000)
        text = sentences.infeasible([(RECALL, found), (gate("test.auc", 0.1), found)])
        assert text is not None
        assert plain(text) == (
            "margins that an unchanged model would not hold in 80 % of test sets like this one: "
            "test.recall asks for 1 pp where 1,000 examples can hold 2.9 pp (about 8,200 would do)"
        )

    @pytest.mark.parametrize(
        "asked", [gate("test.a", 0), gate("test.a", 0.5), gate("test.a", 1e-4, require=Require.REPORT)]
    )
    def test_are_none_where_nothing_is_promised(self, asked: Any) -> None:
        assert sentences.infeasible([(asked, contrast(0.8, 0.8, 0.02))]) is None

    def test_that_are_many_are_counted(self) -> None:
        judged = [(gate(f"test.a{index}", 0.001), contrast(0.8, 0.8, 0.02)) for index in range(9)]
        text = sentences.infeasible(judged)
        assert text is not None
        assert text.endswith("; and 4 more")


class TestDigits:
    """Two of the interval's half-width, and no more anywhere than that."""

    @pytest.mark.parametrize(
        ("half", "rate", "expected"),
        [
            (0.011, True, "fell by 3.1 pp, from 0.812 to 0.781 (95 % interval -4.2 … -2.0,"),
            (0.11, True, "fell by 3 pp, from 0.81 to 0.78 (95 % interval -14 … +8,"),
            (0.0011, True, "fell by 3.10 pp, from 0.8120 to 0.7810 (95 % interval -3.21 … -2.99,"),
            (0.011, False, "fell by 0.031, from 0.812 to 0.781 (95 % interval -0.042 … -0.020,"),
            (0.00011, False, "fell by 0.03100, from 0.81200 to 0.78100 (95 % interval -0.03111 … -0.03089,"),
        ],
    )
    def test_of_a_change(self, half: float, rate: bool, expected: str) -> None:
        asked = gate("test.recall", 0.5, rate=rate)
        assert f"test.recall {expected}" in said(asked, contrast(0.812, 0.781, half))

    @pytest.mark.parametrize("head", [0.812, 0.81204, 0.81196])
    def test_of_a_change_that_has_none_to_show(self, head: float) -> None:
        assert said(RECALL, contrast(0.812, head, 0.004)).startswith("test.recall stayed at 0.8120 (95 % interval -0.4")

    def test_of_large_values(self) -> None:
        found = contrast(212345.7, 216945.7, 2500)
        assert said(gate("test.mae", "1%", "lower"), found) == (
            "test.mae rose by 4,600, from 212,346 to 216,946 (95 % interval +2,100 … +7,100, 4,812 examples); "
            "the gate allows a rise of 1% (2,123)."
        )

    @pytest.mark.parametrize(
        ("margin", "rate", "expected"),
        [
            (0.025, True, "a loss of 2.5 pp"),
            (0.025, False, "a loss of 0.025"),
            ("2%", True, "a loss of 2% (1.625 pp)"),
            ("2%", False, "a loss of 2% (0.01625)"),
            (0, True, "no loss"),
        ],
    )
    def test_of_what_is_allowed(self, margin: float | str, rate: bool, expected: str) -> None:
        assert plain(sentences.allowance(gate("test.a", margin, rate=rate), 0.81234567)) == expected

    @given(
        base=st.floats(-1e6, 1e6), delta=st.floats(-1e6, 1e6), half=st.floats(0, 1e6), margin=st.floats(0, 1e3),
        relative=st.booleans(), rate=st.booleans(), direction=st.sampled_from(["higher", "lower"]),
        bound=st.none() | st.floats(-1e6, 1e6), own=st.none() | st.floats(1e-6, 1e6), n=st.integers(2, 10**7),
    )  # fmt: skip
    def test_of_anything_there_is_one_sentence(
        self,
        base: float,
        delta: float,
        half: float,
        margin: float,
        relative: bool,
        rate: bool,
        direction: str,
        bound: float | None,
        own: float | None,
        n: int,
    ) -> None:
        if half <= 1e-13 * max(abs(base), abs(base + delta), abs(delta)):
            half, delta = 0.0, 0.0
        asked = gate("test.a", f"{margin}%" if relative else margin, direction, rate=rate, floor=bound)
        text = said(asked, contrast(base, base + delta, half, n, own=own))
        assert text.startswith("test.a ")
        assert text.endswith(".")
        assert not re.search(r"\bnan\b|\binf\b|None|  |\.\.", text)
        assert not re.search(r"(rose|fell) by 0(\.0+)?( pp)?,", text)
