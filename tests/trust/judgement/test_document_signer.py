"""The signers of documents: each property is changed in turn, with an unchanged control beside each change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.demo.forge import Forged, KeyKind, Wish
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import EngineError
from sipmesh.trust.judgement.document_signer import CHECKS, SignerVerdict, judge_signer
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from trust.network import FE1, NOON, Network

MG1, MG2 = "mg1.example.test", "mg2.example.test"
MANAGERS = (MG1, MG2)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
ANY, SERVER, CLIENT = (
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
)
WISH = Wish(MG1, dns=(MG1,), usages=(DOCUMENT_SIGNING,), ends=90 * DAY)


class Office:
    """The signer, its authority, and the verdict."""

    def __init__(self) -> None:
        self.network = Network()
        self.authority = self.network.authority("Example", self.network.ours)

    def signer(self, issuer: Forged | None = None, **changes: Any) -> Forged:
        """A valid signer for mg1, with *issuer* and *changes*."""
        return self.network.forge.forge(WISH, issuer or self.network.ours, **changes)

    def judge(self, shown: Forged, authority: Authority | None = None, *, at: datetime = NOON) -> SignerVerdict:
        authority = authority or self.authority
        said = path_errors(shown.chain, authority.anchors, at)
        return judge_signer(shown.presented, authority, MANAGERS, at=at, engine_errors=said)


@pytest.fixture(name="office", scope="module")
def _office() -> Office:
    return Office()


def refused(belief: SignerVerdict, code: Code, check: str) -> None:
    """It is refused for this reason, and the check that has to see it did."""
    assert (belief.is_trusted, belief.code, belief.name) == (False, code, "")
    failed = [one for one in belief.findings if not one.passed]
    assert check in [one.check for one in failed if one.judged]
    assert belief.reasons
    assert belief.remedies


def test_signer_of_a_management_server_is_accepted_by_name(office: Office) -> None:
    belief = office.judge(office.signer())
    assert (belief.is_trusted, belief.code, belief.name, belief.reasons) == (True, Code.ACCEPTED, MG1, ())
    assert [one.check for one in belief.findings] == list(CHECKS)
    assert belief.findings[10].saw == MG1


def test_signer_issued_by_our_ca_is_accepted(office: Office) -> None:
    """Capitals in a name are no other name (RFC 4343)."""
    assert office.judge(office.signer(dns=("MG1.Example.test",))).name == MG1
    assert office.judge(office.signer(dns=(MG2,), common_name=MG2)).name == MG2


def test_server_certificate_is_refused_as_signer(office: Office) -> None:
    """Not even that of the management server itself: a server's key is in use on every link."""
    refused(office.judge(office.network.forge.server(office.network.ours, MG1)), Code.AMBIGUOUS_IDENTITY, "usage")
    refused(office.judge(office.network.forge.server(office.network.ours, FE1)), Code.AMBIGUOUS_IDENTITY, "usage")
    refused(office.judge(office.signer(usages=(SERVER, CLIENT))), Code.WRONG_USAGE, "usage")


def test_signer_with_a_sip_uri_is_refused(office: Office) -> None:
    refused(office.judge(office.signer(uris=(f"sip:{MG1}",))), Code.AMBIGUOUS_IDENTITY, "name")


def test_signer_of_another_ca_is_refused(office: Office) -> None:
    """The CA of a partner is accepted for the partner's links, and never for our documents."""
    alpha = office.signer(office.network.alpha_ca)
    refused(office.judge(alpha), Code.UNTRUSTED_ISSUER, "issuer")
    refused(office.judge(office.signer(office.network.stranger)), Code.UNTRUSTED_ISSUER, "issuer")
    assert office.judge(alpha, office.network.authority("Alpha", office.network.alpha_ca)).is_trusted


def test_signer_that_signs_itself_is_refused(office: Office) -> None:
    refused(office.judge(office.network.forge.forge(WISH)), Code.UNTRUSTED_ISSUER, "issuer")


