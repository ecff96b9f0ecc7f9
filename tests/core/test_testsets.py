"""How often a test set was looked at: what counts, from when it warns, and what strangers' records may say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import testsets
from ci_ml.core.config import load
from ci_ml.core.statements import Kind, Statement, Subject, statement
from ci_ml.core.testsets import Look, Rotation
from ci_ml.errors import ConfigError

A, B = f"md5:{'a' * 32}", f"md5:{'b' * 32}"
HEAD = "c" * 40


def asked(**keys: Any) -> dict[str, testsets.TestSetConfig]:
    return {"test": testsets.TestSetConfig(path="data/test.csv", **keys)}


def verdict(head: str, policy: str = "sha256:p", digest: str = A, **outputs: str) -> Statement:
    made = [Subject(name=name, digest={"md5": value}) for name, value in outputs.items()]
    said = {"policy": {"digest": policy}, "testsets": [{"name": "test", "digest": digest, "look": 9, "of": 64}]}
    return statement(Kind.VERDICT, [Subject(name="commit", digest={"gitCommit": head}), *made], {"ciMl": said})


def looked(times: int, digest: str = A) -> list[Look]:
    return [Look(name="test", digest=digest, what=str(number)) for number in range(times)]


def test_a_look_is_another_result_or_another_policy_and_the_same_again_is_none() -> None:
    one = [verdict(HEAD, model="1" * 32), verdict("d" * 40, model="1" * 32)]  # another commit, the very same model
    assert testsets.count(testsets.looks(one), A) == 1
    two = [*one, verdict(HEAD, policy="sha256:q", model="1" * 32), verdict(HEAD, model="2" * 32)]
    assert testsets.count(testsets.looks(two), A) == 3
    assert testsets.count(testsets.looks(two), B) == 0


def test_without_outputs_the_commit_is_the_result() -> None:
    assert testsets.count(testsets.looks([verdict("1" * 40), verdict("2" * 40), verdict("2" * 40)]), A) == 2


def test_what_is_judged_now_is_the_same_look_as_its_record() -> None:
    what = testsets.identity({"model": testsets.bare(f"md5:{'1' * 32}")}, HEAD, "sha256:p")
    (look,) = testsets.looks([verdict(HEAD, model="1" * 32)])
    assert look.what == what
    assert testsets.counted(asked(), {"test": A}, what, [look]).parts[0].look == 1


@pytest.mark.parametrize(
    ("before", "said", "warned"),
    [(0, False, False), (30, False, False), (31, True, False), (63, True, False), (64, False, True)],
)
def test_half_is_told_and_beyond_warns(before: int, said: bool, warned: bool) -> None:
    found = testsets.counted(asked(), {"test": A}, "new", looked(before))
    assert found.parts[0].words == f"look {before + 1} of 64"
    assert (bool(found.notices), bool(found.warnings), found.doubts) == (said, warned, ())


def test_beyond_may_be_undecided() -> None:
    found = testsets.counted(asked(looks=2, past="undecided"), {"test": A}, "new", looked(2))
    assert found.warnings == ()
    assert found.doubts == ("The test set test is worn out: look 3 of 2; rotate it (`ci-ml testset rotate test`).",)


def test_what_nobody_knows_is_not_few() -> None:
    found = testsets.counted(asked(), {"test": A}, "new", None)
    assert found.parts[0].look is None
    assert found.parts[0].words == "look unknown of 64"
    assert "is not known" in found.warnings[0]


def test_a_test_set_that_is_not_there_is_a_warning() -> None:
    found = testsets.counted(asked(), {}, "new", [])
    assert found.parts == ()
    assert "data/test.csv is not there" in found.warnings[0]


def test_other_rows_without_a_rotation_are_told_and_with_one_are_not() -> None:
    quiet = testsets.counted(asked(), {"test": B}, "new", looked(9))
    assert quiet.parts[0].look == 1
    assert "no rotation says why: 9 looks at the old one" in quiet.notices[0]
    turned = Rotation(name="test", before=A, digest=B, looks=9, why="June")
    assert testsets.counted(asked(), {"test": B}, "new", looked(9), [turned]).notices == ()
    assert testsets.counted(asked(), {"test": A}, "new", [*looked(3), *looked(2, B)]).parts[0].look == 4


def test_a_rotation_comes_back_from_its_record() -> None:
    turned = Rotation(name="test", before=A, digest=B, looks=9, why="<b>June</b>", by="ada", commit=HEAD)
    assert testsets.rotations([testsets.rotated(turned), verdict(HEAD)]) == (turned,)


@pytest.mark.parametrize(
    "said",
    [
        {"testsets": "many"},
        {"testsets": [{"name": "test"}]},
        {"testsets": [{"name": "../x", "digest": A}]},
        {"testsets": [{"name": "test", "digest": "a\nb"}]},
        {"testsets": [7]},
    ],
)
def test_a_verdict_that_cannot_be_read_is_no_silence(said: dict[str, Any]) -> None:
    record = statement(Kind.VERDICT, [Subject(name="commit", digest={"gitCommit": HEAD})], {"ciMl": said})
    with pytest.raises(ValueError, match="cannot be read"):
        testsets.looks([record])


def test_a_verdict_without_test_sets_is_no_look() -> None:
    record = statement(Kind.VERDICT, [Subject(name="commit", digest={"gitCommit": HEAD})], {"ciMl": []})
    assert testsets.looks([record]) == ()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), max_size=40))
def test_looks_only_grow_and_order_does_not_matter(said: list[tuple[str, int]]) -> None:
    known = [Look(name="test", digest=f"md5:{name}", what=str(number)) for name, number in said]
    for digest in ("md5:a", "md5:b"):
        counts = [testsets.count(known[:end], digest) for end in range(len(known) + 1)]
        assert counts == sorted(counts)
        assert testsets.count(known[::-1], digest) == counts[-1] == len({n for d, n in said if f"md5:{d}" == digest})


def test_the_sentence_is_honest_about_what_it_knows() -> None:
    part = testsets.counted(asked(), {"test": A}, "new", looked(16)).parts[0]
    assert part.sentence.startswith("test set test: look 17 of 64; 16 other results were judged on these rows before")
    assert "as far as the ledger knows" in part.sentence


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{test: {path: /etc/passwd}}", "testsets.test.path: must be one file or folder"),
        ("{test: {path: data/*.csv}}", "testsets.test.path: must be one file or folder"),
        ("{test: {path: data/test.csv, looks: 0}}", "testsets.test.looks: must be greater than or equal to 1"),
        ("{test: {path: data/test.csv, past: fail}}", "testsets.test.past: must be warn or undecided"),
        ("{test: {path: data/test.csv, look: 3}}", "testsets.test.look: unknown key; did you mean looks?"),
        ("{../x: {path: data/test.csv}}", "testsets"),
    ],
)
def test_a_wrong_configuration_is_told_by_its_key(written: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"version: 1\ntestsets: {written}\n".encode(), "ci-ml.yaml")
    assert problem in caught.value.problems[0]
