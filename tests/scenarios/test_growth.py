"""Messages that grow on their way, or send a request another way: each is refused to its sender, and no link ends for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sipmesh.sip.framing import MAX_HEADER, MAX_ROWS
from sipmesh.sip.message import Message, Request, respond
from sipmesh.sip.rows import VIA
from sipmesh.sip.transaction.ack import MAX_REASON, MAX_REASONS, cancel_for
from support.network import FE1, FE2, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

MESSAGE = "MESSAGE"


def assert_no_link_ended(network: Network) -> None:
    """See that no server has ended a link, or could not read what came on one."""
    for told in network.told.values():
        assert not list(told.events("unframeable"))
        assert not list(told.events("link closed"))


def header_size(message: Message) -> int:
    return len(message.encode()) - len(message.body)


# Requests


def long_header(request: Request, more: int) -> None:
    """Make the header so long that it is *more* octets above the bound."""
    request.append("x", "")
    request.replace("x", "x" * (MAX_HEADER + more - header_size(request)))


def many_rows(request: Request, more: int) -> None:
    """Give the header so many rows that it has *more* above the bound."""
    for _ in range(MAX_ROWS + more - len(request.rows)):
        request.append("x-y", "x")


async def came_on(network: Network, make: Callable[[Request, int], None], less: int) -> int:
    """Send a MESSAGE that is *less* below the bound from carol to bob, and give what it has grown by if bob gets it."""
    bob, carol = await network.phone("bob", FE2), await network.phone("carol", FE1)
    asked = carol.request(MESSAGE, "sip:bob@example.test")
    make(asked, -less)
    await carol.send(asked)
    came = await bob.request_in(MESSAGE)
    await bob.reply(came, 200)
    assert (await carol.final()).status == 200
    return header_size(came) - header_size(asked) if make is long_header else len(came.rows) - len(asked.rows)


@pytest.mark.parametrize("make", [long_header, many_rows])
@on_loop
async def test_server_sends_nothing_that_is_longer_than_it_would_read(
    pool: Network, make: Callable[[Request, int], None]
) -> None:
    """The first server measures what it is about to send: the link to the second one never carries it."""
    async with pool:
        assert await came_on(pool, make, 4096 if make is long_header else 16) > 0
        carol = await pool.phone("carol", FE1)
        asked = carol.request(MESSAGE, "sip:bob@example.test")
        make(asked, 0)
        assert (await carol.ask(asked)).status == 513
        assert not list(pool.told[FE2].events("request refused"))
        assert_no_link_ended(pool)


# Responses


async def vias_left_out(network: Network, octets: int) -> int:
    """Have carol answer alice without the Vias that alice has sent, so that the header is of *octets* once they are put back."""
    alice, carol = await network.phone("alice", FE1), await network.phone("carol", FE2)
    lower = ("via", f"SIP/2.0/TLS {'v' * 60_000};branch=z9hG4bKlower")
    await alice.send(alice.request(MESSAGE, "sip:carol@example.test", [lower]))
    came = await carol.request_in(MESSAGE)
    ours, _, *others = [row for row in came.rows if row.bit == VIA]
    told = respond(came, 486, headers=[("subject", "")], to_tag=carol.tag)
    told.replace("subject", "s" * (octets + len(f"{ours.line}\r\n") - header_size(told)))
    told.keep([row for row in told.rows if row not in others])
    await carol.send(told)
    return (await alice.final()).status


@pytest.mark.parametrize(("octets", "status"), [(MAX_HEADER, 486), (MAX_HEADER + 1, 502), (MAX_HEADER + 50_000, 502)])
@on_loop
async def test_response_that_grows_by_what_it_left_out_is_the_answering_sides_fault(
    pool: Network, octets: int, status: int
) -> None:
    async with pool:
        assert await vias_left_out(pool, octets) == status
        assert_no_link_ended(pool)


# Reasons of a CANCEL


async def reasons_at(network: Network, *values: str) -> list[str]:
    """Cancel a call of alice to bob, behind another server, with *values* of Reason; give those that bob gets."""
    alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE2)
    invite = alice.request("INVITE", "sip:bob@example.test")
    await alice.send(invite)
    await bob.reply(await bob.request_in("INVITE"), 180)
    cancel = cancel_for(invite)
    for value in values:
        cancel.append("reason", value)
    await alice.send(cancel)
    came = await bob.request_in("CANCEL")
    assert_no_link_ended(network)
    return came.values("reason")


REASONS = [f"P{number};cause=1" for number in range(MAX_REASONS + 1)]
LONGEST = f'SIP;text="{"x" * (MAX_REASON - 11)}"'


@pytest.mark.parametrize(
    ("values", "kept"),
    wide_after(
        3,
        [
            (REASONS[:MAX_REASONS], REASONS[:MAX_REASONS]),
            (REASONS, REASONS[:MAX_REASONS]),
            ([", ".join(REASONS)], REASONS[:MAX_REASONS]),
            (["," * 30_000], []),
            ([",,SIP;cause=600,,"], ["SIP;cause=600"]),
            ([LONGEST], [LONGEST]),
            ([LONGEST.replace("x", "xx", 1), "SIP;cause=600"], ["SIP;cause=600"]),
        ],
    ),
    ids=["at the limit", "one more", "in one row", "empty", "between empty ones", "longest", "too long"],
)
@on_loop
async def test_few_short_reasons_go_on_with_a_cancel(pool: Network, values: list[str], kept: list[str]) -> None:
    async with pool:
        assert await reasons_at(pool, *values) == kept


# Strict routes


async def in_a_call(caller: Peer, callee: Peer, *routes: str) -> Request:
    """Make an INFO inside a new call, with *routes* behind the entries that the call has taught."""
    _, _, dialog = await talking(caller, callee)
    await callee.request_in("ACK")
    info = inside_of(dialog, caller, "INFO")
    for route in routes:
        info.append("route", route)
    return info


async def passes(caller: Peer, callee: Peer, info: Request) -> Request:
    """Send *info* and give it as the other side gets it; it has to be answered."""
    await caller.send(info)
    came = await callee.request_in("INFO")
    await callee.reply(came, 200)
    assert (await caller.final()).status == 200
    return came


@pytest.mark.parametrize(
    "route",
    wide_after(
        3,
        [
            "<sip:boss@fe2.example.test?Replaces=x&Subject=y>",
            "<sip:x@evil.test>",
            "<sip:proxy.of.bob>",
            "<sip:proxy.of.bob;lr?Subject=y>",
            "<sip:OTHER;lr>",
            "<tel:+4930>",
        ],
    ),
)
@pytest.mark.parametrize("server", wide_after(1, [FE1, FE2]))
@on_loop
async def test_nothing_but_a_loose_route_of_its_own_is_behind_a_phone(pool: Network, server: str, route: str) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        other = FE2 if server == FE1 else FE1
        refused = await alice.ask(await in_a_call(alice, bob, route.replace("OTHER", other)))
        assert refused.status in (400, 403, 416, 481)
        await bob.silent()
        assert_no_link_ended(pool)


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_loose_routes_of_a_proxy_of_the_phone_pass(pool: Network, server: str) -> None:
    """A phone behind a proxy of its own: that has record-routed, and its entries follow ours."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        own = ["<sip:proxy.of.bob;lr>", "<sip:192.0.2.5:5070;transport=tls;lr>"]
        info = await in_a_call(alice, bob, *own)
        came = await passes(alice, bob, info)
        assert (came.uri, came.items("route")) == (info.uri, own)


