"""A network whose servers are real and whose links are not: every link is a queue, the network says who its peer is.

Servers are put together as they run (`RunningServer`), with their own routing, relay, logins and tokens; only sockets and TLS are
left out. So thousands of messages cost as much as a few on real links, and what a peer has proved is known without asking a
server: that is what each message is held against on its arrival.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.errors import RemoteError
from sipmesh.server.proxy.outside import NoLinks
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.framing import Keepalive, MessageReader, ReadLimits
from sipmesh.sip.message import Request, Response, respond
from sipmesh.transport.hop import Hop
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.peer import LinkPeer
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.role import Role
from sipmesh.trust.trusted_peer import TrustedPeer
from support.memory_locations import MemoryLocations, MemoryStore
from support.network import BOT, EDGE, EDGES, EXAMPLE, FE1, FE2, POOL, build_partner, federate, finished
from support.telling import Told

MARK: Final = "x-origin"
REALM: Final = EXAMPLE
SPOKEN_FOR: Final = "bots.test"
MOST_DELIVERED: Final = 400
"""In one act: a message that goes on for ever is a fault too."""

REMOVED: Final = frozenset(
    {"p-preferred-identity", "remote-party-id", "p-served-user", "p-associated-uri", "path", "service-route"}
    | {"p-charging-vector", "authentication-info", "proxy-authentication-info", "identity-info", "p-called-party-id"}
)
OWN: Final = frozenset({"diversion", "history-info", "referred-by", "p-asserted-identity"})
CHALLENGES: Final = frozenset({"www-authenticate", "proxy-authenticate"})
CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization"})


def build(folder: Path) -> tuple[Organisation, Organisation]:
    """example.test with an application that speaks for a domain of its own, and its partner."""
    example = Organisation.build(
        folder / EXAMPLE,
        EXAMPLE,
        (
            PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
            PoolPlan(EDGES, Role.EDGE, (EDGE,), {"next_hop": POOL}),
            PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL, "speaks_for": [SPOKEN_FOR]}),
        ),
    )
    example.document["sip_domains"] = [EXAMPLE, SPOKEN_FOR]
    finished(example, "alice", "bob", "carol")
    partner = build_partner(folder / "partner.test")
    federate(example, partner)
    return example, partner


@dataclass(eq=False)
class Principal:
    """A party at the end of a link: the *users* and *domains* that it has proved, or whose password it has."""

    name: str
    users: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    def may_be(self, address: NameAddr) -> bool:
        """Tell whether it is the user of *address*, or speaks for its domain."""
        if not address.is_sip:
            return False
        return address.aor in self.users or address.sip_uri.host in self.domains

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Wire:
    """One end of a link, as a server sees it."""

    is_here = True
    is_control = False
    _numbers = itertools.count(1)

    def __init__(
        self, world: World, node: RunningServer, kind: LinkKind, direction: Direction, meant: str = ""
    ) -> None:
        self.world, self.node, self.kind, self.direction, self.meant = world, node, kind, direction, meant
        self.number, self.port = next(self._numbers), kind.value
        self.id = f"{kind.value[0]}{self.number}"
        self.remote, self.local = (str(IPv4Address(0x0A000000 + self.number)), 40_000), ("127.0.0.1", 5061)
        self.flow: object | None = None
        self.verdict: object | None = None
        self.peer_name = ""
        self.messages_in = self.messages_out = self.bytes_in = self.bytes_out = 0
        self.authenticated, self.usable, self.opened_at = False, True, node.loop.time()
        self.peer = LinkPeer(confirmed=True)
        self.peer.accepted = True
        self.far: Wire | Endpoint | None = None
        self.reader = MessageReader(ReadLimits())

    def authenticate(self) -> None:
        """A user has logged in."""
        self.authenticated = True

    def proved(self, peer: TrustedPeer) -> None:
        """Let its peer have proved to be *peer*."""
        self.verdict, self.peer_name = SimpleNamespace(peer=peer), peer.name

    def send(self, data: bytes) -> bool:
        """Queue whole messages for the other end."""
        if self.usable and self.far is not None:
            self.world.queue.append((self.far, data))
        return self.usable

    def has_room(self, size: int) -> bool:  # noqa: ARG002 - nothing waits here
        """Every message fits."""
        return self.usable

    @property
    def state(self) -> LinkState:
        """UP until it was closed."""
        return LinkState.UP if self.usable else LinkState.CLOSED

    def close(self, why: str) -> None:
        """End the link."""
        self.usable = False
        self.world.closed.append((self, why))

    def receive(self, data: bytes) -> None:
        """Hand what came on to the server."""
        for item in self.reader.feed(data):
            if self.usable and not isinstance(item, Keepalive):
                self.node.dispatch.arrived(cast("Link", self), item)


@dataclass(eq=False, repr=False)
class Endpoint:
    """A phone, an application or a partner's server: *wire* is the server's end of its link."""

    world: World
    principal: Principal
    wire: Wire
    honest: bool
    password: str = ""
    loses: bool = False  # its next answer to a challenge gets lost on the way
    sent: dict[str, Request] = field(default_factory=dict)  # by branch
    reader: MessageReader = field(default_factory=lambda: MessageReader(ReadLimits()))

    @property
    def name(self) -> str:
        return self.principal.name

    def __repr__(self) -> str:
        return f"<Endpoint {self.name}>"

    @property
    def contact(self) -> str:
        return f"<sip:{self.name}@127.0.0.9:{10_000 + self.wire.number};transport=tls>"

    def send(self, message: Request | Response) -> None:
        """Send a message that bears our mark; another mark is replaced."""
        message.remove(MARK)
        mark = f"{self.name}-{next(self.world.marks)}"
        message.append(MARK, mark)
        self.world.injected[mark] = (self, message.copy())
        if isinstance(message, Request):
            if message.method == "SUBSCRIBE":
                self.world.subscribed.add((self.name, message.call_id))
            self.sent[message.top_via.branch or ""] = message.copy()
        self.wire.world.queue.append((self.wire, message.encode()))

    def receive(self, data: bytes) -> None:
        """Look at what came, and answer it as a phone does."""
        for item in self.reader.feed(data):
            if isinstance(item, Keepalive):
                continue
            self.world.seen(self, item)
            if isinstance(item, Request):
                self._requested(item)
            else:
                self._responded(item)

    def _requested(self, request: Request) -> None:
        if request.method in {"ACK", "CANCEL"}:
            return
        if self.honest:
            self.reply(request, 200)
        else:
            self.world.waiting.append((self, request))

    def reply(self, request: Request, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answer a request, with our Contact and its Record-Route."""
        routes = [("record-route", value) for value in request.values("record-route")]
        rows = [*routes, ("contact", self.contact), *headers]
        tag = f"{self.name}-tag-{next(self.world.marks)}"
        if request.to.tag is None:
            self.world.tags.setdefault((request.call_id, request.from_.tag or "", self.name), set()).add(tag)
        self.send(respond(request, status, headers=rows, to_tag=tag))

    def _responded(self, response: Response) -> None:
        asked = self.sent.get(response.top_via.branch or "")
        if asked is not None and self.honest and response.status in {401, 407}:
            self._prove(asked, response)

    def _prove(self, asked: Request, response: Response) -> None:
        """A phone answers every challenge in its own realm, from any server."""
        name = "www-authenticate" if response.status == 401 else "proxy-authenticate"
        field_name = "authorization" if response.status == 401 else "proxy-authorization"
        if asked.has(field_name):
            return
        for value in response.values(name):
            try:
                challenge = parse_challenge(value)
                made = answer([challenge], self.name, self.password, asked.method, asked.uri, "cnonce", 1)
            except RemoteError:
                continue
            if challenge.realm == REALM:
                again = asked.copy()
                again.append(field_name, made)
                again.replace("cseq", f"{asked.cseq.number + 1} {asked.method}")
                again.replace("via", self.world.via())
                self.world.proofs.append((field_name, made))
                if not self.loses:
                    self.send(again)
                return


