from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core.config import GateConfig, SlicesConfig
from ci_ml.core.gates import expand, is_glob, match_path, matches, of, on_slice
from ci_ml.core.types import (
    Direction,
    Evidence,
    Gap,
    Margin,
    Measurement,
    MetricKey,
    Reading,
    Require,
    Revision,
    Slice,
)


def key(text: str) -> MetricKey:
    path, _, name = text.partition(":")
    return MetricKey(path=path, key=name)


def side(*metrics: str, broken: dict[str, Gap] | None = None) -> Evidence:
    readings: dict[MetricKey, Reading] = {key(metric): Measurement(value=1.0, source=metric) for metric in metrics}
    return Evidence(revision=Revision(sha="0" * 40), readings=readings, unreadable=broken or {})


def gate(metric: str, margin: float = 0.0) -> GateConfig:
    return GateConfig(metric=metric, direction=Direction.HIGHER, margin=Margin(value=margin))


def names(gates: list[GateConfig], *sides: Evidence) -> list[str]:
    return [str(found.metric) for found in expand(gates, sides)]


class TestGlobs:
    @pytest.mark.parametrize(
        ("pattern", "matching", "others"),
        [
            (
                "eval/*.json",
                ["eval/a.json", "eval/.json"],
                ["eval/a/b.json", "a.json", "eval/a.jsonl", "x/eval/a.json"],
            ),
            ("eval/**", ["eval/a.json", "eval/a/b.json"], ["evals/a.json", "eval"]),
            ("**/m.json", ["m.json", "a/m.json", "a/b/m.json"], ["am.json", "a/m.json/b"]),
            ("**.json", ["m.json", "a/b/m.json"], ["m.jsonl"]),
            ("models/*/m.json", ["models/de/m.json"], ["models/m.json", "models/de/v1/m.json"]),
            ("models/**/m.json", ["models/m.json", "models/de/m.json", "models/de/v1/m.json"], ["models/de/xm.json"]),
            ("m?.json", ["m1.json", "mé.json"], ["m.json", "m/.json", "m12.json"]),
            ("a[1].json", ["a[1].json"], ["a1.json"]),
            ("a+(b).json", ["a+(b).json"], ["aab.json"]),
            ("*", ["a.json", "a\nb"], ["a/b"]),
        ],
    )
    def test_in_paths(self, pattern: str, matching: list[str], others: list[str]) -> None:
        assert [path for path in (*matching, *others) if match_path(pattern, path)] == matching

    @pytest.mark.parametrize(
        ("pattern", "matching", "others"),
        [
            ("test.*", ["test.acc", "test.f1"], ["test.de.acc", "test", "train.acc"]),
            ("test.**", ["test.acc", "test.de.acc"], ["test", "tests.acc"]),
            ("*", ["acc"], ["test.acc"]),
            ("**", ["acc", "test.de.acc"], []),
            ("*.acc", ["test.acc"], ["acc", "test.de.acc"]),
            ("top_?", ["top_1", "top_5"], ["top_10", "top_."]),
            ("f1[de]", ["f1[de]"], ["f1d"]),
        ],
    )
    def test_in_keys(self, pattern: str, matching: list[str], others: list[str]) -> None:
        covered = [name for name in (*matching, *others) if matches(key(f"m.json:{pattern}"), key(f"m.json:{name}"))]
        assert covered == matching

    def test_path_and_key_both_have_to_match(self) -> None:
        assert matches(key("a/*.json:t.*"), key("a/m.json:t.x"))
        assert not matches(key("a/*.json:t.*"), key("b/m.json:t.x"))
        assert not matches(key("a/*.json:t.*"), key("a/m.json:v.x"))

    @given(text=st.text(st.characters(codec="utf-8", exclude_characters="*?"), max_size=20))
    def test_text_without_glob_characters_matches_itself_alone(self, text: str) -> None:
        assert not is_glob(text)
        assert match_path(text, text)
        assert not match_path(text, f"{text}x")


