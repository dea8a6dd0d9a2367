"""Under overload, new requests are refused first; a REGISTER and requests of a dialog last; servers of ours never."""

from __future__ import annotations

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.server.quotas.overload_admission import MOST_LAST_OF_USER
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from support.network import EDGE, FE1, FE2, Network
from support.overloaded import overload, ring_again
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking


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


def answer_to(kind: str, asked: Request) -> Response:
    """A response of a phone to the INVITE *asked* which it may repeat without end, or a response that breaks a rule."""
    answer = respond(asked, 200 if kind == "200" else 180, to_tag="t")
    if kind == "malformed":
        answer.replace("cseq", "none")
    return answer


@pytest.mark.parametrize("kind", ["180", "200", "malformed"])
@on_loop
async def test_user_who_answers_without_end_sheds_no_request_of_another_user(home: Network, kind: str) -> None:
    """Responses to a request that waits cannot be refused either: after the first few, they count as requests of their sender."""
    async with home:
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        await carol.send(carol.request("INVITE", "sip:alice@example.test"))
        asked, found = await alice.request_in("INVITE"), []
        for answers in (0, 100):
            with overload(home.nodes[FE1], 0.5) as control:
                for _ in range(2):
                    await alice.send(*(answer_to(kind, asked) for _ in range(answers)))
                    await alice.ask(alice.request("OPTIONS", "sip:example.test"))  # what went before it was read
                    asks = [bob.request("MESSAGE", "sip:nobody@example.test") for _ in range(5)]
                    statuses = [(await bob.ask(request)).status for request in asks]
                    control._next_step(1e9)
            found.append(statuses.count(503))
        assert (found[0] > 0, found[1]) == (True, 0)


@on_loop
async def test_first_responses_to_a_request_count_for_no_account(home: Network) -> None:
    """A phone that rings, and rings again each minute, owes no refusal for it."""
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await bob.send(bob.request("INVITE", "sip:alice@example.test"))
        asked = await alice.request_in("INVITE")
        demand = home.nodes[FE1].accounts._account("user", "sip:alice@example.test").demand
        with overload(home.nodes[FE1], 0.5):
            await ring_again(alice, asked, bob)
            assert demand.asked == 2


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
async def test_request_of_no_dialog_is_refused_as_a_new_one_with_any_to_tag(home: Network) -> None:
    """Any sender can write a To tag, or copy a Route into another dialog. The control is in its dialog, and is served."""
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
async def test_servers_are_admitted_under_overload(pool: Network) -> None:
    """They probe each other with OPTIONS, and the network publishes on these links."""
    async with pool:
        server = await pool.peer(FE1, "alice@example.test", credentials=FE2)
        with overload(pool.nodes[FE1], 2.0):
            assert (await server.ask(server.request("OPTIONS", "sip:example.test"))).status == 200
