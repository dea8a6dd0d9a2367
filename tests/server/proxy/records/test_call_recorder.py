"""Which server makes the record of a call, and what it says."""

from __future__ import annotations

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.server.proxy.records.call_recorder import MOST_OF_USER
from sipmesh.server.proxy.records.known_caller import LOGIN
from sipmesh.server.proxy.records.up_calls import LOST_S
from sipmesh.sip.message import Request
from support.call_rules import rules
from support.descriptions import CLEAR, DTLS, SDES, SDP
from support.network import BOT, EDGE, FE1, FE2, FE3, FE4, PARTNER_EDGE, PARTNER_FE, Network, ringing
from support.peer import Peer
from support.recording import entry, made_at, with_records
from support.running import on_jumping_loop, on_loop, until
from support.talking import call_is_taken_back, inside_of, reaches, talking


def silent(network: Network, *servers: str) -> bool:
    """Tell whether none of *servers* has made a record."""
    return not any(made_at(network, server) for server in servers)


async def hang_up(caller: Peer, callee: Peer, dialog: Dialog) -> None:
    """End a call that is up."""
    await callee.request_in("ACK")
    await caller.send(inside_of(dialog, caller, "BYE"))
    await callee.reply(await callee.request_in("BYE"), 200)
    await caller.final(method="BYE")


@on_loop
async def test_call_over_two_servers_has_one_record_at_the_server_of_the_caller(pool: Network) -> None:
    async with with_records(pool):
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        _, _, dialog = await talking(alice, bob)
        (up,) = made_at(pool, FE1)
        await hang_up(alice, bob, dialog)
        (over,) = made_at(pool, FE1)
        assert (up.caller, up.proof, up.callee, up.answered_by) == (
            "alice@example.test",
            "login",
            "bob@example.test",
            "bob@example.test",
        )
        assert (up.is_up, up.status, up.method, up.hops) == (True, 200, "INVITE", (FE1, FE2))
        assert (over.id, over.is_up, over.why) == (up.id, False, "ended by BYE")
        assert over.answer is not None
        assert over.end is not None
        assert over.start <= over.answer <= over.end
        assert over.seconds == pytest.approx((over.end - over.answer).total_seconds(), abs=0.001)
        assert silent(pool, FE2)


@pytest.mark.parametrize(
    ("body", "media"),
    [(SDES, "SRTP"), (DTLS, "DTLS-SRTP"), (CLEAR, "none"), (b"", "")],
    ids=["sdes", "dtls", "clear", "without"],
)
@on_loop
async def test_record_says_how_media_are_protected(home: Network, body: bytes, media: str) -> None:
    home.organisations[0].document["media"] = "any"
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        headers = [("content-type", SDP)] if body else []
        await alice.send(alice.request("INVITE", f"sip:{bob.user}", headers, body))
        await bob.reply(await bob.request_in("INVITE"), 200, headers, body)
        assert (await alice.final()).status == 200
        assert [record.media for record in made_at(home, FE1)] == [media]


@on_loop
async def test_refused_call_says_why_under_the_reference_of_its_sender(home: Network) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        refused = await alice.ask(alice.request("INVITE", f"sip:{bob.user}", [("content-type", SDP)], CLEAR))
        (record,) = made_at(home, FE1)
        assert (record.status, record.code, record.has_failed, record.is_up) == (
            488,
            "media-not-encrypted",
            True,
            False,
        )
        assert (record.reference != "", record.refused_by) == (True, FE1)
        assert record.reference in (refused.first("warning") or "") or record.reference in str(refused.encode())
        assert "RTP/AVP" in record.why


@pytest.mark.parametrize(
    ("caller", "at", "why"), [("alice", FE1, "Decline"), ("dora", FE3, "a rule of the callee blocks the caller")]
)
@on_loop
async def test_blocked_call_has_the_reference_of_the_server_that_refused_it(
    two_pools: Network, caller: str, at: str, why: str
) -> None:
    """The record is made where the caller is, the reason is known where the callee is at home."""
    async with with_records(two_pools):
        peer = await two_pools.phone(caller, at)
        await rules(two_pools, "bob", callers={caller: "block"})
        refused = await peer.ask(peer.request("INVITE", "sip:bob@example.test"))
        (record,) = made_at(two_pools, at)
        assert (record.status, record.why, record.code) == (603, why, "")
        assert record.reference in (refused.first("warning") or "")
        found = [two_pools.nodes[server].refusals.find(record.reference) for server in (FE3, FE4)]
        assert [(one.status, one.why) for one in found if one] == [(603, "a rule of the callee blocks the caller")]
        assert [record.refused_by] == [server for server, one in zip((FE3, FE4), found, strict=True) if one]


