"""The claims of a PASSporT: orig, dest, iat and mky (RFC 8225 section 5), made from a request or read from a token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.media.bodies import descriptions_in
from sipmesh.routing.media.description import SessionDescription, read_description, tolerant_name
from sipmesh.routing.media.protection import capability_in, is_keyed_by_fingerprints
from sipmesh.sip.message import Request
from sipmesh.sip.status import Status
from sipmesh.sip.text import HEX, ascii_lower, ascii_upper
from sipmesh.sip.uri import SipUri
from sipmesh.strict_json import read_object

RULE: Final = "RFC 8225 section 5"
MOST_NAMES: Final = 16
MOST_KEYS: Final = 64
_VISUAL: Final = str.maketrans("", "", "-.() ")
_DIGITS: Final = frozenset("0123456789*#")

Name = tuple[str, str]
"""``("tn", digits)`` or ``("uri", URI)``, in canonical form."""

Key = tuple[str, str]
"""A fingerprint: hash function in lower case, and upper-case hex digits without colons."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who calls (*orig*), whom (*dest*), when (*iat*, in seconds since 1970) and with which fingerprints (*keys*)."""

    orig: Name
    dest: frozenset[Name]
    iat: int
    keys: frozenset[Key]

    def encode(self) -> bytes:
        """Write the claims in the canonical form of RFC 8225 section 9: sorted names, no blanks."""
        dest: dict[str, list[str]] = {}
        for kind, value in sorted(self.dest):
            dest.setdefault(kind, []).append(value)
        claims: dict[str, Any] = {"dest": dest, "iat": self.iat, "orig": dict([self.orig])}
        if self.keys:
            claims["mky"] = [{"alg": function, "dig": digest} for function, digest in sorted(self.keys)]
        return json.dumps(claims, sort_keys=True, separators=(",", ":")).encode()


def claims_of(request: Request, iat: int, domain: str) -> Claims:
    """Make the claims of *request*, of a user in *domain*; RemoteError if its names or its session description cannot be read."""
    orig = withheld(domain) if is_anonymous(request.from_) else canonical(request.from_.uri)
    return Claims(orig, frozenset({canonical(request.to.uri)}), iat, keys_in(request))


def withheld(domain: str) -> Name:
    """Give the orig of a user whom *domain* withholds.

    No organisation can sign for ``anonymous.invalid``. A domain can sign for its own anonymous address, which names no
    user (RFC 8224 section 11).
    """
    return "uri", f"sip:anonymous@{domain}"


def domain_of(orig: Name) -> str:
    """Give the domain that *orig* is withheld by; "" if it names a user."""
    domain = orig[1].rpartition("@")[2]
    return domain if orig == withheld(domain) else ""


def keys_in(request: Request) -> frozenset[Key]:
    """Give the fingerprints of all session descriptions in the body, as a tolerant phone finds them.

    RemoteError if the body cannot be read, or if there are fingerprints and media that take their keys from elsewhere: a
    proxy on the way may have put these beside the signed fingerprints.
    """
    if not request.body:
        return frozenset()
    sessions = [read_description(body) for body in descriptions_in(request)]
    keys = frozenset(_key(value) for session in sessions for value in _fingerprints(session))
    if keys and not all(is_keyed_by_fingerprints(session) for session in sessions):
        raise RemoteError(
            "media with other keys beside its fingerprints",
            rule="RFC 8225 section 5.2.2",
            status=Status.INVALID_IDENTITY_HEADER,
        )
    return keys


def _fingerprints(session: SessionDescription) -> list[str]:
    """Give the value of each a=fingerprint, and of each fingerprint that a=acap offers (RFC 5939)."""
    attributes = [*session.attributes, *(pair for section in session.media for pair in section.attributes)]
    attributes += [capability_in(value) for name, value in attributes if tolerant_name(name) == "acap"]
    return [value for name, value in attributes if tolerant_name(name) == "fingerprint"]


def canonical(uri: str) -> Name:
    """Give the canonical form of a name (RFC 8224 section 8): a number, or a URI without parameters.

    The user part of a SIP URI is a number if the URI has ``user=phone``, or if the user part begins with ``+``.
    """
    if ascii_lower(uri[:4]) == "tel:":
        return "tn", _number(uri[4:].partition(";")[0])
    parsed = SipUri.parse(uri)
    user = parsed.user or ""
    if user.startswith("+") or parsed.param("user") == "phone":
        return "tn", _number(user.partition(";")[0])
    return "uri", parsed.aor


def read_claims(payload: bytes) -> Claims:
    """Read the claims of a token whose signature is valid; RemoteError 438 if they are malformed."""
    try:
        claims = read_object(payload)
        orig, dest, iat = claims["orig"], claims["dest"], claims["iat"]
        names = [(kind, value) for kind in ("tn", "uri") for value in dest.get(kind, [])]
        origs = [(kind, orig[kind]) for kind in ("tn", "uri") if kind in orig]
        keys = [(key["alg"], key["dig"]) for key in claims.get("mky", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RemoteError("its claims cannot be read", rule=RULE, status=Status.INVALID_IDENTITY_HEADER) from None
    texts = [text for pair in (*names, *origs, *keys) for text in pair]
    if len(origs) != 1 or len(names) > MOST_NAMES or len(keys) > MOST_KEYS or type(iat) is not int:
        raise RemoteError("its claims are not those of a call", rule=RULE, status=Status.INVALID_IDENTITY_HEADER)
    if not all(isinstance(text, str) for text in texts):
        raise RemoteError("its claims are not text", rule=RULE, status=Status.INVALID_IDENTITY_HEADER)
    read = frozenset((ascii_lower(function), ascii_upper(digest).replace(":", "")) for function, digest in keys)
    return Claims(origs[0], frozenset(names), iat, read)


def _number(text: str) -> str:
    """Remove visual separators and the plus sign (RFC 8224 section 8.3)."""
    digits = text.removeprefix("+").translate(_VISUAL)
    if not digits or not _DIGITS.issuperset(digits):
        raise RemoteError(
            "a telephone number that is none", rule="RFC 8224 section 8.3", status=Status.INVALID_IDENTITY_HEADER
        )
    return digits


def _key(value: str) -> Key:
    function, _, digest = value.partition(" ")
    digits = ascii_upper(digest).replace(":", "")
    if not digits or not HEX.issuperset(digits):
        raise RemoteError(
            "a fingerprint that is not hexadecimal", rule="RFC 8122 section 5", status=Status.INVALID_IDENTITY_HEADER
        )
    return ascii_lower(function), digits
