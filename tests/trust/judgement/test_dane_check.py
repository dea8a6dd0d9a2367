"""The check of TLSA records: the code of each answer, beside a CA and in place of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sipmesh.topology.builder.tlsa import tlsa_of_ca, tlsa_of_chain
from sipmesh.trust.authority import Authority
from sipmesh.trust.dane.tlsa import DaneStatus, TlsaAnswer
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import Judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl_set import RevocationLists
from trust.network import NOON, Network, errors, finding, verdict_on

HOUR = timedelta(hours=1)
NAME = "_5061._tcp.alpha.test"
NO_ISSUER = 20  # OpenSSL found no issuer


def policy(net: Network, told: TlsaAnswer | None) -> LinkPolicy:
    """The policy of the port for partners, where TLSA records count in place of Alpha's CA."""
    asked = Authority("Alpha", (), RevocationLists(), by_dane=True, tlsa=told)
    return net.policy(LinkKind.PARTNER, peers=net.swapped(net.alpha, authority=asked))


def answer(*texts: str, status: DaneStatus = DaneStatus.SECURE) -> TlsaAnswer:
    return TlsaAnswer.of(NAME, status, texts, "a reason", NOON + HOUR)


def test_each_answer_has_its_code(net: Network) -> None:
    shown = net.alpha_certificate()
    right = tlsa_of_chain([shown.certificate])
    told = {
        "accepted": answer(right),
        "dane-mismatch": answer("3 1 1 aa"),
        "dane-required": answer(),
        "dane-unknown": answer(right, status=DaneStatus.BOGUS),
    }
    for code, given in told.items():
        assert verdict_on(shown, policy(net, given)).code == code
    assert verdict_on(shown, policy(net, answer(right, status=DaneStatus.INSECURE))).code == "dane-required"
    assert verdict_on(shown, policy(net, answer("1" + right[1:]))).code == "dane-required"
    assert verdict_on(shown, policy(net, None)).code == "dane-unknown"


def test_verdict_tells_why(net: Network) -> None:
    bogus = verdict_on(net.alpha_certificate(), policy(net, answer(status=DaneStatus.BOGUS)))
    assert finding(bogus, "dane").saw == f"DNS says of {NAME}: bogus: a reason"
    late = verdict_on(net.alpha_certificate(), policy(net, answer("3 1 1 aa")), after=HOUR * 2)
    assert "signed until" in finding(late, "dane").saw
    assert bogus.remedies


def test_cached_acceptance_ends_with_its_record(net: Network) -> None:
    """Also for a link that is up: no CRL could name the certificate."""
    shown = net.alpha_certificate()
    asked = policy(net, answer(tlsa_of_chain([shown.certificate])))
    judge = Judge(asked)
    assert verdict_on(shown, judge).accepted
    assert verdict_on(shown, judge).accepted
    assert not verdict_on(shown, judge, after=HOUR * 2).accepted
    [peer] = asked.peers["alpha.test"]
    peer.authority.use_tlsa(answer("3 1 1 aa"))
    assert verdict_on(shown, judge).code == "dane-mismatch"


def test_path_is_checked_again_for_a_new_chain_and_for_new_records_only(net: Network) -> None:
    """An acceptance is kept by what the handshake gave. Once its record is gone, the errors of the handshake count again."""
    shown, rechecked = net.alpha_certificate(), list[PeerEvidence]()
    asked = policy(net, answer(tlsa_of_chain([shown.certificate])))

    def recheck(seen: PeerEvidence, _policy: LinkPolicy, _at: datetime) -> PeerEvidence:
        """As the path check: without an anchor, the records of the first answer decide, and those of the second do not."""
        rechecked.append(seen)
        return replace(seen, engine_errors=()) if len(rechecked) == 1 else seen

    judge = Judge(asked, recheck)
    for _ in range(3):
        assert verdict_on(shown, judge, engine_errors=errors(NO_ISSUER)).accepted
    assert len(rechecked) == 1
    [peer] = asked.peers["alpha.test"]
    peer.authority.use_tlsa(answer("3 1 1 aa"))
    refused = verdict_on(shown, judge, engine_errors=errors(NO_ISSUER))
    assert len(rechecked) == 2
    assert not refused.accepted
    assert not finding(refused, "engine").passed


def test_ca_of_a_record_needs_a_crl(net: Network) -> None:
    """The CRL is of the issuer in the path: what it revokes is revoked."""
    good, bad = net.alpha_certificate(), net.alpha_certificate(serial=0xBAD)
    alpha = net.authority("Alpha", net.alpha_ca, bad)
    told = answer(tlsa_of_ca(net.alpha_ca.certificate))
    only = replace(alpha, anchors=(), by_dane=True, known=(net.alpha_ca.certificate,), tlsa=told)
    asked = net.policy(LinkKind.PARTNER, peers=net.swapped(net.alpha, authority=only))
    assert verdict_on(good, asked).accepted
    assert verdict_on(bad, asked).code == "revoked"
    assert verdict_on(good, policy(net, told)).code == "revocation-unknown"


@pytest.mark.parametrize("code", [10, 66, 24])
def test_other_errors_of_openssl_refuse_all_the_same(net: Network, code: int) -> None:
    shown = net.alpha_certificate()
    asked = policy(net, answer(tlsa_of_chain([shown.certificate])))
    assert not verdict_on(shown, asked, engine_errors=errors(code)).accepted
