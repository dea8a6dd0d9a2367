"""A dialog, seen from one of its ends (RFC 3261 12): its state, and the header fields of the next request in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from sipmesh.errors import LocalError, RemoteError
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, Response
from sipmesh.sip.uri import SipUri


class DialogState(Enum):
    """The state of a call; the same for caller and callee."""

    CALLING = auto()
    EARLY = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Happened(Enum):
    """What can happen to a call, sent or received."""

    RINGING = auto()  # 101 to 199
    SUCCESS = auto()  # 2xx to the INVITE
    FAILURE = auto()  # 300 to 699 to the INVITE, or no final response
    BYE = auto()
    LINK_LOST = auto()


# RFC 3261 12.1 to 12.3 and 15. A BYE ends early and confirmed dialogs (15: the caller may send it).
TABLE: Mapping[tuple[DialogState, Happened], DialogState] = {
    (DialogState.CALLING, Happened.RINGING): DialogState.EARLY,
    (DialogState.CALLING, Happened.SUCCESS): DialogState.CONFIRMED,
    (DialogState.CALLING, Happened.FAILURE): DialogState.TERMINATED,
    (DialogState.CALLING, Happened.LINK_LOST): DialogState.TERMINATED,
    (DialogState.EARLY, Happened.RINGING): DialogState.EARLY,
    (DialogState.EARLY, Happened.SUCCESS): DialogState.CONFIRMED,
    (DialogState.EARLY, Happened.FAILURE): DialogState.TERMINATED,
    (DialogState.EARLY, Happened.BYE): DialogState.TERMINATED,
    (DialogState.EARLY, Happened.LINK_LOST): DialogState.TERMINATED,
    (DialogState.CONFIRMED, Happened.RINGING): DialogState.CONFIRMED,  # from a fork that was not the first to answer
    (DialogState.CONFIRMED, Happened.SUCCESS): DialogState.CONFIRMED,  # a retransmission, or for a re-INVITE
    (
        DialogState.CONFIRMED,
        Happened.FAILURE,
    ): DialogState.CONFIRMED,  # to a re-INVITE: the session does not change (14.1)
    (DialogState.CONFIRMED, Happened.BYE): DialogState.TERMINATED,
    (DialogState.CONFIRMED, Happened.LINK_LOST): DialogState.TERMINATED,
    (DialogState.TERMINATED, Happened.RINGING): DialogState.TERMINATED,
    (DialogState.TERMINATED, Happened.SUCCESS): DialogState.TERMINATED,  # it crossed with our CANCEL or BYE
    (DialogState.TERMINATED, Happened.FAILURE): DialogState.TERMINATED,
    (DialogState.TERMINATED, Happened.BYE): DialogState.TERMINATED,  # both sides hung up at the same time
    (DialogState.TERMINATED, Happened.LINK_LOST): DialogState.TERMINATED,
}


def follow(state: DialogState, happened: Happened) -> DialogState:
    """Return the state after *happened*; raises `LocalError` for a pair that only a bug of ours can cause."""
    try:
        return TABLE[state, happened]
    except KeyError:
        raise LocalError(f"{happened.name} is impossible in {state.name}") from None


@dataclass(slots=True)
class Dialog:
    """The state of a dialog (RFC 3261 12): identifiers, sequence numbers, the route set and the remote target.

    *local* and *remote* are From and To values with their tags; *routes* are in the order in which we send them.
    """

    call_id: str
    local: str
    remote: str
    target: str
    routes: tuple[str, ...]
    local_cseq: int
    remote_cseq: int = 0
    _tags: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._tags = NameAddr.parse(self.local).tag or "", NameAddr.parse(self.remote).tag or ""

    def __repr__(self) -> str:
        return f"<Dialog {self.call_id} {self.local} with {self.remote}, next CSeq {self.local_cseq + 1}>"

    @classmethod
    def of_caller(cls, invite: Request, response: Response) -> Dialog:
        """Make the caller's dialog from *invite* and *response* (12.1.2); raises `RemoteError` if *response* makes none."""
        return cls(
            call_id=invite.call_id,
            local=invite.first("from") or "",
            remote=_tagged(response.first("to") or ""),
            target=_target(response),
            routes=tuple(reversed(_record_routes(response))),
            local_cseq=invite.cseq.number,
        )

    @classmethod
    def of_callee(cls, invite: Request, tag: str) -> Dialog:
        """Make the callee's dialog for *invite*, answered with *tag* (12.1.1); raises `RemoteError` if it makes none."""
        return cls(
            call_id=invite.call_id,
            local=f"{invite.first('to')};tag={tag}",
            remote=invite.first("from") or "",
            target=_target(invite),
            routes=tuple(_record_routes(invite)),
            local_cseq=0,
            remote_cseq=invite.cseq.number,
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """The identifiers of the dialog in a received message: Call-ID, our tag, the other side's tag."""
        return self.call_id, *self._tags

    def accept_cseq(self, request: Request) -> bool:
        """Accept the CSeq of a request inside the dialog; return False if it is out of order, which is a 500 (12.2.2)."""
        number = request.cseq.number
        if request.method not in {"ACK", "CANCEL"}:
            if number <= self.remote_cseq:
                return False
            self.remote_cseq = number
        return True

    def refresh(self, message: Request | Response) -> None:
        """Update the remote target from a re-INVITE or its response (12.2)."""
        if message.has("contact"):
            self.target = _target(message)

    def aim(self) -> tuple[str, tuple[str, ...]]:
        """Return Request-URI and Route of the next request (12.2.1.1); a first route without ``lr`` is a strict router."""
        if not self.routes:
            return self.target, ()
        first = NameAddr.parse(self.routes[0])
        if first.sip_uri.has("lr"):
            return self.target, self.routes
        return first.uri, (*self.routes[1:], f"<{self.target}>")

    def next_cseq(self, method: str) -> int:
        """Return the sequence number of our next request; an ACK has the number of its INVITE (13.2.2.4)."""
        if method != "ACK":
            self.local_cseq += 1
        return self.local_cseq


def key_of(request: Request) -> tuple[str, str, str]:
    """Return the identifiers of the dialog that a received request belongs to, in the form of `Dialog.key`."""
    return request.call_id, request.to.tag or "", request.from_.tag or ""


def _tagged(value: str) -> str:
    if NameAddr.parse(value).tag is None:
        raise RemoteError("a response without a To tag makes no dialog", rule="RFC 3261 section 12.1")
    return value


def _target(message: Request | Response) -> str:
    """Return the URI of the Contact, of which there must be exactly one; raises `RemoteError`."""
    contacts = message.contacts
    if len(contacts) != 1:
        raise RemoteError(f"{len(contacts)} Contacts where there is one", rule="RFC 3261 section 12.1")
    SipUri.parse(contacts[0].uri)
    return contacts[0].uri


def _record_routes(message: Request | Response) -> list[str]:
    routes = [item for item in message.items("record-route") if item]
    for route in routes:
        SipUri.parse(NameAddr.parse(route).uri)  # raises for a malformed route, before it is used
    return routes
