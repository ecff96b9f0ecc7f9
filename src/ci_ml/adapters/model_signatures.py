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


def _library() -> Any:
    try:
        from model_signing import signing
    except ImportError as error:
        what = f"signatures of models need the package model-signing ({error})"
        raise UsageError(
            what, "pip install 'ci-ml[model-signing]'; in CI, name model-signing in CI_ML_EXTRAS"
        ) from None
    return signing


def _said(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
