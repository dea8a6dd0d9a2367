"""Receives CRLs on a managed server and writes them to their files; the loader puts them in force from there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki.file_error import FileError
from sipmesh.server.process.clock import now_utc
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.replication.crl_store import NotBegunError, is_portable
from sipmesh.topology.document.named_files.crl_cache import LARGE, prepare, prepare_file
from sipmesh.topology.document.named_files.crl_files import LARGEST_LIST

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.distribution.items import Item
    from sipmesh.server.agent.managed_server import Loader, ManagedServer
    from sipmesh.server.agent.status_reporter import StatusReporter
    from sipmesh.server.replication.crl_store import CrlStore
    from sipmesh.topology.document.load import Loaded

MOST_READ_AHEAD = 8
"""How many large CRLs are read at the same time; a CRL above this limit is refused, and is sent again later."""

MOST_EARLY = 64 << 20
"""How many octets of CRLs may wait for a version that names them."""


class CrlUser(Protocol):
    """What waits for CRLs (`agent.document_applier.DocumentApplier`)."""

    @property
    def pending(self) -> Loaded | None:
        """A version that was accepted and is not in force yet; None if there is none."""

    def crl_came(self) -> None:
        """A CRL was written, or its file had it already."""

    def not_stored(self, peer: str, item: Item, wrong: FileError) -> None:
        """The disk did not store *item*: try again later."""


class CrlReceiver:
    """Accepts CRLs for one server and writes them to *folder*; a thread parses a large CRL first."""

    def __init__(
        self, server: ManagedServer, folder: Path, crls: CrlStore, loader: Loader, reporter: StatusReporter
    ) -> None:
        self._server, self._folder, self._crls = server, folder, crls
        self._loader, self._reporter = loader, reporter
        self._loop = asyncio.get_running_loop()
        self._early: dict[str, Item] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}  # tasks that read large CRLs, by digest
        self._not_begun: dict[str, asyncio.TimerHandle] = {}  # of the newest CRL of each name

    def close(self) -> None:
        """Stop reading CRLs."""
        for task in self._reading.values():
            task.cancel()
        for timer in self._not_begun.values():
            timer.cancel()

    def accept(self, item: Item, user: CrlUser) -> None:
        """Write a CRL to its file, then call *user*; raises `RemoteError` for a CRL that is refused."""
        if len(item.body) >= LARGE:
            if len(self._reading) >= MOST_READ_AHEAD:
                raise RemoteError(f"too many large CRLs at once: {item.name}", rule="rule R12", status=488)
            if item.digest not in self._reading:
                self._reading[item.digest] = self._loop.create_task(self._accept_large(item, user))
        elif (loaded := self._named_in(item, user)) is not None:
            try:
                is_new = self._crls.put(item, loaded, now_utc())
            except NotBegunError as wrong:
                self._accept_later(item, user, wrong)
                return
            self._written(item, user, is_new=is_new)

    def _accept_later(self, item: Item, user: CrlUser, wrong: NotBegunError) -> None:
        """Accept a CRL again once it has begun, by our clock; until then the valid one stays in force."""
        before = self._not_begun.pop(item.name, None)
        if before is not None:
            before.cancel()
        wait_s = (wrong.begins - now_utc()).total_seconds()
        self._not_begun[item.name] = self._loop.call_later(max(wait_s, 0), self._accept_begun, item, user)

    def _accept_begun(self, item: Item, user: CrlUser) -> None:
        del self._not_begun[item.name]
        try:
            self.accept(item, user)
        except FileError as wrong:
            user.not_stored(self._server.view.name, item, wrong)
        except (RemoteError, OperatorError) as wrong:
            self._reporter.fail(item.key, f"{item.kind} {item.name}: {wrong}")

    def _named_in(self, item: Item, user: CrlUser) -> Loaded | None:
        """Return the topology by which a CRL is checked; None if no topology names it: then it is kept for the next one."""
        in_force = self._server.view.loaded
        loaded = user.pending or in_force
        if item.name in {*loaded.list_names, *in_force.list_names}:
            return loaded
        self._keep_early(item)
        return None

    def _written(self, item: Item, user: CrlUser, *, is_new: bool) -> None:
        if is_new:
            self._loader.look([self._folder / item.name])
        user.crl_came()

    async def _accept_large(self, item: Item, user: CrlUser) -> None:
        """Parse, check and write a large CRL in a thread; the sender was answered before, so a fault goes into the status."""
        try:
            await off_loop(prepare, item.body)
            loaded = self._named_in(item, user)
            if loaded is not None:
                is_new = await off_loop(self._put_large, item, loaded)
                self._written(item, user, is_new=is_new)
        except NotBegunError as wrong:
            self._accept_later(item, user, wrong)
        except FileError as wrong:
            user.not_stored(self._server.view.name, item, wrong)
        except (RemoteError, OperatorError) as wrong:
            self._reporter.fail(item.key, f"{item.kind} {item.name}: {wrong}")
        finally:
            self._reading.pop(item.digest, None)

    def _put_large(self, item: Item, loaded: Loaded) -> bool:
        """Write a CRL, and enter its file into the cache, so that the loop only has to put it in force."""
        is_new = self._crls.put(item, loaded, now_utc())
        prepare_file(self._folder / item.name, LARGEST_LIST)
        return is_new

    def _keep_early(self, item: Item) -> None:
        """Keep a CRL in memory until a version names it: CRLs are sent before the version."""
        if not is_portable(item.name):
            raise RemoteError(
                f"a CRL with a path outside of the server's folder: {item.name}", rule="rule R5", status=488
            )
        size = sum(len(early.body) for early in self._early.values())
        if size + len(item.body) > MOST_EARLY:
            raise RemoteError(f"a CRL that the topology does not name: {item.name}", rule="rule R5", status=488)
        self._early[item.name] = item

    def write_early(self, loaded: Loaded) -> None:
        """Write the CRLs that *loaded* names and that have arrived already; a thread may do so.

        They are not checked yet. A refused CRL must not keep the version out, which another server may have given.
        """
        for name, item in list(self._early.items()):
            if name in loaded.list_names:
                try:
                    self._crls.put(item, loaded, now_utc())
                except FileError:
                    raise  # it is written with the next attempt
                except RemoteError as wrong:
                    self._loop.call_soon_threadsafe(self._reporter.fail, item.key, f"{item.kind} {name}: {wrong}")
            del self._early[name]
