"""Signed documents: a payload of exact bytes, its kind, and the certificates of who signed it (RFC 7515, compact).

`trust.judgement.document_signer` decides whether the signer is trusted. What is opened here comes from a link, or from a
disk that somebody may have edited: each fault of it is a `RemoteError` with its own text.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.api_jws import PyJWS
from jwt.exceptions import InvalidSignatureError, PyJWTError

from sipmesh.errors import LocalError, RemoteError
from sipmesh.topology.versions.strict_json import read_object
from sipmesh.trust.formatting import tell_subject
from sipmesh.trust.x509.certificate import UNREADABLE, MalformedCertificateError, read_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

LARGEST: Final = 8 << 20
"""Octets of a whole signed document, base64 included: a topology of thousands of partners with their anchors."""

LARGEST_HEADER: Final = 32 << 10  # octets, base64 included: room for a chain of RSA certificates
LONGEST_CHAIN: Final = 4  # signer, issuing CA, and what a larger CA may have between

# RFC 7518 3.4: each algorithm has its own curve, so that the key alone says which one it is.
_ALGORITHMS: tuple[tuple[type[ec.EllipticCurve], str], ...] = ((ec.SECP256R1, "ES256"), (ec.SECP384R1, "ES384"))
_HEADERS = frozenset({"alg", "typ", "x5c"})
_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)


class MalformedDocumentError(RemoteError):
    """What is no signed document of the kind that was asked for, or whose signature does not hold."""

    def __init__(self, message: str, *, rule: str = "RFC 7515") -> None:
        super().__init__(message, rule=rule)


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, in its exact bytes, and by whom: *chain* has the signer's certificate first, and no anchor.

    The signature holds. That says nothing about whether the signer is anybody.
    """

    payload: bytes
    chain: tuple[x509.Certificate, ...]

    @property
    def presented(self) -> tuple[bytes, ...]:
        """The chain in DER."""
        return tuple(held.public_bytes(Encoding.DER) for held in self.chain)

    def __repr__(self) -> str:
        return f"<Signed {len(self.payload)} octets by {tell_subject(self.chain[0])}>"


def sign(payload: bytes, kind: str, chain: Sequence[x509.Certificate], key: ec.EllipticCurvePrivateKey) -> bytes:
    """Sign *payload* as a document of *kind*; *chain* is the signer's certificate, then its issuers but no anchor.

    Raises LocalError where *key* is not that of the certificate, or on a curve that we do not sign with.
    """
    if not chain or key.public_key() != chain[0].public_key():
        raise LocalError("a document is signed with the key of the first certificate of its chain")
    algorithm = _algorithm_of(key.public_key())
    if algorithm is None:
        raise LocalError(f"documents are not signed with keys on {key.curve.name}")
    x5c = [base64.b64encode(held.public_bytes(Encoding.DER)).decode() for held in chain]
    return PyJWS([algorithm]).encode(payload, key, algorithm, {"typ": kind, "x5c": x5c}).encode()


def open_signed(jws: bytes, kind: str, largest: int = LARGEST) -> Signed:
    """Read a document of *kind* whose signature holds under the first certificate that it brings.

    *largest* is checked before anything is decoded. The algorithm follows from the key, never from the document alone.

    Raises:
        MalformedDocumentError: It is too large, no compact JWS, of another kind, or the signature does not hold.
    """
    header = _header(jws, largest)
    if header["typ"] != kind:
        raise MalformedDocumentError(f"it is a {_quote(header['typ'])}, not a {kind}", rule="RFC 7515 4.1.9")
    chain = _chain(header["x5c"])
    key = _key_of(chain[0])
    algorithm = _algorithm_of(key)
    if algorithm is None or not isinstance(key, ec.EllipticCurvePublicKey) or header["alg"] != algorithm:
        wanted = algorithm or "ES256 or ES384, with a key on P-256 or P-384"
        raise MalformedDocumentError(f"its alg is {_quote(header['alg'])}, not {wanted}", rule="RFC 7518 3.4")
    try:
        found = PyJWS([algorithm]).decode_complete(jws, key, [algorithm])
    except InvalidSignatureError:
        raise MalformedDocumentError(
            f"the signature of {tell_subject(chain[0])} is not valid", rule="RFC 7515 5.2"
        ) from None
    except PyJWTError as wrong:
        raise MalformedDocumentError(f"it cannot be read: {wrong}", rule="RFC 7515 5.2") from None
    return Signed(bytes(found["payload"]), chain)


def _header(jws: bytes, largest: int) -> dict[str, Any]:
    """The protected header, once everything about it that needs no key is in order."""
    if len(jws) > largest:
        raise MalformedDocumentError(f"it has {len(jws)} octets, more than {largest}")
    parts = _COMPACT.fullmatch(jws)
    if parts is None:
        raise MalformedDocumentError("it is not three parts in base64url with dots between", rule="RFC 7515 7.1")
    encoded = parts.group(1)
    if len(encoded) > LARGEST_HEADER:
        raise MalformedDocumentError(f"its header has {len(encoded)} octets, more than {LARGEST_HEADER}")
    try:
        header = read_object(base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
    except ValueError as wrong:
        raise MalformedDocumentError(f"its header cannot be read: {wrong}", rule="RFC 7515 4") from None
    if "crit" in header:  # "If any of the listed extension Header Parameters are not understood [...] invalid"
        raise MalformedDocumentError(
            f"it requires {_quote(header['crit'])}, which sipmesh does not support", rule="RFC 7515 4.1.11"
        )
    if odd := sorted(header.keys() ^ _HEADERS):
        told = ", ".join(f"{_quote(name)} {'is missing' if name in _HEADERS else 'is not known'}" for name in odd)
        raise MalformedDocumentError(f"in its header {told}", rule="RFC 7515 4.1")
    return header


def _chain(x5c: object) -> tuple[x509.Certificate, ...]:
    """The certificates of the header (RFC 7515 4.1.6: base64, not base64url, the signer's first)."""
    if not isinstance(x5c, list) or not 0 < len(x5c) <= LONGEST_CHAIN:
        raise MalformedDocumentError(
            f"its x5c is not a list of 1 to {LONGEST_CHAIN} certificates", rule="RFC 7515 4.1.6"
        )
    return tuple(_certificate(n, text) for n, text in enumerate(x5c))


def _certificate(n: int, text: object) -> x509.Certificate:
    if not isinstance(text, str) or not _BASE64.fullmatch(text):
        raise MalformedDocumentError(f"certificate {n} of its x5c is not base64", rule="RFC 7515 4.1.6")
    try:
        return read_certificate(base64.b64decode(text, validate=True))
    except (ValueError, MalformedCertificateError) as wrong:
        raise MalformedDocumentError(f"certificate {n} of its x5c: {wrong}", rule="RFC 7515 4.1.6") from None


def _key_of(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except UNREADABLE as wrong:
        raise MalformedDocumentError(f"the key of its signer cannot be read ({wrong})", rule="RFC 7515 4.1.6") from None


def _algorithm_of(key: object) -> str | None:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return None
    return next((name for curve, name in _ALGORITHMS if isinstance(key.curve, curve)), None)


def _quote(given: object) -> str:
    """A value of the document, short and printable: it is a stranger's until the signature holds."""
    text = ascii(given)
    return text if len(text) <= 60 else f"{text[:60]}..."  # noqa: PLR2004 - letters of one line
