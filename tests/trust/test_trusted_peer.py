"""One entry of the topology."""

from trust.network import FE2, Network


def test_scope_of_an_entry_holds_its_identity(net: Network) -> None:
    assert FE2 in net.fe2.scope
    assert "example.test" in net.fe2.scope


def test_entry_without_a_role_is_a_partner(net: Network) -> None:
    assert not net.fe2.is_partner
    assert net.alpha.is_partner


def test_entry_shows_its_name_and_authority(net: Network) -> None:
    assert repr(net.alpha) == "<TrustedPeer alpha.test partner under Alpha>"
