"""OCSP answers (RFC 6960): who signed one, for which certificate, until when it counts, and what it says.

cryptography parses an answer and checks nothing of it; everything that makes an answer worth believing is here. Answers
are handed in, as lists are: nobody waits for a responder in a handshake, so there is no nonce to compare, and what keeps
an old answer from being shown again is its time.

What stands still is worked out once (form, signature, the responder's right); what depends on the time is asked anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from sipmesh.errors import SipmeshError
from sipmesh.trust.code import Code
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.x509.certificate import KEPT, UNREADABLE, WEAK_HASHES, extension, weakness
from sipmesh.trust.x509.der import Element, elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cryptography.hazmat.primitives import hashes

LARGEST = 65_536  # octets of one answer; with a chain in it, a real one has 2,000 to 6,000
MOST_SINGLES = 64  # certificates that one answer may speak of
MOST_CERTIFICATES = 8  # that an answer may bring along: each may cost a signature check
KNOWN_ISSUERS_KEPT = 8  # issuers that we remember an answer's signature check of

VERSION, RESPONSE_EXTENSIONS = 0xA0, 0xA1  # [0] and [1] of ResponseData (RFC 6960 4.2.1)
SINGLE_EXTENSIONS = 0xA1  # [1] of SingleResponse
BOOLEAN = 0x01

_OF_DELEGATES = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)


class UnusableAnswerError(SipmeshError):
    """An OCSP answer that must not be relied on, whoever asks; the text says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms an answer is believed; the defaults are those of every link.

    *weak* are hashes that sign nothing here. The certID may still be made with SHA-1, as RFC 5019 2.1.1 asks for: it
    finds a certificate and proves nothing. *unlisted* would believe a delegate that nobody can revoke: one that is
    without id-pkix-ocsp-nocheck although there is no list of its issuer (RFC 6960 4.2.2.2.1 leaves that to local policy).
    """

    skew: timedelta = timedelta(minutes=5)  # how far the responder's clock may be ahead of ours
    oldest: timedelta = timedelta(days=1)  # how long an answer counts that does not say when the next one comes
    weak: tuple[type[hashes.HashAlgorithm], ...] = WEAK_HASHES
    unlisted: bool = False


TERMS = Terms()


@dataclass(slots=True, eq=False)
class OcspAnswer:
    """One answer that can be read, has the status *successful* and holds nothing critical that we do not know."""

    response: ocsp.OCSPResponse = field(repr=False)
    singles: tuple[ocsp.OCSPSingleResponse, ...] = field(repr=False)
    _known: list[tuple[x509.Certificate, Terms, OcspSigner]] = field(default_factory=list, repr=False)

    @classmethod
    def load(cls, der: bytes) -> OcspAnswer:
        """Read one answer in DER.

        Raises:
            UnusableAnswerError: It is malformed, says that the responder failed, is larger than any real one, or has a
                critical extension (RFC 6960 4.4: "The critical flag SHOULD NOT be set for any of them").
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
            raise UnusableAnswerError(f"not a readable OCSP response: {wrong}") from None
        if critical:
            raise UnusableAnswerError("the OCSP response has an unknown critical extension")
        if len(singles) > MOST_SINGLES or len(response.certificates) > MOST_CERTIFICATES:
            raise UnusableAnswerError(f"{len(singles)} statuses, {len(response.certificates)} certificates")
        return cls(response, singles)

    def signer(self, issuer: x509.Certificate, terms: Terms = TERMS) -> OcspSigner:
        """Who signed this, and whether they may for what *issuer* issued; worked out once per issuer."""
        for known, under, signer in self._known:
            if known == issuer and under == terms:
                return signer
        signer = _signer(self.response, issuer, terms)
        self._known = [*self._known[1 - KNOWN_ISSUERS_KEPT :], (issuer, terms, signer)]
        return signer

    def __repr__(self) -> str:
        serials = ", ".join(f"{one.serial_number:x}" for one in self.singles)
        return f"<OcspAnswer for {serials}, made {self.response.produced_at_utc:%Y-%m-%d %H:%M}>"


