"""Keys of every kind: those that sign, and those that are refused with what to do."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from ci_ml.adapters import keys
from ci_ml.errors import UsageError
from tests.signers import pair


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519"])
def test_what_one_half_signs_the_other_checks(kind: str) -> None:
    made = pair(kind)
    private, public = keys.private(made.private, None, "k"), keys.public(made.public, "k")
    sig = private.sign(b"data")
    assert private.keyid == public.keyid
    assert public.check(sig, b"data")
    assert not public.check(sig, b"date")
    assert not public.check(sig[:-1], b"data")
    assert not public.check(b"", b"data")
    assert not keys.public(pair(kind).public, "other").check(sig, b"data")


def test_a_private_key_is_never_shown() -> None:
    made = pair()
    shown = repr(keys.private(made.private, None, "k"))
    assert "PRIVATE" not in shown
    assert made.private.split(b"\n")[1].decode() not in shown


def test_an_encrypted_key_wants_its_password() -> None:
    made = pair(password=b"secret")
    assert keys.private(made.private, b"secret", "k").keyid == keys.public(made.public, "k").keyid
    for password, why in ((None, "encrypted"), (b"wrong", "cannot be opened")):
        with pytest.raises(UsageError, match=why) as caught:
            keys.private(made.private, password, "the key in NAME")
        assert "the key in NAME" in caught.value.what
        assert "wrong" not in caught.value.what


def test_a_password_for_a_key_that_needs_none_is_no_obstacle() -> None:
    assert keys.private(pair().private, b"secret", "k").keyid


@pytest.mark.parametrize("kind", ["k1", "rsa"])
def test_keys_of_other_kinds_are_refused(kind: str) -> None:
    made = pair(kind)
    with pytest.raises(UsageError, match="of a kind"):
        keys.private(made.private, None, "k")
    with pytest.raises(UsageError, match="of a kind"):
        keys.public(made.public, "k")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "holds no private key"),
        (b"nonsense", "holds no private key"),
        (pair().public, "is a public key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged"),
        (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "cosign"),
        (b"-----BEGIN PRIVATE KEY-----" + b"A" * 200_000, "too large"),
    ],
)
def test_what_is_no_private_key_is_refused_with_how_to_make_one(data: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        keys.private(data, None, "k")
    assert "openssl" in str(caught.value.hint)


def test_a_private_key_in_the_place_of_a_public_one_is_noticed() -> None:
    with pytest.raises(UsageError, match="is a private key"):
        keys.public(pair().private, "k")


def test_openssl_makes_keys_that_are_taken_and_checks_what_they_sign(tmp_path: Path) -> None:
    """The line that docs/signing.md shows."""
    openssl = shutil.which("openssl")
    assert openssl is not None

    def run(*arguments: str) -> bytes:
        return subprocess.run([openssl, *arguments], cwd=tmp_path, check=True, capture_output=True).stdout

    run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass", "pass:secret",
        "-out", "key.pem")  # fmt: skip
    run("pkey", "-in", "key.pem", "-passin", "pass:secret", "-pubout", "-out", "key.pub")
    key = keys.private((tmp_path / "key.pem").read_bytes(), b"secret", "key.pem")
    der = run("pkey", "-pubin", "-in", "key.pub", "-outform", "DER")
    assert key.keyid == f"sha256:{hashlib.sha256(der).hexdigest()}"
    (tmp_path / "data").write_bytes(b"data")
    (tmp_path / "sig").write_bytes(key.sign(b"data"))
    assert b"Verified OK" in run("dgst", "-sha256", "-verify", "key.pub", "-signature", "sig", "data")
