"""Signed documents (JWS, RFC 7515, compact): exact octets, a type, and the certificate chain of the signer.

`trust.judgement.document_signer` decides whether the signer is trusted. Documents come from a link, or from a disk that an
attacker may have changed. So each fault is a `RemoteError` with its own text.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip import base64url
from sipmesh.strict_json import read_object
from sipmesh.trust.formatting import tell_subject
from sipmesh.trust.x509.certificate import UNREADABLE, MalformedCertificateError, read_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

LARGEST: Final = 8 << 20
"""Octets of a whole signed document, base64 included; enough for a topology with thousands of partners and their anchors."""

LARGEST_HEADER: Final = 32 << 10  # octets, base64 included; enough for a chain of RSA certificates
LONGEST_CHAIN: Final = 4  # the signer, the issuing CA, and two more in a larger CA

# RFC 7518 3.4: each algorithm has its own curve, so the key determines the algorithm.
_ALGORITHMS: tuple[tuple[type[ec.EllipticCurve], str], ...] = ((ec.SECP256R1, "ES256"), (ec.SECP384R1, "ES384"))
ML_DSA_44: Final = "ML-DSA-44"
"""The algorithm of a key of ML-DSA-44 (draft-ietf-cose-dilithium). PyJWT does not know it."""
_HEADERS = frozenset({"alg", "typ", "x5c"})
FENCING: Final = "fencing"
"""The field of the header with the fencing number (`sipmesh.database.lease`); it is missing where the number is 0."""
HIGHEST_FENCING: Final = (1 << 53) - 1  # RFC 8259 6: all JSON parsers agree on integers up to this
OURS: Final = frozenset({FENCING})
_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)


class MalformedDocumentError(RemoteError):
    """The octets are not a signed document of the expected type, or the signature is invalid."""

    def __init__(self, message: str, *, rule: str = "RFC 7515") -> None:
        super().__init__(message, rule=rule)


@dataclass(frozen=True, slots=True)
class Signed:
    """The signed octets, and the signer: *chain* has the signer's certificate first, and no anchor.

    The signature is valid. Whether the signer is trusted is not decided yet. *fencing* is 0 if the document has no such number.
    """

    payload: bytes
    chain: tuple[x509.Certificate, ...]
    fencing: int = 0

    @property
    def presented(self) -> tuple[bytes, ...]:
        """The chain in DER."""
        return tuple(certificate.public_bytes(Encoding.DER) for certificate in self.chain)

    def __repr__(self) -> str:
        return f"<Signed {len(self.payload)} octets by {tell_subject(self.chain[0])}>"


def sign(
    payload: bytes,
    kind: str,
    chain: Sequence[x509.Certificate],
    key: ec.EllipticCurvePrivateKey | mldsa.MLDSA44PrivateKey,
    **more: str | int,
) -> bytes:
    """Sign *payload* as a document of *kind*. *chain* has the signer's certificate, then its issuers without an anchor.

    *more* are further fields of the header.

    Raises LocalError if *key* is not that of the certificate, or is on an unsupported curve.
    """
    if not chain or key.public_key() != chain[0].public_key():
        raise LocalError("a document is signed with the key of the first certificate of its chain")
    algorithm = _algorithm_of(key.public_key())
    if algorithm is None:
        raise LocalError("documents are signed with keys on P-256 or P-384, or with keys of ML-DSA-44")
    x5c = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode() for certificate in chain]
    header: dict[str, Any] = {"typ": kind, "x5c": x5c, **more}
    if not isinstance(key, mldsa.MLDSA44PrivateKey):
        return PyJWS([algorithm]).encode(payload, key, algorithm, header).encode()
    protected = json.dumps({"alg": algorithm, **header}, separators=(",", ":")).encode()
    signed = f"{base64url.encode(protected)}.{base64url.encode(payload)}".encode()
    return signed + b"." + base64url.encode(key.sign(signed)).encode()


def open_signed(jws: bytes, kind: str, largest: int = LARGEST, more: frozenset[str] = OURS) -> Signed:
    """Parse a document of *kind*, and verify its signature with the first certificate in it.

    *more* are further fields that the header may have. *largest* is checked before anything is decoded. The key determines
    the algorithm; the document alone does not.

    Raises:
        MalformedDocumentError: It is too large, is not a compact JWS, has another type, or its signature is invalid.
    """
    header = _header(jws, largest, more)
    if header["typ"] != kind:
        raise MalformedDocumentError(f"it is a {_quote(header['typ'])}, not a {kind}", rule="RFC 7515 4.1.9")
    chain = _chain(header["x5c"])
    key = _key_of(chain[0])
    algorithm = _algorithm_of(key)
    if algorithm is None or header["alg"] != algorithm:
        wanted = algorithm or "ES256 or ES384, with a key on P-256 or P-384, or ML-DSA-44"
        raise MalformedDocumentError(f"its alg is {_quote(header['alg'])}, not {wanted}", rule="RFC 7518 3.4")
    signed, _, signature = jws.rpartition(b".")
    try:
        is_valid = _verifies(key, algorithm, signed, base64url.decode(signature))
        payload = base64url.decode(signed.partition(b".")[2])
    except (ValueError, PyJWTError) as wrong:
        raise MalformedDocumentError(f"it cannot be read: {wrong}", rule="RFC 7515 5.2") from None
    if not is_valid:
        raise MalformedDocumentError(f"the signature of {tell_subject(chain[0])} is not valid", rule="RFC 7515 5.2")
    return Signed(payload, chain, _fencing(header.get(FENCING, 0)))


def _verifies(key: object, algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Tell whether *signature* is that of *key*; raises ValueError or `PyJWTError`."""
    if isinstance(key, mldsa.MLDSA44PublicKey):
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True
    # Not `decode_complete`: it looks at each octet in Python, 70 ms for a document of 1 MB.
    return PyJWS([algorithm]).get_algorithm_by_name(algorithm).verify(signed, key, signature)


