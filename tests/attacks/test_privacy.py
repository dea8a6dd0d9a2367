"""What a callee can learn about a caller who hides, and what a stranger gains by hiding: over TLS, each with a control."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from sipmesh.cli.versions import built
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.hidden_dialogs import HiddenDialogs
from sipmesh.server.proxy.transactions import privacy_service
from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Message, Request, Response
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES, SDP
from support.network import BOT, EDGE, FE1, FE2, FE3, PARTNER_EDGE, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.tiers import wide_after

ALICE = "sip:alice@example.test"
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
TELLING = [
    ("user-agent", "alices phone"),
    ("call-info", "<https://example.test/alice.png>;purpose=icon"),
    ("alert-info", "<https://example.test/alice.wav>"),
    ("organization", "alice and sons"),
    ("subject", "alice calls"),
    ("reply-to", f"<{ALICE}>"),
    ("in-reply-to", "alice-1@phone"),
    ("referred-by", f"<{ALICE}>"),
    ("diversion", f"<{ALICE}>"),
    ("history-info", f"<{ALICE}>;index=1"),
    ("identity", "eyJhbGciOiJFUzI1NiJ9.YWxpY2U.x;info=<https://example.test/alice.pem>"),
    ("p-preferred-identity", f"<{ALICE}>"),
    ("p-asserted-identity", f"<{ALICE}>"),
    ("remote-party-id", f"<{ALICE}>"),
]
NAMED = SDES.replace(b"o=- ", b"o=alice ")
"""An offer with the name of the user, as linphone writes it."""


def hidden(phone: Peer) -> str:
    """An anonymous From of *phone*."""
    return f"{ANONYMOUS};tag={phone.tag}"


def tokens_in(message: Message) -> bytes:
    """What a callee reads in the tokens of our URIs."""
    addresses = [NameAddr.parse(item) for name in ("record-route", "contact") for item in message.items(name)]
    users = [address.sip_uri.user or "" for address in addresses]
    return b" ".join(urlsafe_b64decode(user + "=" * (-len(user) % 4)) for user in users if len(user) > 40)


def tells_of_alice(message: Message, port: int) -> bool:
    """Whether a message says who alice is, or where: in its text, or in what a callee can decode and compare."""
    heard = message.encode().lower()
    return b"alice" in heard or str(port).encode() in heard or owner_hash(ALICE) in tokens_in(message)


async def invited(alice: Peer, callee: Peer, *headers: tuple[str, str], sender: str = "") -> Request:
    """An INVITE of alice as it arrives."""
    rows = [("route", "<sip:example.test;lr>"), *TELLING, ("content-type", SDP), *headers]
    await alice.send(alice.request("INVITE", f"sip:{callee.user}", rows, NAMED, sender=sender or hidden(alice)))
    return await callee.request_in("INVITE")


@pytest.mark.parametrize("server", wide_after(1, [FE1, FE2]))
@pytest.mark.parametrize("privacy", ["", "id", "user;id;critical", "header"])
@on_loop
async def test_callee_learns_nothing_of_a_caller_who_hides(pool: Network, privacy: str, server: str) -> None:
    """The control asks for no privacy, and the callee sees who it is."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        port = alice.address[1]
        arrived = await invited(alice, bob, *([("privacy", privacy)] if privacy else []))
        assert not tells_of_alice(arrived, port), arrived.encode().decode()
        assert arrived.values("via")[1:] == []
        assert arrived.from_.uri == "sip:anonymous@anonymous.invalid"
        assert arrived.values("privacy") == ([privacy] if privacy else [])
        await bob.reply(arrived, 486)
        assert (await alice.final()).status == 486
        await bob.request_in("ACK")
        open_ = await invited(alice, bob, ("privacy", "none"))
        assert tells_of_alice(open_, port)
        assert open_.values("p-asserted-identity") == [f"<{ALICE}>"]


@on_loop
async def test_callee_learns_nothing_of_a_carried_caller_who_hides(two_pools: Network) -> None:
    """The server with her link is of another pool than hers. In a call in which she does not hide, it shows another token."""
    async with two_pools:
        alice, dora = await two_pools.phone("alice", FE3), await two_pools.phone("dora", FE3)
        shown: list[set[str]] = []
        for headers, hides in (((), True), ((("privacy", "none"),), False)):
            arrived = await invited(alice, dora, *headers)
            assert tells_of_alice(arrived, alice.address[1]) is not hides, arrived.encode().decode()
            shown.append(set(arrived.items("record-route")))
            await dora.reply(arrived, 486)
            assert (await alice.final()).status == 486
            await dora.request_in("ACK")
        assert shown[0].isdisjoint(shown[1])


