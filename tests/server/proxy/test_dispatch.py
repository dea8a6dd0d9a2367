"""Bad input: it gets the answer for its fault, or ends its own link and no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sipmesh.cli.versions import built
from sipmesh.client.dialog import Dialog
from sipmesh.errors import LocalError
from sipmesh.server.proxy.dispatch import MOST_LAST_OF_USER
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from support.network import EDGE, FE1, FE2, Network
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from support.talking import inside_of, talking

if TYPE_CHECKING:
    from sipmesh.routing.overload import OverloadControl
    from sipmesh.server.running.running_server import RunningServer


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
async def test_ack_is_never_answered_whatever_is_wrong_with_it(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        await alice.send(alice.request("ACK", "sip:bob@example.test"))
        await alice.send(alice.request("ACK", "sip:bob@example.test", [("route", "<sip:victim.example.net;lr>")]))
        broken = alice.request("ACK", "sip:bob@example.test").encode()
        await alice.write(broken.replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
        await alice.write(broken.replace(b"From: <", b"From: broken <"))
        await alice.silent()


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
async def test_options_lists_the_abilities_and_refuses_unsupported_ones(home: Network) -> None:
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
async def test_call_to_an_unknown_user_is_refused_and_its_ack_is_not_forwarded(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        invite = alice.request("INVITE", "sip:nobody@example.test")
        answer = await alice.ask(invite)
        assert answer.status == 404
        [flow] = home.nodes[FE1].flow_table.sessions()
        assert (len(flow.refused), len(flow.served)) == (1, 0)
        await alice.send(ack_for(invite, answer))
        await until(lambda: not flow.refused)


@on_loop
async def test_refusal_has_a_coarse_class_and_a_reference_to_our_log(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        subscribe = alice.request("SUBSCRIBE", "sip:bob@example.test")
        subscribe.append("event", "sipmesh")
        refused = await alice.ask(subscribe)
        assert refused.status == 489
        [told] = home.nodes[FE1].refusals.newest
        assert (told.code, told.status) == ("role-not-allowed", 489)
        warning = refused.first("warning") or ""
        assert "refused: role" in warning
        assert told.reference in warning


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
        node.dispatch._max_exchanges = 1
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        first = await bob.request_in("MESSAGE")
        refused = await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))
        assert (refused.status, refused.first("retry-after")) == (503, "5")
        assert node.relay.load == 1
        await bob.reply(first, 200)
        assert (await alice.final()).status == 200
        assert node.relay.load == 0
        assert node.relay.client_transactions.waits.total > 0


@pytest.mark.skipif(built() == "compiled", reason="a method of a compiled object cannot be replaced")
@on_loop
async def test_unwritable_store_is_a_500_without_the_reason(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with home:
        alice = await home.phone("alice", FE1)

        def fails(*_: object) -> None:
            raise LocalError("the disk is gone")

        monkeypatch.setattr(home.nodes[FE1].registrations, "register", fails)
        answer = await alice.register()
        assert (answer.status, b"disk" in answer.encode()) == (500, False)
        assert home.told[FE1].last("request failed")["why"] == "the disk is gone"
        home.told[FE1].lines.clear()


# Overload


@contextmanager
def overload(node: RunningServer, loss: float) -> Iterator[OverloadControl]:
    """An overload that stays as it is until the end."""
    control = node.reactor.overload
    control.active, control.loss, control.interval_s = True, loss, 1e9
    control._stepped_at = 1e9
    yield control
    control.active = False


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE", "OPTIONS", "SUBSCRIBE"])
@on_loop
async def test_new_requests_get_503_under_overload_and_are_served_after_it(home: Network, method: str) -> None:
    """The ACK of a refused INVITE goes no further."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        asked = alice.request(method, "sip:bob@example.test")
        with overload(home.nodes[FE1], 1.0) as control:
            refused = await alice.ask(asked)
            assert (refused.status, int(refused.first("retry-after") or 0) >= 5) == (503, True)
            assert (control.refused, control.refused_last) == (1, 0)
            if method == "INVITE":
                await alice.send(ack_for(asked, refused))
            await bob.silent()
        await alice.send(alice.request(method, "sip:bob@example.test"))
        await bob.request_in(method)


