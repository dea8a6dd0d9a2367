"""The content of the CRLs of our CAs. The CRLs are complete, numbered, and valid for a known time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.pki.issuance.profiles import BACKDATED, CertificateKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sipmesh.pki.ledger.records import ListRecord, Record

_WEEK, _DAY = timedelta(days=7), timedelta(days=1)
LIFETIME = {
    CertificateKind.ISSUING: _WEEK,
    CertificateKind.DEVICES: _WEEK,
    CertificateKind.ROOT: timedelta(days=365),
}
REISSUED_AFTER = {
    CertificateKind.ISSUING: _DAY,
    CertificateKind.DEVICES: _DAY,
    CertificateKind.ROOT: timedelta(days=30),
}
"""The age at which a running CA makes a new CRL. So a CRL is always valid for long, and an old CRL shows that the CA is down."""


class Reason(StrEnum):
    """The reasons for a revocation (RFC 5280 5.3.1) that an operator may give."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key-compromise"
    AFFILIATION_CHANGED = "affiliation-changed"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessation-of-operation"


_FLAGS = {
    Reason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    Reason.AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    Reason.SUPERSEDED: x509.ReasonFlags.superseded,
    Reason.CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
}
"""RFC 5280 5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0)"."""


def reason_flag(reason: str | None) -> x509.ReasonFlags | None:
    """Give the reason of a revocation as a CRL entry and an OCSP response have it; None for an unspecified reason."""
    return next((flag for known, flag in _FLAGS.items() if known == reason), None)


def times(kind: CertificateKind, at: datetime) -> tuple[datetime, datetime]:
    """Give this_update and next_update of a CRL made at the instant *at*, in whole seconds as X.509 requires."""
    begin = at.replace(microsecond=0)
    return begin - BACKDATED, begin + LIFETIME[kind]


def due_from(made: ListRecord, *, key_is_here: bool) -> datetime:
    """Give the instant from which a new CRL is due. It is early, so that a CRL is valid while the CA is down.

    If the key is kept elsewhere, the instant is half of the lifetime, because a person has to fetch the CRL.
    """
    half = made.this_update + (made.next_update - made.this_update) / 2
    return min(half, made.this_update + REISSUED_AFTER[CertificateKind(made.issuer)]) if key_is_here else half


def listed(records: Iterable[Record], issuer: CertificateKind, at: datetime) -> list[Record]:
    """Give the certificates that a CRL of *issuer* must contain at the instant *at*.

    RFC 5280 3.3: "An entry MUST NOT be removed from the CRL until it appears on one regularly scheduled CRL issued
    beyond the revoked certificate's validity period". So an entry stays for one CRL lifetime after the expiry. A record
    without a certificate stays: its dates may be wrong.
    """
    revoked = (r for r in records if r.issuer == issuer and r.revoked_at)
    return [r for r in revoked if r.der is None or r.not_after + LIFETIME[issuer] > at]


@dataclass(frozen=True, slots=True)
class CrlProfile:
    """The content of one CRL of *issuer*, with its number in the ledger.

    *revoked* are certificates in the ledger, *kept* are entries of the CRL before it (`earlier`).
    """

    issuer: x509.Certificate
    record: ListRecord
    revoked: Sequence[Record]
    kept: Sequence[x509.RevokedCertificate] = ()

    @property
    def serials(self) -> frozenset[int]:
        """The serial numbers that it lists."""
        return frozenset(record.serial for record in self.revoked) | {entry.serial_number for entry in self.kept}


def builder(wish: CrlProfile) -> x509.CertificateRevocationListBuilder:
    """Give the CRL without number and signature."""
    # All entries at once: `add_revoked_certificate` copies those before it, a minute for 100,000 entries.
    return (
        x509.CertificateRevocationListBuilder(revoked_certificates=[*map(_entry, wish.revoked), *wish.kept])
        .issuer_name(wish.issuer.subject)
        .last_update(wish.record.this_update)
        .next_update(wish.record.next_update)
        .add_extension(_authority_key(wish.issuer), critical=False)
    )


def _authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _entry(record: Record) -> x509.RevokedCertificate:
    begun = x509.RevokedCertificateBuilder().serial_number(record.serial)
    if record.revoked_at:
        begun = begun.revocation_date(record.revoked_at.replace(microsecond=0))
    # A reason that is none of ours was changed in the ledger: the certificate stays revoked.
    flag = reason_flag(record.reason)
    return begun.add_extension(x509.CRLReason(flag), critical=False).build() if flag else begun.build()
