"""The way of a request through the topology, link by link."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.hops import LinkHop, PartyKind, hops
from sipmesh.topology.document.model import Topology
from topology.world import Place


@pytest.fixture(name="topology")
def _topology(place: Place) -> Topology:
    return place.load().topology


def way(topology: Topology, start: str, end: str, *, as_partner: bool = False) -> list[str]:
    return [told(hop) for hop in hops(topology, start, end, as_partner=as_partner)]


def told(hop: LinkHop) -> str:
    return f"{hop.opener.name.partition('.example')[0]} {hop.kind} {hop.target.name.partition('.example')[0]}"


@pytest.mark.parametrize(
    ("start", "end", "links"),
    [
        ("fe1", "FE3.example.test", ["fe1 server fe3"]),
        ("fe3", "pool1.example.test", ["fe3 server fe1"]),
        ("fe1", "second.test", ["fe1 server edge1", "edge1 partner second.test"]),
        ("edge1", "partner.test", ["edge1 partner sip.partner.test"]),
        ("bot", "partner.test", ["bot server fe1", "fe1 server edge1", "edge1 partner sip.partner.test"]),
        ("partner.test", "example.test", ["sip.partner.test partner edge1", "edge1 server fe1"]),
        ("sip.partner.test", "edge1", ["sip.partner.test partner edge1"]),
        ("partner.test", "bot", ["sip.partner.test server bot"]),
        ("phone", "example.test", ["phone client fe1"]),
        ("evil.test", "fe2", ["evil.test server fe2"]),
    ],
)
def test_way_has_a_link_for_each_border(topology: Topology, start: str, end: str, links: list[str]) -> None:
    assert way(topology, start, end) == links


def test_way_leads_through_the_servers_of_the_own_site(place: Place) -> None:
    place.spoil(
        ("sip_domains:", "sites: [berlin, paris]\nsip_domains:"),
        ("  - name: pool1.example.test\n", "  - name: pool1.example.test\n    site: paris\n"),
        ("{name: fe2.example.test,", "{name: fe2.example.test, site: berlin,"),
        ("servers: [fe3.example.test]", "site: berlin\n    servers: [fe3.example.test]"),
        ("servers: [edge1.example.test]", "site: berlin\n    servers: [edge1.example.test]"),
    )
    topology = place.load().topology
    assert way(topology, "fe3", "pool1.example.test") == ["fe3 server fe2"]
    assert way(topology, "partner.test", "example.test")[1] == "edge1 server fe2"
    assert way(topology, "phone", "example.test") == ["phone client fe1"]


def test_stranger_may_come_as_a_partner(topology: Topology) -> None:
    assert way(topology, "evil.test", "example.test", as_partner=True) == ["evil.test partner edge1"]
    [hop] = hops(topology, "fe1", "edge1", as_partner=True)
    assert (hop.opener.kind, hop.target.kind) == (PartyKind.STRANGER, PartyKind.SERVER)


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        ("fe1", "fe9.example.test", r"did you mean 'fe\d\.example\.test'"),
        ("phone", "edge1", "phones connect to front ends only"),
        ("evil.test", "nowhere", "name a server"),
    ],
)
def test_way_to_nowhere_is_refused(topology: Topology, start: str, end: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        hops(topology, start, end)


def test_partner_needs_an_edge_of_ours(topology: Topology) -> None:
    without = topology.model_copy(update={"federation": topology.federation.model_copy(update={"route": None})})
    with pytest.raises(OperatorError, match="sipmesh topology add pool --role edge"):
        hops(without, "fe1", "partner.test")
