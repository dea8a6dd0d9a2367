"""Seal a file to the key of one server: only the holder of that key can open it.

ECIES on the curve of the server's certificate: an ephemeral key, ECDH, HKDF with SHA-256 (RFC 5869), and AES-256-GCM. The sender
is not authenticated: the caller signs what is sealed.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_KEY_OCTETS: Final = 32
_NONCE: Final = bytes(12)  # each sealing has a key of its own, so the nonce may be constant (NIST SP 800-38D 8.2.1)


class NotSealedForUsError(Exception):
    """The content was sealed for another key or for another purpose, or was changed."""


def seal(content: bytes, to: ec.EllipticCurvePublicKey, purpose: str) -> bytes:
    """Encrypt *content* for the holder of the key *to*; it opens with the same *purpose* only."""
    ephemeral = ec.generate_private_key(to.curve)
    point = _point(ephemeral.public_key())
    key = _key(ephemeral.exchange(ec.ECDH(), to), point, to)
    return point + AESGCM(key).encrypt(_NONCE, content, purpose.encode())


def unseal(sealed: bytes, key: ec.EllipticCurvePrivateKey, purpose: str) -> bytes:
    """Decrypt what `seal` has made; raises `NotSealedForUsError`."""
    size = 2 * ((key.curve.key_size + 7) // 8) + 1
    point, encrypted = sealed[:size], sealed[size:]
    try:
        ephemeral = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
        derived = _key(key.exchange(ec.ECDH(), ephemeral), point, key.public_key())
        return AESGCM(derived).decrypt(_NONCE, encrypted, purpose.encode())
    except (ValueError, InvalidTag):
        raise NotSealedForUsError from None


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _key(secret: bytes, point: bytes, to: ec.EllipticCurvePublicKey) -> bytes:
    """Derive the key from the shared *secret* and both public keys."""
    return HKDF(SHA256(), _KEY_OCTETS, b"sipmesh sealed file", point + _point(to)).derive(secret)
