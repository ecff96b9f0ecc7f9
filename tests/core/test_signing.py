"""`audit` in ci-ml.yaml, and what a signature is worth."""

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from ci_ml.core import envelopes, signing
from ci_ml.core.envelopes import Signature
from ci_ml.core.signing import AuditConfig, Form, PublicKeyConfig, Trusted, Way

DAY = dt.date(2026, 11, 22)
RECORD = b'{"a":1}'


def test_without_a_word_nothing_is_signed() -> None:
    found = AuditConfig()
    assert (found.sign, found.models, found.signed_from) == (None, False, 1)


def test_a_key_is_a_file_or_a_file_with_its_days() -> None:
    found = AuditConfig.model_validate(
        {"sign": "key", "public_keys": ["keys/a.pub", {"file": "keys/b.pub", "until": "2026-12-31"}]}
    )
    assert found.sign is Way.KEY
    assert [one.file for one in found.public_keys] == ["keys/a.pub", "keys/b.pub"]


@pytest.mark.parametrize(
    "said",
    [
        {"key": "-----BEGIN PRIVATE KEY-----\nabc"},
        {"key": "env:not a name"},
        {"password": "hunter2"},
        {"public_keys": "keys/a.pub"},
        {"public_keys": ["/etc/passwd"]},
        {"public_keys": ["../outside.pub"]},
        {"public_keys": [{"file": "a.pub", "since": "2026-02-01", "until": "2026-01-01"}]},
        {"public_keys": [{"fil": "a.pub"}]},
        {"identities": [{"identity": "x"}]},
        {"trust": "../trust.json"},
        {"signed_from": 0},
        {"sign": "gpg"},
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AuditConfig.model_validate(said)


@pytest.mark.parametrize(
    ("since", "until", "holds"),
    [
        (None, None, True),
        (DAY, None, True),
        (None, DAY, True),
        (DAY + dt.timedelta(1), None, False),
        (None, DAY - dt.timedelta(1), False),
    ],
)
def test_a_key_holds_on_its_days(since: dt.date | None, until: dt.date | None, holds: bool) -> None:
    assert PublicKeyConfig(file="a.pub", since=since, until=until).holds(DAY) is holds


def trusted(name: str, *, until: dt.date | None = None) -> Trusted:
    """A signer whose signature is its name before the bytes."""
    days = PublicKeyConfig(file=name, until=until)
    return Trusted(name=name, keyid=f"id-{name}", check=lambda sig, data: sig == name.encode() + data, days=days)


def enveloped(name: str, record: bytes = RECORD, kind: str = envelopes.IN_TOTO, keyid: str | None = None) -> bytes:
    sig = name.encode() + envelopes.pae(kind, record)
    return envelopes.wrap(record, [Signature(keyid=keyid or f"id-{name}", sig=sig)], kind)


def test_a_signature_of_somebody_who_is_believed_is_found() -> None:
    found = signing.judged(enveloped("b"), RECORD, DAY, [trusted("a"), trusted("b")])
    assert found.by == "b"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (enveloped("stranger"), "nobody who is believed signed it (id-stranger)"),
        (enveloped("a", b'{"a":2}'), "its signature is of another record"),
        (enveloped("a", kind="text/plain"), "what was signed is of another type: 'text/plain'"),
        (enveloped("stranger", keyid="id-a"), "its signature claims to be made with a, and is not: it was forged"),
        (b"{}", "its signature cannot be read: it is no DSSE envelope"),
        (b"\xff", "its signature cannot be read"),
    ],
)
def test_a_signature_that_does_not_hold_says_why(data: bytes, why: str) -> None:
    found = signing.judged(data, RECORD, DAY, [trusted("a")])
    assert found.by is None
    assert found.why.startswith(why)


def test_a_key_that_may_not_sign_any_more_is_not_believed() -> None:
    late = signing.judged(enveloped("a"), RECORD, DAY, [trusted("a", until=DAY - dt.timedelta(1))])
    assert (late.by, late.why) == (None, "it was signed with a, which may not sign on 2026-11-22")
    assert signing.judged(enveloped("a"), RECORD, DAY, [trusted("a", until=DAY)]).by == "a"


def test_the_forms_of_signature_files_are_told_apart() -> None:
    assert signing.form(enveloped("a")) is Form.DSSE
    assert signing.form(b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}') is Form.BUNDLE
