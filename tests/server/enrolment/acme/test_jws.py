"""JWS of ACME: flattened JSON, read strictly, and signed with the only algorithm of the key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sipmesh.server.enrolment.acme.jwk import Jwk
from sipmesh.server.enrolment.acme.jws import Jws
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.sip import base64url
from support.acme_client import jwk, jws
from support.enrolling import new_key

KEY = new_key()
HEADER = {"alg": "ES256", "nonce": "n", "url": "https://a.test/x", "jwk": jwk(KEY)}


def octets(parts: dict[str, Any]) -> bytes:
    return json.dumps(parts).encode()


def test_signed_request_is_read_and_its_signature_verified() -> None:
    found = Jws.read(octets(jws(HEADER, {"a": 1}, KEY)))
    assert (found.url, found.kid, found.members()) == ("https://a.test/x", None, {"a": 1})
    found.must_be_signed_by(Jwk.read(jwk(KEY)))
    with pytest.raises(AcmeProblemError, match="not one of its key"):
        found.must_be_signed_by(Jwk.read(jwk(new_key())))


@pytest.mark.parametrize(
    "given",
    [
        b"[]",
        b"{",
        b'{"payload": "", "payload": "", "protected": "", "signature": ""}',
        octets({**jws(HEADER, {}, KEY), "header": {}}),
        octets({**jws(HEADER, {}, KEY), "signature": "="}),
        octets({**jws(HEADER, {}, KEY), "signature": "é"}),
        octets({**jws(HEADER, {}, KEY), "protected": base64url.encode(b"[]")}),
        octets({**jws({**HEADER, "crit": ["b64"]}, {}, KEY)}),
        7,
        None,
    ],
)
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(AcmeProblemError) as refused:
        Jws.read(given)
    assert (refused.value.kind, refused.value.status) == ("malformed", 400)


@pytest.mark.parametrize("wrong", [{"kid": "k"}, {"jwk": None}, {"jwk": None, "kid": 7}])
def test_key_is_named_in_exactly_one_way(wrong: dict[str, object]) -> None:
    header = {name: value for name, value in {**HEADER, **wrong}.items() if value is not None}
    with pytest.raises(AcmeProblemError, match=r"jwk and kid|not text"):
        _ = Jws.read(jws(header, {}, KEY)).kid


def test_algorithm_is_that_of_the_key_and_a_mac_is_hs256() -> None:
    for alg, kind in (("none", "badSignatureAlgorithm"), ("HS256", "badSignatureAlgorithm"), ("ES384", "malformed")):
        with pytest.raises(AcmeProblemError) as refused:
            Jws.read(jws({**HEADER, "alg": alg}, {}, KEY)).must_be_signed_by(Jwk.read(jwk(KEY)))
        assert refused.value.kind == kind
    bound = Jws.read(jws({"alg": "HS256", "kid": "k", "url": 7}, {}, b"secret"))
    bound.must_have_mac_of(b"secret")
    assert bound.url == ""
    for found, key in ((bound, b"other"), (Jws.read(jws({"alg": "HS512"}, {}, b"secret")), b"secret")):
        with pytest.raises(AcmeProblemError, match="has not the MAC"):
            found.must_have_mac_of(key)
