"""OCSP responses (RFC 6960): who signed a response, for which certificate, until when it is valid, and its status.

cryptography parses a response and verifies nothing. All verification is here. Responses are arguments, like CRLs: no handshake
waits for a responder. So there is no nonce to compare, and only the time of a response prevents its replay.

Format, signature and the right of the responder do not depend on the time, and are checked once. The times are checked at
each use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from sipmesh.errors import SipmeshError
from sipmesh.foreign_errors import reason_of
from sipmesh.trust.code import Code
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.x509.certificate import KEPT, UNREADABLE, WEAK_HASHES, extension, weakness
from sipmesh.trust.x509.der import Element, elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cryptography.hazmat.primitives import hashes

LARGEST = 65_536  # octets of one response; a real response with a chain has 2,000 to 6,000
MOST_SINGLES = 64  # certificates in one response
MOST_CERTIFICATES = 8  # certificates attached to a response: each may cost a signature check
KNOWN_ISSUERS_KEPT = 8  # issuers for which a response keeps the result of its signature check

VERSION, RESPONSE_EXTENSIONS = 0xA0, 0xA1  # [0] and [1] of ResponseData (RFC 6960 4.2.1)
SINGLE_EXTENSIONS = 0xA1  # [1] of SingleResponse
BOOLEAN = 0x01

_OF_DELEGATES = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)


class UnusableAnswerError(SipmeshError):
    """An OCSP response that must not be used for any certificate. The text says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The rules under which a response is accepted. All links use the defaults.

    *weak* are hash algorithms that are refused in signatures. The certID may still use SHA-1, as RFC 5019 2.1.1 requires: it
    only finds a certificate. With *unlisted*, a delegate that cannot be revoked is accepted: one without
    id-pkix-ocsp-nocheck whose issuer has no CRL (RFC 6960 4.2.2.2.1 leaves this to local policy).
    """

    skew: timedelta = timedelta(minutes=5)  # how far the responder's clock may be ahead of ours
    oldest: timedelta = timedelta(days=1)  # how long a response without nextUpdate is valid
    weak: tuple[type[hashes.HashAlgorithm], ...] = WEAK_HASHES
    unlisted: bool = False


TERMS = Terms()


@dataclass(slots=True, eq=False)
class OcspAnswer:
    """A parsed response with the status *successful* and no critical extensions."""

    response: ocsp.OCSPResponse = field(repr=False)
    singles: tuple[ocsp.OCSPSingleResponse, ...] = field(repr=False)
    _known: list[tuple[x509.Certificate, Terms, OcspSigner]] = field(default_factory=list, repr=False)

    @classmethod
    def load(cls, der: bytes) -> OcspAnswer:
        """Parse one response in DER.

        Raises:
            UnusableAnswerError: It is malformed, has an error status, is larger than a real response, or has a critical
                extension (RFC 6960 4.4: "The critical flag SHOULD NOT be set for any of them").
        """
        if len(der) > LARGEST:
            raise UnusableAnswerError(f"the OCSP response has {len(der)} octets")
        try:
            response = ocsp.load_der_ocsp_response(der)
            if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
                raise UnusableAnswerError(f"the OCSP responder answers {response.response_status.name.lower()}")
            singles = tuple(response.responses)
            _touch(response, singles)
            critical = _critical_extensions(response.tbs_response_bytes)
        except (TypeError, IndexError, *UNREADABLE) as wrong:
            raise UnusableAnswerError(f"not a readable OCSP response: {reason_of(wrong)}") from None
        if critical:
            raise UnusableAnswerError("the OCSP response has an unknown critical extension")
        if len(singles) > MOST_SINGLES or len(response.certificates) > MOST_CERTIFICATES:
            raise UnusableAnswerError(f"{len(singles)} statuses, {len(response.certificates)} certificates")
        return cls(response, singles)

    def signer(self, issuer: x509.Certificate, terms: Terms = TERMS) -> OcspSigner:
        """Find who signed this, and whether the signer may do so for *issuer*. The result is cached for each issuer."""
        for known, under, signer in self._known:
            if known == issuer and under == terms:
                return signer
        signer = _signer(self.response, issuer, terms)
        self._known = [*self._known[1 - KNOWN_ISSUERS_KEPT :], (issuer, terms, signer)]
        return signer

    def __repr__(self) -> str:
        serials = ", ".join(f"{single.serial_number:x}" for single in self.singles)
        return f"<OcspAnswer for {serials}, made {self.response.produced_at_utc:%Y-%m-%d %H:%M}>"


class OcspSigner(NamedTuple):
    """The signer of a response: the issuer (*delegate* is None), or a delegate. *fault*: why the signer is not allowed."""

    fault: str = ""
    delegate: x509.Certificate | None = None


class OcspStatus(NamedTuple):
    """The status of one certificate in one response, under *terms*. Nothing in it depends on the time of the check."""

    single: ocsp.OCSPSingleResponse
    produced_at: datetime
    signer: OcspSigner
    terms: Terms


class OcspAnswers:
    """The OCSP responses of one authority, found by issuer and serial number. Immutable.

    *terms* are the rules of acceptance. *faults* say which responses could not be used, and why. A newer response must
    replace the older one: a certificate that one of the responses revokes is revoked.
    """

    __slots__ = ("_answers", "_by_serial", "faults", "terms")

    def __init__(self, answers: Iterable[OcspAnswer] = (), faults: tuple[str, ...] = (), terms: Terms = TERMS) -> None:
        self._by_serial: dict[int, dict[OcspAnswer, None]] = {}
        self._answers, self.faults, self.terms = tuple(answers), faults, terms
        for answer in self._answers:
            for single in answer.singles:
                self._by_serial.setdefault(single.serial_number, {})[answer] = None

    def find(self, certificate: x509.Certificate, issuer: x509.Certificate) -> tuple[OcspStatus, ...]:
        """Give every reply about *certificate*. A reply that must not be used has a fault in its signer.

        One response may have several replies about a certificate. All of them are given: parsers differ in which they read.
        """
        return tuple(
            OcspStatus(single, answer.response.produced_at_utc, self._signer(answer, certificate, issuer), self.terms)
            for answer in self._by_serial.get(certificate.serial_number, ())
            for single in answer.singles
            if _is_about(single, certificate, issuer)
        )

    def _signer(self, answer: OcspAnswer, certificate: x509.Certificate, issuer: x509.Certificate) -> OcspSigner:
        """Refuse a response made outside the certificate's validity, and one signed with the certificate's own key."""
        made = answer.response.produced_at_utc
        if not certificate.not_valid_before_utc <= made <= certificate.not_valid_after_utc:
            return OcspSigner(f"an OCSP response made at {tell_time(made)}, when the certificate was not valid")
        signer = answer.signer(issuer, self.terms)
        if signer.delegate is not None and signer.delegate.public_key() == certificate.public_key():
            return OcspSigner("an OCSP response signed with the key of the certificate itself")
        return signer

    def __iter__(self) -> Iterator[OcspAnswer]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def __repr__(self) -> str:
        return f"<OcspAnswers {list(self)} faults={list(self.faults)}>"


NO_ANSWERS = OcspAnswers()


def standing(
    replies: Iterable[OcspStatus], *, at: datetime, grace: timedelta, live: bool = False
) -> tuple[str, Code | None]:
    """Give the status of a certificate by all *replies* as text, and the code of a refusal, or None if it is good.

    The worst status of an allowed responder counts. First revoked, even in an expired response, as with CRLs; then unknown.
    Otherwise one valid response with the status good is enough. Without a response the certificate is refused. For a
    *live* link an expired response is accepted, like an expired CRL. All other failures refuse it too.
    """
    replies = tuple(replies)
    by_status = {reply.single.certificate_status: reply for reply in replies if not reply.signer.fault}
    if revoked := by_status.get(ocsp.OCSPCertStatus.REVOKED):
        return f"an OCSP response of {tell_time(revoked.single.this_update_utc)} says revoked", Code.REVOKED
    if ocsp.OCSPCertStatus.UNKNOWN in by_status:
        return "the OCSP responder does not know the certificate", Code.REVOCATION_UNKNOWN
    faults = [reply.signer.fault or untimely(reply, at, grace) for reply in replies]
    if live and "" not in faults and any(_has_counted(reply, at) for reply in replies):
        return f"{'; '.join(dict.fromkeys(faults))}; accepted, because this link was up before", None
    if "" in faults:
        return f"an OCSP response is valid until {tell_time(counts_until(replies[faults.index('')]))}", None
    return "; ".join(dict.fromkeys(faults)) or "no OCSP response", Code.REVOCATION_UNKNOWN


def untimely(reply: OcspStatus, at: datetime, grace: timedelta) -> str:
    """Say why *reply* is not valid at the instant *at*; "" if it is valid (RFC 6960 3.2 (5), (6); 4.2.2.1).

    *grace* is how long it is accepted after its next_update, as for CRLs.
    """
    begins, ends, delegate = reply.single.this_update_utc, counts_until(reply), reply.signer.delegate
    latest = max(begins, reply.produced_at)
    if latest > at + reply.terms.skew:
        return f"the thisUpdate of an OCSP response is {tell_time(latest)}; the clock here says {tell_time(at)}"
    if ends < begins or at > ends + grace:
        return f"an OCSP response expired at {tell_time(ends)}; the clock here says {tell_time(at)}"
    if delegate is not None and not delegate.not_valid_before_utc <= at <= delegate.not_valid_after_utc:
        return f"an OCSP responder whose certificate is not valid at {tell_time(at)}"
    return ""


def _has_counted(reply: OcspStatus, at: datetime) -> bool:
    """Tell whether *reply* was valid at its start, which was before the instant *at*."""
    begins = max(reply.single.this_update_utc, reply.produced_at)
    return not reply.signer.fault and begins <= at and not untimely(reply, begins, timedelta(0))


def delegate_to_ask_for(reply: OcspStatus) -> x509.Certificate | None:
    """Return the delegate that signed *reply*, if its own revocation status must be checked; otherwise None.

    RFC 6960 4.2.2.2.1: with id-pkix-ocsp-nocheck "an OCSP client can trust a responder for the lifetime of the
    responder's certificate". Without it, a CRL of its issuer must say that it is good. If there is none, it is refused.
    """
    delegate = reply.signer.delegate
    if delegate is None or reply.terms.unlisted or extension(delegate, x509.OCSPNoCheck) is not None:
        return None
    return delegate


def counts_until(reply: OcspStatus) -> datetime:
    """Give the end of *reply*: its nextUpdate, or the longest time that the terms allow."""
    return reply.single.next_update_utc or reply.single.this_update_utc + reply.terms.oldest


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Compare all three parts of the certID (RFC 6960 4.1.1), with its own hash algorithm."""
    try:
        wanted = _certificate_id(certificate, issuer, type(single.hash_algorithm))
    except (TypeError, *UNREADABLE):
        return False
    return (single.issuer_name_hash, single.issuer_key_hash, single.serial_number) == wanted


