"""One signature a ticket."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import LocalError
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.records import ListRecord
from sipmesh.pki.ledger.ticket import CrlTicket, Ticket

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_ticket_allows_one_signature() -> None:
    ticket = Ticket(0xABC, CertificateKind.ISSUING)
    assert repr(ticket) == "<Ticket abc unspent>"
    assert ticket.spend() == 0xABC
    assert repr(ticket) == "<Ticket abc spent>"
    with pytest.raises(LocalError, match="spent"):
        ticket.spend()


def test_ticket_for_a_crl_allows_one_signature_of_its_ca() -> None:
    record = ListRecord("root", 12, NOON, NOON, 0)
    ticket = CrlTicket(record)
    assert (ticket.issuer, ticket.number, ticket.record) == (CertificateKind.ROOT, 12, record)
    assert ticket.spend() == 12
    with pytest.raises(LocalError, match="the ticket for CRL c is spent"):
        ticket.spend()
