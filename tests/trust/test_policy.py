"""What the topology hands in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.policy import Authority
from sipmesh.trust.revocation import RevocationLists
from trust.network import ALPHA, FE2, NOON, Network

if TYPE_CHECKING:
    import pytest


def test_an_authority_without_anchors_can_prove_nothing() -> None:
    assert Authority("nobody", (), RevocationLists()).store is None


def test_every_entry_and_every_authority_is_told_once(net: Network) -> None:
    policy = net.policy()
    assert len(list(policy.entries())) == len(net.entries)
    assert [one.name for one in policy.authorities()] == ["Example", "Alpha", "Beta", "Gamma"]


def test_the_authority_of_whom_we_mean_comes_first(net: Network) -> None:
    assert next(iter(net.opening(net.beta, "beta.test").authorities())).name == "Beta"


def test_the_scope_of_an_entry_holds_its_identity(net: Network) -> None:
    assert FE2 in net.fe2.scope
    assert "example.test" in net.fe2.scope
    assert not net.fe2.is_partner
    assert net.alpha.is_partner


def test_entries_and_policies_show_themselves(net: Network) -> None:
    assert repr(net.alpha) == "<TrustedPeer alpha.test partner under Alpha>"
    assert repr(net.opening(net.alpha, ALPHA)).startswith(
        "<LinkPolicy partner at edge1.example.test meaning alpha.test"
    )


def test_anchors_are_put_into_a_store_once(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building it costs more than using it, so no handshake may do it again."""
    monkeypatch.setattr("sipmesh.trust.policy.Store", None)
    from trust.network import verdict_on

    assert verdict_on(net.fe2_certificate(), net.policy()).at == NOON