def test_signer_without_its_issuing_ca_in_the_chain_is_refused(office: Office) -> None:
    shown = office.signer().presented
    assert judge_signer(shown, office.authority, MANAGERS, at=NOON, engine_errors=()).is_trusted
    alone = judge_signer(shown[:1], office.authority, MANAGERS, at=NOON, engine_errors=())
    refused(alone, Code.UNTRUSTED_ISSUER, "issuer")


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (timedelta(0), Code.ACCEPTED),
        (90 * DAY, Code.ACCEPTED),
        (90 * DAY + SECOND, Code.EXPIRED),
        (-timedelta(minutes=5), Code.ACCEPTED),
        (-timedelta(minutes=5) - SECOND, Code.NOT_YET_VALID),
    ],
)
def test_signer_is_accepted_within_its_validity_only(office: Office, after: timedelta, code: Code) -> None:
    """The lists are those of the day, so that only the signer's own time is asked for."""
    forge = office.network.forge
    assert office.network.ours.issuer is not None
    issuers = (office.network.ours.issuer, office.network.ours)
    week = [forge.revocations(one, begins=after - DAY, ends=after + DAY) for one in issuers]
    dated = replace(office.authority, lists=RevocationLists(map(RevocationList.load, week)))
    belief = office.judge(office.signer(), dated, at=NOON + after)
    if code is Code.ACCEPTED:
        assert belief.is_trusted
    else:
        assert belief.code is code
        assert "validity" in [one.check for one in belief.findings if not one.passed]


def test_expired_issuing_ca_refuses_its_signers(office: Office) -> None:
    assert office.network.ours.issuer is not None
    ending = office.network.forge.authority("Ending CA", office.network.ours.issuer, ends=DAY)
    authority = office.network.authority("Example", ending)
    assert office.judge(office.signer(ending), authority).is_trusted
    refused(office.judge(office.signer(ending), authority, at=NOON + DAY + SECOND), Code.EXPIRED, "validity")


def test_revoked_signer_is_refused(office: Office) -> None:
    former, other = office.signer(), office.signer()
    listed = office.network.authority("Example", office.network.ours, former)
    refused(office.judge(former, listed), Code.REVOKED, "revocation")
    assert office.judge(other, listed).is_trusted


def test_revoked_issuing_ca_refuses_its_signers(office: Office) -> None:
    ours = office.network.ours
    assert ours.issuer is not None
    forge = office.network.forge
    lists = [forge.revocations(ours.issuer, [ours]), forge.revocations(ours)]
    listed = replace(office.authority, lists=RevocationLists(map(RevocationList.load, lists)))
    refused(office.judge(office.signer(), listed), Code.REVOKED, "revocation")


@pytest.mark.parametrize("missing", ["root", "issuing", "both"])
def test_missing_crl_refuses_the_signer(office: Office, missing: str) -> None:
    ours = office.network.ours
    assert ours.issuer is not None
    held = {"root": ours.issuer, "issuing": ours}
    lists = [office.network.forge.revocations(one) for name, one in held.items() if missing not in {name, "both"}]
    lacking = replace(office.authority, lists=RevocationLists(map(RevocationList.load, lists)))
    refused(office.judge(office.signer(), lacking), Code.REVOCATION_UNKNOWN, "revocation")


def test_crl_is_accepted_until_its_next_update_to_the_second(office: Office) -> None:
    week = NOON + 7 * DAY
    assert office.judge(office.signer(), at=week).is_trusted
    refused(office.judge(office.signer(), at=week + SECOND), Code.REVOCATION_UNKNOWN, "revocation")


def test_crl_signed_with_another_key_is_ignored(office: Office) -> None:
    ours, forge = office.network.ours, office.network.forge
    assert ours.issuer is not None
    other = ec.generate_private_key(ec.SECP256R1())
    lists = [forge.revocations(ours.issuer), forge.revocations(ours, key=other)]
    forged = replace(office.authority, lists=RevocationLists(map(RevocationList.load, lists)))
    refused(office.judge(office.signer(), forged), Code.REVOCATION_UNKNOWN, "revocation")


