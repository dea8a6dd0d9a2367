"""Listeners: which ports a role has, and on which addresses."""

from __future__ import annotations

from sipmesh.topology.document.listeners import ListenerSpec, listeners
from sipmesh.topology.document.model import Topology
from sipmesh.trust.evidence import LinkKind


def specs(role: str, websocket: dict[str, object] | None = None, **server: object) -> tuple[ListenerSpec, ...]:
    pool = {"name": "pool.example.test", "role": role, "servers": [{"name": "s1.example.test", **server}]}
    topology = Topology.model_validate(
        {
            "sipmesh": 1,
            "organisation": "Example",
            "sip_domains": ["example.test"],
            "authority": {"anchors": ["root.pem"], "crls": ["root.crl"]},
            "pools": [pool],
            "websocket": websocket,
        }
    )
    return listeners(topology, topology.pools[0], topology.pools[0].servers[0])


def test_a_front_end_listens_for_clients_and_servers() -> None:
    assert specs("front-end") == (
        ListenerSpec(LinkKind.CLIENT, "0.0.0.0", 5061, "s1.example.test", "client"),  # noqa: S104 - the default under test
        ListenerSpec(LinkKind.SERVER, "0.0.0.0", 5062, "s1.example.test", "server"),  # noqa: S104 - the default under test
    )


def test_an_edge_listens_for_servers_inside_and_partners_outside() -> None:
    """Partners know the edge by its pool's name."""
    assert specs("edge", bind="10.0.0.1", outside={"bind": "192.0.2.1"}) == (
        ListenerSpec(LinkKind.SERVER, "10.0.0.1", 5062, "s1.example.test", "server"),
        ListenerSpec(LinkKind.PARTNER, "192.0.2.1", 5061, "pool.example.test", "partner"),
    )


def test_an_edge_with_one_side_listens_for_both_on_it() -> None:
    assert [spec.host for spec in specs("edge", bind="10.0.0.1")] == ["10.0.0.1", "10.0.0.1"]


def test_an_application_listens_for_servers_only() -> None:
    assert [spec.kind for spec in specs("application")] == [LinkKind.SERVER]


def test_ports_can_be_set() -> None:
    assert [spec.port for spec in specs("front-end", ports={"client": 6061, "server": 6062})] == [6061, 6062]
    assert [spec.port for spec in specs("edge", ports={"server": 6062, "partner": 6061})] == [6062, 6061]


def test_the_address_is_listened_on_unless_bind_says_otherwise() -> None:
    assert specs("application", address="10.0.0.1")[0].host == "10.0.0.1"
    assert specs("application", address="10.0.0.1", bind="::")[0].host == "::"
    assert specs("edge", bind="10.0.0.1", outside={"address": "192.0.2.1"})[1].host == "192.0.2.1"


def test_front_end_listens_for_websocket_if_the_topology_has_the_part() -> None:
    (spec,) = [spec for spec in specs("front-end", {}) if spec.is_websocket]
    assert (spec.kind, spec.port, spec.key) == (LinkKind.CLIENT, 8443, "websocket")
    assert [spec.port for spec in specs("front-end", {}, ports={"websocket": 9443}) if spec.is_websocket] == [9443]


def test_edge_has_no_websocket_port() -> None:
    assert [spec.key for spec in specs("edge", {})] == ["server", "partner"]
