"""PASSporTs about telephone numbers: `shaken` (RFC 8588) and, for a call that was forwarded, `div` (RFC 8946).

Such a token names its certificate by a URL. Whether the URL may be fetched, and whether the certificate is trusted, is decided
elsewhere. Each fault is a `RemoteError` with the status of RFC 8224 section 6.2.2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2s
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from sipmesh.errors import RemoteError
from sipmesh.routing.passport.claims import MOST_NAMES
from sipmesh.routing.passport.verification import FRESH_S
from sipmesh.sip import base64url
from sipmesh.sip.status import Status
from sipmesh.sip.text import LWS, is_digits, split_outside
from sipmesh.strict_json import read_object

if TYPE_CHECKING:
    from collections.abc import Sequence

RULE: Final = "RFC 8588"
LARGEST: Final = 4096
"""Octets of one token: it has no certificate in it."""
ALGORITHM: Final = "ES256"
SHAKEN, DIV = "shaken", "div"
_HEADER: Final = frozenset({"alg", "ppt", "typ", "x5u"})
_ATTESTS: Final = frozenset({"A", "B", "C"})
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class NumberToken:
    """One token whose form is right, and whose signature is not verified yet. Numbers are digits without ``+``.

    *kind* is `SHAKEN` or `DIV`, *div* the number that has forwarded. *mark* is the same for each copy of the token: it has no
    second half of the signature, which any reader can change.
    """

    kind: str
    url: str
    orig: str
    dest: frozenset[str]
    iat: int
    attest: str
    div: str
    signed: bytes
    signature: bytes

    @property
    def mark(self) -> bytes:
        """What all copies of the token have in common."""
        return blake2s(self.signed + self.signature[: len(self.signature) // 2], digest_size=16).digest()

    def must_be_of(self, key: object) -> None:
        """Raise RemoteError 438 unless *key* is on P-256 and has made the signature."""
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise invalid("the key of its certificate is not on P-256")
        try:
            is_valid = PyJWS([ALGORITHM]).get_algorithm_by_name(ALGORITHM).verify(self.signed, key, self.signature)
        except (ValueError, PyJWTError):
            is_valid = False
        if not is_valid:
            raise invalid("its signature is not valid")


def read_token(value: str) -> NumberToken:
    """Read one Identity field; RemoteError 436 for a URL that is not the same in both places, 438 for other faults."""
    token, *params = split_outside(value, ";")
    token = token.strip(LWS)
    header, payload, signed, signature = _parts_of(token)
    if header.keys() != _HEADER or header["alg"] != ALGORITHM or header["typ"] != "passport":
        raise invalid("its header is not alg ES256, typ passport, ppt and x5u alone")
    kind, url = header["ppt"], header["x5u"]
    if kind not in {SHAKEN, DIV} or not isinstance(url, str):
        raise invalid("its ppt is neither shaken nor div")
    given = {name.strip(LWS): text.strip(LWS) for name, _, text in (param.partition("=") for param in params)}
    if given.get("info") != f"<{url}>":
        raise RemoteError("its info is not its x5u", rule="RFC 8224 section 4.1", status=Status.BAD_IDENTITY_INFO)
    if given.get("alg", ALGORITHM) != ALGORITHM or given.get("ppt", kind).strip('"') != kind:
        raise invalid("its parameters are not those of the token")
    return _token_of(kind, url, payload, signed, signature)


def _parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    parts = token.split(".")
    if len(token) > LARGEST or len(parts) != _PARTS:
        raise invalid("it is no token of three parts")
    try:
        header, payload, signature = (base64url.decode(part.encode()) for part in parts)
        return read_object(header), read_object(payload), token.rpartition(".")[0].encode(), signature
    except ValueError:
        raise invalid("it cannot be read") from None


def _token_of(kind: str, url: str, payload: dict[str, Any], signed: bytes, signature: bytes) -> NumberToken:
    try:
        orig, dest, iat = payload["orig"]["tn"], payload["dest"]["tn"], payload["iat"]
        attest = payload["attest"] if kind == SHAKEN else ""
        div = payload["div"]["tn"] if kind == DIV else ""
    except (KeyError, TypeError):
        raise invalid("its claims are not those of a call between numbers") from None
    if not isinstance(dest, list) or not 0 < len(dest) <= MOST_NAMES or type(iat) is not int:
        raise invalid("its dest or iat is malformed")
    numbers = [orig, *dest, *([div] if kind == DIV else [])]
    if not all(isinstance(number, str) and is_digits(number) for number in numbers):
        raise invalid("it has a number that is no number")
    if kind == SHAKEN and attest not in _ATTESTS:
        raise invalid("its attest is not A, B or C")
    return NumberToken(kind, url, orig, frozenset(dest), iat, attest, div, signed, signature)


def attest_of(tokens: Sequence[NumberToken], caller: str, callee: str, now: int) -> NumberToken:
    """Give the token that attests a call of *caller* to *callee*, global numbers; RemoteError if none of *tokens* does.

    Their signatures are verified. A call that was forwarded has a `div` for each number between its first dest and *callee*.
    *now* is in seconds.
    """
    for token in tokens:
        if abs(now - token.iat) > FRESH_S:
            raise RemoteError("its iat is not fresh", rule="RFC 8224 section 6.2", status=Status.FORBIDDEN)
    first = next((token for token in tokens if token.kind == SHAKEN), None)
    if first is None:
        raise invalid("no token attests the caller")
    if f"+{first.orig}" != caller:
        raise invalid("its orig is not the caller")
    if callee.removeprefix("+") not in _reached(first, tokens):
        raise invalid("its dest is not the number that is called")
    return first


def _reached(first: NumberToken, tokens: Sequence[NumberToken]) -> set[str]:
    """Give the numbers to which the call may have come: the dest of *first*, and from there by each div of the same caller."""
    reached = set(first.dest)
    for _ in tokens:
        for token in tokens:
            if token.kind == DIV and token.orig == first.orig and token.div in reached:
                reached |= token.dest
    return reached


def write_token(orig: str, dest: str, attest: str, iat: int, url: str, key: ec.EllipticCurvePrivateKey) -> str:
    """Write the Identity field of a call of *orig* to *dest*, global numbers; *url* is that of the certificate of *key*.

    The origid is the same for all calls that are signed with this certificate: it says nothing about the user (RFC 8588).
    """
    claims = {
        "attest": attest,
        "dest": {"tn": [dest.removeprefix("+")]},
        "iat": iat,
        "orig": {"tn": orig.removeprefix("+")},
        "origid": str(uuid5(NAMESPACE_URL, url)),
    }
    payload = json.dumps(claims, sort_keys=True, separators=(",", ":")).encode()
    header = {"ppt": SHAKEN, "typ": "passport", "x5u": url}
    token = PyJWS([ALGORITHM]).encode(payload, key, ALGORITHM, header, sort_headers=True)
    return f'{token};info=<{url}>;alg={ALGORITHM};ppt="{SHAKEN}"'


def invalid(why: str) -> RemoteError:
    """Give the error of a token that is malformed, or that is not of this call."""
    return RemoteError(why, rule=RULE, status=Status.INVALID_IDENTITY_HEADER)
