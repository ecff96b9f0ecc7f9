"""DSSE envelopes: bytes together with who signed them. Layer: core. Pure.

What is signed is not the bytes alone but their type with them (PAE), so that nothing signed as one kind of thing can be
shown as another. https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ci_ml.core import statements

IN_TOTO = "application/vnd.in-toto+json"
MAX_BYTES = statements.MAX_BYTES  # as much as the ledger holds of anything
_SIGNATURES = 32


def _decoded(value: Any) -> bytes:
    """Bytes from base 64, of the standard or the URL-safe alphabet, as DSSE asks of readers. Raises ValueError."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("it is no text in base 64")  # noqa: TRY004  pydantic takes ValueError
    try:
        return base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no base 64") from None


_Bytes = Annotated[bytes, BeforeValidator(_decoded), Field(min_length=1)]


class Signature(BaseModel):
    """One signature; `keyid` is a hint at whose it is, and proves nothing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    keyid: Annotated[str, Field(max_length=200)] = ""
    sig: Annotated[_Bytes, Field(max_length=10_000)]


class Envelope(BaseModel):
    """Bytes, of what type they are, and their signatures: which say nothing until somebody has checked them."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    payload: _Bytes
    payload_type: Annotated[str, Field(alias="payloadType", max_length=200)]
    signatures: Annotated[tuple[Signature, ...], Field(min_length=1, max_length=_SIGNATURES)]

    @property
    def signed(self) -> bytes:
        """The bytes that the signatures are of."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: the type and the payload, each after its length."""
    kind = payload_type.encode()
    return b" ".join((b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload))


def wrap(payload: bytes, signatures: Iterable[Signature], payload_type: str = IN_TOTO) -> bytes:
    """An envelope as strict JSON."""
    return statements.canonical(
        {
            "payload": _encoded(payload),
            "payloadType": payload_type,
            "signatures": [{"keyid": one.keyid, "sig": _encoded(one.sig)} for one in signatures],
        }
    )


def read(data: bytes) -> Envelope:
    """An envelope from a stranger's bytes. Raises ValueError, in words."""
    document = statements.parsed(data, MAX_BYTES)
    try:
        return Envelope.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"it is no DSSE envelope: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
