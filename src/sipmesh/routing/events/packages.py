"""The event packages for which a front end is the notifier (RFC 6665 section 7.2), and the requests that name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipmesh.sip.message import Request
from sipmesh.sip.text import LWS, ascii_lower

LONGEST_EVENT: Final = 384
"""Characters of an Event with its parameters: it is kept with the subscription."""


@dataclass(frozen=True, slots=True)
class Package:
    """An event package: the type of its documents, and for how many seconds a subscription lasts by default.

    *is_private*: only the user may subscribe to it. *is_once*: each subscription ends with its first document.
    """

    name: str
    content_type: str
    default_expires_s: int
    is_private: bool
    is_once: bool = False


PRESENCE: Final = Package("presence", "application/pidf+xml", 3600, is_private=False)
REG: Final = Package("reg", "application/reginfo+xml", 3600, is_private=True)
MESSAGE_SUMMARY: Final = Package("message-summary", "application/simple-message-summary", 3600, is_private=True)

UA_PROFILE: Final = Package("ua-profile", "application/json", 3600, is_private=True)
"""What a phone needs beside SIP (RFC 6080): servers for its media, and credentials for them."""

USER_SEARCH: Final = Package("user-search", "application/json", 0, is_private=True, is_once=True)
"""The users whom the search of a user finds. The Event has the parameter ``query``, percent-encoded."""

MESSAGE_HISTORY: Final = Package("message-history", "application/json", 0, is_private=True, is_once=True)
"""What a user has sent and received, a page at a time. The Event has the parameters ``with``, percent-encoded, and ``before``."""

_ALL: Final = (PRESENCE, REG, MESSAGE_SUMMARY, UA_PROFILE, USER_SEARCH, MESSAGE_HISTORY)
PACKAGES: Final = {package.name: package for package in _ALL}
ALLOW_EVENTS: Final = ", ".join(sorted(PACKAGES))


DIALOG: Final = "dialog"
WITH_DIALOGS: Final = frozenset({"conference", DIALOG, "vq-rtcpxr"})
"""Packages whose documents name dialogs, by Call-ID and tags: an INVITE with Replaces takes a call over with them (RFC 3891).

So only watchers whom a rule of the user allows get them (RFC 4235 sections 3.6 and 6, RFC 4575 section 5.8, RFC 6035).
"""


ABOUT_USERS: Final = WITH_DIALOGS | {PRESENCE.name}
"""Packages that tell whether a user is there, or calls: a user's rules about watchers count for all of them."""


BETWEEN_PHONES: Final = ABOUT_USERS | {"call-completion", "kpml", "refer"}
"""Packages whose NOTIFY inside a dialog only tells a state. A phone that has no such subscription answers it with 481."""


def event_type(request: Request) -> str:
    """Give the event type in lower case and without parameters; "" if there is none."""
    return ascii_lower((request.first("event") or "").partition(";")[0].strip(LWS))


def base_package(request: Request) -> str:
    """Give the event type without its templates: "dialog" for `dialog.winfo` (RFC 6665 section 8.2.1)."""
    return event_type(request).partition(".")[0]


def package_of(request: Request) -> Package | None:
    """Give the package that a request names, if a front end is its notifier."""
    return PACKAGES.get(event_type(request))


def is_notified(request: Request) -> bool:
    """Tell whether a request can only be for the notifier: PUBLISH, SUBSCRIBE to one of our packages, or a message summary."""
    if request.method == "SUBSCRIBE":
        return package_of(request) is not None
    return request.method == "PUBLISH" or is_summary(request)


def is_summary(request: Request) -> bool:
    """Tell whether a request says how many messages wait for a user: a NOTIFY outside a dialog, which only applications send."""
    return request.method == "NOTIFY" and request.to.tag is None and event_type(request) == MESSAGE_SUMMARY.name


def is_for_notifier(request: Request, aor: str, identity: str | None) -> bool:
    """Tell whether a request for *aor* outside a dialog is for the notifier, and not for the phones of *aor*.

    PUBLISH is for the notifier, for each event package. So is a SUBSCRIBE to one of our packages. Other packages, such
    as dialog (RFC 4235), are between phones; but a SUBSCRIBE of a user to itself would come back to the phone that has
    sent it.
    """
    return is_notified(request) or (request.method == "SUBSCRIBE" and identity == aor)
