"""Whole verdicts: the code of each impostor, an accepted control for each, and the effect of each check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, Forged, KeyKind
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.dane.tlsa import DaneStatus, TlsaAnswer, TlsaRecord
from sipmesh.trust.evidence import Direction, EngineError, HandshakeFailure, LinkKind, PeerEvidence, TlsFacts
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.judgement.judge import CHECKS, Judge, _relied_on, judge
from sipmesh.trust.judgement.priority import PRIORITY
from sipmesh.trust.path.chain import PRESENTED
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import ClientUsage
from sipmesh.trust.transparency.ct_log import CtMode, CtPolicy
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.verdict import Verdict
from support.examples import examples
from trust.ct import SigningLog, logged
from trust.network import (
    ALPHA,
    BETA,
    BOT,
    EDGE,
    EXPIRED,
    FE1,
    FE2,
    FE_NAMES,
    NO_ISSUER,
    NOON,
    SELF_SIGNED,
    USAGE,
    Network,
    errors,
    evidence,
    finding,
    verdict_on,
)

DAY = timedelta(days=1)
LOGS = (SigningLog("A"), SigningLog("B"))
SERVER, PARTNER = LinkKind.SERVER, LinkKind.PARTNER


@dataclass(frozen=True)
class Row:
    """One impostor: what it shows, on which link, the code it gets, and the check without which it would not get it."""

    name: str
    shows: Callable[[Network], Forged | None]
    code: str
    kind: LinkKind = SERVER
    policy: Callable[[Network], LinkPolicy] | None = None
    seen: tuple[tuple[str, Any], ...] = ()
    check: str = ""  # the only check that stands between this impostor and acceptance

    def judge(self, net: Network) -> Verdict:
        """Put the impostor before the judge."""
        policy = self.policy(net) if self.policy else net.policy(self.kind)
        return verdict_on(self.shows(net), policy, **dict(self.seen))


def _demanding_scts(net: Network) -> LinkPolicy:
    """The policy of the server port, whose certificates must have SCTs of two logs."""
    logs = tuple(log.known() for log in LOGS)
    asked = replace(net.fe2.authority, transparency=CtPolicy(CtMode.REQUIRE, logs))
    return net.policy(peers=net.swapped(net.fe2, authority=asked))


def _demanding_tlsa(net: Network) -> LinkPolicy:
    """The policy of the server port, with a TLSA record of the certificate with serial 0x600D."""
    leaf = net.fe2_certificate(serial=0x600D).certificate
    record = TlsaRecord(3, 0, 0, leaf.public_bytes(Encoding.DER))
    asked = replace(net.fe2.authority, tlsa=TlsaAnswer("_5061._tcp.fe2.example.test", DaneStatus.SECURE, (record,)))
    return net.policy(peers=net.swapped(net.fe2, authority=asked))


def _with_tlsa_of_the_ca(net: Network) -> LinkPolicy:
    """The same with a TLSA record of the issuing CA."""
    record = TlsaRecord(2, 0, 0, net.ours.certificate.public_bytes(Encoding.DER))
    asked = replace(net.fe2.authority, tlsa=TlsaAnswer("_5061._tcp.fe2.example.test", DaneStatus.SECURE, (record,)))
    return net.policy(peers=net.swapped(net.fe2, authority=asked))


def _revoking(net: Network) -> LinkPolicy:
    """The policy of the server port with a CRL that revokes serial 0xBAD."""
    assert net.ours.issuer is not None
    enterprise = net.authority("Example", net.ours, net.fe2_certificate(serial=0xBAD))
    return net.policy(peers=net.swapped(net.fe2, authority=enterprise))


def _listless(net: Network) -> LinkPolicy:
    anchors = net.fe2.authority.anchors
    return net.policy(peers=net.swapped(net.fe2, authority=Authority("Example", anchors, RevocationLists())))


def _alpha_blocked(net: Network) -> LinkPolicy:
    return net.policy(PARTNER, blocked=frozenset({ALPHA}))


def _to_alpha(net: Network) -> LinkPolicy:
    return net.opening(net.alpha, "alpha2.test")


def _to_fe2(net: Network) -> LinkPolicy:
    return net.opening(net.fe2, FE2)


def _strange(net: Network) -> Forged:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    return net.gamma_certificate(critical=(unknown,))


def _loose(net: Network) -> LinkPolicy:
    return net.policy(peers=net.swapped(net.fe2, authority=net.authority("Example", net.loose_ca)))


def _unbound(net: Network) -> Forged:
    return net.gamma_certificate(uris=("sip:delta.test",))


OBJECTION = (("engine_errors", errors(13)),)
TIMEOUT = (("failure", HandshakeFailure("handshake-timeout", "5 s")),)

# Written from the table of links and the list of impostors, not from the code.
IMPOSTORS = (
    Row("no certificate", lambda _: None, "no-certificate", check="certificate"),
    Row("self-signed", lambda n: n.forge.server(None, FE2), "untrusted-issuer"),
    Row("unknown CA", lambda n: n.forge.server(n.stranger, FE2), "untrusted-issuer"),
    Row("unknown CA, unknown name", lambda n: n.forge.server(n.stranger, "x.test"), "untrusted-issuer"),
    Row("our CA, unknown name", lambda n: n.forge.server(n.ours, "fe9.example.test"), "not-in-topology"),
    Row("our CA, a pool's name only", lambda n: n.forge.server(n.ours, *FE_NAMES), "not-in-topology"),
    Row("wrong role", lambda n: n.forge.server(n.ours, BOT), "role-not-allowed", check="role"),
    Row("a partner on the server port", lambda n: n.alpha_certificate(), "role-not-allowed", check="role"),
    Row("a front end on the partner port", lambda n: n.fe2_certificate(), "role-not-allowed", PARTNER, check="role"),
    Row("by the device CA", lambda n: n.forge.server(n.devices, FE2), "device-certificate", check="devices"),
    Row("by the device CA, at the partner port", lambda n: n.forge.server(n.devices, FE2), "device-certificate", PARTNER),
    Row("a device", lambda n: n.device(), "device-certificate"),
    Row("expired", lambda n: n.fe2_certificate(ends=-DAY), "expired"),
    Row("not yet valid", lambda n: n.fe2_certificate(begins=DAY), "not-yet-valid"),
    Row("revoked", lambda n: n.fe2_certificate(serial=0xBAD), "revoked", policy=_revoking, check="revocation"),
    Row("no TLSA record", lambda n: n.fe2_certificate(), "dane-mismatch", policy=_demanding_tlsa, check="dane"),
    Row("not logged", lambda n: n.fe2_certificate(), "not-logged", policy=_demanding_scts, check="transparency"),
    Row("no list", lambda n: n.fe2_certificate(), "revocation-unknown", policy=_listless, check="revocation"),
    Row("CN only", lambda n: n.forge.server(n.ours, common_name=FE2), "no-sip-identity"),
    Row("wildcard", lambda n: n.forge.server(n.ours, dns=("*.example.test",)), "no-sip-identity"),
    Row("a user's URI", lambda n: n.forge.server(n.alpha_ca, uris=("sip:a@alpha.test",)), "no-sip-identity", PARTNER),
    Row("a web URI", lambda n: n.forge.server(n.alpha_ca, uris=("https://alpha.test",)), "no-sip-identity", PARTNER),
    Row("leaf with CA:TRUE", lambda n: n.fe2_certificate(ca=True), "not-a-leaf"),
    Row("leaf with keyCertSign", lambda n: n.fe2_certificate(cert_sign=True), "not-a-leaf"),
    Row("RSA-1024", lambda n: n.fe2_certificate(key=KeyKind.RSA_1024), "weak-key", check="key"),
    Row("our name by Alpha's CA", lambda n: n.forge.server(n.alpha_ca, FE2), "issuer-not-for-this-name"),
    Row("our domain by Alpha's CA", lambda n: n.forge.server(n.alpha_ca, "example.test"), "issuer-not-for-this-name"),
    Row("Beta by Alpha's CA", lambda n: n.forge.server(n.alpha_ca, BETA), "issuer-not-for-this-name", PARTNER),
    Row("Alpha by our CA", lambda n: n.forge.server(n.ours, ALPHA), "issuer-not-for-this-name", PARTNER),
    Row("two partners", lambda n: n.alpha_certificate(BETA), "ambiguous-identity", PARTNER),
    Row("a partner and our server", lambda n: n.alpha_certificate(FE2), "ambiguous-identity", PARTNER),
    Row(
        "a partner and our domain",
        lambda n: n.alpha_certificate("example.test"),
        "ambiguous-identity",
        PARTNER,
        check="topology",
    ),
    Row("two servers of ours", lambda n: n.fe2_certificate(uris=("sip:" + EDGE,)), "ambiguous-identity"),
    Row("unknown partner", lambda n: n.forge.server(n.alpha_ca, "omega.test"), "partner-unknown", PARTNER),
    Row("blocked, unknown CA", lambda n: n.forge.server(n.stranger, "evil.test"), "partner-blocked", PARTNER),
    Row("below a blocked domain", lambda n: n.forge.server(n.alpha_ca, "sip.evil.test"), "partner-blocked", PARTNER),
    Row("blocked", lambda n: n.alpha_certificate(), "partner-blocked", PARTNER, _alpha_blocked, check="blocked"),
    Row("serverAuth only", lambda n: n.alpha_certificate(usages=(SERVER_AUTH,)), "wrong-usage", PARTNER, check="usage"),
    Row("not for signing", lambda n: n.fe2_certificate(digital_signature=False), "wrong-usage", check="usage"),
    Row("no AKI", lambda n: n.fe2_certificate(with_aki=False), "malformed-certificate"),
    Row(
        "issuer without key usage",
        lambda n: n.forge.server(n.loose_ca, FE2),
        "malformed-certificate",
        policy=_loose,
        check="second-engine",
    ),
    Row("OpenSSL objects", lambda n: n.fe2_certificate(), "malformed-certificate", seen=OBJECTION, check="engine"),
    Row("timeout", lambda n: n.fe2_certificate(), "handshake-timeout", seen=TIMEOUT, check="handshake"),
    # Where the second engine is blind, only our own walk is left
    Row("blind: expired", lambda n: n.gamma_certificate(ends=-DAY), "expired", PARTNER, check="validity"),
    Row("blind: CA:TRUE", lambda n: n.gamma_certificate(ca=True), "not-a-leaf", PARTNER, check="leaf"),
    Row("blind: path length", lambda n: n.gamma_certificate(n.gamma_sub), "untrusted-issuer", PARTNER, check="issuing"),
    Row("blind: unknown critical part", _strange, "malformed-certificate", PARTNER, check="issuing"),
    Row("blind: URI out of bounds", _unbound, "issuer-not-for-this-name", PARTNER, check="constraints"),
    # Links that we open
    Row("DNS hijack", lambda n: n.alpha_certificate(), "name-mismatch", policy=_to_alpha, check="name"),
    Row("DNS hijack to another partner", lambda n: n.forge.server(n.beta_ca, BETA), "name-mismatch", policy=_to_alpha),
    Row("another server of ours", lambda n: n.forge.server(n.ours, EDGE), "name-mismatch", policy=_to_fe2),
    Row("man in the middle", lambda n: n.forge.server(n.stranger, FE2), "untrusted-issuer", policy=_to_fe2),
    Row("meant, by Alpha's CA", lambda n: n.forge.server(n.alpha_ca, FE2), "issuer-not-for-this-name", policy=_to_fe2),
    Row("meant, CN only", lambda n: n.forge.server(n.ours, common_name=FE2), "no-sip-identity", policy=_to_fe2),
    Row("meant and another", lambda n: n.fe2_certificate(uris=("sip:" + EDGE,)), "ambiguous-identity", policy=_to_fe2),
)  # fmt: skip


@pytest.mark.parametrize("row", IMPOSTORS, ids=lambda row: row.name)
def test_each_impostor_gets_the_code_that_an_operator_expects(net: Network, row: Row) -> None:
    verdict = row.judge(net)
    assert verdict.code == row.code
    assert not verdict.accepted
    assert verdict.reason is not None
    assert verdict.remedies
    assert verdict.peer is None
    assert verdict.subject == "192.0.2.7:5062"


TWINS = (
    Row("front end", lambda n: n.fe2_certificate(), "accepted"),
    Row("front end, TLSA of its CA", lambda n: n.fe2_certificate(), "accepted", policy=_with_tlsa_of_the_ca),
    Row(
        "front end, logged",
        lambda n: logged(n.forge, n.ours, FE2, *FE_NAMES, by=LOGS),
        "accepted",
        policy=_demanding_scts,
    ),
    Row("front end, not revoked", lambda n: n.fe2_certificate(serial=0x600D), "accepted", policy=_revoking),
    Row("front end with RSA-2048", lambda n: n.fe2_certificate(key=KeyKind.RSA_2048), "accepted"),
    Row("DNS names only", lambda n: n.forge.server(n.ours, dns=(FE2,)), "accepted"),
    Row("edge", lambda n: n.forge.server(n.ours, EDGE, "sip.example.test"), "accepted"),
    Row("partner", lambda n: n.alpha_certificate(), "accepted", PARTNER),
    Row("partner with both of its domains", lambda n: n.alpha_certificate("alpha2.test"), "accepted", PARTNER),
    Row("partner with a name of nobody's", lambda n: n.alpha_certificate("www.test"), "accepted", PARTNER),
    Row("partner by its edge", lambda n: n.forge.server(n.beta_ca, BETA), "accepted", PARTNER),
    Row("partner under URI constraints", lambda n: n.gamma_certificate(), "accepted", PARTNER),
    Row("meant partner", lambda n: n.alpha_certificate("alpha2.test"), "accepted", policy=_to_alpha),
    Row("meant server", lambda n: n.fe2_certificate(), "accepted", policy=_to_fe2),
    Row(
        "meant server, serverAuth only", lambda n: n.fe2_certificate(usages=(SERVER_AUTH,)), "accepted", policy=_to_fe2
    ),
    Row(
        "serverAuth only where that is agreed",
        lambda n: n.alpha_certificate(usages=(SERVER_AUTH,)),
        "accepted",
        PARTNER,
        lambda n: n.policy(PARTNER, peers=n.swapped(n.alpha, client_usage=ClientUsage.SERVER_OK)),
    ),
)


@pytest.mark.parametrize("row", TWINS, ids=lambda row: row.name)
def test_each_control_is_accepted_with_every_check_passed(net: Network, row: Row) -> None:
    verdict = row.judge(net)
    assert verdict.accepted, verdict.failed
    assert verdict.peer is not None
    assert verdict.proved
    assert verdict.remedies == ()
    assert len(verdict.relied_on) == 3


@pytest.mark.wide
@pytest.mark.parametrize("check", list(CHECKS))
def test_impostor_is_accepted_if_its_check_is_removed(
    net: Network, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    """Each check in turn is removed. Then an impostor that only this check stops must be accepted.

    Three checks never stop an impostor alone: without an issuer there is no path for the revocation check, a peer without an
    identity is not in the topology, and the scope check only lists. Removing them must still change the findings.
    """
    before = [row.judge(net).code for row in IMPOSTORS] + [_findings(net)]
    monkeypatch.setattr(
        "sipmesh.trust.judgement.judge.CHECKS", {name: held for name, held in CHECKS.items() if name != check}
    )
    after = [row.judge(net).code for row in IMPOSTORS] + [_findings(net)]
    assert before != after
    alone = [row for row in IMPOSTORS if row.check == check]
    assert all(row.judge(net).accepted for row in alone if check != "certificate")
    assert alone or check in {"issuer", "identity", "scope"}


def _findings(net: Network) -> tuple[str, ...]:
    return tuple(held.check for held in verdict_on(net.fe2_certificate(), net.policy()).findings)


def test_a_judge_without_checks_refuses(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing checked is not the same as nothing wrong."""
    monkeypatch.setattr("sipmesh.trust.judgement.judge.CHECKS", {})
    assert verdict_on(net.fe2_certificate(), net.policy()).code is Code.HANDSHAKE_FAILED


