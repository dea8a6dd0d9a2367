"""The decision about a SUBSCRIBE (RFC 6665 section 4.2.1) and a PUBLISH (RFC 3903 section 6), before any state is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipmesh.routing.content_encoding import refused_encoding
from sipmesh.routing.events.packages import (
    ALLOW_EVENTS,
    LONGEST_EVENT,
    PRESENCE,
    Package,
    package_of,
)
from sipmesh.routing.events.stored_message import content_type
from sipmesh.routing.outcome import Answer
from sipmesh.sip.check import unsupported
from sipmesh.sip.message import Request
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.topology.document.watching import Watching
from sipmesh.trust.code import Code

MIN_EXPIRES_S: Final = 60
"""A shorter time only costs refreshes."""

MAX_EXPIRES_S: Final = 3600
LARGEST_DOCUMENT: Final = 16 << 10
"""Octets of a published document."""

"""The Content-Encoding of a body that is not encoded."""

NO_SUBSCRIPTION: Final = Answer(481, why="no such subscription, or another user has it")
BAD_EVENT: Final = Answer(489, headers=(("Allow-Events", ALLOW_EVENTS),), why="no package of this server")


@dataclass(frozen=True, slots=True)
class Granted:
    """A SUBSCRIBE or PUBLISH that is granted for *expires_s* seconds; 0 ends it at once."""

    package: Package
    expires_s: int


def decide_subscribe(request: Request, aor: str, identity: str | None, watching: Watching) -> Granted | Answer:
    """Decide about a SUBSCRIBE of *identity* to *aor*. *watching*: what *aor* lets *identity* see of its presence."""
    package = package_of(request)
    if package is None or len(request.first("event") or "") > LONGEST_EVENT:
        return BAD_EVENT
    refused = _unsupported(request) or _forbidden(package, aor, identity, watching)
    if refused is not None:
        return refused
    if not accepts(request, package.content_type):
        return Answer(406, headers=(("Accept", package.content_type),))
    contacts = request.contacts
    if len(contacts) != 1 or not contacts[0].is_sip:
        return Answer(400, "One SIP Contact Is Needed")
    return _granted(request, package)


def decide_publish(request: Request, aor: str, identity: str | None) -> Granted | Answer:
    """Decide about a PUBLISH of *identity* for *aor*. Whether it must have a body is for its entity tag to say."""
    if package_of(request) is not PRESENCE:
        return BAD_EVENT
    refused = _unsupported(request)
    if refused is not None:
        return refused
    if identity != aor:
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=f"{identity} may not publish for {aor}")
    return _unreadable(request) or _granted(request, PRESENCE)


def _unreadable(request: Request) -> Answer | None:
    """Refuse a document that is not PIDF, is encoded, or is too large (RFC 3261 section 8.2.3)."""
    if request.body and content_type(request) != PRESENCE.content_type:
        return Answer(415, headers=(("Accept", PRESENCE.content_type),))
    if request.body and (refused := refused_encoding(request)) is not None:
        return refused
    return Answer(413) if len(request.body) > LARGEST_DOCUMENT else None


def _forbidden(package: Package, aor: str, identity: str | None, watching: Watching) -> Answer | None:
    """Refuse a subscriber who may not see what *package* tells of *aor*."""
    if identity is None or (package.is_private and identity != aor):
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=f"only {aor} may subscribe to its {package.name}")
    if package is PRESENCE and watching is Watching.BLOCK:
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=f"{identity} may not watch {aor}")
    return None


def _unsupported(request: Request) -> Answer | None:
    unknown = unsupported(request, "require", ())
    return Answer(420, headers=(("Unsupported", ", ".join(unknown)),)) if unknown else None


def _granted(request: Request, package: Package) -> Granted | Answer:
    """Grant what is asked for, between the limits (RFC 6665 section 4.2.1.1, RFC 3903 section 6)."""
    asked = request.expires
    expires_s = package.default_expires_s if asked is None or package.is_once else asked
    if 0 < expires_s < MIN_EXPIRES_S:
        return Answer(423, headers=(("Min-Expires", str(MIN_EXPIRES_S)),))
    return Granted(package, min(expires_s, MAX_EXPIRES_S))


def accepts(request: Request, wanted: str) -> bool:
    """Tell whether Accept has a type. Without an Accept it is the default of the package."""
    ranges = [ascii_lower(item.partition(";")[0].strip(LWS)) for item in request.items("accept")]
    return not ranges or bool({wanted, "*/*", "application/*"} & set(ranges))
