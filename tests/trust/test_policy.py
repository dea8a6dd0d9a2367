"""The policy of one link."""

from __future__ import annotations

from trust.network import ALPHA, Network


def test_authority_of_the_meant_peer_comes_first(net: Network) -> None:
    assert [held.name for held in net.policy().authorities] == ["Example", "Alpha", "Beta", "Gamma"]
    assert [held.name for held in net.opening(net.beta, "beta.test").authorities] == [
        "Beta",
        "Example",
        "Alpha",
        "Gamma",
    ]


def test_policy_shows_where_it_counts_and_who_is_meant(net: Network) -> None:
    shown = repr(net.opening(net.alpha, ALPHA))
    assert shown.startswith("<LinkPolicy partner at edge1.example.test meaning alpha.test")
