"""The token of a REGISTER, and the challenge that offers tokens."""

from __future__ import annotations

import pytest

from sipmesh.sip.bearer import bearer_challenge, bearer_of, is_bearer
from sipmesh.sip.message import Request, build_request


def request(*values: str, method: str = "REGISTER") -> Request:
    headers = [("from", "<sip:a@e.test>;tag=1"), ("to", "<sip:a@e.test>"), ("call-id", "1"), ("cseq", f"1 {method}")]
    rows = [("via", "SIP/2.0/TLS h;branch=z9hG4bK1"), *headers, *(("authorization", value) for value in values)]
    return build_request(method, "sip:e.test", rows)


@pytest.mark.parametrize("value", ["Bearer a.b.c", "bearer a.b.c", "  BEARER   a.b.c  "])
def test_scheme_is_read_in_any_case(value: str) -> None:
    assert (bearer_of(request(value)), is_bearer(value)) == ("a.b.c", True)


@pytest.mark.parametrize("value", ["Digest a.b.c", "Bearera.b.c", "Bearer=a", ""])
def test_other_schemes_are_no_token(value: str) -> None:
    assert not is_bearer(value)


def test_token_beside_digest_credentials_is_found_among_the_first_four() -> None:
    digest = 'Digest username="a", realm="e", nonce="n", uri="sip:e", response="r"'
    assert bearer_of(request(digest, "Bearer a.b.c")) == "a.b.c"
    assert bearer_of(request(*[digest] * 4, "Bearer a.b.c")) is None
    assert bearer_of(request(digest)) is None


def test_token_counts_in_a_register_alone() -> None:
    assert bearer_of(request("Bearer a.b.c", method="MESSAGE")) is None


def test_challenge_names_the_provider_and_a_refused_token() -> None:
    assert bearer_challenge("https://id.test", failed=False)[1] == 'Bearer scope="sip", authz_server="https://id.test"'
    assert bearer_challenge("https://id.test", failed=True)[1].endswith(', error="invalid_token"')
