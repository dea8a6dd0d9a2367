"""Digest authentication: RFC 3261 section 22, RFC 7616, and SHA-256 as RFC 8760 adds it.

Pure: nonces take the instant and the entropy as arguments. The order of challenges is the caller's (measured: SHA-256
first, MD5 second suits most phones).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import split_list
from sipmesh.sip.text import HEX, LWS, ascii_lower, ascii_upper, closing_quote, is_token, quote, shown, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RULE: Final = "RFC 7616 3.4"
_SCHEME: Final = "digest"
_NC_DIGITS: Final = 8


class Algorithm(StrEnum):
    """A hash as the ``algorithm`` parameter names it."""

    MD5 = "MD5"
    SHA_256 = "SHA-256"

    def digest(self, text: str) -> str:
        """Give the hash of *text* in lower-case hex."""
        # MD5 is what most phones can do (RFC 8760 2.3 keeps it for them); TLS hides the exchange.
        name = "md5" if self is Algorithm.MD5 else "sha256"
        return hashlib.new(name, text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


_STRONGEST_FIRST: Final = (Algorithm.SHA_256, Algorithm.MD5)


def ha1(user: str, realm: str, password: str, algorithm: Algorithm) -> str:
    """Give H(user:realm:password), which is what the user store keeps; lower-case hex."""
    return algorithm.digest(f"{user}:{realm}:{password}")


def is_digest(value: str) -> bool:
    """Tell whether an Authorization or a challenge is of the Digest scheme; others count as absent (RFC 4475 3.3.7)."""
    return ascii_lower(value.lstrip(LWS)[: len(_SCHEME) + 1]).rstrip(LWS) == _SCHEME


@dataclass(frozen=True, slots=True)
class DigestChallenge:
    """A WWW-Authenticate or Proxy-Authenticate of the Digest scheme. *algorithm* is None where we do not know it."""

    realm: str
    nonce: str
    algorithm: Algorithm | None
    qop: tuple[str, ...]
    stale: bool
    opaque: str | None


def challenge_value(realm: str, nonce: str, algorithm: Algorithm, *, stale: bool) -> str:
    """Write the value of a WWW-Authenticate; *stale* asks the client to try again without asking its user."""
    tail = ", stale=true" if stale else ""
    return f'Digest realm={quote(realm)}, nonce={quote(nonce)}, algorithm={algorithm}, qop="auth"{tail}'


def parse_challenge(value: str) -> DigestChallenge:
    """Read a Digest challenge; RemoteError where it is none."""
    fields = _fields(value)
    return DigestChallenge(
        realm=_needed(fields, "realm"),
        nonce=_needed(fields, "nonce"),
        algorithm=_algorithm(fields),
        qop=tuple(ascii_lower(item) for item in split_list(fields.get("qop", ""))),
        stale=ascii_lower(fields.get("stale", "")) == "true",
        opaque=fields.get("opaque"),
    )


def realm_of_credentials(value: str) -> str:
    """Read the realm of Digest credentials; RemoteError where they cannot be read, or are of another scheme."""
    return _needed(_fields(value), "realm")


@dataclass(init=False, slots=True)
class Credentials:
    """An Authorization or Proxy-Authorization of the Digest scheme; values without their quotes. Not changed once made."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm
    cnonce: str | None
    qop: str | None
    nc: int
    opaque: str | None

    def __init__(
        self,
        username: str,
        realm: str,
        nonce: str,
        uri: str,
        response: str,
        algorithm: Algorithm,
        cnonce: str | None,
        qop: str | None,
        nc: int,
        opaque: str | None,
    ) -> None:
        self.username, self.realm, self.nonce, self.uri, self.response = username, realm, nonce, uri, response
        self.algorithm, self.cnonce, self.qop, self.nc, self.opaque = algorithm, cnonce, qop, nc, opaque

    @classmethod
    def parse(cls, value: str) -> Credentials:
        """Read credentials; RemoteError 400 where a field is missing or malformed, or the algorithm is not ours."""
        fields = _fields(value)
        algorithm = _algorithm(fields)
        if algorithm is None:
            raise RemoteError(f"an algorithm that was not offered: {shown(fields['algorithm'])}", rule=_RULE)
        return cls(
            username=_needed(fields, "username"),
            realm=_needed(fields, "realm"),
            nonce=_needed(fields, "nonce"),
            uri=_needed(fields, "uri"),
            response=_needed(fields, "response"),
            algorithm=algorithm,
            cnonce=fields.get("cnonce"),
            qop=fields.get("qop"),
            nc=_nonce_count(fields),
            opaque=fields.get("opaque"),
        )


