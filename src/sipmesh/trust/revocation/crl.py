"""One CRL (RFC 5280 section 5) as a set of serial numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.foreign_errors import reason_of
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.revocation.crl_decoding import (
    UnusableListError,
    der_of,
    is_of_version_2,
    read_entry,
    read_extensions,
)
from sipmesh.trust.revocation.crl_scope import WHOLE, Scope
from sipmesh.trust.revocation.crl_signature import ListSignature
from sipmesh.trust.x509.certificate import UNREADABLE, WEAK_HASHES, extension

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

KNOWN_KEYS_KEPT = 8  # keys for which a CRL keeps the result of its signature check; a rollover has two


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
    scope: Scope = WHOLE
    signature: ListSignature | None = field(default=None, repr=False)
    base: int | None = None
    restored: frozenset[int] = frozenset()
    in_force: str = field(init=False, repr=False)  # the text of a passed finding, written once
    _known: list[tuple[CertificatePublicKeyTypes, bool]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.in_force = f"CRL {self.number} is in force until {tell_time(self.next_update)}"

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
            der = der_of(data)
            loaded = cls._read(x509.load_der_x509_crl(der), der)
        except (TypeError, IndexError, *UNREADABLE) as wrong:  # TypeError: an extension refuses a value it has parsed
            raise UnusableListError(f"not a readable CRL: {reason_of(wrong)}") from None
        if issuers and not any(loaded.signed_by(issuer) for issuer in issuers):
            raise UnusableListError("the CRL is not signed by its issuer")
        return loaded

    @classmethod
    def _read(cls, crl: x509.CertificateRevocationList, der: bytes) -> RevocationList:
        if not is_of_version_2(der):
            raise UnusableListError("the CRL is not of version 2 (RFC 5280 5.1.2.1)")
        if crl.next_update_utc is None:
            raise UnusableListError("the CRL has no nextUpdate (RFC 5280 5.1.2.5)")
        if isinstance(hashed := crl.signature_hash_algorithm, WEAK_HASHES):
            raise UnusableListError(f"the CRL is signed over {hashed.name}")
        number, base, scope = read_extensions(crl)
        serials: set[int] = set()  # integers only, which the garbage collector does not have to walk
        restored: set[int] = set()
        for entry in crl:
            serial, revoked = read_entry(entry)
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


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    """RFC 5280 6.3.3 (f): if the issuer's certificate has a key usage extension, cRLSign must be set."""
    usage = extension(issuer, x509.KeyUsage)
    return usage is None or usage.crl_sign
