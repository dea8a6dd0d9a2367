"""The words: an operator reads them, so they must hold what was wanted, what was seen, the rule and the remedy."""

from __future__ import annotations

from datetime import timedelta

from sipmesh.trust.evidence import HandshakeFailure, TlsFacts
from sipmesh.trust.judgement.explain import explain, headline
from trust.network import FE1, FE2, Network, verdict_on


def test_an_acceptance_names_every_check_and_what_matched(net: Network) -> None:
    verdict = verdict_on(net.fe2_certificate(), net.policy(), tls=TlsFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256"))
    lines = explain(verdict)
    assert lines[0] == "accepted: fe2.example.test"
    assert "  TLS         TLSv1.3, TLS_AES_128_GCM_SHA256" in lines
    assert [line.split()[1] for line in lines if "✓" in line] == [held.check for held in verdict.findings]
    assert headline(verdict) == "accepted: fe2.example.test on the accepted server link from 192.0.2.7:5062"


def test_a_refusal_says_wanted_seen_rule_clock_and_remedy(net: Network) -> None:
    verdict = verdict_on(net.fe2_certificate(ends=-timedelta(days=1)), net.policy())
    text = "\n".join(explain(verdict))
    assert "✗ validity      CN=fe2.example.test expired at 2026-02-28 12:00:00Z" in text
    assert "wanted      valid at 2026-03-01 12:00:00Z, our clock (rule R4; RFC 5280 4.1.2.5)" in text
    assert f"URI:sip:{FE2}" in text
    assert verdict.seen is not None
    assert f"serial      {verdict.seen.serial_hex}" in text
    first = text.splitlines()[1:4]  # no reader has to pass all checks to find what failed and what mends it
    assert "✗ validity" in first[0]
    assert first[1] == f"  → If the clock of {FE1} is right, issue a new certificate: sipmesh ca issue {FE2}."
    assert first[2].endswith(f"If not, set the clock of {FE1}, for example by NTP.")
    assert headline(verdict).startswith("expired: accepted server link from 192.0.2.7:5062: validity wanted")


def test_unjudged_finding_has_its_own_mark(net: Network) -> None:
    lines = explain(verdict_on(net.forge.server(net.stranger, FE2), net.policy()))
    assert any(line.startswith("  · revocation") for line in lines)
    assert any(line.startswith("  ✗ issuer") for line in lines)


def test_link_without_certificate_is_explained(net: Network) -> None:
    lines = explain(verdict_on(None, net.opening(net.fe2, FE2), failure=HandshakeFailure("not-tls", "it spoke SMTP")))
    assert "  presented   no certificate" in lines
    assert "  meant       fe2.example.test" in lines
    assert any("it spoke SMTP" in line for line in lines)
