"""The torture messages of RFC 4475 and RFC 5118 at a running front end: each gets the answer that its verdict says.

By TLS, and by secure WebSocket, where each is one message (RFC 7118 section 5).
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from wsproto.events import BytesMessage

from conformance.suites import files
from conformance.test_rfc4475 import RFC4475
from conformance.test_rfc5118 import RFC5118
from conformance.torture import Row, Suite
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.message import Response
from support.network import FE1, Network
from support.peer import HungUpError, Peer
from support.running import on_loop
from support.tiers import wide_after
from support.web_peer import WebPeer, open_websocket, web_address

ACTED_ON = {"401", "403", "404", "407", "420", "481", "483"}
"""What a request of a stranger gets if nothing is wrong with it but who sends it, or where it wants to go."""

TORTURE = [(suite, row) for suite in (RFC4475, RFC5118) for row in suite.rows]
AT_ONCE = {"dblreq", "mult-ip-in-sdp"}
"""Octets follow the message: on a stream they are the next one, which is refused. A WebSocket message has no next one."""

IN_A_FRAME = {"clerr": ["400", "close"], "inv2543": ["400", "200"], **{name: ["400", "close"] for name in AT_ONCE}}
"""What a frame shows of a message, and a stream does not: where it ends."""


async def said_to(peer: Peer, data: bytes) -> list[str]:
    """Send octets and an OPTIONS; gives the statuses of the answers. The last one is the 200 to the OPTIONS, or ``close``."""
    said: list[str] = []
    probe = peer.request("OPTIONS", "sip:example.test").encode()
    if isinstance(peer, WebPeer):  # in one go: the server may close after the first
        await peer.write_octets(peer.socket.send(BytesMessage(data)) + peer.socket.send(BytesMessage(probe)))
    else:
        await peer.write(data + probe)
    with suppress(HungUpError):
        while "200" not in said:
            message = await peer.receive()
            assert isinstance(message, Response), message
            said.append(str(message.status))
        return said
    return [*said, "close"]


def is_as_wanted(row: Row, said: list[str]) -> bool:
    """Compare what was said on a stream with the verdict on a message."""
    *statuses, end = said
    if row.verdict.startswith("ok"):
        wants_close = row.name in AT_ONCE
        return set(statuses) <= ACTED_ON and end == ("close" if wants_close else "200")
    wanted = {"drop": ["200"], "400 close": ["400", "close"]}.get(row.verdict, [row.verdict, "200"])
    return said == wanted


def at_hand() -> list[tuple[Suite, Row]]:
    """The messages on this machine."""
    return [(suite, row) for suite, row in TORTURE if suite.is_at_hand(row)]


@on_loop
async def test_each_torture_message_gets_its_answer_on_a_stream(home: Network) -> None:
    """A message that waits for the rest of its body (`clerr`) gets none; see `transport/link/test_reader.py` for its end."""
    async with home:
        wrong = []
        for suite, row in at_hand():
            if row.verdict != "waits":
                async with await home.peer(FE1, "nobody") as peer:
                    said = await said_to(peer, suite.octets(row.name))
                wrong += [] if is_as_wanted(row, said) else [(row.name, row.verdict, said)]
        assert not wrong


@on_loop
async def test_each_torture_message_gets_its_answer_in_a_websocket_message(example: Organisation) -> None:
    open_websocket(example)
    async with Network((example,), starts=(FE1,)):
        wrong = []
        for suite, row in at_hand():
            async with await WebPeer.dial(web_address(example, FE1), "nobody@example.test") as peer:
                said = await said_to(peer, suite.octets(row.name))
            fits = said == IN_A_FRAME[row.name] if row.name in IN_A_FRAME else is_as_wanted(row, said)
            wrong += [] if fits else [(row.name, row.verdict, said)]
        assert not wrong
        async with await WebPeer.dial(web_address(example, FE1), "alice@example.test") as alice:
            assert (await alice.register()).status == 200


@pytest.mark.parametrize("folder", wide_after(1, ["sip-kamailio", "sip-fuzz-pjsip", "sip-flows-rtckit"]))
@on_loop
async def test_seeds_of_other_projects_leave_the_server_as_it_was(example: Organisation, folder: str) -> None:
    """With both line ends, by both ways, before and after a login; after any answer, a user can register."""
    open_websocket(example)
    async with Network((example,), starts=(FE1,)) as network:
        for path in files(folder):
            for data in (path.read_bytes(), path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
                async with await network.peer(FE1, "alice") as peer:
                    assert (await peer.register()).status == 200
                    await peer.write(data)
                async with await WebPeer.dial(web_address(example, FE1), "nobody@example.test") as page:
                    await page.write_octets(page.socket.send(BytesMessage(data)))
        alice = await network.phone("alice", FE1)
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200
        assert [line for line in network.told[FE1].lines if line["level"] in {"error", "critical"}] == []