@pytest.mark.parametrize("server", wide_after(1, [FE1, FE2]))
@on_loop
async def test_callee_does_not_see_that_two_calls_are_of_one_caller_who_hides(pool: Network, server: str) -> None:
    """Nor is the Contact of the first call opened in the second one: her phone sees what bob saw."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        first = await invited(alice, bob)
        await answered(alice, bob, first)
        second = await invited(alice, bob)
        shown = [{*call.items("contact"), *call.items("record-route")} for call in (first, second)]
        assert shown[0].isdisjoint(shown[1])
        await answered(alice, bob, second)
        contact = NameAddr.parse(alice.contact).uri
        for number, (named, seen) in enumerate(((first, first.contacts[0].uri), (second, contact))):
            await bob.send(in_dialog(bob, second, "INFO", named.contacts[0].uri, cseq=100 + number))
            came = await alice.request_in("INFO")
            assert came.uri == seen
            await alice.reply(came, 200 if seen == contact else 404)
            assert (await bob.final(method="INFO")).status == (200 if seen == contact else 404)


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_call_of_a_caller_who_hides_works_in_both_directions(pool: Network, server: str) -> None:
    """The caller gets its own Contact in the Request-URI, although the callee has never seen it."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        arrived = await invited(alice, bob)
        contact = NameAddr.parse(alice.contact).uri
        ringing = await answered(alice, bob, arrived)
        back = in_dialog(bob, arrived, "INVITE", arrived.contacts[0].uri)
        await bob.send(back)
        again = await alice.request_in("INVITE")
        assert again.uri == contact
        await alice.reply(again, 200)
        told = await bob.final()
        assert told.status == 200
        assert not tells_of_alice(told, alice.address[1])
        await bob.send(in_dialog(bob, arrived, "ACK", told.contacts[0].uri, cseq=back.cseq.number))
        assert (await alice.request_in("ACK")).uri == contact
        await alice.send(bye := in_dialog_of_caller(alice, ringing, "BYE"))
        ended = await bob.request_in("BYE")
        assert not tells_of_alice(ended, alice.address[1])
        await bob.reply(ended, 200)
        assert (await alice.final(method="BYE")).call_id == bye.call_id


