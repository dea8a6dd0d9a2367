"""A CRL of our CA that has expired is the fault of the CA, and one of a partner's CA is the fault of the partner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.lapsed_crls import lapsed_crls
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.trust.code import Code
from sipmesh.trust.role import Role
from support.crls import root_of_same_name
from support.network import EXAMPLE, PARTNER, copied_with_ports, federate

EIGHT_DAYS = timedelta(days=8)
"""A CRL of an issuing CA is valid for seven days."""


def test_crl_is_a_fault_from_its_end_on(example: Organisation) -> None:
    loaded, now = example.load(), datetime.now(UTC)
    assert list(lapsed_crls(loaded, Role.EDGE, now)) == []
    [fault] = lapsed_crls(loaded, Role.FRONT_END, now + EIGHT_DAYS)
    assert (fault.peer, fault.kind, fault.code) == (EXAMPLE, PeerKind.CA, Cause.CRL_EXPIRED)
    assert "has expired at" in fault.why


def test_crl_of_a_partner_is_a_fault_on_an_edge_alone(
    example: Organisation, partner_model: Organisation, tmp_path: Path
) -> None:
    """It still counts within the time of grace, a day by default."""
    federate(example, copied_with_ports(partner_model, tmp_path / "p"))
    loaded, late = example.load(), datetime.now(UTC) + EIGHT_DAYS
    of_partner = [fault for fault in lapsed_crls(loaded, Role.EDGE, late) if fault.kind is PeerKind.PARTNER]
    assert [(fault.peer, "are refused from" in fault.why) for fault in of_partner] == [(PARTNER, True)]
    assert not [fault for fault in lapsed_crls(loaded, Role.FRONT_END, late) if fault.kind is PeerKind.PARTNER]


def test_crl_that_cannot_be_used_is_a_fault(example: Organisation) -> None:
    Path(example.lists[1]).write_bytes(b"no CRL")
    [fault] = lapsed_crls(example.load(), Role.MANAGEMENT, datetime.now(UTC))
    assert (fault.kind, "a CRL cannot be used" in fault.why) == (PeerKind.CA, True)


def test_crl_that_the_roots_of_a_partner_have_not_signed_says_that_the_roots_are_wrong(
    example: Organisation, partner_model: Organisation, tmp_path: Path
) -> None:
    partner = copied_with_ports(partner_model, tmp_path / "p")
    partner.root.write_bytes(root_of_same_name(partner.root.read_bytes()))
    federate(example, partner)
    [fault] = lapsed_crls(example.load(), Role.EDGE, datetime.now(UTC))
    assert (fault.peer, fault.code) == (PARTNER, Code.UNTRUSTED_ISSUER)
