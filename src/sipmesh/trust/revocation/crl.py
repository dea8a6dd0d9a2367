"""CRLs (RFC 5280 section 5) as sets of serial numbers, combined with OCSP responses. A missing CRL is always reported."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from sipmesh.errors import SipmeshError
from sipmesh.trust.code import Code
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.revocation.crl_signature import ListSignature
from sipmesh.trust.revocation.ocsp import NO_ANSWERS, OcspSigner, delegate_to_ask_for
from sipmesh.trust.revocation.ocsp import standing as answered
from sipmesh.trust.x509.certificate import UNREADABLE, WEAK_HASHES, extension, is_authority
from sipmesh.trust.x509.der import Element, spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from sipmesh.trust.revocation.ocsp import OcspAnswers, OcspStatus
    from sipmesh.trust.x509.certificate import CertificateId

CHECK = "revocation"
RULE = "RFC 5280 6.3.3; rule R7, R12"
OCSP_RULE = "RFC 5280 6.3.3; RFC 6960 3.2; rule R7, R12"
VERSION_2 = Element(0x02, b"\x01")  # an INTEGER; cryptography also accepts extensions in a CRL without version
KNOWN_KEYS_KEPT = 8  # keys for which a CRL keeps the result of its signature check; a rollover has two


class UnusableListError(SipmeshError):
    """A CRL that must not be used. The text says why."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The certificates of its issuer that a CRL covers (RFC 5280 5.2.5); by default all of them."""

    points: frozenset[str] = frozenset()  # names of distribution points; the certificate must have one of them
    leaves: bool = True
    authorities: bool = True

    def covers(self, certificate: x509.Certificate) -> bool:
        """Tell whether a certificate that is not in such a CRL is good."""
        wanted = self.authorities if is_authority(certificate) else self.leaves
        return wanted and (not self.points or not self.points.isdisjoint(_distribution_points(certificate)))


