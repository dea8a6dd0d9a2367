"""Which servers a new organisation has, and the draft that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.cli.organisation.layout import Layout
from sipmesh.errors import OperatorError
from sipmesh.topology.document.model import Topology

HERE, THERE, OUTSIDE = "192.0.2.10", "192.0.2.11", "2001:db8::12"


def topology_of(layout: Layout, folder: Path) -> Topology:
    """The topology that the draft of *layout* is."""
    from sipmesh.topology.document.parse import shape
    from sipmesh.topology.document.report import ProblemReport
    from sipmesh.topology.document.yaml_tree import parse

    root, _ = parse(layout.draft("Example", folder / "topology.yaml").encode(), folder / "topology.yaml")
    shaped = shape(root, ProblemReport(folder / "topology.yaml", root))
    assert shaped.topology is not None
    return shaped.topology


def test_front_ends_at_one_address_are_one_pool_and_others_have_their_own(tmp_path: Path) -> None:
    """The servers of a pool share a file, and so a machine."""
    layout = Layout("example.com", HERE, (HERE, HERE, THERE))
    pools = topology_of(layout, tmp_path).pools
    assert [(pool.name, [server.name for server in pool.servers]) for pool in pools[1:]] == [
        ("pool1.example.com", ["fe1.example.com", "fe2.example.com"]),
        ("pool2.example.com", ["fe3.example.com"]),
    ]
    assert layout.pools == {HERE: "pool1.example.com", THERE: "pool2.example.com"}
    assert {str(server.address) for server in pools[1].servers} == {HERE}


def test_edges_lead_to_the_first_pool_and_are_the_route_to_partners(tmp_path: Path) -> None:
    topology = topology_of(Layout("example.com", HERE, (HERE, THERE), (OUTSIDE,)), tmp_path)
    assert topology.federation.route == "sip.example.com"
    assert topology.pools[-1].next_hop == "pool1.example.com"
    assert [str(server.address) for server in topology.pools[-1].servers] == [OUTSIDE]


def test_administrator_is_a_security_officer_of_the_console(tmp_path: Path) -> None:
    """No user is one by default."""
    named = topology_of(Layout("example.com", HERE, (HERE,), administrator="ada"), tmp_path)
    assert named.console is not None
    assert [(one.name, one.role) for one in named.console.operators] == [("ada", "security-officer")]
    assert topology_of(Layout("example.com", HERE, (HERE,)), tmp_path).console is None


def test_server_on_loopback_is_reached_by_no_other_host() -> None:
    with pytest.raises(OperatorError, match=r"192\.0\.2\.11 cannot reach a server on 127\.0\.0\.1: .*--management"):
        Layout("example.com", "127.0.0.1", ("127.0.0.1", THERE))
    with pytest.raises(OperatorError, match="--front-end ADDRESS"):
        Layout("example.com", HERE, ())
    assert not Layout("example.com").is_reached
    assert Layout("example.com", HERE, (HERE,)).is_reached


def test_front_ends_of_a_network_with_a_public_ca_order_from_it(tmp_path: Path) -> None:
    directory = "https://ca.test/dir"
    topology = topology_of(Layout("example.com", HERE, (HERE, HERE, THERE), directory=directory), tmp_path)
    assert topology.acme is not None
    assert topology.acme.directory == directory
    found = {server.name: server.client_certificates for server in topology.servers}
    orders = ("fe1.example.com", "fe2.example.com", "fe3.example.com")
    assert found == {"mgmt.example.com": (), **dict.fromkeys(orders, "acme")}
