"""Where a client command looks for its server, and what it trusts."""

from pathlib import Path

import pytest

from cli.world import FE1, Organisation
from sipmesh.cli.client.server_discovery import BY_SRV, find_home
from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.address_of_record import read_address

ALICE, STRANGER = read_address("alice@example.com"), read_address("x@elsewhere.test")


def test_a_domain_of_the_topology_leads_to_its_front_ends(organisation: Organisation) -> None:
    home = find_home(ALICE, "", (), organisation.file)
    host, port = organisation.address(FE1).split(":")
    assert home.servers == ((host, int(port)),)
    assert home.resolver is None
    assert home.trust.lists is not None


def test_a_front_end_without_an_address_is_asked_of_dns(organisation: Organisation) -> None:
    text = organisation.file.read_text().replace(f"{FE1}, address: 127.0.0.1, ", f"{FE1}, ")
    organisation.file.write_text(text + "dns: {servers: ['127.0.0.1:5353']}\n")
    organisation.publish("a name server of its own")
    home = find_home(ALICE, "", (), organisation.file)
    assert home.servers[0][0] == FE1


def test_another_domain_is_looked_up_by_srv(organisation: Organisation) -> None:
    """With a root for it, since ours counts for our own domains alone."""
    home = find_home(STRANGER, "", (organisation.root,), organisation.file)
    assert home.servers == (BY_SRV,)
    with pytest.raises(OperatorError, match="add --ca FILE"):
        find_home(STRANGER, "", (), organisation.file)


def test_the_server_that_is_named_is_the_only_one_tried(organisation: Organisation) -> None:
    assert find_home(ALICE, "192.0.2.1", (), organisation.file).servers == (("192.0.2.1", None),)
    assert find_home(ALICE, "[2001:db8::1]:5061", (), organisation.file).servers == (("2001:db8::1", 5061),)


def test_a_root_that_cannot_be_read_is_named(organisation: Organisation, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="name a PEM file with the root"):
        find_home(ALICE, "", (tmp_path / "none.pem",), organisation.file)


def test_where_there_are_several_pools_the_home_of_the_user_is_asked(organisation: Organisation) -> None:
    """Where the users are out of reach, as on a phone's host, every front end is tried."""
    head, _, tail = organisation.file.read_text().partition("pools:\n")
    second = "  - {name: pool2.example.com, role: front-end, servers: [{name: fe9.example.com, address: 192.0.2.9}]}\n"
    organisation.file.write_text(f"{head}pools:\n{second}{tail}")
    organisation.publish("another pool")
    organisation.add_user("alice", "--pool", "pool2.example.com")
    assert find_home(ALICE, "", (), organisation.file).servers == (("192.0.2.9", 5061),)
    (organisation.folder / "users.db").unlink()
    assert len(find_home(ALICE, "", (), organisation.file).servers) == 2
    assert not (organisation.folder / "users.db").exists()


def test_server_of_the_topology_needs_no_dns(organisation: Organisation) -> None:
    """Its address and its client port are in the topology; another port may be given."""
    host, port = organisation.address(FE1).split(":")
    assert find_home(ALICE, FE1, (), organisation.file).servers == ((host, int(port)),)
    assert find_home(ALICE, f"{FE1.upper()}:5099", (), organisation.file).servers == ((host, 5099),)
    assert find_home(ALICE, "other.example.com", (), organisation.file).servers == (("other.example.com", None),)
