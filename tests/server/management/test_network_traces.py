"""Traces over all servers of a network: what management shows, and from which server it takes what."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from server.tracing.test_hops import AT_FE1
from sipmesh.errors import OperatorError
from sipmesh.server.management.network_traces import MOST_TRACES
from sipmesh.server.tracing.trace_document import documents
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2
from support.running import LOOK_AGAIN_S, on_loop, until

BOTH = {(server, received) for server in (FE1, FE2) for received in (True, False)}


async def traced(network: Managed, what: str, holds: Any, **given: Any) -> list[dict[str, Any]]:
    """Read a trace of the whole network until it has what is wanted; gives all of it."""
    name, found = secrets.token_hex(8), list[dict[str, Any]]()
    while True:
        reply = await network.ask(MGMT, "trace-network", id=name, what=what, **given)
        found += reply["messages"]
        if holds(found):
            return found
        await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
async def test_management_shows_a_message_at_each_server_that_it_passes(managed: Managed) -> None:
    """Also at a server that begins to trace a little later: the user goes on sending until all of them have shown it."""
    async with managed:
        await managed.start(MGMT, FE1, FE2)
        await managed.acknowledged(1)
        alice, _bob = await managed.agent("alice", FE1), await managed.agent("bob", FE2)

        async def talk() -> None:
            while True:
                await alice.message("bob@example.test", "hello")
                await asyncio.sleep(LOOK_AGAIN_S)

        talking = asyncio.create_task(talk())
        try:
            found = await traced(
                managed, "bob", lambda shown: {(one["server"], one["received"]) for one in shown} >= BOTH
            )
        finally:
            talking.cancel()
        at_fe2 = next(one for one in found if one["server"] == FE2 and one["received"] and one["kind"] == "server")
        assert (at_fe2["peer"], at_fe2["proof"], at_fe2["code"]) == (FE1, f"certificate of {FE1}", "accepted")
        lines = managed.master.management_db.audit.read()
        assert [(line.act, line.who.split(" ")[0]) for line in lines if line.act == "trace"]


@on_loop
async def test_edge_takes_part_through_a_front_end_of_its_next_hop(managed: Managed) -> None:
    async with managed:
        await managed.start(EDGE, MGMT, FE1)
        await managed.acknowledged(1)
        name = secrets.token_hex(8)
        reply = await managed.ask(MGMT, "trace-network", id=name, what="alice")
        assert FE2 in [fault.split(" ")[0] for fault in reply["faults"]]
        assert EDGE not in [fault.split(" ")[0] for fault in reply["faults"]]
        await until(lambda: managed.nodes[EDGE].reactor.tap is not None)
        [document] = documents(EDGE, name, [AT_FE1], 2)
        assert managed.member(FE1).traces.pass_on(managed.nodes[FE1].view.trusted[EDGE], document) == ""
        while not (reply := await managed.ask(MGMT, "trace-network", id=name, what="alice"))["messages"]:
            await asyncio.sleep(LOOK_AGAIN_S)
        assert ([one["server"] for one in reply["messages"]], reply["left_out"]) == ([EDGE], 2)


@on_loop
async def test_server_speaks_for_no_other_server(managed: Managed) -> None:
    """A thief of a front end shows what is not so at that front end, and at the edges behind it, and nowhere else."""
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        name = secrets.token_hex(8)
        await managed.ask(MGMT, "trace-network", id=name, what="alice")
        peer = managed.nodes[MGMT].view.trusted[FE1]
        receive = managed.master.traces.receive
        [mine] = documents(FE1, name, [AT_FE1], 0)
        assert receive(peer, {**mine, "server": FE2}) == f"a trace of {FE2} from {FE1}"
        assert receive(peer, {**mine, "messages": "none"}).startswith("messages: ")
        assert receive(peer, {**mine, "trace": "another"}) == ""
        assert receive(peer, mine) == ""
        reply = await managed.ask(MGMT, "trace-network", id=name, what="alice")
        assert [one["server"] for one in reply["messages"]] == [FE1]
        wrong = managed.member(FE1).traces.pass_on(managed.nodes[FE1].view.trusted[FE2], {**mine, "server": FE2})
        assert "no edge behind" in wrong


@on_loop
async def test_traces_of_a_network_are_bounded_and_end(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    async with managed:
        await managed.start(MGMT)
        for number in range(MOST_TRACES):
            await managed.ask(MGMT, "trace-network", id=f"t{number}", what="alice")
        with pytest.raises(OperatorError, match="traces already"):
            await managed.ask(MGMT, "trace-network", id="one more", what="alice")
        with pytest.raises(OperatorError, match="a trace needs"):
            await managed.ask(MGMT, "trace-network", id="t0", what="")
        monkeypatch.setattr("sipmesh.server.management.network_traces.LASTS_S", -1.0)
        for number in range(MOST_TRACES):
            await managed.ask(MGMT, "trace-network", id=f"t{number}", what="alice")
        await managed.ask(MGMT, "trace-network", id="one more", what="alice")
