"""Orders about calls: which count, and what they do at a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.call_order import CALLS, CallAct, CallOrder
from support.managed import MGMT, Managed, build_published, second_pool
from support.network import EDGE, FE1, FE2
from support.recording import entry
from support.running import on_loop, until


@pytest.fixture(name="recording")
def _recording(tmp_path: Path) -> Managed:
    """example.test, whose servers make records; nothing runs."""
    return Managed(build_published(tmp_path / "m", second_pool(), call_records={}), tmp_path)


def order(network: Managed, server: str, *what: str, later: timedelta = timedelta(), of: str = "") -> bytes:
    """An order to erase users, at a time from now, with the signature of management, or else of the server *of*."""
    number = int((datetime.now(UTC) + later).timestamp() * 1000)
    organisation = network.nodes[FE1].view.organisation
    made = CallOrder(organisation, server, number, CallAct.ERASE, list(what), "ada")
    return network.signed(made.encode(), network.credentials(of) if of else None, kind=CALLS)


@on_loop
async def test_order_of_management_counts_and_no_other(recording: Managed) -> None:
    async with recording:
        await recording.start(MGMT, FE1)
        journal = recording.nodes[FE1].records.journal
        journal.append([entry(id="a")])
        orders = recording.member(FE1).call_orders
        bob = "bob@example.test"
        for wrong, why in (
            (order(recording, FE2, bob), "an order for"),
            (order(recording, FE1, bob, later=timedelta(minutes=-2)), "before or after our clock"),
            (order(recording, FE1, bob, later=timedelta(minutes=2)), "before or after our clock"),
            (order(recording, FE1, bob, of=FE2), "sign"),
            (recording.signed(b"{}", kind=CALLS), "cannot be read"),
        ):
            with pytest.raises(RemoteError, match=why):
                orders.accept(wrong)
        assert b"bob" in journal.file(1).read_bytes()
        orders.accept(order(recording, FE1, bob))
        await until(lambda: b"bob" not in journal.file(1).read_bytes())
        assert [one.callee for one in journal.everything()] == ["*" * len(bob)]


@on_loop
async def test_order_for_an_edge_is_passed_on(recording: Managed) -> None:
    async with recording:
        await recording.start(EDGE, MGMT, FE1)
        await recording.acknowledged(1, FE1, EDGE)
        journal = recording.nodes[EDGE].records.journal
        journal.append([entry(id="a", server=EDGE)])
        reply = await recording.ask(MGMT, "erase-calls", user="bob")
        assert EDGE in reply["told"]
        await until(lambda: b"bob" not in journal.file(1).read_bytes())
