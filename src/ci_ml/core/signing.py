"""How records and models are signed, and which signatures are believed: `audit` in ci-ml.yaml. Layer: core.

A signature says that whoever holds a key has seen these bytes. Whose key counts is said by the one who checks: the
configuration, or an auditor who brings the keys. What an envelope says of itself is a hint.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ci_ml.core import envelopes
from ci_ml.core.models import Model

KEY = "env:CI_ML_SIGNING_KEY"
PASSWORD = "env:CI_ML_SIGNING_PASSWORD"
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_BUNDLE = "application/vnd.dev.sigstore.bundle"


class Way(StrEnum):
    """With what is signed: a key of the team, or an identity that Sigstore vouches for."""

    KEY = "key"
    SIGSTORE = "sigstore"


def _variable(value: str) -> str:
    """Where a secret is: env:NAME. Raises ValueError."""
    if not _VARIABLE.fullmatch(value):
        raise ValueError("must be env:NAME, the environment variable that holds it")
    return value


def _place(value: str) -> str:
    """Where a private key is: env:NAME or a file. Raises ValueError."""
    if "-----" in value or "\n" in value:
        raise ValueError("this is a key itself, and ci-ml.yaml is no place for it: say env:NAME, or name a file")
    return _variable(value) if value.startswith("env:") else value


def _file(value: str) -> str:
    """A file of the repository. Raises ValueError."""
    if "-----" in value or "\n" in value:
        raise ValueError("name a file that holds the key in PEM")
    if value.startswith("/") or "\\" in value or ".." in value.split("/"):
        raise ValueError("the file is relative to the folder of ci-ml.yaml, with / between folders")
    return value


_Text = Annotated[str, Field(min_length=1, max_length=400)]
_File = Annotated[_Text, AfterValidator(_file)]


class PublicKeyConfig(Model):
    """A key whose signatures are believed, and from when until when."""

    file: _File = Field(description="The public key in PEM: Ed25519, or ECDSA on P-256, P-384 or P-521.")
    since: dt.date | None = Field(default=None, description="No record entered before this day counts as signed by it.")
    until: dt.date | None = Field(
        default=None, description="The last day on which it may sign: nothing is signed with it later, nor believed."
    )

    @model_validator(mode="after")
    def _order(self) -> "PublicKeyConfig":
        if self.since and self.until and self.until < self.since:
            raise ValueError("`until` is before `since`")
        return self

    def holds(self, day: dt.date) -> bool:
        """Whether it may sign on a day."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


class IdentityConfig(Model):
    """Who may have signed with Sigstore: what its certificate says, both exactly."""

    identity: _Text = Field(
        description="The subject of the certificate: a workflow, or an address.",
        examples=["https://github.com/acme/churn/.github/workflows/promote.yml@refs/heads/main"],
    )
    issuer: _Text = Field(
        description="Who vouched for it to Sigstore.", examples=["https://token.actions.githubusercontent.com"]
    )


def _keys(value: Any) -> Any:
    """Files, or files with their days."""
    if not isinstance(value, list | tuple):
        return value
    return tuple({"file": one} if isinstance(one, str) else one for one in value)


def _or_a_file(schema: dict[str, Any]) -> None:
    """In the JSON Schema each key may be a file alone."""
    schema["items"] = {"anyOf": [{"type": "string"}, schema["items"]]}


class AuditConfig(Model):
    """Signatures of records and models, for `ci-ml audit sign` and `ci-ml audit verify --signatures`."""

    sign: Way | None = Field(
        default=None,
        description="key: with a private key. sigstore: with the identity that the CI system vouches for. Without it "
        "nothing is signed.",
    )
    key: Annotated[_Text, AfterValidator(_place)] = Field(
        default=KEY,
        description="Where the private key is: env:NAME (the key in PEM, or the path of a file that holds it), or a "
        "file outside of git.",
    )
    password: Annotated[_Text, AfterValidator(_variable)] = Field(
        default=PASSWORD, description="Where the password of an encrypted key is: env:NAME."
    )
    public_keys: Annotated[tuple[PublicKeyConfig, ...], BeforeValidator(_keys)] = Field(
        default=(),
        max_length=100,
        json_schema_extra=_or_a_file,
        description="The keys whose signatures are believed: files in the repository, with their days where they have "
        "some.",
    )
    identities: tuple[IdentityConfig, ...] = Field(
        default=(), max_length=100, description="The identities whose Sigstore signatures are believed."
    )
    trust: _File | None = Field(
        default=None,
        description="A trust configuration of Sigstore (ClientTrustConfig in JSON), for an instance of your own; "
        "without it, the public one.",
    )
    models: bool = Field(
        default=False, description="Also sign the model's files, in the format of OpenSSF Model Signing."
    )
    signed_from: Annotated[int, Field(ge=1)] = Field(
        default=1, description="The first entry of the ledger that must be signed: those before it were made without."
    )


class Form(StrEnum):
    """What a signature file is."""

    DSSE = "DSSE envelope"
    BUNDLE = "Sigstore bundle"


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """A signer that is believed: what to call it, how to check its signature, and when it may sign."""

    name: str
    keyid: str
    check: Callable[[bytes, bytes], bool]
    days: PublicKeyConfig | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a signature file is worth: who signed, or why nobody did who is believed."""

    by: str | None
    why: str = ""


def form(data: bytes) -> Form:
    """Which of the two a signature file is; it is read by what knows that form."""
    return Form.BUNDLE if _BUNDLE.encode() in data[:4096] or b'"mediaType"' in data else Form.DSSE


def judged(data: bytes, record: bytes, day: dt.date, trusted: Iterable[Trusted]) -> Finding:
    """Whether an envelope holds this record, signed by somebody who is believed and could sign on that day."""
    try:
        envelope = envelopes.read(data)
    except ValueError as error:
        return Finding(by=None, why=f"its signature cannot be read: {error}")
    if envelope.payload_type != envelopes.IN_TOTO:
        return Finding(by=None, why=f"what was signed is of another type: {envelope.payload_type[:80]!r}")
    if envelope.payload != record:
        return Finding(by=None, why="its signature is of another record")
    signers = tuple(trusted)
    made = [signer for one in envelope.signatures for signer in signers if signer.check(one.sig, envelope.signed)]
    if good := next((signer for signer in made if signer.days is None or signer.days.holds(day)), None):
        return Finding(by=good.name)
    if made:
        return Finding(by=None, why=f"it was signed with {made[0].name}, which may not sign on {day}")
    return Finding(by=None, why=_unknown(envelope, signers))


def _unknown(envelope: envelopes.Envelope, signers: tuple[Trusted, ...]) -> str:
    """Why no signature of an envelope is believed."""
    ours = {signer.keyid: signer.name for signer in signers}
    if claimed := next((ours[one.keyid] for one in envelope.signatures if one.keyid in ours), None):
        return f"its signature claims to be made with {claimed}, and is not: it was forged, or damaged"
    said = ", ".join(one.keyid[:23] or "a key without a name" for one in envelope.signatures[:3])
    return f"nobody who is believed signed it ({said})"
