"""A front end with all its parts and without a socket: its links are still, and keep what is written on them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, cast

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.events.notifier_choice import notifier_of
from sipmesh.routing.identity.route_set import take_place
from sipmesh.routing.outcome import Forward
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.target import FlowTarget, Target
from sipmesh.server.proxy.flow import Flow, ReceivedRequest
from sipmesh.server.proxy.outside import NoLinks
from sipmesh.server.proxy.proxy_core import ProxyCore
from sipmesh.server.proxy.serving.effects import Effect
from sipmesh.server.proxy.serving.events import Event
from sipmesh.server.proxy.serving.state import ServingState
from sipmesh.server.proxy.serving.step import step
from sipmesh.sip.framing import MessageReader
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.sip.transaction.key import server_key
from sipmesh.storage.location_service.locations import WriteResult
from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
from sipmesh.transport.hop import Hop
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.peer import LinkPeer
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.trusted_peer import TrustedPeer
from support.descriptions import put_body
from support.network import FE1
from support.server_parts import ServerParts, server_parts

NOW: Final = 1.0
NUMBERS = itertools.count(1)


class StillLink:
    """One end of a link of *kind* to *peer*: what is *written* on it, and why it was *closed*."""

    is_here = True
    is_control = agreed_on_control = False
    opened_at = 0.0
    admitted = 0
    reserved = False
    repeated = None

    def __init__(self, kind: LinkKind, peer: TrustedPeer | None) -> None:
        self.kind, self.number, self.port = kind, next(NUMBERS), kind.value
        self.id = f"{kind.value[0]}{self.number}"
        self.meant = self.peer_name = peer.name if peer is not None else ""
        self.names = (self.peer_name,)
        self.verdict = None if peer is None else SimpleNamespace(peer=peer)
        self.remote, self.local = (f"192.0.2.{self.number % 250 + 1}", 40_000), ("127.0.0.1", 5061)
        self.flow: object | None = None
        self.peer, self.authenticated, self.usable, self.room = LinkPeer(confirmed=True), False, True, 1 << 20
        if peer is not None:
            self.peer.evidence = cast("PeerEvidence", SimpleNamespace(presented=(b"a certificate",)))
        self.written: list[Request | Response] = []
        self.closed: list[str] = []

    def authenticate(self) -> None:
        """A user has logged in."""
        self.authenticated = True

    def send(self, data: bytes) -> bool:
        """Keep whole messages."""
        self.written += cast("Any", MessageReader().feed(data))
        return self.usable

    def has_room(self, size: int) -> bool:
        """Tell whether *size* octets may be queued."""
        return size <= self.room

    can_hold = has_room

    @property
    def state(self) -> LinkState:
        """UP until it was closed."""
        return LinkState.UP if self.usable else LinkState.CLOSED

    def close(self, why: str) -> None:
        """End the link."""
        self.usable = False
        self.closed.append(why)

    def drain(self) -> None:
        """End the link once all is written."""
        self.close("drained")


class StillLinks(NoLinks):
    """The links to servers and partners of one still server, each made when it is needed."""

    def __init__(self, server: StillServer) -> None:
        self._server = server
        self.made: dict[str, Flow] = {}

    def obtain(self, hop: Hop) -> Link:
        """See `Links`."""
        if hop.name not in self.made:
            view = self._server.parts.setup.view
            peer = view.trusted.get(hop.name)
            self.made[hop.name] = self._server.flow(hop.kind, peer or partner(self._server))
        return self.made[hop.name].link

    def obtain_past(self, hop: Hop, past: Link) -> Link:  # noqa: ARG002 - there is one address
        """See `Links`."""
        return self.obtain(hop)

    def has(self, hop: Hop) -> bool:
        """See `Links`."""
        return hop.name in self.made


@dataclass
class StillServer:
    """What a front end does with requests that are handed to it."""

    parts: ServerParts

    def __post_init__(self) -> None:
        self.links = self.parts.setup.outside.links = StillLinks(self)
        self.parts.forwarding.registrations.begin()
        self.parts.events.begin()

    @property
    def core(self) -> ProxyCore:
        """What carries effects out."""
        return self.parts.decisions.core

    @property
    def state(self) -> ServingState:
        """What the step asks."""
        return self.core.state

    def flow(self, kind: LinkKind = LinkKind.CLIENT, peer: TrustedPeer | None = None) -> Flow:
        """The flow of a new link; a client has not logged in."""
        flow = self.parts.peers.flow_table.flow(cast("Link", StillLink(kind, peer)))
        flow.came_up()
        self.parts.peers.accounts.came_up(flow)
        return flow

    def phone(self, name: str = "alice") -> Flow:
        """The flow of a client on which the user *name* has logged in."""
        flow, aor = self.flow(), f"sip:{name}@example.test"
        verifier = self.parts.setup.current.value.homes.verifier(aor)
        flow.proved(aor, verifier.generation if verifier is not None else 0)
        self.parts.peers.flow_table.owned(flow, aor)
        self.parts.peers.accounts.proved(flow, aor)
        return flow

    def server(self, name: str) -> Flow:
        """The flow of a link that one of our servers has opened."""
        return self.flow(LinkKind.SERVER, self.parts.setup.view.trusted[name])

    def registered(self, name: str = "bob", flow: Flow | None = None) -> Flow:
        """The flow of a phone of *name* that has registered, as the store has it."""
        flow = flow or self.phone(name)
        self.keep(self.row(name, flow.number))
        return flow

    def row(self, name: str, number: int, server: str = "") -> Binding:
        """The registration of *name* on the link *number*, of this server unless *server* is named."""
        aor, here = f"sip:{name}@example.test", server or self.parts.setup.view.name
        contact = f"sip:{name}@192.0.2.9;transport=tls"
        incarnation = self.state.tokens.incarnation
        return Binding(aor, contact, None, None, 1.0, "call", 1, here, incarnation, number, "token", NOW + 1e9)

    def keep(self, *rows: Binding) -> None:
        """Have the registrations *rows* in memory, as the store has them."""
        known = self.state.registrations._known
        for row in rows:
            version = known._versions[known._slot_of(row.aor)]
            known.accept_written(row.aor, (row,), (), WriteResult(frozenset(), version, version))

    def noted(self) -> str:
        """A user whose notifier this server is."""
        view = self.parts.setup.view
        users = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol"))
        return next(aor for aor in users if notifier_of(aor, view.pool.servers, ()) == view.name)

    def forget(self) -> None:
        """Have no registration in memory that counts: another server has changed all of them."""
        locations = self.state.registrations._locations
        assert isinstance(locations, SqliteLocations)
        locations._reading.versions.mark_all()

    def received(self, flow: Flow, request: Request) -> ReceivedRequest:
        """The *request* as it has arrived on *flow*, with a Route that this server has recorded, or none."""
        received = ReceivedRequest(flow, request, server_key(request), self.core)
        received.place = take_place(request.copy(), self.parts.setup.current.value.names, self.state.tokens)
        return received

    def step(self, event: Event) -> Effect:
        """What follows from *event*."""
        return step(self.state, self.parts.setup.current.value, event, NOW)

    def effect(self, flow: Flow, request: Request) -> Effect:
        """What follows from a request on *flow*."""
        return self.step(self.received(flow, request))


def partner(server: StillServer) -> TrustedPeer:
    """The partner of the organisation."""
    [known] = server.parts.setup.view.partners
    return known.peer


def written_on(flow: Flow) -> list[Request | Response]:
    """What the server has written on a link, oldest first."""
    link: Any = flow.link
    return list(link.written)


def statuses(flow: Flow) -> list[int]:
    """The statuses of the responses on a link, oldest first."""
    return [message.status for message in written_on(flow) if isinstance(message, Response)]


def methods(flow: Flow) -> list[str]:
    """The methods of the requests on a link, oldest first."""
    return [message.method for message in written_on(flow) if isinstance(message, Request)]


def closed(flow: Flow) -> list[str]:
    """Why a link was closed."""
    link: Any = flow.link
    return list(link.closed)


def asked(
    method: str,
    uri: str = "sip:bob@example.test",
    *headers: tuple[str, str],
    sender: str = "sip:alice@example.test",
    to: str = "",
    tag: str = "",
    body: bytes = b"",
) -> Request:
    """A request; *tag* is that of To."""
    number = next(NUMBERS)
    fixed = [
        ("via", f"SIP/2.0/TLS 192.0.2.1:40000;branch=z9hG4bK{number}"),
        ("from", f"<{sender}>;tag=1"),
        ("to", f"<{to or uri}>{';tag=' + tag if tag else ''}"),
        ("call-id", f"call-{number}"),
        ("cseq", f"1 {method}"),
        ("max-forwards", "70"),
    ]
    names = {name for name, _ in headers}
    return build_request(method, uri, [*(row for row in fixed if row[0] not in names), *headers], body)


def to(flow: Flow) -> FlowTarget:
    """The phone of *flow*."""
    return FlowTarget(flow.number, next(iter(flow.owners)), next(iter(flow.users)))


def forward(server: StillServer, came_on: Flow, request: Request, *targets: Target) -> None:
    """Have a request of *came_on* forwarded to *targets*."""
    proxied = server.core._transactions.begin(server.received(came_on, request))
    server.parts.relays.relay.forward(proxied, Forward(targets, "sip:alice@example.test"))


def sent_to(server: StillServer, came_on: Flow, request: Request, flow: Flow) -> Request:
    """Have a request of *came_on* forwarded to the phone of *flow*; gives what the phone receives."""
    forward(server, came_on, request, to(flow))
    sent = written_on(flow)[-1]
    assert isinstance(sent, Request)
    return sent


def answer(
    server: StillServer, flow: Flow, came: Request, status: int, *headers: tuple[str, str], body: bytes = b""
) -> bool:
    """Have the peer of *flow* answer; tells whether a branch matches."""
    routes = [("record-route", value) for value in came.values("record-route")]
    response = respond(came, status, to_tag="2", headers=(*routes, *headers))
    if body:
        put_body(response, body)
    return server.parts.relays.relay.responded(flow, response)


def bye_of(invite: Request, caller: Flow) -> Request:
    """The BYE of *caller*, with the route of the 2xx that it has got."""
    routes = [("route", value) for value in written_on(caller)[-1].values("record-route")]
    bye = asked("BYE", invite.uri, ("call-id", invite.call_id), *routes, tag="2")
    bye.replace("from", invite.first("from") or "")
    return bye


@asynccontextmanager
async def still_server(organisation: Organisation, name: str = FE1) -> AsyncIterator[StillServer]:
    """The server *name* of *organisation*, which is not started."""
    async with server_parts(organisation, name) as parts:
        yield StillServer(parts)
