"""One signature a ticket."""

from __future__ import annotations

import pytest

from sipmesh.errors import LocalError
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.ticket import Ticket


def test_ticket_allows_one_signature() -> None:
    ticket = Ticket(0xABC, CertificateKind.ISSUING)
    assert repr(ticket) == "<Ticket abc unspent>"
    assert ticket.spend() == 0xABC
    assert repr(ticket) == "<Ticket abc spent>"
    with pytest.raises(LocalError, match="spent"):
        ticket.spend()
