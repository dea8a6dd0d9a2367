"""Calls between peers, message by message."""

from __future__ import annotations

from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Request, build_request
from support.peer import Peer


async def talking(caller: Peer, callee: Peer, call_id: str | None = None) -> tuple[Request, str, Dialog]:
    """Bring a call up: the INVITE as the callee got it, the callee's tag, and the dialog as the caller has it."""
    invite = caller.request("INVITE", f"sip:{callee.user}", call_id=call_id)
    await caller.send(invite)
    came = await callee.request_in("INVITE")
    await callee.reply(came, 200)
    answer = await caller.final()
    assert answer.status == 200
    dialog = Dialog.of_caller(invite, answer)
    await caller.send(inside_of(dialog, caller, "ACK"))
    return came, callee.tag, dialog


def inside_of(dialog: Dialog, sender: Peer, method: str) -> Request:
    """Make a request inside *dialog*, on whatever link."""
    uri, routes = dialog.aim()
    headers = [("via", sender.via()), ("max-forwards", "70"), *(("route", route) for route in routes)]
    headers += [("from", dialog.local), ("to", dialog.remote), ("call-id", dialog.call_id)]
    headers += [("cseq", f"{dialog.next_cseq(method)} {method}"), ("contact", sender.contact)]
    return build_request(method, uri, headers)
