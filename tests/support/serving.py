"""What a front end does with a message of a peer, step by step, without a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from routing.messages import FE1, FRONT_END, KEY, MATE, TOKENS
from sipmesh.errors import RemoteError
from sipmesh.routing.authentication.digest import authenticate
from sipmesh.routing.identity.assertion import asserted, remove_foreign_assertion
from sipmesh.routing.identity.route_set import take_place
from sipmesh.routing.proxy.branch import Branches, loop_hash
from sipmesh.routing.proxy.forwarding import branch_copy, wants_privacy
from sipmesh.routing.proxy.received import mark_received
from sipmesh.routing.registrar.contact import read_contact
from sipmesh.routing.roles.front_end import decide
from sipmesh.routing.roles.options import capabilities
from sipmesh.routing.target import FlowTarget
from sipmesh.sip import rows
from sipmesh.sip.check import check_request, check_response, unsupported
from sipmesh.sip.digest import Nonces
from sipmesh.sip.framing import Keepalive, MessageReader
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.transaction.key import server_key

HERE = FlowTarget(1, b"o", "sip:bob@10.0.0.1")
MADE = Branches(7, frozenset({FE1}))
NONCES = Nonces(KEY, 300.0)


def serve(data: bytes) -> None:
    """Do with octets what a front end does with them: read, check, match, decide, answer, copy, write."""
    try:
        for message in MessageReader().feed(data):
            if not isinstance(message, Keepalive):
                take(message)
    except RemoteError:
        return


def take(message: Request | Response) -> None:
    """Each step may refuse. The later steps run all the same, because another message would reach them."""
    for step in steps_of(message):
        accepted(step)


def steps_of(message: Request | Response) -> Iterator[Callable[[], object]]:
    """Give the steps of a message; a message that the checks refuse is answered and goes no further."""
    if isinstance(message, Response):
        if accepted(lambda: check_response(message)):
            yield lambda: remove_foreign_assertion(message, MATE)
            yield lambda: message.pop_item("via")
            yield message.encode
        return
    yield lambda: respond(message, 400).encode()
    if not accepted(lambda: check_request(message)):
        return
    yield lambda: server_key(message)
    yield lambda: mark_received(message, "192.0.2.1", 5061)
    yield lambda: unsupported(message, "proxy-require", ())
    yield lambda: unsupported(message, "require", ())
    yield lambda: MADE.looped(message, loop_hash(message))
    yield lambda: [read_contact(contact, 60) for contact in message.contacts]
    yield lambda: asserted(message)
    yield lambda: capabilities(message)
    yield lambda: wants_privacy(message)
    yield lambda: message.expires
    yield lambda: authenticate(message, "sip:alice@example.test", None, NONCES, 1, at=1.0, entropy=b"8 octets")
    yield lambda: decide(message, take_place(message, FRONT_END.names, TOKENS), MATE, FRONT_END)
    yield lambda: branch_copy(
        message,
        HERE,
        via=rows.made_row("via", "SIP/2.0/TLS a;branch=z9hG4bK1"),
        recorded=("<sip:a>",),
        identity="sip:a@b",
    ).encode()


def accepted(check: Callable[[], object]) -> bool:
    try:
        check()
    except RemoteError:
        return False
    return True
