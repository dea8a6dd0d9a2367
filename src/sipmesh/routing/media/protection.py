"""How one media section is protected: SDES (RFC 4568), DTLS (RFC 5763, RFC 8122) or TLS, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Final

from sipmesh.routing.media.description import MAX_NAME, MediaSection, SessionDescription, tolerant_name
from sipmesh.sip.text import LWS, ascii_lower, ascii_upper, is_digits, is_token
from sipmesh.sip.text_cache import TextCache

INCOMPATIBLE_TRANSPORT: Final = 302
"""RFC 3261 section 20.43: "One or more transport protocols described in the session description are not available." """
NOT_UNDERSTOOD: Final = 306
"""RFC 3261 section 20.43: "One or more of the media attributes in the session description are not supported." """


class Grade(IntEnum):
    """How a media section is protected. Integers are fast to look up."""

    DECLINED = auto()  # port 0: there are no media
    ENCRYPTED = auto()
    OPPORTUNISTIC = auto()  # a profile without encryption, with keys beside it
    CLEAR = auto()
    BROKEN = auto()  # a profile with encryption, without what it needs


@dataclass(frozen=True, slots=True)
class Protection:
    """The grade of a media section. *why* and *warning*, a warn-code, say what is missing."""

    grade: Grade
    why: str = ""
    warning: int = INCOMPATIBLE_TRANSPORT


DECLINED: Final = Protection(Grade.DECLINED)
ENCRYPTED: Final = Protection(Grade.ENCRYPTED)

SRTP: Final = frozenset({"RTP/SAVP", "RTP/SAVPF"})
"""Profiles whose keys are in a=crypto, or agreed by DTLS."""

DTLS: Final = frozenset(
    {
        "UDP/TLS/RTP/SAVP",
        "UDP/TLS/RTP/SAVPF",
        "TCP/DTLS/RTP/SAVP",
        "TCP/DTLS/RTP/SAVPF",
        "TCP/TLS/RTP/SAVP",
        "TCP/TLS/RTP/SAVPF",
        "UDP/TLS/UDPTL",
        "DTLS/SCTP",
        "UDP/DTLS/SCTP",
        "TCP/DTLS/SCTP",
        "UDP/TLS/BFCP",
    }
)
"""Profiles whose keys are agreed by DTLS or TLS, between certificates of these fingerprints."""

TLS: Final = frozenset({"TCP/TLS", "TCP/TLS/MSRP", "TCP/TLS/BFCP", "TCP/WSS/MSRP", "TCP/WSS/BFCP"})
"""Profiles over TLS, whose certificate may also be checked by name (RFC 4975, RFC 8856, RFC 7977)."""

HASHES: Final = frozenset({"sha-1", "sha-224", "sha-256", "sha-384", "sha-512"})
"""RFC 8122 section 5: MD2 and MD5 must not be used."""

_CIPHERS: Final = ("AES_", "AEAD_", "ARIA_", "F8_", "SEED_")
"""The first part of each crypto-suite that encrypts (IANA, SDP Security Descriptions)."""
_WEAKENED: Final = ("UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP")
"""Session parameters that switch off a part of the protection (RFC 4568 section 6.3.2, 6.3.3)."""
_WEAKENING: Final = "ED_SRT"
"""Part of each of them: nearly no a=crypto has it."""
_USUAL_SUITES: Final = frozenset(
    {
        *("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_32"),
        *("AES_CM_256_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"),
    }
)
"""Crypto-suites that begin with one of `_CIPHERS`: those of nearly all phones."""
_INLINE: Final = "inline:"
_OTHER_KEYS: Final = ("crypto", "key-mgmt")
_FEWEST_WORDS: Final = 3  # tag, crypto-suite and key


def protections_of(session: SessionDescription) -> list[Protection]:
    """Tell how each media section of *session* is protected, in their order."""
    common = _common_to(session)
    return [_protection(section, common) for section in session.media]


def is_keyed_by_fingerprints(session: SessionDescription) -> bool:
    """Tell whether all media in use of *session* take their keys from a fingerprint only."""
    common = _common_to(session)
    return not _has_other_keys(session.attributes) and all(
        _is_declined(section) or _is_keyed_by_fingerprint(section, common) for section in session.media
    )


def _is_keyed_by_fingerprint(section: MediaSection, common: Common) -> bool:
    is_secure = ascii_upper(section.profile) in SRTP | DTLS | TLS
    return is_secure and _has_fingerprint(section, common) and not _has_other_keys(section.attributes)


def _has_other_keys(attributes: list[tuple[str, str]]) -> bool:
    names = {tolerant_name(name) for name, _ in attributes}
    names |= {tolerant_name(capability_in(value)[0]) for name, value in attributes if tolerant_name(name) == "acap"}
    return not names.isdisjoint(_OTHER_KEYS)


class Common:
    """What holds for all sections of a session: its *fault*, the *mids* of its bundle, and whether fingerprints hold.

    *fingerprints* and *keys* are those of the session, and those of the first section of the bundle (`Fingerprints`). RFC 8843
    section 7.1.3: in a bundle, only the first section has the attributes of the transport. It is computed once, because a
    description may have many names, fingerprints and sections, and each against each would be their product.
    """

    __slots__ = ("fault", "fingerprints", "keys", "mids")

    def __init__(self, fault: str | None, fingerprints: Fingerprints, mids: frozenset[str], keys: Fingerprints) -> None:
        self.fault, self.fingerprints, self.mids, self.keys = fault, fingerprints, mids, keys


class Fingerprints(IntEnum):
    """What a list of fingerprints says."""

    NONE = auto()
    GOOD = auto()
    BAD = auto()  # one of them has a hash that may not be used, or no digest


NOTHING_COMMON: Final = Common(None, Fingerprints.NONE, frozenset(), Fingerprints.NONE)


def _fingerprints(values: list[str]) -> Fingerprints:
    for value in values:
        if not _is_fingerprint(value):
            return Fingerprints.BAD
    return Fingerprints.GOOD if values else Fingerprints.NONE


def _common_to(session: SessionDescription) -> Common:
    if not session.attributes:
        return NOTHING_COMMON
    groups = [group.split(" ") for group in session.values("group")]
    bundles = [words for words in groups if words[0] == "BUNDLE"]
    mids = bundles[0][1:] if len(bundles) == 1 else []
    keys = _fingerprints(_keys_of_first(session, mids[:1])) if mids else Fingerprints.NONE
    named = frozenset(mids) if keys is not Fingerprints.NONE else frozenset()
    given = session.values("fingerprint")
    common = _fingerprints(given) if given else Fingerprints.NONE
    return Common(_fault_in_attributes(session.attributes), common, named, keys)


def _keys_of_first(session: SessionDescription, first: list[str]) -> list[str]:
    """Give the fingerprints of the section of a bundle whose mid is *first*."""
    return [
        value for section in session.media if first == section.values("mid") for value in section.values("fingerprint")
    ]


def _protection(section: MediaSection, common: Common) -> Protection:
    if _is_declined(section):
        return DECLINED
    fault = common.fault or _fault_in_attributes(section.attributes)
    if fault is not None:
        return Protection(Grade.BROKEN, fault, NOT_UNDERSTOOD)
    has_fingerprint = _has_fingerprint(section, common)
    has_keys = has_fingerprint or section.values("crypto") != []
    return _by_profile(ascii_upper(section.profile), has_fingerprint=has_fingerprint, has_keys=has_keys)


def _by_profile(profile: str, *, has_fingerprint: bool, has_keys: bool) -> Protection:
    if profile in TLS or (profile in DTLS and has_fingerprint) or (profile in SRTP and has_keys):
        return ENCRYPTED
    if profile in DTLS or profile in SRTP:
        missing = "a=fingerprint" if profile in DTLS else "a=crypto and no a=fingerprint"
        return Protection(Grade.BROKEN, f"has no {missing}", NOT_UNDERSTOOD)
    if has_keys:
        return Protection(Grade.OPPORTUNISTIC, "may be answered without encryption")
    return Protection(Grade.CLEAR, "is not encrypted")


def _is_declined(section: MediaSection) -> bool:
    """Tell whether a section is not in use: its port is 0, and it is not bundle-only (RFC 8843 section 6)."""
    return section.port == 0 and not any(tolerant_name(name) == "bundle-only" for name, _ in section.attributes)


def _fault_in_attributes(attributes: list[tuple[str, str]]) -> str | None:
    """Find an attribute that weakens or hides the protection. The text contains no key."""
    for name, value in attributes:
        checked = _checked_name(name)
        fault = _CHECKS[checked](value) if checked else None
        if fault is not None:
            return fault
    return None


def _checked_name(name: str) -> str:
    """Give the name in `_CHECKS` by which an attribute is checked; "" for most attributes, which are not."""
    checked = _checked_names.get(name)
    if checked is None:
        tolerant = tolerant_name(name)
        checked = tolerant if tolerant in _CHECKS else ""
        if len(name) <= MAX_NAME:
            _checked_names.keep(name, checked)
    return checked


_checked_names: Final[TextCache[str]] = TextCache(512)


def _fault_in_key_management(_value: str) -> str:
    return "has a=key-mgmt, whose keys cannot be checked"


def _fault_in_crypto(value: str) -> str | None:
    """Check one a=crypto: ``tag crypto-suite key-params [session-params]`` (RFC 4568 section 9.1)."""
    words = [word for word in value.split(" ") if word]
    if len(words) < _FEWEST_WORDS or not is_digits(words[0]) or not value.isascii() or "\t" in value:
        return "has a malformed a=crypto"
    is_usual = words[1] in _USUAL_SUITES
    if not is_usual and not _is_suite(words[1]):
        return "has an a=crypto whose crypto-suite is not known to encrypt"
    for key in words[2].split(";"):
        if len(key) <= len(_INLINE) or not key.startswith(_INLINE):
            return "has an a=crypto without an inline key"
    if is_usual and len(words) == _FEWEST_WORDS and "_" not in words[2]:  # so it has none of `_WEAKENED`
        return None
    capitals = ascii_upper(value)
    if _WEAKENING in capitals:
        for parameter in _WEAKENED:
            if parameter in capitals:
                return "has an a=crypto that switches encryption or authentication off"
    return None


def _is_suite(name: str) -> bool:
    """Tell whether *name* is that of a crypto-suite that encrypts."""
    return is_token(name) and ascii_upper(name).startswith(_CIPHERS)


def _fault_in_profiles(value: str) -> str | None:
    """Check one a=tcap: ``number profile...``, other profiles of the same media (RFC 5939 section 3.4.1)."""
    for profile in value.split(" ")[1:]:
        if ascii_upper(profile) not in SRTP | DTLS | TLS:
            return "has an a=tcap with a profile that is not encrypted"
    return None


def _fault_in_capability(value: str) -> str | None:
    """Check one a=acap: ``number attribute``, which the other phone may choose (RFC 5939 section 3.4.1)."""
    name, given = capability_in(value)
    return _fault_in_attributes([(name, given)]) if tolerant_name(name) != "acap" else "has an a=acap in an a=acap"


def capability_in(value: str) -> tuple[str, str]:
    """Give name and value of the attribute in an a=acap."""
    name, _, given = value.replace("\t", " ").strip(LWS).partition(" ")[2].partition(":")
    return name, given


def _fault_in_path(value: str) -> str | None:
    """Check one a=path: the scheme of each URI says whether MSRP runs over TLS there (RFC 4975 section 6)."""
    if any(uri.startswith("msrp:") for uri in _words(value)):
        return "has an a=path with a URI that is not msrps"
    return None


def _fault_in_websocket(value: str) -> str | None:
    """Check one a=websocket-uri (RFC 8857 section 4.1)."""
    return "has an a=websocket-uri that is not wss" if any(uri.startswith("ws:") for uri in _words(value)) else None


def _words(value: str) -> list[str]:
    return ascii_lower(value).replace("\t", " ").split(" ")


_CHECKS: Final[dict[str, Callable[[str], str | None]]] = {
    "acap": _fault_in_capability,
    "crypto": _fault_in_crypto,
    "key-mgmt": _fault_in_key_management,
    "path": _fault_in_path,
    "tcap": _fault_in_profiles,
    "websocket-uri": _fault_in_websocket,
}
"""What is checked in an attribute of this name."""


def _has_fingerprint(section: MediaSection, common: Common) -> bool:
    """Tell whether a fingerprint holds for *section*: its own, that of the session, or that of its bundle."""
    given = section.values("fingerprint")
    if not given and common.fingerprints is Fingerprints.NONE and not common.mids:
        return False
    own = _fingerprints(given)
    if common.mids and not common.mids.isdisjoint(section.values("mid")):
        return _all_good(own, common.fingerprints, common.keys)
    return _all_good(own, common.fingerprints, Fingerprints.NONE)


def _all_good(own: Fingerprints, of_session: Fingerprints, of_bundle: Fingerprints) -> bool:
    """Tell whether there is a fingerprint, and none of them is bad."""
    if own is Fingerprints.BAD or of_session is Fingerprints.BAD or of_bundle is Fingerprints.BAD:
        return False
    return own is Fingerprints.GOOD or of_session is Fingerprints.GOOD or of_bundle is Fingerprints.GOOD


def _is_fingerprint(value: str) -> bool:
    """Tell whether *value* is ``hash-func SP fingerprint`` with a hash that may be used (RFC 8122 section 5)."""
    function, _, digest = value.partition(" ")
    return ascii_lower(function) in HASHES and digest != ""
