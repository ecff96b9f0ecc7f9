"""Keys that sign and keys that check, by way of `cryptography`. Layer: adapters.

Ed25519, and ECDSA on P-256, P-384 and P-521: what can be made in one line of openssl, and read by cosign, in-toto and
OpenSSF Model Signing. A private key is never shown, nor is a password.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ci_ml.errors import UsageError

_MOST = 100_000  # bytes of a key: the longest that is taken has under a thousand
_MAKE = (
    "make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -out key.pem; "
    "its public half: openssl pkey -in key.pem -pubout -out key.pub"
)
_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}


@dataclass(frozen=True, kw_only=True)
class PrivateKey:
    """A key that signs. `keyid` is that of its public half; `pem` is what was read, for who takes nothing else."""

    keyid: str
    public: bytes
    is_curve: bool
    sign: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A key that checks: whether a signature is of these bytes."""

    keyid: str
    check: Callable[[bytes, bytes], bool] = field(repr=False)


def private(pem: bytes, password: bytes | None, place: str) -> PrivateKey:
    """A private key from PEM; `place` is how errors call it. Raises UsageError."""
    from cryptography.exceptions import UnsupportedAlgorithm

    serialization = _serialization()
    _is_pem(pem, place, "PRIVATE KEY")
    try:
        key = serialization.load_pem_private_key(pem, password)
    except TypeError:  # encrypted without a password, or a password for what is not encrypted
        if password is None:
            raise UsageError(
                f"{place} is encrypted, and there is no password", "set the one of `audit.password`"
            ) from None
        return private(pem, None, place)
    except (ValueError, UnsupportedAlgorithm):
        if password is not None and b"ENCRYPTED" in pem:
            raise UsageError(
                f"{place} cannot be opened with this password", "look at that of `audit.password`"
            ) from None
        raise UsageError(f"{place} cannot be read: it is damaged, or no key that ci-ml knows", _MAKE) from None
    return _signing(key, place)


def public(pem: bytes, place: str) -> PublicKey:
    """A public key from PEM. Raises UsageError."""
    from cryptography.exceptions import UnsupportedAlgorithm

    serialization = _serialization()
    _is_pem(pem, place, "PUBLIC KEY")
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{place} cannot be read: it is damaged, or no key that ci-ml knows", _MAKE) from None
    return PublicKey(keyid=_keyid(key), check=_checking(key, place))


def _serialization() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError:
        raise UsageError("signatures with keys need the package cryptography", "pip install 'ci-ml[sign]'") from None
    return serialization


def _is_pem(pem: bytes, place: str, kind: str) -> None:
    """Say what else it is, for who mixed two files up. Raises UsageError."""
    wrong = "PUBLIC KEY" if kind == "PRIVATE KEY" else "PRIVATE KEY"
    if len(pem) > _MOST:
        raise UsageError(f"{place} is too large for a key", _MAKE)
    if b"SIGSTORE" in pem or b"COSIGN" in pem:
        raise UsageError(f"{place} is a key in the format of cosign", f"take one in PKCS #8; {_MAKE}")
    if f"{wrong}-----".encode() in pem:
        raise UsageError(f"{place} is a {wrong.lower()}, and a {kind.lower()} is needed", _MAKE)
    if f"{kind}-----".encode() not in pem:
        raise UsageError(f"{place} holds no {kind.lower()} in PEM", _MAKE)


def _signing(key: Any, place: str) -> PrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ed25519.Ed25519PrivateKey):
        rest: tuple[Any, ...] = ()
    elif isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _HASHES:
        rest = (_ecdsa(key.curve.name),)
    else:
        raise UsageError(f"{place} is a key of a kind that ci-ml does not sign with", _MAKE)

    def sign(data: bytes) -> bytes:
        return bytes(key.sign(data, *rest))

    half = key.public_key()
    pem = half.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PrivateKey(keyid=_keyid(half), public=pem, is_curve=isinstance(key, ec.EllipticCurvePrivateKey), sign=sign)


def _checking(key: Any, place: str) -> Callable[[bytes, bytes], bool]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ed25519.Ed25519PublicKey):
        rest: tuple[Any, ...] = ()
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _HASHES:
        rest = (_ecdsa(key.curve.name),)
    else:
        raise UsageError(f"{place} is a key of a kind that ci-ml does not check with", _MAKE)

    def check(signature: bytes, data: bytes) -> bool:
        try:
            key.verify(signature, data, *rest)
        except InvalidSignature:
            return False
        return True

    return check


def _ecdsa(curve: str) -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(getattr(hashes, _HASHES[curve])())


def _keyid(key: Any) -> str:
    """The SHA-256 of the public key as DER (SubjectPublicKeyInfo): `openssl pkey -pubout -outform DER | sha256sum`."""
    from cryptography.hazmat.primitives import serialization

    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"
