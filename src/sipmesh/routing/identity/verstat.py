"""What is known of a caller's number: `verstat` (3GPP TS 24.229, ATIS-1000074), decided by our gateways alone."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sipmesh.routing.numbers.e164 import caller_number
from sipmesh.sip.uri import SipUri

if TYPE_CHECKING:
    from sipmesh.sip.message import Message

NUMBER_VERIFICATION: Final = "number-verification"
"""The field by which a gateway tells front ends what it has verified. It never leaves our servers."""


class Verstat(StrEnum):
    """The result for one call."""

    PASSED = "TN-Validation-Passed"
    FAILED = "TN-Validation-Failed"
    NONE = "No-TN-Validation"


def verstat_of(request: Message) -> Verstat | None:
    """Give the result that a gateway of ours has put into *request*; None if there is none."""
    result = (request.first(NUMBER_VERIFICATION) or "").partition(";")[0]
    return Verstat(result) if result in set(Verstat) else None


def asserted_with_verstat(request: Message, identity: str | None) -> str:
    """Give the P-Asserted-Identity by which a phone sees what is known of the number of *identity*; "" if there is no result.

    It is a tel URI beside the identity (RFC 3325 section 9.1), so that the name to call back has no parameter.
    """
    result = verstat_of(request)
    number = caller_number(SipUri.parse(identity)) if identity is not None else ""
    return f"<tel:{number};verstat={result}>" if number and result is not None else ""