def verify(credentials: Credentials, method: str, ha1_hex: str) -> bool:
    """Tell whether the response proves the password behind *ha1_hex* (of the credentials' own algorithm).

    ``qop=auth`` is required: without it neither the count nor the client's nonce is covered, and replay stays open. The
    comparison takes the same time whatever differs. Ask :meth:`Nonces.judge` after this said yes.
    """
    if credentials.qop != "auth" or not credentials.cnonce:
        return False
    wanted = _response(
        credentials.algorithm, ha1_hex, credentials.nonce, method, credentials.uri, credentials.cnonce, credentials.nc
    )
    return hmac.compare_digest(wanted.encode(), ascii_lower(credentials.response).encode("utf-8", "surrogateescape"))


def answer(
    challenges: Sequence[DigestChallenge], user: str, password: str, method: str, uri: str, cnonce: str, nc: int
) -> str:
    """Write the credentials for the strongest challenge we can answer; RemoteError where there is none."""
    challenge, algorithm = _strongest(challenges)
    secret = ha1(user, challenge.realm, password, algorithm)
    parts = [("username", quote(user)), ("realm", quote(challenge.realm)), ("nonce", quote(challenge.nonce))]
    parts += [("uri", quote(uri)), ("algorithm", str(algorithm))]
    if challenge.qop:
        response = _response(algorithm, secret, challenge.nonce, method, uri, cnonce, nc)
        parts += [("cnonce", quote(cnonce)), ("qop", "auth"), ("nc", f"{nc:08x}")]
    else:  # RFC 2617 3.2.1 has servers that offer no qop, and they still run
        response = algorithm.digest(f"{secret}:{challenge.nonce}:{algorithm.digest(f'{method}:{uri}')}")
    parts.append(("response", quote(response)))
    if challenge.opaque is not None:
        parts.append(("opaque", quote(challenge.opaque)))
    return "Digest " + ", ".join(f"{name}={value}" for name, value in parts)


class NonceState(Enum):
    """What a nonce that came back is worth."""

    FRESH = "fresh"  # ours, young, and its count is new
    STALE = "stale"  # ours, but too old, or no longer remembered: challenge again with stale=true
    REPLAYED = "replayed"  # ours, but this count was used
    FORGED = "forged"  # not ours, or not of this link


class Nonces:
    """Makes nonces that need no memory until they are used, and lets each count of one be used once, on one link.

    A nonce carries the instant of its making and a MAC over that and the *link* that it was given to (RFC 7616 section 5.4):
    on any other link it is forged. Only used ones are remembered, *remembered* of them at most; when one is forgotten for
    room, every nonce as old as it goes stale with it, so that none can be used twice. *key* is of one start of the server, 16
    octets or more; *lifetime_s* is in seconds, instants are seconds of one clock, which had better never be set.
    """

    __slots__ = ("_counts", "_forgotten", "_key", "_lifetime_s", "_remembered")

    def __init__(self, key: bytes, lifetime_s: float, *, remembered: int = 65536) -> None:
        self._key = hashlib.blake2b(key, digest_size=32).digest()
        self._lifetime_s = lifetime_s
        self._remembered = remembered
        self._counts: dict[bytes, tuple[int, float]] = {}  # nonce: highest count, made at; first used first
        self._forgotten = float("-inf")

    def mint(self, at: float, entropy: bytes, link: int) -> str:
        """Make a nonce for *link* at the instant *at* from 8 octets or more of *entropy*, which must never come twice."""
        made = _MADE.pack(at) + hashlib.blake2b(entropy, digest_size=_ENTROPY).digest()
        return base64.urlsafe_b64encode(made + self._mac(made, link)).decode()

    def judge(self, nonce: str, nc: int, at: float, link: int) -> NonceState:
        """Judge a nonce that came back on *link* with verified credentials, and use its count up where it is fresh."""
        raw = _decoded(nonce)
        made = raw[: _MADE.size + _ENTROPY]
        if not raw or not hmac.compare_digest(raw[len(made) :], self._mac(made, link)):
            return NonceState.FORGED
        made_at: float = _MADE.unpack_from(made)[0]
        if not made_at <= at <= made_at + self._lifetime_s or (made_at <= self._forgotten and raw not in self._counts):
            return NonceState.STALE
        if nc <= self._counts.get(raw, (0, made_at))[0]:
            return NonceState.REPLAYED
        self._counts[raw] = nc, made_at
        self._forget(at)
        return NonceState.FRESH

    def _forget(self, at: float) -> None:
        while self._counts:
            raw, (_, made_at) = next(iter(self._counts.items()))
            over = made_at + self._lifetime_s < at
            if not over and len(self._counts) <= self._remembered:
                return
            del self._counts[raw]
            if not over:
                self._forgotten = max(self._forgotten, made_at)

    def _mac(self, made: bytes, link: int) -> bytes:
        return hashlib.blake2b(made + _LINK.pack(link), key=self._key, digest_size=_MAC).digest()

    def __repr__(self) -> str:
        return f"<Nonces {len(self._counts)} of {self._remembered} remembered, {self._lifetime_s} s each>"