def test_an_empty_allow_list_allows_no_peer(net: Network) -> None:
    assert verdict_on(net.fe2_certificate(), net.policy(may_open=frozenset())).code is Code.ROLE_NOT_ALLOWED
    assert verdict_on(net.fe2_certificate(), net.policy(peers=TrustedPeers())).code is Code.UNTRUSTED_ISSUER
    assert verdict_on(net.fe2_certificate(), net.policy()).accepted


def test_a_name_that_two_entries_share_is_refused(net: Network) -> None:
    second = replace(net.edge, identity=net.edge.identity | {FE2})
    peers = TrustedPeers((net.fe2, second))
    assert verdict_on(net.fe2_certificate(), net.policy(peers=peers)).code is Code.AMBIGUOUS_IDENTITY


def test_opened_link_to_an_unknown_peer_is_refused(net: Network) -> None:
    policy = net.opening(None, "fe9.example.test")
    assert verdict_on(net.forge.server(net.ours, "fe9.example.test"), policy).code is Code.NOT_IN_TOPOLOGY


def test_expected_name_must_be_the_entrys_own_name(net: Network) -> None:
    """The name of a pool identifies no single server, even if it is the expected name."""
    policy = net.opening(net.fe2, "pool1.example.test")
    assert verdict_on(net.fe2_certificate(), policy).code is Code.NAME_MISMATCH


