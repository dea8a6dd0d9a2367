"""Public keys of accounts as JSON Web Keys (RFC 7517), and their thumbprints (RFC 7638)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.sip import base64url
from sipmesh.trust.x509.certificate import SHORTEST_RSA, UNREADABLE, rsa_excess

if TYPE_CHECKING:
    from typing import Self

LONGEST_RSA: Final = 4_096
_CURVES: Final[Mapping[str, tuple[ec.EllipticCurve, str, int]]] = {
    "P-256": (ec.SECP256R1(), "ES256", 32),
    "P-384": (ec.SECP384R1(), "ES384", 48),
}
_ALGORITHMS: Final = {
    "ES256": ECAlgorithm(ECAlgorithm.SHA256),
    "ES384": ECAlgorithm(ECAlgorithm.SHA384),
    "RS256": RSAAlgorithm(RSAAlgorithm.SHA256),
}
ALGORITHMS: Final = tuple(_ALGORITHMS)
_MEMBERS: Final = {"EC": ("crv", "x", "y"), "RSA": ("e", "n")}
"""The members that make a key, by its type, in the order of RFC 7638 section 3.2 with ``kty`` between them."""

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Jwk:
    """A public *key*; *algorithm* is the only one with which it signs, and *text* is its canonical JSON (RFC 7638)."""

    key: PublicKey
    algorithm: str
    text: str

    @classmethod
    def read(cls, given: object) -> Self:
        """Read a JSON Web Key; raises `AcmeProblemError`."""
        members = _members(given)
        text = json.dumps(members, sort_keys=True, separators=(",", ":"))
        try:
            key, algorithm = _elliptic(members) if members["kty"] == "EC" else _rsa(members)
        except UNREADABLE:
            raise AcmeProblemError("badPublicKey", "the key of the request is not valid", 400) from None
        return cls(key, algorithm, text)

    @property
    def thumbprint(self) -> str:
        """Its thumbprint (RFC 7638)."""
        return base64url.encode(sha256(self.text.encode()).digest())

    def has_signed(self, octets: bytes, signature: bytes) -> bool:
        """Tell whether *signature* is one of this key on *octets*."""
        try:
            return _ALGORITHMS[self.algorithm].verify(octets, self.key, signature)
        except UNREADABLE:
            return False


def _members(given: object) -> dict[str, str]:
    """Return the members that make the key; all others, such as ``kid`` and ``use``, do not count."""
    if not isinstance(given, Mapping) or given.get("kty") not in _MEMBERS or "d" in given:
        raise AcmeProblemError("badPublicKey", "the key is not a public JSON Web Key of the type EC or RSA", 400)
    names = ("kty", *_MEMBERS[given["kty"]])
    found = {name: given.get(name) for name in names}
    if not all(isinstance(value, str) and value for value in found.values()):
        raise AcmeProblemError("badPublicKey", f"the key has not the members {', '.join(names)} as text", 400)
    return {name: str(value) for name, value in found.items()}


def _elliptic(members: Mapping[str, str]) -> tuple[ec.EllipticCurvePublicKey, str]:
    if members["crv"] not in _CURVES:
        raise AcmeProblemError("badPublicKey", "the curve of the key is neither P-256 nor P-384", 400)
    curve, algorithm, octets = _CURVES[members["crv"]]
    x, y = (base64url.decode(members[name].encode()) for name in ("x", "y"))
    if (len(x), len(y)) != (octets, octets):
        raise ValueError("a coordinate has another length (RFC 7518 6.2.1.2)")
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve)
    return point.public_key(), algorithm


def _rsa(members: Mapping[str, str]) -> tuple[rsa.RSAPublicKey, str]:
    n, e = (int.from_bytes(base64url.decode(members[name].encode())) for name in ("n", "e"))
    if not SHORTEST_RSA <= n.bit_length() <= LONGEST_RSA or rsa_excess(n.bit_length(), e):
        why = f"the RSA key has not {SHORTEST_RSA} to {LONGEST_RSA} bits and a usual exponent"
        raise AcmeProblemError("badPublicKey", why, 400)
    return rsa.RSAPublicNumbers(e, n).public_key(), "RS256"