@on_loop
async def test_busy_cancelled_and_absent_callees_have_their_reasons(home: Network) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", f"sip:{bob.user}"))
        await bob.reply(await bob.request_in("INVITE"), 486)
        assert (await alice.final()).status == 486
        await bob.request_in("ACK")
        await call_is_taken_back(alice, bob)
        assert (await alice.ask(alice.request("INVITE", "sip:carol@example.test"))).status == 480
        assert (await alice.ask(alice.request("INVITE", "sip:nobody@example.test"))).status == 404
        told = [(record.status, record.why, record.callee) for record in made_at(home, FE1)]
        assert told[:2] == [
            (486, "Busy Here", "bob@example.test"),
            (487, "the caller has hung up before an answer", "bob@example.test"),
        ]
        assert [(status, callee) for status, _, callee in told[2:]] == [
            (480, "carol@example.test"),
            (404, "nobody@example.test"),
        ]
        assert "is not a user of this network" in told[3][1]


@on_loop
async def test_message_has_a_record_and_a_request_inside_a_call_has_none(home: Network) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await reaches(alice, bob)
        (record,) = made_at(home, FE1)
        assert (record.method, record.status, record.is_up, record.seconds) == ("MESSAGE", 200, False, None)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        made_at(home, FE1)
        await alice.send(inside_of(dialog, alice, "MESSAGE"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        await alice.final(method="MESSAGE")
        assert silent(home, FE1)


@on_loop
async def test_stored_message_has_a_record(home: Network) -> None:
    async with with_records(home):
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202
        assert [(record.callee, record.status) for record in made_at(home, FE1)] == [("bob@example.test", 202)]


@on_loop
async def test_call_from_a_partner_is_recorded_by_the_edge_as_the_partners_word(federation: Network) -> None:
    async with with_records(federation):
        erin, bob = await federation.agent("erin", PARTNER_FE), await federation.agent("bob", FE1)
        made = await erin.call("bob@example.test")
        came = await ringing(bob)
        await made.answered()
        (up,) = made_at(federation, EDGE)
        await made.hang_up()
        await came.over()
        assert (up.caller, up.proof, up.callee) == (
            "erin@partner.test",
            "partner sip.partner.test",
            "bob@example.test",
        )
        assert EDGE in up.hops
        assert up.hops[-1] == FE1
        assert silent(federation, FE1, FE2, PARTNER_EDGE)
        assert [record.proof for record in made_at(federation, PARTNER_FE)] == ["login"]


@on_loop
async def test_call_from_an_application_is_recorded_as_asserted_by_it(pool: Network) -> None:
    pool.let_application_speak()
    async with with_records(pool):
        bot, bob = await pool.peer(FE1, "robot", credentials=BOT), await pool.phone("bob", FE1)
        await bot.send(bot.request("MESSAGE", f"sip:{bob.user}"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await bot.final()).status == 200
        assert [(one.caller, one.proof) for one in made_at(pool, FE1)] == [("robot@example.test", f"application {BOT}")]


@on_loop
async def test_screened_call_has_a_record_of_its_caller_and_one_of_what_the_application_lets_on(pool: Network) -> None:
    """Also with the same Call-ID: the application may refuse its caller, and talk to the callee itself."""
    pool.set_application(screens=["bob@example.test"])
    async with with_records(pool):
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        bot = await pool.peer(FE1, "bot", BOT)
        await bot.silent()
        await alice.send(alice.request("INVITE", f"sip:{bob.user}"))
        came = await bot.request_in("INVITE")
        onward = came.copy()
        onward.pop_item("route")
        onward.prepend("via", bot.via())
        await bot.send(onward)
        await bob.reply(await bob.request_in("INVITE"), 200)
        assert (await bot.final()).status == 200
        await bot.reply(came, 486)
        assert (await alice.final()).status == 486
        made = [(one.caller, one.proof, one.status, one.is_up) for one in made_at(pool, FE1)]
        assert made == [
            ("alice@example.test", f"application {BOT}", 200, True),
            ("alice@example.test", "login", 486, False),
        ]


def private(request: Request) -> Request:
    """Ask for privacy of the identity (RFC 3325 section 9.3)."""
    request.append("privacy", "id")
    return request


@pytest.mark.parametrize("is_private", [True, False], ids=["withheld", "shown"])
@on_loop
async def test_caller_who_withholds_is_recorded_as_such_with_the_proved_name(
    home: Network, *, is_private: bool
) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        request = alice.request("MESSAGE", f"sip:{bob.user}")
        await alice.send(private(request) if is_private else request)
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        await alice.final()
        assert [(one.caller, one.withheld) for one in made_at(home, FE1)] == [("alice@example.test", is_private)]


@on_loop
async def test_sender_without_a_login_makes_no_record_and_the_same_sender_with_a_login_does(home: Network) -> None:
    async with with_records(home):
        stranger = await home.peer(FE1, "alice")
        assert (await stranger.ask(stranger.request("INVITE", "sip:bob@example.test"))).status in {401, 403, 407}
        assert silent(home, FE1)
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(alice.request("INVITE", "sip:bob@example.test"))).status == 480
        assert not silent(home, FE1)


@on_loop
async def test_user_who_claims_to_be_another_one_makes_no_record_of_that_other_user(home: Network) -> None:
    async with with_records(home):
        mallory = await home.phone("bob", FE1)
        forged = mallory.request("INVITE", "sip:carol@example.test")
        forged.replace("from", "<sip:alice@example.test>;tag=1")
        assert (await mallory.ask(forged)).status == 407
        assert silent(home, FE1)


@on_loop
async def test_without_the_key_nothing_is_recorded(home: Network) -> None:
    async with home:
        await reaches(await home.phone("alice", FE1), await home.phone("bob", FE1))
        assert silent(home, FE1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([("diversion", "<sip:sales@example.test>;reason=no-answer;counter=1")], "sales@example.test: no-answer"),
        (
            [("history-info", "<sip:sales@example.test>;index=1, <sip:bob@example.test;cause=486>;index=1.1")],
            "sales@example.test: user-busy",
        ),
        ([], ""),
    ],
    ids=["diversion", "history-info", "not-forwarded"],
)
@on_loop
async def test_forwarded_call_says_by_whom_and_why(pool: Network, fields: list[tuple[str, str]], told: str) -> None:
    pool.let_application_speak()
    async with with_records(pool):
        bot, bob = await pool.peer(FE1, "robot", credentials=BOT), await pool.phone("bob", FE1)
        await bot.send(bot.request("INVITE", f"sip:{bob.user}", fields))
        await bob.reply(await bob.request_in("INVITE"), 486)
        assert (await bot.final()).status == 486
        assert [one.forwarded for one in made_at(pool, FE1)] == [told]


@on_loop
async def test_client_cannot_say_that_another_user_has_forwarded_its_call(home: Network) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        diverted = ("diversion", "<sip:carol@example.test>;reason=unconditional")
        await alice.send(alice.request("INVITE", f"sip:{bob.user}", [diverted]))
        await bob.reply(await bob.request_in("INVITE"), 486)
        await alice.final()
        assert [one.forwarded for one in made_at(home, FE1)] == [""]


@on_loop
async def test_call_whose_phones_are_gone_ends_when_its_link_has_closed(home: Network) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await talking(alice, bob)
        recorder = home.nodes[FE1].relay.calls.records
        (up,) = made_at(home, FE1)
        await alice.__aexit__()
        await until(lambda: recorder.up.lost_before(float("inf")))
        recorder.sweep(home.nodes[FE1].loop.time() + LOST_S + 1)
        await until(lambda: len(recorder.up) == 0)
        (over,) = made_at(home, FE1)
        assert over.id == up.id
        assert over.why == "the link of alice@example.test has closed, and did not come back"


@on_loop
async def test_call_goes_on_if_the_phone_comes_back(home: Network) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        recorder = home.nodes[FE1].relay.calls.records
        made_at(home, FE1)
        await alice.__aexit__()
        await until(lambda: recorder.up.lost_before(float("inf")))
        again = await home.phone("alice", FE1)
        recorder.sweep(home.nodes[FE1].loop.time() + LOST_S + 1)
        assert len(recorder.up) == 1
        await again.send(inside_of(dialog, again, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        await again.final()
        assert [one.why for one in made_at(home, FE1)] == ["ended by BYE"]


@on_loop
async def test_caller_whose_link_closes_while_it_rings_has_a_record(home: Network) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("INVITE", f"sip:{bob.user}"))
        await bob.request_in("INVITE")
        await alice.__aexit__()
        await until(lambda: len(home.nodes[FE1].relay.calls.records.buffer))
        assert [(one.status, one.why) for one in made_at(home, FE1)] == [
            (487, "the link of the caller has closed before an answer")
        ]


@pytest.mark.parametrize(("status", "is_over"), [(200, True), (481, True), (500, False), (420, False), (401, False)])
@on_loop
async def test_bye_that_its_receiver_refuses_ends_no_record(home: Network, *, status: int, is_over: bool) -> None:
    """A phone refuses a BYE with an old CSeq by 500 (RFC 3261 section 12.2.2), and the call goes on."""
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        made_at(home, FE1)
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), status)
        await alice.final(method="BYE")
        relay = home.nodes[FE1].relay
        assert [one.why for one in made_at(home, FE1)] == ["ended by BYE"] * is_over
        assert (len(relay.calls.records.up), len(relay.calls.table)) == (not is_over, not is_over)


