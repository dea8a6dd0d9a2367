"""One running server of the topology: its parts are built, started, reloaded and drained here."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from sipmesh.pki.file_error import make_folder
from sipmesh.server.certificates.expiring_files import anchors_of, lists_of
from sipmesh.server.control_socket import STATE
from sipmesh.server.in_force.in_force import in_force_of
from sipmesh.server.proxy.outside import Outside
from sipmesh.server.running.record_writer import RecordWriter
from sipmesh.server.running.server_parts import ServerParts
from sipmesh.server.running.server_setup import ServerSetup
from sipmesh.server.running.server_stores import ServerStores
from sipmesh.server.running.user_updates import UserUpdates
from sipmesh.server.running.version_change import VersionChange
from sipmesh.server.running.worker_place import ALONE, WorkerPlace
from sipmesh.server.tracing.tracer import Tracer
from sipmesh.topology.document.load import load
from sipmesh.topology.expiry.server_use import Use
from sipmesh.topology.view import view as view_of
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.link import Link
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.server.in_force.home_pools import HomePools
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.log import Log
    from sipmesh.storage.location_service.locations import Locations
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.stores import Storage
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.topology.view import ServerView


class RunningServer:
    """A running server. *file* is the topology, *name* the server in it; *loaded* replaces the content of *file*.

    *locations* is the store of the pool's bindings, if it is not the file that the topology names. *place* says which process of
    the server this is; *storage* is what the server has started with, for a worker that starts later.
    """

    def __init__(
        self,
        file: Path,
        name: str,
        log: Log,
        limits: Limits | None = None,
        *,
        loaded: Loaded | None = None,
        locations: Locations | None = None,
        place: WorkerPlace = ALONE,
        storage: Storage | None = None,
        outside: Outside | None = None,
    ) -> None:
        loaded = loaded or load(file)
        self.place = place.begun()
        if place.start:
            Link.number_from(place.first_link)
        self.file, self.log = file, log
        self.state = loaded.folder / STATE
        make_folder(self.state)
        self.limits = place.share(limits or Limits())
        self.loop = asyncio.get_running_loop()
        self.started_at = time.time()
        self.outside = outside or Outside()
        self._stores = ServerStores(view_of(loaded, name), self.state, self.place, self.loop, locations, storage)
        try:
            self._build(ServerSetup(loaded, name, self._stores, self.place, self.limits, self.loop, log, self.outside))
        except BaseException:
            self._stores.close()
            raise

    @property
    def view(self) -> ServerView:
        """The view of the topology in force."""
        return self.current.value.view

    @property
    def homes(self) -> HomePools:
        """The home pools of users, as they are in force."""
        return self.current.value.homes

    @property
    def is_managed(self) -> bool:
        """Whether the next version comes from management."""
        return self.outside.control_plane.is_managed

    @property
    def storage(self) -> Storage:
        """Where this server stores what it stores, since its start: a later version counts from the next start."""
        return self._stores.storage

    @property
    def is_settled(self) -> bool:
        """Whether everything that is in force here is so at all processes of this server."""
        return self.outside.follower.is_settled

    def _build(self, setup: ServerSetup) -> None:
        """Build the parts; nothing listens yet."""
        stores = setup.stores
        self.tokens, self.users, self.locations, self.message_queue = (
            stores.tokens,
            stores.users,
            stores.locations,
            stores.messages,
        )
        self.current, self.branch_prefix, self._setup = setup.current, setup.branches.prefix, setup
        parts = self._parts = ServerParts(setup)
        self.events = parts.events
        self.user_updates = UserUpdates(stores.users, parts.users.logins, self.events, setup.outside, setup.log)
        self._name_parts()
        self._changes = VersionChange(setup, parts)
        self.siblings = parts.peers.workers
        self.reception = None if self.siblings is None else parts.decisions.reception(self.siblings)

    def _name_parts(self) -> None:
        """Name the parts that the control plane, the commands, the metrics and the tests of a server work with."""
        parts = self._parts
        peers, forwarding, users, links = parts.peers, parts.forwarding, parts.users, parts.links
        self.tracer = Tracer(self.view.name, peers.reactor, self.log)
        self.records = RecordWriter(forwarding.calls.records, self.state, self.place, self.current, self.loop, self.log)
        self.reactor, self.gatekeeper, self.flow_table = peers.reactor, peers.gatekeeper, peers.flow_table
        self.neighbours, self.certificates, self.accounts = peers.neighbours, peers.certificates, peers.accounts
        self.counters, self.peer_log = peers.counters, peers.peer_log
        self.registrations, self.outages, self.liveness = (
            forwarding.registrations,
            forwarding.outages,
            forwarding.liveness,
        )
        self.refusals, self.identity, self.media = peers.refusals, forwarding.identity, forwarding.media
        self.numbers = forwarding.numbers
        self.trunk_calls, self.trunk_outages = forwarding.calls.trunks, forwarding.trunk_outages
        self.trunk_logins = forwarding.trunk_logins
        self.relay, self.release, self.under_way = parts.relays.relay, forwarding.calls.release, forwarding.under_way
        self.logins, self.failures = users.logins, users.failures
        self.takeovers = users.takeovers
        self.dispatch, self.core = parts.decisions.dispatch, parts.decisions.core
        self.home_flows, self.access = parts.relays.home_flows, parts.relays.access
        self.sweep, self.trunk_watch = parts.decisions.sweep, parts.decisions.trunk_watch
        self.resolver, self.connector, self.trials, self.pool = (
            links.resolver,
            links.connector,
            links.trials,
            links.pool,
        )
        self.listening, self.revocation = links.listening, links.revocation

    def tick(self) -> None:
        """Sweep what has a deadline, and tell the operator of overload; called about twice a second."""
        self.sweep.tick()
        self._parts.peers.tick()
        self.tracer.tick()
        self.records.tick()

    def start(self, specs: Sequence[ListenerSpec] | None = None) -> None:
        """Listen, or only as *specs* say; raises `OperatorError` if a certificate, a key or a port cannot be used."""
        self.certificates.load()
        self.listening.start(self.view.listeners if specs is None else specs, is_managed=self.is_managed)
        self.records.begin()
        self.registrations.begin()  # the ports are ours, so no other process serves under this name
        if self.view.role is Role.FRONT_END:
            self.events.begin()
            if not self.place.is_supervisor:  # it has no phones
                self.takeovers.start()

    def prepare(self, loaded: Loaded) -> InForce:
        """Compute what `put_prepared` needs; a thread may do so. Raises `OperatorError` if this server is not in *loaded*."""
        return in_force_of(loaded, self.view.name, self._setup.lasting)

    @property
    def awaits_restart(self) -> str:
        """What of the version in force needs a restart; "" if nothing."""
        return self._changes.awaits_restart

    def put_in_force(self, loaded: Loaded) -> list[str]:
        """Put a topology in force, as `put_prepared` does, with everything that has to be computed for it."""
        return self.put_prepared(self.prepare(loaded))

    def put_prepared(self, version: InForce) -> list[str]:
        """Put a topology in force: see `VersionChange.put`; returns the ids of the closed links."""
        return self._changes.put(version)

    def use(self) -> Use:
        """Return what this server uses and what expires, for the inventory."""
        loaded, at = self.view.loaded, self.gatekeeper.clock()
        return Use(
            server=self.view.name,
            pid=os.getpid(),
            shown=self.certificates.chains(),
            for_clients=self.certificates.for_clients.chains,
            for_partners=self.certificates.for_partners.chains,
            anchors=tuple(anchors_of(loaded)),
            lists=tuple(lists_of(loaded)),
            supplies=self.supplies(at),
        )

    def supplies(self, at: datetime) -> tuple[FetchStatus, ...]:
        """Return the state of every source of CRLs and OCSP responses at time *at*."""
        return self.outside.sources.supplies(at)

    async def drain(self) -> None:
        """Stop accepting, write the queued messages, and close everything."""
        self.listening.close()
        self.outages.close()
        self.takeovers.close()
        self.logins.moved.close()
        await self._parts.links.drain()
        self._parts.peers.siblings.close()
        self.liveness.close()
        self.relay.calls.bridges.control.close()
        self.reactor.close()
        self.events.close()
        await self.records.close()
        self.peer_log.close()
        self._stores.close()
