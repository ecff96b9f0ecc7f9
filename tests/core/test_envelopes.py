"""DSSE envelopes, against the specification's own example, and against strangers."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_ml.core import envelopes
from ci_ml.core.envelopes import Signature


def test_the_bytes_that_are_signed_are_those_of_the_specification() -> None:
    """https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md#test-vectors"""
    found = envelopes.pae("http://example.com/HelloWorld", b"hello world")
    assert found == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert envelopes.pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@given(st.binary(min_size=1, max_size=200), st.binary(min_size=1, max_size=80), st.text(max_size=50))
def test_what_is_wrapped_is_read_again(payload: bytes, sig: bytes, keyid: str) -> None:
    keyid = keyid.encode("utf-8", "ignore").decode()
    found = envelopes.read(envelopes.wrap(payload, [Signature(keyid=keyid, sig=sig)]))
    assert (found.payload, found.signatures[0].sig, found.signatures[0].keyid) == (payload, sig, keyid)
    assert found.signed == envelopes.pae(envelopes.IN_TOTO, payload)


def test_both_alphabets_of_base_64_are_read() -> None:
    said = {"payload": base64.urlsafe_b64encode(b"\xff\xfe\xfd>?").decode(), "payloadType": "x"}
    found = envelopes.read(json.dumps({**said, "signatures": [{"sig": "_-8="}]}).encode())
    assert (found.payload, found.signatures[0].sig) == (b"\xff\xfe\xfd>?", b"\xff\xef")


ENVELOPE: dict[str, Any] = {"payload": "eA==", "payloadType": "x", "signatures": [{"sig": "eA=="}]}


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "not base 64!"},
        {"payload": ""},
        {"payload": 7},
        {"payloadType": "x" * 300},
        {"signatures": []},
        {"signatures": [{"sig": "eA=="}] * 33},
        {"signatures": [{"sig": ""}]},
        {"signatures": [{}]},
        {"signatures": "eA=="},
    ],
)
def test_what_is_no_envelope_is_said_in_words(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no DSSE envelope"):
        envelopes.read(json.dumps({**ENVELOPE, **change}).encode())


@pytest.mark.parametrize("data", [b"", b"[", b"[]", b"null", b"\xff", b'{"payload": NaN}', b'{"a":1,"a":2}'])
def test_what_is_no_json_is_said_in_words(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        envelopes.read(data)


def test_an_envelope_too_large_or_too_deep_is_not_parsed() -> None:
    with pytest.raises(ValueError, match="larger"):
        envelopes.read(b" " * (envelopes.MAX_BYTES + 1))
    with pytest.raises(ValueError, match="deep"):
        envelopes.read(b"[" * 100_000)
