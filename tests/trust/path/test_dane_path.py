"""Paths that TLSA records assert: usage 3 and 2 count, if the answer is secure and its signature has not ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sipmesh.topology.builder.tlsa import tlsa_of_ca, tlsa_of_chain
from sipmesh.trust.authority import Authority
from sipmesh.trust.dane.tlsa import DaneStatus, TlsaAnswer
from sipmesh.trust.path.dane_path import NO_RECORD, asserted_path
from sipmesh.trust.revocation.crl_set import RevocationLists
from trust.network import NOON, Network

HOUR = timedelta(hours=1)


def trusting(*texts: str, status: DaneStatus = DaneStatus.SECURE) -> Authority:
    """The authority of a partner, with TLSA records that are signed until an hour after noon."""
    told = TlsaAnswer.of("_5061._tcp.alpha.test", status, texts, "", NOON + HOUR)
    return Authority("Alpha", (), RevocationLists(), by_dane=True, tlsa=told)


def test_record_of_the_certificate_is_the_whole_path(net: Network) -> None:
    leaf = net.alpha_certificate()
    found = asserted_path(leaf.certificate, (), trusting(tlsa_of_chain([leaf.certificate])), NOON)
    assert found.path == (leaf.certificate,)
    assert found.verified
    other = asserted_path(leaf.certificate, (), trusting("3 1 1 aa"), NOON)
    assert (other.path, other.refusal) == ((), NO_RECORD)


def test_record_of_a_ca_makes_it_the_only_anchor(net: Network) -> None:
    """The peer presents the CA, or the topology knows it; a CA that did not issue the certificate is of no use."""
    leaf, alpha = net.alpha_certificate(), net.alpha_ca.certificate
    record = tlsa_of_ca(alpha)
    assert asserted_path(leaf.certificate, (alpha,), trusting(record), NOON).path == (leaf.certificate, alpha)
    known = replace(trusting(record), known=(alpha,))
    assert asserted_path(leaf.certificate, (), known, NOON).path == (leaf.certificate, alpha)
    assert asserted_path(leaf.certificate, (), trusting(record), NOON).path == ()
    assert asserted_path(leaf.certificate, (alpha,), replace(trusting("3 1 1 aa"), known=(alpha,)), NOON).path == ()
    forged = net.forge.server(net.ours, "alpha.test")
    assert not asserted_path(forged.certificate, (alpha,), trusting(record), NOON).verified


@pytest.mark.parametrize("status", [DaneStatus.INSECURE, DaneStatus.BOGUS, DaneStatus.UNKNOWN])
def test_answer_that_is_not_proved_asserts_nothing(net: Network, status: DaneStatus) -> None:
    leaf = net.alpha_certificate().certificate
    assert asserted_path(leaf, (), trusting(tlsa_of_chain([leaf]), status=status), NOON).path == ()


def test_record_counts_until_its_signature_ends(net: Network) -> None:
    leaf = net.alpha_certificate().certificate
    asked = trusting(tlsa_of_chain([leaf]))
    assert asserted_path(leaf, (), asked, NOON + HOUR).path
    assert not asserted_path(leaf, (), asked, NOON + HOUR + timedelta(seconds=1)).path


@pytest.mark.parametrize("usage", ["0", "1"])
def test_record_beside_a_ca_asserts_nothing(net: Network, usage: str) -> None:
    leaf, alpha = net.alpha_certificate().certificate, net.alpha_ca.certificate
    text = tlsa_of_chain([leaf]) if usage == "1" else tlsa_of_ca(alpha)
    assert asserted_path(leaf, (alpha,), trusting(usage + text[1:]), NOON).path == ()
