"""Traces over a network with management, and who can have one: orders that count, orders that do not, and what is sent back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import RemoteError
from sipmesh.server.agent.traces import MOST_ORDERS
from sipmesh.server.replication.trace_order import TRACE, TraceOrder
from support.managed import MGMT, Managed
from support.network import FE1, FE2
from support.running import on_loop, until


def order(network: Managed, server: str, trace: str = "t1", *, later: timedelta = timedelta(), of: str = "") -> bytes:
    """An order to trace alice, at a time from now, with the signature of management, or else of the server *of*."""
    number = int((datetime.now(UTC) + later).timestamp() * 1000)
    made = TraceOrder(network.nodes[FE1].view.organisation, server, number, trace, "alice")
    return network.signed(made.encode(), network.credentials(of) if of else None, kind=TRACE)


@on_loop
async def test_order_of_management_counts_once_and_only_for_its_server(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        traces = managed.member(FE1).traces
        for wrong, why in (
            (order(managed, FE2), "an order for"),
            (order(managed, FE1, later=timedelta(minutes=-2)), "before or after our clock"),
            (order(managed, FE1, later=timedelta(minutes=2)), "before or after our clock"),
            (managed.signed(b'{"what": 5}', kind=TRACE), "cannot be read"),
            (order(managed, FE1, of=FE2), "sign"),
        ):
            with pytest.raises(RemoteError, match=why):
                traces.accept(wrong)
        assert managed.nodes[FE1].reactor.tap is None
        mine = order(managed, FE1)
        traces.accept(mine)
        traces.accept(mine)  # as it comes through a second front end
        await until(lambda: managed.nodes[FE1].reactor.tap is not None)


@on_loop
async def test_orders_at_one_server_are_bounded(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        traces = managed.member(FE1).traces
        for number in range(MOST_ORDERS):
            traces.accept(order(managed, FE1, f"t{number}"))
        with pytest.raises(RemoteError, match="more than"):
            traces.accept(order(managed, FE1, "one more"))
        traces.accept(order(managed, FE1, "t0"))


@on_loop
async def test_order_comes_by_the_link_of_management(managed: Managed) -> None:
    """One with another signature is answered with 488, and changes nothing."""
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        send = managed.master._notifier.send_once
        assert send(FE1, Item(ItemKind.TRACE, order(managed, FE1, of=FE2), FE1))
        assert send(FE1, Item(ItemKind.TRACE, order(managed, FE1), FE1))
        await until(lambda: managed.nodes[FE1].reactor.tap is not None)
        [line] = managed.told[FE1].events("trace begun")
        assert line["by"] == "management"
