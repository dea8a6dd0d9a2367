"""The OCSP answers that OpenSSL is tested with, through the check that links call."""

from __future__ import annotations

import pytest

from conformance.ocsp_cases import CASES, OF_2012, cases

pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"no suite at {CASES}; set SIPMESH_SUITES")

# What each kind of fault must be refused for: a part of the case's name, and of the finding.
FAULTS = {
    "invalid_response_signature": "signature is not valid|neither the issuer nor its delegate",
    "wrong_responder_id": "neither the issuer nor its delegate",
    "wrong_issuer_name_hash": "no OCSP response",
    "wrong_issuer_key_hash": "no OCSP response",
    "wrong_key_in_signing_cert": "neither the issuer nor its delegate|not delegated",
    "signature_on_signing_cert": "not delegated",
    "stale": "expired at 2012",
}


def test_each_case_of_2012_comes_out_right_on_the_terms_of_its_time() -> None:
    assert {case.name: case.refusal(OF_2012) == "" for case in cases()} == {case.name: case.good for case in cases()}


def test_each_bad_answer_is_refused_for_its_own_fault() -> None:
    for case in cases():
        if not case.good:
            (wanted,) = [words for key, words in FAULTS.items() if key in case.name]
            assert any(word in case.refusal(OF_2012) for word in wanted.split("|")), case.name


def test_no_link_believes_any_of_them_for_they_are_signed_over_sha1() -> None:
    """A collision in SHA-1 costs little by now, and an attacker who finds one turns "revoked" into "good"."""
    assert all(case.refusal() for case in cases())
    assert all("sha1" in case.refusal() for case in cases() if case.good)
