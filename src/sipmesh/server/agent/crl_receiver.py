"""The CRLs that a managed server is given: written to their files, from where they come into force as any list does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.clock import now_utc
from sipmesh.server.replication.crl_store import is_portable
from sipmesh.topology.document.crl_cache import is_read, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.distribution.items import Item
    from sipmesh.server.agent.managed_server import Loader, ManagedServer
    from sipmesh.server.agent.status_reporter import StatusReporter
    from sipmesh.server.replication.crl_store import CrlStore
    from sipmesh.topology.document.load import Loaded

MOST_READ_AHEAD = 8
"""Large lists that are read at the same time; who gives more of them gives them again later."""

MOST_EARLY = 64 << 20
"""Octets of lists that have come and that no version names yet."""


class CrlUser(Protocol):
    """What waits for CRLs (`agent.document_applier.DocumentApplier`)."""

    @property
    def pending(self) -> Loaded | None:
        """A version that was taken and is not in force yet."""

    def crl_came(self) -> None:
        """A list has been written, or was there already."""


class CrlReceiver:
    """Takes lists for one server, in *folder*; a large one is read by a thread first."""

    def __init__(
        self, server: ManagedServer, folder: Path, crls: CrlStore, loader: Loader, reporter: StatusReporter
    ) -> None:
        self._server, self._folder, self._crls = server, folder, crls
        self._loader, self._reporter = loader, reporter
        self._loop = asyncio.get_running_loop()
        self._early: dict[str, Item] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}  # of large lists, by their digest

    def __repr__(self) -> str:
        return f"<CrlReceiver of {self._server.view.name}: {len(self._early)} early, {len(self._reading)} being read>"

    def close(self) -> None:
        """Read nothing any more."""
        for task in self._reading.values():
            task.cancel()

    def accept(self, item: Item, user: CrlUser) -> None:
        """Write a list to its file; *user* hears of it. Raises `RemoteError` for a list that is not to be taken."""
        if not is_read(item.body):
            if len(self._reading) >= MOST_READ_AHEAD:
                raise RemoteError(f"too many large revocation lists at once: {item.name}", rule="rule R12", status=488)
            self._reading[item.digest] = self._loop.create_task(self._read_ahead(item, user))
            return
        in_force = self._server.view.loaded
        loaded = user.pending or in_force
        if item.name not in {*loaded.list_names, *in_force.list_names}:
            self._keep_early(item)
            return
        if self._crls.put(item, loaded, now_utc()):
            self._loader.look([self._folder / item.name])
        user.crl_came()

    async def _read_ahead(self, item: Item, user: CrlUser) -> None:
        """Read a large list in a thread, then take it; its receipt was answered already, and a fault is told in the status."""
        try:
            await asyncio.to_thread(prepare, item.body)
            self.accept(item, user)
        except (RemoteError, OperatorError) as wrong:
            self._reporter.fail(item.key, f"{item.kind} {item.name}: {wrong}")
        finally:
            self._reading.pop(item.digest, None)

    def _keep_early(self, item: Item) -> None:
        """Lists come ahead of the version that names them; until one does, they are written nowhere."""
        if not is_portable(item.name):
            raise RemoteError(
                f"a revocation list with a path outside of the server's folder: {item.name}", rule="rule R5", status=488
            )
        held = sum(len(early.body) for early in self._early.values())
        if held + len(item.body) > MOST_EARLY:
            raise RemoteError(
                f"a revocation list that the topology does not name: {item.name}", rule="rule R5", status=488
            )
        self._early[item.name] = item

    def write_early(self, loaded: Loaded) -> None:
        """A version names lists that are here already."""
        early, self._early = self._early, {}
        for name in loaded.list_names:
            if name in early:
                self._crls.put(early[name], loaded, now_utc())