@pytest.mark.parametrize(
    ("old", "new"), [(b"From: ", b"f: "), (b"bob@example.test>", b"bob@example.test>;xtag=1"), (b"Via: ", b"v: ")]
)
@on_loop
async def test_request_escapes_overload_control_by_no_spelling(home: Network, old: bytes, new: bytes) -> None:
    """Neither by compact names nor by what looks like a tag; the same request is served after the overload."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        with overload(home.nodes[FE1], 1.0) as control:
            plain = alice.request("MESSAGE", "sip:bob@example.test").encode()
            await alice.write(plain.replace(old, new, 1))
            assert (await alice.final()).status == 503
            assert control.refused == 1
        again = alice.request("MESSAGE", "sip:bob@example.test").encode()
        await alice.write(again.replace(old, new, 1))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_user_who_floods_sheds_no_request_of_another_user(home: Network) -> None:
    """The refusals that one step owes are those of the user who asks for more than its fair share, on all of its links."""
    async with home:
        flood = [await home.phone("alice", FE1) for _ in range(2)]
        bob = await home.phone("bob", FE1)
        with overload(home.nodes[FE1], 0.5) as control:
            control._next_step(1e9)
            for _ in range(2):
                asked = [peer.request("MESSAGE", "sip:nobody@example.test") for peer in flood for _ in range(50)]
                for number, request in enumerate(asked):
                    await flood[number // 50].send(request)
                found = [(await flood[number // 50].final()).status for number in range(100)]
                answered = [await bob.ask(bob.request("MESSAGE", "sip:nobody@example.test")) for _ in range(5)]
                control._next_step(1e9)
        assert found.count(503) == pytest.approx(52, abs=5)
        assert [answer.status for answer in answered].count(503) == 0


def stray_message(kind: str, peer: Peer, pending: Request) -> Request | Response:
    """A message that is not refused, and is served no further; *pending* has no final response yet."""
    asked = peer.request("INVITE", "sip:nobody@example.test")
    if kind == "copy":
        return pending
    if kind == "CANCEL":
        return cancel_for(asked)
    answer = respond(asked, 200, to_tag="t")
    return ack_for(asked, answer) if kind == "ACK" else answer


@pytest.mark.parametrize("stray", ["ACK", "response", "CANCEL", "copy"])
@on_loop
async def test_user_who_sends_stray_messages_sheds_no_request_of_another_user(home: Network, stray: str) -> None:
    """They cannot be refused, but count as requests of their sender. Without them, the other user bears its part."""
    async with home:
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        ringing = alice.request("MESSAGE", "sip:carol@example.test")
        await alice.send(ringing)
        await carol.request_in("MESSAGE")
        found = []
        for strays in (0, 100):
            with overload(home.nodes[FE1], 0.5) as control:
                for _ in range(2):
                    for _ in range(strays):
                        await alice.send(stray_message(stray, alice, ringing))
                    await alice.ask(alice.request("OPTIONS", "sip:example.test"))  # what went before it was read
                    asks = [bob.request("MESSAGE", "sip:nobody@example.test") for _ in range(5)]
                    answers = [await bob.ask(request) for request in asks]
                    control._next_step(1e9)
            found.append([answer.status for answer in answers].count(503))
        assert (found[0] > 0, found[1]) == (True, 0)


@pytest.mark.parametrize(("loss", "status", "refused"), [(1.0, 200, 0), (2.0, 503, 1)])
@on_loop
async def test_register_is_refused_after_all_new_requests(
    home: Network, loss: float, status: int, refused: int
) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        with overload(home.nodes[FE1], loss) as control:
            assert (await alice.register()).status == status
            assert control.refused_last == refused


@on_loop
async def test_call_goes_on_under_overload(home: Network) -> None:
    """What is inside a dialog, and what ends a transaction, is served while all new requests are refused."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        asked = await bob.request_in("INVITE")
        await bob.reply(asked, 180)
        with overload(home.nodes[FE1], 1.0) as control:
            await alice.send(cancel_for(invite))
            assert (await alice.final()).status == 200
            await bob.reply(await bob.request_in("CANCEL"), 200)
            await bob.reply(asked, 487)
            assert (await alice.final()).status == 487
            assert control.refused == 0