@on_loop
async def test_bye_of_a_stranger_to_the_call_ends_no_record(home: Network) -> None:
    """It has Call-ID and tags, and no route of the dialog: this server refuses it itself. The caller's own BYE ends the call."""
    async with with_records(home):
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        made_at(home, FE1)
        forged = carol.request(
            "BYE", "sip:bob@example.test", sender=dialog.local, to=dialog.remote, call_id=dialog.call_id
        )
        assert (await carol.ask(forged)).status >= 400
        assert (silent(home, FE1), len(home.nodes[FE1].relay.calls.table)) == (True, 1)
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        await alice.final(method="BYE")
        assert [one.why for one in made_at(home, FE1)] == ["ended by BYE"]


@on_loop
async def test_second_call_with_the_same_call_id_has_its_own_record_and_end(home: Network) -> None:
    async with with_records(home):
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        first, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        second, tag, _ = await talking(alice, carol, first.call_id)
        await carol.request_in("ACK")
        ups = made_at(home, FE1)
        assert [one.callee for one in ups] == ["bob@example.test", "carol@example.test"]
        await carol.send(inside_of(Dialog.of_callee(second, tag), carol, "BYE"))
        await alice.reply(await alice.request_in("BYE"), 200)
        await carol.final(method="BYE")
        (over,) = made_at(home, FE1)
        assert (over.id, over.callee) == (ups[1].id, "carol@example.test")
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)
        await alice.final(method="BYE")
        (over,) = made_at(home, FE1)
        assert over.id == ups[0].id


