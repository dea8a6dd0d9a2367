"""The signer: no ticket, no signature."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.errors import LocalError, OperatorError
from sipmesh.pki.files import new_key
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.ledger.records import ListRecord
from sipmesh.pki.ledger.ticket import CrlTicket, Ticket

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.pki.authority import EnterpriseCa


@pytest.fixture(name="builder")
def _builder(ca: EnterpriseCa, noon: datetime) -> x509.CertificateBuilder:
    key = new_key().public_key()
    wish = CertificateProfile(
        CertificateKind.SERVER,
        profiles.server_name("Example", "x.test"),
        ("x.test",),
        key,
        noon,
        noon,
        "http://x.test/",
    )
    return profiles.builder(wish, ca.issuing.subject, key)


def test_ticket_allows_one_certificate_with_its_serial(ca: EnterpriseCa, builder: x509.CertificateBuilder) -> None:
    signer, ticket = (
        CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key", ca.issuing),
        Ticket(77, CertificateKind.ISSUING),
    )
    assert signer.sign(builder, ticket).serial_number == 77
    with pytest.raises(LocalError, match="spent"):
        signer.sign(builder, ticket)


def test_ticket_of_the_other_ca_is_refused(ca: EnterpriseCa, builder: x509.CertificateBuilder) -> None:
    ticket = Ticket(77, CertificateKind.ROOT)
    with pytest.raises(LocalError, match="for the root CA"):
        CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key", ca.issuing).sign(builder, ticket)
    assert "unspent" in repr(ticket)


def test_crl_is_signed_by_the_key_of_the_ca(ca: EnterpriseCa, noon: datetime) -> None:
    signer = CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key", ca.issuing)
    builder = x509.CertificateRevocationListBuilder(ca.issuing.subject, noon, noon + timedelta(days=1))
    ticket = CrlTicket(ListRecord(CertificateKind.ISSUING, 77, noon, noon, 0))
    signed = signer.sign_list(builder, ticket)
    assert signed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 77
    assert signed.is_signature_valid(new_key().public_key()) is False
    key = ca.issuing.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert signed.is_signature_valid(key)
    with pytest.raises(LocalError, match="ticket for CRL 4d is spent"):
        signer.sign_list(builder, ticket)


def test_ticket_for_a_crl_of_the_root_is_refused(ca: EnterpriseCa, noon: datetime) -> None:
    builder = x509.CertificateRevocationListBuilder(ca.issuing.subject, noon, noon + timedelta(days=1))
    ticket = CrlTicket(ListRecord(CertificateKind.ROOT, 77, noon, noon, 0))
    with pytest.raises(LocalError, match="for the root CA"):
        CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key", ca.issuing).sign_list(builder, ticket)


def test_key_of_another_certificate_signs_nothing(ca: EnterpriseCa, builder: x509.CertificateBuilder) -> None:
    other = CaSigner(CertificateKind.ISSUING, ca.folder / "root.key", ca.issuing)
    ticket = Ticket(77, CertificateKind.ISSUING)
    with pytest.raises(OperatorError, match="is not the key of the issuing certificate"):
        other.sign(builder, ticket)
    assert "unspent" in repr(ticket)
