"""Who a message is from: attacks by users, partners and servers on what their links have not proved, each with a control.

docs/identity.md has the rules that they attack.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.sip.message import Request, Response
from sipmesh.trust.evidence import LinkKind
from support.descriptions import with_body
from support.network import BOT, EDGE, FE1, FE2, PARTNER_EDGE, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

BOSS = "<sip:boss@example.test>"
OURS = "example.test"


# 1. A challenge is worth something on the link that it was made on only


async def by_a_user(network: Network) -> Peer:
    """carol, who is logged in at the same server as alice."""
    return await network.phone("carol", FE1)


async def by_a_user_elsewhere(network: Network) -> Peer:
    """carol, who is logged in at the other server of the pool."""
    return await network.phone("carol", FE2)


async def by_a_partners_user(network: Network) -> Peer:
    return await network.phone("erin", PARTNER_FE)


async def by_an_application(network: Network) -> Peer:
    bot = await network.peer(FE1, "bot", credentials=BOT)
    bot.user = f"room@{BOT}"
    return bot


Thief = Callable[[Network], Awaitable[Peer]]
PHONES = [by_a_user, by_a_user_elsewhere, by_a_partners_user]
"""Behind the last one is its own front end, which hands no credentials to a phone either."""

THIEVES = [by_a_user, by_a_user_elsewhere, by_a_partners_user, by_an_application]


async def stolen_challenge(network: Network) -> str:
    """A challenge in our realm that alice's own server has made, on a link of a stranger."""
    stranger = await network.peer(FE1, "alice")
    asked = await stranger.ask(stranger.request("REGISTER", f"sip:{OURS}", to="<sip:alice@example.test>"))
    (challenge, *_) = asked.values("www-authenticate")
    return challenge


def challenges_in(response: Response) -> list[str]:
    return response.values("www-authenticate") + response.values("proxy-authenticate")


@pytest.mark.parametrize("status", wide_after(2, [401, 200, 407, 403]))
@pytest.mark.parametrize("thief", THIEVES)
@on_loop
async def test_a_challenge_of_ours_is_not_handed_on_by_any_server(
    federation: Network, thief: Thief, status: int
) -> None:
    """Taken from a server of ours and put before alice as one's own, it would have her phone log the thief in."""
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await thief(federation)
        stolen = await stolen_challenge(federation)
        asked = alice.request("MESSAGE", f"sip:{carol.user}")
        await alice.send(asked)
        field = "proxy-authenticate" if status == 407 else "www-authenticate"
        await carol.reply(await carol.request_in("MESSAGE"), status, [(field, stolen)])
        told = await alice.final()
        assert not challenges_in(told)
        assert told.status == (403 if status in {401, 407} else status)


@pytest.mark.parametrize(
    "challenge",
    wide_after(
        6,
        [
            'Digest realm="EXAMPLE.test", nonce="n", qop="auth"',
            'Digest realm="example\\.test", nonce="n", qop="auth"',
            'Digest realm=" example.test ", nonce="n"',
            "Digest realm=example.test, nonce=n",
            'DIGEST nonce="n", realm="example.test"',
            'Basic realm="example.test"',
            'Basic realm="other.test"',
            'Bearer authz_server="https://evil.test", realm="other.test"',
            'Digest realm="other.test", nonce="n", realm="example.test"',
            'Digest realm="other.test", nonce="n", Digest realm="example.test"',
            'Digest nonce="n"',
            'Digest realm="partner.test", nonce="n"',
            "",
        ],
    ),
)
@on_loop
async def test_no_spelling_of_a_challenge_that_is_not_its_senders_gets_through(
    federation: Network, challenge: str
) -> None:
    """By an application; the control challenges in a realm of its own beside it, and is answered in that alone."""
    own = 'Digest realm="pbx.carol.test", nonce="n2", algorithm=MD5, qop="auth"'
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await by_an_application(federation)
        for offered in ([challenge], [challenge, own], [own, challenge]):
            await alice.send(alice.request("MESSAGE", f"sip:{carol.user}"))
            rows = [("www-authenticate", value) for value in offered]
            await carol.reply(await carol.request_in("MESSAGE"), 401, rows)
            told = await alice.final()
            assert challenges_in(told) == [value for value in offered if value == own]
            assert told.status == (401 if own in offered else 403)


