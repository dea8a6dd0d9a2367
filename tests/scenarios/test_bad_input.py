"""Peers that are slow, broken or hostile below SIP: bounded in time and memory, and beside each a link that notices nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from sipmesh.sip.framing import ReadLimits
from sipmesh.sip.message import Request, Response
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, FE2, UNHURRIED, Network
from support.peer import HungUpError, Peer
from support.running import on_jumping_loop, on_loop, until

LIMITS = UNHURRIED
GROWTH = ReadLimits().growth
MESSAGE = "MESSAGE"


# What can be answered is answered, and then the link ends


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Content-Length: 0\r\n", b"", 400),
        (b"Content-Length: 0", b"Content-Length: -1", 400),
        (b"Content-Length: 0", b"Content-Length: 1e3", 400),
        (b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 5", 400),
        (b"Content-Length: 0", b"l: 131073", 413),
        (b"Content-Length: 0", b"Content-Length: 99999999999999999999", 413),
        (b"Max-Forwards", b"X: " + b"x" * (LIMITS.header_bytes + GROWTH) + b"\r\nMax-Forwards", 513),
        (b"sip:bob@", b"sip:" + b"b" * LIMITS.start_line_bytes + b"@", 414),
    ],
)
@on_loop
async def test_stream_that_cannot_be_framed_gets_its_answer_and_ends_alone(
    home: Network, old: bytes, new: bytes, status: int
) -> None:
    async with home, two_who_talk(home):
        hostile = await home.phone("carol", FE1)
        good = hostile.request(MESSAGE, "sip:bob@example.test")
        await hostile.write(good.encode().replace(old, new, 1))
        answered = await last_words(hostile)
        assert [one.status for one in answered] == [status]
        assert answered[0].call_id == good.call_id
        assert answered[0].cseq.method == MESSAGE


def padded(request: Request, octets: int) -> bytes:
    """Give a request whose header has so many octets."""
    data = request.encode()
    row = b"X: " + b"x" * (octets - data.index(b"\r\n\r\n") - len(b"X: \r\n"))
    return data.replace(b"Max-Forwards", row + b"\r\nMax-Forwards", 1)


def rowed(request: Request, rows: int) -> bytes:
    """Give a request with so many header rows."""
    return request.encode().replace(b"Max-Forwards", b"X-Y: x\r\n" * (rows - len(request.rows)) + b"Max-Forwards", 1)


@pytest.mark.parametrize(("make", "most"), [(padded, LIMITS.header_bytes), (rowed, 256)])
@on_loop
async def test_longest_message_of_a_user_closes_no_link_between_servers(
    pool: Network, make: Callable[[Request, int], bytes], most: int
) -> None:
    """Each hop adds rows, so what one server takes may be more than the next does; the link between them goes on."""
    async with pool:
        bob, carol = await pool.phone("bob", FE2), await pool.phone("carol", FE1)
        for size, status in ((most - 2048 if make is padded else most - 16, 200), (most, 513), (most + 1, 513)):
            asked = carol.request(MESSAGE, "sip:bob@example.test")
            await carol.write(make(asked, size))
            if status == 200:
                await bob.reply(await bob.request_in(MESSAGE), 200)
            answered = await carol.final()
            assert (answered.call_id, answered.status) == (asked.call_id, status)
        assert not list(pool.told[FE2].events("unframeable"))
        assert not list(pool.told[FE1].events("link closed"))


@on_loop
async def test_what_came_whole_before_the_garbage_is_still_served(home: Network) -> None:
    async with home, two_who_talk(home):
        hostile = await home.phone("carol", FE1)
        good = hostile.request("OPTIONS", "sip:example.test").encode()
        await hostile.write(good + b"\x00\x01garbage\r\n\r\n" + good)
        assert [one.status for one in await last_words(hostile)] == [200]


@pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER])
@on_loop
async def test_garbage_from_a_server_ends_that_link_and_the_next_one_works(pool: Network, kind: LinkKind) -> None:
    """A server of ours that is broken is refused no less than a client, and no longer."""
    async with pool, two_who_talk(pool):
        credentials = FE2 if kind is LinkKind.SERVER else None
        broken = await pool.peer_at(FE1, kind, "carol", credentials)
        await broken.write(b"\xff" * 70_000)
        assert await last_words(broken) == []
        again = await pool.peer_at(FE1, kind, "carol", credentials)
        assert (await again.ask(again.request("OPTIONS", "sip:example.test"))).status == 200


@on_loop
async def test_peer_that_closes_in_the_middle_of_a_message_harms_no_other(home: Network) -> None:
    async with home, two_who_talk(home):
        for part in (1, 40, 200):
            hostile = await home.phone("carol", FE1)
            await hostile.write(hostile.request(MESSAGE, "sip:bob@example.test").encode()[:part])
            await hostile.__aexit__()
        node = home.nodes[FE1]
        await until(lambda: len(node.flow_table.sessions()) == 2)


# Slow peers


@pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER])
@on_jumping_loop
async def test_peer_that_stalls_in_the_handshake_is_closed_at_its_deadline(home: Network, kind: LinkKind) -> None:
    async with home, two_who_talk(home):
        began = now()
        reader, writer = await asyncio.open_connection(*home.address(FE1, kind))
        writer.write(b"\x16\x03\x01")  # the beginning of a ClientHello that never goes on
        assert await reader.read() == b""
        assert LIMITS.handshake_s <= now() - began <= LIMITS.handshake_s + 1
        writer.close()


@on_jumping_loop
async def test_stranger_who_sends_a_byte_a_second_is_closed_at_its_deadline(home: Network) -> None:
    """Every byte is progress, so that only the time until it has logged in bounds it."""
    async with home, two_who_talk(home):
        began, stranger = now(), await home.peer(FE1, "carol")
        dripping = asyncio.create_task(drip(stranger))
        await stranger.hung_up()
        assert LIMITS.authenticate_s <= now() - began <= LIMITS.authenticate_s + 2
        await dripping


@pytest.mark.parametrize("part", ["header", "body"])
@on_jumping_loop
async def test_user_who_does_not_finish_a_message_is_closed_at_its_deadline(home: Network, part: str) -> None:
    """A byte a second is not enough progress; the link of the same user that says nothing stays."""
    async with home, two_who_talk(home):
        quiet, slow = await home.phone("carol", FE1), await home.phone("carol", FE1)
        whole = slow.request(MESSAGE, "sip:bob@example.test", body=b"x" * 1_000).encode()
        begin = whole.index(b"\r\n\r\n") + (4 if part == "body" else -100)
        await slow.write(whole[:begin])
        began, dripping = now(), asyncio.create_task(drip_bytes(slow, whole[begin:]))
        await slow.hung_up()
        most = LIMITS.message_s + (begin + LIMITS.message_s) / LIMITS.message_bytes_per_s
        assert LIMITS.message_s <= now() - began <= most + 2
        await dripping
        assert (await quiet.ask(quiet.request("OPTIONS", "sip:example.test"))).status == 200


@on_jumping_loop
async def test_user_who_sends_a_message_in_pieces_within_its_deadline_is_served(home: Network) -> None:
    """The control: slow is not hostile. Half a keepalive is no message, however long the other half takes."""
    async with home, two_who_talk(home):
        slow = await home.phone("carol", FE1)
        request = slow.request("OPTIONS", "sip:example.test").encode()
        await slow.write(b"\r\n")
        await asyncio.sleep(2 * LIMITS.message_s)
        await slow.write(b"\r\n" + request[:100])
        await asyncio.sleep(LIMITS.message_s - 1)
        await slow.write(request[100:])
        assert (await slow.final()).status == 200


@pytest.mark.parametrize(("every_s", "passes"), [(4, True), (5, False)])
@on_jumping_loop
@pytest.mark.wide
async def test_large_message_of_a_server_passes_at_the_least_rate_and_not_below(
    pool: Network, every_s: int, *, passes: bool
) -> None:
    """16 KiB in 4 s are 4,096 octets a second: a megabyte takes four minutes, and is read whole."""
    async with pool:
        slow = await pool.peer(FE1, "alice@example.test", credentials=FE2)
        whole = slow.request(MESSAGE, "sip:no-one@example.test", body=b"x" * 1_000_000).encode()
        answered = asyncio.create_task(status_of(slow))
        with suppress(OSError):
            for at in range(0, len(whole), 16_384):
                await slow.write(whole[at : at + 16_384])
                await asyncio.sleep(every_s)
        assert bool(await answered) is passes


@on_loop
async def test_user_who_never_reads_is_closed_in_time_and_its_senders_get_an_answer(home: Network) -> None:
    """What waits for it stays below its bound; the sender gets a response at once, not after half a minute."""
    home.limits = replace(LIMITS, stall_s=0.2)
    async with home, two_who_talk(home) as (alice, _):
        await home.phone("carol", FE1)  # nothing is received on it any more, so that its stream stops reading
        node = home.nodes[FE1]
        [link] = [one.link for one in node.flow_table.sessions() if "sip:carol@example.test" in one.users]
        body, most, sent = b"x" * LIMITS.body_client_bytes, 0, 0
        statuses: list[int] = []
        while not statuses:
            sent += 1
            await alice.send(alice.request(MESSAGE, "sip:carol@example.test", [("content-type", "text/plain")], body))
            await alice.send(probe := alice.request("OPTIONS", "sip:example.test"))
            most = max(most, link.pending_out)
            while (came := await alice.final()).call_id != probe.call_id:
                statuses.append(came.status)
        assert most <= LIMITS.queue_client_bytes
        await until(lambda: link not in node.pool.all())
        statuses += [(await alice.final()).status for _ in range(sent - len(statuses))]
        assert set(statuses) == {480}


@on_loop
async def test_user_who_asks_and_never_reads_the_answers_is_closed_in_time(home: Network) -> None:
    home.limits = replace(LIMITS, stall_s=0.2)
    async with home, two_who_talk(home):
        hostile = await home.phone("carol", FE1)
        flood = hostile.request("OPTIONS", "sip:example.test", [("subject", "x" * 200)]).encode() * 500
        with suppress(OSError):
            while home.nodes[FE1].flow_table.sessions()[2:]:
                await hostile.write(flood)


# Many peers


@on_loop
async def test_links_that_say_nothing_do_not_keep_others_out(home: Network) -> None:
    async with home, two_who_talk(home):
        for _ in range(LIMITS.handshakes_per_address + 10):
            await home.peer(FE1)
        assert (await (await home.peer(FE1, "carol")).register()).status == 200


def now() -> float:
    """Seconds of the loop's time."""
    return asyncio.get_running_loop().time()