@pytest.mark.parametrize(
    "name", [FE1, "mg3.example.test", "example.test", "x.mg1.example.test", "mg1.example.test.evil.test"]
)
def test_name_that_is_no_management_server_is_refused(office: Office, name: str) -> None:
    """A former one included: its certificate may be good for months."""
    belief = office.judge(office.signer(dns=(name,), common_name=MG1))
    refused(belief, Code.NOT_IN_TOPOLOGY, "name")
    assert name in belief.reasons[0]


def test_without_management_servers_every_signer_is_refused(office: Office) -> None:
    belief = judge_signer(office.signer().presented, office.authority, (), at=NOON, engine_errors=())
    refused(belief, Code.NOT_IN_TOPOLOGY, "name")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dns": ()}, Code.NO_SIP_IDENTITY),
        ({"dns": ("*.example.test",)}, Code.NO_SIP_IDENTITY),
        ({"dns": ("",)}, Code.NO_SIP_IDENTITY),
        ({"dns": (), "uris": (f"sip:{MG1}",)}, Code.NO_SIP_IDENTITY),
        ({"dns": (), "uris": (f"https://{MG1}/",)}, Code.NO_SIP_IDENTITY),
        ({"dns": MANAGERS}, Code.AMBIGUOUS_IDENTITY),
        ({"dns": (MG1, FE1)}, Code.AMBIGUOUS_IDENTITY),
        ({"dns": (MG1, MG1)}, Code.AMBIGUOUS_IDENTITY),
    ],
)
def test_common_name_is_ignored_and_one_dns_name_is_required(
    office: Office, changes: dict[str, Any], code: Code
) -> None:
    """Every one of them has the common name of a management server."""
    refused(office.judge(office.signer(**changes)), code, "name")


def test_ca_certificate_is_refused_as_signer(office: Office) -> None:
    refused(office.judge(office.signer(ca=True)), Code.NOT_A_LEAF, "leaf")
    refused(office.judge(office.signer(cert_sign=True)), Code.NOT_A_LEAF, "leaf")


@pytest.mark.parametrize(
    ("usages", "saw"),
    [
        ((), "no extended key usage"),
        ((ANY,), "anyExtendedKeyUsage"),
        ((SERVER,), "serverAuth"),
        ((DOCUMENT_SIGNING, ANY), "documentSigning, anyExtendedKeyUsage"),
        ((DOCUMENT_SIGNING, CLIENT), "documentSigning, clientAuth"),
        ((DOCUMENT_SIGNING, DOCUMENT_SIGNING), "documentSigning, documentSigning"),
        ((ExtendedKeyUsageOID.CODE_SIGNING,), "codeSigning"),
    ],
)
def test_document_signing_must_be_the_only_usage(office: Office, usages: tuple[Any, ...], saw: str) -> None:
    belief = office.judge(office.signer(usages=usages))
    refused(belief, Code.WRONG_USAGE, "usage")
    assert belief.reasons[0].endswith(f"saw {saw}")


@pytest.mark.parametrize("changes", [{"digital_signature": False}, {"with_key_usage": False}])
def test_key_must_be_for_signatures(office: Office, changes: dict[str, Any]) -> None:
    refused(office.judge(office.signer(**changes)), Code.WRONG_USAGE, "usage")


def test_issuing_ca_limited_to_servers_cannot_issue_signers(office: Office) -> None:
    ours = office.network.ours
    assert ours.issuer is not None
    tls = office.network.forge.authority("TLS CA", ours.issuer, usages=(SERVER, CLIENT))
    both = office.network.forge.authority("Both CA", ours.issuer, usages=(SERVER, DOCUMENT_SIGNING))
    refused(office.judge(office.signer(tls), office.network.authority("Example", tls)), Code.WRONG_USAGE, "usage")
    assert office.judge(office.signer(both), office.network.authority("Example", both)).is_trusted