@pytest.mark.parametrize("thief", PHONES)
@on_loop
async def test_a_phone_asks_no_user_for_a_digest_of_a_password(federation: Network, thief: Thief) -> None:
    """In any realm: a phone would answer, and the answer lets its receiver guess at the password for ever."""
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await thief(federation)
        await alice.send(alice.request("MESSAGE", f"sip:{carol.user}"))
        rows = [("www-authenticate", 'Digest realm="anything.test", nonce="n", algorithm=MD5')]
        await carol.reply(await carol.request_in("MESSAGE"), 401, rows)
        told = await alice.final()
        assert (told.status, challenges_in(told)) == (403, [])


@pytest.mark.parametrize("thief", THIEVES)
@on_loop
async def test_an_answer_to_a_challenge_of_ours_never_leaves_us(federation: Network, thief: Thief) -> None:
    """Even if a phone could be brought to it; what answers the receiver's own challenge arrives."""
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await thief(federation)
        stolen = await stolen_challenge(federation)
        realm = "pbx.carol.test"
        own = f'Digest realm="{realm}", nonce="n2", algorithm=MD5, qop="auth"'
        uri = f"sip:{carol.user}"
        rows = [
            (field, answer([parse_challenge(value)], "alice", "alice-secret", "MESSAGE", uri, "c", 1))
            for field in ("authorization", "proxy-authorization")
            for value in (stolen, own)
        ]
        rows += [("authorization", "Basic YWxpY2U6YWxpY2Utc2VjcmV0"), ("authorization", "Bearer abc")]
        await alice.send(alice.request("MESSAGE", uri, rows))
        came = await carol.request_in("MESSAGE")
        arrived = came.values("authorization") + came.values("proxy-authorization")
        expected = [] if thief in PHONES else [value for _, value in rows if realm in value]
        assert arrived == expected
        await carol.reply(came, 200)


@on_loop
async def test_an_answer_made_for_one_link_proves_nothing_on_another(federation: Network) -> None:
    """A digest that alice's phone has made is used by another user: at once, at a pool mate, and after a restart."""
    async with federation:
        alice = await federation.peer(FE1, "alice")
        first = await alice.ask(alice.request("REGISTER", f"sip:{OURS}", to="<sip:alice@example.test>"))
        made = [parse_challenge(value) for value in first.values("www-authenticate")]
        credentials = answer(made, "alice", "alice-secret", "REGISTER", f"sip:{OURS}", "cnonce", 1)
        for server in (FE1, FE2):
            thief = await federation.peer(server, "alice")
            assert (await register_with(thief, credentials)).status == 401
        assert (await register_with(alice, credentials)).status == 200
        await federation.stop(FE1)
        federation.start(FE1)
        thief = await federation.peer(FE1, "alice")
        refused = await register_with(thief, credentials)
        assert refused.status == 401
        assert all(parse_challenge(value).stale for value in refused.values("www-authenticate"))
        assert (await thief.register()).status == 200  # a phone that has come back: one round trip more


async def register_with(peer: Peer, credentials: str) -> Response:
    headers = [("authorization", credentials)]
    return await peer.ask(peer.request("REGISTER", f"sip:{OURS}", headers, to="<sip:alice@example.test>"))


@on_loop
async def test_a_server_that_asks_for_credentials_in_its_own_realm_gets_them(federation: Network) -> None:
    """A trunk: its 401 and its 407 reach the caller, and the answer reaches the trunk."""
    async with federation:
        alice, bot = await federation.phone("alice", FE1), await by_an_application(federation)
        for status, asks, answers in (
            (401, "www-authenticate", "authorization"),
            (407, "proxy-authenticate", "proxy-authorization"),
        ):
            for realm in ("asterisk", BOT):
                own = f'Digest realm="{realm}", nonce="n2", algorithm=MD5'
                await alice.send(alice.request("MESSAGE", f"sip:room@{BOT}"))
                await bot.reply(await bot.request_in("MESSAGE"), status, [(asks, own)])
                told = await alice.final()
                assert (told.status, told.values(asks)) == (status, [own])
                made = answer([parse_challenge(own)], "alice", "x", "MESSAGE", f"sip:room@{BOT}", "c", 1)
                await alice.send(alice.request("MESSAGE", f"sip:room@{BOT}", [(answers, made)]))
                came = await bot.request_in("MESSAGE")
                assert came.values(answers) == [made]
                await bot.reply(came, 200)
                assert (await alice.final()).status == 200