@pytest.mark.parametrize(
    ("code", "expected"),
    [(10, "expired"), (9, "not-yet-valid"), (23, "revoked"), (18, "untrusted-issuer"), (19, "untrusted-issuer"),
     (20, "untrusted-issuer"), (2, "untrusted-issuer"), (66, "weak-key"), (67, "weak-key"), (68, "weak-key"),
     (79, "untrusted-issuer"), (41, "malformed-certificate"), (85, "malformed-certificate"), (11, "revocation-unknown"),
     (47, "issuer-not-for-this-name"), (999, "malformed-certificate")],
)  # fmt: skip
def test_an_openssl_error_refuses_with_its_own_code_even_if_we_find_nothing(
    net: Network, code: int, expected: str
) -> None:
    failure = HandshakeFailure("handshake-failed", "certificate verify failed")
    verdict = verdict_on(net.fe2_certificate(), net.policy(), engine_errors=errors(code), failure=failure)
    assert verdict.code == expected


@pytest.mark.parametrize("code", [26, 3, 12, 51, 52, 53])
def test_what_openssl_leaves_to_the_judge_does_not_refuse_by_itself(net: Network, code: int) -> None:
    verdict = verdict_on(net.fe2_certificate(), net.policy(), engine_errors=errors(code))
    assert verdict.accepted
    assert str(code) in finding(verdict, "engine").saw


