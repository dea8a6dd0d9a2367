"""What the topology hands in."""

from __future__ import annotations

import pytest

from sipmesh.trust.policy import Authority
from sipmesh.trust.revocation.crl import RevocationLists
from trust.network import ALPHA, FE2, NOON, Network


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


def test_an_authority_is_found_by_the_names_of_its_anchors(net: Network) -> None:
    """No other can end a path, so that a stranger does not make us try the anchors of a whole network."""
    assert net.alpha_ca.issuer is not None
    roots = [net.alpha_ca.issuer.certificate.subject, net.alpha_ca.certificate.subject]
    policy = net.policy()
    assert [held.name for held in policy.anchored_at(roots)] == ["Alpha"]
    assert policy.anchored_at([net.stranger.certificate.subject]) == ()


def test_an_entry_is_found_by_every_name_of_its_scope(net: Network) -> None:
    policy = net.policy()
    assert list(policy.in_scope("alpha2.test")) == [net.alpha]
    assert set(policy.in_scope("pool1.example.test")) == {net.fe1, net.fe2}
    assert list(policy.in_scope("nobody.test")) == []


@pytest.mark.parametrize(("servers", "compared"), [(20, 20), (100, 20), (1000, 20)])
def test_a_name_is_compared_with_its_neighbours_only(net: Network, servers: int, compared: int) -> None:
    names = [f"fe{n:04}.example.test" for n in range(servers)]
    policy = net.policy(peers=dict.fromkeys(names, (net.fe2,)))
    misspelt = f"{names[servers // 2]}t"
    assert names[servers // 2] in policy.alike(misspelt, reach=10)
    assert len(policy.alike(misspelt, reach=10)) == compared


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
