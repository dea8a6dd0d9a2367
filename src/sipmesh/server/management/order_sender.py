"""Signs the orders of management, and sends them to the servers that they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.server.management.publishing.document_signing import sign_as
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.control_links import carriers

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.server.replication.order import Order
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.view import ServerView


class OrderSender:
    """The orders of one management server; *send* gives an item to a linked server, and says whether that server is linked."""

    def __init__(
        self, server: ManagementServer, management_db: ManagementDb, send: Callable[[str, Item], bool]
    ) -> None:
        self._server, self._management_db, self._send = server, management_db, send
        self._number = 0

    @property
    def view(self) -> ServerView:
        """The topology in force."""
        return self._server.view

    def number(self) -> int:
        """Return the number of the next order: the time in milliseconds, and higher than that of each order before."""
        self._number = max(int(now_utc().timestamp() * 1000), self._number + 1)
        return self._number

    def send(self, order: Order, document: str, kind: ItemKind) -> bool:
        """Send *order* as a signed document of the type *document*, and tell whether its server is linked.

        Raises `OperatorError` if it cannot be signed.
        """
        view = self.view
        signed = sign_as(view, order.encode(), document, now_utc(), self._management_db.lease.fencing)
        item = Item(kind, signed, order.server)
        return True in [self._send(carrier, item) for carrier in carriers(view, order.server)]
