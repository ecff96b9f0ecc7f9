"""Signatures by identity, by way of Sigstore: Fulcio vouches for who it was, Rekor for when. Layer: adapters.

What is signed is the record as a file (a `hashedrekord`): `sigstore verify identity` and `cosign verify-blob` check it
without ci-ml, and nothing of it but its digest goes to the public log. The library would sign an in-toto statement as
one too, but takes only digests of the SHA-2 and SHA-3 families in it, and DVC's and git's are none.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ci_ml.core.signing import IdentityConfig
from ci_ml.errors import CiMlError, DependencyError, UsageError

_MOST = 4 * 2**20
_ASKED = (
    "in GitHub Actions give the job `id-token: write`, in GitLab an id_token named SIGSTORE_ID_TOKEN for `sigstore`"
)


@dataclass(frozen=True)
class _Library:
    models: Any
    oidc: Any
    policy: Any
    sign: Any
    verify: Any


@dataclass(frozen=True, kw_only=True)
class Sigstore:
    """An instance of Sigstore: the public one, or that of a trust configuration.

    `token` is an OIDC token that the CI system made for this job; without one the library looks for what is ambient.
    """

    trust: Path | None = None
    token: str | None = field(default=None, repr=False)

    def signer(self) -> Callable[[bytes], bytes]:
        """Signs any number of files as who runs this: a function from bytes to a bundle.

        Raises UsageError without an identity, DependencyError when Sigstore does not answer; so does the function.
        """
        library = _library()
        token = self._identity(library)
        trust = self._trusted(offline=False)
        with _told("gave no certificate"):
            made = library.sign.Signer(token, library.sign.SigningContext.from_trust_config(trust))

        def sign(data: bytes) -> bytes:
            with _told("did not sign"):
                bundle: str = made.sign_artifact(data).to_json()
            return bundle.encode()

        return sign

    def believed(self, bundle: bytes, record: bytes, identities: Iterable[IdentityConfig]) -> str:
        """Who signed a record, one of `identities`. Raises ValueError, in words, when none of them did."""
        library = _library()
        asked = tuple(identities)
        if not asked:
            raise ValueError("it is signed with Sigstore, and no identity is believed (audit.identities)")
        if len(bundle) > _MOST:
            raise ValueError(f"its signature is larger than {_MOST:,} bytes")
        policy = library.policy
        any_of = policy.AnyOf([policy.Identity(identity=one.identity, issuer=one.issuer) for one in asked])
        verifier = self._verifier
        try:
            found = library.models.Bundle.from_json(bundle)
            verifier.verify_artifact(record, found, any_of)
        except CiMlError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a stranger's file makes the library say, it is not believed
            raise ValueError(f"its Sigstore signature does not hold: {_said(error)}") from None
        return _name(found, asked, policy)

    @cached_property
    def _verifier(self) -> Any:
        """Made once: a ledger has many signatures."""
        return _library().verify.Verifier(trusted_root=self._trusted(offline=True).trusted_root)

    def _trusted(self, *, offline: bool) -> Any:
        """Whose certificates and logs count. Raises UsageError for a broken file, DependencyError without a network."""
        config = _library().models.ClientTrustConfig
        if self.trust is not None:
            try:
                return config.from_json(self.trust.read_text("utf-8"))
            except Exception as error:  # noqa: BLE001  its own errors, pydantic's, and OSError
                what = f"{self.trust} is no trust configuration of Sigstore: {_said(error)}"
                raise UsageError(what, "look at `audit.trust`") from None
        with _told("could not be asked whom to trust"):
            return config.production(offline=offline)

    def identity(self) -> str:
        """The token that says who runs this. Raises UsageError without one: nobody is asked in a browser."""
        return str(self._identity(_library()))

    def _identity(self, library: _Library) -> Any:
        try:
            token = self.token or library.oidc.detect_credential()
            found = library.oidc.IdentityToken(token) if token else None
        except Exception as error:  # noqa: BLE001  it must not be told what the token was
            raise UsageError(f"the identity to sign with was not accepted: {_said(error)}", _ASKED) from None
        if found is None:
            raise UsageError("there is no identity to sign with: this job has no OIDC token", _ASKED)
        return found


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns whatever the library raises into one sentence: its network, its answers, its logs."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  its own, those of requests, and what broken answers make it raise
        hint = "nothing was left unsigned in silence: run this again when it answers"
        raise DependencyError(f"Sigstore {what}: {_said(error)}", hint) from None


def _library() -> _Library:
    try:
        from sigstore import models, oidc, sign, verify
        from sigstore.verify import policy
    except ImportError:
        raise UsageError(
            "signatures by identity need the package sigstore",
            "pip install 'ci-ml[sigstore]'; in CI, name sigstore in CI_ML_EXTRAS",
        ) from None
    logging.getLogger("sigstore").setLevel(logging.ERROR)
    return _Library(models, oidc, policy, sign, verify)


def _name(bundle: Any, asked: tuple[IdentityConfig, ...], policy: Any) -> str:
    """Which of them it was."""
    for one in asked:
        try:
            policy.Identity(identity=one.identity, issuer=one.issuer).verify(bundle.signing_certificate)
        except Exception:  # noqa: BLE001, S112  then it was another of them
            continue
        return one.identity
    return asked[0].identity


def _said(error: BaseException) -> str:
    """What an error says, in one line of bounded length; its kind where it says nothing."""
    words = " ".join(str(error).split()) or type(error).__name__
    cause = error.__cause__ or error.__context__
    if not str(error) and cause is not None:
        words = f"{words}: {' '.join(str(cause).split())}"
    return words[:300]