def test_weak_key_is_the_reason_if_openssl_stopped_before_the_issuer(net: Network) -> None:
    """OpenSSL looks at the leaf's key before it builds a path, so the evidence holds the leaf alone."""
    weak, sound = net.fe2_certificate(key=KeyKind.RSA_1024), net.fe2_certificate()
    failure = HandshakeFailure("handshake-failed", "EE certificate key too weak")
    for shown, error, code in ((weak, 66, Code.WEAK_KEY), (sound, 20, Code.UNTRUSTED_ISSUER)):
        evidence = PeerEvidence(
            Direction.ACCEPTED,
            SERVER,
            ("127.0.0.1", 1),
            ("127.0.0.1", 2),
            shown.presented[:1],
            errors(error),
            failure=failure,
        )
        assert judge(evidence, net.policy(), at=NOON).code is code


@pytest.mark.parametrize(("usages", "code"), [((CLIENT_AUTH,), Code.ACCEPTED), ((SERVER_AUTH,), Code.WRONG_USAGE)])
def test_judge_decides_wrong_usage_of_an_issuer(
    net: Network, usages: tuple[x509.ObjectIdentifier, ...], code: Code
) -> None:
    """A public CA for servers says so in its intermediate. OpenSSL leaves that to the judge too."""
    assert net.ours.issuer is not None
    issuing = net.forge.authority("for some usages only", net.ours.issuer, usages=usages)
    peers = net.swapped(net.fe2, authority=net.authority("Example", issuing))
    shown = net.forge.server(issuing, FE2)
    verdict = verdict_on(shown, net.policy(peers=peers), engine_errors=errors(USAGE, depth=1))
    assert verdict.code is code


