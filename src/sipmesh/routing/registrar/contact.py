"""One Contact of a REGISTER, with its parameters parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.text import is_digits, shown
from sipmesh.sip.uri import SipUri

MALFORMED_EXPIRES_S: Final = 3600
"""For a malformed expires of a Contact: "Malformed values SHOULD be treated as equivalent to 3600" (RFC 3261 20.10)."""

LARGEST_EXPIRES: Final = 2**32 - 1
LARGEST_REG_ID: Final = 2**31 - 1
Q_DIGITS: Final = 3


@dataclass(init=False, slots=True)
class AskedContact:
    """A parsed Contact. *instance* has its angle brackets, but no quotes. *expires_s* is in seconds. It is never changed."""

    uri: str
    instance: str | None
    reg_id: int | None
    q: float
    expires_s: int

    def __init__(self, uri: str, instance: str | None, reg_id: int | None, q: float, expires_s: int) -> None:
        self.uri, self.instance, self.reg_id, self.q, self.expires_s = uri, instance, reg_id, q, expires_s


def read_contact(contact: NameAddr, default_s: int) -> AskedContact:
    """Parse one Contact. *default_s* is used if it has no expires parameter.

    Raises `RemoteError` (400) for a malformed parameter, and for a URI that is not sip or sips: such a URI cannot be a
    Request-URI on a flow.
    """
    _check_uri(contact.uri)
    instance = contact.param("+sip.instance") or None
    return AskedContact(
        uri=contact.uri,
        instance=_read_instance(instance),
        # RFC 5626 section 6: with "a reg-id but no instance-id, it simply ignores the reg-id parameter"
        reg_id=_read_reg_id(contact.param("reg-id")) if instance else None,
        q=_read_q(contact.param("q")),
        expires_s=_read_expires(contact.param("expires"), default_s),
    )


def _check_uri(uri: str) -> None:
    try:
        SipUri.parse(uri)
    except RemoteError as wrong:  # its own status (416) would refer to the Request-URI
        raise RemoteError(f"Contact: {wrong}", rule="RFC 3261 section 10.3") from wrong


def _read_instance(text: str | None) -> str | None:
    """Return the instance; RemoteError for a character that cannot be written back between quotes."""
    if text is not None and ('"' in text or "\\" in text):
        raise RemoteError(f"instance is {shown(text)}", rule="RFC 5626 section 4.1: a URN in angle brackets")
    return text


def _read_reg_id(text: str | None) -> int | None:
    if text is None:
        return None
    value = _whole(text)
    if value is None or not 0 < value <= LARGEST_REG_ID:
        raise RemoteError(f"reg-id is {shown(text)}", rule="RFC 5626 section 4.2: 1 to 2**31 - 1")
    return value


def _read_expires(text: str | None, default_s: int) -> int:
    if text is None:
        return default_s
    value = _whole(text)
    return MALFORMED_EXPIRES_S if value is None else value


def _whole(text: str) -> int | None:
    """Parse an integer such as delta-seconds; None if it is not only digits, or has too many of them."""
    digits = is_digits(text) and len(text) <= len(str(LARGEST_EXPIRES))
    return int(text) if digits else None


def _read_q(text: str | None) -> float:
    """Parse a qvalue (RFC 3261 section 25.1): 0 to 1, with three digits after the point at most."""
    if text is None:
        return 1.0
    whole, _, rest = text.partition(".")
    digits = not rest or (is_digits(rest) and len(rest) <= Q_DIGITS)
    q = float(f"{whole}.{rest or 0}") if whole in {"0", "1"} and digits else 2.0
    if q > 1:
        raise RemoteError(f"q is {shown(text)}", rule="RFC 3261 section 25.1: qvalue")
    return q
