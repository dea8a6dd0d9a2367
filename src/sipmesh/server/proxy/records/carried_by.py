"""Which trunk has carried a call: its gateway says so in a Warning of the final response, for the record of the call.

The record is made where the caller is, and only the gateway knows which of its trunks has answered. Who is no server of ours
says neither this nor that media are in the clear, and is not told which trunk it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.sender import Sender, ServerSender
from sipmesh.server.proxy.bridging.bridges import IN_THE_CLEAR
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.sip.message import Response

CARRIED_BY: Final = "carried by the trunk "


def say_trunk(response: Response, sender: Sender, trunk: str, here: str) -> None:
    """Have a response of *sender* say that *trunk* has carried its call; "" if *sender* is no trunk. *here* is our host name."""
    if not is_server(sender):
        _remove(response, CARRIED_BY, IN_THE_CLEAR)
    if trunk:
        response.append("warning", f'399 {here} "{CARRIED_BY}{trunk}"')


def is_server(sender: Sender | None) -> bool:
    """Tell whether *sender* is a server of ours that is no application."""
    if not isinstance(sender, ServerSender) or sender.kind is not LinkKind.SERVER:
        return False
    return sender.peer.role is not Role.APPLICATION


def without_trunk(response: Response) -> Response:
    """Give *response* as others than our servers get it."""
    if not carried_by(response):
        return response
    copy = response.copy()
    _remove(copy, CARRIED_BY)
    return copy


def carried_by(response: Response) -> str:
    """Give the trunk that has carried the call of *response*; "" if none is named."""
    for warning in response.values("warning"):
        _, said, name = warning.partition(CARRIED_BY)
        if said:
            return name.partition('"')[0]
    return ""


def is_in_the_clear(response: Response) -> bool:
    """Tell whether a gateway says that the media of a call are not encrypted behind it."""
    return any(IN_THE_CLEAR in warning for warning in response.values("warning"))


def _remove(response: Response, *texts: str) -> None:
    if response.has("warning"):
        kept = [row for row in response.rows if row.name != "warning" or not any(text in row.value for text in texts)]
        response.keep(kept)
