"""Which challenges of a trunk are answered."""

from __future__ import annotations

import pytest

from sipmesh.routing.numbers.trunk_login import TrunkLogin, challenges
from sipmesh.sip.digest import Algorithm
from sipmesh.sip.message import Response, build_request, respond

STRONG = TrunkLogin("alice", "a.test", "a.test", "secrets/a")
WEAK = TrunkLogin("alice", "a.test", "a.test", "secrets/a", Algorithm.MD5)


def challenging(*values: str, status: int = 407, name: str = "proxy-authenticate") -> Response:
    headers = [("from", "<sip:a@b.test>;tag=1"), ("to", "<sip:a@b.test>"), ("call-id", "1"), ("cseq", "1 INVITE")]
    return respond(
        build_request("INVITE", "sip:a@b.test", headers), status, headers=[(name, value) for value in values]
    )


def digest(algorithm: str = "SHA-256", realm: str = "a.test", qop: str = ', qop="auth"') -> str:
    return f'Digest realm="{realm}", nonce="n", algorithm={algorithm}{qop}'


@pytest.mark.parametrize(
    ("login", "value", "answered"),
    [
        (STRONG, digest(), True),
        (STRONG, digest("MD5"), False),
        (STRONG, digest(realm="b.test"), False),
        (STRONG, digest(qop=""), False),
        (STRONG, digest(qop=', qop="auth-int"'), False),
        (WEAK, digest("MD5"), True),
        (WEAK, digest("MD5", qop=""), True),
        (WEAK, digest("MD5", qop=', qop="auth-int"'), False),
        (WEAK, digest(), False),
        (STRONG, 'Basic realm="a.test"', False),
        (STRONG, "Digest nothing", False),
    ],
)
def test_challenge_is_answered_in_one_realm_with_one_algorithm(
    login: TrunkLogin, value: str, *, answered: bool
) -> None:
    assert (login.challenge_in(challenging(value)) is not None) is answered


def test_right_challenge_among_others_is_found() -> None:
    found = STRONG.challenge_in(challenging(digest(realm="b.test"), digest("MD5"), digest()))
    assert found is not None
    assert found.algorithm is Algorithm.SHA_256


def test_field_of_a_challenge_is_that_of_its_status() -> None:
    assert challenges(challenging(digest(), status=401)) == []
    assert challenges(challenging(digest(), status=403)) == []
    assert challenges(challenging(digest(), status=401, name="www-authenticate")) != []


def test_flaw_names_what_came_and_what_was_wanted() -> None:
    flaw = STRONG.flaw_of(challenging(digest("MD5", realm="b.test")))
    assert flaw == "realm 'b.test' with MD5, in place of realm a.test with SHA-256 and qop auth"
    assert STRONG.flaw_of(challenging()).startswith("no digest, in place of")