@pytest.mark.parametrize(("server", "privacy"), [(FE1, ""), (FE2, ""), (FE2, "none")])
@on_loop
async def test_refusal_of_a_caller_who_hides_names_no_host(pool: Network, server: str, privacy: str) -> None:
    """A phone writes the name of its machine into Warning. The control does not hide, and the callee gets its Warning."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        sender = f"<{ALICE}>;tag={alice.tag}" if privacy else ""
        arrived = await invited(alice, bob, *([("privacy", privacy)] if privacy else []), sender=sender)
        await bob.reply(arrived, 200)
        assert (await alice.final()).status == 200
        await bob.send(in_dialog(bob, arrived, "INVITE", arrived.contacts[0].uri))
        await alice.reply(await alice.request_in("INVITE"), 488, [("warning", '399 alices-laptop "no codec"')])
        refused = await bob.final(method="INVITE")
        assert (refused.status, refused.has("warning")) == (488, bool(privacy))
        assert tells_of_alice(refused, alice.address[1]) is bool(privacy)


async def answered(alice: Peer, bob: Peer, arrived: Request) -> Response:
    """Have bob take the call; gives what alice receives."""
    await bob.reply(arrived, 200)
    taken = await alice.final()
    assert taken.status == 200
    await alice.send(in_dialog_of_caller(alice, taken, "ACK"))
    acknowledged = await bob.request_in("ACK")
    assert not tells_of_alice(acknowledged, alice.address[1])
    return taken


def in_dialog(bob: Peer, invite: Request, method: str, uri: str, *, cseq: int = 100) -> Request:
    """A request of the callee inside the dialog of *invite*."""
    return bob.request(
        method,
        uri,
        [("route", value) for value in invite.values("record-route")],
        sender=f"{invite.first('to')};tag={bob.tag}",
        to=invite.first("from"),
        call_id=invite.call_id,
        cseq=cseq,
    )


def in_dialog_of_caller(alice: Peer, taken: Response, method: str) -> Request:
    """A request of the caller inside the dialog that *taken* has made."""
    return alice.request(
        method,
        taken.contacts[0].uri,
        [("route", value) for value in reversed(taken.values("record-route"))],
        sender=hidden(alice),
        to=taken.first("to"),
        call_id=taken.call_id,
        cseq=taken.cseq.number if method == "ACK" else taken.cseq.number + 1,
    )


@on_loop
async def test_hidden_contact_is_opened_for_its_owner_only(pool: Network) -> None:
    """Bob has carol called with it, in a dialog of theirs: carol sees what bob saw. Without a dialog it is 404."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE1)
        carol = await pool.phone("carol", FE1)
        contact = (await invited(alice, bob)).contacts[0].uri
        direct = await bob.ask(bob.request("MESSAGE", contact, to=f"<{ALICE}>"))
        assert direct.status == 404
        await bob.send(bob.request("INVITE", "sip:carol@example.test"))
        call = await carol.request_in("INVITE")
        await carol.reply(call, 200)
        taken = await bob.final()
        routes = [("route", value) for value in reversed(taken.values("record-route"))]
        asked = bob.request("INFO", contact, routes, to=taken.first("to"), call_id=taken.call_id)
        await bob.send(asked)
        assert (await carol.request_in("INFO")).uri == contact


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 480),
        ([("p-preferred-identity", f"<{ALICE}>")], 480),
        ([("p-preferred-identity", "<sip:bob@example.test>")], 407),  # whose password the link has to prove
        ([("p-preferred-identity", "<sip:erin@partner.test>")], 480),  # is not ours: ignored
        ([("p-asserted-identity", "<sip:bob@example.test>")], 480),  # of a client it is removed
        ([("privacy", "id;critical"), ("proxy-require", "privacy")], 480),
        ([("privacy", "session;critical")], 500),
        ([("privacy", "id"), ("proxy-require", "privacy, teleport")], 420),
    ],
)
@on_loop
async def test_anonymous_client_is_the_user_that_its_link_has_proved(
    home: Network, headers: list[tuple[str, str]], status: int
) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        asked = alice.request("OPTIONS", "sip:carol@example.test", headers, sender=hidden(alice))
        assert (await alice.ask(asked)).status == status
        assert (await alice.ask(alice.request("OPTIONS", "sip:carol@example.test"))).status == 480


@on_loop
async def test_stranger_gains_nothing_by_being_anonymous(home: Network) -> None:
    """It is challenged as every stranger is, with any name; only a password gets further, and that of its user alone."""
    async with home:
        stranger = await home.peer(FE1, "alice")
        for headers in ([], [("p-preferred-identity", f"<{ALICE}>")], [("p-asserted-identity", f"<{ALICE}>")]):
            asked = stranger.request("OPTIONS", "sip:carol@example.test", headers, sender=hidden(stranger))
            challenged = await stranger.ask(asked)
            assert challenged.status == 407
        for secret, status in (("wrong", 407), ("alice-secret", 480)):
            challenges = [parse_challenge(value) for value in challenged.values("proxy-authenticate")]
            uri = "sip:carol@example.test"
            row = answer(challenges, "alice", secret, "OPTIONS", uri, "cnonce", 1)
            asked = stranger.request("OPTIONS", uri, [("proxy-authorization", row)], sender=hidden(stranger))
            challenged = await stranger.ask(asked)
            assert challenged.status == status


@on_loop
async def test_link_of_two_users_says_which_of_them_hides(home: Network) -> None:
    async with home:
        phone = await home.phone("alice", FE1)
        phone.user = "bob@example.test"
        assert (await phone.register()).status == 200
        carol = await home.phone("carol", FE1)
        for user in ("alice", "bob"):
            preferred = [("p-preferred-identity", f"<sip:{user}@example.test>"), ("privacy", "none")]
            asked = phone.request("MESSAGE", "sip:carol@example.test", preferred, sender=hidden(phone))
            await phone.send(asked)
            arrived = await carol.request_in("MESSAGE")
            assert arrived.values("p-asserted-identity") == [f"<sip:{user}@example.test>"]
            await carol.reply(arrived, 200)
            assert (await phone.final()).status == 200
        phone.contact = "<sip:x@192.0.2.1>"
        asked = phone.request("MESSAGE", "sip:carol@example.test", sender=hidden(phone))
        assert (await phone.ask(asked)).status == 403


