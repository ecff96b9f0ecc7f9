"""Signatures of a model's files, in the format of OpenSSF Model Signing. Layer: adapters.

One signature for a file or a folder, which `model_signing verify` checks wherever the model goes, without ci-ml.
https://github.com/sigstore/model-transparency
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ci_ml.core.signing import IdentityConfig
from ci_ml.errors import CiMlError, DependencyError, UsageError


def by_key(model: Path, pem: bytes, password: str | None) -> bytes:
    """The signature of a model with a private key on an elliptic curve. Raises UsageError and DependencyError."""
    signing, _ = _library()
    with _secret(pem) as place:
        return _signed(
            model, lambda: signing.Config().use_elliptic_key_signer(private_key=place, password=_bytes(password))
        )


def by_identity(model: Path, token: str | None, trust: Path | None, issuer: str | None) -> bytes:
    """The signature of a model with Sigstore, as who runs this. Raises UsageError and DependencyError."""
    signing, _ = _library()
    return _signed(
        model,
        lambda: signing.Config().use_sigstore_signer(
            identity_token=token, use_ambient_credentials=True, trust_config=trust, oidc_issuer=issuer
        ),
    )


def holds_for_key(model: Path, signature: Path, public: Path) -> str | None:
    """Why a signature is not of this model by this key; None when it is. Raises UsageError."""
    _, verifying = _library()
    return _refused(model, signature, lambda: verifying.Config().use_elliptic_key_verifier(public_key=public))


def holds_for_identity(model: Path, signature: Path, who: IdentityConfig, trust: Path | None) -> str | None:
    """Why a signature is not of this model by this identity; None when it is. Raises UsageError."""
    _, verifying = _library()
    return _refused(
        model,
        signature,
        lambda: verifying.Config().use_sigstore_verifier(
            identity=who.identity, oidc_issuer=who.issuer, trust_config=trust
        ),
    )


def _signed(model: Path, config: Callable[[], Any]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="ci-ml-") as folder:
        place = Path(folder) / "model.sig"
        try:
            config().sign(model, place)
            return place.read_bytes()
        except CiMlError:
            raise
        except Exception as error:  # noqa: BLE001  its own, those of the network, of the disk and of a wrong key
            hint = "look at the model's files (no links) and at `audit` in ci-ml.yaml"
            raise DependencyError(f"{model} could not be signed: {_said(error)}", hint) from None


def _refused(model: Path, signature: Path, config: Callable[[], Any]) -> str | None:
    try:
        config().verify(model, signature)
    except Exception as error:  # noqa: BLE001  whatever it is, the signature does not hold
        return _said(error)
    return None


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


def _library() -> tuple[Any, Any]:
    try:
        from model_signing import signing, verifying
    except ImportError:
        raise UsageError(
            "signatures of models need the package model-signing", "install ci-ml[model-signing]"
        ) from None
    return signing, verifying


def _bytes(password: str | None) -> Any:
    """As the library hands it on, whatever its signature says: cryptography takes bytes."""
    return password.encode() if password is not None else None


def _said(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
