"""Agreement: each possible contradiction between parts of a topology, and the corrected document as control."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from topology.world import Place

EDGE_HOP = "next_hop: pool1.example.test\n  - name: bot"
BOT_HOP = "next_hop: pool1.example.test\n    speaks_for"
POOL2 = "name: pool2.example.test\n    role: front-end"
USAGE = "client_usage: server-ok"
FE3 = "servers: [fe3.example.test]"


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        # names
        (FE3, "servers: [fe1.example.test]", "pools[1].servers[0]", "already the name of pools[0].servers[0]"),
        (FE3, "servers: [FE3.example.test, fe3.example.test]", "pools[1].servers[1]", "already the name of"),
        (FE3, "servers: [pool1.example.test]", "pools[1].servers[0]", "already the name of pools[0].name"),
        (FE3, "servers: [pool2.example.test, fe3.example.test]", "pools[1].servers[0]", "already the name of"),
        (FE3, "servers: [example.test]", "pools[1].servers[0]", "is a SIP domain"),
        (POOL2, "name: pool1.example.test\n    role: front-end", "pools[1].name", "already the name of pools[0]"),
        ("edge-int.example.test", "fe1.example.test", "pools[2].internal_name", "already the name of"),
        # ports
        ("address: 127.0.0.2", "address: 127.0.0.1", "pools[0].servers[1]", "port 5061"),
        ("client: 5061, server: 5062", "client: 5061, server: 5061", "pools[0].servers[0].ports.server", "port 5061"),
        ("{client: 5061,", "{websocket: 8443, client: 5061,", "pools[0].servers[0].ports.websocket", "no `websocket`"),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, client_certificates: [{certificate: p.pem, key: p.key}]}]",
            "pools[2].servers[0].client_certificates",
            "phones do not connect to a server of role edge",
        ),
        (POOL2, f"{POOL2}\n    remote_users: true", "pools[1].remote_users", "only an edge pool has `remote_users`"),
        # next hops
        (EDGE_HOP, "next_hop: gone.example.test\n  - name: bot", "pools[2].next_hop", "is not a pool"),
        (EDGE_HOP, "next_hop: fe1.example.test\n  - name: bot", "pools[2].next_hop", "is not a pool"),
        (EDGE_HOP, "next_hop: bot.example.test\n  - name: bot", "pools[2].next_hop", "is of role application"),
        (EDGE_HOP, "next_hop: sip.example.test\n  - name: bot", "pools[2].next_hop", "is a loop"),
        (EDGE_HOP, "\n  - name: bot", "pools[2]", "needs `next_hop`"),
        (BOT_HOP, "speaks_for", "pools[3]", "needs `next_hop`"),
        (POOL2, f"{POOL2}\n    next_hop: pool1.example.test", "pools[1].next_hop", "a front-end pool has no next hop"),
        # revocation
        ("crls: [c/root.crl, c/issuing.crl]", "crls: []", "federation.partners[1].crls", "is empty"),
        (USAGE, f"{USAGE}\n      revocation: both", "federation.partners[1].revocation", "is 'both' without `ocsp`"),
        (USAGE, f"{USAGE}\n      revocation: ocsp", "federation.partners[1].revocation", "is 'ocsp' without `ocsp`"),
        (USAGE, f"{USAGE}\n      ocsp: ['http://o.test']", "federation.partners[1].ocsp", "OCSP is not used"),
        # domains
        ("[example.test]  # ours", "[example.test, Example.test]", "sip_domains[1]", "named twice"),
        ("[evil.test]", "[evil.test, evil.test]", "federation.blocked[1]", "named twice"),
        (
            "[evil.test]",
            "[partner.test]",
            "federation.blocked[0]",
            "is also allowed (federation.partners[0].domains[0]",
        ),
        ("[evil.test]", "[sip.partner.test]", "federation.blocked[0]", "is also allowed (federation.partners[0].edge"),
        ("[evil.test]", "[example.test]", "federation.blocked[0]", "is also allowed (sip_domains[0]"),
        ("[other.test, second.test]", "[other.test, partner.test]", "federation.partners[1].domains[1]", "another"),
        ("[other.test, second.test]", "[sip.partner.test]", "federation.partners[1].domains[0]", "another partner"),
        ("[other.test, second.test]", "[other.test, other.test]", "federation.partners[1].domains[1]", "named twice"),
        ("[other.test, second.test]", "[example.test]", "federation.partners[1].domains[0]", "is a name of our own"),
        ("edge: sip.partner.test", "edge: sip.example.test", "federation.partners[0].edge", "is a name of our own"),
        ("edge: sip.partner.test", "edge: fe1.example.test", "federation.partners[0].edge", "is a name of our own"),
        # federation
        ("route: sip.example.test", "", "federation", "no `route`"),
        ("route: sip.example.test", "route: sp.example.test", "federation.route", "is not a pool"),
        ("route: sip.example.test", "route: pool1.example.test", "federation.route", "role front-end, not edge"),
        # what a role has
        (
            "speaks_for: [example.test]",
            "speaks_for: [partner.test]",
            "pools[3].speaks_for[0]",
            "not a SIP domain of the topology",
        ),
        (
            "  # ours",
            "\nmedia: {domains: {exampel.test: any}}",
            "media.domains.exampel.test",
            "not a SIP domain of ours",
        ),
        (POOL2, f"{POOL2}\n    speaks_for: [example.test]", "pools[1].speaks_for", "has no `speaks_for`"),
        (POOL2, f"{POOL2}\n    takeover_after: 1", "pools[1].takeover_after", "a number from 2 on"),
        (POOL2, f"{POOL2}\n    backup_pool: gone.example.test", "pools[1].backup_pool", "is not a pool"),
        (POOL2, f"{POOL2}\n    backup_pool: sip.example.test", "pools[1].backup_pool", "is of role edge"),
        (POOL2, f"{POOL2}\n    backup_pool: pool2.example.test", "pools[1].backup_pool", "is the pool itself"),
        (
            EDGE_HOP,
            "next_hop: pool1.example.test\n    backup_pool: pool1.example.test\n  - name: bot",
            "pools[2].backup_pool",
            "a pool of role edge has no backup pool",
        ),
        (POOL2, f"{POOL2}\n    site: berlin", "pools[1].site", "is not one of `sites`"),
        (FE3, "servers: [{name: fe3.example.test, site: paris}]", "pools[1].servers[0].site", "is not one of `sites`"),
        ("  # ours", "\nsites: [berlin, Berlin]", "sites[1]", "named twice"),
        (POOL2, f"{POOL2}\n    internal_name: in.example.test", "pools[1].internal_name", "only an edge pool"),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, ports: {client: 443}}]",
            "pools[2].servers[0].ports.client",
            "role edge has no client port",
        ),
        (
            FE3,
            "servers: [{name: fe3.example.test, outside: {bind: 192.0.2.1}}]",
            "pools[1].servers[0].outside",
            "only an edge has `outside`",
        ),
        (
            "servers: [bot.example.test]",
            "servers: [{name: bot.example.test, workers: 2}]",
            "pools[3].servers[0].workers",
            "a server of role application is one process",
        ),
        (
            FE3,
            "servers: [{name: fe3.example.test, certificate: fe3.pem}]",
            "pools[1].servers[0].certificate",
            "needs `key` also",
        ),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {key: e.key}}]",
            "pools[2].servers[0].outside.key",
            "needs `certificate` also",
        ),
    ],
)
def test_contradiction_is_reported_with_both_places(place: Place, old: str, new: str, field: str, reason: str) -> None:
    place.spoil((old, new))
    told = [(problem.field, problem.reason) for problem in place.problems() if reason in problem.reason]
    assert [place for place, _ in told] == [field], [str(problem) for problem in place.problems()]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FE3, "servers: [pool2.example.test]"),  # a single server may bear its pool's name
        ("edge-int.example.test", "sip.example.test"),
        ("address: 127.0.0.2", "address: 127.0.0.1, ports: {client: 5063, server: 5064}"),
        ("address: 127.0.0.2", "bind: 0.0.0.0, machine: loopback"),
        ("[other.test, second.test]", "[other.test, third.test]"),
        ("[evil.test]", "[evil.test, worse.test]"),
        ("edge: sip.partner.test", "edge: partner.test"),
        ("speaks_for: [example.test]", "speaks_for: []"),
        ("servers: [edge1.example.test]", "servers: [{name: edge1.example.test, ports: {partner: 5070}}]"),
        (
            "servers: [edge1.example.test]",
            "servers: [{name: edge1.example.test, outside: {bind: 192.0.2.1, certificate: e.pem, key: e.key}}]",
        ),
        (FE3, "servers: [{name: fe3.example.test, certificate: fe3.pem, key: fe3.key}]"),
    ],
)
def test_corrected_document_is_accepted(place: Place, old: str, new: str) -> None:
    place.spoil((old, new))
    assert place.load()


def test_a_misspelt_next_hop_is_answered_with_the_nearest_pool(place: Place) -> None:
    place.spoil((BOT_HOP, "next_hop: pool1.exampel.test\n    speaks_for"))
    assert place.problem().remedy == "did you mean 'pool1.example.test'?"


def test_loop_is_reported_at_each_of_its_pools(place: Place) -> None:
    place.spoil(
        (EDGE_HOP, "next_hop: pool2.example.test\n  - name: bot"), (POOL2, f"{POOL2}\n    next_hop: sip.example.test")
    )
    told = {problem.field: problem.reason for problem in place.problems()}
    assert told["pools[1].next_hop"].endswith("pool2.example.test → sip.example.test → pool2.example.test")
    assert told["pools[2].next_hop"].endswith("sip.example.test → pool2.example.test → sip.example.test")


def test_an_organisation_without_partners_needs_no_edge(place: Place) -> None:
    text = place.file.read_text()
    place.file.write_text(text[: text.index("federation:")])
    assert place.load().topology.federation.partners == ()


def test_two_edges_on_one_outside_address_clash(place: Place) -> None:
    servers = "{name: edge%d.example.test, bind: 10.0.0.%d, outside: {bind: 192.0.2.1}}"
    place.spoil(("servers: [edge1.example.test]", f"servers: [{servers % (1, 1)}, {servers % (2, 2)}]"))
    problem = place.problem()
    assert problem.field == "pools[2].servers[1]"
    assert "port 5061 on 192.0.2.1 is taken by pools[2].servers[0]" in problem.reason


def test_a_wildcard_on_a_known_machine_clashes_with_its_neighbour(place: Place) -> None:
    """A server on every address of 127.0.0.1's machine is removed from none for another there."""
    place.spoil(("address: 127.0.0.2", "address: 127.0.0.1, bind: '::', ports: {server: 5099}"))
    assert "port 5061 on :: is taken by" in place.problem().reason


