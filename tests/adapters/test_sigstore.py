"""Signatures by identity, against a Fulcio and a Rekor of our own; every check is sigstore's."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_ml.adapters.sigstore import Sigstore
from ci_ml.core.signing import Form, IdentityConfig, form
from ci_ml.errors import DependencyError, UsageError
from tests.fakes import sigstore as fake

WORKFLOW = "https://github.com/acme/churn/.github/workflows/promote.yml@refs/heads/main"
OURS = IdentityConfig(identity=WORKFLOW, issuer=fake.ISSUER)
RECORD = b'{"_type":"https://in-toto.io/Statement/v1"}'


@pytest.fixture
def service() -> Iterator[fake.Sigstore]:
    with fake.running() as found:
        yield found


@pytest.fixture
def instance(service: fake.Sigstore, tmp_path: Path) -> Sigstore:
    return Sigstore(trust=service.trust(tmp_path / "trust.json"), token=service.token(WORKFLOW))


def test_what_was_signed_is_believed_of_who_signed_it(instance: Sigstore, service: fake.Sigstore) -> None:
    sign = instance.signer()
    bundles = [sign(RECORD), sign(b"another")]
    assert form(bundles[0]) is Form.BUNDLE
    assert instance.believed(bundles[0], RECORD, [OURS]) == WORKFLOW
    assert len(service.certificates) == 1  # one job, one certificate
    assert [one["kind"] for one in service.entries] == ["hashedrekord", "hashedrekord"]
    assert RECORD.decode() not in json.dumps(service.entries)  # nothing but digests is public


def test_another_record_another_identity_and_another_issuer_are_not_believed(instance: Sigstore) -> None:
    bundle = instance.signer()(RECORD)
    for record, who in (
        (RECORD + b" ", OURS),
        (RECORD, IdentityConfig(identity=WORKFLOW + "x", issuer=fake.ISSUER)),
        (RECORD, IdentityConfig(identity=WORKFLOW, issuer="https://example.org")),
    ):
        with pytest.raises(ValueError, match="does not hold"):
            instance.believed(bundle, record, [who])
    with pytest.raises(ValueError, match="no identity is believed"):
        instance.believed(bundle, RECORD, [])


def test_one_of_several_identities_is_enough(instance: Sigstore) -> None:
    other = IdentityConfig(identity="https://example.org/other", issuer=fake.ISSUER)
    assert instance.believed(instance.signer()(RECORD), RECORD, [other, OURS]) == WORKFLOW


def test_another_sigstore_is_not_believed(instance: Sigstore, tmp_path: Path) -> None:
    bundle = instance.signer()(RECORD)
    stranger = Sigstore(trust=fake.Sigstore(url="http://127.0.0.1:9").trust(tmp_path / "theirs.json"))
    with pytest.raises(ValueError, match="does not hold"):
        stranger.believed(bundle, RECORD, [OURS])


@pytest.mark.parametrize("path", ["messageSignature.signature", "verificationMaterial.tlogEntries", "mediaType"])
def test_a_bundle_that_was_tampered_with_is_not_believed(instance: Sigstore, path: str) -> None:
    bundle = json.loads(instance.signer()(RECORD))
    *folders, last = path.split(".")
    part = bundle
    for name in folders:
        part = part[name]
    part[last] = [] if last == "tlogEntries" else "MEUCIQ=="
    with pytest.raises(ValueError, match="does not hold"):
        instance.believed(json.dumps(bundle).encode(), RECORD, [OURS])


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"mediaType": 3}', b"[" * 100_000])
def test_what_is_no_bundle_is_not_believed(instance: Sigstore, data: bytes) -> None:
    with pytest.raises(ValueError, match="does not hold"):
        instance.believed(data, RECORD, [OURS])


def test_a_sigstore_out_of_order_is_said_so(instance: Sigstore, service: fake.Sigstore) -> None:
    service.broken = 503
    with pytest.raises(DependencyError, match="gave no certificate"):
        instance.signer()
    service.broken = None
    sign = instance.signer()
    service.broken = 500
    with pytest.raises(DependencyError, match="did not sign"):
        sign(RECORD)


def test_a_token_that_has_expired_or_is_none_is_refused_and_not_shown(
    instance: Sigstore, service: fake.Sigstore
) -> None:
    for token in (service.token(WORKFLOW, seconds=-60), "no-token-at-all"):
        with pytest.raises(UsageError, match="identity") as caught:
            Sigstore(trust=instance.trust, token=token).signer()
        assert token not in caught.value.what


def test_without_an_identity_nobody_is_asked_in_a_browser(instance: Sigstore) -> None:
    with pytest.raises(UsageError, match="no OIDC token") as caught:
        Sigstore(trust=instance.trust).signer()
    assert "id-token" in str(caught.value.hint)


def test_a_broken_trust_configuration_is_named(tmp_path: Path, service: fake.Sigstore) -> None:
    place = tmp_path / "trust.json"
    for text in ("", "{}", '{"mediaType": "x"}'):
        place.write_text(text)
        with pytest.raises(UsageError, match=r"trust\.json"):
            Sigstore(trust=place, token=service.token(WORKFLOW)).signer()


def test_the_public_instance_is_known_without_a_network() -> None:
    """The package brings who is trusted: an auditor checks offline, and a forged bundle fails for what it is."""
    with pytest.raises(ValueError, match="does not hold"):
        Sigstore().believed(b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}', RECORD, [OURS])
