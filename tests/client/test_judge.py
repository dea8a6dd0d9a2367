from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sipmesh.client.judge import NOT_ASKED, Trust, judge_server
from sipmesh.demo.forge import Forge
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.verdict import Verdict

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
REMOTE = ("192.0.2.1", 5061)
forge = Forge(NOON)
issuing = forge.organisation("Example")
other = forge.organisation("Partner")
assert issuing.issuer is not None
root = issuing.issuer
trust = Trust((root.certificate,), None)


def evidence(*names: str, issuer: Any = issuing, **changes: Any) -> PeerEvidence:
    server = forge.server(issuer, *names, **changes)
    return PeerEvidence(Direction.OPENED, LinkKind.CLIENT, REMOTE, ("192.0.2.2", 4000), server.presented)


def judged(seen: PeerEvidence, *names: str, by: Trust = trust, late: timedelta = timedelta(0)) -> Verdict:
    return judge_server(seen, names or ("example.test",), by, at=NOON + late)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("example.test",), Code.ACCEPTED),
        (("fe1.example.test", "example.test"), Code.ACCEPTED),
        (("fe1.example.test",), Code.NAME_MISMATCH),
        (("partner.test",), Code.NAME_MISMATCH),
    ],
)
def test_a_server_proves_the_sip_domain(names: tuple[str, ...], code: Code) -> None:
    assert judged(evidence(*names)).code is code


@pytest.mark.parametrize(
    ("asked", "code", "subject"),
    [
        (("example.test", "fe1.example.test"), Code.ACCEPTED, "fe1.example.test"),
        (("example.test", "FE1.example.test"), Code.ACCEPTED, "fe1.example.test"),
        (("example.test", "fe2.example.test"), Code.NAME_MISMATCH, "192.0.2.1:5061"),
    ],
)
def test_server_may_prove_the_requested_server_name(asked: tuple[str, ...], code: Code, subject: str) -> None:
    verdict = judged(evidence("fe1.example.test"), *asked)
    assert (verdict.code, verdict.subject) == (code, subject)


def test_bad_certificate_is_refused_without_trying_other_names() -> None:
    verdict = judged(evidence("fe1.example.test", issuer=other), "example.test", "fe1.example.test")
    assert verdict.meant == "example.test"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, Code.ACCEPTED),
        ({"issuer": other}, Code.UNTRUSTED_ISSUER),
        ({"issuer": None}, Code.UNTRUSTED_ISSUER),
        ({"ends": timedelta(minutes=-1)}, Code.EXPIRED),
        ({"begins": timedelta(minutes=1)}, Code.NOT_YET_VALID),
        ({"ca": True}, Code.NOT_A_LEAF),
        ({"usages": ()}, Code.ACCEPTED),
    ],
)
def test_server_is_refused_for_the_same_faults_as_on_server_links(changes: dict[str, Any], code: Code) -> None:
    assert judged(evidence("example.test", **changes)).code is code


def test_a_common_name_proves_nothing() -> None:
    assert judged(evidence(common_name="example.test")).code is Code.NO_SIP_IDENTITY


def test_failed_handshake_is_refused() -> None:
    seen = replace(evidence("example.test"), failure=HandshakeFailure("refused-by-peer", "closed"))
    assert judged(seen).code is Code.REFUSED_BY_PEER


def test_verdict_without_crls_says_that_revocation_was_not_checked() -> None:
    verdict = judged(evidence("example.test"))
    assert [finding.saw for finding in verdict.findings if finding.check == "revocation"] == [NOT_ASKED]
    assert verdict.accepted
    assert verdict.proved == {"example.test"}


@pytest.mark.parametrize(("revoked", "code"), [(False, Code.ACCEPTED), (True, Code.REVOKED)])
def test_given_crls_are_checked(*, revoked: bool, code: Code) -> None:
    server = forge.server(issuing, "example.test")
    lists = [forge.revocations(root), forge.revocations(issuing, [server] if revoked else [])]
    seen = replace(evidence("example.test"), presented=server.presented)
    assert judged(seen, by=Trust(trust.anchors, RevocationLists(map(RevocationList.load, lists)))).code is code


@pytest.mark.parametrize(
    ("lists", "late"),
    [(RevocationLists(), 0), (RevocationLists([RevocationList.load(forge.revocations(root))]), 0)],
    ids=["none", "one missing"],
)
def test_missing_or_expired_crl_refuses(lists: RevocationLists, late: int) -> None:
    """An empty set of CRLs is not the same as None."""
    assert judged(evidence("example.test"), by=Trust(trust.anchors, lists)).code is Code.REVOCATION_UNKNOWN


def test_trust_is_read_from_pem() -> None:
    assert Trust.of_pem(forge.root("x").pem_chain).lists is None
    with pytest.raises(ValueError, match="PEM"):
        Trust.of_pem(b"nothing")
