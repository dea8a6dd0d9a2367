"""Metrics of users, read over HTTP from a server that runs."""

from __future__ import annotations

from support.figures import ask_for_figures, figures, labelled, page_of
from support.network import FE1, Network
from support.running import on_loop, until


@on_loop
async def test_registrations_and_logins_are_counted(home: Network) -> None:
    """A login is counted once, and a request on a link that has logged in is none."""
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice = await home.phone("alice", FE1)
        for _ in range(2):
            assert (await (await home.peer(FE1, "bob")).register(password="wrong")).status == 401
        assert (await (await home.peer(FE1, "mallory")).register()).status == 401
        assert (await alice.register()).status == 200
        found = await figures(port)
        assert found[labelled("sipmesh_registrations")] == 1
        assert found[labelled("sipmesh_logins_total", result="ok", flaw="")] == 1
        assert found[labelled("sipmesh_logins_total", result="failed", flaw="wrong-password")] == 2
        assert found[labelled("sipmesh_logins_total", result="failed", flaw="unknown-user")] == 1
        assert sum("sipmesh_logins_total" in name for name, _ in found) == 3
        assert found[labelled("sipmesh_registration_writes_total")] == 1, "a refresh is none"
        assert found[labelled("sipmesh_registration_batches_total")] == 1
        assert found[labelled("sipmesh_registration_writes_waiting")] == 0
        assert found[labelled("sipmesh_registration_store_failures", error="")] == 0
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202
        found = await figures(port)
        assert found[labelled("sipmesh_messages_stored_total", result="stored")] == 1
        assert found[labelled("sipmesh_messages_stored_total", result="user-full")] == 0
        assert found[labelled("sipmesh_stored_messages_delivered_total")] == 0
        assert found[labelled("sipmesh_subscriptions")] == found[labelled("sipmesh_publications")] == 0
        assert found[labelled("sipmesh_stored_messages_waiting")] == 0, "counted every two seconds"
        await alice.__aexit__()
        await until(lambda: home.nodes[FE1].registrations.count() == 0)
        assert (await figures(port))[labelled("sipmesh_registrations")] == 0


@on_loop
async def test_messages_registrations_and_failed_links_are_counted(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice = await home.phone("alice", FE1)
        assert (await alice.register()).status == 200
        await alice.send(alice.request("MESSAGE", "sip:alice@example.test"))
        await alice.reply(await alice.request_in("MESSAGE"), 200)
        await alice.final()
        stranger = await home.peer(FE1)
        await stranger.write(b"GET / HTTP/1.1\r\n\r\n")
        await stranger.hung_up()
        await until(home.nodes[FE1].gatekeeper.client_refusals.counts.total)
        told = await figures(port)
        assert told[labelled("sipmesh_requests_answered_total", method="REGISTER", **{"class": "2xx"})] == 2
        assert told[labelled("sipmesh_requests_answered_total", method="MESSAGE", **{"class": "2xx"})] == 1
        assert told[labelled("sipmesh_client_links_failed_total", reason="http-on-sip-port")] == 1
