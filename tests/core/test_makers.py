from collections.abc import Iterable
from typing import Any

import pytest

from ci_ml.core.makers import Stop, stopped, words
from ci_ml.core.pipeline import DataSource, Output, Pipeline, Stage


def stage(name: str, deps: tuple[str, ...] = (), outs: tuple[str, ...] = (), **rest: Any) -> Stage:
    made = tuple(Output(path=path) for path in outs)
    return Stage(name=name, file="dvc.yaml", command=("x",), wdir="", deps=deps, outs=made, **rest)


PREPARE = stage("prepare", ("raw",), ("data",))
TRAIN = stage("train", ("data/train.csv",), ("model",))
SCORE = stage("score", ("model",), ("eval",))
OTHER = stage("other", ("raw",), ("plot",))
BASE = (PREPARE, TRAIN, SCORE, OTHER)


def found(
    *head: Stage,
    base: tuple[Stage, ...] = BASE,
    files: Iterable[str] = ("eval/m.json", "raw"),
    edited: bool = False,
    sources: tuple[DataSource, ...] = (),
) -> list[tuple[str, str, Stop]]:
    """What became of the stages behind eval/m.json in a head of these stages."""
    answer = stopped(
        Pipeline(stages=base),
        Pipeline(stages=head, sources=sources),
        ["eval/m.json", "in-git.json"],
        frozenset(files),
        lambda _: edited,
    )
    return [(one.stage, one.path, one.how) for one in answer]


def frozen(item: Stage) -> Stage:
    return stage(item.name, item.deps, tuple(out.path for out in item.outs), frozen=True)


def test_what_is_made_is_made_whatever_the_stage_is_called() -> None:
    assert found(*BASE) == []
    assert found(PREPARE, TRAIN, stage("renamed", ("model",), ("eval/m.json",))) == []
    assert found(stage("all", ("raw",), ("data", "model", "eval"))) == []


@pytest.mark.parametrize("which", [PREPARE, TRAIN, SCORE])
def test_a_stage_that_the_change_freezes(which: Stage) -> None:
    head = [frozen(item) if item is which else item for item in BASE]
    ((name, _, how),) = found(*head)
    assert (name, how) == (which.name, Stop.FROZEN)


def test_a_stage_that_no_gate_depends_on_may_be_frozen_or_go() -> None:
    assert found(PREPARE, TRAIN, SCORE, frozen(OTHER)) == []
    assert found(PREPARE, TRAIN, SCORE, files=("eval/m.json", "plot")) == []


def test_a_stage_that_goes_while_its_file_stays() -> None:
    assert found(PREPARE, TRAIN) == [("score", "eval/m.json", Stop.REMOVED)]
    assert found(PREPARE, TRAIN, files=()) == []  # then it is missing, which the gate says
    assert found(PREPARE, SCORE, files=("model/weights",)) == [("train", "model", Stop.REMOVED)]
    data = DataSource(file="model.dvc", outs=(Output(path="model"),))
    assert found(PREPARE, SCORE, sources=(data,)) == [("train", "model", Stop.REMOVED)]


def test_a_stage_that_stays_without_its_output() -> None:
    assert found(PREPARE, TRAIN, stage("score", ("model",), ("eval/other",))) == [
        ("score", "eval/m.json", Stop.REMOVED)
    ]
    head = (stage("prepare", ("raw",), ("data/other",)), TRAIN, SCORE)
    assert found(*head, files=("data/train.csv",)) == [("prepare", "data/train.csv", Stop.REMOVED)]


def test_an_output_that_nobody_reads_may_go() -> None:
    both = stage("train", ("data/train.csv",), ("model", "log.txt"))
    assert found(*BASE, base=(PREPARE, both, SCORE), files=("log.txt",)) == []
    inside = stage("score", ("here",), ("eval",))
    base = (stage("one", ("raw",), ("here/one",)), stage("two", ("raw",), ("here/two",)), inside)
    assert found(base[0], inside, base=base, files=("here/two",)) == [("two", "here/two", Stop.REMOVED)]


@pytest.mark.parametrize("head", [(PREPARE, frozen(TRAIN), SCORE), (PREPARE, SCORE)])
def test_what_was_frozen_at_the_base_has_to_stay_as_it_was(head: tuple[Stage, ...]) -> None:
    base = (PREPARE, frozen(TRAIN), SCORE)
    assert found(*head, base=base, files=["model"]) == []
    assert found(*head, base=base, files=["model"], edited=True) == [("train", "model", Stop.EDITED)]
    assert found(*BASE, base=base, edited=True) == []


def test_what_only_a_frozen_stage_depends_on_decides_nothing() -> None:
    base = (PREPARE, frozen(TRAIN), SCORE)
    assert found(frozen(PREPARE), frozen(TRAIN), SCORE, base=base) == []


def test_a_sentence_says_what_was_done_to_which_stage_and_what_to_do() -> None:
    def said(*head: Stage, **rest: Any) -> tuple[str, ...]:
        base, files = rest.get("base", BASE), frozenset({"eval/m.json"})
        answer = stopped(Pipeline(stages=base), Pipeline(stages=head), ["eval/m.json"], files, lambda _: True)
        return tuple(words(answer))

    assert said(PREPARE, TRAIN, frozen(SCORE)) == (
        "This change freezes stage score, so a gate's numbers are not from this code: unfreeze it, or freeze it on the "
        "base branch first.",
    )
    assert said(frozen(PREPARE), frozen(TRAIN)) == (
        "This change freezes stages train, prepare, so a gate's numbers are not from this code: unfreeze it, or freeze "
        "it on the base branch first.",
        "This change leaves eval/m.json, but no stage that makes it, as stage score did, so a gate's numbers are not "
        "from this code: let a stage make it, or take that stage away on the base branch first.",
    )
    assert said(PREPARE, TRAIN, frozen(SCORE), base=(PREPARE, TRAIN, frozen(SCORE))) == (
        "This change edits eval/m.json, and stage score, which made it, is frozen, so a gate's numbers are not from "
        "this code: unfreeze the stage, or edit the file on the base branch first.",
    )