@lru_cache(maxsize=KEPT)
def _certificate_id(
    certificate: x509.Certificate, issuer: x509.Certificate, hashed: type[hashes.HashAlgorithm]
) -> tuple[bytes, bytes, int]:
    asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashed()).build()
    return asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number


def _signer(response: ocsp.OCSPResponse, issuer: x509.Certificate, terms: Terms) -> OcspSigner:
    """Find the signer: *issuer*, or a delegate that *issuer* has certified directly (RFC 6960 4.2.2.2).

    The third kind of the RFC, a locally configured responder, is not supported.
    """
    if isinstance(hashed := _hash(response), terms.weak):
        return OcspSigner(f"an OCSP response signed over {hashed.name}")
    if _is_responder(response, issuer) and _signed(response, issuer):
        return OcspSigner()
    faults = []
    for delegate in response.certificates:
        if _is_responder(response, delegate) and delegate != issuer:
            fault = _delegate_fault(delegate, issuer, terms)
            fault = fault or ("" if _signed(response, delegate) else "an OCSP response whose signature is not valid")
            if not fault:
                return OcspSigner(delegate=delegate)
            faults.append(fault)
    return OcspSigner("; ".join(faults) or "an OCSP response that neither the issuer nor its delegate has signed")


def _hash(response: ocsp.OCSPResponse) -> hashes.HashAlgorithm | None:
    try:
        return response.signature_hash_algorithm
    except UNREADABLE:
        return None  # an unknown algorithm, which no key will verify


