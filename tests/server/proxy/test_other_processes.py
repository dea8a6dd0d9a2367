"""A server of one process has no others: it sends nothing, and no other process has anything."""

from __future__ import annotations

from sipmesh.server.proxy.other_processes import OtherProcesses
from support.network import FE1, Network
from support.running import on_loop


@on_loop
async def test_nothing_is_sent_and_no_other_process_has_anything(home: Network) -> None:
    others = OtherProcesses()
    async with home:
        alice = await home.phone("alice", FE1)
        [flow] = home.nodes[FE1].flow_table.sessions()
        for tell in (others.link_up, others.exceeds, others.waits_on):
            assert not tell(flow.link)
        others.link_down(flow.link, "it has closed")
        others.call_began("call", flow)
        asked = alice.request("SUBSCRIBE", f"sip:{alice.user}")
        others.hand_over(flow, asked, f"sip:{alice.user}")
        assert not others.has_notifier(flow, f"sip:{alice.user}")
        assert not others.rings(flow, asked.call_id)
    others.call_ended("call")
    others.taken_over(frozenset())
    others.contact_changed("alice@192.0.2.1", "sip:alice@example.test", is_added=True)
    others.login_failed("1", "192.0.2.1", "sip:alice@example.test", "")
    others.ask_for_crls(b"")
    others.judge_again()
    others.close()
    assert not tuple(others.aors_at("alice@192.0.2.1"))