@pytest.mark.parametrize(("realm", "passes"), [("partner.test", True), ("asterisk", False), (OURS, False)])
@on_loop
async def test_partner_asks_for_credentials_in_the_realm_of_its_domain_only(
    federation: Network, realm: str, *, passes: bool
) -> None:
    """Many phones answer in a realm without an owner, with the password that they have for us."""
    federation.starts = (FE1, EDGE)
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await at_the_edge(federation)
        asked = f'Digest realm="{realm}", nonce="n2", algorithm=MD5'
        await alice.send(alice.request("MESSAGE", "sip:erin@partner.test"))
        await erin.reply(await erin.request_in("MESSAGE"), 401, [("www-authenticate", asked)])
        told = await alice.final()
        assert (told.status, challenges_in(told)) == ((401, [asked]) if passes else (403, []))
        made = answer([parse_challenge(asked)], "alice", "x", "MESSAGE", "sip:erin@partner.test", "c", 1)
        await alice.send(alice.request("MESSAGE", "sip:erin@partner.test", [("authorization", made)]))
        came = await erin.request_in("MESSAGE")
        assert came.values("authorization") == ([made] if passes else [])
        await erin.reply(came, 200)
        assert (await alice.final()).status == 200


# 2 and 3. What a party has learnt from a call opens only that call


async def at_the_edge(network: Network) -> Peer:
    """The partner's own server, on a link of its own to our edge."""
    return await network.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)


def stranger_to(
    dialog: Dialog, sender: Peer, method: str, who: str, *, to: str = "<sip:alice@example.test>"
) -> Request:
    """A request outside the dialog that has nothing of it but its route set."""
    uri, routes = dialog.aim()
    headers = [("route", route) for route in routes]
    return sender.request(method, uri, headers, sender=f"<{who}>;tag={sender.tag}", to=to)


@pytest.mark.parametrize("method", wide_after(3, ["INVITE", "MESSAGE", "REFER", "SUBSCRIBE", "OPTIONS", "NOTIFY"]))
@on_loop
async def test_a_route_set_of_a_call_makes_no_new_request(federation: Network, method: str) -> None:
    """As another user or as oneself: with it alice would speak as carol to a partner."""
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        _, _, dialog = await talking(alice, erin)
        await erin.request_in("ACK")
        refused = 481 if method == "NOTIFY" else 403  # no subscription is known that it belongs to
        for who, status in (("sip:carol@example.test", 407), ("sip:alice@example.test", refused)):
            asked = stranger_to(dialog, alice, method, who, to="<sip:erin@partner.test>")
            assert (await alice.ask(asked)).status == status
        same_call = stranger_to(dialog, alice, method, "sip:carol@example.test", to="<sip:erin@partner.test>")
        same_call.replace("call-id", dialog.call_id)
        assert (await alice.ask(same_call)).status == 407
        await alice.send(inside_of(dialog, alice, "BYE"))
        await erin.reply(await erin.request_in("BYE"), 200)


@pytest.mark.parametrize(
    "who", wide_after(2, ["sip:carol@example.test", "sip:erin@partner.test", "sip:x@nowhere.test", "tel:+1"])
)
@pytest.mark.parametrize("method", wide_after(2, ["INVITE", "BYE", "UPDATE", "INFO", "ACK"]))
@on_loop
async def test_inside_a_call_no_party_speaks_as_another_user(federation: Network, method: str, who: str) -> None:
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        _, _, dialog = await talking(alice, erin)
        await erin.request_in("ACK")
        forged = inside_of(dialog, alice, method)
        forged.replace("from", f"<{who}>;tag={alice.tag}")
        await alice.send(forged)
        if method != "ACK":
            assert (await alice.final(method=method)).status == 403
        await alice.send(inside_of(dialog, alice, "BYE"))
        await erin.reply(await erin.request_in("BYE"), 200)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
