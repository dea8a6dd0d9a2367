"""One organisation with all peers that connect to it or that it dials, and the result of one attempt, over real TLS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from sipmesh.demo.attacker import PATIENCE_S, Knock, _context, _timeval, knock
from sipmesh.demo.attacks import PLACES
from sipmesh.demo.cast import Cast, stolen, write_partner_ca
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import SERVER_AUTH, Forge, Forged
from sipmesh.demo.impostors import AttackedListener
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import free_port
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.message import build_request
from sipmesh.transport.hop import Hop
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.reactor.event_loop import Loop
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from sipmesh.trust.verdict import Verdict
from support.network import BOT, EDGE, EDGES, EXAMPLE, FE1, FE2, PARTNER, PARTNER_EDGES, POOL, Network, copied, finished
from support.running import until

FE3, POOL2 = "fe3.example.test", "pool2.example.test"
OTHER = "other.test"
SERVED = "SIP/2.0 200 OK"
ATTEMPT_S = 10.0
"""An attempt that takes longer has failed; none takes a hundredth of it."""


@dataclass(frozen=True, slots=True)
class Model:
    """example.test in a folder, not running, and the keys of all who sign for or against it."""

    organisation: Organisation
    cast: Cast

    @classmethod
    def build(cls, folder: Path) -> Model:
        """Two pools of front ends, an edge, an application; partner A by ``edge:``, partner B by its domain alone."""
        pools = (
            PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
            PoolPlan(POOL2, Role.FRONT_END, (FE3,)),
            PoolPlan(EDGES, Role.EDGE, (EDGE,), {"next_hop": POOL}),
            PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL}),
        )
        organisation = Organisation.build(folder, EXAMPLE, pools)
        forge = Forge(datetime.now(UTC))
        partner, first = write_partner_ca(forge, folder / "partners" / PARTNER, PARTNER)
        other, second = write_partner_ca(
            forge, folder / "partners" / OTHER, OTHER, usages=(SERVER_AUTH,)
        )  # as public CAs are now
        partners: list[dict[str, object]] = [
            {"domains": [PARTNER], "edge": f"{PARTNER_EDGES}:{free_port()}", **_movable(first, folder)},
            {"domains": [OTHER], "client_usage": "server-ok", **_movable(second, folder)},
        ]
        organisation.federate(EDGES, partners, blocked=("evil.test",))
        organisation.certify_devices()
        finished(organisation, "alice")
        stranger = forge.organisation("stranger.test")
        devices = stolen(organisation, "devices")
        return cls(organisation, Cast(forge, stolen(organisation), partner, other, stranger, devices))


def _movable(entry: dict[str, object], folder: Path) -> dict[str, object]:
    """Name files as seen from *folder*, so that the folder can be copied."""
    return {
        key: [str(Path(str(file)).relative_to(folder)) for file in files] if isinstance(files, list) else files
        for key, files in entry.items()
    }


@dataclass(frozen=True, slots=True)
class Came:
    """The result of one attempt.

    *code* is `ACCEPTED` only after a SIP round trip. *answer* is the first line that a connecting peer read, *received* the
    requests of a peer that we dialled.
    """

    code: Code
    verdict: Verdict | None = None
    answer: str = ""
    alert: str = ""
    received: int = 0

    @property
    def spoke(self) -> bool:
        """Whether one byte of SIP went to the other side."""
        return bool(self.answer or self.received)


@dataclass(frozen=True, slots=True)
class World:
    """The organisation, running, with the forge at hand."""

    network: Network
    cast: Cast

    @property
    def organisation(self) -> Organisation:
        """example.test."""
        return self.network.organisations[0]

    def node(self, server: str) -> RunningServer:
        """A running server."""
        return self.network.nodes[server]

    async def knock(self, server: str, kind: LinkKind, credentials: Forged | None, highest: int | None = None) -> Came:
        """Open a link to a port of ours with *credentials*, by OpenSSL alone."""
        self.node(server).gatekeeper.refusals.clear()  # a port number that comes back must not bring an old verdict
        address = self.network.address(server, kind)
        came = await asyncio.to_thread(knock, address, credentials, name=server, domain=EXAMPLE, highest=highest)
        return await self.after(server, came)

    async def knock_at(self, door: AttackedListener, credentials: Forged | None) -> Came:
        """Open a link where the play of impostors has its *door*."""
        return await self.knock(*PLACES[door], credentials)

    async def after(self, server: str, knocked: Knock) -> Came:
        """Find the verdict of *server* on that very connection."""
        assert knocked.answer in ("", SERVED), knocked
        if knocked.served:
            return Came(Code.ACCEPTED, answer=knocked.answer)
        verdict = await self.refusal(server, knocked.local)
        return Came(verdict.code, verdict, knocked.answer, knocked.alert)

    async def refusal(self, server: str, remote: tuple[str, int]) -> Verdict:
        """The refusal of the peer at *remote*, as soon as there is one."""
        found: list[Verdict] = []

        def is_there() -> bool:
            found[:] = [one for one in self.node(server).gatekeeper.refused() if one.remote == remote]
            return bool(found)

        async with asyncio.timeout(ATTEMPT_S):
            await until(is_there)
        return found[0]

    async def dial(self, server: str, kind: LinkKind, meant: str, credentials: Forged) -> Came:
        """Have *server* open a link to *meant*, at whose address a server with *credentials* answers every client."""
        node = self.node(server)
        await self.hung_up(server)
        node.gatekeeper.refusals.clear()
        with Decoy(credentials) as decoy:
            link = node.pool.obtain(Hop(meant, kind, (decoy.address,)))
            link.send(_options(meant))
            async with asyncio.timeout(ATTEMPT_S):
                await until(lambda: link.messages_in or link.state is LinkState.CLOSED)
            if link.messages_in and decoy.received:
                return Came(Code.ACCEPTED, link.verdict, received=decoy.received)
            verdict = await self.refusal(server, decoy.address)
            return Came(verdict.code, verdict, received=decoy.received + link.bytes_out)

    async def hung_up(self, server: str) -> None:
        """No link of *server* is left, so that the next one has to be opened, and no refusal is counted against any peer."""
        node = self.node(server)
        node.connector.forget_failures()
        for link in node.pool.all():
            link.close("the next attempt")
        async with asyncio.timeout(ATTEMPT_S):
            await until(lambda: not node.pool.all())

    def reload(self, server: str) -> list[str]:
        """Have *server* read its topology and its CRLs again; returns the links that it closed."""
        return self.node(server).put_in_force(self.organisation.load())


def _options(meant: str) -> bytes:
    headers = [
        ("via", f"SIP/2.0/TLS {EXAMPLE};branch=z9hG4bK-cell"),
        ("max-forwards", "70"),
        ("from", f"<sip:{EXAMPLE}>;tag=cell"),
        ("to", f"<sip:{meant}>"),
        ("call-id", "cell"),
        ("cseq", "1 OPTIONS"),
    ]
    return build_request("OPTIONS", f"sip:{meant}", headers).encode()


@asynccontextmanager
async def running(model: Model, folder: Path, *servers: str) -> AsyncIterator[World]:
    """Run *servers* of a copy of *model* in *folder*."""
    async with Network((copied(model.organisation, folder),), starts=servers) as network:
        yield World(network, model.cast)


@contextmanager
def shared(model: Model, folder: Path, *servers: str) -> Iterator[tuple[asyncio.Runner, World]]:
    """The same, on a loop that runs whenever a test asks its runner to."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        context = running(model, folder, *servers)
        world = runner.run(context.__aenter__())
        try:
            yield runner, world
        finally:
            runner.run(context.__aexit__(None, None, None))


def alert_for(address: tuple[str, int], credentials: Forged | None, version: int) -> str:
    """Shake hands with *credentials*, say nothing, and give the alert that comes back, in OpenSSL's words.

    A peer that sends something may lose the alert: unread octets cause a reset.
    """
    context = _context(credentials, version)
    with socket.create_connection(address, PATIENCE_S) as raw:
        raw.settimeout(None)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(PATIENCE_S))
        tls = SSL.Connection(context, raw)
        tls.set_connect_state()
        try:
            tls.do_handshake()
            tls.recv(1)
        except SSL.Error as error:
            return _words(error)
    return "none"


def _words(error: SSL.Error) -> str:
    reasons: Any = error.args[0] if error.args else ()
    return str(reasons[-1][-1]) if isinstance(reasons, list) and reasons else type(error).__name__
