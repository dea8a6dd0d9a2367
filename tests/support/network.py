"""Organisations in a folder, with their servers running in the test's own loop on ports of the kernel's choice."""

from __future__ import annotations

import asyncio
import copy
import re
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from client.clock import JumpingLoop
from sipmesh.client.agent import Settings, UserAgent
from sipmesh.client.answering import Event, Manners
from sipmesh.client.call import Call, IncomingCall
from sipmesh.client.judge import Trust
from sipmesh.client.outcome import Outcome, Text
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.digest import parse_challenge
from sipmesh.sip.message import Response
from sipmesh.storage.location_service.locations import Locations
from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
from sipmesh.storage.messages import MessageStore
from sipmesh.topology.document.load import Loaded, load
from sipmesh.transport.limits import Limits
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.model_ports import name_server_port
from support.peer import Peer
from support.telling import Told

EXAMPLE, PARTNER = "example.test", "partner.test"
POOL, EDGES = "pool1.example.test", "sip.example.test"
FE1, FE2, EDGE = "fe1.example.test", "fe2.example.test", "edge1.example.test"
BOT = "bot.example.test"
EDGE2 = "edge2.example.test"
POOL2, FE3, FE4 = "pool2.example.test", "fe3.example.test", "fe4.example.test"
PARTNER_FE, PARTNER_EDGE, PARTNER_EDGES = "fe1.partner.test", "edge1.partner.test", "sip.partner.test"


UNHURRIED = Limits(queue_age_s=60.0, queue_age_most_s=60.0)
"""The limits, but without overload control: a burst may wait for as long as the machine is busy with other tests."""

BEGAN = datetime.now(UTC)
"""When the tests were collected: organisations are issued then, so that no test is older than its certificates."""


def build_example(folder: Path) -> Organisation:
    """example.test: two front ends in one pool, an edge, and an application that is played by a peer."""
    organisation = Organisation.build(
        folder,
        EXAMPLE,
        (
            PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
            PoolPlan(EDGES, Role.EDGE, (EDGE,), {"next_hop": POOL}),
            PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL}),
        ),
        issued_at=BEGAN,
    )
    return finished(organisation, "alice", "bob", "carol")


def build_two_pools(folder: Path) -> Organisation:
    """example.test with a second pool of front ends: alice is at home in the first, bob and dora are in the second.

    The edge hands requests to the first pool alone. Carol has no home pool.
    """
    organisation = Organisation.build(
        folder,
        EXAMPLE,
        (
            PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
            PoolPlan(POOL2, Role.FRONT_END, (FE3, FE4)),
            PoolPlan(EDGES, Role.EDGE, (EDGE,), {"next_hop": POOL}),
        ),
        issued_at=BEGAN,
    )
    finished(organisation, "carol")
    organisation.add_users("alice", pool=POOL)
    organisation.add_users("bob", "dora", pool=POOL2)
    return organisation


def build_two_edges(folder: Path) -> Organisation:
    """example.test with one front end and an edge pool of two servers, which share a folder and so the key of their pool."""
    organisation = Organisation.build(
        folder,
        EXAMPLE,
        (
            PoolPlan(POOL, Role.FRONT_END, (FE1,)),
            PoolPlan(EDGES, Role.EDGE, (EDGE, EDGE2), {"next_hop": POOL}),
        ),
        issued_at=BEGAN,
    )
    return finished(organisation, "alice")


def build_partner(folder: Path) -> Organisation:
    """partner.test: a front end and an edge, under another CA."""
    organisation = Organisation.build(
        folder,
        PARTNER,
        (
            PoolPlan("pool1.partner.test", Role.FRONT_END, (PARTNER_FE,)),
            PoolPlan(PARTNER_EDGES, Role.EDGE, (PARTNER_EDGE,), {"next_hop": "pool1.partner.test"}),
        ),
        issued_at=BEGAN,
    )
    return finished(organisation, "erin")


def finished(organisation: Organisation, *users: str) -> Organisation:
    """Write the topology, the certificates and the users."""
    organisation.write()
    organisation.issue_all()
    organisation.add_users(*users)
    make_message_store(organisation)
    return organisation


def make_message_store(organisation: Organisation) -> None:
    """Make the database of stored messages, which each copy would make again at its first start."""
    (organisation.folder / "state").mkdir(mode=0o700)
    MessageStore(organisation.load().messages_url).close()


def copied(organisation: Organisation, folder: Path, port: Callable[[], int] = free_port) -> Organisation:
    """Give the same organisation in a folder of its own, on ports of its own, which *port* gives."""
    made = copied_with_ports(organisation, folder)
    document: dict[str, Any] = made.document
    for pool in document["pools"]:
        for server in pool["servers"]:
            made.ports[server["name"]] = {LinkKind(kind): port() for kind in server["ports"]}
            server["ports"] = {str(kind): number for kind, number in made.ports[server["name"]].items()}
    made.write()
    return made


