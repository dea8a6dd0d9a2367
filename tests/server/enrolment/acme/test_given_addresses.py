"""Where a challenge leads: as the topology says, or else as DNS says, but never to this machine or another of our servers."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from sipmesh.routing.proxy.locate import DnsQuestion, RecordKind
from sipmesh.server.enrolment.acme.given_addresses import GivenAddresses, addresses_of
from sipmesh.server.enrolment.enrollable import Enrollable
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.transport.resolver import NoResolver, Resolver
from sipmesh.trust.authority import Authority
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import Role
from sipmesh.trust.trusted_peer import TrustedPeer
from support.enrolling import BOT

OTHER = "10.0.0.9"
NAMES = frozenset({BOT})
PEER = TrustedPeer(BOT, Role.APPLICATION, None, NAMES, NAMES, frozenset(), Authority("ours", (), RevocationLists([])))


def found(resolver: Resolver, *addresses: str) -> tuple[str, ...]:
    """Where a server is to which the topology gives *addresses*."""
    entry = Enrollable(BOT, Role.APPLICATION, (BOT,), addresses, PEER)
    return asyncio.run(addresses_of(entry, resolver, {ip_address(OTHER)})).addresses


def test_address_of_the_topology_counts_and_dns_is_not_asked() -> None:
    assert found(NoResolver(), "127.0.0.1") == ("127.0.0.1",)
    for resolver in (NoResolver(), GivenAddresses(())):
        with pytest.raises(AcmeProblemError, match="no address of"):
            found(resolver)


@pytest.mark.parametrize("address", [OTHER, "127.0.0.1", "::1", "169.254.1.1", "::ffff:127.0.0.1", "fd00:ec2::254"])
def test_dns_leads_to_no_other_server_and_not_to_this_machine(address: str) -> None:
    assert found(GivenAddresses(("10.0.0.8", "fd00::8", "9.9.9.9"))) == ("10.0.0.8", "9.9.9.9", "fd00::8")
    with pytest.raises(AcmeProblemError, match="write the address of the server into the topology") as refused:
        found(GivenAddresses(("10.0.0.8", address)))
    assert refused.value.kind == "dns"


def test_addresses_are_given_by_family_and_are_reachable() -> None:
    given = GivenAddresses(("10.0.0.8", "fd00::8"))
    assert asyncio.run(given.ask(DnsQuestion(BOT, RecordKind.A))) == ["10.0.0.8"]
    assert asyncio.run(given.ask(DnsQuestion(BOT, RecordKind.AAAA))) == ["fd00::8"]
    assert [given.reachable().refused(BOT, one, bool) for one in given.addresses] == ["", ""]
