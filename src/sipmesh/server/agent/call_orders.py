"""Orders of management about calls: this server ends a call, or erases a user from its files and the message history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sipmesh.errors import SipmeshError
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.call_order import CALLS, CallAct, CallOrder
from sipmesh.storage.call_records.journal import journals
from sipmesh.storage.keyfile import load_or_create, pool_key_file
from sipmesh.storage.message_cipher import HistoryCipher
from sipmesh.storage.message_history import erase_users
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore

EndCall = Callable[[Mapping[str, object]], Awaitable[object]]


class CallOrders:
    """Carries out orders. *end_call* ends a call at whichever process of this server has it."""

    def __init__(
        self,
        server: ManagedServer,
        documents: DocumentStore,
        end_call: EndCall,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._documents, self._end_call = server, documents, end_call
        self._loop, self._log = loop, log
        self._seen = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, jws: bytes) -> None:
        """Carry out an order once; raises `RemoteError` for an order that this server does not accept."""
        view, now = self._server.view, now_utc()
        order = CallOrder.decode(self._documents.signed_by_management(jws, CALLS, view.loaded, now))
        order.must_be_for(view, now)
        if order.number <= self._seen:
            return  # it came through another front end too
        self._seen = order.number
        task = self._loop.create_task(self._carry_out(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()

    async def _carry_out(self, order: CallOrder) -> None:
        try:
            if order.act is CallAct.END:
                await self._end_call({"id": order.what[0], "by": order.who, "who": order.who})
            else:
                changed = await asyncio.to_thread(self._erase, order.what)
                self._log.info("user erased from call records", by=order.who, records=changed)
        except SipmeshError as wrong:
            self._log.warning("order about calls not carried out", act=str(order.act), why=str(wrong))

    def _erase(self, names: Sequence[str]) -> int:
        view, state = self._server.view, self._documents.state
        own = journals(state, view.name)
        if view.role is Role.FRONT_END:
            cipher = HistoryCipher(view.pool.name, load_or_create(state / pool_key_file(view.pool.name)))
            erase_users(view.loaded.messages_url, cipher, [f"sip:{name}" for name in names])
        return sum(journal.erase(names) for journal in own)