@dataclass(slots=True, eq=False)
class RevocationList:
    """One CRL of one issuer: complete, or with *base* a delta with the changes since the CRL of that number.

    Times are timezone-aware. *restored* are serial numbers that a delta removes again (RFC 5280 5.2.4).

    The signature is checked at the first use, because the certificate of the issuing CA may arrive in the handshake only. The
    result is kept for each key.
    """

    issuer: x509.Name
    issuer_der: bytes
    this_update: datetime
    next_update: datetime
    number: int
    serials: frozenset[int]
    scope: Scope = Scope()
    signature: ListSignature | None = field(default=None, repr=False)
    base: int | None = None
    restored: frozenset[int] = frozenset()
    in_force: str = field(init=False, repr=False)  # the text of a passed finding, written once
    _known: list[tuple[CertificatePublicKeyTypes, bool]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.in_force = f"list {self.number} is in force until {tell_time(self.next_update)}"

    @classmethod
    def load(cls, data: bytes, issuers: Sequence[x509.Certificate] = ()) -> RevocationList:
        """Parse a PEM or DER CRL. An indirect or partial CRL is refused, and one without number or next_update.

        Args:
            data: The whole file.
            issuers: One of them must have signed the CRL. If empty, the signature is checked at the first use.

        Raises:
            UnusableListError: The CRL must not be used.
        """
        try:
            der = _der_of(data)
            loaded = cls._read(x509.load_der_x509_crl(der), der)
        except (TypeError, IndexError, *UNREADABLE) as wrong:  # TypeError: an extension refuses a value it has parsed
            raise UnusableListError(f"not a readable revocation list: {wrong}") from None
        if issuers and not any(loaded.signed_by(issuer) for issuer in issuers):
            raise UnusableListError("the list is not signed by its issuer")
        return loaded

    @classmethod
    def _read(cls, crl: x509.CertificateRevocationList, der: bytes) -> RevocationList:
        if not _is_of_version_2(der):
            raise UnusableListError("the list is not of version 2 (RFC 5280 5.1.2.1)")
        if crl.next_update_utc is None:
            raise UnusableListError("the list has no next_update (RFC 5280 5.1.2.5)")
        if isinstance(hashed := crl.signature_hash_algorithm, WEAK_HASHES):
            raise UnusableListError(f"the list is signed over {hashed.name}")
        number, base, scope = _read_extensions(crl)
        serials: set[int] = set()  # integers only, which the garbage collector does not have to walk
        restored: set[int] = set()
        for entry in crl:
            serial, revoked = _read_entry(entry)
            (serials if revoked or base is None else restored).add(serial)
        return cls(
            issuer=crl.issuer,
            issuer_der=crl.issuer.public_bytes(),
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            number=number,
            serials=frozenset(serials),
            scope=scope,
            signature=ListSignature.of(crl, der),
            base=base,
            restored=frozenset(restored),
        )

    def brought_up_to(self, delta: RevocationList) -> RevocationList:
        """Give this complete CRL with the changes of *delta* (RFC 5280 5.2.4). It is valid while both are valid.

        A delta with a later base than this CRL may lack entries in between. What it revokes is revoked in any case.
        """
        restored = delta.restored if delta.base is not None and delta.base <= self.number else frozenset()
        return replace(
            self,
            this_update=max(self.this_update, delta.this_update),
            next_update=min(self.next_update, delta.next_update),
            number=delta.number,
            serials=(self.serials - restored) | delta.serials,
        )

    def revoking(self, serials: frozenset[int]) -> RevocationList:
        """Give the same CRL with more *serials*, which the next CRL of its issuer will contain."""
        return replace(self, serials=self.serials | serials)

    def signed_by(self, issuer: x509.Certificate) -> bool:
        """Tell whether the key of *issuer* signed this CRL, and *issuer* may sign CRLs."""
        try:
            key = issuer.public_key()
        except UNREADABLE:
            return False
        return _may_sign_lists(issuer) and self._is_signed_with(key)

    def _is_signed_with(self, key: CertificatePublicKeyTypes) -> bool:
        """Check the signature once for each key. Whether a certificate may sign is not cached: a key may have several."""
        for known, good in self._known:
            if known == key:
                return good
        good = self._check_signature(key)
        self._known = [*self._known[1 - KNOWN_KEYS_KEPT :], (key, good)]
        return good

    def is_forged(self, issuers: Iterable[x509.Certificate]) -> bool:
        """Tell whether one of *issuers* has the name of this CRL's issuer, and no such certificate has signed it.

        The judge checks a CRL of another CA when a handshake brings the certificate of that CA.
        """
        namesakes = [certificate for certificate in issuers if certificate.subject.public_bytes() == self.issuer_der]
        return bool(namesakes) and not any(self.signed_by(certificate) for certificate in namesakes)

    def is_confirmed(self, issuers: Iterable[x509.Certificate]) -> bool:
        """Tell whether one of *issuers* has signed this CRL. If none has the name of its issuer, its signature is not known."""
        return any(issuer.subject.public_bytes() == self.issuer_der and self.signed_by(issuer) for issuer in issuers)

    @property
    def is_refuted(self) -> bool:
        """Whether the signature was checked with the keys of CAs of this name, and none of them has made it."""
        return bool(self._known) and not any(good for _, good in self._known)

    def is_older_than(self, other: RevocationList) -> bool:
        """Tell whether *other* is a later CRL of the same CA, kind and scope.

        Number and time must both be later or equal, and one of them later. A CA whose clock was ahead signs its next CRL with
        an earlier time. A CA that was restored signs it with a lower number.
        """
        alike = self.issuer_der == other.issuer_der and self.scope == other.scope
        same_kind = (self.base is None) is (other.base is None)
        before = self.this_update <= other.this_update and self.number <= other.number
        return alike and same_kind and before and (self.this_update, self.number) != (other.this_update, other.number)

    def repeats(self, other: RevocationList) -> bool:
        """Tell whether this CRL is of the same CA, kind and scope as *other*, and not older: *other* is not needed beside it."""
        same = self.issuer_der == other.issuer_der and self.scope == other.scope
        same_kind = (self.base is None) is (other.base is None)
        return same and same_kind and (self.this_update, self.number) >= (other.this_update, other.number)

    def stands_in_for(self, earlier: RevocationList, at: datetime) -> bool:
        """Tell whether this CRL replaces *earlier* at the instant *at*, with a difference in serial numbers only.

        So it must be complete, valid, of the same scope, and signed with each key that has verified *earlier*.
        """
        alike = self.base is None and earlier.base is None and self.scope == earlier.scope
        in_force = self.this_update <= at <= self.next_update
        return alike and in_force and all(self._check_signature(key) for key, good in earlier._known if good)

    def _check_signature(self, key: CertificatePublicKeyTypes) -> bool:
        return self.signature is not None and self.signature.is_by(key)

    def __repr__(self) -> str:
        kind = "RevocationList" if self.base is None else f"delta on {self.base}:"
        return (
            f"<{kind} {self.number} of {self.issuer.rfc4514_string()}, {len(self.serials)} revoked,"
            f" until {self.next_update:%Y-%m-%d %H:%M}>"
        )


class RevocationLists:
    """The CRLs of one authority, found by issuer. *faults* say which files could not be used, and why.

    Immutable. One issuer may have several CRLs (RFC 5280 5.2.5 divides them by distribution point).
    """

    __slots__ = ("_by_issuer", "_combined", "faults")

    def __init__(self, lists: Iterable[RevocationList] = (), faults: tuple[str, ...] = ()) -> None:
        self._by_issuer: dict[bytes, list[RevocationList]] = {}
        self._combined: dict[tuple[int, int], RevocationList] = {}
        self.faults = faults
        for crl in sorted(lists, key=lambda each: (each.this_update, each.number), reverse=True):
            self._by_issuer.setdefault(crl.issuer_der, []).append(crl)

    def find(
        self, certificate: x509.Certificate, issuer: x509.Certificate, namesakes: Sequence[x509.Certificate] = ()
    ) -> RevocationList | None:
        """Return the newest CRL that *issuer* signed and that covers *certificate*, with its delta if there is one.

        *namesakes* are other certificates of the same CA, with other keys, that may have signed it. None of them may depend on
        *certificate*: a certificate must not confirm its own status.
        """
        ours = [
            crl
            for crl in self._by_issuer.get(issuer.subject.public_bytes(), ())
            if crl.scope.covers(certificate) and any(crl.signed_by(signer) for signer in (issuer, *namesakes))
        ]
        complete = next((crl for crl in ours if crl.base is None), None)
        if complete is None:
            return None
        later = (crl for crl in ours if crl.base is not None and crl.scope == complete.scope)
        delta = next((crl for crl in later if crl.number >= complete.number), None)
        return self._combine(complete, delta) if delta else complete

    def _combine(self, complete: RevocationList, delta: RevocationList) -> RevocationList:
        """Combine a pair once. Both CRLs are kept in this object, so their ids stay unique."""
        pair = (id(complete), id(delta))
        if pair not in self._combined:
            self._combined[pair] = complete.brought_up_to(delta)
        return self._combined[pair]

    def revoking(self, named: Iterable[CertificateId]) -> RevocationLists:
        """Give the same CRLs, in which the certificates *named* by issuer and serial number are revoked too."""
        more: dict[bytes, set[int]] = {}
        for issuer, serial in named:
            more.setdefault(issuer, set()).add(serial)
        changed = (
            crl.revoking(frozenset(more[crl.issuer_der])) if crl.base is None and crl.issuer_der in more else crl
            for crl in self
        )
        return RevocationLists(changed, self.faults)

    def of(self, issuer_der: bytes) -> Sequence[RevocationList]:
        """Give all CRLs of one issuer, newest first."""
        return self._by_issuer.get(issuer_der, ())

    def __iter__(self) -> Iterator[RevocationList]:
        for crls in self._by_issuer.values():
            yield from crls

    def __len__(self) -> int:
        return sum(map(len, self._by_issuer.values()))

    def __repr__(self) -> str:
        return f"<RevocationLists {list(self)} faults={list(self.faults)}>"


def check_revocation(serial: int, crl: RevocationList | None, *, at: datetime, grace: timedelta) -> Finding:
    """Decide whether *serial* is not revoked at the instant *at*.

    A missing or expired CRL is a failure. A serial number on an expired CRL is revoked.

    Args:
        serial: Certificate serial number, unsigned (RFC 5280 4.1.2.2).
        crl: Newest CRL of the issuer, or ``None`` if there is no usable CRL.
        at: Timezone-aware instant of the decision.
        grace: How long a CRL is accepted after ``next_update``.

    Raises:
        ValueError: *at* has no timezone.

    See RFC 5280 section 6.3.3.
    """
    if at.tzinfo is None:
        raise ValueError("the instant of a decision needs a timezone")
    asked = CheckQuestion(CHECK, f"serial {serial:x} not on a current revocation list of its issuer", RULE)
    saw, code = _standing(serial, crl, at, grace)
    return asked.passed(saw) if code is None else asked.refused(saw, code)


def _standing(
    serial: int, crl: RevocationList | None, at: datetime, grace: timedelta, *, live: bool = False
) -> tuple[str, Code | None]:
    """Give the status of *serial* at the instant *at* as text, and the code of a refusal, or None if it is good.

    For a *live* link an expired CRL is accepted. All other failures refuse it too.
    """
    if crl is None:
        return "no revocation list of this issuer", Code.REVOCATION_UNKNOWN
    if serial in crl.serials:
        return f"serial {serial:x} is on list {crl.number} of {tell_time(crl.this_update)}", Code.REVOKED
    if at < crl.this_update:
        saw = (
            f"the thisUpdate of list {crl.number} is {tell_time(crl.this_update)}; the clock here says {tell_time(at)}"
        )
        return saw, Code.REVOCATION_UNKNOWN
    if at > crl.next_update + grace:
        saw = f"list {crl.number} expired at {tell_time(crl.next_update)}; the clock here says {tell_time(at)}"
        return (f"{saw}; accepted, because this link was up before", None) if live else (saw, Code.REVOCATION_UNKNOWN)
    return crl.in_force, None


class RevocationSource(StrEnum):
    """The source of the revocation status of an authority's certificates. Without a status, a certificate is refused."""

    LISTS = "lists"  # a valid CRL is required; OCSP responses are not
    ANSWERS = "ocsp"  # a CRL decides if there is one; otherwise a valid OCSP response is required
    BOTH = "both"  # a valid CRL and a valid OCSP response are required


class Listed(NamedTuple):
    """One certificate of a path, with its CRL and OCSP responses. Nothing in it depends on the time."""

    serial: int
    issuer: str
    held: RevocationList | None
    replies: tuple[Heard, ...] = ()


class Heard(NamedTuple):
    """An OCSP status. *delegate* is the entry of the certificate that signed it, if that certificate must be checked too."""

    reply: OcspStatus
    delegate: Listed | None = None


def look_up(
    path: Sequence[x509.Certificate], lists: RevocationLists, answers: OcspAnswers = NO_ANSWERS
) -> tuple[Listed, ...]:
    """Find the CRL and OCSP responses for each certificate of *path*. The anchor has none: it cannot be revoked."""
    return tuple(
        Listed(
            certificate.serial_number,
            issuer.subject.rfc4514_string(),
            lists.find(certificate, issuer, _namesakes(path[depth + 1 :])),
            tuple(_hear(reply, issuer, lists) for reply in answers.find(certificate, issuer)) if answers else (),
        )
        for depth, (certificate, issuer) in enumerate(pairwise(path))
    )


def _namesakes(above: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates with older keys of a CA. *above* is the path from that CA's certificate to the anchor.

    A CA that changes its key issues a self-issued certificate for the new key, and may sign CRLs with either key (RFC 5280
    6.3.3 (f)). Only keys closer to the anchor are accepted: a revoked CA, or a CA below it, must not sign a statement about
    its own status.
    """
    found: list[x509.Certificate] = []
    for certificate, issuer in pairwise(above):
        if certificate.subject != certificate.issuer or issuer.subject != certificate.subject:
            break
        found.append(issuer)
    return found


def _hear(reply: OcspStatus, issuer: x509.Certificate, lists: RevocationLists) -> Heard:
    delegate = delegate_to_ask_for(reply)
    if delegate is None:
        return Heard(reply)
    return Heard(reply, Listed(delegate.serial_number, issuer.subject.rfc4514_string(), lists.find(delegate, issuer)))


def _believed(heard: Heard, at: datetime, grace: timedelta, *, live: bool) -> OcspStatus:
    """Return the reply. It gets a fault if the certificate of the delegate that signed it is not good."""
    if heard.delegate is None:
        return heard.reply
    saw, code = _standing(heard.delegate.serial, heard.delegate.held, at, grace, live=live)
    if code is None:
        return heard.reply
    return heard.reply._replace(
        signer=OcspSigner(f"an OCSP responder whose certificate needs an OCSP check itself: {saw}")
    )


def _stands(
    entry: Listed, at: datetime, grace: timedelta, source: RevocationSource, *, live: bool
) -> tuple[str, Code | None]:
    """Combine CRL and OCSP as *source* requires. A certificate that either of them revokes is revoked."""
    by_list = _standing(entry.serial, entry.held, at, grace, live=live)
    if source is RevocationSource.LISTS and not entry.replies:
        return by_list
    replies = [_believed(heard, at, grace, live=live) for heard in entry.replies]
    by_answer = answered(replies, at=at, grace=grace, live=live)
    by_either = by_list if entry.held is not None else by_answer
    deciding = {
        RevocationSource.LISTS: (by_list,),
        RevocationSource.ANSWERS: (by_either,),
        RevocationSource.BOTH: (by_list, by_answer),
    }[source]
    revoked = (voice for voice in (by_list, by_answer) if voice[1] is Code.REVOKED)
    refused = (voice for voice in deciding if voice[1] is not None)
    worst = next(revoked, None) or next(refused, None)
    return worst or ("; ".join(saw for saw, _ in deciding), None)


def check_path(
    path: Sequence[x509.Certificate],
    lists: RevocationLists,
    answers: OcspAnswers = NO_ANSWERS,
    *,
    at: datetime,
    grace: timedelta,
    source: RevocationSource = RevocationSource.LISTS,
) -> Finding:
    """Check every certificate of *path* (leaf first, without the anchor) with *lists* and *answers*, as *source* requires."""
    return check_listed(look_up(path, lists, answers), (lists, answers), at=at, grace=grace, source=source)


_QUESTIONS = {
    RevocationSource.LISTS: CheckQuestion(CHECK, "no certificate of the path on a current revocation list", RULE),
    RevocationSource.ANSWERS: CheckQuestion(
        CHECK, "every certificate of the path good, by a current list or OCSP response", OCSP_RULE
    ),
    RevocationSource.BOTH: CheckQuestion(
        CHECK, "every certificate of the path good, by a current list and a current OCSP response", OCSP_RULE
    ),
}


def check_listed(
    listed: Sequence[Listed],
    sources: tuple[RevocationLists, OcspAnswers],
    *,
    at: datetime,
    grace: timedelta,
    source: RevocationSource = RevocationSource.LISTS,
    live: bool = False,
) -> Finding:
    """Check each entry of *listed*. *sources* are the CRLs and responses that it was looked up in; their faults are reported.

    A revoked certificate comes before a missing CRL in the finding. *live* is for a link that is up and is judged again: an
    expired CRL blocks new links, but existing links stay up until a certificate expires (rule R7).
    """
    asked = _QUESTIONS[source]
    good: list[str] = []
    failed: list[Finding] = []
    for entry in listed:
        standing, code = _stands(entry, at, grace, source, live=live)
        saw = f"{entry.issuer}: {standing}"
        good.append(saw)
        if code is not None:
            faults = [fault for kind in sources for fault in kind.faults]
            why = f" ({'; '.join(faults)})" if faults and entry.held is None else ""
            failed.append(asked.refused(saw + why, code))
    if failed:
        return min(failed, key=lambda entry: entry.code is not Code.REVOKED)
    return asked.passed("; ".join(good) or "the path is an anchor")


def _der_of(data: bytes) -> bytes:
    """Give the DER of a CRL, or of the first one in PEM (RFC 7468 6); ValueError if there is none."""
    if b"-----BEGIN" not in data:
        return data
    begin, end = data.find(_PEM_BEGIN), data.find(_PEM_END)
    if begin < 0 or end < begin:
        raise ValueError("no X509 CRL in PEM")
    return b64decode(b"".join(data[begin + len(_PEM_BEGIN) : end].split()), validate=True)


_PEM_BEGIN, _PEM_END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"


def _is_of_version_2(der: bytes) -> bool:
    """Tell whether the content of a CRL begins with version 2."""
    (outer,) = spans(der, 0, len(der))
    tbs = spans(der, outer.begin, outer.end)[0]
    version = spans(der, tbs.begin, tbs.end)[0]
    return Element(version.tag, der[version.begin : version.end]) == VERSION_2


def _read_extensions(crl: x509.CertificateRevocationList) -> tuple[int, int | None, Scope]:
    """Return number, base and scope.

    Two critical extensions are supported (RFC 5280 5.2.4, 5.2.5). A CRL with another critical extension is refused: either it
    is unknown (RFC 5280 5.2), or it must not be critical (5.2.1 to 5.2.3).
    """
    number, base, scope = None, None, Scope()
    for found in crl.extensions:
        if isinstance(found.value, x509.IssuingDistributionPoint):
            scope = _read_scope(found.value, crl.issuer)
        elif isinstance(found.value, x509.DeltaCRLIndicator):
            base = found.value.crl_number
        elif found.critical:
            raise UnusableListError(
                f"the list has the critical extension {found.oid.dotted_string}, which sipmesh does not support"
            )
        elif isinstance(found.value, x509.CRLNumber):
            number = found.value.crl_number
    if number is None:
        raise UnusableListError("the list has no number (RFC 5280 5.2.3)")
    return number, base, scope


def _read_scope(point: x509.IssuingDistributionPoint, issuer: x509.Name) -> Scope:
    if point.indirect_crl:
        raise UnusableListError("the list is indirect: it has certificates of other issuers")
    if point.only_some_reasons or point.only_contains_attribute_certs:
        raise UnusableListError("the list is partial: some reasons, or attribute certificates only")
    return Scope(
        points=frozenset(_point_names(point, issuer)),
        leaves=not point.only_contains_ca_certs,
        authorities=not point.only_contains_user_certs,
    )


def _read_entry(entry: x509.RevokedCertificate) -> tuple[int, bool]:
    """Return the serial number, and whether it is revoked. Only a delta can say that it is no longer revoked.

    RFC 5280 5.3.1: removeFromCRL "may only appear in delta CRLs". In other CRLs it is ignored. A CRL with a critical entry
    extension is refused: it is unknown (5.3), must not be critical (5.3.1, 5.3.2), or makes the CRL indirect (5.3.3).
    """
    revoked = True
    for found in entry.extensions:
        if found.critical:
            raise UnusableListError(
                f"an entry has the critical extension {found.oid.dotted_string}, which sipmesh does not support"
            )
        if isinstance(found.value, x509.CRLReason):
            revoked = found.value.reason is not x509.ReasonFlags.remove_from_crl
    return entry.serial_number, revoked


def _distribution_points(certificate: x509.Certificate) -> Iterator[str]:
    for point in extension(certificate, x509.CRLDistributionPoints) or ():
        if point.reasons is None and not point.crl_issuer:  # indirect and partial CRLs are refused
            yield from _point_names(point, certificate.issuer)


def _point_names(point: x509.DistributionPoint | x509.IssuingDistributionPoint, issuer: x509.Name) -> Iterator[str]:
    """Write the names of a distribution point. A relative name is completed with the issuer's name (RFC 5280 4.2.1.13)."""
    yield from (str(name.value) for name in point.full_name or ())
    if point.relative_name is not None:
        yield str(x509.Name([*issuer.rdns, point.relative_name]))


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    """RFC 5280 6.3.3 (f): if the issuer's certificate has a key usage extension, cRLSign must be set."""
    usage = extension(issuer, x509.KeyUsage)
    return usage is None or usage.crl_sign