@pytest.mark.parametrize(
    ("shows", "kind", "error", "code"),
    [
        (lambda n: n.forge.server(n.alpha_ca, FE2), SERVER, NO_ISSUER, "issuer-not-for-this-name"),
        (lambda n: n.alpha_certificate(), SERVER, NO_ISSUER, "role-not-allowed"),
        (lambda n: n.fe2_certificate(), PARTNER, NO_ISSUER, "role-not-allowed"),
        (lambda n: n.forge.server(n.ours, "fe9.example.test"), PARTNER, NO_ISSUER, "partner-unknown"),
        (lambda n: n.alpha_certificate(FE2), SERVER, NO_ISSUER, "ambiguous-identity"),
        (lambda n: n.forge.server(None, FE2), SERVER, SELF_SIGNED, "untrusted-issuer"),
        (lambda n: n.fe2_certificate(ends=-DAY), SERVER, EXPIRED, "expired"),
        (lambda n: n.forge.server(n.stranger, "evil.test"), PARTNER, NO_ISSUER, "partner-blocked"),
    ],
)
def test_judge_explains_an_issuer_unknown_to_openssl(
    net: Network, shows: Callable[[Network], Forged], kind: LinkKind, error: int, code: str
) -> None:
    """The listener has the anchors of the allowed peers only. The judge knows the other peers by name."""
    failure = HandshakeFailure("handshake-failed", "certificate verify failed")
    verdict = verdict_on(shows(net), net.policy(kind), engine_errors=errors(error), failure=failure)
    assert verdict.code == code


