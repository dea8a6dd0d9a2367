"""Lists: what they say and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from sipmesh.pki.crl import builder as crl
from sipmesh.pki.crl.builder import CrlProfile, Reason
from sipmesh.pki.files import read_key
from sipmesh.pki.issuance.profiles import BACKDATED, CertificateKind
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.ledger.records import ListRecord, Record
from sipmesh.pki.ledger.ticket import CrlTicket
from sipmesh.trust.revocation.crl import RevocationList

if TYPE_CHECKING:
    from sipmesh.pki.authority import EnterpriseCa


def record(
    serial: int,
    at: datetime,
    reason: Reason | None = Reason.UNSPECIFIED,
    issuer: CertificateKind = CertificateKind.ISSUING,
) -> Record:
    revoked_at = at if reason else None
    return Record(
        serial, issuer, CertificateKind.SERVER, ("x.test",), at, at + timedelta(days=1), b"", revoked_at, reason
    )


@pytest.mark.parametrize(
    ("reason", "flag"),
    [
        (Reason.KEY_COMPROMISE, x509.ReasonFlags.key_compromise),
        (Reason.SUPERSEDED, x509.ReasonFlags.superseded),
        (Reason.CESSATION_OF_OPERATION, x509.ReasonFlags.cessation_of_operation),
        (Reason.AFFILIATION_CHANGED, x509.ReasonFlags.affiliation_changed),
        (Reason.UNSPECIFIED, None),
    ],
)
def test_crl_entry_has_a_reason_unless_unspecified(
    ca: EnterpriseCa, noon: datetime, reason: Reason, flag: x509.ReasonFlags | None
) -> None:
    made = ListRecord(CertificateKind.ISSUING, 7, *crl.times(CertificateKind.ISSUING, noon), revoked=1)
    signer = CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key", ca.issuing)
    wish = CrlProfile(ca.issuing, made, [record(0xBAD, noon, reason)])
    (entry,) = signer.sign_list(crl.builder(wish), CrlTicket(made))
    assert entry.serial_number == 0xBAD
    assert entry.revocation_date_utc == noon
    assert [found.value.reason for found in entry.extensions if isinstance(found.value, x509.CRLReason)] == (
        [flag] if flag else []
    )


def test_a_crl_has_a_number_and_names_its_issuers_key(ca: EnterpriseCa, noon: datetime) -> None:
    made = ListRecord(CertificateKind.ISSUING, 7, *crl.times(CertificateKind.ISSUING, noon), revoked=0)
    signer = CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key")
    signed = signer.sign_list(crl.builder(CrlProfile(ca.issuing, made, [])), CrlTicket(made))
    assert signed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 7
    assert signed.is_signature_valid(read_key(ca.folder / "issuing.key").public_key())
    identifier = ca.issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert (
        signed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == identifier.digest
    )


def test_a_crl_names_what_its_own_ca_revoked(noon: datetime) -> None:
    records = [record(1, noon), record(2, noon, None), record(3, noon, issuer=CertificateKind.ROOT)]
    assert [found.serial for found in crl.listed(records, CertificateKind.ISSUING, noon)] == [1]


@pytest.mark.parametrize(("kind", "days"), [(CertificateKind.ISSUING, 7), (CertificateKind.ROOT, 365)])
def test_times_are_whole_seconds_and_begin_a_little_earlier(noon: datetime, kind: CertificateKind, days: int) -> None:
    begin, end = crl.times(kind, noon.replace(microsecond=999_999))
    assert (begin, end) == (noon - timedelta(minutes=5), noon + timedelta(days=days))


def test_crl_signed_by_a_clock_ahead_is_made_again(ca: EnterpriseCa, noon: datetime) -> None:
    """Its thisUpdate is in the future, so peers refuse it. The next CRL has a higher number and the right time."""
    ahead = noon + timedelta(days=40)
    ca.crls.publish(ahead)
    assert ca.crls.signed_last == ahead
    assert ca.crls.due(noon) == (CertificateKind.ISSUING,)
    ca.crls.reissue(noon)
    held = RevocationList.load((ca.folder / "issuing.crl").read_bytes())
    assert (held.number, held.this_update) == (3, noon - BACKDATED)
    assert ca.crls.due(noon) == ()