@pytest.mark.parametrize(
    ("asserted", "status"),
    wide_after(
        3,
        [
            (["sip:erin@partner.test"], 200),
            ([], 200),
            (["sip:alice@example.test"], 403),
            (["sip:x@other.test"], 403),
            (["tel:+4420"], 200),
            (["sip:erin@partner.test", "sip:alice@example.test"], 403),
        ],
    ),
)
@on_loop
async def test_partner_may_hide_a_user_whom_it_asserts(federation: Network, asserted: list[str], status: int) -> None:
    """The callee learns only that. Without an assertion the caller is some user of the partner; a wrong one is refused."""
    async with federation:
        bob = await federation.phone("bob", FE1)
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        rows = [("p-asserted-identity", f"<{uri}>") for uri in asserted] + [("privacy", "id")]
        asked = edge.request("MESSAGE", "sip:bob@example.test", rows, sender=hidden(edge))
        await edge.send(asked)
        if status == 200:
            arrived = await bob.request_in("MESSAGE")
            assert arrived.values("p-asserted-identity") == []
            assert arrived.values("privacy") == ["id"]
            await bob.reply(arrived, 200)
        assert (await edge.final()).status == status


@on_loop
async def test_application_sees_who_hides_and_may_hide_no_other_user(federation: Network) -> None:
    """It is a server of ours, which gets the identity with Privacy (RFC 3325 section 7); it may assert no user itself."""
    async with federation:
        alice = await federation.phone("alice", FE1)
        bot = await federation.peer(FE1, "bot", credentials=BOT)
        bot.user = f"room@{BOT}"
        await alice.send(alice.request("MESSAGE", f"sip:{bot.user}", [("privacy", "id")], sender=hidden(alice)))
        arrived = await bot.request_in("MESSAGE")
        assert arrived.values("p-asserted-identity") == [f"<{ALICE}>"]
        assert arrived.values("privacy") == ["id"]
        await bot.reply(arrived, 200)
        assert (await alice.final()).status == 200
        stolen = [("p-asserted-identity", f"<{ALICE}>"), ("privacy", "id")]
        for rows in ([], stolen):
            asked = bot.request("MESSAGE", "sip:bob@example.test", rows, sender=hidden(bot))
            assert (await bot.ask(asked)).status == 403


@pytest.mark.parametrize("privacy", ["id", "header;id;user", "none"])
@on_loop
async def test_call_of_a_user_of_ours_who_hides_reaches_a_partner_and_shows_nothing(
    federation: Network, privacy: str
) -> None:
    """Both organisations are ours. The call goes on in both directions; with Privacy ``none`` only the address is anonymous."""
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        arrived = await invited(alice, erin, ("privacy", privacy))
        hides = privacy != "none"
        if hides:
            assert not tells_of_alice(arrived, alice.address[1]), arrived.encode().decode()
        assert arrived.values("p-asserted-identity") == ([] if hides else ["<sip:example.test>"])
        await erin.reply(arrived, 200)
        taken = await alice.final()
        assert taken.status == 200
        await alice.send(in_dialog_of_caller(alice, taken, "ACK"))
        await erin.request_in("ACK")
        await erin.send(in_dialog(erin, arrived, "INVITE", arrived.contacts[0].uri))
        again = await alice.request_in("INVITE")
        assert again.uri == NameAddr.parse(alice.contact).uri
        await alice.reply(again, 488)
        await alice.request_in("ACK")
        told = await erin.final()
        assert not (hides and tells_of_alice(told, alice.address[1]))
        await alice.send(in_dialog_of_caller(alice, taken, "BYE"))
        ended = await erin.request_in("BYE")
        assert not (hides and tells_of_alice(ended, alice.address[1]))
        await erin.reply(ended, 200)
        assert (await alice.final(method="BYE")).status == 200


