"""What is under way on a link."""

from __future__ import annotations

from support.network import FE1, Network
from support.running import on_loop, until


@on_loop
async def test_both_ends_of_a_request_are_waited_on_until_its_response(home: Network) -> None:
    async with home:
        node, alice, bob = home.nodes[FE1], await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", f"sip:{bob.user}"))
        came = await bob.request_in("MESSAGE")
        flows, under_way = node.flow_table.sessions(), node.under_way
        await until(lambda: all(under_way.waits_on(flow) for flow in flows))
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200
        assert not any(under_way.waits_on(flow) for flow in flows)