def _is_responder(response: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    """RFC 6960 4.2.2.3: the responderID is the subject of the signer, or the SHA-1 of its key."""
    if response.responder_name is not None:
        return bool(response.responder_name == candidate.subject)
    try:
        return x509.SubjectKeyIdentifier.from_public_key(candidate.public_key()).digest == response.responder_key_hash
    except UNREADABLE:
        return False


def _signed(response: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    """Tell whether *candidate* signed it. RSASSA-PSS is refused, because the parser does not give its parameters."""
    if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        return False
    return _holds(candidate, response.signature, response.tbs_response_bytes, _hash(response), padding.PKCS1v15())


def _issued(delegate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether *issuer* signed *delegate*. cryptography's own method refuses SHA-1, which the terms may allow."""
    scheme = delegate.signature_algorithm_parameters
    pad = scheme if isinstance(scheme, padding.PSS) else padding.PKCS1v15()
    hashed = delegate.signature_hash_algorithm
    signed = _holds(issuer, delegate.signature, delegate.tbs_certificate_bytes, hashed, pad)
    return delegate.issuer == issuer.subject and signed


def _holds(
    signer: x509.Certificate,
    signature: bytes,
    signed: bytes,
    hashed: hashes.HashAlgorithm | None,
    pad: padding.PKCS1v15 | padding.PSS,
) -> bool:
    try:
        key = signer.public_key()
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | mldsa.MLDSA44PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, rsa.RSAPublicKey) and hashed is not None:
            key.verify(signature, signed, pad, hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and hashed is not None:
            key.verify(signature, signed, ec.ECDSA(hashed))
        else:
            return False
    except (InvalidSignature, TypeError, *UNREADABLE):
        return False
    return True


def _delegate_fault(delegate: x509.Certificate, issuer: x509.Certificate, terms: Terms) -> str:
    """Say why *delegate* may not sign responses for *issuer*; "" if it may.

    RFC 6960 4.2.2.2: the delegate's certificate "MUST be issued directly by the CA that is identified in the request". It
    must have id-kp-OCSPSigning; anyExtendedKeyUsage is not enough.
    """
    try:
        usages, bits = extension(delegate, x509.ExtendedKeyUsage), extension(delegate, x509.KeyUsage)
        if usages is None or ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
            return "an OCSP responder whose certificate lacks id-kp-OCSPSigning"
        if bits is not None and not (bits.digital_signature or bits.content_commitment):
            return "an OCSP responder whose key may not sign"
        if any(entry.critical and not isinstance(entry.value, _OF_DELEGATES) for entry in delegate.extensions):
            return "an OCSP responder with an unknown critical extension"
        if weak := weakness(delegate, weak=terms.weak):
            return f"an OCSP responder with {weak}"
        return "" if _issued(delegate, issuer) else "an OCSP responder that the issuer has not delegated"
    except (TypeError, *UNREADABLE):
        return "an OCSP responder whose certificate cannot be read"


def _touch(response: ocsp.OCSPResponse, singles: tuple[ocsp.OCSPSingleResponse, ...]) -> None:
    """Read all parts that the library parses lazily, so that no later check fails on them."""
    for part in ("responder_name", "responder_key_hash", "produced_at_utc", "certificates", "signature", "extensions"):
        getattr(response, part)
    for single in singles:
        for part in ("serial_number", "certificate_status", "this_update_utc", "next_update_utc", "issuer_key_hash"):
            getattr(single, part)


def _critical_extensions(tbs: bytes) -> bool:
    """Tell whether the response, or one of its statuses, has a critical extension.

    The parser gives the extensions of a status only if the response has one status. So the DER is read here.
    """
    ((tag, content),) = elements(tbs)
    data = [element for element in Element(tag, content).sequence() if element.tag != VERSION]
    singles = data[2].sequence()  # after responderID and producedAt
    groups = [element for element in data[3:] if element.tag == RESPONSE_EXTENSIONS]
    # certStatus has tags of its own, so search behind it: certID, certStatus, thisUpdate, then the optional fields.
    groups += [element for single in singles for element in single.sequence()[3:] if element.tag == SINGLE_EXTENSIONS]
    return any(_is_critical(entry) for group in groups for wrapped in group.inside() for entry in wrapped.sequence())


def _is_critical(entry: Element) -> bool:
    """Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue } (RFC 5280 4.1)."""
    flag = entry.sequence()[1]
    return flag.tag == BOOLEAN and flag.content != b"\x00"
