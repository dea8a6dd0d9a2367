"""Which CRLs are due, and what is published."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issued import Issued
from sipmesh.trust.role import Role
from support.crls import published

NAMES = ("fe1.example.test", "pool1.example.test", "example.test")


def test_crl_numbers_increase_after_reopening(ca: EnterpriseCa, noon: datetime) -> None:
    numbers = []
    for _ in range(3):
        EnterpriseCa.open(ca.folder).crls.publish(noon)
        numbers.append(published(ca).number)
    assert numbers == [2, 3, 4]


@pytest.mark.parametrize(("kind", "days", "due"), [(CertificateKind.ISSUING, 7, 1), (CertificateKind.ROOT, 365, 30)])
def test_a_crl_lasts_for_its_time_and_the_next_is_due_long_before_its_end(
    ca: EnterpriseCa, noon: datetime, kind: CertificateKind, days: int, due: int
) -> None:
    assert published(ca, kind).next_update == noon + timedelta(days=days)
    assert kind not in ca.crls.due(noon + timedelta(days=due, minutes=-10))
    assert kind in ca.crls.due(noon + timedelta(days=due))


def test_crl_of_an_offline_root_is_due_at_half_of_its_lifetime(ca: EnterpriseCa, noon: datetime) -> None:
    """And the issuing CA's list does not wait for it."""
    (ca.folder / "root.key").rename(ca.folder / "root.key.away")
    half = noon + timedelta(days=365) / 2
    assert CertificateKind.ROOT not in ca.crls.due(half - timedelta(minutes=10))
    assert ca.crls.reissue(noon + timedelta(days=31)) == (ca.folder / "issuing.crl",)
    with pytest.raises(OperatorError):
        ca.crls.reissue(half)
    assert published(ca).this_update > half - timedelta(minutes=10)


def test_reissue_makes_only_the_crls_that_are_due(ca: EnterpriseCa, noon: datetime) -> None:
    later = noon + timedelta(days=4)
    assert ca.crls.reissue(later) == (ca.folder / "issuing.crl",)
    assert published(ca).next_update == later + timedelta(days=7)
    assert ca.crls.reissue(later) == ()


def test_an_expired_entry_stays_for_the_lifetime_of_one_crl(ca: EnterpriseCa, noon: datetime) -> None:
    """RFC 5280 3.3: it must appear on one list issued after it has expired."""
    issued = ca.issue(NAMES, Role.FRONT_END, noon, timedelta(days=1))
    ca.revoke(issued.certificate.serial_number, Reason.SUPERSEDED, noon)
    ca.crls.publish(noon + timedelta(days=7, hours=23))
    assert len(published(ca).serials) == 1
    ca.crls.publish(noon + timedelta(days=8))
    assert len(published(ca).serials) == 0


def test_a_revocation_that_was_noted_but_not_published_is_due_at_once(
    ca: EnterpriseCa, issued: Issued, noon: datetime
) -> None:
    """What a crash between ledger and list leaves behind."""
    ca._ledger.revoke(issued.certificate.serial_number, Reason.SUPERSEDED, noon)
    again = EnterpriseCa.open(ca.folder)
    assert again.crls.due(noon) == (CertificateKind.ISSUING,)
    again.crls.reissue(noon)
    assert published(again).serials == {issued.certificate.serial_number}


@pytest.mark.parametrize("spoil", ["missing", "broken", "older"])
def test_a_published_crl_that_is_not_the_last_is_due_at_once(ca: EnterpriseCa, noon: datetime, spoil: str) -> None:
    file = ca.folder / "issuing.crl"
    older = file.read_bytes()
    ca.crls.publish(noon)
    assert ca.crls.due(noon) == ()
    if spoil == "missing":
        file.unlink()
    else:
        file.write_bytes(older if spoil == "older" else b"")
    assert ca.crls.due(noon) == (CertificateKind.ISSUING,)
