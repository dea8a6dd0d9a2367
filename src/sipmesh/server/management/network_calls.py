"""The records of all servers: management stores them, answers questions about them, and sends them on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sipmesh.distribution.report_budget import ReportBudget
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.management.call_sinks import CallSink, sinks_of
from sipmesh.server.management.replies import CallsReply
from sipmesh.server.management.server_faults import Fault
from sipmesh.server.process.clock import now_utc
from sipmesh.server.repeated_log import RepeatedLog
from sipmesh.server.replication.call_document import CallDocument
from sipmesh.server.replication.control_links import edges_behind
from sipmesh.sip.message import respond
from sipmesh.sip.status import Status
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.call_records.call_query import CallQuery, NotRecordedError, meant
from sipmesh.storage.call_records.call_store import CallStore

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.sip.message import Request
    from sipmesh.storage.call_records.call_record import CallRecord
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer

MOST_RECEIVING: Final = 64
"""Documents that wait for the database; a server keeps what is beyond, and sends it again."""

MOST_OF_SERVER: Final = 4
"""Documents of one server among them; a server sends one after the other."""

REMOVE_EVERY_S: Final = 600.0
AGAIN_S: Final = 5.0
LOOK_EVERY_S: Final = 1.0
SENT_AT_ONCE: Final = 200

T = TypeVar("T")


class Outgoing:
    """One sink, and how it does: *fault* says why it has not got the last batch. Times are loop times in seconds."""

    def __init__(self, sink: CallSink) -> None:
        self.sink, self.fault, self.due_at = sink, "", 0.0
        self.task: asyncio.Task[None] | None = None


class NetworkCalls:
    """The records at one management server; *leads* tells whether it leads, so that it may write.

    *without* gives the servers of which records may be missing.
    """

    def __init__(
        self,
        server: ManagementServer,
        management_db: ManagementDb,
        leads: Callable[[], bool],
        without: Callable[[], Sequence[str]],
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._management_db, self._leads = server, management_db, leads
        self._without, self._loop, self._log = without, loop, log
        self._thread = ThreadPoolExecutor(1, "sipmesh-call-store")
        self._store: CallStore | None = None
        self._url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._receiving, self._rejected = Counter[str](), RepeatedLog()
        self._refused = ReportBudget(loop.time)
        self._outgoing: list[Outgoing] = []
        self._sinks_of = ""
        self._removed_at = -REMOVE_EVERY_S
        self._fault = self._sink_fault = ""
        self._awaited: dict[str, list[asyncio.Future[CallRecord]]] = {}

    # Records in

    def received(self, link: Link, peer: TrustedPeer, request: Request) -> None:
        """Store what *peer* delivers; the answer is sent once it is in the database."""
        if not self._leads() or len(self._tasks) >= MOST_RECEIVING or self._receiving[peer.name] >= MOST_OF_SERVER:
            self._refuse(link, peer, request, Status.SERVICE_UNAVAILABLE)
            return
        self._receiving[peer.name] += 1
        self._run(self._receive(link, peer, request))

    def _refuse(self, link: Link, peer: TrustedPeer, request: Request, status: int) -> None:
        """Refuse records; a server that sends the next records without a pause loses its link."""
        link.send(respond(request, status).encode())
        if not self._refused.admits(peer.name):
            link.close("call records without end")

    async def _receive(self, link: Link, peer: TrustedPeer, request: Request) -> None:
        behind = edges_behind(self._server.view, peer.pool or "")
        try:
            document = await asyncio.to_thread(CallDocument.read, request.body, peer.name, behind)
            await self.in_store(lambda store: store.add(document.records))
            self._tell_ended(document.records)
        except RemoteError as wrong:
            if self._rejected.is_due(peer.name, self._loop.time()):
                self._log.warning("call records rejected", peer=peer.name, why=str(wrong))
            self._refuse(link, peer, request, wrong.status)
        except OperatorError:
            link.send(respond(request, Status.SERVICE_UNAVAILABLE).encode())
        else:
            link.send(respond(request, Status.OK).encode())
        finally:
            self._receiving[peer.name] -= 1

    def _run(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Questions

    async def read(self, asked: Mapping[str, Any], who: str) -> CallsReply:
        """Answer a question of the operator *who*; the audit log has a line for it. Raises `OperatorError`."""
        if self._server.view.loaded.topology.call_records is None:
            raise NotRecordedError(
                "no records of calls are made; write `call_records: {}` into the topology, and publish it"
            )
        query = await asyncio.to_thread(meant, asked, self._server.view.loaded)
        found, has_more = await self.in_store(lambda store: store.page(query))
        about = {"user": str(asked.get("user", "")), "found": len(found), **_told(query)}
        self._management_db.audit.append(who, AuditAct.CALLS, about, at=now_utc())
        return CallsReply(found, has_more, self._without())

    async def ended(self, call: str, wait_s: float) -> CallRecord | None:
        """Wait for the record of the end of a call; None if it has not come within *wait_s* seconds."""
        awaited: asyncio.Future[CallRecord] = self._loop.create_future()
        self._awaited.setdefault(call, []).append(awaited)
        try:
            return await asyncio.wait_for(awaited, wait_s)
        except TimeoutError:
            return None
        finally:
            self._awaited.pop(call, None)

    def _tell_ended(self, records: Sequence[CallRecord]) -> None:
        for record in records if self._awaited else ():
            for awaited in self._awaited.get(record.id, ()):
                if not record.is_up and not awaited.done():
                    awaited.set_result(record)

    async def in_store(self, work: Callable[[CallStore], T]) -> T:
        """Do *work* with the database in its thread; raises `OperatorError` if it cannot be used."""
        try:
            result = await self._loop.run_in_executor(self._thread, lambda: work(self._opened()))
        except OperatorError as wrong:
            if not self._fault:
                self._log.error("the database of call records cannot be used", why=str(wrong))
            self._fault = str(wrong)
            raise
        self._fault = ""
        return result

    def _opened(self) -> CallStore:
        url = self._server.view.loaded.calls_url
        if self._store is None or url != self._url:
            if self._store is not None:
                self._store.close()
            self._store, self._url = None, url
            self._store = CallStore(url)
        return self._store

    # What is due

    def tick(self) -> None:
        """Remove what is too old, and send on what is new; called about twice a second."""
        loaded, now = self._server.view.loaded, self._loop.time()
        wanted = loaded.topology.call_records
        if wanted is None or not self._leads():
            return
        if now - self._removed_at >= (
            AGAIN_S if self._fault else REMOVE_EVERY_S
        ):  # the fault goes with the first answer
            self._removed_at = now
            self.remove_old()
        if self._sinks_of != loaded.digest:
            self._sinks_of = loaded.digest
            self._find_sinks()
        for outgoing in self._outgoing:
            if now >= outgoing.due_at and (outgoing.task is None or outgoing.task.done()):
                outgoing.task = self._loop.create_task(self._send(outgoing))

    def remove_old(self) -> None:
        """Have what is older than `call_records.days` removed."""
        wanted = self._server.view.loaded.topology.call_records
        if wanted is not None:
            self._run(self._remove(now_utc() - timedelta(days=wanted.days)))

    def _find_sinks(self) -> None:
        for outgoing in self._outgoing:
            outgoing.sink.close()
        self._outgoing, self._sink_fault = [], ""
        try:
            self._outgoing = [Outgoing(sink) for sink in sinks_of(self._server.view.loaded, self._server.view.name)]
        except OperatorError as wrong:
            self._sink_fault = str(wrong)

    async def _remove(self, before: Any) -> None:
        with suppress(OperatorError):  # the fault says it
            while await self.in_store(lambda store: store.remove_before(before)):
                pass

    async def _send(self, outgoing: Outgoing) -> None:
        """Send batch after batch to one sink, until it has all of them, or fails."""
        outgoing.due_at = self._loop.time() + LOOK_EVERY_S
        sink = outgoing.sink
        try:
            while True:
                records, number = await self.in_store(lambda store: store.after(sink.name, SENT_AT_ONCE))
                if not records:
                    break
                await asyncio.to_thread(sink.send, records)
                await self.in_store(lambda store, upto=number: store.have_had(sink.name, upto))  # type: ignore[misc]
        except OperatorError as wrong:
            if not outgoing.fault:
                self._log.error("call records not sent on", sink=sink.name, why=str(wrong))
            outgoing.fault, outgoing.due_at = str(wrong), self._loop.time() + AGAIN_S
        else:
            outgoing.fault = ""

    @property
    def store_fault(self) -> str:
        """Why the database of records cannot be used; "" if it can."""
        return self._fault

    def faults(self) -> list[Fault]:
        """Return why records are not sent on."""
        why = [self._sink_fault, *(outgoing.fault for outgoing in self._outgoing if outgoing.fault != self._fault)]
        remedy = "repair it, or the way to it; management keeps the records, and sends them by itself then"
        return [Fault(f"records of calls are not sent on: {fault}", remedy) for fault in why if fault]

    def close(self) -> None:
        """End what is under way: what is not stored is delivered again."""
        for task in [*self._tasks, *(outgoing.task for outgoing in self._outgoing if outgoing.task is not None)]:
            task.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
        for outgoing in self._outgoing:
            outgoing.sink.close()


def _told(query: CallQuery) -> Mapping[str, str]:
    """Say of a question what the audit log needs."""
    told = {
        "since": query.since.isoformat() if query.since else "",
        "until": query.until.isoformat() if query.until else "",
        "call": query.call,
    }
    return {name: value for name, value in told.items() if value}
