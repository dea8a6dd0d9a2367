"""The Identity header field (RFC 8224 section 4): a token, and the URI of its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.errors import RemoteError
from sipmesh.routing.passport.claims import domain_of, read_claims
from sipmesh.routing.registrar.gruu import is_temporary
from sipmesh.sip import base64url
from sipmesh.sip.status import Status
from sipmesh.sip.text import LWS, split_outside
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed, sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

TYPE: Final = "passport"
LARGEST: Final = 16_384
"""Octets of one token: a chain of four certificates and the claims."""

MOST_FIELDS: Final = 4


@dataclass(frozen=True, slots=True)
class SignedClaims:
    """A token whose signature is valid: its *payload*, and the chain of its signer in DER.

    *mark* is the same for each copy of the token. Any reader can turn an ECDSA signature (r, s) into a second valid one
    with the same r. So the mark is made of what was signed and of r.
    """

    mark: bytes
    payload: bytes
    chain: tuple[x509.Certificate, ...]
    presented: tuple[bytes, ...]


def write_field(
    payload: bytes, domain: str, chain: Sequence[x509.Certificate], key: ec.EllipticCurvePrivateKey, algorithm: str
) -> str:
    """Write the value of an Identity field for the claims in *payload*.

    The certificate is in the token (``x5c``), because federation needs no other server to be reached. So ``info`` and ``x5u``,
    which RFC 8224 requires, name the domain only.
    """
    uri = f"sip:{domain}"
    token = sign(payload, TYPE, chain, key, x5u=uri).decode()
    return f"{token};info=<{uri}>;alg={algorithm}"


def read_field(value: str) -> SignedClaims:
    """Read one Identity field, and verify the signature with the certificate in it. It is not judged yet.

    RemoteError 436 if there is no certificate in it, 438 for each other fault. The compact form is not read.
    """
    token, *params = split_outside(value, ";")
    token = token.strip(LWS)
    if not any(param.startswith("info=") for param in params):
        raise RemoteError("an Identity without info", rule="RFC 8224 section 4", status=Status.BAD_IDENTITY_INFO)
    try:
        found = open_signed(token.encode("ascii", "replace"), TYPE, LARGEST, more=frozenset({"x5u", "ppt"}))
    except MalformedDocumentError as wrong:
        status = Status.BAD_IDENTITY_INFO if "x5c" in str(wrong) else Status.INVALID_IDENTITY_HEADER
        raise RemoteError(str(wrong), rule="RFC 8224 section 6.2", status=status) from None
    return SignedClaims(_mark(token), found.payload, found.chain, found.presented)


def names_nobody(value: str) -> bool:
    """Tell whether a valid Identity is of a caller who hides: its orig is an anonymous address or a temporary GRUU."""
    try:
        orig = read_claims(read_field(value).payload).orig
    except RemoteError:
        return False
    return bool(domain_of(orig)) or is_temporary(orig[1])


def _mark(token: str) -> bytes:
    signed, _, signature = token.rpartition(".")
    octets = base64url.decode(signature.encode())
    return blake2s(signed.encode() + octets[: len(octets) // 2], digest_size=16).digest()
