"""A managed network whose servers are processes, as an operator starts them; management runs in the test's loop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Self

from sipmesh.demo import forkserver
from sipmesh.demo.forkserver import Forked
from sipmesh.demo.ports import free_port
from sipmesh.errors import SipmeshError
from sipmesh.trust.evidence import LinkKind
from support.answered import Phone
from support.managed import MGMT, Change, Managed
from support.network import BOT, EDGE, EDGES, EXAMPLE
from support.peer import HungUpError, Peer
from support.running import LOOK_AGAIN_S, until

WORKERS = 2


def workers_at(servers: Collection[str], count: int = WORKERS) -> Change:
    """Give *servers* workers, and no others."""

    def change(document: dict[str, Any]) -> None:
        for pool in document["pools"]:
            for server in pool["servers"]:
                server.pop("workers", None)
                if server["name"] in servers:
                    server["workers"] = count

    return change


@dataclass
class RealNetwork:
    """The servers of *managed* as processes."""

    managed: Managed
    started: dict[str, Forked] = field(default_factory=dict)
    phones: list[Phone] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._let_remote_users_in()
        await self.managed.start(MGMT)
        return self

    async def __aexit__(self, *_: object) -> None:
        for phone in self.phones:
            await phone.close()
        for name in list(self.started):
            await self.end(name, signal.SIGKILL)
        await self.managed.__aexit__()

    def _let_remote_users_in(self) -> None:
        """Give the edge a port for clients."""
        organisation = self.managed.organisation
        port = organisation.ports[EDGE][LinkKind.CLIENT] = free_port()

        def change(document: dict[str, Any]) -> None:
            [pool] = [pool for pool in document["pools"] if pool["name"] == EDGES]
            pool["remote_users"] = True
            pool["servers"][0]["ports"]["client"] = port

        self.managed.edit(change)

    # Servers

    async def start(self, name: str) -> None:
        """Start a server, and wait until it serves."""
        if not self.managed.holding(name).is_there:
            self.managed.join(name)
        folder = self.managed.folder(name)
        with (folder / "log").open("ab") as log:
            self.started[name] = forkserver.start(("serve", name, "--topology", str(folder / "topology.yaml")), log)
        await self.serves(name)

    async def serves(self, name: str) -> None:
        """Wait until a server, with all its workers, serves."""
        while True:
            assert self.started[name].poll() is None, (self.managed.folder(name) / "log").read_text()
            try:
                status = await self.managed.ask(name, "status")
            except SipmeshError:
                pass
            else:
                if all(one["state"] == "serving" for one in status["workers"]):
                    return
            await asyncio.sleep(LOOK_AGAIN_S)

    async def refuses(self, name: str) -> None:
        """Wait until no process listens at a server any more."""
        address = self.managed.organisation.address(name, LinkKind.CLIENT)
        while True:
            try:
                await (await Peer.open(address)).__aexit__()
            except OSError:
                return
            await asyncio.sleep(LOOK_AGAIN_S)

    async def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a server."""
        started = self.started.pop(name)
        started.send_signal(signal.SIGCONT)
        started.send_signal(number)
        await started.waited()

    async def restart(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a server, and start it again."""
        await self.end(name, number)
        await self.start(name)

    async def workers(self, name: str) -> list[dict[str, Any]]:
        """The workers of a server."""
        return list((await self.managed.ask(name, "status"))["workers"])

    async def signal_worker(self, name: str, number: signal.Signals, worker: int = 1) -> None:
        """Send a signal to a worker."""
        pids = [one["pid"] for one in await self.workers(name) if one["number"] == worker]
        os.kill(pids[0], number)

    async def follow(self) -> None:
        """Wait until every server that runs has the newest version, and management knows."""
        number, running = self.managed.number(MGMT), set(self.started)
        await until(lambda: running <= self.managed.master.reports.servers_with(number))

    # Phones

    async def phone(self, server: str, user: str) -> Phone:
        """A phone that has registered, as soon as the server knows the users."""
        address = self.managed.organisation.address(server, LinkKind.CLIENT)
        while True:
            peer = await Peer.open(address, f"{user}@{EXAMPLE}")
            try:
                registered = await peer.register()
            except HungUpError:
                continue
            if registered.status == 200:
                break
            await peer.__aexit__()
            await asyncio.sleep(LOOK_AGAIN_S)
        self.phones.append(phone := Phone(peer, server))
        return phone

    async def application(self, server: str) -> Phone:
        """The application, connected to *server*."""
        peer = await Peer.open(
            self.managed.organisation.address(server, LinkKind.SERVER),
            f"room@{BOT}",
            self.managed.credentials(BOT),
        )
        self.phones.append(phone := Phone(peer, server, is_application=True))
        return phone
