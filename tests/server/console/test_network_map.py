"""The map: where servers are drawn, which links there are, and what a draft changes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest

from sipmesh.server.console.network_map import (
    HEIGHT,
    MARGIN,
    MOST_REFUSED,
    MOST_SERVERS,
    MOST_SINGLE,
    MOST_WIDTH,
    REFUSED,
    WIDTH,
    Change,
    NetworkMap,
    State,
    network_map,
)
from sipmesh.server.management.replies import MemberReply, NetworkReply, PeerReply, ServerReply
from sipmesh.server.management.server_faults import Fault
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.topology.document.model import Topology

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MGMT, EDGE = "mgmt.example.test", "edge1.example.test"


def topology(front_ends: int = 2, **changed: Any) -> Topology:
    servers = [f"fe{n}.example.test" for n in range(1, front_ends + 1)]
    authority = {"anchors": ["root.pem"], "crls": ["root.crl"]}
    partner = {"domains": ["partner.test"], "edge": "sip.partner.test", **authority}
    document: dict[str, Any] = {
        "sipmesh": 1,
        "organisation": "Example",
        "sip_domains": ["example.test"],
        "authority": authority,
        "pools": [
            {"name": MGMT, "role": "management", "servers": [MGMT]},
            {"name": "pool1.example.test", "role": "front-end", "servers": servers},
            {"name": "sip.example.test", "role": "edge", "servers": [EDGE], "next_hop": "pool1.example.test"},
        ],
        "federation": {"route": "sip.example.test", "partners": [partner]},
    }
    return Topology.model_validate({**document, **changed})


def report(server: str, number: int | None = 1, *, pool: str = "pool1.example.test", **given: Any) -> MemberReply:
    facts = {
        "server": server,
        "number": number,
        "pool": pool,
        "faults": (),
        "linked": True,
        "why_not": "",
        "reached": True,
    }
    return MemberReply.model_validate({**facts, **given})


def network(*members: MemberReply) -> NetworkReply:
    master = ServerReply.model_validate({"server": MGMT, "number": 1, "faults": ()})
    return NetworkReply(1, NOON, master, members)


def servers_of(drawing: NetworkMap) -> dict[str, Any]:
    return {server.name: server for pool in drawing.pools for server in pool.servers}


def test_each_server_and_partner_has_a_place_of_its_own_in_the_drawing() -> None:
    drawing = network_map(topology(front_ends=30), network())
    places = [(server.x, server.y) for pool in drawing.pools for server in pool.servers]
    assert len(places) == len(set(places)) == 33
    assert all(0 < x <= drawing.width - WIDTH and 0 < y <= drawing.height - HEIGHT for x, y in places)
    boxes = [(pool.x, pool.y, pool.width, pool.height) for pool in drawing.pools]
    for pool, (x, y, width, height) in zip(drawing.pools, boxes, strict=True):
        assert all(x < s.x and s.x + WIDTH < x + width and y < s.y and s.y + HEIGHT < y + height for s in pool.servers)


@pytest.mark.parametrize("front_ends", [1, 5, 39, 180, MOST_SERVERS + 1])
@pytest.mark.parametrize("narrow", [False, True])
def test_drawing_fits_its_window_and_no_box_covers_another(front_ends: int, *, narrow: bool) -> None:
    sites = {"sites": ["berlin", "oslo"]}
    whole = topology(front_ends, **sites)
    peers = ({"peer": EDGE, "kind": "server"},)
    drawing = network_map(whole, network(report("fe1.example.test", neighbours=peers)), narrow=narrow)
    assert drawing.width <= (340 if narrow else MOST_WIDTH + MARGIN)
    for one, other in combinations(drawing.pools, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        below = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or below, (one.name, other.name)
    assert all(link.path.startswith("M") for link in drawing.links)
    assert len(drawing.links) == (front_ends < MOST_SERVERS)


def test_link_of_the_narrow_drawing_is_between_pools_and_stays_in_its_window() -> None:
    members = (
        report("fe1.example.test", neighbours=({"peer": EDGE, "kind": "server"}, {"peer": MGMT, "kind": "server"})),
    )
    drawing = network_map(topology(front_ends=30), network(*members), narrow=True)
    assert {(link.one, link.other) for link in drawing.links} == {
        (MGMT, "pool1.example.test"),
        ("pool1.example.test", "sip.example.test"),
    }
    for link in drawing.links:
        x0, _, x, *_ = (float(number) for number in re.findall(r"-?\d+", link.path))
        assert 0 <= x0 / 4 + 3 * x / 4 <= x0, "a cubic curve comes to three quarters of the way to its control points"


def test_state_of_a_server_is_that_of_its_report() -> None:
    fault = {"what": "it does not answer", "remedy": ""}
    members = (report("fe1.example.test"), report("fe2.example.test", 0), report("fe3.example.test", faults=(fault,)))
    found = servers_of(network_map(topology(front_ends=4), network(*members)))
    states = [found[f"fe{n}.example.test"].state for n in range(1, 5)]
    assert states == [State.GOOD, State.BEHIND, State.BAD, State.UNKNOWN]
    assert "it does not answer" in found["fe3.example.test"].about


def test_partner_is_good_with_a_link_bad_with_a_fault_and_unknown_without_a_link() -> None:
    """The control without one is good if a server has a link to it; without a link its state is unknown."""
    fault = Fault("no link to it works: name-mismatch", "correct its entry")
    linked = report(EDGE, pool="sip.example.test", neighbours=({"peer": "partner.test", "kind": "partner"},))
    for members, faults, state, about in (
        ((linked,), (fault,), State.BAD, [fault.what]),
        ((linked,), (), State.GOOD, []),
        ((), (), State.UNKNOWN, ["no link now"]),
        ((), (fault,), State.BAD, ["no link now", fault.what]),
    ):
        status = replace(network(*members), peers=(PeerReply("partner.test", PeerKind.PARTNER, faults),))
        partner = servers_of(network_map(topology(), status))["partner.test"]
        assert (partner.state, partner.about[2:]) == (state, about)


def test_place_of_a_server_names_its_site() -> None:
    placed = topology(sites=["berlin"])
    pools = [pool.model_copy(update={"site": "berlin"} if pool.name == MGMT else {}) for pool in placed.pools]
    found = servers_of(network_map(placed.model_copy(update={"pools": tuple(pools)}), network()))
    assert found[MGMT].about[:2] == [MGMT, "site berlin"]
    assert "site" not in " ".join(found[EDGE].about)


def at_sites(**sites: str) -> Topology:
    """The topology, with the pools of these roles at these sites; ``_`` stands for the hyphen of a role."""
    placed = topology(sites=sorted(set(sites.values())))
    role_sites = {role.replace("_", "-"): site for role, site in sites.items()}
    pools = [pool.model_copy(update={"site": role_sites.get(pool.role)}) for pool in placed.pools]
    return placed.model_copy(update={"pools": tuple(pools)})


def test_pools_of_a_site_are_in_its_box_and_no_others() -> None:
    drawing = network_map(at_sites(edge="berlin", front_end="oslo", management="oslo"), network())
    assert [site.name for site in drawing.sites] == ["berlin", "oslo"]
    assert [pool.site for pool in drawing.pools] == ["", "berlin", "oslo", "oslo"]
    for site in drawing.sites:
        assert site.x >= 0
        assert (site.x + site.width <= drawing.width, site.y + site.height <= drawing.height) == (True, True)
        inside = [
            pool.name
            for pool in drawing.pools
            if site.x < pool.x
            and pool.x + pool.width < site.x + site.width
            and site.y < pool.y
            and pool.y + pool.height < site.y + site.height
        ]
        assert inside == [pool.name for pool in drawing.pools if pool.site == site.name]
    first, second = drawing.sites
    assert first.y + first.height < second.y


def test_pool_with_servers_at_two_sites_is_in_no_box() -> None:
    placed = at_sites(front_end="oslo")
    pools = [
        pool.model_copy(
            update={"servers": (pool.servers[0].model_copy(update={"site": "berlin"}), *pool.servers[1:])}
            if len(pool.servers) > 1
            else {}
        )
        for pool in placed.pools
    ]
    drawing = network_map(placed.model_copy(update={"pools": tuple(pools)}), network())
    assert drawing.sites == []


def test_two_reports_of_one_link_are_one_line_whose_weight_grows_with_its_messages() -> None:
    def linked(peer: str, messages: int) -> dict[str, Any]:
        return {"neighbours": ({"peer": peer, "kind": "server", "tls": "TLSv1.3", "messages": messages},)}

    members = (
        report("fe1.example.test", **linked(EDGE, 900)),
        report(EDGE, pool="sip.example.test", **linked("fe1.example.test", 900)),
    )
    (line,) = network_map(topology(), network(*members)).links
    assert ({line.one, line.other}, line.state, line.weight) == ({"fe1.example.test", EDGE}, State.GOOD, 3)
    assert len(line.about) == 2


def test_server_that_does_not_answer_has_a_bad_line() -> None:
    (line,) = network_map(topology(), network(report("fe1.example.test", unanswered=("fe2.example.test",)))).links
    assert (line.state, line.about) == (State.BAD, ["fe2.example.test does not answer fe1.example.test"])


def test_link_to_a_partner_leads_to_the_partner_and_a_link_to_a_peer_outside_the_map_is_left_out() -> None:
    peers = ({"peer": "partner.test", "kind": "partner"}, {"peer": "gone.example.test", "kind": "server"})
    drawing = network_map(topology(), network(report(EDGE, pool="sip.example.test", neighbours=peers)))
    assert [{line.one, line.other} for line in drawing.links] == [{EDGE, "partner.test"}]


def test_draft_makes_servers_pools_and_partners_appear_and_die() -> None:
    draft = topology(front_ends=1, federation={"route": "sip.example.test", "partners": []})
    found = servers_of(network_map(topology(front_ends=2), network(), draft))
    assert [found[name].change for name in ("fe1.example.test", "fe2.example.test", "partner.test")] == [
        Change.NONE,
        Change.DIES,
        Change.DIES,
    ]
    found = servers_of(network_map(topology(front_ends=2), network(), topology(front_ends=3)))
    assert found["fe3.example.test"].change is Change.APPEARS


@pytest.mark.parametrize("past", [0, 1])
def test_lines_are_between_pools_from_some_servers_on(past: int) -> None:
    front_ends = MOST_SINGLE - 3 + past
    peers = ({"peer": EDGE, "kind": "server"},)
    members = [report(f"fe{n}.example.test", neighbours=peers) for n in range(1, front_ends + 1)]
    drawing = network_map(topology(front_ends), network(*members))
    assert (len(drawing.links), bool(drawing.note)) == ((front_ends, False), (1, True))[past]


@pytest.mark.parametrize("past", [0, 1])
def test_pools_are_drawn_without_servers_beyond_the_limit(past: int) -> None:
    front_ends = MOST_SERVERS - 3 + past
    drawing = network_map(topology(front_ends), network(report("fe1.example.test")))
    pool = next(pool for pool in drawing.pools if pool.name == "pool1.example.test")
    assert len(pool.servers) == (front_ends, 1)[past]
    assert "shows pools only" in drawing.note if past else drawing.note
    assert drawing.width <= MOST_WIDTH + MARGIN
    if past:
        assert (pool.servers[0].label, pool.servers[0].state) == (f"{front_ends} servers", State.UNKNOWN)


def test_refused_peers_are_drawn_with_the_server_that_refused_them() -> None:
    """One place for each server and verdict code; nothing of it is a server of ours, so no line leads there."""
    expired = [f"expired: accepted server link from 127.0.0.1:{port}: engine" for port in (1, 2)]
    members = (
        report("fe1.example.test", refused=(*expired, "not-tls: accepted server link")),
        report(EDGE, pool="sip.example.test", refused=("expired: accepted partner link",)),
    )
    drawing = network_map(topology(), network(*members))
    (box,) = (pool for pool in drawing.pools if pool.role == REFUSED)
    assert {server.name: server.about[1:] for server in box.servers} == {
        "expired at fe1.example.test": expired,
        "not-tls at fe1.example.test": ["not-tls: accepted server link"],
        f"expired at {EDGE}": ["expired: accepted partner link"],
    }
    assert not drawing.links
    assert not any(pool.role == REFUSED for pool in network_map(topology(), network(report(EDGE))).pools)


def test_refused_peers_are_bounded_and_left_out_of_a_large_map() -> None:
    codes = tuple(f"code-{n}: refused" for n in range(5))
    many = [report(f"fe{n}.example.test", refused=codes) for n in range(1, 9)]
    drawing = network_map(topology(front_ends=8), network(*many))
    (box,) = (pool for pool in drawing.pools if pool.role == REFUSED)
    assert len(box.servers) == MOST_REFUSED
    large = network_map(topology(front_ends=MOST_SERVERS), network(*many))
    assert not any(pool.role == REFUSED for pool in large.pools)
