"""A verdict as values: programs rely on each key."""

from __future__ import annotations

from dataclasses import fields

from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence, TlsFacts
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.judgement.verdict_report import TlsReport, VerdictReport
from trust.network import FE2, NOON, Network, verdict_on


def test_report_has_what_the_verdict_has(net: Network) -> None:
    verdict = verdict_on(net.forge.server(net.ours, "bot.example.test"), net.policy())
    report = VerdictReport.of(verdict)
    assert (report.code, report.accepted, report.at) == ("role-not-allowed", False, NOON)
    assert [finding.check for finding in report.findings] == [finding.check for finding in verdict.findings]
    assert [finding.judged for finding in report.findings] == [finding.judged for finding in verdict.findings]
    assert report.remedies == verdict.remedies
    assert report.certificate is not None
    assert report.certificate.names[0] == "DNS:bot.example.test"
    assert report.certificate.not_after.utcoffset() is not None


def test_reason_is_the_finding_that_gave_the_code(net: Network) -> None:
    refused = verdict_on(net.forge.server(net.ours, "bot.example.test"), net.policy())
    reason = VerdictReport.of(refused).reason
    assert refused.reason is not None
    assert reason is not None
    assert reason.saw == refused.reason.saw
    assert VerdictReport.of(verdict_on(net.fe2_certificate(), net.policy())).reason is None


def test_accepted_server_has_its_peer_its_names_and_its_tls(net: Network) -> None:
    tls = TlsFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519", FE2)
    report = VerdictReport.of(verdict_on(net.fe2_certificate(), net.policy(), tls=tls))
    assert (report.accepted, report.peer, report.proved) == (True, FE2, tuple(sorted(report.proved)))
    assert FE2 in report.proved
    assert report.tls == TlsReport("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519", FE2)


def test_client_has_no_certificate_and_no_peer(net: Network) -> None:
    client = PeerEvidence(Direction.ACCEPTED, LinkKind.CLIENT, ("2001:db8::7", 4000), ("2001:db8::1", 5061))
    report = VerdictReport.of(judge(client, net.policy(LinkKind.CLIENT), at=NOON))
    assert (report.certificate, report.peer, report.remote) == (None, None, "[2001:db8::7]:4000")


def test_keys_are_stable() -> None:
    assert [field.name for field in fields(VerdictReport)] == [
        *("code", "accepted", "subject", "kind", "direction", "remote", "meant", "at", "peer", "proved"),
        *("tls", "certificate", "findings", "remedies"),
    ]
