"""The entries of one topology and their indexes."""

from dataclasses import replace

import pytest

from sipmesh.trust.trusted_peers import TrustedPeers
from trust.network import FE2, Network


def test_entries_that_share_a_name_are_found_together(net: Network) -> None:
    second = replace(net.edge, identity=frozenset({FE2}))
    assert TrustedPeers((net.fe2, second))[FE2] == (net.fe2, second)


def test_unknown_name_has_no_entry(net: Network) -> None:
    assert net.policy().peers.get("nobody.test") is None


def test_every_entry_and_every_authority_is_listed_once(net: Network) -> None:
    peers = TrustedPeers(net.entries)
    assert len(peers.entries) == len(net.entries)
    assert [authority.name for authority in peers.authorities] == ["Example", "Alpha", "Beta", "Gamma"]


def test_authority_is_found_by_the_names_of_its_anchors(net: Network) -> None:
    """Only these can end a path: an unknown peer does not cause a check of all anchors of a network."""
    assert net.alpha_ca.issuer is not None
    roots = [net.alpha_ca.issuer.certificate.subject, net.alpha_ca.certificate.subject]
    peers = TrustedPeers(net.entries)
    assert [authority.name for authority in peers.anchored_at(roots)] == ["Alpha"]
    assert peers.anchored_at([net.stranger.certificate.subject]) == ()


def test_entry_is_found_by_every_name_of_its_scope(net: Network) -> None:
    peers = TrustedPeers(net.entries)
    assert list(peers.in_scope("alpha2.test")) == [net.alpha]
    assert set(peers.in_scope("pool1.example.test")) == {net.fe1, net.fe2}
    assert list(peers.in_scope("nobody.test")) == []


@pytest.mark.parametrize(("servers", "compared"), [(20, 20), (100, 20), (1000, 20)])
def test_name_is_compared_with_its_neighbours_only(net: Network, servers: int, compared: int) -> None:
    names = [f"fe{n:04}.example.test" for n in range(servers)]
    peers = TrustedPeers(replace(net.fe2, identity=frozenset({name})) for name in names)
    misspelt = f"{names[servers // 2]}t"
    assert names[servers // 2] in peers.alike(misspelt, reach=10)
    assert len(peers.alike(misspelt, reach=10)) == compared


def test_repr_shows_the_number_of_entries(net: Network) -> None:
    assert repr(TrustedPeers((net.fe2,))) == "<TrustedPeers 1 entries under 1 names>"
