"""The view of one server: the table of links, written out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.view import ServerView, certificate_names, invitation_hosts, view
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.managed import MGMT, build_managed

if TYPE_CHECKING:
    from pathlib import Path

    from topology.world import Place

FE1, FE2, FE3 = "fe1.example.test", "fe2.example.test", "fe3.example.test"
EDGE, BOT = "edge1.example.test", "bot.example.test"
PARTNERS = {"sip.partner.test", "other.test"}

# Who may be at the other end of a server link of each server; front ends 1 and 2 are the next hop of edge and bot.
ACCEPTED = {
    FE1: {FE2, FE3, EDGE, BOT},
    FE2: {FE1, FE3, EDGE, BOT},
    FE3: {FE1, FE2},
    EDGE: {FE1, FE2, FE3},
    BOT: {FE1, FE2},
}
OPENED = {
    FE1: {FE2, FE3, EDGE, BOT},
    FE2: {FE1, FE3, EDGE, BOT},
    FE3: {FE1, FE2, EDGE},
    EDGE: {FE1, FE2},
    BOT: {FE1, FE2},
}
SERVERS = tuple(ACCEPTED)


@pytest.fixture(name="views")
def _views(place: Place) -> dict[str, ServerView]:
    loaded = place.load()
    return {name: view(loaded, name) for name in SERVERS}


@pytest.mark.parametrize("name", SERVERS)
def test_server_links_are_those_of_the_table(views: dict[str, ServerView], name: str) -> None:
    assert views[name].accept_policy(LinkKind.SERVER).may_open == ACCEPTED[name]
    assert views[name].open_policy(LinkKind.SERVER, FE1).may_open == OPENED[name]
    assert {other for other in SERVERS if views[name].may_open_to(other)} == OPENED[name]


@pytest.mark.parametrize("name", SERVERS)
def test_only_edges_have_partner_links(views: dict[str, ServerView], name: str) -> None:
    wanted = PARTNERS if name == EDGE else set()
    assert views[name].accept_policy(LinkKind.PARTNER).may_open == wanted
    assert views[name].open_policy(LinkKind.PARTNER, "sip.partner.test").may_open == wanted


@pytest.mark.parametrize("name", SERVERS)
def test_client_links_have_no_trusted_peers(views: dict[str, ServerView], name: str) -> None:
    assert views[name].accept_policy(LinkKind.CLIENT).may_open == frozenset()
    assert views[name].anchors(LinkKind.CLIENT) == ()


def test_our_servers_are_known_by_their_own_names_alone(views: dict[str, ServerView]) -> None:
    """A pool's or a domain's name identifies no single server (rule R4)."""
    policy = views[FE1].accept_policy(LinkKind.SERVER)
    assert set(policy.peers) == {*SERVERS, "partner.test", "sip.partner.test", "other.test", "second.test"}
    assert all(len(held) == 1 for held in policy.peers.values())
    assert policy.blocked == {"evil.test"}
    assert policy.meant is None


@pytest.mark.parametrize(
    ("server", "names"),
    [
        (FE1, (FE1, "pool1.example.test", "example.test")),
        (EDGE, (EDGE, "sip.example.test", "edge-int.example.test", "example.test")),
        (BOT, (BOT,)),
    ],
)
def test_certificates_carry_server_pool_and_served_domains(place: Place, server: str, names: tuple[str, ...]) -> None:
    loaded = place.load()
    assert certificate_names(loaded.topology, server) == names
    assert view(loaded, server).names == names
    assert view(loaded, server).trusted[server].names == set(names)


def test_an_opened_link_means_the_name_that_was_configured(views: dict[str, ServerView]) -> None:
    policy = views[EDGE].open_policy(LinkKind.PARTNER, "SIP.partner.test")
    assert policy.meant is views[EDGE].partners[0].peer
    assert policy.meant_name == "sip.partner.test"
    assert views[EDGE].open_policy(LinkKind.PARTNER, "stranger.test").meant is None


def test_a_partner_is_found_by_any_of_its_domains(views: dict[str, ServerView]) -> None:
    first, second = views[EDGE].partners
    assert views[EDGE].partner_for("Partner.test") is first
    assert views[EDGE].partner_for("second.test") is second
    assert views[EDGE].partner_for("sip.partner.test") is None
    assert views[EDGE].partner_for("evil.test") is None


def test_a_partner_is_meant_by_its_edge_or_else_by_its_domain(views: dict[str, ServerView]) -> None:
    first, second = views[EDGE].partners
    assert first.meant_name("partner.test") == "sip.partner.test"
    assert second.meant_name("second.test") == "second.test"


def test_anchors_of_partners_are_used_on_partner_links_only(views: dict[str, ServerView]) -> None:
    inside, outside = views[EDGE].anchors(LinkKind.SERVER), views[EDGE].anchors(LinkKind.PARTNER)
    assert [len(inside), len(outside)] == [1, 2]
    assert not set(inside) & set(outside)


def test_a_view_has_what_a_server_needs_at_hand(views: dict[str, ServerView], tmp_path: Path) -> None:
    seen = views[FE1]
    assert (seen.name, seen.role, seen.organisation) == (FE1, Role.FRONT_END, "Example")
    assert seen.pool_mates == (FE2,)
    assert seen.sip_domains == {"example.test"}
    assert seen.certificate == tmp_path / "servers" / "fe1.example.test.pem"
    assert seen.key == tmp_path / "servers" / "fe1.example.test.key"
    assert seen.addresses[FE2] == ("127.0.0.2", 5062)
    assert seen.addresses[FE3] == (None, 5062)
    assert seen.federation_route == "sip.example.test"
    assert tuple(seen.choice_of("sip.example.test")) == (EDGE,)
    assert not seen.choice_of("gone.example.test")
    assert views[EDGE].next_hop == "pool1.example.test"


def test_servers_of_the_own_site_are_tried_first_and_a_server_without_a_site_has_no_preference(place: Place) -> None:
    place.spoil(
        ("sip_domains:", "sites: [berlin, paris]\nsip_domains:"),
        ("  - name: pool1.example.test\n", "  - name: pool1.example.test\n    site: paris\n"),
        ("{name: fe2.example.test,", "{name: fe2.example.test, site: berlin,"),
        ("servers: [fe3.example.test]", "site: berlin\n    servers: [fe3.example.test]"),
    )
    loaded = place.load()
    choices = [view(loaded, name).choice_of("pool1.example.test").groups for name in (FE1, FE2, FE3, EDGE)]
    assert choices == [((FE1,), (FE2,)), ((FE2,), (FE1,)), ((FE2,), (FE1,)), ((FE1, FE2),)]


def test_requests_go_to_the_backup_pool_last_and_edges_may_link_to_it(place: Place) -> None:
    place.spoil(
        ("  - name: pool1.example.test\n", "  - name: pool1.example.test\n    backup_pool: pool2.example.test\n")
    )
    loaded = place.load()
    edge, ours, backup = (view(loaded, name) for name in (EDGE, FE1, FE3))
    assert edge.way_to("pool1.example.test").groups == ((FE1, FE2), (FE3,))
    assert backup.way_to("pool1.example.test").groups == ((FE1, FE2),)  # it does not send requests to itself
    assert not edge.way_to("gone.example.test")
    assert EDGE in backup.accept_policy(LinkKind.SERVER).may_open
    assert (ours.backup_of("pool1.example.test"), ours.backup_of("pool2.example.test")) == ("pool2.example.test", "")


def test_edge_may_not_link_to_a_pool_that_is_neither_its_next_hop_nor_the_backup_of_it(place: Place) -> None:
    assert EDGE not in view(place.load(), FE3).accept_policy(LinkKind.SERVER).may_open


def test_an_edge_may_show_partners_another_certificate(place: Place, tmp_path: Path) -> None:
    outside = "{name: edge1.example.test, outside: {certificate: servers/public.pem, key: servers/public.key}}"
    place.spoil(("servers: [edge1.example.test]", f"servers: [{outside}]"))
    seen = view(place.load(), EDGE)
    assert seen.identity(LinkKind.PARTNER) == (tmp_path / "servers/public.pem", tmp_path / "servers/public.key")
    assert seen.identity(LinkKind.SERVER) == (seen.certificate, seen.key)


def test_edge_presents_one_certificate_by_default(views: dict[str, ServerView]) -> None:
    assert views[EDGE].identity(LinkKind.PARTNER) == views[EDGE].identity(LinkKind.SERVER)


def test_an_unknown_server_is_answered_with_the_nearest(place: Place) -> None:
    with pytest.raises(OperatorError, match=r"did you mean 'fe1\.example\.test'"):
        view(place.load(), "fe1.exampel.test")
    with pytest.raises(OperatorError, match="is not a server"):
        certificate_names(place.load().topology, "sip.example.test")


@pytest.mark.parametrize(
    ("line", "addresses"),
    [
        ("", (("sip.partner.test", 5061),)),
        (", address: 192.0.2.9", (("192.0.2.9", 5061),)),
        (", address: '2001:db8::9'", (("2001:db8::9", 5061),)),
    ],
)
def test_address_of_a_partner_changes_the_way_and_never_the_name(
    place: Place, line: str, addresses: tuple[tuple[str, int], ...]
) -> None:
    """Rule R9: the link goes to the address that is written down, and the name must be proved there."""
    place.spoil(("edge: sip.partner.test", f"edge: sip.partner.test{line}"))
    partner = view(place.load(), EDGE).partners[0]
    assert (partner.addresses, partner.meant_name("partner.test")) == (addresses, "sip.partner.test")


def test_partner_without_edge_and_address_is_found_by_srv(views: dict[str, ServerView]) -> None:
    assert views[EDGE].partners[1].addresses is None


def test_partner_with_an_address_alone_has_to_prove_its_domain(place: Place) -> None:
    place.spoil(("edge: sip.partner.test", "address: 192.0.2.9"))
    partner = view(place.load(), EDGE).partners[0]
    assert (partner.addresses, partner.meant_name("partner.test")) == ((("192.0.2.9", 5061),), "partner.test")


def test_links_of_invitations_lead_to_each_management_server_or_to_the_name_of_the_pages(tmp_path: Path) -> None:
    for keys, links in (
        ({"listen": 8445}, {MGMT: f"{MGMT}:8445"}),
        ({"listen": 8445, "port": 443}, {MGMT: MGMT}),
        (
            {"listen": 443, "name": "join.example.test", "certificate": "servers/j.pem", "key": "servers/j.key"},
            {MGMT: "join.example.test"},
        ),
    ):
        organisation = build_managed(tmp_path / str(len(list(tmp_path.iterdir()))))
        organisation.document["invitations"] = keys
        organisation.write()
        loaded = organisation.load()
        assert invitation_hosts(loaded.topology) == links
        assert (view(loaded, MGMT).invitation_host, view(loaded, FE1).invitation_host) == (links[MGMT], "")
        assert view(loaded, FE1).invitation_hosts == tuple(links.values())
        assert (view(loaded, MGMT).invitations is None, view(loaded, FE1).invitations) == (False, None)
    assert invitation_hosts(build_managed(tmp_path / "none").load().topology) == {}
