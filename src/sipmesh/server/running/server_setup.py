"""What all parts of one server are made from: its view of the topology at the start, its process, its stores, its names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sipmesh.routing.proxy.branch import Branches
from sipmesh.routing.proxy.forwarding import WS, ListenerAddress
from sipmesh.server.proxy.login.home_pools import HomePools
from sipmesh.server.proxy.roles import border_of
from sipmesh.server.running.address_rules import AddressRules

if TYPE_CHECKING:
    import asyncio

    from sipmesh.server.log import Log
    from sipmesh.server.running.server_stores import ServerStores
    from sipmesh.server.running.worker_place import WorkerPlace
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.limits import Limits

NONCE_KEY_BYTES: Final = 32  # only for this start: a nonce is not valid on another server, or after a restart
TOKEN_BYTES: Final = 12


class ServerSetup:
    """The start of one server. Parts keep what they need of it; a later version of the topology is applied to each part."""

    def __init__(
        self,
        view: ServerView,
        stores: ServerStores,
        place: WorkerPlace,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self.view, self.stores, self.place, self.limits = view, stores, place, limits
        self.loop, self.log = loop, log
        self.homes = HomePools(stores.users, view)
        self.rules = AddressRules(view, self.homes)
        self.advertised, self.border = advertised_by(view), border_of(view)
        names = frozenset(listener.sent_by for listener in self.advertised.values())
        self.branches = Branches(place.branches, names)

    def __repr__(self) -> str:
        return f"<ServerSetup of {self.process}>"

    @property
    def process(self) -> str:
        """The name of this process in the stores."""
        return self.place.name_of(self.view.name)


def advertised_by(view: ServerView) -> dict[str, ListenerAddress]:
    """Return the name and port in our Via and Record-Route, for each of our ports by its key in the topology."""
    return {
        spec.key: ListenerAddress(spec.name, spec.port, WS if spec.is_websocket else "tls") for spec in view.listeners
    }


def new_nonce_key() -> bytes:
    """Return the key of nonces for this start."""
    return os.urandom(NONCE_KEY_BYTES)


def new_token() -> str:
    """Return an unpredictable text for tags and entity tags."""
    return os.urandom(TOKEN_BYTES).hex()