def test_issuer_that_is_not_a_ca_or_exceeds_the_path_length_is_refused(office: Office) -> None:
    leaf = office.network.fe2_certificate()
    refused(office.judge(office.signer(leaf)), Code.UNTRUSTED_ISSUER, "issuing")
    deep = office.network.forge.authority("Sub CA", office.network.ours)
    authority = office.network.authority("Example", office.network.ours, below=deep)
    refused(office.judge(office.signer(deep), authority), Code.UNTRUSTED_ISSUER, "issuing")


def test_name_constraints_apply_to_signers(office: Office) -> None:
    ours = office.network.ours
    assert ours.issuer is not None
    for permitted, believed in (("example.test", True), ("other.test", False)):
        narrow = office.network.forge.authority("Narrow CA", ours.issuer, permitted=(x509.DNSName(permitted),))
        belief = office.judge(office.signer(narrow), office.network.authority("Example", narrow))
        assert belief.is_trusted is believed
        assert believed or belief.code is Code.ISSUER_NOT_FOR_THIS_NAME


def test_weak_key_is_refused(office: Office) -> None:
    assert office.judge(office.signer(key=KeyKind.RSA_2048)).is_trusted
    refused(office.judge(office.signer(key=KeyKind.RSA_1024)), Code.WEAK_KEY, "key")


def test_unknown_critical_extension_is_refused(office: Office) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    assert office.judge(office.signer(extra=(unknown,))).is_trusted
    refused(office.judge(office.signer(critical=(unknown,))), Code.MALFORMED_CERTIFICATE, "issuing")


def test_refusal_of_one_engine_is_enough(office: Office) -> None:
    shown, said = office.signer().presented, (EngineError(0, 10, "certificate has expired"),)
    belief = judge_signer(shown, office.authority, MANAGERS, at=NOON, engine_errors=said)
    refused(belief, Code.EXPIRED, "engine")


@pytest.mark.parametrize("chain", [(), (b"",), (b"\x30\x00",), (b"nonsense", b"nonsense")])
def test_malformed_chain_is_refused(office: Office, chain: tuple[bytes, ...]) -> None:
    belief = judge_signer(chain, office.authority, MANAGERS, at=NOON, engine_errors=())
    refused(belief, Code.MALFORMED_CERTIFICATE if chain else Code.NO_CERTIFICATE, "certificate")


def test_chain_that_is_too_long_is_refused(office: Office) -> None:
    shown = office.signer().presented
    long = (*shown, *[shown[1]] * 40)
    belief = judge_signer(long, office.authority, MANAGERS, at=NOON, engine_errors=())
    refused(belief, Code.MALFORMED_CERTIFICATE, "certificate")


def test_authority_without_anchors_refuses_every_signer(office: Office) -> None:
    empty = Authority("Example", (), office.authority.lists)
    refused(office.judge(office.signer(), empty), Code.UNTRUSTED_ISSUER, "issuer")


def test_all_faults_are_reported_together(office: Office) -> None:
    shown = office.signer(dns=(FE1,), usages=(SERVER,), ca=True)
    belief = office.judge(shown, office.network.authority("Example", office.network.ours, shown))
    failed = {one.check for one in belief.findings if not one.passed}
    assert {"leaf", "name", "usage", "revocation"} <= failed
    assert len(belief.reasons) == len([one for one in belief.findings if not one.passed])
    assert belief.reasons[0].startswith("revocation")


def test_instant_needs_a_timezone(office: Office) -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="timezone"):
        judge_signer(office.signer().presented, office.authority, MANAGERS, at=naive, engine_errors=())
    assert office.judge(office.signer(), at=NOON.astimezone(timezone(timedelta(hours=9)))).is_trusted


def test_verdict_has_no_truth_value(office: Office) -> None:
    with pytest.raises(TypeError, match=r"\.is_trusted"):
        bool(office.judge(office.signer()))
    assert not SignerVerdict(Code.ACCEPTED, (), NOON).is_trusted


def test_device_issuing_ca_makes_no_signer(office: Office) -> None:
    authority = office.network.authority("Example", office.network.ours, below=office.network.devices)
    refused(office.judge(office.signer(office.network.devices), authority), Code.DEVICE_CERTIFICATE, "devices")
    assert office.judge(office.signer(), authority).is_trusted