def copied_with_ports(organisation: Organisation, folder: Path) -> Organisation:
    """Give the same organisation in a folder of its own, on the same ports: only one of the two may run."""
    shutil.copytree(organisation.folder, folder, dirs_exist_ok=True)
    ports, document = copy.deepcopy((organisation.ports, organisation.document))
    return replace(organisation, folder=folder, ports=ports, document=document)


@dataclass
class Network:
    """What runs in one test; everything that was opened through it is closed at its end."""

    organisations: tuple[Organisation, ...]
    nodes: dict[str, RunningServer] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    dns: NameServer = field(default_factory=lambda: NameServer({}))
    starts: tuple[str, ...] = ()
    limits: Limits = UNHURRIED
    stores: dict[str, Locations] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _loaded: dict[Path, tuple[bytes, Loaded]] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        await self._start_dns()
        self._stack.callback(self.dns.close)
        for organisation in self.organisations:
            organisation.document["dns"] = {"servers": [self.dns.setting]}
            organisation.write()
        try:
            for name in self.starts:
                self.start(name)
        except BaseException:
            await self.__aexit__()  # a server that cannot start must not spoil the tests that come after
            raise
        return self

    async def _start_dns(self) -> None:
        try:
            await self.dns.start(HOST, name_server_port())
        except OSError:  # a second network runs in this test
            await self.dns.start(HOST)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await asyncio.gather(*(self.stop(name) for name in list(self.nodes)))

    def of(self, name: str) -> Organisation:
        """The organisation of a server or of a user's domain."""
        return next(one for one in self.organisations if name.endswith(one.domain))

    def start(self, name: str) -> RunningServer:
        """Run a server in this loop."""
        told = self.told[name] = Told()
        file = self.of(name).file
        node = self.nodes[name] = RunningServer(
            file, name, told.log, self.limits, loaded=self._load(file), locations=self.stores.get(name)
        )
        locations = node.locations
        if isinstance(node.loop, JumpingLoop) and isinstance(locations, SqliteLocations):

            def works() -> bool:
                """Tell whether a thread works for a server that runs: a closed store answers nothing more."""
                waiting = locations.lookups + locations.health.waiting + node.message_queue.waiting
                return self.nodes.get(name) is node and waiting > 0

            node.loop.threads.append(works)
        node.start()
        return node

    def _load(self, file: Path) -> Loaded:
        """Read a topology once for all servers that start with it."""
        text = file.read_bytes()
        if self._loaded.get(file, (b"",))[0] != text:
            self._loaded[file] = (text, load(file))
        return self._loaded[file][1]

    async def stop(self, name: str) -> None:
        """Drain a server."""
        await self.nodes.pop(name).drain()

    def address(self, server: str, kind: LinkKind = LinkKind.CLIENT) -> tuple[str, int]:
        """Where *server* listens."""
        return self.of(server).address(server, kind)

    def credentials(self, server: str) -> tuple[Path, Path]:
        """The certificate chain and the key of *server*."""
        folder = self.of(server).folder / "servers"
        return folder / f"{server}.pem", folder / f"{server}.key"

    async def agent(self, user: str, server: str, *, accepts: bool = True, status: int = 200) -> UserAgent:
        """A user who is logged in at *server*."""
        domain = self.of(server).domain
        trust = Trust.of_pem(self.of(server).root.read_bytes())
        settings = Settings(Manners(accept_calls=accepts, message_status=status))
        reactor = Reactor(asyncio.get_running_loop(), UNHURRIED)
        self._stack.callback(reactor.close)
        agent = UserAgent(f"{user}@{domain}", f"{user}-secret", trust=trust, settings=settings, reactor=reactor)
        self._stack.push_async_callback(agent.close)
        await agent.connect(*self.address(server))
        assert (await agent.register()).status == 200
        return agent

    def let_application_speak(self) -> None:
        """Let the application of the first organisation assert users of its domain; before the start."""
        self.set_application(speaks_for=[self.organisations[0].domain])

    def set_application(self, **keys: object) -> None:
        """Set *keys* of the application of the first organisation; before the start."""
        organisation = self.organisations[0]
        pools = organisation.document["pools"]
        assert isinstance(pools, list)
        next(one for one in pools if one["name"] == BOT).update(keys)
        organisation.write()

    async def peer(self, server: str, user: str = "nobody", credentials: str | None = None) -> Peer:
        """A peer at the client port of *server* or, with the *credentials* of a server of ours, at its server port."""
        kind = LinkKind.CLIENT if credentials is None else LinkKind.SERVER
        return await self.peer_at(server, kind, user, credentials)

    async def peer_at(self, server: str, kind: LinkKind, user: str = "nobody", credentials: str | None = None) -> Peer:
        """A peer at any port of *server*."""
        shown = None if credentials is None else self.credentials(credentials)
        who = user if "@" in user else f"{user}@{self.of(server).domain}"
        return await self._stack.enter_async_context(await Peer.open(self.address(server, kind), who, shown))

    async def peer_from(self, address: str, server: str, user: str) -> Peer:
        """A peer at the client port of *server*, from another *address* of this machine."""
        who = f"{user}@{self.of(server).domain}"
        return await self._stack.enter_async_context(await Peer.open(self.address(server), who, source=address))

    async def phone(self, user: str, server: str, *headers: tuple[str, str]) -> Peer:
        """A peer that has registered *user* at *server*."""
        peer = await self.peer(server, user)
        registered = await peer.register(headers)
        assert registered.status == 200, registered
        return peer


