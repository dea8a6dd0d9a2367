"""The facts by which each role routes, from a topology with two organisations."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.routing.identity.home_rule import unknown
from sipmesh.routing.identity.route_set import Names
from sipmesh.routing.identity.sender import named_side
from sipmesh.routing.registrar.gruu import Gruus, pool_hash
from sipmesh.server.in_force.roles import applications, edge_facts, facts_of, front_end_facts, names_of, peers_of
from sipmesh.topology.view import ServerView, view
from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EDGE, EDGES, EXAMPLE, FE1, FE2, FE3, FE4, PARTNER, PARTNER_EDGES, POOL, POOL2, Network

GRUUS = Gruus(b"key of the pool", POOL)


def seen_from(federation: Network, server: str) -> ServerView:
    """Return the view of *server*; nothing runs."""
    return view(federation.of(server).load(), server)


def test_front_end_routes_by_its_domains_its_edges_and_its_applications(federation: Network) -> None:
    facts = front_end_facts(seen_from(federation, FE1), 7, GRUUS, unknown)
    assert facts.domains == {EXAMPLE}
    assert facts.pool == POOL
    assert facts.entrances == {POOL}
    assert tuple(facts.route) == (EDGE,)
    assert facts.partner_domains == {PARTNER}
    assert facts.blocked == {"evil.test"}
    assert facts.applications == {BOT: (BOT,)}
    assert (facts.incarnation, facts.gruus) == (7, GRUUS)


def test_front_end_finds_the_other_pools_by_their_temporary_gruus(two_pools: Network) -> None:
    facts = front_end_facts(seen_from(two_pools, FE1), 7, GRUUS, unknown)
    assert facts.pools == {pool_hash(POOL2): POOL2}
    assert {name: tuple(choice) for name, choice in facts.homes.items()} == {POOL2: (FE3, FE4)}


def test_front_end_without_federation_has_no_route_to_partners(home: Network) -> None:
    facts = front_end_facts(seen_from(home, FE1), 7, GRUUS, unknown)
    assert (tuple(facts.route), facts.partner_domains, facts.blocked) == ((), frozenset(), frozenset())


def test_edge_routes_inwards_to_its_pool_and_outwards_to_partners_by_name(federation: Network) -> None:
    facts = edge_facts(seen_from(federation, EDGE), 7)
    assert tuple(facts.next_hop) == (FE1, FE2)
    assert facts.partners == {PARTNER: PARTNER_EDGES}
    assert facts.domains == {EXAMPLE}
    assert facts.blocked == {"evil.test"}


def test_front_end_knows_no_partner_as_the_side_of_a_dialog(federation: Network) -> None:
    """Only edges have links to partners."""
    inside = {named_side(name) for name in (POOL, EDGES, BOT)}
    assert set(peers_of(seen_from(federation, FE1))) == inside
    assert set(peers_of(seen_from(federation, EDGE))) == inside | {named_side(PARTNER_EDGES)}


def test_side_of_our_own_pool_is_our_pool_mates_and_never_ourselves(federation: Network) -> None:
    """A request that goes to our own pool and comes back to us would loop."""
    assert peers_of(seen_from(federation, FE1))[named_side(POOL)][:2] == ((FE2,), LinkKind.SERVER)
    assert peers_of(seen_from(federation, EDGE))[named_side(POOL)][:2] == ((FE1, FE2), LinkKind.SERVER)
    partner = peers_of(seen_from(federation, EDGE))[named_side(PARTNER_EDGES)]
    assert partner[:2] == ((PARTNER_EDGES,), LinkKind.PARTNER)


def test_partner_without_an_edge_is_reached_by_each_of_its_domains(federation: Network) -> None:
    """Rule R9: the name that is judged is the requested domain, never a name from DNS."""
    example = federation.of(FE1)
    entry = federation.of("x." + PARTNER).as_partner()
    example.federate(EDGES, [{**entry, "domains": [PARTNER, "second.test"]}])
    example.write()
    seen = seen_from(federation, EDGE)
    assert edge_facts(seen, 7).partners == {PARTNER: PARTNER, "second.test": "second.test"}
    assert peers_of(seen)[named_side(PARTNER)][:2] == ((PARTNER, "second.test"), LinkKind.PARTNER)


def test_applications_of_another_front_end_pool_are_not_ours(federation: Network) -> None:
    seen = seen_from(federation, FE1)
    assert applications(seen) == {BOT: (BOT,)}
    assert applications(seen_from(federation, EDGE)) == {}


@pytest.mark.parametrize(("server", "kinds"), [(FE1, ("client", "server")), (EDGE, ("server", "partner"))])
def test_names_are_those_of_the_certificate_and_the_addresses_of_the_ports(
    federation: Network, server: str, kinds: tuple[str, ...]
) -> None:
    names: Names = names_of(seen_from(federation, server))
    ports = {federation.of(server).ports[server][LinkKind(kind)] for kind in kinds}
    assert {server, EXAMPLE} <= names.hosts
    assert {port for _, port in names.addresses} == ports


def test_application_role_is_refused(federation: Network) -> None:
    with pytest.raises(OperatorError, match="application"):
        facts_of(seen_from(federation, BOT), 7, GRUUS, unknown)
    for server in (FE1, EDGE):
        assert facts_of(seen_from(federation, server), 7, GRUUS, unknown)