@on_loop
async def test_partner_connects_a_call_to_its_own_users_only(federation: Network, method: str) -> None:
    """RFC 4916: its server says who talks now. Users of others are refused, its own is shown."""
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        _, _, dialog = await talking(erin, alice)
        await alice.request_in("ACK")
        server = await at_the_edge(federation)

        def says(name: str, *rows: tuple[str, str]) -> Request:
            asked = inside_of(dialog, server, method)
            asked.rows[:] = [row for row in asked.rows if row.name != "route" or OURS in row.value]
            asked.replace("from", f"<{name}>;tag={erin.tag}")
            for row in rows:
                asked.append(*row)
            return asked

        for name in ("sip:boss@example.test", "sip:x@nowhere.test", "sip:x@evil.test", "tel:+1"):
            assert (await server.ask(says(name))).status == 403, name
        boss = ("p-asserted-identity", BOSS)
        assert (await server.ask(says("sip:frank@partner.test", boss))).status == 403
        await alice.silent()
        await server.send(says("sip:frank@partner.test"))
        came = await alice.request_in(method)
        assert came.from_.uri == "sip:frank@partner.test"
        assert came.values("p-asserted-identity") == ["<sip:frank@partner.test>"]
        await alice.reply(came, 200)
        assert (await server.final(method=method)).status == 200


@on_loop
async def test_a_partner_does_not_come_in_as_one_of_us_by_a_call_that_it_knows(federation: Network) -> None:
    """Its server has seen both route sets of a call. The control continues with the call."""
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        came, _, dialog = await talking(erin, alice)
        await alice.request_in("ACK")
        await alice.send(inside_of(Dialog.of_callee(came, alice.tag), alice, "INFO"))
        await erin.reply(await erin.request_in("INFO"), 200)
        assert (await alice.final()).status == 200
        ours = [route for route in dialog.routes if OURS in route]
        target = dialog.target
        server = await at_the_edge(federation)
        tries = [
            ("MESSAGE", "<sip:boss@example.test>;tag=9", "<sip:alice@example.test>", "another-call"),
            ("MESSAGE", "<sip:boss@example.test>;tag=9", "<sip:alice@example.test>;tag=8", "another-call"),
            ("INFO", f"{BOSS};tag={erin.tag}", f"<sip:alice@example.test>;tag={alice.tag}", dialog.call_id),
            ("MESSAGE", f"<sip:erin@partner.test>;tag={erin.tag}", "<sip:alice@example.test>", dialog.call_id),
            ("INFO", f"<sip:erin@partner.test>;tag={erin.tag}", f"{BOSS};tag={alice.tag}", dialog.call_id),
        ]
        for method, sender, to, call_id in tries:
            for routes in (ours, ours[:1], ours[1:]):
                rows = [("route", route) for route in routes]
                asked = server.request(method, target, rows, sender=sender, to=to, call_id=call_id)
                assert (await server.ask(asked)).status in {403, 481}, (method, sender, routes)
        await alice.silent()
        await erin.send(inside_of(dialog, erin, "INFO"))
        await alice.reply(await alice.request_in("INFO"), 200)
        assert (await erin.final()).status == 200


@pytest.mark.parametrize("method", ["INVITE", "SUBSCRIBE"])
@pytest.mark.parametrize("towards", ["callee", "caller"])
@on_loop
async def test_no_user_gets_into_a_call_by_starting_one_with_the_same_identifiers(
    federation: Network, towards: str, method: str
) -> None:
    """An attacker who knows Call-ID and both tags may choose two of them, not the tag of the answer. Control: its own call."""
    async with federation:
        alice, bob = await federation.phone("alice", FE1), await federation.phone("bob", FE2)
        carol = await federation.phone("carol", FE1)
        _, _, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        victim, theirs, tag = (bob, bob.tag, alice.tag) if towards == "callee" else (alice, alice.tag, bob.tag)
        asked = carol.request(
            method, f"sip:{victim.user}", sender=f"<sip:carol@example.test>;tag={tag}", call_id=dialog.call_id
        )
        await carol.send(asked)
        victim.tag = "answered-carol"
        await victim.reply(await victim.request_in(method), 200)
        got = Dialog.of_caller(asked, await carol.final(method=method))
        taken = inside_of(got, carol, "BYE")
        taken.replace("to", f"<sip:{victim.user}>;tag={theirs}")
        assert (await carol.ask(taken)).status in {403, 481}
        await carol.send(inside_of(got, carol, "INFO"))
        await victim.reply(await victim.request_in("INFO"), 200)
        assert (await carol.final()).status == 200
        await alice.send(inside_of(dialog, alice, "BYE"))
        await bob.reply(await bob.request_in("BYE"), 200)