def test_one_machine_cannot_offer_a_port_twice_through_a_wildcard(place: Place) -> None:
    server = "{name: edge1.example.test, bind: 10.0.0.1, ports: {server: 5061}, outside: {bind: 0.0.0.0}}"
    place.spoil(("servers: [edge1.example.test]", f"servers: [{server}]"))
    assert "taken by another port of this server" in place.problem().reason


def test_a_network_of_one_pool_with_one_server_of_the_same_name_is_a_network(place: Place) -> None:
    """The bench: one front end, an application, and another that speaks for the domain."""
    place.file.write_text(
        """\
sipmesh: 1
organisation: Bench
sip_domains: [a.test]
authority: {anchors: [ca/root.pem], crls: [ca/root.crl, ca/issuing.crl]}
pools:
  - name: p1.a.test
    role: front-end
    servers:
      - {name: p1.a.test, bind: 127.0.77.1, ports: {client: 5061, server: 5071}, certificate: p1.pem, key: p1.key}
  - name: sink.b.test
    role: application
    servers: [{name: sink.b.test, address: 127.0.77.2, ports: {server: 5081}}]
    next_hop: p1.a.test
  - {name: peer.b.test, role: application, servers: [peer.b.test], next_hop: p1.a.test, speaks_for: [a.test]}
"""
    )
    assert place.load()


