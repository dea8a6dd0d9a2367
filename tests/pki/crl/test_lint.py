"""The lint of CRLs: a CRL that differs from its profile in one property is refused for that property."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from sipmesh.pki.crl import builder as crl
from sipmesh.pki.crl.builder import CrlProfile
from sipmesh.pki.crl.lint import check_signed_crl, lint_crl
from sipmesh.pki.files import read_key
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issuance.signer import draft_list
from sipmesh.pki.keys.algorithm import KeyAlgorithm, digest
from sipmesh.pki.ledger.records import ListRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sipmesh.pki.authority import EnterpriseCa

BAD = 0xBAD


def entry(serial: int, at: datetime, *extensions: tuple[x509.ExtensionType, bool]) -> x509.RevokedCertificate:
    begun = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
    for extension, critical in extensions:
        begun = begun.add_extension(extension, critical=critical)
    return begun.build()


@pytest.fixture(name="wish")
def _wish(ca: EnterpriseCa, noon: datetime) -> CrlProfile:
    made = ListRecord(CertificateKind.ISSUING, 7, *crl.times(CertificateKind.ISSUING, noon), revoked=1)
    return CrlProfile(ca.issuing, made, (), (entry(BAD, noon),))


def drafted(wish: CrlProfile) -> x509.CertificateRevocationList:
    return draft_list(crl.builder(wish), wish.record.number, KeyAlgorithm.P_256)


def test_the_profile_passes(wish: CrlProfile) -> None:
    assert lint_crl(drafted(wish), wish) == []


@pytest.mark.parametrize(
    ("extensions", "fault"),
    [
        ([(x509.CRLReason(x509.ReasonFlags.remove_from_crl), False)], "no reason"),
        ([(x509.CRLReason(x509.ReasonFlags.unspecified), False)], "no reason"),
        ([(x509.CRLReason(x509.ReasonFlags.superseded), True)], "is critical"),
        ([(x509.CertificateIssuer([x509.DNSName("other.test")]), False)], "no reason"),
    ],
)
def test_entry_has_a_reason_or_nothing(
    wish: CrlProfile, noon: datetime, extensions: list[tuple[x509.ExtensionType, bool]], fault: str
) -> None:
    (told,) = lint_crl(drafted(changed := replace(wish, kept=(entry(BAD, noon, *extensions),))), changed)
    assert fault in told


@pytest.mark.parametrize(
    ("serials", "fault"),
    [
        ((), "serial bad is missing"),
        ((BAD, BAD), "twice"),
        ((BAD, 0xF00D), "serial f00d is not revoked"),
    ],
)
def test_each_revoked_certificate_is_listed_once_and_no_other(
    wish: CrlProfile, noon: datetime, serials: tuple[int, ...], fault: str
) -> None:
    (told,) = lint_crl(drafted(replace(wish, kept=tuple(entry(serial, noon) for serial in serials))), wish)
    assert fault in told


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda record: replace(record, number=8), "its number is not that in the ledger"),
        (lambda record: replace(record, next_update=record.next_update + timedelta(1)), "times are not those"),
    ],
)
def test_number_and_times_are_those_of_the_ledger(
    wish: CrlProfile, change: Callable[[ListRecord], ListRecord], fault: str
) -> None:
    (told,) = lint_crl(drafted(replace(wish, record=change(wish.record))), wish)
    assert fault in told


def test_crl_that_ends_late_is_refused(wish: CrlProfile) -> None:
    begin = wish.record.this_update
    late = replace(wish, record=replace(wish.record, next_update=begin + timedelta(days=10, seconds=1)))
    last = replace(wish, record=replace(wish.record, next_update=begin + timedelta(days=10)))
    assert lint_crl(drafted(late), late) == ["it is valid for 10 days, 0:00:01"]
    assert lint_crl(drafted(last), last) == []


def test_crl_of_another_ca_is_refused(wish: CrlProfile, ca: EnterpriseCa) -> None:
    told = lint_crl(drafted(replace(wish, issuer=ca.root)), wish)
    assert told == [
        "its issuer is another",
        "its authority key identifier is not its issuer's subject key identifier",
    ]


def test_server_may_not_sign_crls(wish: CrlProfile, ca: EnterpriseCa, noon: datetime) -> None:
    leaf = ca.issue_signer("mg1.example.test", noon).certificate
    wrong = replace(wish, issuer=leaf)
    assert lint_crl(drafted(wrong), wrong) == ["its issuer may not sign CRLs"]


def test_extension_of_a_delta_crl_is_refused(wish: CrlProfile) -> None:
    begun = crl.builder(wish).add_extension(x509.DeltaCRLIndicator(3), critical=True)
    told = lint_crl(draft_list(begun, 7, KeyAlgorithm.P_256), wish)
    assert told == ["extension 2.5.29.27 is not of the profile", "an extension is critical"]


def test_signed_crl_must_be_the_draft_signed_by_the_ca(wish: CrlProfile, ca: EnterpriseCa) -> None:
    key = read_key(ca.folder / "issuing.key")
    signed = crl.builder(wish).add_extension(x509.CRLNumber(7), critical=False).sign(key, digest(key))
    other = drafted(replace(wish, kept=()))
    assert check_signed_crl(signed, drafted(wish), ca.issuing) == []
    assert check_signed_crl(signed, other, ca.issuing) == ["the signed CRL differs from the draft"]
    assert check_signed_crl(drafted(wish), drafted(wish), ca.issuing) == [
        "the signature is not that of CN=Example Issuing CA,O=Example"
    ]
