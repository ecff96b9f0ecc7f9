import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import statements
from ci_ml.core.statements import Kind, Subject, read, statement

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé", max_size=5), inner, max_size=4),
    max_leaves=15,
)
MODEL = Subject(name="model.json", digest={"md5": "0" * 32})


def made(**predicate: object) -> statements.Statement:
    return statement(Kind.VERDICT, [MODEL], predicate)


@given(st.dictionaries(st.text("abc", max_size=5), JSON, max_size=5), st.sampled_from(list(Kind)))
def test_a_record_is_read_as_it_was_written(predicate: dict[str, object], kind: Kind) -> None:
    one = statement(kind, [MODEL], predicate)
    again = read(one.data)
    assert (again.kind, again.subject, again.predicate) == (kind, (MODEL,), one.predicate)
    assert again.digest == one.digest


@given(st.dictionaries(st.text("abc", max_size=5), st.integers(), min_size=2))
def test_the_order_of_names_does_not_matter(predicate: dict[str, int]) -> None:
    turned = dict(reversed(predicate.items()))
    assert statement(Kind.VERDICT, [MODEL], predicate).digest == statement(Kind.VERDICT, [MODEL], turned).digest


def test_it_is_a_statement_of_in_toto() -> None:
    document = json.loads(made(result="PASSED").data)
    assert document == {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "subject": [{"name": "model.json", "digest": {"md5": "0" * 32}}],
        "predicate": {"result": "PASSED"},
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object(), {1, 2}])
def test_what_is_no_json_makes_no_record(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        made(value=value)


def changed(old: bytes, new: bytes) -> bytes:
    data = made(a=1, b="x").data
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "Expecting value"),
        (b"\xff", r"it is not UTF-8 text \(byte 0\)"),
        (b"[]", "no in-toto statement"),
        (b'{"_type":"https://in-toto.io/Statement/v0.1"}', "no in-toto statement"),
        (changed(b"test-result/v0.1", b"test-result/v9"), "none of ci-ml's"),
        (changed(b'"a":1', b'"a":1,"a":2'), "twice"),
        (changed(b'"a":1', b'"a": 1'), "not those that ci-ml writes"),
        (changed(b'"a":1', b'"a":1e999'), "no finite number"),
        (changed(b'"a":1', b'"a":NaN'), "NaN is not allowed"),
        (changed(b'"a":1', b'"a":' + b"[" * 100 + b"]" * 100), "too deeply"),
        (changed(b'"a":1', b'"a":' + b"[" * 200_000 + b"]" * 200_000), "too deeply"),
        (changed(b'"a":1', b'"a":' + b"9" * 5000), "integer string conversion"),
        (changed(b'"md5"', b'"m d5"'), "subject"),
        (changed(b'{"md5":"00000000000000000000000000000000"}', b"{}"), "subject"),
        (changed(b'"predicate":{', b'"other":1,"predicate":{'), "nothing else"),
        (changed(b'"b":"x"', b'"b":"\\ud800"'), "surrogates"),
        (b" " * (statements.MAX_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_record_is_said_in_words(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(data)


@given(st.data())
def test_no_byte_can_change_without_the_digest_changing(data: st.DataObject) -> None:
    one = made(a=[1, 2.5, None], b={"c": "é"})
    place = data.draw(st.integers(0, len(one.data) - 1))
    other = bytearray(one.data)
    other[place] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(other))
    except ValueError:
        return
    assert found.digest != one.digest


def test_what_a_record_is_found_by() -> None:
    commit = Subject(name="commit", digest={"gitCommit": "a" * 40})
    assert statements.about(statement(Kind.VERDICT, [commit, MODEL], {})) == "a" * 40
    assert statements.about(statement(Kind.PROMOTION, [MODEL], {"model": "churn"})) == "churn"
    assert statements.about(statement(Kind.ROTATION, [MODEL], {"testset": "test"})) == "test"
    assert statements.about(statement(Kind.PROMOTION, [MODEL], {"model": 1})) == "model.json"
    assert statements.commit(statement(Kind.PROMOTION, [MODEL], {"model": "churn", "commit": "b" * 40})) == "b" * 40


def test_texts_are_cleaned_wherever_they_are() -> None:
    found = statements.cleaned({"a s": ["s", 1, {"b": ("s", None)}]}, lambda text: text.replace("s", "*"))
    assert found == {"a *": ["*", 1, {"b": ["*", None]}]}