@pytest.mark.parametrize(
    "uri", wide_after(3, [f"sip:room@{BOT}", f"sip:x@{FE1}", f"sip:x@{EDGE}", f"sip:{BOT}", "sip:x@evil.test"])
)
@on_loop
async def test_inside_a_call_a_partner_reaches_no_server_of_ours(federation: Network, uri: str) -> None:
    async with federation:
        bot = await by_an_application(federation)
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        _, _, dialog = await talking(erin, alice)
        await alice.request_in("ACK")
        server = await at_the_edge(federation)
        ours = [route for route in dialog.routes if OURS in route]
        for routes in (ours, ours[:1]):
            rows = [("route", route) for route in routes]
            asked = server.request(
                "INFO", uri, rows, sender=dialog.local, to=dialog.remote, call_id=dialog.call_id, cseq=40
            )
            assert (await server.ask(asked)).status == 403
        await alice.silent()
        await erin.send(inside_of(dialog, erin, "INFO"))
        await alice.reply(await alice.request_in("INFO"), 200)
        await bot.silent()


# What a header field says beside From


LENT = [
    ("p-asserted-identity", BOSS),
    ("p-preferred-identity", BOSS),
    ("remote-party-id", f"{BOSS};party=calling;screen=yes"),
    ("diversion", f"{BOSS};reason=unconditional"),
    ("history-info", f"{BOSS};index=1"),
    ("referred-by", BOSS),
    ("b", BOSS),
    ("p-served-user", BOSS),
    ("p-charging-vector", "icid-value=1"),
    ("p-charging-function-addresses", "ccf=evil.test"),
    ("p-associated-uri", BOSS),
    ("p-called-party-id", BOSS),
    ("p-access-network-info", "IEEE-802.11"),
    ("p-visited-network-id", "evil"),
    ("p-profile-key", BOSS),
    ("p-user-database", "<aaa://evil.test>"),
    ("p-asserted-service", "urn:urn-7:3gpp-service.x"),
    ("p-private-network-indication", "evil.test"),
    ("identity-info", "<https://evil.test/key>;alg=rsa-sha1"),
    ("authentication-info", 'nextnonce="n"'),
    ("proxy-authentication-info", 'nextnonce="n"'),
    ("www-authenticate", 'Digest realm="example.test", nonce="n"'),
    ("proxy-authenticate", 'Digest realm="example.test", nonce="n"'),
    ("authorization", 'Digest username="a", realm="example.test", nonce="n", uri="x", response="r"'),
    ("path", "<sip:evil.test;lr>"),
    ("service-route", "<sip:evil.test;lr>"),
]
LONG = {"b": "referred-by"}
KEPT = [
    ("identity", "e30.e30.c2ln;info=<https://cert.partner.test/x>"),
    ("subject", "hello"),
    ("reason", 'SIP;cause=200;text="x"'),
    ("x-anything", BOSS),
]


def lent(message: Request | Response, proved: str) -> list[str]:
    """What arrived of the fields that named another user, beside the identity that was *proved*."""
    names = dict.fromkeys(LONG.get(name, name) for name, _ in LENT)
    return [f"{name}: {value}" for name in names for value in message.values(name) if value != f"<sip:{proved}>"]


@pytest.mark.parametrize("name", ["alice", "erin", "bot"])
@on_loop
async def test_no_field_of_a_request_lends_its_sender_another_identity(federation: Network, name: str) -> None:
    """By a user, by a partner's server, by an application; what states no identity of another arrives as it was."""
    async with federation:
        carol = await federation.phone("carol", FE2)
        if name == "alice":
            sender = await federation.phone("alice", FE1)
        elif name == "erin":
            sender = await at_the_edge(federation)
        else:
            sender = await federation.peer(FE1, "x@bot.test", credentials=BOT)
        for field, value in LENT:
            if field == "p-asserted-identity" and name != "alice":
                continue  # refused with 403: tests/scenarios/test_borders.py
            await sender.send(sender.request("MESSAGE", "sip:carol@example.test", [(field, value), *KEPT]))
            if name == "bot":
                assert (await sender.final()).status == 403  # it asserts no user
                continue
            came = await carol.request_in("MESSAGE")
            assert lent(came, sender.user) == []
            assert [(kept, came.first(kept)) for kept, _ in KEPT] == KEPT
            await carol.reply(came, 200)
            assert (await sender.final()).status == 200


@pytest.mark.parametrize("thief", THIEVES)
@on_loop
async def test_no_field_of_a_response_lends_its_sender_another_identity(federation: Network, thief: Thief) -> None:
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await thief(federation)
        for field, value in LENT:
            await alice.send(alice.request("MESSAGE", f"sip:{carol.user}"))
            await carol.reply(await carol.request_in("MESSAGE"), 200, [(field, value), *KEPT])
            told = await alice.final()
            assert told.status == 200
            assert lent(told, carol.user) == []
            assert [(kept, told.first(kept)) for kept, _ in KEPT] == KEPT


