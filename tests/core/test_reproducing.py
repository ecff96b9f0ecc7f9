"""What is read out of the record of a training, and what is not believed."""

import copy
from typing import Any

import pytest

from ci_ml.core import reproducing
from ci_ml.core.reproducing import Reproduction
from ci_ml.core.sameness import Likeness, Made, Sameness
from ci_ml.core.statements import Kind, Statement, Subject, statement

SHA = "c" * 40
PREDICATE: dict[str, Any] = {
    "buildDefinition": {
        "buildType": "urn:ci-ml:train:v1",
        "externalParameters": {
            "commit": SHA,
            "params": {"train.rate": 0.1},
            "targets": ["train"],
            "stages": {"train": {"command": ["python train.py"], "deps": ["clean", "train.py"], "outs": ["model"]}},
        },
        "internalParameters": {"dirty": False, "environment": None, "container": None},
        "resolvedDependencies": [
            {"name": "commit", "digest": {"gitCommit": SHA}},
            {"name": "clean", "digest": {"dvcDir": f"{'1' * 32}.dir"}, "annotations": {"kind": "data"}},
            {"name": "train.py", "digest": {"md5": "2" * 32}, "annotations": {"kind": "code"}},
            {"name": "dvc.lock", "digest": {"sha256": "3" * 64}, "annotations": {"kind": "lock"}},
            {"name": "lost", "annotations": {"kind": "data"}},
        ],
    }
}
SUBJECTS = [Subject(name="model", digest={"md5": "4" * 32, "sha256": "5" * 64})]


def record(edit: Any = None) -> Statement:
    predicate = copy.deepcopy(PREDICATE)
    if edit is not None:
        edit(predicate["buildDefinition"])
    return statement(Kind.TRAINING, SUBJECTS, predicate)


def test_what_a_record_says() -> None:
    found = reproducing.recorded(record())
    assert (found.commit, found.targets, found.dirty) == (SHA, ("train",), False)
    assert found.inputs == {"clean": f"md5:{'1' * 32}.dir", "train.py": f"md5:{'2' * 32}"}
    assert found.outputs == {"model": f"md5:{'4' * 32}"}
    assert found.locks == {"dvc.lock": "3" * 64}
    after = Made(name="train", command=("python train.py",), params={"train.rate": 0.1, "train.steps": 3})
    (made,) = found.made([after])
    assert made.params == {"train.rate": 0.1, "train.steps": None}
    assert made.outs == {"model": f"md5:{'4' * 32}"}
    assert made.deps == found.inputs


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda build: build["externalParameters"].update(commit="--upload-pack=x"), "is no commit"),
        (lambda build: build["externalParameters"].update(commit="HEAD"), "is no commit"),
        (lambda build: build["externalParameters"].update(stages={}), "names no stage"),
        (lambda build: build["externalParameters"].update(stages=["train"]), "stages"),
        (lambda build: build.update(resolvedDependencies=[{"name": 7}]), "resolvedDependencies"),
        (lambda build: build.clear(), "externalParameters"),
    ],
)
def test_a_record_that_nobody_can_follow(edit: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reproducing.recorded(record(edit))


def test_an_environment_that_is_none_is_not_known() -> None:
    found = reproducing.recorded(record(lambda build: build["internalParameters"].update(environment={"os": 7})))
    assert found.environment is None


def test_inputs_that_the_commit_has_otherwise() -> None:
    found = reproducing.recorded(record())
    assert reproducing.strangers(found, {}) == ()
    assert reproducing.strangers(found, {"train.py": (f"md5:{'2' * 32}", "md5:dos")}) == ()
    assert reproducing.strangers(found, {"train.py": ("md5:9",), "clean": ()}) == ("clean", "train.py")


def test_the_record_of_a_reproduction_holds_no_time() -> None:
    result = Reproduction(
        recorded=reproducing.recorded(record()), likeness=Likeness(sameness=Sameness.DIFFERENT), seconds=1.0
    )
    one = reproducing.reproduction(result, Sameness.METRICS)
    other = Reproduction(recorded=result.recorded, likeness=result.likeness, seconds=2.0)
    assert one.digest == reproducing.reproduction(other, Sameness.METRICS).digest
    assert one.predicate["met"] is False
    assert one.predicate["environment"]["missing"]


@pytest.mark.parametrize("aliases", [["champion", "shadow"], "champion", {"champion": "2"}])
def test_which_promotion_is_meant(aliases: Any) -> None:
    said = {"model": "churn", "version": 3, "aliases": aliases}
    assert all(reproducing.promotes(said, what) for what in ("churn", "churn/3", "churn@champion"))
    assert not any(reproducing.promotes(said, what) for what in ("chur", "churn/4", "churn@other", "@champion", ""))


@pytest.mark.parametrize("said", [{}, {"model": 7}, {"model": None, "version": None}, {"model": "x", "aliases": 7}])
def test_a_promotion_that_is_none_is_of_nothing(said: dict[str, Any]) -> None:
    assert not any(reproducing.promotes(said, what) for what in ("7", "None", "None/None", "x@7", ""))