@pytest.mark.parametrize(
    "code", ["not-tls", "protocol-too-old", "handshake-timeout", "no-certificate", "refused-by-peer"]
)
def test_failed_handshake_without_certificates_keeps_its_code(net: Network, code: str) -> None:
    verdict = verdict_on(None, net.policy(), failure=HandshakeFailure(code, "as it was"))
    assert verdict.code == code
    assert verdict.seen is None
    assert [held.check for held in verdict.findings] == ["handshake", "engine"]


@pytest.mark.parametrize("code", ["accepted", "from-not-allowed", "nonsense", ""])
def test_handshake_failure_never_has_a_message_code(net: Network, code: str) -> None:
    verdict = verdict_on(net.fe2_certificate(), net.policy(), failure=HandshakeFailure(code, "odd"))
    assert verdict.code is Code.HANDSHAKE_FAILED


def test_a_certificate_is_named_under_its_issuer_as_the_issuer_spells_itself(net: Network) -> None:
    """That is how lists are found: a leaf may bear the same name in another string type, and so in other octets."""
    issuing = net.ours.certificate
    common_name = issuing.subject.rfc4514_string().removeprefix("CN=")
    spelled = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name, _ASN1Type.PrintableString)])
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(spelled).serial_number(7)
    builder = builder.public_key(issuing.public_key()).not_valid_before(NOON).not_valid_after(NOON + DAY)
    leaf = builder.sign(net.ours.key, SHA256())
    assert leaf.issuer == issuing.subject
    assert leaf.issuer.public_bytes() != issuing.subject.public_bytes()
    assert (issuing.subject.public_bytes(), 7) in _relied_on((leaf, issuing))