_MADE: Final = struct.Struct("!d")
_LINK: Final = struct.Struct("!Q")
_ENTROPY: Final = 8
_MAC: Final = 17  # with the other 16 octets a multiple of three: base64 without padding


def _decoded(nonce: str) -> bytes:
    length = _MADE.size + _ENTROPY + _MAC
    try:
        raw = base64.b64decode(nonce.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:  # binascii.Error and UnicodeEncodeError are ValueErrors
        return b""
    return raw if len(raw) == length else b""


def _response(algorithm: Algorithm, secret: str, nonce: str, method: str, uri: str, cnonce: str, nc: int) -> str:
    """RFC 7616 3.4.1 with qop=auth."""
    return algorithm.digest(f"{secret}:{nonce}:{nc:08x}:{cnonce}:auth:{algorithm.digest(f'{method}:{uri}')}")


def _strongest(challenges: Sequence[DigestChallenge]) -> tuple[DigestChallenge, Algorithm]:
    for algorithm in _STRONGEST_FIRST:
        for challenge in challenges:
            if challenge.algorithm is algorithm and (not challenge.qop or "auth" in challenge.qop):
                return challenge, algorithm
    raise RemoteError("no challenge that we can answer", rule="RFC 8760 2.4")


def _fields(value: str) -> Mapping[str, str]:
    value = value.strip(LWS)
    scheme = value.partition(" ")[0].partition("\t")[0]
    if ascii_lower(scheme) != _SCHEME:
        raise RemoteError(f"not the Digest scheme: {shown(scheme)}", rule="RFC 7616 3.4")
    fields: dict[str, str] = {}
    for item in split_list(value[len(scheme) :]):
        name, equals, held = item.partition("=")
        name, held = ascii_lower(name.strip(LWS)), held.strip(LWS)
        if not equals or not is_token(name) or name in fields or not _is_value(held):
            raise RemoteError(f"a digest field that breaks the grammar: {shown(name)}", rule=_RULE)
        fields[name] = unquote(held)
    return fields


def _is_value(held: str) -> bool:
    """Tell whether a value is a quoted string to its end, or has no quote in it."""
    return closing_quote(held) == len(held) - 1 if held[:1] == '"' else '"' not in held


def _needed(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise RemoteError(f"digest without {name}", rule=_RULE)
    return value


def _algorithm(fields: Mapping[str, str]) -> Algorithm | None:
    named = ascii_upper(fields.get("algorithm", Algorithm.MD5))
    return next((algorithm for algorithm in Algorithm if algorithm.value == named), None)


def _nonce_count(fields: Mapping[str, str]) -> int:
    """Read ``nc``, 8 hex digits; 0, which no check accepts, where it is absent (it must stand beside a qop)."""
    digits = fields.get("nc")
    if digits is None:
        return 0
    if len(digits) != _NC_DIGITS or not HEX.issuperset(digits):
        raise RemoteError("a nonce count that is not 8 hex digits", rule=_RULE)
    return int(digits, 16)
