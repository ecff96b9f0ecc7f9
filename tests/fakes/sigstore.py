"""A Sigstore of our own: Fulcio, a certificate log, Rekor and who vouches for identities, on one port.

It makes what the real ones make, signed with keys of its own, so that `sigstore` checks every part of it: certificates
with a timestamp of the log in them, entries with a proof, a checkpoint and a promise. It remembers what it was asked.
"""

import base64
import datetime as dt
import hashlib
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ISSUER = "https://token.actions.githubusercontent.com"
_SCT = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ISSUED_BY = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_SECRET = "of who vouches for identities, and long enough"
_DER, _PEM = serialization.Encoding.DER, serialization.Encoding.PEM


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _public(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> bytes:
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    return public.public_bytes(_DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _keyid(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_public(key)).digest()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(kw_only=True)
class Sigstore:
    """The service; `broken` is the status that every request gets instead of an answer."""

    url: str = ""
    certificates: list[x509.Certificate] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)
    broken: int | None = None
    _authority: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    _certificate_log: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    _rekor: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a Fulcio of our own")])
        now = dt.datetime.now(dt.UTC)
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self.root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._authority.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._authority.public_key()), critical=False)
            .sign(self._authority, hashes.SHA256())
        )

    def token(self, identity: str, issuer: str = ISSUER, *, seconds: int = 600) -> str:
        """A token that says who somebody is, for so long."""
        now = int(dt.datetime.now(dt.UTC).timestamp())
        return jwt.encode(
            {"aud": "sigstore", "sub": identity, "iss": issuer, "iat": now - 700, "exp": now + seconds}, _SECRET
        )

    def trust(self, place: Path) -> Path:
        """The trust configuration of this Sigstore, as a file."""
        start = {"start": "2020-01-01T00:00:00Z"}

        def log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            public = {"rawBytes": _b64(_public(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": start}
            return {
                "baseUrl": self.url, "hashAlgorithm": "SHA2_256", "publicKey": public,
                "logId": {"keyId": _b64(_keyid(key))},
            }  # fmt: skip

        service = {"url": self.url, "majorApiVersion": 1, "validFor": start, "operator": "ours"}
        chain = {"certificates": [{"rawBytes": _b64(self.root.public_bytes(_DER))}]}
        subject = {"organization": "ours", "commonName": "ours"}
        document = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self._rekor)],
                "certificateAuthorities": [
                    {"subject": subject, "uri": self.url, "certChain": chain, "validFor": start}
                ],
                "ctlogs": [log(self._certificate_log)],
                "timestampAuthorities": [],
            },
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "oidcUrls": [service],
                "rekorTlogUrls": [service],
                "tsaUrls": [],
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaConfig": {"selector": "ANY"},
            },
        }
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(document))
        return place

    # Fulcio.

    def certify(self, request: x509.CertificateSigningRequest, token: str) -> list[str]:
        said = jwt.decode(token, _SECRET, algorithms=["HS256"], audience="sigstore")
        now = dt.datetime.now(dt.UTC)
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        public = request.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        about = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.root.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(seconds=5))
            .not_valid_after(now + dt.timedelta(minutes=10))
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(said["sub"])]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUED_BY, said["iss"].encode()), critical=False)
        )
        before = about.sign(self._authority, hashes.SHA256()).tbs_certificate_bytes
        logged = x509.UnrecognizedExtension(_SCT, self._timestamp(before, now))
        found = about.add_extension(logged, critical=False).sign(self._authority, hashes.SHA256())
        self.certificates.append(found)
        return [one.public_bytes(_PEM).decode() for one in (found, self.root)]

    def _timestamp(self, certificate: bytes, now: dt.datetime) -> bytes:
        """What the certificate log says, as RFC 6962 has it."""
        moment = int(now.timestamp() * 1000)
        issuer = hashlib.sha256(_public(self._authority)).digest()
        length = len(certificate).to_bytes(3, "big")
        signed = struct.pack("!BBQH", 0, 0, moment, 1) + issuer + length + certificate + b"\0\0"
        sig = self._certificate_log.sign(signed, ec.ECDSA(hashes.SHA256()))
        one = struct.pack("!B32sQHBBH", 0, _keyid(self._certificate_log), moment, 0, 4, 3, len(sig)) + sig
        listed = struct.pack("!HH", len(one) + 2, len(one)) + one
        size = bytes([len(listed)]) if len(listed) < 128 else b"\x81" + bytes([len(listed)])
        return b"\x04" + size + listed

    # Rekor.

    def log(self, proposed: dict[str, Any]) -> dict[str, Any]:
        body = _canonical(_logged(proposed))
        self.entries.append(json.loads(body))
        root = hashlib.sha256(b"\0" + body).digest()
        note = f"ours\n1\n{_b64(root)}\n"
        keyid = _keyid(self._rekor)
        sig = self._rekor.sign(note.encode(), ec.ECDSA(hashes.SHA256()))
        checkpoint = f"{note}\n\N{EM DASH} ours {_b64(keyid[:4] + sig)}\n"
        entry = {
            "body": _b64(body),
            "integratedTime": int(dt.datetime.now(dt.UTC).timestamp()),
            "logID": keyid.hex(),
            "logIndex": len(self.entries),
        }
        promise = self._rekor.sign(_canonical(entry), ec.ECDSA(hashes.SHA256()))
        proof = {"checkpoint": checkpoint, "hashes": [], "logIndex": 0, "rootHash": root.hex(), "treeSize": 1}
        said = {"inclusionProof": proof, "signedEntryTimestamp": _b64(promise)}
        return {f"{len(self.entries):064x}": {**entry, "verification": said}}


def _logged(proposed: dict[str, Any]) -> dict[str, Any]:
    """What Rekor keeps of what it is sent: of an envelope, digests and signatures."""
    if proposed["kind"] != "dsse":
        return proposed
    content = proposed["spec"]["proposedContent"]
    envelope = json.loads(content["envelope"])
    payload = base64.b64decode(envelope["payload"])
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {
                "algorithm": "sha256", "value": hashlib.sha256(content["envelope"].encode()).hexdigest(),
            },
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [
                {"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}
            ],
        },
    }  # fmt: skip


@contextmanager
def running() -> Iterator[Sigstore]:
    """A Sigstore that answers until the block is left."""
    service = Sigstore()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"authorization_endpoint": service.url, "token_endpoint": service.url})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if service.broken:
                self._answer(service.broken, {"code": 1, "message": "out of order"})
            elif self.path == "/api/v2/signingCert":
                request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
                token = self.headers["Authorization"].removeprefix("Bearer ")
                chain = service.certify(request, token)
                self._answer(200, {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})
            else:
                self._answer(201, service.log(asked))

        def _answer(self, status: int, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