def test_path_ends_with_its_first_expiry(net: Network) -> None:
    """An issuer that ends before its leaf takes it along."""
    assert net.ours.issuer is not None
    brief = net.forge.authority("Example issuing CA", net.ours.issuer, ends=timedelta(days=2))
    shown = net.forge.server(brief, FE2, *FE_NAMES)
    verdict = verdict_on(shown, net.policy(peers=net.swapped(net.fe2, authority=net.authority("Example", brief))))
    assert verdict.accepted
    assert verdict.ends == brief.certificate.not_valid_after_utc


def test_a_client_is_accepted_on_the_client_port_without_certificate(net: Network) -> None:
    client = PeerEvidence(Direction.ACCEPTED, LinkKind.CLIENT, ("2001:db8::7", 40000), ("2001:db8::1", 5061))
    verdict = judge(client, net.policy(LinkKind.CLIENT), at=NOON)
    assert verdict.accepted
    assert verdict.peer is None
    assert verdict.subject == "[2001:db8::7]:40000"


def test_a_client_whose_handshake_failed_is_refused(net: Network) -> None:
    policy = net.policy(LinkKind.CLIENT)
    assert verdict_on(None, policy, failure=HandshakeFailure("not-tls", "REGISTER")).code is Code.NOT_TLS


def test_verdict_has_peer_names_and_relied_on_certificates(net: Network) -> None:
    facts = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519MLKEM768")
    shown = net.fe2_certificate()
    verdict = verdict_on(shown, net.policy(), tls=facts)
    assert (verdict.subject, verdict.proved, verdict.peer) == (FE2, frozenset({FE2}), net.fe2)
    assert verdict.tls == facts
    held = shown.certificate
    assert (held.issuer.public_bytes(), held.serial_number) in verdict.relied_on
    assert verdict.ends == held.not_valid_after_utc
    assert verdict.seen is not None
    assert f"URI:sip:{FE2}" in verdict.seen.names
    assert finding(verdict, "handshake").saw == "TLSv1.3 TLS_AES_256_GCM_SHA384"


def test_a_partner_without_edge_is_known_by_the_domain_it_proved(net: Network) -> None:
    verdict = verdict_on(net.forge.server(net.alpha_ca, "alpha2.test"), net.policy(PARTNER))
    assert verdict.subject == "alpha2.test"


def test_several_faults_are_all_reported(net: Network) -> None:
    shown = net.forge.server(net.ours, BOT, key=KeyKind.RSA_1024, ends=-DAY)
    verdict = verdict_on(shown, net.policy())
    assert {held.check for held in verdict.failed} >= {"validity", "key", "role", "second-engine"}
    assert verdict.code is Code.EXPIRED


def test_foreign_name_is_listed_and_never_used(net: Network) -> None:
    verdict = verdict_on(net.alpha_certificate("www.test"), net.policy(PARTNER))
    assert "www.test" in finding(verdict, "scope").saw
    assert verdict.proved == {ALPHA}


def test_nearest_name_is_reported_for_an_unknown_name(net: Network) -> None:
    verdict = verdict_on(net.forge.server(net.ours, "fe22.example.test"), net.policy())
    assert f"the nearest name is {FE2}" in finding(verdict, "topology").saw
    assert any(FE2 in remedy for remedy in verdict.remedies)


def test_instant_without_timezone_is_a_value_error(net: Network) -> None:
    policy = net.policy()
    with pytest.raises(ValueError, match="timezone"):
        judge(evidence(net.fe2_certificate(), policy), policy, at=datetime(2026, 3, 1))  # noqa: DTZ001 - the mistake


def test_more_certificates_than_any_chain_has_are_refused(net: Network) -> None:
    shown = net.fe2_certificate().presented
    policy = net.policy()
    assert verdict_on(None, policy, presented=shown + shown[1:] * (PRESENTED - 1)).accepted
    assert verdict_on(None, policy, presented=shown + shown[1:] * PRESENTED).code is Code.MALFORMED_CERTIFICATE