@pytest.mark.parametrize("policy", ["ocsp", "both"])
def test_ocsp_urls_and_the_revocation_policy_must_agree(place: Place, policy: str) -> None:
    place.spoil((USAGE, f"{USAGE}\n      ocsp: ['http://ocsp.other.test/']\n      revocation: {policy}"))
    assert place.load().partners[1].source == policy


def test_no_crl_is_required_with_ocsp(place: Place) -> None:
    """Nothing is said of CAs that have no list, either."""
    lists = "crls: [c/root.crl, c/issuing.crl]"
    place.spoil((lists, "crls: []\n      ocsp: ['http://ocsp.other.test/']\n      revocation: ocsp"))
    loaded, warnings = place.check()
    assert not loaded.faults
    assert not warnings


POSTGRESQL = "postgresql+psycopg://sipmesh@db.example.test/m"
TWO_MANAGERS = (
    "pools:\n",
    """pools:
  - name: managers.example.test
    role: management
    servers: [{name: m1.example.test, address: 127.0.0.8}, {name: m2.example.test, address: 127.0.0.9}]
""",
)


@pytest.mark.parametrize(
    ("storage", "is_shared"),
    [
        (f"storage: {{users: '{POSTGRESQL}', management: '{POSTGRESQL}'}}\n", True),
        (f"storage: {{users: '{POSTGRESQL}'}}\n", False),
        (f"storage: {{management: '{POSTGRESQL}'}}\n", False),
        ("", False),
    ],
)
def test_several_management_servers_need_databases_that_they_share(
    place: Place, storage: str, *, is_shared: bool
) -> None:
    place.spoil(TWO_MANAGERS, ("federation:\n", f"{storage}federation:\n"))
    if is_shared:
        assert place.load().topology.storage.management == POSTGRESQL
        return
    [problem] = [one for one in place.problems() if one.field == "pools[0].servers"]
    assert "need a database that they share" in problem.reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql+psycopg://sipmesh:secret@db.example.test/m", "contains a password"),
        ("postgresql+psycopg:///m?host=db&password=secret", "contains a password"),
        ("sqlite:///management.db", "is no PostgreSQL database"),
        ("postgresql://db.example.test/m", "is no PostgreSQL database"),
        (POSTGRESQL, ""),
        ("postgresql+psycopg://db.example.test:5433/m?sslmode=verify-full", ""),
    ],
)
def test_database_of_management_is_named_without_a_password(place: Place, url: str, reason: str) -> None:
    """Each server gets the document."""
    place.spoil(("federation:\n", f"storage: {{management: '{url}'}}\nfederation:\n"))
    if not reason:
        assert place.load().topology.storage.management == url
        return
    [problem] = place.problems()
    assert problem.field == "storage.management"
    assert reason in problem.reason
    assert "secret" not in f"{problem.reason} {problem.remedy}"
