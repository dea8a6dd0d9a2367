"""The certificates of operators: each property is changed in turn, with an unchanged control beside each change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.demo.forge import Forged, KeyKind, Wish
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.judgement.document_signer import SignerVerdict
from sipmesh.trust.judgement.operator import CHECKS, judge_operator
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from trust.network import FE1, NOON, Network

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
WISH = Wish("ada", uris=("sipmesh-operator:ada",), usages=(CLIENT,), ends=DAY)


class Office:
    """An operator, our authority, and the verdict."""

    def __init__(self) -> None:
        self.network = Network()
        self.authority = self.network.authority("Example", self.network.ours)

    def operator(self, issuer: Forged | None = None, **changes: Any) -> Forged:
        """A valid operator with *issuer* and *changes*."""
        return self.network.forge.forge(WISH, issuer or self.network.ours, **changes)

    def judge(self, shown: Forged, authority: Authority | None = None, *, at: datetime = NOON) -> SignerVerdict:
        authority = authority or self.authority
        errors = path_errors(shown.chain, authority.anchors, at)
        return judge_operator(
            shown.presented, authority, at=at, engine_errors=errors, here="mgmt.example.test", grace=timedelta(0)
        )


@pytest.fixture(name="office", scope="module")
def _office() -> Office:
    return Office()


def test_operator_is_accepted_by_name(office: Office) -> None:
    verdict = office.judge(office.operator())
    assert (verdict.is_trusted, verdict.code, verdict.name, verdict.reasons) == (True, Code.ACCEPTED, "ada", ())
    assert [one.check for one in verdict.findings] == list(CHECKS)


@pytest.mark.parametrize("named", ["sipmesh-operator:ada", "sip:ada@example.test"])
def test_device_issuing_ca_makes_no_operator(office: Office, named: str) -> None:
    """A thief of its key could write each name into a certificate, and a device has the usage of an operator."""
    authority = office.network.authority("Example", office.network.ours, below=office.network.devices)
    verdict = office.judge(office.operator(office.network.devices, uris=(named,)), authority)
    assert (verdict.code, verdict.name) == (Code.DEVICE_CERTIFICATE, "")
    assert office.judge(office.operator(), authority).is_trusted


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"uris": (), "names": (FE1,), "usages": (SERVER, CLIENT)}, Code.NO_SIP_IDENTITY),
        ({"uris": (), "names": (FE1,)}, Code.NO_SIP_IDENTITY),
        ({"uris": (), "dns": ("ada",)}, Code.NO_SIP_IDENTITY),
        ({"uris": ("sip:ada@example.test",)}, Code.NO_SIP_IDENTITY),
        ({"uris": (), "extra": (x509.SubjectAlternativeName([x509.RFC822Name("ada@a.test")]),)}, Code.NO_SIP_IDENTITY),
        ({"usages": (SERVER, CLIENT)}, Code.WRONG_USAGE),
        ({"usages": (DOCUMENT_SIGNING,)}, Code.WRONG_USAGE),
        ({"usages": ()}, Code.WRONG_USAGE),
        ({"ca": True}, Code.NOT_A_LEAF),
        ({"key": KeyKind.RSA_1024}, Code.WEAK_KEY),
    ],
)
def test_certificate_of_a_server_a_user_or_a_signer_names_no_operator(
    office: Office, changes: dict[str, Any], code: Code
) -> None:
    verdict = office.judge(office.operator(**changes))
    assert (verdict.is_trusted, verdict.name) == (False, "")
    assert code in [one.code for one in verdict.findings if not one.passed]
    assert verdict.remedies


def test_operator_of_another_ca_is_refused(office: Office) -> None:
    for issuer in (office.network.alpha_ca, office.network.stranger):
        assert office.judge(office.operator(issuer)).code is Code.UNTRUSTED_ISSUER
    assert office.judge(office.network.forge.forge(WISH)).code is Code.UNTRUSTED_ISSUER


def test_operator_is_accepted_within_the_validity_only(office: Office) -> None:
    forge = office.network.forge
    assert office.network.ours.issuer is not None
    for after, code in ((DAY, Code.ACCEPTED), (DAY + SECOND, Code.EXPIRED)):
        issuers = (office.network.ours.issuer, office.network.ours)
        crls = [forge.revocations(one, begins=after - DAY, ends=after + DAY) for one in issuers]
        dated = replace(office.authority, lists=RevocationLists(map(RevocationList.load, crls)))
        assert office.judge(office.operator(), dated, at=NOON + after).code is code


def test_revoked_operator_and_one_without_a_crl_are_refused(office: Office) -> None:
    shown, forge = office.operator(), office.network.forge
    assert office.network.ours.issuer is not None
    listed = [
        forge.revocations(office.network.ours.issuer),
        forge.revocations(office.network.ours, [shown]),
    ]
    revoking = replace(office.authority, lists=RevocationLists(map(RevocationList.load, listed)))
    assert office.judge(shown, revoking).code is Code.REVOKED
    assert office.judge(office.operator(), revoking).is_trusted
    assert office.judge(shown, replace(office.authority, lists=RevocationLists())).code is Code.REVOCATION_UNKNOWN