def test_every_refusal_code_is_in_the_priority() -> None:
    of_messages = {Code.FROM_NOT_ALLOWED, Code.ASSERTION_NOT_ALLOWED, Code.NOT_AUTHENTICATED}
    of_messages |= {Code.NO_ROUTE, Code.OTHER_HOME, Code.MEDIA_NOT_ENCRYPTED, Code.MEDIA_UNREADABLE}
    of_messages |= {Code.MEDIA_NOT_BRIDGED}
    of_messages |= {Code.IDENTITY_MISSING, Code.IDENTITY_INVALID}
    assert set(PRIORITY) == set(Code) - of_messages - {Code.ACCEPTED}


NET = Network()
POLICIES = (NET.policy(), NET.policy(PARTNER), _to_fe2(NET), _to_alpha(NET))
SHOWN = (NET.fe2_certificate(), NET.alpha_certificate("alpha2.test"), NET.forge.server(None, FE1))


@examples(300)
@given(
    shown=st.sampled_from(SHOWN),
    policy=st.sampled_from(POLICIES),
    depth=st.integers(0, 1),
    at=st.integers(0, 2000),
    byte=st.integers(0, 255),
    cut=st.integers(0, 3),
)
def test_judge_never_raises_and_never_accepts_a_mutated_chain(
    shown: Forged, policy: LinkPolicy, depth: int, at: int, byte: int, cut: int
) -> None:
    presented = list(shown.presented)
    depth = min(depth, len(presented) - 1)
    der = presented[depth]
    at %= len(der)
    presented[depth] = der[:at] + bytes([byte]) + der[at + 1 + cut :]
    verdict = judge(evidence(None, policy, presented=tuple(presented)), policy, at=NOON)
    assert presented[depth] == der or not verdict.accepted
    assert verdict.findings


@given(chain=st.lists(st.binary(max_size=64), max_size=4), code=st.integers(-1, 200), depth=st.integers(0, 9))
def test_judge_never_raises_over_bytes_that_are_no_certificates(chain: list[bytes], code: int, depth: int) -> None:
    seen = evidence(None, POLICIES[0], presented=tuple(chain), engine_errors=(EngineError(depth, code, "?"),))
    assert not judge(seen, POLICIES[0], at=NOON).accepted


def test_cached_acceptance_covers_neither_expiry_nor_a_failed_handshake(net: Network) -> None:
    """The cache saves the path check of the next link, and no check of what can change."""
    held = Judge(net.policy())
    shown = net.fe2_certificate()
    first = verdict_on(shown, held)
    assert len(held.cache) == 1
    assert verdict_on(shown, held) == first
    assert repr(held).startswith("<Judge under ")
    late = verdict_on(shown, held, after=timedelta(days=400))
    assert late.code is Code.EXPIRED
    failed = verdict_on(shown, held, failure=HandshakeFailure("handshake-timeout", "5 s"))
    assert failed.code == "handshake-timeout"


def test_acceptance_of_an_existing_link_is_not_cached(net: Network) -> None:
    """A live link is kept under an expired CRL, under which a new link is refused."""
    held, shown = Judge(net.policy()), net.fe2_certificate()
    assert held.judge(evidence(shown, held), at=NOON, live=True).accepted
    assert len(held.cache) == 0


def test_check_that_cannot_read_the_certificate_refuses(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule R12: an error of the certificate is a refusal, and not an exception."""

    def unreadable(_evaluation: Evaluation) -> None:
        raise ValueError("no such curve")

    monkeypatch.setattr("sipmesh.trust.judgement.judge.CHECKS", {**CHECKS, "key": unreadable})
    verdict = verdict_on(net.fe2_certificate(), net.policy())
    assert verdict.code is Code.MALFORMED_CERTIFICATE
    assert verdict.reason is not None
    assert verdict.reason.saw == "no such curve"
