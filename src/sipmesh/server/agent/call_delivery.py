"""Delivers the records of this server to the next server towards management, and stores those of the edges behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError
from sipmesh.server.replication.call_document import CallDocument
from sipmesh.server.replication.control_links import edges_behind
from sipmesh.sip.message import respond
from sipmesh.sip.status import Status
from sipmesh.storage.call_records.journal import journals
from sipmesh.storage.call_records.journal_reader import Batch, JournalReader

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.server.log import Log
    from sipmesh.sip.message import Request
    from sipmesh.storage.call_records.call_record import CallRecord
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer

LOOK_EVERY_S: Final = 1.0
"""Seconds between two looks for new records, when all have been delivered."""

AGAIN_S: Final = 5.0
"""Seconds after which records are delivered again that were not stored."""

Keep = Callable[[Sequence["CallRecord"]], Awaitable[bool]]
Publish = Callable[[Mapping[str, Any], Callable[[int], None]], bool]


class CallDelivery:
    """The records of all processes of *server*, whose journals are in *state*.

    *publish* sends a document to one server that gives us documents. *keep* writes records of others into the journal of this
    process, and says whether they are on the disk.
    """

    def __init__(
        self,
        server: ManagedServer,
        state: Path,
        keep: Keep,
        publish: Publish,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._state, self._keep, self._publish = server, state, keep, publish
        self._loop, self._log = loop, log
        self._due_at = loop.time()
        self._delivering: asyncio.Task[None] | None = None
        self._receiving: set[asyncio.Task[None]] = set()

    def tick(self) -> None:
        """Deliver what is new, unless a delivery is under way; called about twice a second."""
        is_on = self._server.view.loaded.topology.call_records is not None
        is_under_way = self._delivering is not None and not self._delivering.done()
        if is_on and not is_under_way and self._loop.time() >= self._due_at:
            self._delivering = self._loop.create_task(self._deliver())

    def close(self) -> None:
        """Deliver nothing from now on: what is not delivered stays in the journals."""
        for task in (self._delivering, *self._receiving):
            if task is not None:
                task.cancel()

    async def _deliver(self) -> None:
        """Deliver batch after batch, until nothing is new, or one was not stored."""
        self._due_at = self._loop.time() + LOOK_EVERY_S
        try:
            for journal in await asyncio.to_thread(journals, self._state, self._server.view.name):
                reader = JournalReader(journal)
                while (batch := await asyncio.to_thread(reader.next)) is not None:
                    if batch.records and not await self._sent(batch):
                        self._due_at = self._loop.time() + AGAIN_S
                        return
                    await asyncio.to_thread(reader.delivered, batch)
        except OperatorError as wrong:
            self._due_at = self._loop.time() + AGAIN_S
            self._log.warning("call records not delivered", why=str(wrong))

    async def _sent(self, batch: Batch) -> bool:
        """Send one batch; tell whether its receiver has stored it."""
        done: asyncio.Future[bool] = self._loop.create_future()
        document = CallDocument(self._server.view.name, batch.records).to_json()
        if not self._publish(document, lambda status: None if done.done() else done.set_result(status == Status.OK)):
            return False
        return await done

    def received(self, link: Link, peer: TrustedPeer, request: Request) -> None:
        """Take the records of an edge behind us; the answer is sent once they are on the disk here."""
        view = self._server.view
        if peer.name not in edges_behind(view, view.pool.name):
            link.send(respond(request, Status.FORBIDDEN).encode())
            return
        document = CallDocument.read(request.body, peer.name, ())
        task = self._loop.create_task(self._store(link, request, document))
        self._receiving.add(task)
        task.add_done_callback(self._receiving.discard)

    async def _store(self, link: Link, request: Request, document: CallDocument) -> None:
        is_stored = await self._keep(document.records)
        link.send(respond(request, Status.OK if is_stored else Status.SERVICE_UNAVAILABLE).encode())