@pytest.mark.parametrize("field", ["diversion", "history-info", "referred-by"])
@on_loop
async def test_who_sends_a_call_on_may_say_so_in_its_own_name(federation: Network, field: str) -> None:
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await federation.phone("carol", FE2)
        erin = await federation.phone("erin", PARTNER_FE)
        for sender, own, other in (
            (alice, "<sip:alice@example.test>", "<sip:x@partner.test>"),
            (erin, "<sip:erin@partner.test>", "<sip:alice@example.test>"),
        ):
            for value, arrives in ((own, True), (other, False), (f"{own}, {other}", False), ("<tel:+1>", False)):
                await sender.send(sender.request("MESSAGE", "sip:carol@example.test", [(field, value)]))
                came = await carol.request_in("MESSAGE")
                assert came.values(field) == ([value] if arrives else [])
                await carol.reply(came, 200)
                assert (await sender.final()).status == 200


@on_loop
async def test_who_asks_for_privacy_is_not_named_to_a_partner_by_any_field(federation: Network) -> None:
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        for privacy, arrives in (("id;history", False), ("none", True)):
            headers = [("history-info", "<sip:alice@example.test>;index=1"), ("privacy", privacy)]
            await alice.send(alice.request("MESSAGE", "sip:erin@partner.test", headers))
            came = await erin.request_in("MESSAGE")
            assert bool(came.count("history-info")) is arrives
            await erin.reply(came, 200)
            assert (await alice.final()).status == 200


# What a response repeats of its request


@pytest.mark.parametrize("thief", THIEVES)
@on_loop
async def test_a_response_names_no_other_user_as_its_caller_or_callee(federation: Network, thief: Thief) -> None:
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await thief(federation)
        asked = alice.request("MESSAGE", f"sip:{carol.user}")
        await alice.send(asked)
        came = await carol.request_in("MESSAGE")
        came.replace("from", f'"Boss" {BOSS};tag={alice.tag}')
        came.replace("to", f'"Boss" {BOSS}')
        await carol.reply(came, 200)
        told = await alice.final()
        assert told.values("from") == asked.values("from")
        assert told.values("to") == [f"{asked.first('to')};tag={carol.tag}"]


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_a_response_answers_no_request_but_its_own(federation: Network, server: str) -> None:
    """Its lower Vias are those of the request, also if it has others: else a user could answer for another one."""
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await federation.phone("carol", server)
        bob = await federation.phone("bob", server)
        to_bob, to_carol = (alice.request("MESSAGE", f"sip:{user}@example.test") for user in ("bob", "carol"))
        await alice.send(to_bob)
        for_bob = await bob.request_in("MESSAGE")
        await alice.send(to_carol)
        for_carol = await carol.request_in("MESSAGE")
        mine, theirs = for_carol.items("via"), for_bob.items("via")
        for_carol.remove("via")
        for via in reversed([mine[0], *theirs[1:]]):
            for_carol.prepend("via", via)
        await carol.reply(for_carol, 603)
        told = await alice.final()
        assert (told.call_id, told.status) == (to_carol.call_id, 603)
        await bob.reply(for_bob, 200)
        told = await alice.final()
        assert (told.call_id, told.status) == (to_bob.call_id, 200)


@pytest.mark.parametrize("field", ["call-id", "cseq", "from"])
@on_loop
async def test_a_response_of_another_dialog_is_dropped(federation: Network, field: str) -> None:
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await federation.phone("carol", FE1)
        await alice.send(alice.request("MESSAGE", "sip:carol@example.test"))
        came = await carol.request_in("MESSAGE")
        forged = came.copy()
        forged.replace(field, {"call-id": "x", "cseq": "77 MESSAGE", "from": "<sip:alice@example.test>;tag=x"}[field])
        await carol.reply(forged, 603)
        await carol.reply(came, 200)
        assert (await alice.final()).status == 200


# What a body says