@on_loop
async def test_request_of_no_dialog_is_refused_as_a_new_one_whatever_its_to_tag(home: Network) -> None:
    """Anybody can write a To tag, or copy a Route into another dialog. The twin is in its dialog, and is served."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, tag, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        routes = [("route", route) for route in dialog.aim()[1]]
        to = f"<sip:bob@example.test>;tag={tag}"
        with overload(home.nodes[FE1], 1.0) as control:
            for made_up in (
                alice.request("INFO", "sip:bob@example.test", to=to),
                alice.request("INFO", "sip:bob@example.test", routes, to=to),
                alice.request("INFO", "sip:bob@example.test", routes, to=f"{to}x", call_id=dialog.call_id),
            ):
                assert (await alice.ask(made_up)).status == 503
            assert (control.refused, control.refused_last) == (3, 0)
            await alice.send(inside_of(dialog, alice, "INFO"))
            await bob.reply(await bob.request_in("INFO"), 200)
            assert (await alice.final()).status == 200


@on_loop
async def test_flood_inside_a_dialog_is_refused_and_another_call_is_not(home: Network) -> None:
    """A user has few requests inside dialogs in a step: what is beyond is refused as new requests are."""
    async with home:
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        _, _, flooded = await talking(alice, bob)
        await bob.request_in("ACK")
        _, _, modest = await talking(carol, bob)
        await bob.request_in("ACK")
        with overload(home.nodes[FE1], 1.0) as control:
            for number in range(MOST_LAST_OF_USER + 10):
                await alice.send(inside_of(flooded, alice, "INFO"))
                if number < MOST_LAST_OF_USER:
                    await bob.reply(await bob.request_in("INFO"), 200)
                assert (await alice.final()).status == (200 if number < MOST_LAST_OF_USER else 503)
            await carol.send(inside_of(modest, carol, "INFO"))
            await bob.reply(await bob.request_in("INFO"), 200)
            assert (await carol.final()).status == 200
            assert (control.refused, control.refused_last) == (0, 10)


@on_loop
async def test_call_of_a_remote_user_goes_on_under_overload_of_each_server(remote: Network) -> None:
    """The edge knows no dialogs of the users that it carries. It knows their flows."""
    async with remote:
        alice, carol = await remote.phone("alice", EDGE), await remote.phone("carol", FE2)
        came, _, dialog = await talking(alice, carol)
        await carol.request_in("ACK")
        for name in list(remote.nodes):
            with overload(remote.nodes[name], 1.0) as control:
                await alice.send(inside_of(dialog, alice, "INFO"))
                await carol.reply(await carol.request_in("INFO"), 200)
                assert (await alice.final()).status == 200, name
                await carol.send(inside_of(Dialog.of_callee(came, carol.tag), carol, "INFO"))
                await alice.reply(await alice.request_in("INFO"), 200)
                assert (await carol.final()).status == 200, name
                assert (control.refused, control.refused_last) == (0, 0), name


@on_loop
async def test_servers_are_heard_under_overload(pool: Network) -> None:
    """They probe each other with OPTIONS, and the network publishes on these links."""
    async with pool:
        server = await pool.peer(FE1, "alice@example.test", credentials=FE2)
        with overload(pool.nodes[FE1], 2.0):
            assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