@pytest.mark.parametrize("name", ["anonymous@anonymous.invalid;verstat=TN-Validation-Passed", "alice@example.test"])
@on_loop
async def test_partner_hides_no_caller_behind_a_name_that_it_may_not_use(federation: Network, name: str) -> None:
    """The control is an anonymous From, with the domain of the partner as identity: not that of another partner."""
    async with federation:
        bob = await federation.phone("bob", FE1)
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        rows = [("privacy", "id")]
        forged = edge.request("MESSAGE", "sip:bob@example.test", rows, sender=f"<sip:{name}>;tag=1")
        assert (await edge.ask(forged)).status == 403
        await bob.silent()
        await edge.send(edge.request("MESSAGE", "sip:bob@example.test", [("privacy", "none")], sender=hidden(edge)))
        arrived = await bob.request_in("MESSAGE")
        assert arrived.values("p-asserted-identity") == ["<sip:partner.test>"]


@pytest.mark.parametrize(("status", "field"), [(401, "www-authenticate"), (407, "proxy-authenticate")])
@pytest.mark.parametrize("privacy", ["", "id", "none"])
@on_loop
async def test_partner_and_trunk_get_no_answer_to_a_challenge_from_a_caller_who_hides(
    federation: Network, status: int, field: str, privacy: str
) -> None:
    """Not even of a phone that answers an earlier challenge again. The controls hide nothing, and are challenged."""
    federation.starts = (FE1, EDGE)
    credentials = "authorization" if status == 401 else "proxy-authorization"
    async with federation:
        alice = await federation.phone("alice", FE1)
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        bot = await federation.peer(FE1, "bot", credentials=BOT)
        bot.user = f"room@{BOT}"
        for callee, realm in ((edge, "partner.test"), (bot, "asterisk")):
            challenge = f'Digest realm="{realm}", nonce="n2", algorithm=MD5'
            made = answer([parse_challenge(challenge)], "alice", "x", "INVITE", f"sip:{callee.user}", "c", 1)
            rows = [(credentials, made), *([("privacy", privacy)] if privacy else [])]
            arrived = await invited(alice, callee, *rows)
            hides = privacy != "none"
            assert arrived.has(credentials) is not hides
            await callee.reply(arrived, status, [(field, challenge)])
            told = await alice.final()
            assert (told.status, told.has(field)) == ((433, False) if hides else (status, True))
            assert ("hides its sender" in (told.first("warning") or "")) is hides
            await callee.request_in("ACK")


