"""The signature of a CRL without its entries: a digest with which keys are checked, so that the CRL can be freed.

cryptography's own check encodes the whole CRL again each time. For ten million octets this takes a quarter of a second, in
which no other thread runs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from sipmesh.trust.x509.certificate import UNREADABLE
from sipmesh.trust.x509.der import spans

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

PARTS = 3  # CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signatureValue } (RFC 5280 5.1)


@dataclass(frozen=True, slots=True)
class ListSignature:
    """*signed* is the digest of the signed octets; or these octets, if *hashed* is None (Ed25519, Ed448, ML-DSA)."""

    value: bytes
    signed: bytes
    hashed: hashes.HashAlgorithm | None
    scheme: ec.ECDSA | padding.PKCS1v15 | padding.PSS | None

    @classmethod
    def of(cls, crl: x509.CertificateRevocationList, der: bytes) -> Self:
        """Extract the signature of *crl*, which was parsed from *der*.

        Raises ValueError if there are two different algorithms. RFC 5280 5.1.1.2: signatureAlgorithm "MUST contain the same
        algorithm identifier as the signature field in the sequence tbsCertList".
        """
        (outer,) = spans(der, 0, len(der))
        parts = spans(der, outer.begin, outer.end)
        if len(parts) != PARTS:
            raise ValueError("not the three parts of a CRL")
        tbs, outside, _ = parts
        inside = spans(der, tbs.begin, tbs.end)[1]  # after the version, which crl.py has checked
        if der[inside.start : inside.end] != der[outside.start : outside.end]:
            raise ValueError("its signature algorithm differs from that in its content (RFC 5280 5.1.1.2)")
        signed, hashed = memoryview(der)[tbs.start : tbs.end], crl.signature_hash_algorithm
        digest = hashlib.new(hashed.name.replace("-", "_"), signed).digest() if hashed is not None else bytes(signed)
        return cls(crl.signature, digest, hashed, crl.signature_algorithm_parameters)

    def is_by(self, key: CertificatePublicKeyTypes) -> bool:
        """Tell whether *key* has made this signature; false for a key of another type."""
        try:
            self._verify(key)
        except (InvalidSignature, TypeError, *UNREADABLE):
            return False
        return True

    def _verify(self, key: CertificatePublicKeyTypes) -> None:
        scheme, hashed = self.scheme, self.hashed
        if isinstance(scheme, ec.ECDSA) and isinstance(key, ec.EllipticCurvePublicKey) and hashed is not None:
            key.verify(self.value, self.signed, ec.ECDSA(Prehashed(hashed)))
        elif isinstance(scheme, padding.AsymmetricPadding) and isinstance(key, rsa.RSAPublicKey) and hashed is not None:
            key.verify(self.value, self.signed, scheme, Prehashed(hashed))
        elif scheme is None and isinstance(
            key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | mldsa.MLDSA44PublicKey
        ):
            key.verify(self.value, self.signed)
        else:
            raise InvalidSignature
