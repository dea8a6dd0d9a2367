"""Faults of the public key of a certificate, found before OpenSSL verifies a signature with this key.

OpenSSL uses any key that is strong enough. A stranger can send a chain of CAs without valid signatures. Where the anchors are
of several organisations, OpenSSL verifies each signature in the chain before the judge refuses the path. With RSA keys whose
exponents have thousands of bits, one handshake took a quarter of a second.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from OpenSSL import crypto

from sipmesh.trust.x509.certificate import rsa_excess

RSA: Final = (crypto.TYPE_RSA, 912)  # 912: EVP_PKEY_RSA_PSS
EDWARDS: Final = (1087, 1088)  # EVP_PKEY_ED25519, EVP_PKEY_ED448
WITHOUT_NUMBER: Final = -1
"""The type of each key for which OpenSSL has no number of its own, such as those of ML-DSA."""
CURVES: Final = (256, 384, 521)  # bits; the judge tells the curves of one length apart
UNKNOWN: Final = "a key of an unknown kind"


def key_fault(certificate: crypto.X509) -> str:
    """Describe the key of *certificate* if no signature may be verified with it; "" if it may."""
    try:
        key = certificate.get_pubkey()
        kind, bits = key.type(), key.bits()
        if kind == crypto.TYPE_EC:
            return "" if bits in CURVES else f"an EC key of {bits} bits"
        if kind in RSA:
            return _fault_of_rsa(key, bits)
        if kind == WITHOUT_NUMBER:
            return "" if isinstance(key.to_cryptography_key(), MLDSA44PublicKey) else UNKNOWN
    except (crypto.Error, UnsupportedAlgorithm, ValueError):
        return UNKNOWN
    return "" if kind in EDWARDS else UNKNOWN


def _fault_of_rsa(key: crypto.PKey, bits: int) -> str:
    public = key.to_cryptography_key()
    return (rsa_excess(bits, public.public_numbers().e) or "") if isinstance(public, RSAPublicKey) else UNKNOWN