def _header(jws: bytes, largest: int, more: frozenset[str]) -> dict[str, Any]:
    """Give the protected header after all checks that need no key."""
    if len(jws) > largest:
        raise MalformedDocumentError(f"it has {len(jws)} octets, more than {largest}")
    parts = _COMPACT.fullmatch(jws)
    if parts is None:
        raise MalformedDocumentError("it is not three parts in base64url with dots between", rule="RFC 7515 7.1")
    encoded = parts.group(1)
    if len(encoded) > LARGEST_HEADER:
        raise MalformedDocumentError(f"its header has {len(encoded)} octets, more than {LARGEST_HEADER}")
    try:
        header = read_object(base64url.decode(encoded))
    except ValueError as wrong:
        raise MalformedDocumentError(f"its header cannot be read: {wrong}", rule="RFC 7515 4") from None
    if "crit" in header:  # "If any of the listed extension Header Parameters are not understood [...] invalid"
        raise MalformedDocumentError(
            f"it requires {_quote(header['crit'])}, which sipmesh does not support", rule="RFC 7515 4.1.11"
        )
    if odd := sorted((header.keys() - more) ^ _HEADERS):
        faults = ", ".join(f"{_quote(name)} {'is missing' if name in _HEADERS else 'is not known'}" for name in odd)
        raise MalformedDocumentError(f"in its header {faults}", rule="RFC 7515 4.1")
    return header


def _fencing(given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= HIGHEST_FENCING:
        raise MalformedDocumentError(f"its fencing number is {_quote(given)}, not a whole number")
    return given


def _chain(x5c: object) -> tuple[x509.Certificate, ...]:
    """Give the certificates in the header (RFC 7515 4.1.6: base64, not base64url, the signer's first)."""
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
    if isinstance(key, mldsa.MLDSA44PublicKey):
        return ML_DSA_44
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return None
    return next((name for curve, name in _ALGORITHMS if isinstance(key.curve, curve)), None)


def _quote(given: object) -> str:
    """Write a value of the document, short and printable: it is not trusted until the signature is verified."""
    text = ascii(given)
    return text if len(text) <= 60 else f"{text[:60]}..."  # noqa: PLR2004 - letters of one line