@pytest.mark.parametrize("home", [FE1, FE2])
@on_loop
async def test_no_user_writes_in_the_name_of_another_inside_a_body(federation: Network, home: str) -> None:
    """A phone shows From of message/cpim in place of the SIP From. A message with the sender's own name arrives."""
    async with federation:
        alice, carol = await federation.phone("alice", home), await federation.phone("carol", FE1)
        invite, tag, dialog = await talking(carol, alice)
        assert (tag, (await alice.request_in("ACK")).call_id) == (alice.tag, invite.call_id)
        for sender in (carol, await at_the_edge(federation)):
            for author, status in (("bob@example.test", 403), (sender.user, 200)):
                body = f"From: Name <sip:{author}>\r\n\r\nContent-Type: text/plain\r\n\r\nhello".encode()
                asked = [sender.request("MESSAGE", "sip:alice@example.test")]
                asked += [inside_of(dialog, carol, "MESSAGE")] if sender is carol else []
                for message in asked:
                    await sender.send(with_body(message, body, "message/cpim"))
                    if status == 200:
                        came = await alice.request_in("MESSAGE")
                        assert came.body == body
                        await alice.reply(came, 200)
                    assert (await sender.final()).status == status
        await alice.silent()


# What is of the network itself


@pytest.mark.parametrize("event", wide_after(1, ["sipmesh", "SIPMESH;x=y", "sipmesh-status", "sipmesh.winfo"]))
@pytest.mark.parametrize("method", ["SUBSCRIBE", "NOTIFY", "PUBLISH"])
@on_loop
async def test_no_outside_peer_sends_messages_of_the_network_itself(
    federation: Network, method: str, event: str
) -> None:
    """Not to a user, not to a server, and not under the compact name; a SUBSCRIBE to a package of phones arrives."""
    async with federation:
        alice, carol = await federation.phone("alice", FE1), await federation.phone("carol", FE1)
        partner = await at_the_edge(federation)
        for sender in (carol, partner):
            for field in ("event", "o"):
                for uri in ("sip:alice@example.test", "sip:example.test"):
                    asked = sender.request(method, uri, [(field, event)])
                    assert (await sender.ask(asked)).status == 489
            asked = sender.request(method, "sip:alice@example.test", [("event", "call-completion")])
            refused = {"PUBLISH": 489, "NOTIFY": 481}  # the front end has no such package; no user has subscribed
            if method in refused:
                assert (await sender.ask(asked)).status == refused[method]
                continue
            await sender.send(asked)
            came = await alice.request_in(method)
            assert came.first("event") == "call-completion"
            await alice.reply(came, 200)
            assert (await sender.final()).status == 200


# 4. A stranger does not learn who is a user


def shape(response: Response) -> tuple[object, ...]:
    """What a stranger can compare: the status, and each field without what is new in each answer."""
    rows = [(row.name, re.sub(r'nonce="[^"]*"|;tag=.*|branch=\S+', "", row.value)) for row in response.rows]
    own = {"via", "from", "to", "call-id", "cseq"}
    return response.status, tuple(row for row in rows if row[0] not in own), [row[0] for row in rows]


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "SUBSCRIBE", "OPTIONS", "MESSAGE"])
@on_loop
async def test_stranger_recognises_no_name_by_the_answers(federation: Network, method: str) -> None:
    """Not by the algorithms, the fields, their order or their length, without credentials and with wrong credentials."""
    example = federation.of(FE1)
    example.add_users(*(f"user{number:02}" for number in range(4)))
    async with federation:
        seen: dict[str, Counter[object]] = {"user": Counter(), "none": Counter()}
        for kind, counted in seen.items():
            for number in range(4):
                stranger = await federation.peer(FE1, f"{kind}{number:02}")
                uri = "sip:example.test" if method == "REGISTER" else "sip:bob@example.test"
                asked = stranger.request(method, uri, to=f"<sip:{stranger.user}>" if method == "REGISTER" else None)
                challenged = await stranger.ask(asked)
                name = "www-authenticate" if method == "REGISTER" else "proxy-authenticate"
                answers = "authorization" if method == "REGISTER" else "proxy-authorization"
                made = [parse_challenge(value) for value in challenged.values(name)]
                row = answer(made, f"{kind}{number:02}", "wrong", method, uri, "c", 1)
                asked = stranger.request(
                    method, uri, [(answers, row)], to=f"<sip:{stranger.user}>" if method == "REGISTER" else None
                )
                refused = await stranger.ask(asked)
                counted[repr((shape(challenged), shape(refused))).replace(kind, "x")] += 1
                await stranger.__aexit__()
        assert len(seen["user"]) == 1
        assert seen["user"].keys() == seen["none"].keys()
