"""What is remembered of a token."""

from __future__ import annotations

from sipmesh.server.openid.token_digest import digest_of, session_hash


def test_digest_differs_for_each_token_and_takes_any_text() -> None:
    assert len({digest_of("a"), digest_of("b"), digest_of("\udcff")}) == 3
    assert digest_of("a") == digest_of("a")


def test_digest_is_that_of_what_is_signed() -> None:
    assert digest_of("head.claims.one") == digest_of("head.claims.one==") != digest_of("head.others.one")
    assert digest_of(".a") != digest_of(".b")


def test_no_session_has_no_hash() -> None:
    assert session_hash("") == ""
    assert session_hash("s1") != session_hash("s2")
