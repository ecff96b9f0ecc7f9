"""How alike two trainings are, and where they part first."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import sameness
from ci_ml.core.sameness import Made, Measured, Parting, Sameness


def made(name: str, deps: dict[str, str | None], outs: dict[str, str | None], **params: Any) -> Made:
    return Made(name=name, command=(f"python {name}.py",), deps=deps, outs=outs, params=params)


PREPARE = made("prepare", {"raw": "md5:1"}, {"clean": "md5:2"})
TRAIN = made("train", {"clean": "md5:2"}, {"model": "md5:3"}, rate=0.1)
SAME = ({"m.json:auc": 0.9}, {"m.json:auc": 0.9})
OTHER = ({"m.json:auc": 0.9}, {"m.json:auc": 0.91})


def test_every_output_the_same_is_bitwise_whatever_the_numbers() -> None:
    found = sameness.likeness([PREPARE, TRAIN], [PREPARE, TRAIN], OTHER)
    assert (found.sameness, found.first) == (Sameness.BITWISE, None)
    assert found.sentence == "Bitwise equal: all 2 outputs are the same, byte for byte."


def test_nothing_to_compare_is_no_likeness() -> None:
    assert sameness.likeness([], [], ({}, {})).sameness is Sameness.DIFFERENT
    bare = made("log", {}, {})
    assert sameness.likeness([bare], [bare], ({}, {})).sameness is Sameness.DIFFERENT


def test_an_output_that_nobody_knows_is_no_likeness() -> None:
    unknown = made("train", {}, {"model": None})
    assert sameness.partings([unknown], [unknown]) == (Parting(stage="train", outputs=("model",)),)


def test_the_first_stage_and_its_input() -> None:
    later = made("train", {"clean": "md5:9"}, {"model": "md5:8"}, rate=0.1)
    alone = made("prepare", {"raw": "md5:1"}, {"clean": "md5:9"})
    found = sameness.partings([PREPARE, TRAIN], [alone, later])
    assert [one.words for one in found] == [
        "stage prepare made another clean of the same inputs",
        "stage train made another model, of another clean",
    ]
    changed = made("train", {"clean": "md5:2"}, {"model": "md5:3"}, rate=0.2)
    assert sameness.partings([TRAIN], [changed])[0].words == (
        "stage train was given another param rate, and made the same of it"
    )


def test_a_stage_that_only_one_side_has_parts() -> None:
    assert sameness.partings([PREPARE, TRAIN], [PREPARE])[0].inputs == ("stage",)
    assert sameness.partings([PREPARE], [PREPARE, TRAIN])[0].stage == "train"


@pytest.mark.parametrize(
    ("numbers", "tests", "level"),
    [
        (SAME, [], Sameness.METRICS),
        (OTHER, [], Sameness.DIFFERENT),
        (({"a": 1.0}, {}), [], Sameness.DIFFERENT),
        (({}, {}), [], Sameness.DIFFERENT),
        (OTHER, [((-0.01, 0.01), 0.02)], Sameness.STATISTICAL),
        (OTHER, [((-0.01, 0.01), 0.0)], Sameness.STATISTICAL),
        (OTHER, [((-0.03, 0.03), 0.02)], Sameness.DIFFERENT),  # too few examples to say so
        (OTHER, [((0.001, 0.01), 0.02)], Sameness.DIFFERENT),
        (OTHER, [((-0.01, 0.01), 0.02), (None, 0.02)], Sameness.DIFFERENT),
    ],
)
def test_by_numbers_and_by_paired_tests(
    numbers: tuple[dict[str, float], dict[str, float]],
    tests: list[tuple[tuple[float, float] | None, float]],
    level: Sameness,
) -> None:
    measured = [
        Measured(metric=f"t.{index}", before=0.9, after=0.905, interval=interval, margin=margin)
        for index, (interval, margin) in enumerate(tests)
    ]
    other = made("train", {"clean": "md5:2"}, {"model": "md5:4"}, rate=0.1)
    found = sameness.likeness([PREPARE, TRAIN], [PREPARE, other], numbers, measured)
    assert found.sameness is level
    assert "stage train made another model of the same inputs" in found.sentence


def test_what_meets_what_was_asked() -> None:
    order = list(Sameness)
    for index, level in enumerate(order):
        assert [level.meets(required) for required in order] == [index <= other for other in range(len(order))]


_DIGESTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["md5:1", "md5:2", None]), max_size=4)
_STAGES = st.lists(
    st.builds(made, st.sampled_from(["x", "y", "z"]), _DIGESTS, _DIGESTS), unique_by=lambda one: one.name
)


@given(_STAGES, _STAGES)
def test_no_parting_means_the_same_stages_with_known_digests(one: list[Made], other: list[Made]) -> None:
    parted = sameness.partings(one, other)
    same = {made.name: made for made in one} == {made.name: made for made in other}
    known = all(value is not None for made in one for value in made.outs.values())
    assert (not parted) == (same and known)
    assert {part.stage for part in parted} == {part.stage for part in sameness.partings(other, one)}
