"""Digest: credentials and challenges are read alike by the fast and the full reader, and an answer proves the password."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from fuzz.target import Target, require
from sipmesh.errors import RemoteError
from sipmesh.sip.digest import (
    Algorithm,
    Credentials,
    DigestChallenge,
    Nonces,
    NonceState,
    answer,
    challenge_values,
    ha1,
    is_digest,
    parse_challenge,
    realm_of_credentials,
    verify,
)
from sipmesh.sip.text import LWS, text_of

NONCES: Final = Nonces(b"k" * 16, 60.0)
_FULL: Final = ' , zz="\\z"'
"""A field that only the full reader reads: with it, the same text takes the other way."""


def check(data: bytes) -> None:
    """Read *data* as credentials and as a challenge."""
    value = text_of(data).strip(LWS)
    _check_credentials(value)
    with suppress(RemoteError):
        _check_challenge(parse_challenge(value))


def _check_credentials(value: str) -> None:
    try:
        read = Credentials.parse(value)
    except RemoteError:
        return
    require(is_digest(value), "credentials of another scheme")
    require(realm_of_credentials(value) == read.realm, "another realm")
    if "zz" not in value:
        require(Credentials.parse(value + _FULL) == read, "the fast and the full reader disagree")
    hashed = ha1("alice", read.realm, "a password", read.algorithm or Algorithm.MD5)
    require(not verify(read, "MESSAGE", hashed), "a forged response")
    require(NONCES.judge(read.nonce, read.nc, 1.0, 1) is NonceState.FORGED, "a forged nonce")


def _check_challenge(challenge: DigestChallenge) -> None:
    """Our answer to any challenge is read back, and proves the password if the challenge asks for auth."""
    written = answer([challenge], "alice", "secret", "MESSAGE", "sip:example.test", "c", 1)
    read = Credentials.parse(written)
    require((read.realm, read.nonce, read.opaque) == (challenge.realm, challenge.nonce, challenge.opaque), "read back")
    if challenge.qop and read.algorithm is not None:
        require(
            verify(read, "MESSAGE", ha1("alice", read.realm, "secret", read.algorithm)), "the password is not proved"
        )


CHALLENGE: Final = challenge_values("example.test", "bm9uY2U=", [Algorithm.SHA_256], stale=True)[0]

TARGET: Final = Target(
    name="digest",
    holds="raises RemoteError only; both readers agree; nothing forged is accepted; an answer proves the password",
    check=check,
    seeds=(
        CHALLENGE.encode(),
        answer([parse_challenge(CHALLENGE)], "alice", "x", "MESSAGE", "sip:example.test", "c", 1).encode(),
        b'Digest username="al\\"ice", realm=r, nonce="n", uri="sip:h", response="0", nc=0000000a, qop=auth, cnonce="c"',
        b'DIGEST\trealm = "a\\\\b" ,nonce="\xff", qop="auth,auth-int" , opaque=""',
        b"Basic YTpi",
    ),
    work=200,
)
