"""Privacy of senders: what a request asks for (RFC 3323, RFC 3325), and what is removed from it for that.

The front ends and edges are a privacy service for header fields. They hide who has sent a request from the side that they do
not trust: clients and partners. ``docs/identity.md`` says what is hidden, and what is not.
"""

from __future__ import annotations

from typing import Final

from sipmesh.routing.registrar.gruu import is_temporary
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Message
from sipmesh.sip.rows import PRIVACY
from sipmesh.sip.text import LWS, ascii_lower

ANONYMOUS: Final = "anonymous.invalid"
HIDDEN_CONTACT: Final = f"@{ANONYMOUS}"
OPTION: Final = "privacy"
"""The option tag by which a request asks its proxies to understand Privacy (RFC 3323 section 4.1)."""

INFORMATIVE: Final = frozenset(
    {
        "subject",
        "call-info",
        "organization",
        "user-agent",
        "server",
        "reply-to",
        "in-reply-to",
        "alert-info",
        "identity",
        "geolocation",
    }
)
"""Fields that may say who the sender is, and that no server needs (RFC 3323 section 5.3; RFC 8224: the token names it)."""

_IN_ANSWERS: Final = INFORMATIVE | {"warning"}
"""A Warning of a phone begins with the name of its host (RFC 3261 section 20.43)."""

_IDENTITY: Final = frozenset({"id", "header", "user"})
_SENDER: Final = frozenset({"header", "user"})
_NONE: Final = "none"
_CRITICAL: Final = "critical"


def privacy_of(message: Message) -> set[str]:
    """Give the values of Privacy in lower case."""
    if not message.present & PRIVACY:
        return set()
    return {value.strip(LWS) for value in ascii_lower(";".join(message.items("privacy"))).split(";")}


def is_anonymous(address: NameAddr) -> bool:
    """Tell whether a From hides its user: its host is ``anonymous.invalid`` (RFC 3323 section 4.1.1.3)."""
    return address.is_sip and address.sip_uri.host == ANONYMOUS


def hides_user(address: NameAddr) -> bool:
    """Tell whether a From or To does not say who its user is: an anonymous one, or a temporary GRUU (RFC 5627 section 3.1.2)."""
    return is_anonymous(address) or is_temporary(address.uri)


def hides_identity(request: Message) -> bool:
    """Tell whether clients may not learn the asserted identity of the sender of a request (RFC 3325 section 9.3).

    A sender whose From does not say who it is wants it hidden, unless Privacy is ``none``.
    """
    return _asks_for(request, _IDENTITY)


def hides_sender(request: Message) -> bool:
    """Tell whether the other fields that show the sender of a request are hidden too (`INFORMATIVE`, Via, Contact)."""
    return _asks_for(request, _SENDER)


def _asks_for(request: Message, values: frozenset[str]) -> bool:
    """Tell whether Privacy has one of *values*, or From hides its user; ``none`` takes both back."""
    if not request.present & PRIVACY:
        return hides_user(request.from_)
    asked = privacy_of(request)
    return _NONE not in asked and (not values.isdisjoint(asked) or hides_user(request.from_))


def answer_hides_sender(response: Message) -> bool:
    """Tell whether a response asks for `hides_sender`; its From is the caller, so that Privacy alone counts."""
    asked = privacy_of(response)
    return _NONE not in asked and not _SENDER.isdisjoint(asked)


def unmet(request: Message) -> str:
    """Give the first service that a request asks for as critical and that is not provided, "" if there is none.

    "if these privacy services cannot be provided by the network, this request should be rejected" (RFC 3323 section 4.2).
    Our servers do not replace addresses in media (``session``), or a From (``user``).
    """
    asked = privacy_of(request)
    if _CRITICAL not in asked:
        return ""
    if "session" in asked:
        return "session"
    return "user" if "user" in asked and not is_anonymous(request.from_) else ""


def leads_to_hidden_user(uri: str) -> bool:
    """Tell whether a Request-URI is an address by which a user who hides is reached: a hidden Contact, or a temporary GRUU."""
    return is_hidden(uri) or is_temporary(uri)


def is_hidden(uri: str) -> bool:
    """Tell whether a URI may be a hidden Contact (`sipmesh.routing.identity.dialog_token.Tokens.hide`)."""
    return HIDDEN_CONTACT in uri


def hide_fields(copy: Message) -> None:
    """Remove the fields that show the sender from the copy of a message; the Vias come back with the response."""
    copy.keep([row for row in copy.rows if row.name not in INFORMATIVE and row.name != "via"])
    asked = [tag for tag in copy.items("proxy-require") if ascii_lower(tag) != OPTION]
    copy.remove("proxy-require")  # RFC 3323 section 5: the service was performed
    if asked:
        copy.append("proxy-require", ", ".join(asked))


def hide_answer_fields(response: Message) -> None:
    """Remove the fields that show who has answered from the response of a phone."""
    response.keep([row for row in response.rows if row.name not in _IN_ANSWERS])


def hidden_contact(token: str, *, sips: bool) -> str:
    """Write the Contact that replaces a hidden one."""
    return f"<sips:{token}{HIDDEN_CONTACT}>" if sips else f"<sip:{token}{HIDDEN_CONTACT};transport=tls>"
