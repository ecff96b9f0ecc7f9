"""Reproductions, repetitions and test sets as text: what they say, and that no name in them is more than a name."""

import json

import pytest

from ci_ml.core import reproducing
from ci_ml.core.exhibits import EnvironmentPart, SettingPart
from ci_ml.core.reproducing import Recorded, Reproduction
from ci_ml.core.sameness import Likeness, Measured, Parting, Sameness
from ci_ml.core.testsets import Rotation, TestSetConfig
from ci_ml.render import sameness, testsets

HOSTILE = "a\x1b[31m<script>\n::error::x|`y`"


def found(level: Sameness, name: str = "train") -> Reproduction:
    return Reproduction(
        recorded=Recorded(
            record=f"sha256:{'a' * 64}",
            commit="c" * 40,
            dirty=False,
            targets=(),
            stages={},
            params={},
            inputs={},
            outputs={},
        ),
        likeness=Likeness(
            sameness=level,
            partings=(Parting(stage=name, outputs=(f"{name}.pkl",)),),
            measured=(Measured(metric=f"{name}.auc", before=0.9, after=0.905, interval=(-0.01, 0.02), margin=0.05),),
            outputs=1,
        ),
        environment=EnvironmentPart(differences=(SettingPart(kind="package", name="numpy", base="1.0", head="2.0"),)),
        restored="uv.lock",
        seconds=3.0,
        notices=(name,),
    )


def test_a_reproduction_says_where_it_parts_by_how_much_and_in_what() -> None:
    text = sameness.terminal(found(Sameness.STATISTICAL), Sameness.STATISTICAL)
    assert text.startswith("✓ ccccccc: statistically equal\n")
    assert "stage train made another train.pkl of the same inputs" in text
    assert "-0.01 to +0.02" in text
    assert "in an environment made from uv.lock" in text
    assert "numpy 1.0 → 2.0" in text
    strict = sameness.terminal(found(Sameness.STATISTICAL), Sameness.BITWISE)
    assert strict.startswith("✗")
    assert "bitwise equal was asked for" in strict


def test_its_json_is_its_record() -> None:
    record = reproducing.reproduction(found(Sameness.DIFFERENT), Sameness.METRICS)
    document = json.loads(sameness.data(found(Sameness.DIFFERENT), record))
    assert document["record"] == record.digest
    assert (document["sameness"], document["met"], document["seconds"]) == ("different", False, 3.0)


@pytest.mark.parametrize("width", [20, 80])
def test_names_stay_names(width: int) -> None:
    hostile = found(Sameness.DIFFERENT, HOSTILE)
    row = testsets.Row(
        name="test",
        config=TestSetConfig(path="data/\x1b[2Jx.csv"),
        digest="md5:1",
        looks=70,
        rotations=(Rotation(name="test", before=None, digest="md5:1", looks=3, why=HOSTILE, by=HOSTILE),),
    )
    texts = [
        sameness.terminal(hostile, Sameness.BITWISE, width=width),
        sameness.repetition([HOSTILE], hostile.likeness.partings, [HOSTILE], width=width),
        testsets.terminal([row], width=width),
        testsets.rotated(row.rotations[0], HOSTILE),
        sameness.markdown(hostile, Sameness.BITWISE),
    ]
    for text in texts:
        assert "\x1b" not in text
        assert not any(line.startswith("::error") for line in text.splitlines())
    assert "<script>" not in texts[-1]


def test_a_repetition_of_nothing_is_no_success() -> None:
    assert "there is no stage" in sameness.repetition([], [], [])
    assert "deterministic: the one stage makes the same" in sameness.repetition(["train"], [], [])
