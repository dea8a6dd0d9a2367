"""The algorithms of the keys of our CAs, and of the servers and the document signers below them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

OwnKey = ec.EllipticCurvePrivateKey | mldsa.MLDSA44PrivateKey
OwnPublicKey = ec.EllipticCurvePublicKey | mldsa.MLDSA44PublicKey


class KeyAlgorithm(StrEnum):
    """The algorithms that a CA of ours can have."""

    P_256 = "p-256"
    P_384 = "p-384"
    ML_DSA_44 = "ml-dsa-44"

    @classmethod
    def of(cls, key: object) -> KeyAlgorithm | None:
        """Return the algorithm of a private or public *key*; None for each other key."""
        if isinstance(key, mldsa.MLDSA44PrivateKey | mldsa.MLDSA44PublicKey):
            return cls.ML_DSA_44
        if not isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
            return None
        return {"secp256r1": cls.P_256, "secp384r1": cls.P_384}.get(key.curve.name)

    def new_key(self) -> OwnKey:
        """Make a key."""
        if self is KeyAlgorithm.ML_DSA_44:
            return mldsa.MLDSA44PrivateKey.generate()
        return ec.generate_private_key(self.curve)

    @property
    def of_leaves(self) -> KeyAlgorithm:
        """The algorithm of servers and document signers below a CA of this one: P-256 costs least, and peers have it."""
        return self if self is KeyAlgorithm.ML_DSA_44 else KeyAlgorithm.P_256

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve of ECDSA."""
        return ec.SECP384R1() if self is KeyAlgorithm.P_384 else ec.SECP256R1()


def algorithm_below(issuers: Sequence[x509.Certificate]) -> KeyAlgorithm:
    """Return the algorithm of a server or a document signer for which the nearest, so the first, of *issuers* will issue."""
    found = KeyAlgorithm.of(issuers[0].public_key()) if issuers else None
    return (found or KeyAlgorithm.P_256).of_leaves


def digest(key: OwnKey | OwnPublicKey) -> hashes.SHA256 | hashes.SHA384 | None:
    """Give the hash algorithm of signatures with *key*, as strong as its curve (RFC 5480 4); ML-DSA has its own (RFC 9881 2)."""
    if isinstance(key, mldsa.MLDSA44PrivateKey | mldsa.MLDSA44PublicKey):
        return None
    return hashes.SHA256() if isinstance(key.curve, ec.SECP256R1) else hashes.SHA384()