@pytest.mark.parametrize("other", [False, True], ids=["the-first-leg-last", "the-second-leg-last"])
@on_loop
async def test_call_that_two_phones_have_answered_ends_with_its_last_dialog(home: Network, *, other: bool) -> None:
    """The caller hangs up one of them at once (RFC 3261 section 13.2.2.4): the call with the other phone goes on."""
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        invite = alice.request("INVITE", f"sip:{bob.user}")
        await alice.send(invite)
        came = await bob.request_in("INVITE")
        await bob.reply(came, 200)
        dialogs = [Dialog.of_caller(invite, await alice.final())]
        bob.tag = "another-phone"
        await bob.reply(came, 200)
        dialogs.append(Dialog.of_caller(invite, await alice.final()))
        (up,) = made_at(home, FE1)
        for number, dialog in enumerate(reversed(dialogs) if other else dialogs):
            await alice.send(inside_of(dialog, alice, "BYE"))
            await bob.reply(await bob.request_in("BYE"), 200)
            await alice.final(method="BYE")
            assert [one.id for one in made_at(home, FE1)] == [up.id] * number


@pytest.mark.parametrize(("more", "left_out"), [(0, 0), (1, 1)])
@on_jumping_loop  # records are counted by the minute, and a real one may end here
async def test_records_of_one_user_are_bounded_and_those_of_others_are_not(
    home: Network, more: int, left_out: int
) -> None:
    async with with_records(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        recorder = home.nodes[FE1].relay.calls.records
        for number in range(MOST_OF_USER - 1 + more):
            recorder.add(entry(id=str(number)), ("sip:alice@example.test", LOGIN))
        made_at(home, FE1)
        await reaches(alice, bob)
        await reaches(bob, alice)
        assert [one.caller for one in made_at(home, FE1)] == ["alice@example.test", "bob@example.test"][left_out:]
        assert recorder.buffer.left_out == left_out
