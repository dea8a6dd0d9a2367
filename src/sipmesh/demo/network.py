"""Two organisations on loopback, each server a process of its own that runs `sipmesh serve`, and their DNS."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sipmesh.demo import forkserver
from sipmesh.demo.cast import Cast, write_partner_ca
from sipmesh.demo.forge import SERVER_AUTH, Forge
from sipmesh.demo.forkserver import Forked
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import HOST
from sipmesh.demo.web import MANAGEMENT, MGMT, add_web, publish_web
from sipmesh.errors import SipmeshError
from sipmesh.server.admin.replies import USER
from sipmesh.server.control_socket import SOCKET_SUFFIX, ControlCommand, ask
from sipmesh.sip.digest import Algorithm
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

T = TypeVar("T")

START_S = 60.0
LOOK_AGAIN_S = 0.05

EXAMPLE, PARTNER, OTHER = "example.test", "partner.test", "other.test"
POOL, EDGES, BOTS = "pool1.example.test", "sip.example.test", "bot.example.test"
FE1, FE2, EDGE = "fe1.example.test", "fe2.example.test", "edge1.example.test"
PARTNER_FE, PARTNER_EDGE = "fe1.partner.test", "edge1.partner.test"


@dataclass(slots=True)
class DemoNetwork:
    """The running network; *servers* has the processes by the name of their server."""

    folder: Path
    example: Organisation
    partner: Organisation
    cast: Cast
    dns: NameServer
    servers: dict[str, Forked] = field(default_factory=dict)

    @classmethod
    async def build(cls, folder: Path, *, web: bool = False) -> DemoNetwork:
        """Make CAs, topologies, certificates and users; no server runs yet. *web*: with management, console and web phone."""
        dns = await NameServer({}).start(HOST)
        example, partner = build_example(folder, *(MANAGEMENT if web else ())), build_partner(folder)
        forge = Forge(datetime.now(UTC))
        other, entry = write_partner_ca(forge, folder / OTHER, OTHER, usages=(SERVER_AUTH,))  # as public CAs issue now
        federate(example, partner, entry)
        example.certify_devices()
        if web:
            add_web(example)
        for organisation in (example, partner):
            organisation.document["dns"] = {"servers": [dns.setting]}
            organisation.write()
            organisation.issue_all()
        example.add_users("alice", "bob")
        example.add_users("carol", algorithms=(Algorithm.MD5,))
        partner.add_users("erin")
        for name in ("sip.partner.test", "sip.example.test", "example.test", "partner.test"):
            dns.records[name, "A"] = [HOST]
        if web:
            publish_web(example)
        return cls(folder, example, partner, Cast.of(example, partner, other), dns)

    @property
    def is_managed(self) -> bool:
        """Whether the servers of example.test get topology, CRLs and users from management."""
        return MGMT in self.example.ports

    def organisation_of(self, server: str) -> Organisation:
        """Return the organisation that a server belongs to."""
        return self.example if server in self.example.ports else self.partner

    def control(self, server: str) -> Path:
        """Return the path of a server's control socket."""
        return self.organisation_of(server).folder / "state" / f"{server}{SOCKET_SUFFIX}"

    async def ask(self, server: str, command: str, **given: Any) -> Any:
        """Send a command to a running server, and return its result."""
        return await ask(self.control(server), command, **given)

    async def result_of(self, command: ControlCommand[T], server: str, **given: Any) -> T:
        """Send a command to a running server, and return its result as a typed value."""
        return command.parse(await self.ask(server, command.name, **given), server)

    async def start(self, *names: str) -> None:
        """Start servers, all of them by default, and wait until users can log in there.

        Each answers on its control socket then; a front end also has the users, if it gets them from management.
        """
        for name in names or (*self.example.ports, *self.partner.ports):
            if name != BOTS:
                self.servers[name] = self._spawn(name)
        started = names or tuple(self.servers)
        try:
            async with asyncio.timeout(START_S):
                await self._until_all_ready(started)
        except TimeoutError:
            raise SipmeshError(
                f"{', '.join(started)} did not start within {START_S:g} s: this machine is too slow, or too busy; "
                "run the demo again when other programs have ended"
            ) from None

    async def _until_all_ready(self, started: Collection[str]) -> None:
        """Wait for each server, and then for the users at the front ends."""
        await asyncio.gather(*(self._until_ready(name) for name in started))
        if MGMT in self.servers:
            await asyncio.gather(*(self._until_users_known(name) for name in (FE1, FE2) if name in started))

    def _spawn(self, name: str) -> Forked:
        organisation = self.organisation_of(name)
        with (organisation.folder / f"{name}.log").open("ab") as log:
            return forkserver.start(("serve", name, "--topology", str(organisation.file)), log)

    async def _until_ready(self, name: str) -> None:
        """Wait until the control socket answers; raises `SipmeshError` with the log if the process ended instead."""
        process = self.servers[name]
        while True:
            if process.poll() is not None:
                log = (self.organisation_of(name).folder / f"{name}.log").read_text()
                raise SipmeshError(f"{name} did not start:\n{log}")
            try:
                await self.ask(name, "status")
            except SipmeshError:
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                return

    async def _until_users_known(self, front_end: str) -> None:
        """Wait until management has sent the users: before that, each login is answered with 503."""
        while not (await self.result_of(USER, front_end, user="")).ready:
            await asyncio.sleep(LOOK_AGAIN_S)

    async def stop(self) -> None:
        """Stop every server, by its own pid, and the DNS server; no process is left."""
        for process in self.servers.values():
            process.terminate()
        await asyncio.gather(*(process.ended() for process in self.servers.values()))
        self.dns.close()


def build_example(folder: Path, *further: PoolPlan) -> Organisation:
    """Build example.test: two front ends in one pool, an edge, an application that does not run here, and *further* pools."""
    return Organisation.build(
        folder / EXAMPLE,
        EXAMPLE,
        (
            PoolPlan(POOL, Role.FRONT_END, (FE1, FE2)),
            PoolPlan(EDGES, Role.EDGE, (EDGE,), {"internal_name": "edge-int.example.test", "next_hop": POOL}),
            PoolPlan(BOTS, Role.APPLICATION, (BOTS,), {"next_hop": POOL}),
            *further,
        ),
    )


def build_partner(folder: Path) -> Organisation:
    """Build partner.test: a front end and an edge, under another CA."""
    return Organisation.build(
        folder / PARTNER,
        PARTNER,
        (
            PoolPlan("pool1.partner.test", Role.FRONT_END, (PARTNER_FE,)),
            PoolPlan("sip.partner.test", Role.EDGE, (PARTNER_EDGE,), {"next_hop": "pool1.partner.test"}),
        ),
    )


def federate(example: Organisation, partner: Organisation, other: dict[str, object]) -> None:
    """Make both organisations partners; add a second partner without `edge:`, and a blocked one."""
    theirs = f"sip.partner.test:{partner.ports[PARTNER_EDGE][LinkKind.PARTNER]}"
    ours = f"sip.example.test:{example.ports[EDGE][LinkKind.PARTNER]}"
    partners: list[dict[str, object]] = [
        partner.as_partner(edge=theirs),
        {"domains": [OTHER], "client_usage": "server-ok", **other},
    ]
    example.federate(EDGES, partners, blocked=("evil.test",))
    partner.federate("sip.partner.test", [example.as_partner(edge=ours)])
