"""Anchors, CRLs and OCSP responses of one scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.authority import Authority
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.revocation.ocsp import OcspAnswers
from trust.network import NOON, Network, verdict_on

if TYPE_CHECKING:
    import pytest


def test_authority_without_anchors_has_no_store() -> None:
    assert Authority("nobody", (), RevocationLists()).store is None


def test_anchors_are_put_into_a_store_once(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building it costs more than using it, so no handshake may do it again."""
    monkeypatch.setattr("sipmesh.trust.authority.Store", None)
    assert verdict_on(net.fe2_certificate(), net.policy()).at == NOON


def test_new_crls_and_ocsp_responses_leave_the_authority_equal(net: Network) -> None:
    """They change while links are up; the anchors decide whether it is the same authority."""
    before, after = (net.authority("Example", net.ours) for _ in range(2))
    after.use_crls(RevocationLists())
    after.use_ocsp_responses(OcspAnswers(()))
    assert (len(list(after.lists)), before, hash(before)) == (0, after, hash(after))


def test_other_anchors_make_another_authority(net: Network) -> None:
    assert net.authority("Example", net.ours) != net.authority("Example", net.stranger)
