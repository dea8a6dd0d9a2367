"""Messages that other programs would cut elsewhere than we do: no peer gets one, and their controls arrive."""

from __future__ import annotations

import pytest

from sipmesh.sip.message import respond
from support.network import FE1, FE2, Network
from support.other_readers import by_the_grammar, disagreements
from support.peer import Peer
from support.running import on_loop

BOB = "sip:bob@example.test"
FORGED = (
    b"MESSAGE sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/TLS boss.example;branch=z9hG4bKforged\r\nMax-Forwards: 70\r\n"
    b"From: <sip:boss@example.test>;tag=9\r\nTo: <sip:bob@example.test>\r\nCall-ID: forged\r\nCSeq: 1 MESSAGE\r\n"
    b"P-Asserted-Identity: <sip:boss@example.test>\r\nContent-Length: 0\r\n\r\n"
)
LENGTH = b"Content-Length: %d" % len(FORGED)

# Each is a length for some readers and none, or another, for others.
DOUBTFUL = [
    LENGTH.replace(b": ", f": {chr(blank)}".encode())
    for blank in (0x0B, 0x0C, 0x1C, 0x1F, 0x85, 0xA0, 0x2003, 0x2028, 0x3000)
]
DOUBTFUL += [LENGTH + chr(blank).encode() for blank in (0x0B, 0x1D, 0x85, 0xA0, 0x2029)]
DOUBTFUL += [
    LENGTH.replace(b":", "\u00a0:".encode()),
    LENGTH.replace(b": ", b": +"),
    b"Content-Length: " + "".join(chr(0xFF10 + int(digit)) for digit in str(len(FORGED))).encode(),
    b"l: 0\r\n" + LENGTH,
    LENGTH + b"\r\nl: 0",
    LENGTH + b"\0",
    b"X: \0\r\n" + LENGTH,
]


async def assert_clean(phone: Peer, *, says: str) -> None:
    """See that the next request to *phone* is the one with *says*, and that each reader reads all that came alike."""
    wanted = await phone.request_in("MESSAGE")
    assert wanted.first("subject") == says
    data = bytes(phone.heard).lstrip(b"\r\n")
    while data:
        read = by_the_grammar(data)
        whole = data[: len(data) - len(read.rest)]
        assert disagreements(whole) == []
        assert read.values(b"from") != [b"<sip:boss@example.test>;tag=9"]
        data = read.rest.lstrip(b"\r\n")


@on_loop
async def test_request_of_a_doubtful_length_is_refused(pool: Network) -> None:
    """The user's link may end with it. What reaches the other user's phone, through another server, is only the control."""
    async with pool:
        bob = await pool.phone("bob", FE2)
        for length in DOUBTFUL:
            carol = await pool.phone("carol", FE1)
            smuggled = carol.request("MESSAGE", BOB, [("subject", "smuggled")], FORGED)
            await carol.write(smuggled.encode().replace(LENGTH, length))
            refused = await carol.final()
            assert (refused.status, refused.call_id) == (400, smuggled.call_id), (length, bytes(bob.heard))
        twin = await pool.phone("carol", FE1)
        await twin.send(twin.request("MESSAGE", BOB, [("subject", "twin")], FORGED))
        await assert_clean(bob, says="twin")


@on_loop
async def test_response_of_a_doubtful_length_reaches_no_caller(pool: Network) -> None:
    """The same in the other direction: the phone that is asked smuggles in its answer. The caller hears that it is gone."""
    async with pool:
        carol = await pool.phone("carol", FE1)
        for length in DOUBTFUL:
            bob = await pool.phone("bob", FE2)
            await carol.send(carol.request("MESSAGE", BOB))
            answer = respond(await bob.request_in("MESSAGE"), 200, body=FORGED)
            await bob.write(answer.encode().replace(LENGTH, length))
            await bob.write(bob.request("OPTIONS", "sip:example.test").encode())
            if length[:1] == b"X":  # a control character is no matter of framing: the link goes on
                assert (await bob.final()).status == 200
                continue
            await bob.hung_up()
            assert (await carol.final()).status != 200, (length, bytes(carol.heard))
        assert FORGED not in carol.heard
        alice = await pool.phone("alice", FE2)  # nothing is stored for her: hers comes at once
        asked = carol.request("MESSAGE", "sip:alice@example.test")
        await carol.send(asked)
        await alice.send(respond(await alice.request_in("MESSAGE"), 200, body=FORGED))
        while (answered := await carol.final()).call_id != asked.call_id:
            pass
        assert (answered.status, answered.body) == (200, FORGED)


@pytest.mark.parametrize(
    "spelled",
    [b"l:%d" % len(FORGED), b"CONTENT-LENGTH \t:\r\n\t000%d \t" % len(FORGED), LENGTH + b"\r\n "],
)
@on_loop
async def test_length_arrives_in_one_form(pool: Network, spelled: bytes) -> None:
    """The control: spellings that the grammar allows pass, and no phone has to read more than digits behind one blank."""
    async with pool:
        bob = await pool.phone("bob", FE2)
        carol = await pool.phone("carol", FE1)
        sent = carol.request("MESSAGE", BOB, [("subject", "odd")], FORGED)
        bob.heard.clear()
        await carol.write(sent.encode().replace(LENGTH, spelled))
        await assert_clean(bob, says="odd")
        assert bob.heard.count(b"\r\n" + LENGTH + b"\r\n") == 1


MANGLED = [
    (b";tag=", b";tag=\0"),
    (b";tag=", b";tag=\x1f"),
    (b";tag=", ";tag=\u0085".encode()),
    (b"Call-ID: ", b"Call-ID: \x0b"),
    (b"Call-ID: ", "Call-ID: \u00a0".encode()),
    (b"branch=", b"branch=\x01"),
    (b"SIP/2.0/TLS ", b"SIP/2.0/TLS \x7f"),
    (b"From: ", b'From: "boss\x08" '),
    (b"From: ", 'From: "boss\u2028" '.encode()),
    (b"Subject: s", b"Subject: s\x1b[2J"),
    (b"Subject:", "S\u2028ubject:".encode()),
    (b"Subject:", "\u212a:".encode()),
    (b"MESSAGE sip", b"MESS\x0bAGE sip"),
]


@on_loop
async def test_control_characters_and_letters_of_others_are_refused(home: Network) -> None:
    """Such a message is answered 400, its link goes on, and the control is delivered on it."""
    async with home:
        bob = await home.phone("bob", FE1)
        carol = await home.phone("carol", FE1)
        for old, new in MANGLED:
            sent = carol.request("MESSAGE", BOB, [("subject", "s")]).encode()
            assert sent.count(old) >= 1
            await carol.write(sent.replace(old, new, 1))
            assert (await carol.final()).status == 400, (new, bytes(bob.heard))
        await carol.send(carol.request("MESSAGE", BOB, [("subject", "twin")]))
        await assert_clean(bob, says="twin")
