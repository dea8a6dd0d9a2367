"""One login with 24 links, or a stolen server with 16, sends the costliest accepted messages: no other client waits for them.

With workers, and with one process: messages of others pass, a revocation takes effect, no worker is taken for hung and no pool
mate for dead. The same number of ordinary messages passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import pytest
from cryptography import x509

from scenarios.test_workers import ONE, TWO, pass_message
from sipmesh.demo.organisation import Organisation
from sipmesh.pki.crl.builder import Reason
from sipmesh.transport.limits import Limits
from support.descriptions import CLEAR, FINGERPRINT, SDES, SDP, SESSION
from support.network import BOT, FE1, FE2, Network
from support.peer import Peer
from support.process import Process, serving
from support.running import on_loop
from support.tiers import wide_after
from support.workers import two_workers

LINKS: Final = 24
MOST_OF_A_LINK: Final = 60
WITHIN_S: Final = 10.0
"""What is promised is one second, of a machine without other work."""

BOB, NOBODY = "sip:bob@example.test", "sip:nobody@example.test"
NAMES: Final = b" ".join(b"%x" % number for number in range(1, 20_000))
IN_BUNDLE: Final = (
    b"m=audio 5004 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\n" + FINGERPRINT + b"m=video 5004 UDP/TLS/RTP/SAVPF 0\r\n"
)
BUNDLE: Final = (
    SESSION + b"a=group:BUNDLE " + NAMES + b"\r\n" + IN_BUNDLE + b"a=mid:z\r\n" * 1_900 + CLEAR[len(SESSION) :]
)
"""Many names against many mids. Its last media line is in the clear: it is refused once all was judged, and nothing waits."""

NUMBERS = count()


def _nested() -> bytes:
    part = b"--b4\r\nContent-Type: application/sdp\r\n\r\n" + SDES + b"a=x\r\n" * 700 + b"\r\n"
    body = part * 25 + b"--b4--\r\n"
    for level in (3, 2, 1):
        head = b"--b%d\r\nContent-Type: multipart/mixed;boundary=b%d\r\n\r\n" % (level, level + 1)
        body = head + body + b"\r\n--b%d--\r\n" % level
    return body[:-3]


def costly(peer: Peer) -> Iterator[bytes]:
    """The worst messages of several readers, one after the other, without an end."""
    offers = [
        peer.request("INVITE", BOB, [("content-type", SDP)], BUNDLE),
        peer.request("INVITE", BOB, [("content-type", "multipart/mixed;boundary=b1"), ("privacy", "user")], _nested()),
        peer.request("MESSAGE", NOBODY, [("p-asserted-identity", "<sip:a@example.test>" + ';a="\\""' * 8_000)]),
        peer.request(
            "MESSAGE", NOBODY, [("subject", "a"), *((f"x-{number}", "") for number in range(240))], b"x" * 60_000
        ),
        peer.request(
            "PUBLISH", f"sip:{peer.user}", [("event", "presence"), ("content-type", "application/pidf+xml")], PIDF
        ),
    ]
    return _again([offer.encode() for offer in offers])


SPACE: Final = b"urn:" + b"n" * 7_900
PIDF: Final = (
    b'<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:w="%b" entity="a"><tuple' % SPACE
    + b"".join(b' w:a%d="1"' % number for number in range(600))
    + b"/></presence>"
)


def ordinary(peer: Peer) -> Iterator[bytes]:
    """Messages as phones send them."""
    return _again([peer.request("MESSAGE", NOBODY, body=b"hello").encode()])


def _again(messages: list[bytes]) -> Iterator[bytes]:
    """Give each message with a branch and a Call-ID of its own."""
    while True:
        for message in messages:
            number = b"%d" % next(NUMBERS)
            again = message.replace(b"branch=z9hG4bK", b"branch=z9hG4bK" + number, 1)
            yield again.replace(b"Call-ID: ", b"Call-ID: " + number, 1)


async def _send(peer: Peer, messages: Iterator[bytes]) -> None:
    for _ in range(MOST_OF_A_LINK):
        await peer.write(next(messages))


@asynccontextmanager
async def flood(
    network: Network, what: Callable[[Peer], Iterator[bytes]], stolen: str | None = None
) -> AsyncIterator[list[Peer]]:
    """Let one user, or who has *stolen* the key of that server, send *what* on all of its links meanwhile."""
    links = LINKS if stolen is None else Limits().links_accepted_per_peer
    peers = [await network.peer(FE1, "alice", stolen) for _ in range(links)]
    for peer in peers:
        peer.contact = peers[0].contact  # a user has ten Contacts at most
        assert stolen is not None or (await peer.register()).status == 200
    sending = [asyncio.create_task(_send(peer, what(peer))) for peer in peers]
    try:
        await peers[0].final()
        yield peers
    finally:
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)


async def _passes(sender: Peer, receiver: Peer, times: int = 3) -> None:
    for _ in range(times):
        async with asyncio.timeout(WITHIN_S):
            await pass_message(sender, receiver)


async def _revocation_passes(network: Network, server: Process, revoked: Peer) -> None:
    organisation = network.organisations[0]
    leaf = x509.load_pem_x509_certificates(network.credentials(FE2)[0].read_bytes())[0]
    organisation.ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
    async with asyncio.timeout(WITHIN_S):
        await server.ask("files-changed")
        await revoked.hung_up()


@pytest.mark.parametrize("what", [costly, ordinary])
@on_loop
async def test_no_worker_is_killed_and_no_message_of_others_waits_while_one_user_sends_much(
    example: Organisation, what: Callable[[Peer], Iterator[bytes]]
) -> None:
    async with two_workers(example) as two:
        bob, carol = await two.phone("bob", ONE), await two.phone("carol", TWO)
        others = [await two.phone("bob", worker) for worker in (ONE, TWO)]
        revoked = await two.connected("x", ONE, FE2)
        async with flood(two.network, what):
            for sender in (bob, carol, *others):
                async with asyncio.timeout(WITHIN_S):
                    assert (await sender.ask(sender.request("OPTIONS", "sip:example.test"))).status == 200
            await _passes(bob, carol)
            await _revocation_passes(two.network, two.server, revoked)
            workers: list[dict[str, Any]] = await two.workers()
        assert [(worker["starts"], worker["state"]) for worker in workers] == [(1, "serving")] * 2
        for other in (bob, *others):
            assert (await other.ask(other.request("OPTIONS", "sip:example.test"))).status == 200


@pytest.mark.parametrize(
    ("what", "stolen"), wide_after(2, [(costly, None), (ordinary, BOT), (ordinary, None), (costly, BOT)])
)
@on_loop
async def test_pool_mate_and_others_are_served_by_one_process_while_one_peer_sends_much(
    example: Organisation, what: Callable[[Peer], Iterator[bytes]], stolen: str | None
) -> None:
    """The pool mate keeps its link, and a message through both front ends passes."""
    async with Network((example,), starts=(FE2,)) as network, serving(example, FE1) as server:
        bob, carol = await network.phone("bob", FE1), await network.phone("carol", FE2)
        await _passes(carol, bob)
        before = {link["id"] for link in await server.ask("links") if link["peer"] == FE2}
        async with flood(network, what, stolen):
            await _passes(carol, bob)
            await _passes(bob, carol)
            after = {link["id"] for link in await server.ask("links") if link["peer"] == FE2}
        assert before
        assert before <= after


@on_loop
async def test_each_ordinary_message_is_answered(example: Organisation) -> None:
    """As many, on as many links of one user, as those that cost much."""
    async with Network((example,)) as network, serving(example, FE1):
        async with flood(network, ordinary) as peers:
            answers = [await peer.final() for peer in peers[1:] for _ in range(MOST_OF_A_LINK)]
        assert {answer.status for answer in answers} == {404}
