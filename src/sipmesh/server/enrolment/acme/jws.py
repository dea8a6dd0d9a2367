"""The signed requests of ACME (RFC 8555 6.2): JWS in flattened JSON, read strictly."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.enrolment.acme.jwk import ALGORITHMS, Jwk
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.sip import base64url
from sipmesh.strict_json import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

LARGEST: Final = 16 << 10
"""Octets of a request: the largest has a signing request, or a certificate, in base64 twice."""

_PARTS: Final = frozenset({"protected", "payload", "signature"})
_FIELDS: Final = frozenset({"alg", "nonce", "url", "jwk", "kid"})


@dataclass(frozen=True, slots=True)
class Jws:
    """One JWS. *header* is its protected header, and *payload* has its octets; nothing is verified yet."""

    header: Mapping[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes

    @classmethod
    def read(cls, given: object) -> Self:
        """Read a JWS, as octets or as parsed JSON; raises `AcmeProblemError`."""
        parts = _object(given) if isinstance(given, bytes) else given
        if not isinstance(parts, dict) or parts.keys() != _PARTS or not all(isinstance(v, str) for v in parts.values()):
            raise _malformed("it is not a JWS in flattened JSON with protected, payload and signature alone")
        try:
            texts = {name: value.encode("ascii") for name, value in parts.items()}
            found = {name: base64url.decode(value) for name, value in texts.items()}
        except ValueError:
            raise _malformed("a part of the JWS is not base64url") from None
        header = _object(found["protected"])
        if unknown := header.keys() - _FIELDS:
            raise _malformed(f"the header of the JWS has {min(unknown)!a}, which is not of ACME")
        return cls(header, found["payload"], texts["protected"] + b"." + texts["payload"], found["signature"])

    @property
    def url(self) -> str:
        """The URL for which it is, "" if there is none."""
        url = self.header.get("url")
        return url if isinstance(url, str) else ""

    @property
    def kid(self) -> str | None:
        """The identifier of its key, None if the key itself is in the header; raises `AcmeProblemError` for both or none."""
        if ("kid" in self.header) == ("jwk" in self.header):
            raise _malformed("the header of the JWS has not exactly one of jwk and kid (RFC 8555 6.2)")
        kid = self.header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise _malformed("the kid of the JWS is not text")
        return kid

    def must_be_signed_by(self, key: Jwk) -> None:
        """Raise `AcmeProblemError` unless *key* has signed it, with the only algorithm of the key."""
        if self.header.get("alg") not in ALGORITHMS:
            listed = ", ".join(ALGORITHMS)
            problem = f"the algorithm of the JWS is none of {listed}"
            raise AcmeProblemError("badSignatureAlgorithm", problem, 400, algorithms=list(ALGORITHMS))
        if self.header["alg"] != key.algorithm or not key.has_signed(self.signed, self.signature):
            raise _malformed("the signature of the JWS is not one of its key")

    def must_have_mac_of(self, key: bytes) -> None:
        """Raise `AcmeProblemError` unless it has the MAC of *key* (RFC 8555 7.3.4)."""
        if self.header.get("alg") != "HS256" or not hmac.compare_digest(
            hmac.digest(key, self.signed, "sha256"), self.signature
        ):
            raise AcmeProblemError("unauthorized", "the external account binding has not the MAC (HS256) of its key")

    def members(self) -> Mapping[str, Any]:
        """Return the JSON object in its payload; raises `AcmeProblemError`."""
        return _object(self.payload)


def _object(octets: bytes) -> dict[str, Any]:
    try:
        return read_object(octets)
    except ValueError as wrong:
        raise _malformed(f"the request cannot be read: {wrong}") from None


def _malformed(why: str) -> AcmeProblemError:
    return AcmeProblemError("malformed", why, 400)
