"""One entry of the topology."""

from sipmesh.trust.role import Role
from trust.network import FE2, Network


def test_scope_of_an_entry_holds_its_identity(net: Network) -> None:
    assert FE2 in net.fe2.scope
    assert "example.test" in net.fe2.scope


def test_entry_without_a_role_is_a_partner(net: Network) -> None:
    assert (net.fe2.role, net.alpha.role) == (Role.FRONT_END, None)


def test_entry_shows_its_name_and_authority(net: Network) -> None:
    assert repr(net.alpha) == "<TrustedPeer alpha.test partner under Alpha>"
