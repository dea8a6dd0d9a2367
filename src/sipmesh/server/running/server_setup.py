"""What all parts of one server are made from: its view of the topology at the start, its process, its stores, its names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sipmesh.routing.proxy.branch import Branches
from sipmesh.routing.proxy.forwarding import WS, ListenerAddress
from sipmesh.server.in_force.address_rules import AddressRules
from sipmesh.server.in_force.in_force import Current, Lasting, in_force_of
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    import asyncio

    from sipmesh.server.log import Log
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.server.running.server_stores import ServerStores
    from sipmesh.server.running.worker_place import WorkerPlace
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.limits import Limits

NONCE_KEY_BYTES: Final = 32  # only for this start: a nonce is not valid on another server, or after a restart
TOKEN_BYTES: Final = 12


class ServerSetup:
    """The start of one server. Parts keep what they need of it, and read from *current* what a version may change."""

    def __init__(
        self,
        loaded: Loaded,
        name: str,
        stores: ServerStores,
        place: WorkerPlace,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        log: Log,
        outside: Outside,
    ) -> None:
        self.stores, self.place, self.limits = stores, place, limits
        self.loop, self.log, self.outside = loop, log, outside
        self.lasting = Lasting(stores.tokens.incarnation, stores.gruus, stores.users)
        self.current = Current(in_force_of(loaded, name, self.lasting))
        self.rules = AddressRules(self.current)
        self.advertised = advertised_by(self.view)
        names = frozenset(listener.sent_by for listener in self.advertised.values())
        self.branches = Branches(place.branches, names)

    @property
    def view(self) -> ServerView:
        """The view of the topology in force."""
        return self.current.value.view

    @property
    def process(self) -> str:
        """The name of this process in the stores."""
        return self.place.name_of(self.view.name)


def advertised_by(view: ServerView) -> dict[str, ListenerAddress]:
    """Return the name and port in our Via and Record-Route, for each of our ports by its key in the topology."""
    ports = {
        spec.key: ListenerAddress(spec.name, spec.port, WS if spec.is_websocket else "tls") for spec in view.listeners
    }
    common = ports.get(LinkKind.PARTNER)
    named = {key: ListenerAddress(host, common.port) for key, host in view.hosts_at_trunks.items()} if common else {}
    return named | ports


def new_nonce_key() -> bytes:
    """Return the key of nonces for this start."""
    return os.urandom(NONCE_KEY_BYTES)


def new_token() -> str:
    """Return an unpredictable text for tags and entity tags."""
    return os.urandom(TOKEN_BYTES).hex()
