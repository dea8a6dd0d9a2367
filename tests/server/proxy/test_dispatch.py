"""Bad input: it gets the answer for its fault, or ends its own link and no other."""

from __future__ import annotations

import pytest

from sipmesh.sip.transaction.ack import cancel_for
from support.network import FE1, Network
from support.peer import HungUpError
from support.running import on_loop


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Max-Forwards: 70", b"Max-Forwards: 0", 483),
        (b"Max-Forwards: 70", b"Max-Forwards: many", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nProxy-Require: teleport", 420),
        (b"MESSAGE sip:bob@example.test", b"MESSAGE im:bob@example.test", 416),
        (b"MESSAGE sip:bob@example.test", b"MESSAGE tel:42;phone-context=example.test;i=%ua", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nMax-Breadth: 0", 440),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nMax-Breadth: wide", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nMax-Breadth: 9\r\nMax-Breadth: 9", 400),
        (b"MESSAGE sip:bob@example.test", b"MESSAGE <sip:bob@example.test>", 400),
        (b"MESSAGE sip:bob@example.test", b"MESSAGE sip:bob@example.test?Route=%3Csip:x%3E", 400),
        (b" SIP/2.0\r\nVia", b" SIP/7.0\r\nVia", 505),
        (b"From: <", b'From: "broken <', 400),
        (b"From: ", b"From: <sip:x@example.test>;tag=2\r\nFrom: ", 400),
        (b"CSeq: 4 MESSAGE", b"CSeq: 4 INVITE", 400),
        (b"Contact: ", b"Route: <sip:\r\nContact: ", 400),
        (b"Contact: ", b"Route: ,<sip:example.test;lr>\r\nContact: ", 400),
    ],
)
@on_loop
async def test_malformed_request_gets_the_status_for_its_fault(
    home: Network, old: bytes, new: bytes, status: int
) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        good = alice.request("MESSAGE", "sip:bob@example.test", cseq=4)
        wrong = good.encode().replace(old, new, 1)
        assert wrong != good.encode()
        await alice.write(wrong)
        assert (await alice.final()).status == status
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" * 3000,
        b"MESSAGE sip:bob@example.test SIP/2.0\r\n\r\n",
        b"\x00" * 20_000,
        b"A" * 20_000,
    ],
)
@on_loop
async def test_garbage_ends_its_own_link_and_no_other(home: Network, garbage: bytes) -> None:
    async with home:
        alice, stranger = await home.phone("alice", FE1), await home.peer(FE1)
        await stranger.write(garbage)
        await stranger.hung_up()
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202
        assert list(home.told[FE1].events("unframeable"))


@pytest.mark.parametrize(("announced", "status"), [(b"Content-Length: 131072", 200), (b"Content-Length: 131073", 413)])
@on_loop
async def test_body_of_a_client_has_its_limit(home: Network, announced: bytes, status: int) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        message = alice.request("MESSAGE", "sip:bob@example.test").encode()
        body = b"x" * int(announced.split()[1])
        await alice.write(message.replace(b"Content-Length: 0", announced) + body)
        if status == 200:
            await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == status


@on_loop
async def test_request_uri_has_its_limit_and_is_answered_before_the_link_ends(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        await alice.send(alice.request("MESSAGE", f"sip:{'b' * 20_000}@example.test", to="<sip:bob@example.test>"))
        assert (await alice.final()).status == 414
        with pytest.raises(HungUpError):
            await alice.receive()


@on_loop
async def test_empty_fields_are_accepted(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        empty = [(name, "") for name in ("route", "record-route", "privacy", "proxy-require", "reason", "require")]
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test", empty))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_response_without_a_request_is_dropped(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        await alice.reply(came, 200)  # on the wrong link
        stray = bob.request("MESSAGE", "sip:alice@example.test")
        await bob.reply(stray, 200)  # to no request that was sent
        await alice.silent()
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_response_without_lower_vias_is_a_502(home: Network) -> None:
    """The response cannot be forwarded; a complete one after it changes nothing."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        cut = came.copy()
        cut.remove("via")
        cut.prepend("via", came.values("via")[0])
        await bob.reply(cut, 200)
        assert (await alice.final()).status == 502
        assert list(home.told[FE1].events("response refused"))
        await bob.reply(came, 200)
        await alice.silent()


@on_loop
async def test_request_that_returns_unchanged_is_a_loop(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        await bob.reply(came, 200)
        back = alice.request("MESSAGE", "sip:bob@example.test", sender=came.first("from"), call_id=came.call_id)
        back.replace("cseq", came.first("cseq") or "")
        for via in reversed(came.values("via")):
            back.prepend("via", via)
        back.prepend("via", alice.via())
        assert (await alice.final()).status == 200
        assert (await alice.ask(back)).status == 482


@on_loop
async def test_options_lists_the_abilities_and_refuses_unsupported_options(home: Network) -> None:
    async with home:
        stranger = await home.peer(FE1)
        answered = await stranger.ask(stranger.request("OPTIONS", "sip:example.test"))
        assert answered.status == 200
        assert "MESSAGE" in (answered.first("allow") or "")
        required = stranger.request("OPTIONS", "sip:example.test", [("require", "teleport")])
        assert (await stranger.ask(required)).values("unsupported") == ["teleport"]


@on_loop
async def test_client_learns_its_address_from_received_and_rport(home: Network) -> None:
    """RFC 3581: received, and rport if it was requested."""
    async with home:
        alice = await home.peer(FE1, "alice")
        request = alice.request("OPTIONS", "sip:example.test")
        request.replace("via", "SIP/2.0/TLS 10.1.2.3:5061;branch=z9hG4bKx;rport")
        answered = await alice.ask(request)
        assert answered.top_via.param("received") == "127.0.0.1"
        assert (answered.top_via.param("rport") or "").isdigit()


@on_loop
async def test_cancel_without_an_invite_gets_481(home: Network) -> None:
    """RFC 3261 9.2."""
    async with home:
        alice = await home.phone("alice", FE1)
        cancel = cancel_for(alice.request("INVITE", "sip:bob@example.test"))
        assert (await alice.ask(cancel)).status == 481


@on_loop
async def test_full_server_answers_503_with_retry_after(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        node.core.state.max_exchanges = 1
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        first = await bob.request_in("MESSAGE")
        refused = await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))
        assert (refused.status, refused.first("retry-after")) == (503, "5")
        assert node.relay.load == 1
        await bob.reply(first, 200)
        assert (await alice.final()).status == 200
        assert node.relay.load == 0
        assert node.relay.client_transactions.waits.total > 0
