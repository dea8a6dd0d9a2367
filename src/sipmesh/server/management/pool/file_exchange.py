"""The exchange of the files of the CA among the servers of a management pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.management.pool.file_replication import FileGiver, FileReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.server.log import Log
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.storage.management_db import ManagementDb


class FileExchange:
    """The part of *server*: it seals files for the others while it leads, and opens those for it while it follows.

    *fault* says why the last exchange was not possible, "" if it was.
    """

    def __init__(
        self, server: ManagementServer, management_db: ManagementDb, documents: DocumentStore, log: Log
    ) -> None:
        self._server, self._log = server, log
        self._giver, self._receiver = FileGiver(management_db), FileReceiver(management_db, documents)
        self.fault = ""

    @property
    def waiting(self) -> Sequence[str]:
        """The servers of the pool that get no file: see `FileGiver`."""
        return self._giver.waiting

    async def give(self) -> None:
        """Seal what has changed in the CA for the other servers."""
        await self._exchange(lambda: self._giver.give(self._server.view), "file of the CA sealed")

    async def receive(self) -> None:
        """Store the files that the leader has sealed for this server."""
        await self._exchange(self._receive, "file of the CA received")

    def _receive(self) -> list[str]:
        view = self._server.view
        return self._receiver.receive(view.loaded, view.certificate, view.key)

    async def _exchange(self, exchange: Callable[[], list[str]], event: str) -> None:
        """Give or receive files in a thread; a fault is logged once, and the next call tries again."""
        fault = ""
        try:
            for name in await asyncio.to_thread(exchange):
                self._log.info(event, file=name)
        except (OperatorError, RemoteError) as wrong:
            fault = str(wrong)
            if fault != self.fault:
                self._log.warning("files of the CA are not exchanged", why=fault)
        self.fault = fault