class OcspSigner(NamedTuple):
    """Who signed an answer: the issuer itself (no *delegate*), a delegate, or nobody who may, for the reason *fault*."""

    fault: str = ""
    delegate: x509.Certificate | None = None


class OcspStatus(NamedTuple):
    """What one answer says of one certificate, on which *terms*; nothing in it depends on the time of the question."""

    single: ocsp.OCSPSingleResponse
    produced_at: datetime
    signer: OcspSigner
    terms: Terms


class OcspAnswers:
    """The answers of one authority's responders, found by issuer and serial; immutable.

    They are believed on *terms*; *faults* say which answers could not be used, and why. Whoever fetches a newer answer
    puts it in the older one's place: a certificate that one of its answers calls revoked is revoked.
    """

    __slots__ = ("_answers", "_by_serial", "faults", "terms")

    def __init__(self, answers: Iterable[OcspAnswer] = (), faults: tuple[str, ...] = (), terms: Terms = TERMS) -> None:
        self._by_serial: dict[int, dict[OcspAnswer, None]] = {}
        self._answers, self.faults, self.terms = tuple(answers), faults, terms
        for answer in self._answers:
            for single in answer.singles:
                self._by_serial.setdefault(single.serial_number, {})[answer] = None

    def find(self, certificate: x509.Certificate, issuer: x509.Certificate) -> tuple[OcspStatus, ...]:
        """Every reply about *certificate*, also those that must not be believed, which say why.

        An answer may hold several about one certificate (the first is not the one that counts, as to others it is).
        """
        return tuple(
            OcspStatus(single, answer.response.produced_at_utc, self._signer(answer, certificate, issuer), self.terms)
            for answer in self._by_serial.get(certificate.serial_number, ())
            for single in answer.singles
            if _is_about(single, certificate, issuer)
        )

    def _signer(self, answer: OcspAnswer, certificate: x509.Certificate, issuer: x509.Certificate) -> OcspSigner:
        """Refuse an answer made when the certificate was not valid, which is about another, and one by its own key."""
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
    """Say how a certificate stands by all that is said of it; the code is None if it may be relied on.

    The worst that a rightful responder says counts: revoked even when the answer is old, as with lists, then unknown.
    Otherwise one good answer that is in force is enough. Nothing said is not a good status. For a *live* link an answer goes
    on that is past its time, as a list does, and nothing more is forgiven it.
    """
    replies = tuple(replies)
    said = {reply.single.certificate_status: reply for reply in replies if not reply.signer.fault}
    if revoked := said.get(ocsp.OCSPCertStatus.REVOKED):
        return f"an OCSP response of {tell_time(revoked.single.this_update_utc)} says revoked", Code.REVOKED
    if ocsp.OCSPCertStatus.UNKNOWN in said:
        return "the OCSP responder does not know the certificate", Code.REVOCATION_UNKNOWN
    faults = [reply.signer.fault or untimely(reply, at, grace) for reply in replies]
    if live and "" not in faults and any(_has_counted(reply, at) for reply in replies):
        return f"{'; '.join(dict.fromkeys(faults))}; accepted, because this link was up before", None
    if "" in faults:
        return f"an OCSP response is valid until {tell_time(counts_until(replies[faults.index('')]))}", None
    return "; ".join(dict.fromkeys(faults)) or "no OCSP response", Code.REVOCATION_UNKNOWN


