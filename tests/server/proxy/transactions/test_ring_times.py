"""Calls that ring for as long as a rule says."""

from __future__ import annotations

from server.proxy.test_transactions import proxied_in
from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.server.proxy.transactions.ring_times import RingTimes
from support.network import Network
from support.running import on_loop


@on_loop
async def test_each_call_comes_back_when_its_own_time_is_over(home: Network) -> None:
    async with home:
        proxied, _ = await proxied_in(home)
    times = RingTimes()
    long, short = (CallHandling("sip:bob@example.test", CallRules(ring_s=seconds)) for seconds in (30, 5))
    for handling in (long, short, short):
        times.add(proxied, handling, 100.0)
    assert (len(times), times.pop_rung_out(104.9)) == (3, None)
    found = [times.pop_rung_out(105.0) for _ in range(3)]
    assert [one.handling for one in found if one is not None] == [short, short]
    assert found[2] is None
    last = times.pop_rung_out(130.0)
    assert last is not None
    assert (last.handling, last.proxied, len(times)) == (long, proxied, 0)
