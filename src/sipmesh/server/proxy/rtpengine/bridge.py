"""One branch of a call whose media pass rtpengine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bodies import descriptions_in
from sipmesh.routing.media.bridging.leg import Leg
from sipmesh.routing.media.bridging.ng import delete

if TYPE_CHECKING:
    from sipmesh.server.proxy.rtpengine.control_socket import ControlSocket
    from sipmesh.sip.message import Message, Request

RULE: Final = "RFC 3264 section 5"


class Bridge:
    """The call *key* of rtpengine, between the sides *caller* and *callee* of a branch.

    rtpengine knows the call by *key*, which this server has made: no phone can name the call of others there. *caller_tag* is
    the tag of the side that has sent the INVITE. *dialogs* are the keys of its dialogs, *early* those before a 2xx. *is_over*:
    rtpengine has been told to end it.
    """

    __slots__ = ("_control", "callee", "caller", "caller_tag", "dialogs", "early", "is_over", "key")

    def __init__(self, key: str, caller: Leg, callee: Leg, caller_tag: str, control: ControlSocket) -> None:
        self.key, self.caller, self.callee, self.caller_tag = key, caller, callee, caller_tag
        self.dialogs: set[str] = set()
        self.early: set[str] = set()
        self._control, self.is_over = control, False

    def sides_of(self, request: Request) -> tuple[Leg, Leg]:
        """Give the side that has sent a request of the call, and the side that it goes to."""
        by_caller = (request.from_.tag or "") == self.caller_tag
        return (self.caller, self.callee) if by_caller else (self.callee, self.caller)

    def dialog_ended(self, dialog: str) -> None:
        """A dialog is over. With the last one the call is over, too."""
        self.dialogs.discard(dialog)
        self.branch_ended()

    def branch_ended(self) -> None:
        """The branch is forgotten: if no dialog depends on it, rtpengine ends the call, and its ports are free."""
        if not self.dialogs and not self.is_over:
            self.is_over = True
            self._control.ask(delete(self.key), None)


def description_of(message: Message) -> bytes:
    """Give the session description of *message*; `RemoteError` if there is not exactly one."""
    found = descriptions_in(message)
    if len(found) != 1:
        raise RemoteError(f"a body with {len(found)} session descriptions, which rtpengine cannot bridge", rule=RULE)
    return found[0]


def put_description(message: Message, sdp: bytes) -> None:
    """Put *sdp* into the place of the session description of *message*."""
    message.body = message.body.replace(description_of(message), sdp, 1)
    message.replace("content-length", str(len(message.body)))
