"""Orders of management: which number they have, and whom they reach."""

from __future__ import annotations

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.server.management.order_sender import OrderSender
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.trace_order import TRACE, TraceOrder
from support.managed import MGMT, Managed
from support.network import FE1, FE2
from support.running import on_loop


@on_loop
async def test_order_reaches_a_linked_server_alone(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        sent: list[tuple[str, Item]] = []
        management_db = managed.master.management_db

        def send(server: str, item: Item) -> bool:
            sent.append((server, item))
            return server == FE1

        orders = OrderSender(managed.nodes[MGMT], management_db, send)
        for server, is_linked in ((FE1, True), (FE2, False)):
            order = TraceOrder(orders.view.organisation, server, orders.number(), "t1", "alice")
            assert orders.send(order, TRACE, ItemKind.TRACE) is is_linked
        assert [(server, item.kind) for server, item in sent] == [(FE1, ItemKind.TRACE), (FE2, ItemKind.TRACE)]


@on_loop
async def test_each_number_is_a_time_and_higher_than_the_last(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT)
        orders = OrderSender(managed.nodes[MGMT], managed.master.management_db, lambda _server, _item: True)
        numbers = [orders.number() for _ in range(100)]
        assert numbers == sorted(set(numbers))
        assert abs(numbers[0] / 1000 - now_utc().timestamp()) < 60
