"""Judge the session descriptions of a message by a media policy (docs/media.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bodies import descriptions_in
from sipmesh.routing.media.description import MediaSection, SessionDescription, read_description
from sipmesh.routing.media.protection import Grade, Protection, protections_of
from sipmesh.sip.status import Status
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.sip.message import Message, Request

NEGOTIATES: Final = frozenset({"INVITE", "ACK", "PRACK", "UPDATE"})
"""Methods whose bodies agree on media (RFC 3261 section 13.2.1, RFC 3262, RFC 3311). No phone sends media for others."""

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
    status: int = Status.NOT_ACCEPTABLE_HERE
    warning: int = MISCELLANEOUS

    def headers(self, host: str) -> tuple[tuple[str, str], ...]:
        """Give the header fields of the response by the server *host*."""
        warning = ("Warning", f'{self.warning} {host} "{self.why}"')
        if self.status != Status.UNSUPPORTED_MEDIA_TYPE:
            return (warning,)
        return warning, ("Accept", ACCEPTED_TYPES), ("Accept-Encoding", "identity")


@final
class Offer:
    """The offer of a request, for its answers: read once, and only if an answer has media in the clear. Most have none."""

    __slots__ = ("_clear", "_request")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._clear: frozenset[int] | None = None

    def read(self) -> frozenset[int]:
        """Read the request, which has been judged, unless it was read before: its body may be dropped then.

        Gives the places of the sections that a description in it has in the clear; `NO_OFFER` if it has no description.
        """
        if self._clear is None:
            self._clear = _clear_in(self._request)
        return self._clear

    def has_in_the_clear(self, at: int) -> bool:
        """Tell whether the section at the place *at* may be answered in the clear (RFC 3264 section 6.1)."""
        clear = self.read()
        return clear is NO_OFFER or at in clear


NO_OFFER: Final = frozenset({-1})


def _clear_in(request: Request) -> frozenset[int]:
    try:
        sessions = [protections_of(read_description(body)) for body in descriptions_in(request)]
    except RemoteError:
        return NO_OFFER
    if not sessions:
        return NO_OFFER
    return frozenset([at for sections in sessions for at in _unprotected(sections)])


def _unprotected(protections: list[Protection]) -> list[int]:
    return [at for at, protection in enumerate(protections) if protection.grade in _UNPROTECTED]


def fault_in(message: Message, policy: MediaPolicy, offer: Offer | None = None) -> MediaFault | None:
    """Find why *message* may not pass under *policy*; None if it may.

    *offer* is that of the request of a response: if it has a description, then the response has the answer to it.
    """
    if policy is MediaPolicy.ANY:
        return None
    try:
        bodies = descriptions_in(message)
        given = [read_description(body) for body in bodies]
    except RemoteError as wrong:
        status = (
            Status.UNSUPPORTED_MEDIA_TYPE
            if wrong.status == Status.UNSUPPORTED_MEDIA_TYPE
            else Status.NOT_ACCEPTABLE_HERE
        )
        return MediaFault(Code.MEDIA_UNREADABLE, str(wrong), status)
    for session in given:
        protections = protections_of(session)
        fault = _fault_in_session(session, protections, policy)
        if fault is None and offer is not None:
            fault = _fault_in_answer(session, protections, offer)
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


def _fault_in_answer(answer: SessionDescription, protections: list[Protection], offer: Offer) -> MediaFault | None:
    """Find media in *answer* that are in the clear, although *offer* has none in the clear there."""
    for at in _unprotected(protections):
        if not offer.has_in_the_clear(at):
            return _fault(answer.media[at], protections[at])
    return None


def unencrypted_part(description: bytes) -> str:
    """Say which section of a session description does not have to be encrypted; "" if there is none.

    Raises `RemoteError` for a description that cannot be read.
    """
    session = read_description(description)
    for at, protection in enumerate(protections_of(session)):
        if protection.grade in _REFUSED[MediaPolicy.REQUIRED]:
            return f"media line {at + 1}, {session.media[at].line}, {protection.why}"
    return ""
