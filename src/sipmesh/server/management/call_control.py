"""What operators do to calls and their records: end a call that is up, erase a user."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sipmesh.distribution.items import ItemKind
from sipmesh.errors import OperatorError
from sipmesh.server.management.replies import ErasedReply
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.call_order import CALLS, MOST_NAMES, CallAct, CallOrder
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.call_records.call_query import CallQuery, names_of_user
from sipmesh.storage.sent_files import erase_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.server.management.network import Network
    from sipmesh.server.management.network_calls import NetworkCalls
    from sipmesh.server.management.order_sender import OrderSender
    from sipmesh.storage.call_records.call_record import CallRecord
    from sipmesh.storage.management_db import ManagementDb

ENDS_S: Final = 10.0
"""Seconds to wait for the record of a call that was ended: its server delivers it within two."""


class CallControl:
    """Gives orders about calls."""

    def __init__(
        self,
        orders: OrderSender,
        management_db: ManagementDb,
        network: Network,
        calls: NetworkCalls,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._orders, self._management_db, self._network = orders, management_db, network
        self._calls, self._loop = calls, loop

    async def end(self, call: str, who: str) -> CallRecord:
        """End a call for the operator *who*, and return its record; raises `OperatorError` if it has not ended."""
        found, _ = await self._calls.in_store(lambda store: store.page(CallQuery(call=call, up=True, most=1)))
        if not found:
            raise OperatorError(f"no call {call} is up; to list the calls that are up: sipmesh calls --up")
        record = found[0]
        about = {"ended": record.id, "caller": record.caller, "callee": record.callee}
        self._management_db.audit.append(who, AuditAct.CALLS, about, at=now_utc())
        ended = self._loop.create_task(self._calls.ended(record.id, ENDS_S))
        if not self._order(record.server, CallAct.END, [record.id], who):
            ended.cancel()
            raise OperatorError(
                f"{record.server} is not linked to management, and cannot end its call; see: sipmesh status"
            )
        over = await ended
        if over is None:
            remedy = f"read the log of {record.server}; its phones can end the call"
            raise OperatorError(f"{record.server} has not ended the call within {ENDS_S:.0f} s; {remedy}")
        return over

    async def erase(self, user: str, who: str) -> ErasedReply:
        """Erase *user*, with all aliases, from the database and from the files of all linked servers."""
        names = await asyncio.to_thread(names_of_user, user, self._orders.view.loaded)
        users = [name for name in names if "@" in name][:MOST_NAMES]
        if not users:
            raise OperatorError(f"{user or 'nothing'} is no user: name the address, such as bob@example.com")
        self._management_db.audit.append(who, AuditAct.CALLS, {"erased": users[0]}, at=now_utc())
        await asyncio.to_thread(erase_files, self._orders.view.loaded.files_url, [f"sip:{name}" for name in users])
        records = await self._calls.in_store(lambda store: store.erase(users))
        servers = [member.name for member in self._network.members()]
        told = [server for server in servers if self._order(server, CallAct.ERASE, users, who)]
        return ErasedReply(users[0], records, told, sorted({*servers} - {*told}))

    def _order(self, server: str, act: CallAct, what: Sequence[str], who: str) -> bool:
        """Give *server* an order; tell whether it is linked."""
        organisation, number = self._orders.view.organisation, self._orders.number()
        order = CallOrder(organisation, server, number, act, list(what), who[:256])
        return self._orders.send(order, CALLS, ItemKind.CALLS)
