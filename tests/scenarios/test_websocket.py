"""Phones in web pages: they register, write and call over WebSocket, beside phones over TLS."""

from __future__ import annotations

import asyncio

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.sip.message import Request, build_request
from sipmesh.transport.limits import Limits
from support.network import BOT, EDGE, FE1, FE2, Network
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from support.talking import inside_of, talking
from support.web_peer import WebPeer, open_websocket, upgrade, web_address


@pytest.fixture(name="web")
def _web(example: Organisation) -> Network:
    """The two front ends of example.test, with WebSocket ports."""
    open_websocket(example)
    return Network((example,), starts=(FE1, FE2))


async def browser(network: Network, user: str, server: str = FE1) -> WebPeer:
    """A page on which *user* has registered."""
    page = await stranger(network, user, server)
    assert (await page.register()).status == 200
    return page


async def stranger(network: Network, user: str, server: str = FE1) -> WebPeer:
    """The same before the login."""
    address = web_address(network.of(server), server)
    return await network._stack.enter_async_context(await WebPeer.dial(address, f"{user}@example.test"))


async def answered(caller: Peer, callee: Peer, request: Request) -> Request:
    """Send *request* and have it answered; gives it as it came."""
    await caller.send(request)
    came = await callee.request_in(request.method)
    await callee.reply(came, 200)
    assert (await caller.final()).status == 200
    return came


@on_loop
async def test_pages_and_phones_write_to_each_other(web: Network) -> None:
    """Each of our Vias says how the request went on (RFC 7118 section 5.2.1)."""
    async with web:
        alice, bob = await browser(web, "alice"), await browser(web, "bob", FE2)
        carol = await web.phone("carol", FE1)
        host, port = FE2, web_address(web.of(FE2), FE2)[1]
        came = await answered(alice, bob, alice.request("MESSAGE", "sip:bob@example.test", body="h\u00e9".encode()))
        assert came.body == "h\u00e9".encode()
        assert came.uri == "sip:bob@df7jal23ls0d.invalid;transport=ws"
        assert came.items("via")[0].startswith(f"SIP/2.0/WSS {host}:{port};")
        assert came.items("via")[-1].startswith("SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK-web-")
        assert came.items("via")[-1].endswith(";received=127.0.0.1")
        came = await answered(alice, carol, alice.request("MESSAGE", "sip:carol@example.test"))
        assert came.items("via")[0].startswith("SIP/2.0/TLS ")
        await answered(carol, bob, carol.request("MESSAGE", "sip:bob@example.test"))


@pytest.mark.parametrize("callee_has_a_page", [True, False])
@on_loop
async def test_page_calls_and_both_sides_end_the_call(web: Network, *, callee_has_a_page: bool) -> None:
    """The Record-Route names the WebSocket port to the page, and the TLS port to the phone (RFC 5658)."""
    async with web:
        alice = await browser(web, "alice")
        bob = await (browser(web, "bob") if callee_has_a_page else web.phone("bob", FE1))
        came, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        web_port, tls_port = web_address(web.of(FE1), FE1)[1], web.address(FE1)[1]
        routes = came.values("record-route")
        ways = [route.rpartition("@")[2] for entry in routes for route in entry.split(", ")]
        wanted = [f"{FE1}:{web_port};transport=ws;lr>"]
        assert ways == wanted if callee_has_a_page else [f"{FE1}:{tls_port};transport=tls;lr>", *wanted]
        await answered(alice, bob, inside_of(dialog, alice, "INFO"))
        ending = build_bye(bob, came)
        await answered(bob, alice, ending)


def build_bye(callee: Peer, invite: Request) -> Request:
    """Make the BYE of the callee, with the route set that it has learnt."""
    routes = [("route", value) for value in invite.values("record-route")]
    target = invite.contacts[0].uri
    headers = [
        ("via", callee.via()),
        ("max-forwards", "70"),
        *routes,
        ("from", f"<sip:{callee.user}>;tag={callee.tag}"),
        ("to", invite.first("from") or ""),
        ("call-id", invite.call_id),
        ("cseq", "1 BYE"),
    ]
    return build_request("BYE", target, headers)


@on_loop
async def test_page_that_has_not_logged_in_can_only_log_in(web: Network) -> None:
    async with web:
        await web.phone("bob", FE1)
        mallory = await stranger(web, "alice")
        refused = await mallory.ask(mallory.request("MESSAGE", "sip:bob@example.test"))
        assert refused.status in {401, 407}
        wrong = await mallory.register(password="wrong")
        assert wrong.status == 401


@on_loop
async def test_page_cannot_speak_for_another_user(web: Network) -> None:
    """Its own name passes; P-Asserted-Identity that it writes itself is removed."""
    async with web:
        alice, bob = await browser(web, "alice"), await web.phone("bob", FE1)
        forged = alice.request("MESSAGE", "sip:bob@example.test", sender="<sip:carol@example.test>;tag=1")
        assert (await alice.ask(forged)).status in {401, 407}  # carol has not logged in on this link
        claimed = [("p-asserted-identity", "<sip:carol@example.test>")]
        came = await answered(alice, bob, alice.request("MESSAGE", "sip:bob@example.test", claimed))
        assert came.values("p-asserted-identity") == ["<sip:alice@example.test>"]


