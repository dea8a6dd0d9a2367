"""Parse an address of record that a person has typed."""

from __future__ import annotations

from typing import Final

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.sip.uri import SipUri

REMEDY: Final = "write it as alice@example.com"


def read_address(text: str) -> SipUri:
    """Parse a user's address, with or without the scheme; raises `OperatorError` if it is not one."""
    text = text.strip(LWS)
    try:
        uri = SipUri.parse(text if ascii_lower(text).startswith(("sip:", "sips:")) else f"sip:{text}")
    except RemoteError as wrong:
        raise OperatorError(f"{text!r} is not a SIP address: {wrong}; {REMEDY}") from wrong
    if uri.user is None or uri.password is not None:  # "mailto:alice@example.com" parses as a user with a password
        raise OperatorError(f"{text!r} is not the address of a user; {REMEDY}")
    return uri