def untimely(reply: OcspStatus, at: datetime, grace: timedelta) -> str:
    """Say why *reply* does not count at the instant *at*, or nothing (RFC 6960 3.2 (5), (6); 4.2.2.1).

    *grace* is how long it still counts after its next_update, as for lists.
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
    """Whether *reply* counted at its beginning, before the instant *at*."""
    begins = max(reply.single.this_update_utc, reply.produced_at)
    return not reply.signer.fault and begins <= at and not untimely(reply, begins, timedelta(0))


def delegate_to_ask_for(reply: OcspStatus) -> x509.Certificate | None:
    """Return the delegate that signed *reply*, where somebody must say that it is not revoked itself.

    RFC 6960 4.2.2.2.1: with id-pkix-ocsp-nocheck "an OCSP client can trust a responder for the lifetime of the
    responder's certificate". Without it, a list of its issuer has to let it pass: what cannot be asked is refused.
    """
    delegate = reply.signer.delegate
    if delegate is None or reply.terms.unlisted or extension(delegate, x509.OCSPNoCheck) is not None:
        return None
    return delegate


def counts_until(reply: OcspStatus) -> datetime:
    """Until when *reply* counts, whether it says so or not."""
    return reply.single.next_update_utc or reply.single.this_update_utc + reply.terms.oldest


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Compare all three parts of the certID (RFC 6960 4.1.1), by the hash that it was made with."""
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
    """Find who signed: *issuer*, or somebody whom it named directly for that (RFC 6960 4.2.2.2).

    The RFC's third kind, a responder that the operator trusts by hand, does not exist here.
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
        return None  # of an unknown kind, which no key will verify


def _is_responder(response: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    """RFC 6960 4.2.2.3: the responderID is the subject of the signer, or the SHA-1 of its key."""
    if response.responder_name is not None:
        return bool(response.responder_name == candidate.subject)
    try:
        return x509.SubjectKeyIdentifier.from_public_key(candidate.public_key()).digest == response.responder_key_hash
    except UNREADABLE:
        return False


def _signed(response: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    """Whether *candidate* signed it. The parser does not show the parameters of RSASSA-PSS, so that those are refused."""
    if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        return False
    return _holds(candidate, response.signature, response.tbs_response_bytes, _hash(response), padding.PKCS1v15())


def _issued(delegate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether *issuer* signed *delegate*; cryptography's own method knows no SHA-1, which is for the terms to say."""
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
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
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
    """Say why *delegate* may not sign answers for *issuer*, or nothing.

    RFC 6960 4.2.2.2: the delegate's certificate "MUST be issued directly by the CA that is identified in the request", and
    it is one by id-kp-OCSPSigning, which we have to enforce: anyExtendedKeyUsage is not it.
    """
    try:
        usages, bits = extension(delegate, x509.ExtendedKeyUsage), extension(delegate, x509.KeyUsage)
        if usages is None or ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
            return "an OCSP responder whose certificate lacks id-kp-OCSPSigning"
        if bits is not None and not (bits.digital_signature or bits.content_commitment):
            return "an OCSP responder whose key may not sign"
        if any(one.critical and not isinstance(one.value, _OF_DELEGATES) for one in delegate.extensions):
            return "an OCSP responder with an unknown critical extension"
        if weak := weakness(delegate, weak=terms.weak):
            return f"an OCSP responder with {weak}"
        return "" if _issued(delegate, issuer) else "an OCSP responder that the issuer has not delegated"
    except (TypeError, *UNREADABLE):
        return "an OCSP responder whose certificate cannot be read"


def _touch(response: ocsp.OCSPResponse, singles: tuple[ocsp.OCSPSingleResponse, ...]) -> None:
    """Look at every lazily parsed part now, so that no check meets an unreadable one later."""
    for part in ("responder_name", "responder_key_hash", "produced_at_utc", "certificates", "signature", "extensions"):
        getattr(response, part)
    for single in singles:
        for part in ("serial_number", "certificate_status", "this_update_utc", "next_update_utc", "issuer_key_hash"):
            getattr(single, part)


def _critical_extensions(tbs: bytes) -> bool:
    """Whether an extension of the answer, or of any status in it, is critical.

    The parser shows a single status's extensions only where there is no second one, so that they are looked for here.
    """
    ((tag, content),) = elements(tbs)
    data = [held for held in Element(tag, content).sequence() if held.tag != VERSION]
    singles = data[2].sequence()  # after responderID and producedAt
    groups = [held for held in data[3:] if held.tag == RESPONSE_EXTENSIONS]
    # Before certStatus, which has tags of its own, there is the certID; after it thisUpdate, then what is optional.
    groups += [held for single in singles for held in single.sequence()[3:] if held.tag == SINGLE_EXTENSIONS]
    return any(_is_critical(one) for group in groups for wrapped in group.inside() for one in wrapped.sequence())


def _is_critical(one: Element) -> bool:
    """Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue } (RFC 5280 4.1)."""
    flag = one.sequence()[1]
    return flag.tag == BOOLEAN and flag.content != b"\x00"