@dataclass(frozen=True)
class Call:
    """A dialog as it began: who sent the first request to whom, and the names in it."""

    caller: Principal
    callee: Principal
    from_aor: str
    to_aor: str
    tag: str


class Wired(NoLinks):
    """Links that are wires of the world, by what *opens* them."""

    def __init__(self, opens: Callable[[Hop], Link]) -> None:
        self._opens = opens

    def obtain(self, hop: Hop) -> Link:
        """See `Links`."""
        return self._opens(hop)

    def obtain_past(self, _hop: Hop, past: Link) -> Link:
        """See `Links`."""
        return past

    def has(self, _hop: Hop) -> bool:
        """See `Links`."""
        return True


class World:
    """The servers of one organisation, and all parties at their links."""

    def __init__(self, example: Organisation) -> None:
        store = MemoryStore()
        stores = {FE1: MemoryLocations(store), FE2: MemoryLocations(store), EDGE: None}
        self.nodes = {
            name: RunningServer(example.file, name, Told().log, locations=locations)
            for name, locations in stores.items()
        }
        for node in self.nodes.values():
            node.registrations.begin()
            node.outside.links = Wired(self._opener(node))
        self.subscribed: set[tuple[str, str]] = (
            set()
        )  # by whom and under which Call-ID; servers know it in later rounds
        self.begin()

    def begin(self) -> None:
        """Forget every link and all that went over them."""
        self.queue: deque[tuple[Wire | Endpoint, bytes]] = deque()
        self.marks, self._branches = itertools.count(1), itertools.count(1)
        self.injected: dict[str, tuple[Endpoint, Request | Response]] = {}
        self.arrived: dict[str, set[str]] = {}
        self.calls: dict[str, list[Call]] = {}
        self.proofs: list[tuple[str, str]] = []
        self.closed: list[tuple[Wire, str]] = []
        self.endpoints: list[Endpoint] = []
        self.known: list[Request | Response] = []  # all that any attacker has seen
        self.waiting: list[tuple[Endpoint, Request]] = []  # requests that an attacker has not answered yet
        self.tags: dict[tuple[str, str, str], set[str]] = {}  # under which a party has answered a first request
        self.broken: list[str] = []  # what was found that must not be
        self._links: dict[tuple[str, str], Wire] = {}
        self._servers: dict[str, Endpoint] = {}

    def end(self) -> None:
        """Let servers forget the links of this round."""
        for node in self.nodes.values():
            for flow in node.flow_table.sessions():
                node.dispatch.link_down(flow.link, "the round is over", None)

    # Who is there

    def client(self, server: str, name: str, *, honest: bool, password: str | None = None) -> Endpoint:
        """A party at a client port; *password* is what it knows of the user of its name."""
        users = frozenset({f"sip:{name}@{EXAMPLE}"}) if password is not None else frozenset()
        wire = self._wire(self.nodes[server], LinkKind.CLIENT, Direction.ACCEPTED)
        return self._endpoint(Principal(name, users), wire, honest=honest, password=password or "")

    def server(self, at: str, kind: LinkKind, name: str, domain: str) -> Endpoint:
        """The application or the partner, on a link that it has opened to the server *at*."""
        node = self.nodes[at]
        peer = node.view.trusted[name] if kind is LinkKind.SERVER else partner_at(node)
        wire = self._wire(node, kind, Direction.ACCEPTED, peer)
        endpoint = self._endpoint(Principal(name, frozenset(), frozenset({domain})), wire, honest=False)
        self._servers[peer.name] = endpoint
        return endpoint

    def _endpoint(self, principal: Principal, wire: Wire, *, honest: bool, password: str = "") -> Endpoint:
        endpoint = Endpoint(self, principal, wire, honest, password)
        wire.far = endpoint
        self.endpoints.append(endpoint)
        return endpoint

    def _wire(
        self,
        node: RunningServer,
        kind: LinkKind,
        direction: Direction,
        peer: TrustedPeer | None = None,
        meant: str = "",
    ) -> Wire:
        wire = Wire(self, node, kind, direction, meant)
        if peer is not None:
            wire.proved(peer)
        flow = node.flow_table.flow(cast("Link", wire))
        flow.came_up()
        node.accounts.came_up(flow)
        return wire

    def _opener(self, node: RunningServer) -> Callable[[Hop], Link]:
        def obtain(hop: Hop) -> Link:
            key = node.view.name, hop.name
            if key not in self._links:
                self._links[key] = self._open(node, hop)
            return cast("Link", self._links[key])

        return obtain

    def _open(self, node: RunningServer, hop: Hop) -> Wire:
        """Open a link to another server of ours, or use that of an endpoint."""
        peer = node.view.trusted[hop.name] if hop.kind is LinkKind.SERVER else partner_at(node)
        wire = self._wire(node, hop.kind, Direction.OPENED, peer, hop.name)
        if hop.name in self.nodes:
            there = self.nodes[hop.name]
            other = self._wire(there, LinkKind.SERVER, Direction.ACCEPTED, there.view.trusted[node.view.name])
            wire.far, other.far = other, wire
        elif peer.name in self._servers:
            held = self._servers[peer.name]
            wire.far = Endpoint(self, held.principal, wire, honest=False, sent=held.sent)
        return wire

    # What happens

    def via(self) -> str:
        """A Via for a new transaction."""
        return f"SIP/2.0/TLS 127.0.0.9:9999;branch=z9hG4bK-wire-{next(self._branches)}"

    def run(self) -> None:
        """Deliver until nothing is on its way, and look at what servers believe then."""
        try:
            self._deliver()
        except AssertionError as broken:
            self.broken.append(str(broken))
            raise

    def _deliver(self) -> None:
        for _ in range(MOST_DELIVERED):
            if not self.queue:
                break
            target, data = self.queue.popleft()
            target.receive(data)
        assert not self.queue, "messages without an end"
        for endpoint in self.endpoints:
            flow = endpoint.wire.flow
            users: frozenset[str] = cast("Any", flow).users if flow is not None else frozenset()
            assert users <= endpoint.principal.users, f"{endpoint.name} is believed to be {users}"

    # What must hold for everything that arrives

    def seen(self, at: Endpoint, message: Request | Response) -> None:
        """Hold a message that has arrived against what its sender has proved."""
        if not at.honest:
            self.known.append(message.copy())
        mark = message.first(MARK)
        if isinstance(message, Response):
            self._hold_response(at, message, mark)
        elif mark is not None:
            self._hold_request(at, message, mark)
        elif message.method == "NOTIFY":
            self._hold_notification(at, message)
        else:
            assert message.method in {"ACK", "CANCEL"}, f"{message!r} is of nobody"

    def _hold_notification(self, at: Endpoint, message: Request) -> None:
        """A server of ours notifies those alone who have subscribed, in the dialog of their own SUBSCRIBE."""
        assert (at.name, message.call_id) in self.subscribed, f"{message!r} is of nobody"

    def _hold_request(self, at: Endpoint, request: Request, mark: str) -> None:
        origin, asked = self.injected[mark]
        assert isinstance(asked, Request)
        self.arrived.setdefault(mark, set()).add(at.name)
        self._hold_fields(origin.principal, request)
        assert not any(request.has(name) for name in CHALLENGES), "a challenge in a request"
        assert not (request.first("event") or "").lower().startswith("sipmesh"), "an event of the network itself"
        self._hold_way(origin, at, asked)
        if request.to.tag is None:
            assert origin.principal.may_be(request.from_), f"{origin.name} speaks as {request.from_}"
            call = Call(origin.principal, at.principal, request.from_.aor, request.to.aor, request.from_.tag or "")
            self.calls.setdefault(request.call_id, []).append(call)
        else:
            self._hold_inside(origin.principal, at.principal, request)

    def _hold_way(self, origin: Endpoint, at: Endpoint, asked: Request) -> None:
        """Tell whether the way to *at* is open to its sender at all, and was asked for."""
        if origin.wire.kind is LinkKind.PARTNER:
            assert at.wire.kind is LinkKind.CLIENT, f"{origin.name} reaches {at.name}"
        if asked.to.tag is not None:
            return
        if at.wire.kind is LinkKind.CLIENT:
            assert {asked.ruri.aor} <= at.principal.users, f"{asked.uri} came to {at.name}"
        else:
            host = asked.ruri.host
            assert host == at.name or host in at.principal.domains, f"{asked.uri} came to {at.name}"

    def _hold_inside(self, sender: Principal, receiver: Principal, request: Request) -> None:
        """A request inside a dialog is of one of its two sides, goes to the other one, and bears their names."""
        for call in self.calls.get(request.call_id, []):
            if (call.caller, call.callee) == (sender, receiver):
                own, other = call.from_aor, call.to_aor
                if request.to.tag not in self.tags.get((request.call_id, call.tag, receiver.name), ()):
                    continue  # the receiver has answered only another party under this tag
            elif (call.callee, call.caller) == (sender, receiver):
                own, other = call.to_aor, call.from_aor
            else:
                continue
            named = request.from_.aor == own or sender.may_be(request.from_)
            if named and (request.to.aor == other or receiver.may_be(request.to)):
                return
        raise AssertionError(f"{sender} to {receiver}, as {request.from_} to {request.to}: no dialog of theirs")

    def _hold_fields(self, origin: Principal, message: Request | Response) -> None:
        present = {row.name for row in message.rows}
        assert not present & REMOVED, f"{present & REMOVED} of {origin}"
        for name in present & OWN:
            for item in message.items(name):
                assert origin.may_be(NameAddr.parse(item)), f"{origin} says {name}: {item}"
        for name in present & CREDENTIALS:
            for value in message.values(name):
                assert REALM not in value, f"credentials of ours: {value}"

    def _hold_response(self, at: Endpoint, response: Response, mark: str | None) -> None:
        asked = at.sent.get(response.top_via.branch or "")
        assert asked is not None, f"{response!r} answers nothing of {at.name}"
        for name in ("from", "call-id", "cseq"):
            assert response.values(name) == asked.values(name), f"{name} of {response!r}"
        assert response.to.aor == asked.to.aor
        if mark is None:
            return
        origin, _ = self.injected[mark]
        self._hold_fields(origin.principal, response)
        assert origin.name in self.arrived.get(asked.first(MARK) or "", set()), f"{origin.name} was not requested"
        for name in CHALLENGES:
            for value in response.values(name):
                assert REALM not in value, f"{origin.name} challenges: {value}"


def partner_at(node: RunningServer) -> TrustedPeer:
    """The one partner, as *node* knows it."""
    (partner,) = node.view.partners
    return partner.peer


def rows_of(messages: list[Request | Response], *names: str) -> Iterator[str]:
    """Every value of these fields that has been seen."""
    for message in messages:
        for name in names:
            yield from message.values(name)
