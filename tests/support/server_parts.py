"""The parts of one server, built as a running server builds them; no port is opened, and nothing is dialled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.file_error import make_folder
from sipmesh.server.control_socket import STATE
from sipmesh.server.in_force.in_force import InForce, in_force_of
from sipmesh.server.proxy.outside import Outside
from sipmesh.server.running.server_parts import ServerParts as Parts
from sipmesh.server.running.server_setup import ServerSetup
from sipmesh.server.running.server_stores import ServerStores
from sipmesh.server.running.worker_place import ALONE, WorkerPlace
from sipmesh.topology.view import view
from sipmesh.transport.limits import Limits
from support.telling import Told


class ServerParts(Parts):
    """Every part of one server, with its log."""

    def __init__(self, setup: ServerSetup, told: Told) -> None:
        super().__init__(setup)
        self.setup, self.told = setup, told

    def put(self, organisation: Organisation) -> InForce:
        """Put in force what *organisation* has written now; nothing follows from it."""
        setup = self.setup
        setup.current.value = in_force_of(organisation.load(), setup.view.name, setup.lasting)
        return setup.current.value

    async def close(self) -> None:
        """Close what was opened."""
        self.forwarding.outages.close()
        self.users.takeovers.close()
        self.users.logins.moved.close()
        await self.links.drain()
        self.forwarding.liveness.close()
        self.peers.reactor.close()
        self.events.close()
        self.peers.peer_log.close()


def setup_of(
    organisation: Organisation, name: str, place: WorkerPlace = ALONE, told: Told | None = None
) -> ServerSetup:
    """The setup of one server of *organisation*, on the loop that runs; its stores have to be closed."""
    loaded, loop = organisation.load(), asyncio.get_running_loop()
    own, state = view(loaded, name), loaded.folder / STATE
    make_folder(state)
    begun = place.begun()
    stores = ServerStores(own, state, begun, loop)
    return ServerSetup(loaded, name, stores, begun, Limits(), loop, (told or Told()).log, Outside())


@asynccontextmanager
async def server_parts(organisation: Organisation, name: str, place: WorkerPlace = ALONE) -> AsyncIterator[ServerParts]:
    """Build the parts of one server, and close them at the end."""
    told = Told()
    setup = setup_of(organisation, name, place, told)
    parts = ServerParts(setup, told)
    yield parts
    await parts.close()
    setup.stores.close()