async def drip(peer: Peer) -> None:
    """Send messages byte by byte for as long as the server takes them; each is whole in half a minute."""
    while await drip_bytes(peer, b"\r\n" * 200):
        pass


async def drip_bytes(peer: Peer, data: bytes) -> bool:
    """Send *data*, a byte a second; False if the server has closed the connection."""
    with suppress(OSError):
        for at in range(len(data)):
            await peer.write(data[at : at + 1])
            await asyncio.sleep(1)
        return True
    return False


async def status_of(peer: Peer) -> int:
    """The status of the next final response, 0 where the server closes instead."""
    try:
        return (await peer.final()).status
    except HungUpError:
        return 0


async def last_words(peer: Peer) -> list[Response]:
    """All that the server still says on a link before it closes it."""
    said = []
    with suppress(HungUpError):
        while True:
            said.append(await peer.final())
    return said


@asynccontextmanager
async def two_who_talk(network: Network) -> AsyncIterator[tuple[Peer, Peer]]:
    """Alice and bob: after all that happened beside them, their links are up at the end and a message goes across."""
    alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
    yield alice, bob
    message = alice.request(MESSAGE, "sip:bob@example.test")
    await alice.send(message)
    await bob.reply(await bob.request_in(MESSAGE), 200)
    assert (await alice.final()).status == 200
