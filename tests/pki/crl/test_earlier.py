"""What the last CRL lists stays revoked, for any content of the ledger."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from sqlite3 import connect

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.crl.earlier import EarlierCrl
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issued import Issued
from sipmesh.pki.ledger.ledger import FILE
from support.crls import published


def write(ca: EnterpriseCa, statement: str) -> None:
    """Change the ledger as who can write to it."""
    with closing(connect(ca.folder / FILE)) as db, db:
        db.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE certificates SET revoked_at = NULL, reason = NULL",
        "UPDATE certificates SET not_after = '2020-01-01T00:00:00+00:00'",
        "UPDATE certificates SET der = NULL, revoked_at = NULL",
        "UPDATE certificates SET der = x'30', revoked_at = NULL",
        "UPDATE certificates SET revoked_at = NULL, der = (SELECT der FROM certificates LIMIT 1)",
        "UPDATE certificates SET reason = 'no reason of ours'",
        "DELETE FROM certificates WHERE issuer = 'issuing'",
    ],
)
def test_revocation_is_not_undone_by_the_ledger(
    ca: EnterpriseCa, issued: Issued, noon: datetime, statement: str
) -> None:
    serial = issued.certificate.serial_number
    ca.revoke(serial, Reason.KEY_COMPROMISE, noon)
    [entry] = published(ca).serials
    write(ca, statement)
    for later in (timedelta(days=1), timedelta(days=2)):
        ca.crls.publish(noon + later)
        assert published(ca).serials == {entry}


def test_entry_ends_with_its_certificate(ca: EnterpriseCa, issued: Issued, noon: datetime) -> None:
    ca.revoke(issued.certificate.serial_number, Reason.KEY_COMPROMISE, noon)
    write(ca, "UPDATE certificates SET revoked_at = NULL")
    last = issued.certificate.not_valid_after_utc + timedelta(days=7)
    ca.crls.publish(last - timedelta(seconds=1))
    assert len(published(ca).serials) == 1
    ca.crls.publish(last)
    assert not published(ca).serials


def test_number_follows_that_of_the_last_crl(ca: EnterpriseCa, noon: datetime) -> None:
    ca.crls.publish(noon)
    ca.crls.publish(noon)
    write(ca, "DELETE FROM lists")
    ca.crls.publish(noon)
    assert published(ca).number == 4


def test_crl_of_another_ca_or_none_keeps_nothing(ca: EnterpriseCa, issued: Issued, noon: datetime) -> None:
    ca.revoke(issued.certificate.serial_number, Reason.KEY_COMPROMISE, noon)
    file = ca.folder / "issuing.crl"
    assert EarlierCrl(file, ca.issuing, CertificateKind.ISSUING).lists(issued.certificate.serial_number)
    other = EarlierCrl(file, ca.root, CertificateKind.ROOT)
    assert (other.is_there, other.number, other.lists(1), other.to_keep((), (), noon)) == (False, 0, False, [])
    file.write_bytes(b"nothing")
    with pytest.raises(OperatorError, match="it is not known which certificates are revoked"):
        ca.crls.in_force()