@pytest.mark.parametrize(
    ("route", "status"),
    wide_after(
        3,
        [
            ("<sip:x@evil.test?Replaces=1>", 403),
            ("<sip:x@evil.test>", 403),
            (f"<sip:boss@{FE1}>", 481),
            (f"<sip:boss@{FE2}>", 403),
            ("<sip:bob@example.test>", 481),
        ],
    ),
)
@on_loop
async def test_strict_route_to_a_partner_asks_for_nothing_that_may_not_be_asked_for(
    federation: Network, route: str, status: int
) -> None:
    """It stands first behind the entries of our front end: there it would become the Request-URI of what leaves it."""
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        info = await in_a_call(alice, erin)
        routes = info.items("route")
        info.remove("route")
        for entry in [*[entry for entry in routes if FE1 in entry], route]:
            info.append("route", entry)
        assert (await alice.ask(info)).status == status
        await erin.silent()


@on_loop
async def test_request_in_a_call_with_a_partner_passes_by_the_routes_that_the_call_has_taught(
    federation: Network,
) -> None:
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        await passes(alice, erin, await in_a_call(alice, erin))


# Tags


@pytest.mark.parametrize("tag", ['"a;b=c, <sip:boss@example.test>"', '"quoted"', "", "a[b"])
@on_loop
async def test_response_with_a_tag_that_is_no_token_is_not_forwarded(home: Network, tag: str) -> None:
    """The caller gets a 502 in its place; a tag of any token passes."""
    async with home:
        alice, carol = await home.phone("alice", FE1), await home.phone("carol", FE1)
        for to, status, passed in (
            (f'"Boss" <sip:carol@example.test>;tag={tag}', 502, False),
            ("<sip:carol@example.test>;tag=a-token.of+base64/=", 200, True),
        ):
            await alice.send(alice.request(MESSAGE, "sip:carol@example.test"))
            told = respond(await carol.request_in(MESSAGE), 200, to_tag="1")
            told.replace("to", to)
            await carol.send(told)
            final = await alice.final()
            assert (final.status, final.to.tag == "a-token.of+base64/=") == (status, passed)


@pytest.mark.parametrize("field", ["from", "to"])
@on_loop
async def test_request_with_a_tag_that_is_no_token_is_refused(home: Network, field: str) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        asked = alice.request("OPTIONS", "sip:example.test")
        asked.replace(field, '<sip:alice@example.test>;tag="a;b=c"')
        assert (await alice.ask(asked)).status == 400
