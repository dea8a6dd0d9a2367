"""Calls between peers, message by message."""

from __future__ import annotations

from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.transaction.ack import cancel_for
from support.network import FE1, FE2, Network
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
    """Make a request inside *dialog*, on any link."""
    uri, routes = dialog.aim()
    headers = [("via", sender.via()), ("max-forwards", "70"), *(("route", route) for route in routes)]
    headers += [("from", dialog.local), ("to", dialog.remote), ("call-id", dialog.call_id)]
    headers += [("cseq", f"{dialog.next_cseq(method)} {method}"), ("contact", sender.contact)]
    return build_request(method, uri, headers)


async def reaches(sender: Peer, receiver: Peer) -> None:
    """See that a message arrives, at the first attempt."""
    await sender.send(sender.request("MESSAGE", f"sip:{receiver.user}"))
    await receiver.reply(await receiver.request_in("MESSAGE"), 200)
    assert (await sender.final()).status == 200


async def call_is_taken_back(caller: Peer, callee: Peer) -> None:
    """Call, and cancel while it rings: CANCEL has the branch of the INVITE, and both transactions end (RFC 3261 section 9)."""
    invite = caller.request("INVITE", f"sip:{callee.user}")
    await caller.send(invite)
    came = await callee.request_in("INVITE")
    await callee.reply(came, 180)
    await caller.send(cancel_for(invite))
    cancelled = await callee.request_in("CANCEL")
    assert cancelled.top_via.branch == came.top_via.branch
    await callee.reply(came, 487)
    await callee.request_in("ACK")
    assert {(await caller.final()).status for _ in range(2)} == {200, 487}


async def device_is_found_wherever_it_moves(network: Network, senders: tuple[Peer, Peer], moves: int) -> None:
    """One device of bob registers at fe1 and fe2 in turn; both *senders* reach it the moment the REGISTER is answered."""
    for number in range(moves):
        bob = await network.peer((FE1, FE2)[number % 2], "bob")
        contact, bob.contact = bob.contact, f'{bob.contact};+sip.instance="<urn:uuid:1>"'
        assert (await bob.register()).status == 200
        bob.contact = contact
        for sender in senders:
            await reaches(sender, bob)
