"""Aliases: further names of a user, under which the user is called, and which only this user may assert.

An alias is a telephone number (``tel:+493012345``, ``tel:42;phone-context=example.com``) or another SIP name in one of our
domains. It is stored and looked up in its normal form, its *key*. ``docs/identity.md`` has the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.tel import NO_DOMAIN, TelUri, is_tel, number_in, sip_form
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.sip.uri import SipUri

OwnerOf = Callable[[str], str]
"""Gives the user whose address of record, other spelling or alias a name is; "" if no user has it."""

_WRITTEN_DIGITS: Final = frozenset("+0123456789*#-.() ")


def nobody(name: str) -> str:  # noqa: ARG001 - the signature of `OwnerOf`
    """Give "": no name is known, as on an edge."""
    return ""


def folded(aor: str) -> str:
    """Give an address of record in lower case, as users of our domains are compared if no spelling is equal."""
    return ascii_lower(aor)


def alias_keys(aor: str) -> tuple[str, ...]:
    """Give the keys under which the name *aor* may be an alias: as a SIP name, and as a telephone number.

    *aor* is ``sip:user@host``, as of `SipUri.aor`. A number without context has the context of its host.
    """
    user, _, host = aor.removeprefix("sip:").partition("@")
    context = "" if host == NO_DOMAIN else host
    number = number_in(user, context)
    named = (folded(aor),) if context else ()
    return named if number is None else (*named, str(number))


def read_alias(text: str, domain: str) -> str:
    """Parse an alias that an operator has typed, and give its key; *domain* is that of its user.

    A number has digits, ``*``, ``#`` and visual separators; without ``+`` it is local to *domain*. Anything else is a SIP
    name. Raises `OperatorError` if the text is neither.
    """
    text = text.strip(LWS)
    try:
        if is_tel(text):
            return str(TelUri.parse(text))
        if text and _WRITTEN_DIGITS.issuperset(text):
            return str(TelUri.of_subscriber(text.replace(" ", ""), domain))
    except RemoteError as wrong:
        raise OperatorError(
            f"{text!r} is not a telephone number: {wrong}; write it as +493012345, or as 42 within {domain}"
        ) from wrong
    address = read_address(text if "@" in text else f"{text}@{domain}")
    number = number_in(address.user or "")
    return str(number) if number is not None else folded(address.aor)


def name_of(address: NameAddr) -> SipUri | None:
    """Give the name in a From or To: its SIP URI, or the SIP form of its ``tel:`` URI; None for another scheme."""
    if address.is_sip:
        return address.sip_uri
    return sip_form(address.uri) if is_tel(address.uri) else None