@on_loop
async def test_contact_of_a_page_is_reached_over_its_flow_alone(web: Network) -> None:
    """The host ends in .invalid (RFC 2606): no client asks DNS for it, and only a registered Contact is reached by it."""
    async with web:
        alice, bob = await browser(web, "alice"), await web.phone("bob", FE1)
        asked = len(web.dns.asked)
        await answered(bob, alice, bob.request("MESSAGE", "sip:alice@df7jal23ls0d.invalid;transport=ws"))
        unknown = bob.request("MESSAGE", "sip:alice@another.invalid;transport=ws")
        assert (await bob.ask(unknown)).status in {403, 404}
        routes = [("route", "<sip:df7jal23ls0d.invalid;transport=ws;lr>")]
        assert (await bob.ask(bob.request("MESSAGE", "sip:alice@example.test", routes))).status in {403, 404}
        await answered(bob, alice, bob.request("MESSAGE", "sip:alice@example.test"))
        assert len(web.dns.asked) == asked


@on_loop
async def test_user_is_gone_with_the_page(web: Network) -> None:
    async with web:
        alice, bob = await browser(web, "alice"), await web.phone("bob", FE1)
        alice.abort()
        await until(lambda: web.told[FE1] and not any(link.port == "websocket" for link in web.nodes[FE1].pool.all()))
        assert (await bob.ask(bob.request("OPTIONS", "sip:alice@example.test"))).status == 480


@on_loop
async def test_front_end_that_stops_says_going_away(web: Network) -> None:
    async with web:
        alice = await browser(web, "alice")
        await web.stop(FE1)
        await alice.hung_up()
        assert alice.closed == 1001


@on_loop
async def test_refused_upgrade_is_in_the_log_and_the_metrics(web: Network) -> None:
    """The page gets what a page may know; the origin that it came from is in our log alone."""
    async with web:
        address = web_address(web.of(FE1), FE1)
        with pytest.raises(HungUpError, match="403 Forbidden"):
            await WebPeer.dial(address, "alice@example.test", upgrade(origin="https://evil.test"))
        line = web.told[FE1].last("websocket refused")
        assert (line["status"], line["remote"]) == (403, "127.0.0.1")
        assert "'https://evil.test'" in str(line["why"])
        assert web.nodes[FE1].counters.upgrades == {403: 1}
        (refused,) = web.nodes[FE1].gatekeeper.client_refusals.newest(9)
        assert (refused.reason, refused.remote) == ("wrong-origin", "127.0.0.1")
        await stranger(web, "alice")


@on_loop
async def test_origins_of_the_topology_replace_the_default(example: Organisation) -> None:
    open_websocket(example, origins=["http://localhost:8080"])
    async with Network((example,), starts=(FE1,)) as network:
        address = web_address(example, FE1)
        async with await WebPeer.dial(address, "a@example.test", upgrade(origin="http://localhost:8080")):
            pass
        with pytest.raises(HungUpError, match="403 Forbidden"):
            await WebPeer.dial(address, "a@example.test", upgrade(origin="https://example.test"))
        assert network.nodes[FE1].counters.upgrades == {403: 1}


@on_loop
async def test_new_topology_changes_the_origins_without_restart(web: Network) -> None:
    async with web:
        example = web.of(FE1)
        example.document["websocket"] = {"origins": ["https://new.test"]}
        example.write()
        web.nodes[FE1].put_in_force(example.load())
        async with await WebPeer.dial(web_address(example, FE1), "a@example.test", upgrade(origin="https://new.test")):
            pass
        with pytest.raises(HungUpError, match="403 Forbidden"):
            await WebPeer.dial(web_address(example, FE1), "a@example.test")


@pytest.mark.parametrize(("count", "displaced"), [(2, 0), (3, 1)])
@on_loop
async def test_strangers_by_websocket_and_by_tls_share_the_places_of_their_address(
    example: Organisation, count: int, displaced: int
) -> None:
    open_websocket(example)
    limits = Limits(strangers_per_address=2)
    async with Network((example,), starts=(FE1,), limits=limits) as network:
        await network.peer(FE1)
        node = network.nodes[FE1]
        pages = [asyncio.create_task(stranger(network, "alice")) for _ in range(count - 1)]
        await asyncio.gather(*pages)
        assert node.accounts.strangers.displaced == displaced


@on_loop
async def test_other_servers_have_no_websocket_port(web: Network) -> None:
    async with web:
        web.start(EDGE)
        assert [listener.spec.key for listener in web.nodes[EDGE].listening.listeners] == ["server", "partner"]
        assert [listener.spec.key for listener in web.nodes[FE1].listening.listeners] == [
            "client",
            "server",
            "websocket",
        ]


@on_loop
async def test_application_is_no_client_of_the_websocket_port(web: Network) -> None:
    """A certificate is not asked for, and a client with one is a stranger like any other (rule R10)."""
    async with web:
        bob = await web.phone("bob", FE1)
        page = await stranger(web, "alice")
        asserted = [("p-asserted-identity", "<sip:alice@example.test>")]
        refused = await page.ask(page.request("MESSAGE", "sip:bob@example.test", asserted, sender=f"<sip:{BOT}>;tag=1"))
        assert refused.status in {401, 403, 407}
        await bob.silent()