class TestExpansion:
    def test_a_named_metric_keeps_its_gate_known_or_not(self) -> None:
        assert names([gate("m.json:gone")], side("m.json:a"), side("m.json:a")) == ["m.json:gone"]

    def test_a_glob_covers_what_either_side_has(self) -> None:
        covered = names([gate("m.json:*")], side("m.json:old", "m.json:both"), side("m.json:new", "m.json:both"))
        assert covered == ["m.json:both", "m.json:new", "m.json:old"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_an_explicit_gate_beats_a_glob_wherever_it_stands(self, order: int) -> None:
        configured = [gate("m.json:*", 0.5), gate("m.json:acc", 0.1)][::order]
        both = side("m.json:acc", "m.json:f1")
        margins = {str(found.metric): found.margin.value for found in expand(configured, (both, both))}
        assert margins == {"m.json:acc": 0.1, "m.json:f1": 0.5}

    def test_of_two_globs_the_first_wins(self) -> None:
        configured = [gate("m.json:test.*", 0.1), gate("**:**", 0.5)]
        both = side("m.json:test.acc", "m.json:train.acc")
        margins = {str(found.metric): found.margin.value for found in expand(configured, (both, both))}
        assert margins == {"m.json:test.acc": 0.1, "m.json:train.acc": 0.5}

    def test_gates_keep_the_order_of_the_configuration(self) -> None:
        configured = [gate("z.json:a"), gate("m.json:*"), gate("a.json:a")]
        both = side("m.json:y", "m.json:x")
        assert names(configured, both, both) == ["z.json:a", "m.json:x", "m.json:y", "a.json:a"]

    def test_a_glob_that_matches_nothing_stays_as_it_is_written(self) -> None:
        assert names([gate("eval/*.json:acc*")], side("m.json:acc"), side("m.json:acc")) == ["eval/*.json:acc*"]

    def test_a_broken_file_under_a_glob_is_not_dropped(self) -> None:
        broken = side("eval/a.json:acc", broken={"eval/b.json": Gap(reason="eval/b.json is empty")})
        whole = side("eval/a.json:acc")
        found = expand([gate("eval/*.json:acc")], (whole, broken))
        assert [str(item.metric) for item in found] == ["eval/a.json:acc", "eval/b.json:acc"]
        assert broken.reading(found[1].metric) == Gap(reason="eval/b.json is empty")

    def test_metrics_of_the_other_side_stand_for_a_file_that_one_side_cannot_read(self) -> None:
        broken = side(broken={"eval/a.json": Gap(reason="eval/a.json is empty")})
        found = expand([gate("eval/*.json:*")], (side("eval/a.json:acc", "eval/a.json:f1"), broken))
        assert [str(item.metric) for item in found] == ["eval/a.json:acc", "eval/a.json:f1"]
        assert all(broken.reading(item.metric) == Gap(reason="eval/a.json is empty") for item in found)

    def test_a_file_that_is_absent_on_one_side_is_not_broken(self) -> None:
        absent = side("eval/a.json:acc", broken={"eval/b.json": Gap(reason="no file eval/b.json", absent=True)})
        assert names([gate("eval/*.json:*")], absent, absent) == ["eval/a.json:acc"]

    @given(
        metrics=st.sets(
            st.sampled_from(["a.json:x", "a.json:y", "b/c.json:x", "b/c.json:x.y", "b/d.json:"]), min_size=1
        )
    )
    def test_a_glob_over_everything_drops_nothing(self, metrics: set[str]) -> None:
        found = names([gate("**:**")], side(*metrics), side())
        assert found == sorted(found)
        assert {str(key(name)) for name in metrics} == set(found)


class TestOnASlice:
    """The gate on a slice is the gate, with what the slices say of their own."""

    DE = Slice(parts=(("country", "DE"),))

    def _gate(self, **slices: Any) -> GateConfig:
        cut = SlicesConfig(by=("country",), **slices)
        return GateConfig(
            metric="test.recall", margin=Margin(value=0.01), floor=0.8, require=Require.NON_INFERIOR, slices=cut
        )

    def test_keeps_the_margin_and_not_the_bounds(self) -> None:
        found = on_slice(self._gate(), self.DE)
        assert (found.margin, found.floor, found.ceiling) == (Margin(value=0.01), None, None)
        assert (found.min_n, found.require, found.rate, found.slice) == (100, Require.NON_INFERIOR, True, self.DE)
        assert found.name == "test.recall on country = DE"

    def test_has_a_margin_and_bounds_of_its_own(self) -> None:
        found = on_slice(self._gate(margin=Margin(value=0.0), floor=0.7, ceiling=0.9, min_n=20), self.DE)
        assert (found.margin, found.floor, found.ceiling, found.min_n) == (Margin(value=0.0), 0.7, 0.9, 20)

    def test_of_all_examples_has_no_least_number(self) -> None:
        whole = of(self._gate(min_n=20), self._gate().key)
        assert (whole.min_n, whole.slice, whole.floor, whole.name) == (None, None, 0.8, "test.recall")


class TestAReading:
    def test_of_a_key_that_is_not_there_is_absent(self) -> None:
        assert side("m.json:a").reading(key("m.json:b")) == Gap(reason="m.json has no key b", absent=True)

    def test_of_a_file_that_could_not_be_read_is_why(self) -> None:
        gap = Gap(reason="m.json, line 3: not valid JSON")
        assert side(broken={"m.json": gap}).reading(key("m.json:b")) == gap
