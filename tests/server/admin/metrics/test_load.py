"""Metrics of load and of limits, read over HTTP from a server that runs."""

from __future__ import annotations

from sipmesh.transport.limits import Limits
from support.figures import ask_for_figures, figures, labelled, page_of
from support.network import FE1, Network
from support.running import on_loop


@on_loop
async def test_what_limits_have_done_is_reported_for_each_kind_of_principal(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    home.limits = Limits(branches_per_user=1, strangers_per_address=1, links_per_user=1, login_s=0)
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(*(alice.request("MESSAGE", "sip:bob@example.test") for _ in range(2)))
        assert (await alice.final()).status == 503
        await bob.request_in("MESSAGE")
        await home.phone("carol", FE1)
        await home.phone("carol", FE1)
        strangers = [await home.peer(FE1) for _ in range(2)]
        await strangers[0].hung_up()
        told = await figures(port)
        assert told[labelled("sipmesh_requests_limited_total", principal="user")] == 1
        assert told[labelled("sipmesh_branches_most", principal="user")] == 1
        assert told[labelled("sipmesh_octets_most", principal="user")] > 4_096
        assert told[labelled("sipmesh_displaced_total", limit="links_per_user", kind="client")] == 1
        assert told[labelled("sipmesh_displaced_total", limit="strangers_per_address", kind="client")] == 1
        assert told[labelled("sipmesh_links_without_login")] == 1
        assert told[labelled("sipmesh_log_lines_summed_total")] == 0
        assert told[labelled("sipmesh_logins_waiting")] == 0
