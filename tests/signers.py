"""Keys and signatures for tests, made anew each time."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

CURVES = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1, "k1": ec.SECP256K1}


@dataclass(frozen=True)
class Pair:
    """A key in both halves, as PEM."""

    private: bytes = field(repr=False)
    public: bytes

    def write(self, folder: Path, name: str = "ci") -> tuple[Path, Path]:
        """Both halves as files."""
        places = folder / f"{name}.pem", folder / f"{name}.pub"
        for place, data in zip(places, (self.private, self.public), strict=True):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return places


def pair(kind: str = "p256", password: bytes | None = None) -> Pair:
    """A new key: p256, p384, p521, ed25519; k1 and rsa, which nobody takes."""
    key = (
        ed25519.Ed25519PrivateKey.generate()
        if kind == "ed25519"
        else rsa.generate_private_key(65537, 2048)
        if kind == "rsa"
        else ec.generate_private_key(CURVES[kind]())
    )
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return Pair(
        private=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, hidden),
        public=key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo),
    )