@pytest.mark.parametrize("answers", [[("privacy", "header")], []])
@on_loop
async def test_callee_who_hides_is_reached_inside_the_call_on_a_link_of_two_users(
    home: Network, answers: list[tuple[str, str]]
) -> None:
    """The control asks for nothing, and shows its Contact. Both get their own Contact in the Request-URI."""
    async with home:
        bob, phone = await home.phone("bob", FE1), await home.phone("carol", FE1)
        phone.user = "alice@example.test"
        assert (await phone.register()).status == 200
        contact = NameAddr.parse(phone.contact).uri
        await bob.send(bob.request("INVITE", ALICE))
        arrived = await phone.request_in("INVITE")
        await phone.reply(arrived, 200, [*answers, ("user-agent", "alices phone")])
        taken = await bob.final()
        assert (contact == taken.contacts[0].uri) is (not answers)
        assert taken.has("user-agent") is (not answers)
        routes = [("route", value) for value in reversed(taken.values("record-route"))]
        target, to = taken.contacts[0].uri, taken.first("to")
        await bob.send(bob.request("BYE", target, routes, to=to, call_id=taken.call_id))
        assert (await phone.request_in("BYE")).uri == contact


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_callee_cannot_guess_inside_the_call_who_hides(pool: Network, server: str) -> None:
    """By naming candidates in To or in the Request-URI: right and wrong names get the same answers, and alice none of them."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        arrived = await invited(alice, bob)
        await answered(alice, bob, arrived)
        hidden_target, anonymous = arrived.contacts[0].uri, arrived.first("from")
        tag = arrived.from_.tag
        statuses = []
        for name in ("alice", "carol"):
            guessed_to = in_dialog(bob, arrived, "OPTIONS", hidden_target)
            guessed_to.replace("to", f"<sip:{name}@example.test>;tag={tag}")
            guessed_uri = in_dialog(bob, arrived, "OPTIONS", f"sip:{name}@example.test", cseq=101)
            elsewhere = in_dialog(
                bob, arrived, "OPTIONS", f"sip:{name}@{alice.address[0]}:{alice.address[1]}", cseq=102
            )
            statuses.append([(await bob.ask(asked)).status for asked in (guessed_to, guessed_uri, elsewhere)])
        assert statuses == [[481, 404, 404]] * 2
        await bob.send(in_dialog(bob, arrived, "OPTIONS", hidden_target, cseq=103))
        asked = await alice.request_in("OPTIONS")
        assert asked.first("to") == anonymous
        await alice.reply(asked, 200, [("user-agent", "alices phone")])
        told = await bob.final()
        assert not tells_of_alice(told, alice.address[1])


@pytest.mark.parametrize(("field", "server"), [("replaces", FE1), ("join", FE2), ("target-dialog", FE1)])
@on_loop
async def test_callee_cannot_ask_each_phone_whether_it_has_the_dialog(pool: Network, field: str, server: str) -> None:
    """A phone takes a call that names its dialog, and each other phone refuses it. In the control she does not hide.

    Her own second phone names the dialog in both, and takes the call over.
    """
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        carol, own = await pool.phone("carol", server), await pool.phone("alice", FE1)
        for privacy, hides in (((), True), ((("privacy", "none"),), False)):
            arrived = await invited(alice, bob, *privacy)
            await answered(alice, bob, arrived)
            tags = "local-tag={};remote-tag={}" if field == "target-dialog" else "to-tag={};from-tag={}"
            named = f"{arrived.call_id};{tags.format(arrived.from_.tag, bob.tag)}"
            for asking, known in ((carol, not hides), (own, True)):
                await asking.send(asking.request("INVITE", ALICE, [(field, named)]))
                asked = await alice.request_in("INVITE")
                assert (asked.values(field) == [named]) is known
                await alice.reply(asked, 481)
                await alice.request_in("ACK")


@pytest.mark.skipif(built() == "compiled", reason="a compiled module calls the class that it was compiled with")
@on_loop
async def test_partner_with_many_callers_who_hide_has_no_dialog_of_our_users_forgotten(
    federation: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the partner could ask each phone afterwards. Her own second phone names the dialog all the same."""
    most = 2
    monkeypatch.setattr(privacy_service, "HiddenDialogs", lambda: HiddenDialogs(most))
    async with federation:
        alice, bob = await federation.phone("alice", FE1), await federation.phone("bob", FE1)
        own = await federation.phone("alice", FE1)
        edge = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        arrived = await invited(alice, bob)
        await answered(alice, bob, arrived)
        for number in range(most + 1):
            rows = [
                ("p-asserted-identity", f"<sip:erin{number}@partner.test>"),
                ("privacy", "id"),
                ("content-type", SDP),
            ]
            await edge.send(edge.request("INVITE", "sip:bob@example.test", rows, NAMED, sender=hidden(edge)))
            await bob.reply(await bob.request_in("INVITE"), 486)
            assert (await edge.final()).status == 486
            await bob.request_in("ACK")
        named = f"{arrived.call_id};to-tag={arrived.from_.tag};from-tag={bob.tag}"
        for asking, known in ((bob, False), (own, True)):
            await asking.send(asking.request("INVITE", ALICE, [("replaces", named)]))
            asked = await alice.request_in("INVITE")
            assert (asked.values("replaces") == [named]) is known
            await alice.reply(asked, 481)
            await alice.request_in("ACK")


@pytest.mark.parametrize("privacy", ["id", "none"])
@on_loop
async def test_stored_message_shows_nothing_of_a_sender_who_hides(home: Network, privacy: str) -> None:
    """Delivered later by a request of our own; the control hides nothing."""
    async with home:
        alice = await home.phone("alice", FE1)
        rows = [*TELLING, ("privacy", privacy)]
        stored = await alice.ask(alice.request("MESSAGE", "sip:bob@example.test", rows, b"hello", sender=hidden(alice)))
        assert stored.status == 202
        bob = await home.phone("bob", FE1)
        arrived = await bob.request_in("MESSAGE")
        assert arrived.body == b"hello"
        assert tells_of_alice(arrived, alice.address[1]) is (privacy == "none")
        assert arrived.values("p-asserted-identity") == ([f"<{ALICE}>"] if privacy == "none" else [])
