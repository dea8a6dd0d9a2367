"""Links that are up outlive an expired CRL, but no other fault of a CRL (rule R7)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sipmesh.demo.forge import Forged, Key
from sipmesh.trust.authority import Authority
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from trust.network import NOON, Network, evidence, finding

if TYPE_CHECKING:
    from sipmesh.trust.verdict import Verdict

SECOND, WEEK = timedelta(seconds=1), timedelta(days=7)
LATE = WEEK + SECOND


def under(net: Network, lists: RevocationLists) -> LinkPolicy:
    """What fe1 accepts where *lists* speak for our authority."""
    assert net.ours.issuer is not None
    authority = Authority("Example", (net.ours.issuer.certificate,), lists)
    return net.policy(peers=net.swapped(net.fe2, authority=authority))


def made(net: Network, *revoked: Forged, key: Key | None = None, ends: timedelta = WEEK) -> RevocationLists:
    """The lists of our two CAs; that of the issuing CA names *revoked*, and *key* signs it where that shall not be its own."""
    assert net.ours.issuer is not None
    root = RevocationList.load(net.forge.revocations(net.ours.issuer, ends=52 * WEEK))
    return RevocationLists([root, RevocationList.load(net.forge.revocations(net.ours, revoked, key=key, ends=ends))])


def verdicts(shown: Forged, policy: LinkPolicy, late: timedelta) -> tuple[Verdict, Verdict]:
    """What is said of a new link and of an existing link, whether or not the certificate was seen before."""
    seen, at = evidence(shown, policy), NOON + late
    return judge(seen, policy, at=at), judge(seen, policy, at=at, live=True)


@pytest.mark.parametrize("known", [False, True])
def test_expired_crl_refuses_new_links_and_keeps_existing_links(net: Network, *, known: bool) -> None:
    shown, policy = net.fe2_certificate(), under(net, made(net))
    if known:
        assert judge(evidence(shown, policy), policy, at=NOON).accepted
    assert all(verdict.accepted for verdict in verdicts(shown, policy, WEEK))
    new, live = verdicts(shown, policy, LATE)
    assert (new.code, live.code) == ("revocation-unknown", "accepted")
    assert "this link was up before" in finding(live, "revocation").saw
    assert (
        verdicts(shown, policy, LATE)[0].code == "revocation-unknown"
    )  # what was said of the live link helps no client


def test_existing_link_ends_with_its_certificate(net: Network) -> None:
    shown = net.fe2_certificate(ends=2 * WEEK)
    new, live = verdicts(shown, under(net, made(net)), 2 * WEEK + SECOND)
    assert not new.accepted
    assert live.code == "expired"


def test_serial_on_an_expired_crl_ends_existing_links(net: Network) -> None:
    stolen, twin = net.fe2_certificate(serial=0xBAD), net.fe2_certificate(serial=0x600D)
    policy = under(net, made(net, stolen))
    assert [one.code for one in verdicts(stolen, policy, LATE)] == ["revoked", "revoked"]
    assert [one.code for one in verdicts(twin, policy, LATE)] == ["revocation-unknown", "accepted"]


def test_missing_or_forged_crl_ends_existing_links(net: Network) -> None:
    """The control in each case is a good CRL that has expired too."""
    shown = net.fe2_certificate()
    root_alone = RevocationLists([next(iter(made(net)))])
    for lists in (RevocationLists(), root_alone, made(net, key=net.alpha_ca.key)):
        assert [one.code for one in verdicts(shown, under(net, lists), LATE)] == ["revocation-unknown"] * 2
    assert verdicts(shown, under(net, made(net)), LATE)[1].accepted


def test_expired_crl_of_the_root_keeps_existing_links(net: Network) -> None:
    shown, policy = net.fe2_certificate(ends=120 * WEEK), under(net, made(net, ends=110 * WEEK))
    assert [one.code for one in verdicts(shown, policy, 52 * WEEK + SECOND)] == ["revocation-unknown", "accepted"]


def test_crl_that_is_not_yet_valid_ends_existing_links(net: Network) -> None:
    """A clock that was set back, or a CRL made under a clock that runs ahead: not the case of a CA that stays away."""
    new, live = verdicts(net.fe2_certificate(), under(net, made(net)), -timedelta(hours=2))
    assert not new.accepted
    assert not live.accepted