def federate(example: Organisation, partner: Organisation, **keys: object) -> None:
    """Introduce two organisations to each other; *keys* go into our entry of the partner."""
    theirs = f"{PARTNER_EDGES}:{partner.ports[PARTNER_EDGE][LinkKind.PARTNER]}"
    ours = f"{EDGES}:{example.ports[EDGE][LinkKind.PARTNER]}"
    example.federate(EDGES, [partner.as_partner(edge=theirs, **keys)], blocked=("evil.test",))
    partner.federate(PARTNER_EDGES, [example.as_partner(edge=ours)])
    example.write()
    partner.write()


def let_remote_users_in(example: Organisation) -> None:
    """Give the edge a port for clients."""
    example.ports[EDGE][LinkKind.CLIENT] = free_port()
    pools = example.document["pools"]
    assert isinstance(pools, list)
    pool = next(one for one in pools if one["name"] == EDGES)
    pool["remote_users"] = True
    pool["servers"][0]["ports"]["client"] = example.ports[EDGE][LinkKind.CLIENT]
    example.write()


def federate_by_srv(example: Organisation, partner: Organisation) -> dict[tuple[str, str], list[str]]:
    """Introduce two organisations; the partner finds the two edges of *example* by SRV. Gives the DNS records for it."""
    federate(example, partner)
    partner.federate(PARTNER_EDGES, [example.as_partner()])
    partner.write()
    ports = [example.ports[edge][LinkKind.PARTNER] for edge in (EDGE, EDGE2)]
    return {
        (f"_sipfederationtls._tcp.{EXAMPLE}", "SRV"): [f"{10 * n} 0 {port} {EDGES}." for n, port in enumerate(ports)],
        (EDGES, "A"): [HOST],
        (PARTNER_EDGES, "A"): [HOST],
    }


async def event(agent: UserAgent) -> Event:
    """The next thing that happens to an agent."""
    return await agent.events.get()


async def text(agent: UserAgent) -> Text:
    """The next message to an agent."""
    found = await event(agent)
    assert isinstance(found, Text), found
    return found


async def ringing(agent: UserAgent) -> IncomingCall:
    """The next call to an agent."""
    found = await event(agent)
    assert isinstance(found, IncomingCall), found
    return found


async def inside(call: Call, method: str) -> Outcome:
    """Send a request inside a call that is up, as a phone does; the answer to a re-INVITE is acknowledged."""
    assert call.dialog is not None
    party = call.line.party
    outcome = await call.line.ask(party.inside(call.dialog, method, [("contact", party.contact)]))
    if method == "INVITE":
        call.line.send(party.inside(call.dialog, "ACK"))
    return outcome


async def hung_up_by_the_other(call: Call, other: Call) -> bool:
    """End a call and see that the other side learns of it."""
    ended = await call.hang_up()
    await other.over()
    return ended is not None and ended.ok


async def nobody_like(network: Network, server: str, user: str, pool: str = "") -> str:
    """The name of no user whose challenge at *server* offers what that of *user* does: there is one for each user.

    The *pool* challenges it; "" is the pool of *server*.
    """
    offered = await offers(network, server, user)
    for number in range(200):
        name = f"nobody{number}"
        if network.nodes[server].access.pool_for(f"sip:{name}@{EXAMPLE}") != pool:
            continue
        if await offers(network, server, name) == offered:
            return name
    raise AssertionError(f"nobody is challenged as {user} is")


async def offers(network: Network, server: str, user: str) -> list[str]:
    """The algorithms that *server* offers to who claims to be *user*."""
    peer = await network.peer(server, user)
    asked = peer.request("REGISTER", f"sip:{EXAMPLE}", to=f"<sip:{user}@{EXAMPLE}>")
    challenges = (await peer.ask(asked)).values("www-authenticate")
    return [str(parse_challenge(value).algorithm) for value in challenges]


def telling(response: Response, user: str) -> list[bytes]:
    """What a guesser could compare: every row, without what is new each time and without the name that it gave itself."""
    patterns = (
        rb'nonce="[^"]*"',
        rb"tag=[^;\s]*",
        rb"branch=[^;\s]*",
        rb"127\.0\.0\.1:\d+",
        rb"rport=\d+",
        user.encode(),
    )
    rows = [row for row in response.lines if not row.lower().startswith((b"call-id", b"cseq"))]
    for pattern in patterns:
        rows = [re.sub(pattern, b"*", row) for row in rows]
    return rows
