"""A stapled response adds a status, and a certificate can demand one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from sipmesh.demo.forge import Forge
from sipmesh.trust.code import Code
from sipmesh.trust.revocation.ocsp import LARGEST, OcspAnswer, OcspAnswers, standing
from sipmesh.trust.revocation.staple import beside_staple, demands_staple, staple_fault
from support.publisher import Responder

NOW = datetime.now(UTC)
FORGE = Forge(NOW)
CA = FORGE.organisation("Example")
LEAF = FORGE.server(CA, "fe1.example.test")
PAIR = (LEAF.certificate, CA.certificate)
NO_GRACE = timedelta(0)


def response(status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD) -> bytes:
    asked = ocsp.OCSPRequestBuilder().add_certificate(*PAIR, hashes.SHA256()).build().public_bytes(Encoding.DER)
    return Responder(CA, status, known=[LEAF.certificate]).answer(ocsp.load_der_ocsp_request(asked))


def code_of(answers: OcspAnswers) -> Code | None:
    return standing(answers.find(*PAIR), at=datetime.now(UTC), grace=NO_GRACE)[1]


def test_stapled_response_takes_back_no_revocation() -> None:
    fetched = OcspAnswers([OcspAnswer.load(response(ocsp.OCSPCertStatus.REVOKED))])
    assert code_of(beside_staple(fetched, response())) is Code.REVOKED
    assert code_of(beside_staple(OcspAnswers(), response())) is None
    good = OcspAnswers([OcspAnswer.load(response())])
    assert code_of(beside_staple(good, response(ocsp.OCSPCertStatus.REVOKED))) is Code.REVOKED


@pytest.mark.parametrize("stapled", [b"", b"x", bytes(LARGEST + 1)])
def test_unreadable_response_is_a_fault_and_the_others_count(stapled: bytes) -> None:
    made = beside_staple(OcspAnswers([OcspAnswer.load(response())]), stapled)
    assert code_of(made) is None
    assert made.faults[0].startswith("stapled: ")


def test_certificate_demands_a_staple_by_the_feature_status_request_alone() -> None:
    feature = x509.TLSFeatureType
    made = {name: FORGE.server(CA, "a.test", extra=(x509.TLSFeature([name]),)) for name in feature}
    assert demands_staple(made[feature.status_request].certificate)
    assert not demands_staple(made[feature.status_request_v2].certificate)
    assert not demands_staple(LEAF.certificate)


def test_fault_of_a_staple_says_what_is_wrong() -> None:
    good, revoked = response(), response(ocsp.OCSPCertStatus.REVOKED)
    now = datetime.now(UTC)
    assert staple_fault(good, *PAIR, now, NO_GRACE) == ""
    assert staple_fault(b"", *PAIR, now, NO_GRACE) == "no OCSP response is stapled"
    assert "expired" in staple_fault(good, *PAIR, now + timedelta(days=2), NO_GRACE)
    assert "revoked" in staple_fault(revoked, *PAIR, now, NO_GRACE)
