"""Global telephone numbers: ``+`` and 7 to 15 digits (E.164)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.sip.tel import LONGEST_NUMBER, number_in

if TYPE_CHECKING:
    from sipmesh.sip.uri import SipUri

SHORTEST: Final = 8
LONGEST: Final = 16
"""Characters of a number, with its ``+``."""


def is_global(number: str) -> bool:
    """Tell whether *number*, which has digits only behind its ``+``, is a whole number of E.164."""
    return number.startswith("+") and SHORTEST <= len(number) <= LONGEST and number[1] != "0"


def dialled_number(uri: SipUri) -> str:
    """Give the global number that *uri* calls; "" for another name, and for a number with parameters.

    A parameter such as ``isub`` or ``phone-context`` would call something else than the number alone.
    """
    if uri.user is None or len(uri.user) > LONGEST_NUMBER:
        return ""
    number = number_in(uri.user)
    return number.number if number is not None and not number.params and is_global(number.number) else ""


def caller_number(uri: SipUri) -> str:
    """Give the global number in *uri*, without its parameters: they say what its sender thinks of it; "" for another name."""
    if uri.user is None or len(uri.user) > LONGEST_NUMBER:
        return ""
    number = number_in(uri.user)
    return number.number if number is not None and is_global(number.number) else ""
