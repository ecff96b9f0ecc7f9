"""Signatures of a model's files, in the format of OpenSSF Model Signing. Layer: adapters.

One signature for a file or a folder, which `model_signing verify` checks wherever the model goes, without ci-ml.
https://github.com/sigstore/model-transparency
"""

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ci_ml.errors import DependencyError, UsageError


def by_key(model: Path, pem: bytes, password: bytes | None) -> bytes:
    """The signature of a model with a private key on an elliptic curve. Raises UsageError and DependencyError."""
    signing = _library()
    with _secret(pem) as place:
        # Its signature says that a password is text; cryptography, which gets it, takes bytes.
        return _signed(model, lambda: signing.Config().use_elliptic_key_signer(private_key=place, password=password))


def by_identity(model: Path, token: str, trust: Path | None) -> bytes:
    """The signature of a model with Sigstore, as who the token is of. Raises UsageError and DependencyError."""
    signing = _library()
    return _signed(model, lambda: signing.Config().use_sigstore_signer(identity_token=token, trust_config=trust))


class Changed(Exception):
    """A signature is by who it was asked for, and the model is not as it was signed."""


def check_key(model: Path, signature: Path, pem: bytes) -> None:
    """Raises Changed, or ValueError, in words, where this public key has not signed; UsageError without the library."""
    verifying = _library("verifying")
    with tempfile.NamedTemporaryFile(prefix="ci-ml-", suffix=".pub") as place:
        place.write(pem)
        place.flush()
        _checked(model, signature, lambda: verifying.Config().use_elliptic_key_verifier(public_key=Path(place.name)))


def check_identity(model: Path, signature: Path, identity: str, issuer: str, trust: Path | None) -> None:
    """As `check_key`, of who signed with Sigstore. Raises DependencyError when it cannot say whom it trusts."""
    verifying = _library("verifying")
    try:
        config = verifying.Config().use_sigstore_verifier(identity=identity, oidc_issuer=issuer, trust_config=trust)
    except Exception as error:  # noqa: BLE001  its own, those of the network and of a broken file
        what = f"Sigstore could not be asked whom to trust: {_said(error)}"
        raise DependencyError(what, "name a trust configuration with `audit.trust`, or run this again") from None
    _checked(model, signature, lambda: config)


def _checked(model: Path, signature: Path, config: Callable[[], Any]) -> None:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where it warns of formats
            config().verify(model, signature)
    except Exception as error:  # noqa: BLE001  whatever a stranger's file makes the library say, it is not believed
        if str(error).startswith(_MISMATCH):
            raise Changed(_said(error).removeprefix(_MISMATCH).strip(" []\"'")) from None
        raise ValueError(_said(error)) from None


_MISMATCH = "Signature mismatch:"


def _signed(model: Path, config: Callable[[], Any]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="ci-ml-") as folder:
        place = Path(folder) / "model.sig"
        try:
            config().sign(model, place)
            return place.read_bytes()
        except Exception as error:  # noqa: BLE001  its own, those of the network, of the disk and of a wrong key
            hint = "look at the model's files (no links) and at `audit` in ci-ml.yaml"
            raise DependencyError(f"{model} could not be signed: {_said(error)}", hint) from None


@contextmanager
def _secret(pem: bytes) -> Iterator[str]:
    """A path that a private key can be read from once: the library takes no bytes, and a file might outlive us."""
    reading, writing = os.pipe()  # which holds more than a key is long, so nobody waits
    try:
        with os.fdopen(writing, "wb") as stream:
            stream.write(pem)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


def _library(part: str = "signing") -> Any:
    try:
        from model_signing import signing, verifying
    except ImportError as error:
        what = f"signatures of models need the package model-signing ({error})"
        raise UsageError(
            what, "pip install 'ci-ml[model-signing]'; in CI, name model-signing in CI_ML_EXTRAS"
        ) from None
    return {"signing": signing, "verifying": verifying}[part]


def _said(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
