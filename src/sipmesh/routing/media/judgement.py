"""Judge the session descriptions of a message by a media policy (docs/media.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bodies import UNSUPPORTED_TYPE, descriptions_in
from sipmesh.routing.media.description import MediaSection, SessionDescription, read_description
from sipmesh.routing.media.protection import Grade, Protection, protections_of
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.sip.message import Message, Request

NEGOTIATES: Final = frozenset({"INVITE", "ACK", "PRACK", "UPDATE"})
"""Methods whose bodies agree on media (RFC 3261 section 13.2.1, RFC 3262, RFC 3311). No phone sends media for others."""

NOT_ACCEPTABLE_HERE: Final = 488
MISCELLANEOUS: Final = 399
ACCEPTED_TYPES: Final = "application/sdp, multipart/mixed, multipart/alternative"
_REFUSED: Final = {
    MediaPolicy.ENCRYPTED: frozenset({Grade.BROKEN}),
    MediaPolicy.REQUIRED: frozenset({Grade.BROKEN, Grade.CLEAR, Grade.OPPORTUNISTIC}),
}
_UNPROTECTED: Final = frozenset({Grade.CLEAR, Grade.OPPORTUNISTIC})


@dataclass(frozen=True, slots=True)
class MediaFault:
    """Why a message may not pass. *why* contains no key. *warning* is the warn-code of RFC 3261 section 20.43."""

    code: Code
    why: str
    status: int = NOT_ACCEPTABLE_HERE
    warning: int = MISCELLANEOUS

    def headers(self, host: str) -> tuple[tuple[str, str], ...]:
        """Give the header fields of the response by the server *host*."""
        warning = ("Warning", f'{self.warning} {host} "{self.why}"')
        if self.status != UNSUPPORTED_TYPE:
            return (warning,)
        return warning, ("Accept", ACCEPTED_TYPES), ("Accept-Encoding", "identity")


Offered = list[list[Protection]]
"""How the sections of each description in an offer are protected."""


def fault_in(
    message: Message, policy: MediaPolicy, offer: Request | None = None, offered: Offered | None = None
) -> MediaFault | None:
    """Find why *message* may not pass under *policy*; None if it may.

    *offer* is the request of a response. If it has an offer, then the response has the answer to it. *offered* is what
    `offered_in` has found in it, if its body was dropped since.
    """
    if policy is MediaPolicy.ANY:
        return None
    try:
        bodies = descriptions_in(message)
        given = [read_description(body) for body in bodies]
    except RemoteError as wrong:
        status = UNSUPPORTED_TYPE if wrong.status == UNSUPPORTED_TYPE else NOT_ACCEPTABLE_HERE
        return MediaFault(Code.MEDIA_UNREADABLE, str(wrong), status)
    for session in given:
        protections = protections_of(session)
        fault = _fault_in_session(session, protections, policy)
        if fault is None and offer is not None:
            fault = _fault_in_answer(session, protections, offer, offered)
        if fault is not None:
            return fault
    return None


def _fault_in_session(
    session: SessionDescription, protections: list[Protection], policy: MediaPolicy
) -> MediaFault | None:
    refused = _REFUSED[policy]
    for at, protection in enumerate(protections):
        if protection.grade in refused:
            return _fault(session.media[at], protection)
    return None


def _fault(section: MediaSection, protection: Protection) -> MediaFault:
    why = f"media line {section.number}, {section.line}, {protection.why}: this network refuses such media"
    return MediaFault(Code.MEDIA_NOT_ENCRYPTED, why, warning=protection.warning)


def _fault_in_answer(
    answer: SessionDescription, protections: list[Protection], offer: Request, known: Offered | None
) -> MediaFault | None:
    """Find media in *answer* that are in the clear, although *offer* has none in the clear there (RFC 3264 section 6.1).

    The offer is read only if there are such media: most answers have none.
    """
    clear = [at for at, protection in enumerate(protections) if protection.grade in _UNPROTECTED]
    offered = (offered_in(offer) if known is None else known) if clear else []
    for at in clear:
        if offered and not _is_offered_in_the_clear(offered, at):
            return _fault(answer.media[at], protections[at])
    return None


def _is_offered_in_the_clear(offered: Offered, at: int) -> bool:
    """Tell whether a description of the offer has a section in the clear at the place *at*."""
    return any(len(sections) > at and sections[at].grade in _UNPROTECTED for sections in offered)


def offered_in(offer: Request) -> Offered:
    """Give the protections in each description of a request, which has been judged; nothing if it has no offer."""
    try:
        return [protections_of(read_description(body)) for body in descriptions_in(offer)]
    except RemoteError:
        return []
