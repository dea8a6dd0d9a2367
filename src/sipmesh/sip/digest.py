"""Digest authentication: RFC 3261 section 22, RFC 7616, and SHA-256 as RFC 8760 adds it.

This module has no clock and no randomness: time and entropy are arguments. The caller chooses the order of challenges.
(Measured: SHA-256 first and MD5 second works with most phones.)
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from binascii import a2b_base64
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip import base64url
from sipmesh.sip.fields import split_list
from sipmesh.sip.text import (
    HEX,
    LWS,
    ascii_lower,
    ascii_upper,
    closing_quote,
    is_token,
    octets_of,
    quote,
    shown,
    unquote,
)
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RULE: Final = "RFC 7616 3.4"
_SCHEME: Final = "digest"
_WRITTEN: Final = "Digest "
"""The scheme as nearly every phone writes it."""
MAX_FIELDS: Final = 32
"""Fields of one challenge or of credentials. RFC 7616 knows 12, and each one costs as much as a header field."""

_NC_DIGITS: Final = 8
_COUNTS: Final = [f"{count:08x}" for count in range(64)]
"""The first nonce counts, as they are written: a phone logs in with the first one."""


class Algorithm(StrEnum):
    """A hash algorithm; the value is that of the ``algorithm`` parameter."""

    MD5 = "MD5"
    SHA_256 = "SHA-256"

    def digest(self, text: str) -> str:
        """Give the hash of *text* in lower-case hex."""
        # Most phones have MD5 only (RFC 8760 2.3 keeps it for them). TLS hides the exchange.
        octets = octets_of(text)
        if self is Algorithm.MD5:
            return hashlib.md5(octets, usedforsecurity=False).hexdigest()
        return hashlib.sha256(octets, usedforsecurity=False).hexdigest()


_STRONGEST_FIRST: Final = (Algorithm.SHA_256, Algorithm.MD5)
_ALGORITHMS: Final[dict[str, Algorithm]] = {algorithm.value: algorithm for algorithm in Algorithm}


def ha1(user: str, realm: str, password: str, algorithm: Algorithm) -> str:
    """Give H(user:realm:password) in lower-case hex. The user store keeps this hash and no password."""
    return algorithm.digest(f"{user}:{realm}:{password}")


def is_digest(value: str) -> bool:
    """Tell whether an Authorization or a challenge has the Digest scheme. Others are ignored (RFC 4475 3.3.7)."""
    return value.startswith(_WRITTEN) or ascii_lower(value.lstrip(LWS)[: len(_SCHEME) + 1]).rstrip(LWS) == _SCHEME


@dataclass(frozen=True, slots=True)
class DigestChallenge:
    """A WWW-Authenticate or Proxy-Authenticate of the Digest scheme. *algorithm* is None if we do not support it."""

    realm: str
    nonce: str
    algorithm: Algorithm | None
    qop: tuple[str, ...]
    stale: bool
    opaque: str | None


def challenge_values(realm: str, nonce: str, algorithms: Iterable[Algorithm], *, stale: bool) -> list[str]:
    """Write the value of a WWW-Authenticate for each of *algorithms*.

    *stale* makes the client try again without asking its user.
    """
    start, tail = f"Digest realm={quote(realm)}, nonce={quote(nonce)}, algorithm=", ", stale=true" if stale else ""
    return [f'{start}{algorithm}, qop="auth"{tail}' for algorithm in algorithms]


def parse_challenge(value: str) -> DigestChallenge:
    """Parse a Digest challenge; RemoteError if *value* is not one."""
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
    """Give the realm of Digest credentials; RemoteError if they are malformed or have another scheme."""
    return _needed(_fields(value), "realm")


@dataclass(init=False, slots=True)
class Credentials:
    """An Authorization or Proxy-Authorization of the Digest scheme. The values have no quotes; *nc* is 0 if absent.

    *algorithm* is None if we do not support it: the credentials may be for another realm, or for an older challenge. *userhash*:
    the user name is a hash (RFC 7616 section 3.4.4).
    """

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm | None
    cnonce: str | None
    qop: str | None
    nc: int
    opaque: str | None
    userhash: bool

    def __init__(
        self,
        username: str,
        realm: str,
        nonce: str,
        uri: str,
        response: str,
        algorithm: Algorithm | None,
        cnonce: str | None,
        qop: str | None,
        nc: int,
        opaque: str | None,
        userhash: bool = False,  # noqa: FBT001, FBT002 - the last of the fields of RFC 7616
    ) -> None:
        self.username, self.realm, self.nonce, self.uri, self.response = username, realm, nonce, uri, response
        self.algorithm, self.cnonce, self.qop, self.nc, self.opaque = algorithm, cnonce, qop, nc, opaque
        self.userhash = userhash

    @staticmethod
    def parse(value: str) -> Credentials:
        """Parse credentials; RemoteError 400 if a field is missing or malformed."""
        fields = _fields(value)
        return Credentials(
            username=_needed(fields, "username"),
            realm=_needed(fields, "realm"),
            nonce=_needed(fields, "nonce"),
            uri=_needed(fields, "uri"),
            response=_needed(fields, "response"),
            algorithm=_algorithm(fields),
            cnonce=fields.get("cnonce"),
            qop=fields.get("qop"),
            nc=_nonce_count(fields),
            opaque=fields.get("opaque"),
            userhash="userhash" in fields and ascii_lower(fields["userhash"]) == "true",
        )


def verify(credentials: Credentials, method: str, ha1_hex: str) -> bool:
    """Tell whether the response proves the password of *ha1_hex*, a hash with the algorithm of *credentials*.

    ``qop=auth`` is required: without it the response does not cover the nonce count and the client's nonce, so it could
    be replayed. The comparison takes constant time. If the result is true, call :meth:`Nonces.judge` next.
    """
    algorithm = credentials.algorithm
    if algorithm is None or credentials.qop != "auth" or not credentials.cnonce:
        return False
    wanted = _response(
        algorithm, ha1_hex, credentials.nonce, method, credentials.uri, credentials.cnonce, credentials.nc
    )
    return hmac.compare_digest(wanted.encode(), octets_of(ascii_lower(credentials.response)))


def answer(
    challenges: Sequence[DigestChallenge], user: str, password: str, method: str, uri: str, cnonce: str, nc: int
) -> str:
    """Write credentials for the strongest challenge that we support; RemoteError if we support none of them."""
    challenge, algorithm = _strongest(challenges)
    secret = ha1(user, challenge.realm, password, algorithm)
    parts = [("username", quote(user)), ("realm", quote(challenge.realm)), ("nonce", quote(challenge.nonce))]
    parts += [("uri", quote(uri)), ("algorithm", str(algorithm))]
    if challenge.qop:
        response = _response(algorithm, secret, challenge.nonce, method, uri, cnonce, nc)
        parts += [("cnonce", quote(cnonce)), ("qop", "auth"), ("nc", f"{nc:08x}")]
    else:  # RFC 2617 3.2.1 allows servers that offer no qop, and such servers exist
        response = algorithm.digest(f"{secret}:{challenge.nonce}:{algorithm.digest(f'{method}:{uri}')}")
    parts.append(("response", quote(response)))
    if challenge.opaque is not None:
        parts.append(("opaque", quote(challenge.opaque)))
    return "Digest " + ", ".join(f"{name}={value}" for name, value in parts)


class NonceState(Enum):
    """The result of judging a nonce that a client sent back."""

    FRESH = "fresh"  # made by us, not expired, and the count is new
    STALE = "stale"  # made by us, but expired or forgotten: challenge again with stale=true
    REPLAYED = "replayed"  # made by us, but this count or a higher one was used before
    FORGED = "forged"  # not made by us, or made for another link


class Nonces:
    """Makes nonces for links, and accepts each count of a nonce once.

    A nonce contains the instant at which it was made, and random octets. It also contains a MAC over both and its *link*
    (RFC 7616 section 5.4), so on another link it is forged. A nonce needs no memory until a client uses it.

    The MAC is BLAKE2s of the key and a text of fixed length, which together are one block: BLAKE2 needs no HMAC (RFC 7693
    section 1).

    At most *remembered* used nonces are remembered. If one has to be forgotten before it expires, all nonces of its
    age or older that are not remembered become stale. So no nonce can be replayed.

    *key* (16 octets or more) is random and new at each start of the server. *lifetime_s* is in seconds. Instants are seconds
    of one clock, which should be a monotonic one.
    """

    __slots__ = ("_counts", "_forgotten", "_keyed", "_lifetime_s", "_remembered")

    def __init__(self, key: bytes, lifetime_s: float, *, remembered: int = 65536) -> None:
        # A copy of a hash that has its key already needs less time than a new one.
        self._keyed = hashlib.blake2s(hashlib.blake2b(key, digest_size=32).digest(), digest_size=_MAC)
        self._lifetime_s = lifetime_s
        self._remembered = remembered
        self._counts: dict[bytes, tuple[int, float]] = {}  # nonce: highest count, instant made; in order of first use
        self._forgotten = float("-inf")

    def mint(self, at: float, entropy: bytes, link: int) -> str:
        """Make a nonce for *link* at the instant *at*. *entropy* is 8 random octets, and never the same twice."""
        made = _MADE.pack(at) + entropy[:_ENTROPY]
        return base64url.encode(made + self._mac(made, link))

    def judge(self, nonce: str, nc: int, at: float, link: int) -> NonceState:
        """Judge a nonce that came on *link* in verified credentials. If it is fresh, mark the count *nc* as used."""
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
        hashed = self._keyed.copy()
        hashed.update(made + _LINK.pack(link))
        return hashed.digest()

    def __repr__(self) -> str:
        return f"<Nonces {len(self._counts)} of {self._remembered} remembered, {self._lifetime_s} s each>"


_MADE: Final = struct.Struct("!d")
_LINK: Final = struct.Struct("!Q")
_ENTROPY: Final = 8
_MAC: Final = 17  # with the other 16 octets a multiple of three, so that base64 needs no padding
_LENGTH: Final = 33
_CHARACTERS: Final = 44
_PLUS: Final = bytes.maketrans(b"-_", b"+/")


def _decoded(nonce: str) -> bytes:
    """Give the octets of a nonce in either alphabet of base64; b"" for any other text."""
    if len(nonce) != _CHARACTERS or not nonce.isascii():
        return b""
    try:
        raw = a2b_base64(nonce.encode().translate(_PLUS), strict_mode=True)
    except ValueError:
        return b""
    return raw if len(raw) == _LENGTH else b""


def _response(algorithm: Algorithm, secret: str, nonce: str, method: str, uri: str, cnonce: str, nc: int) -> str:
    """Compute the response of RFC 7616 3.4.1 with qop=auth."""
    count = _COUNTS[nc] if nc < len(_COUNTS) else f"{nc:08x}"
    return algorithm.digest(f"{secret}:{nonce}:{count}:{cnonce}:auth:{_asked(algorithm, method, uri)}")


def _asked(algorithm: Algorithm, method: str, uri: str) -> str:
    """Give H(A2): the hash of what is asked for, which is the same in each login to one domain."""
    hashes = _asked_md5 if algorithm is Algorithm.MD5 else _asked_sha_256
    text = f"{method}:{uri}"
    hashed = hashes.get(text)
    if hashed is None:
        hashed = algorithm.digest(text)
        if len(text) <= CACHED_LENGTH:
            hashes.keep(text, hashed)
    return hashed


_asked_md5: Final[TextCache[str]] = TextCache(256)
_asked_sha_256: Final[TextCache[str]] = TextCache(256)


def _strongest(challenges: Sequence[DigestChallenge]) -> tuple[DigestChallenge, Algorithm]:
    for algorithm in _STRONGEST_FIRST:
        for challenge in challenges:
            if challenge.algorithm is algorithm and (not challenge.qop or "auth" in challenge.qop):
                return challenge, algorithm
    raise RemoteError("no challenge that we can answer", rule="RFC 8760 2.4")


def _fields(value: str) -> dict[str, str]:
    """Read the fields of a challenge or of credentials, by their form where no string has an escape."""
    pieces = value.split('"')
    if len(pieces) % 2 == 0 or "\\" in value:
        return _read_fields(_bounded(split_list(_without_scheme(value))))
    return _form_of(pieces).filled(pieces)


class DigestForm:
    """A value of the Digest scheme without what is in its quotes: the same for all users of one kind of phone.

    *quoted* are the fields in quotes, each with the index of its value in the pieces between the quotes. *plain* are the others.
    """

    __slots__ = ("plain", "quoted")

    def __init__(self, text: str) -> None:
        """Parse *text*, whose quoted strings are empty; RemoteError if it breaks the grammar."""
        self.plain: dict[str, str] = {}
        self.quoted: dict[str, int] = {}
        rest = _without_scheme(text)
        for item in _bounded(split_list(rest) if "<" in rest else rest.split(",")):
            name, field = _field(item)
            if name in self.plain or name in self.quoted:
                raise _broken(name)
            if field == _EMPTY:
                self.quoted[name] = 2 * len(self.quoted) + 1
            else:
                self.plain[name] = field

    def filled(self, pieces: list[str]) -> dict[str, str]:
        """Give the fields with the values that are in quotes in *pieces*."""
        fields = self.plain.copy()
        for name, at in self.quoted.items():
            fields[name] = pieces[at]
        return fields


def _form_of(pieces: list[str]) -> DigestForm:
    """Give the form of a value that was cut into *pieces* at its quotes."""
    text = _EMPTY.join(pieces[::2])
    form = _forms.get(text)
    if form is None:
        form = DigestForm(text)
        if len(text) <= CACHED_LENGTH:
            _forms.keep(text, form)
    return form


_forms: Final[TextCache[DigestForm]] = TextCache(256)
_EMPTY: Final = '""'


def _bounded(items: list[str]) -> list[str]:
    """Give *items*, if there are not too many."""
    if len(items) > MAX_FIELDS:
        raise RemoteError(f"more than {MAX_FIELDS} digest fields", rule=_RULE)
    return items


def _without_scheme(value: str) -> str:
    value = value.strip(LWS)
    scheme = value.partition(" ")[0].partition("\t")[0]
    if ascii_lower(scheme) != _SCHEME:
        raise RemoteError(f"not the Digest scheme: {shown(scheme)}", rule="RFC 7616 3.4")
    return value[len(scheme) :]


def _read_fields(items: list[str]) -> dict[str, str]:
    """Read ``name=value`` of each item; RemoteError for an item that breaks the grammar, or is given twice."""
    fields: dict[str, str] = {}
    for item in items:
        name, text = _field(item)
        if name in fields:
            raise _broken(name)
        fields[name] = unquote(text)
    return fields


def _field(item: str) -> tuple[str, str]:
    """Read ``name=value``; the value is one whole quoted string, or has no quote."""
    name, equals, text = item.strip(LWS).partition("=")
    name, text = ascii_lower(name.rstrip(LWS)), text.lstrip(LWS)
    is_whole = closing_quote(text) == len(text) - 1 if text[:1] == '"' else '"' not in text
    if not equals or not is_whole or not is_token(name):
        raise _broken(name)
    return name, text


def _broken(name: str) -> RemoteError:
    return RemoteError(f"a digest field that breaks the grammar: {shown(name)}", rule=_RULE)


def _needed(fields: dict[str, str], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise RemoteError(f"digest without {name}", rule=_RULE)
    return value


def _algorithm(fields: dict[str, str]) -> Algorithm | None:
    named = fields.get("algorithm")
    if named is None:
        return Algorithm.MD5
    return _ALGORITHMS.get(named) or _ALGORITHMS.get(ascii_upper(named))


def _nonce_count(fields: dict[str, str]) -> int:
    """Read ``nc``, 8 hex digits. Give 0 if it is absent: :class:`Nonces` never accepts a count of 0."""
    digits = fields.get("nc")
    if digits is None:
        return 0
    if digits == _COUNTS[1]:
        return 1
    if len(digits) != _NC_DIGITS or not HEX.issuperset(digits):
        raise RemoteError("a nonce count that is not 8 hex digits", rule=_RULE)
    return int(digits, 16)
