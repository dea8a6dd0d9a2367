"""An agent subscribes to those that may give it documents only. No network."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.distribution.event import EVENT
from sipmesh.distribution.items import ReplicationState
from sipmesh.server.replication.control_links import hops_to
from sipmesh.sip.message import Request
from sipmesh.topology.view import view
from support.control_plane import Plane
from support.giving import LIST, Giver, another_list, error
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, FE3
from support.running import on_jumping_loop


@pytest.mark.parametrize(("server", "giver", "asks"), [(FE1, MGMT, 1), (FE1, EDGE, 0), (EDGE, FE1, 1), (EDGE, FE3, 0)])
@on_jumping_loop
async def test_server_subscribes_on_links_that_may_give_documents(
    managed: Managed, server: str, giver: str, asks: int
) -> None:
    """Management gives documents to a front end, and a front end of its next hop to an edge."""
    with Plane(managed) as plane:
        assert len(Giver(plane, server, giver).asked) == asks


@on_jumping_loop
async def test_server_of_the_same_pool_is_asked_once(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        wire = plane.wire(FE1, FE2)
        plane.agents[FE1].link_up(wire.link)
        [request] = wire.taken()
        assert isinstance(request, Request)
        assert (request.method, request.expires) == ("SUBSCRIBE", 0)
        plane.agents[FE1].link_down(wire.link, "closed")


@on_jumping_loop
async def test_subscription_from_elsewhere_is_refused_as_an_unknown_event(managed: Managed) -> None:
    """RFC 6665 8.3.2; a request of another event package is not answered here."""
    with Plane(managed) as plane:
        giver = Giver(plane, FE1, EDGE)
        body = ReplicationState({}, "").encode()
        assert giver.ask(giver.here.first("SUBSCRIBE", FE1, [("event", EVENT)], body)).status == 489
        other = giver.here.first("SUBSCRIBE", FE1, [("event", "presence")])
        assert not plane.agents[FE1].requested(giver.wire.link, plane.hosts[FE1].view.trusted[EDGE], other)


def test_hop_to_a_server_is_its_published_address(managed: Managed) -> None:
    seen = view(managed.organisation.load(), FE1)
    hops = hops_to(seen, [FE1, FE2])
    assert {name: hop.addresses for name, hop in hops.items()} == {FE2: (seen.addresses[FE2],)}


@on_jumping_loop
async def test_version_and_crls_reach_the_edge_behind_a_front_end_and_their_reports_management(
    managed: Managed,
) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        plane.managed.edit(lambda document: document.update(sip_domains=["example.test", "example.org"]))
        await plane.publish()
        assert (plane.number(FE1), plane.number(EDGE)) == (2, 2)
        front_end = plane.agents[FE1]
        assert (front_end.newest, front_end.behind) == (2, 0)
        servers = {one["server"]: one["number"] for one in (await plane.ask("network"))["servers"]}
        assert (servers[FE1], servers[EDGE]) == (2, 2)


@on_jumping_loop
async def test_time_since_the_last_answer_of_management_grows_while_it_is_away(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect_all()
        agent = plane.agents[FE1]
        assert agent.unheard_s == 0
        plane.disconnect(MGMT, FE1, "the cable is out")
        await asyncio.sleep(20)
        agent.tick()
        plane.exchange()
        assert agent.unheard_s >= 20


@on_jumping_loop
async def test_changes_of_this_server_are_reported_and_passed_on(managed: Managed) -> None:
    """A new certificate is reported at once, and CRLs of this machine go to the edge."""
    with Plane(managed) as plane:
        plane.connect_all()
        agent, file = plane.agents[FE1], managed.folder(FE1) / LIST
        file.write_bytes(another_list(managed))
        agent.certificate_changed()
        agent.crls_changed(frozenset())
        plane.exchange()
        await plane.settle()
        assert (managed.folder(EDGE) / LIST).read_bytes() == file.read_bytes()


@on_jumping_loop
async def test_announced_issuing_ca_that_cannot_be_read_changes_nothing(managed: Managed) -> None:
    """It is not signed: a chain is shown only if it leads to an anchor in force."""
    with Plane(managed, FE1) as plane:
        agent = plane.agents[FE1]
        agent._follow_issuing("no certificate")
        agent._follow_issuing("")
        assert agent.held.issuing in {"", "no certificate"}
        assert error(plane) == "{}"
