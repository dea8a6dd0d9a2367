"""GRUUs in use: a request reaches one device of a user, on whichever flow it has, and no other party learns more than that."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, Response
from sipmesh.sip.uri import SipUri
from support.network import EDGE, FE1, FE2, FE3, FE4, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking

BOB = "sip:bob@example.test"
OFFERS = (("supported", "gruu, outbound, path"),)
DESK, MOBILE = "urn:uuid:00000000-0000-1000-8000-000000000001", "urn:uuid:00000000-0000-1000-8000-000000000002"


async def device(network: Network, server: str, urn: str = DESK, *, reg_id: int = 0, user: str = "bob") -> Peer:
    """A device of *user* that understands GRUUs; its Contact in dialogs is the public GRUU."""
    peer = await network.peer(server, user)
    contact = peer.contact
    peer.contact = f'{contact};+sip.instance="<{urn}>"' + (f";reg-id={reg_id}" if reg_id else "")
    registered = await peer.register(OFFERS)
    assert registered.status == 200
    peer.contact = f"<{gruu_of(registered, 'pub-gruu', urn)}>"
    return peer


def gruu_of(registered: Response, kind: str, urn: str = DESK) -> str:
    """The GRUU of *urn* in the answer to a REGISTER."""
    [found, *_] = [one for one in registered.contacts if one.param("+sip.instance") == f"<{urn}>"]
    return found.param(kind) or ""


async def temporary(peer: Peer, urn: str = DESK) -> str:
    """A temporary GRUU of a device, from a new registration under a new Call-ID."""
    public, peer.contact = peer.contact, f'<sip:bob@192.0.2.1>;+sip.instance="<{urn}>"'
    registered = await peer.register(OFFERS)
    peer.contact = public
    return gruu_of(registered, "temp-gruu", urn)


async def reached(sender: Peer, uri: str, receiver: Peer) -> Request:
    """Send a MESSAGE to *uri*, which has to arrive at *receiver* alone."""
    await sender.send(sender.request("MESSAGE", uri))
    came = await receiver.request_in("MESSAGE")
    await receiver.reply(came, 200)
    assert (await sender.final()).status == 200
    return came


async def told(sender: Peer, uri: str) -> int:
    """Send a MESSAGE to *uri*, and give the status."""
    return (await sender.ask(sender.request("MESSAGE", uri))).status


@on_loop
async def test_public_gruu_leads_to_one_device_and_the_address_of_record_to_both(pool: Network) -> None:
    """RFC 5627 section 5.4; the phone sees the Contact that it has registered."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        desk, mobile = await device(pool, FE1), await device(pool, FE2, MOBILE)
        for sender in (alice, await pool.phone("carol", FE2)):
            came = await reached(sender, f"{BOB};gr={DESK}", desk)
            assert came.ruri.has("gr") is False
            assert (await reached(sender, f"{BOB};gr={MOBILE.upper()}", mobile)).values("p-asserted-identity")
        await desk.silent()
        await alice.send(alice.request("MESSAGE", BOB))
        for one in (desk, mobile):
            await one.reply(await one.request_in("MESSAGE"), 200)


@on_loop
async def test_device_that_is_gone_is_unavailable_though_its_user_is_there(pool: Network) -> None:
    async with pool:
        alice, desk = await pool.phone("alice", FE1), await device(pool, FE1)
        assert await told(alice, f"{BOB};gr={MOBILE}") == 480
        assert await told(alice, f"sip:nobody@example.test;gr={DESK}") == 404
        await desk.silent()


@on_loop
async def test_temporary_gruu_hides_its_user_and_ends_with_its_registration(pool: Network) -> None:
    """RFC 5627 sections 3.1.2 and 5.1: a registration under another Call-ID ends those of the Call-ID before."""
    async with pool:
        alice, carol, desk = await pool.phone("alice", FE1), await pool.phone("carol", FE2), await device(pool, FE1)
        hidden = await temporary(desk)
        desk.contact = f"<{hidden}>"
        assert "bob@" not in hidden  # a random token may have the three letters
        for sender in (alice, carol):
            sender.heard.clear()
            await reached(sender, hidden, desk)
            assert b"bob@example.test" not in sender.heard
        later = await temporary(desk)
        for sender in (alice, carol):
            assert await told(sender, hidden) == 480
            await reached(sender, later, desk)


@on_loop
async def test_call_to_a_temporary_gruu_shows_the_caller_nothing_to_guess_at(pool: Network) -> None:
    """What the caller gets has no hash of the user either: the tokens in Record-Route are encrypted."""
    async with pool:
        alice, desk = await pool.phone("alice", FE1), await device(pool, FE2)
        hidden = await temporary(desk)
        desk.contact = f"<{hidden}>"
        alice.heard.clear()
        await alice.send(alice.request("INVITE", hidden))
        await desk.reply(await desk.request_in("INVITE"), 200)
        answer = await alice.final()
        routes = [NameAddr.parse(value).sip_uri.user or "" for value in answer.items("record-route")]
        assert len(routes) > 1
        for token in routes:
            assert owner_hash(BOB) not in urlsafe_b64decode(token + "=" * (-len(token) % 4))
        assert b"bob" not in alice.heard


@pytest.mark.parametrize("server", [FE1, FE2])
@pytest.mark.parametrize("shows", ["sip:bob@192.0.2.1", ""])
@on_loop
async def test_callee_of_a_temporary_gruu_stays_hidden_in_its_own_requests(
    pool: Network, server: str, shows: str
) -> None:
    """Also a phone whose Contact, Via and User-Agent say who it is. The control was called by its address, and sees the name."""
    async with pool:
        alice, desk = await pool.phone("alice", FE1), await device(pool, server)
        for called, hides in ((await temporary(desk), True), (BOB, False)):
            desk.contact = f"<{shows or called}>"
            alice.heard.clear()
            by_desk, by_alice = await talked(alice, desk, called)
            for method in ("INVITE", "UPDATE", "INFO", "MESSAGE", "BYE"):
                request = inside_of(by_desk, desk, method)
                request.append("user-agent", "bobs phone")
                await desk.send(request)
                came = await alice.request_in(method)
                assert came.has("p-asserted-identity") is not hides, method
                assert (b"bob" in alice.heard) is not hides, alice.heard.decode()
                await alice.reply(came, 488 if method == "INVITE" else 200)
                assert (await desk.final(method=method)).status == (488 if method == "INVITE" else 200)
                if method == "INVITE":
                    await alice.request_in("ACK")
                if method == "INFO":
                    await alice.send(inside_of(by_alice, alice, "OPTIONS"))
                    asked = await desk.request_in("OPTIONS")
                    await desk.reply(asked, 200, [("user-agent", "bobs phone")])
                    assert (await alice.final(method="OPTIONS")).status == 200


async def talked(caller: Peer, callee: Peer, uri: str) -> tuple[Dialog, Dialog]:
    """Call *uri*, which is of *callee*: the dialog as the callee has it, and as the caller has it."""
    invite = caller.request("INVITE", uri)
    await caller.send(invite)
    came = await callee.request_in("INVITE")
    await callee.reply(came, 200, [("user-agent", "bobs phone")])
    by_caller = Dialog.of_caller(invite, await caller.final())
    await caller.send(inside_of(by_caller, caller, "ACK"))
    await callee.request_in("ACK")
    return Dialog.of_callee(came, callee.tag), by_caller


@on_loop
async def test_caller_of_a_temporary_gruu_can_try_no_name_in_to(pool: Network) -> None:
    """Neither where the call begins nor inside it: right and wrong names get the same answers."""
    async with pool:
        alice, desk = await pool.phone("alice", FE1), await device(pool, FE2)
        hidden = await temporary(desk)
        desk.contact = "<sip:bob@192.0.2.1>"
        _, dialog = await talked(alice, desk, hidden)
        statuses = []
        for name in (BOB, "sip:carol@example.test"):
            begins = alice.request("INVITE", hidden, to=f"<{name}>")
            to, uri = inside_of(dialog, alice, "INFO"), inside_of(dialog, alice, "INFO")
            to.replace("to", f"<{name}>;tag={desk.tag}")
            uri.set_uri(f"{name.partition('@')[0]}@192.0.2.1")
            statuses.append([(await alice.ask(asked)).status for asked in (begins, to, uri)])
        assert statuses == [[404, 481, 404]] * 2
        await desk.silent()
        await alice.send(inside_of(dialog, alice, "INFO"))
        assert (await desk.request_in("INFO")).uri == "sip:bob@192.0.2.1"


@on_loop
async def test_temporary_gruu_that_its_pool_has_not_made_is_no_address(pool: Network) -> None:
    """Control: the same characters as they were made. What a user learns of one device leads to no other."""
    async with pool:
        alice, desk = await pool.phone("alice", FE1), await device(pool, FE1)
        made = SipUri.parse(await temporary(desk))
        user = made.user or ""
        for forged in (user[:-1] + ("A" if user[-1] != "A" else "B"), user[:40], "tgruu.", f"{user}AAAA", "bob"):
            assert await told(alice, f"sip:{forged}@example.test;gr") == 404, forged
        assert await told(alice, f"sip:{user}@example.test") == 404
        await desk.silent()
        await reached(alice, str(made), desk)


@on_loop
async def test_gruu_asserts_no_user(pool: Network) -> None:
    """In From, in To of a REGISTER and in P-Asserted-Identity; the control is the address of record on its own link."""
    async with pool:
        mallory, desk = await pool.phone("carol", FE1), await device(pool, FE1)
        hidden = await temporary(desk)
        for sender in (hidden, f"{BOB};gr={DESK}"):
            stolen = mallory.request("MESSAGE", "sip:alice@example.test", sender=f"<{sender}>;tag=x")
            assert (await mallory.ask(stolen)).status in {403, 407}
            asked = mallory.request("REGISTER", "sip:example.test", to=f"<{sender}>")
            assert (await mallory.ask(asked)).status == 401
        own = desk.request("MESSAGE", "sip:carol@example.test", sender=f"<{BOB};gr={DESK}>;tag=x")
        await desk.send(own)
        came = await mallory.request_in("MESSAGE")
        assert came.values("p-asserted-identity") == [f"<{BOB}>"]


@on_loop
async def test_flows_of_a_device_are_tried_in_turn_the_newest_first(pool: Network) -> None:
    """RFC 5626 section 7: another flow of the same instance only if the first has failed."""
    async with pool:
        alice = await pool.phone("alice", FE1)
        first, second = await device(pool, FE1, reg_id=1), await device(pool, FE2, reg_id=2)
        await reached(alice, f"{BOB};gr={DESK}", second)
        await first.silent()
        node = pool.nodes[FE2]
        [flow] = [one for one in node.flow_table.sessions() if one.users]
        flow.registered = False  # its row stays, as if the link had died in this very moment
        await second.__aexit__()
        await reached(alice, f"{BOB};gr={DESK}", first)


@on_loop
async def test_call_follows_a_device_to_its_new_link_and_not_to_the_newest_of_its_user(pool: Network) -> None:
    """The Contact of the dialog is a GRUU: requests inside it find the device at the other server too."""
    async with pool:
        alice, desk = await pool.phone("alice", FE1), await device(pool, FE1)
        came, _, by_alice = await talking(alice, desk)
        await desk.request_in("ACK")
        await desk.__aexit__()
        back, mobile = await device(pool, FE2), await device(pool, FE1, MOBILE)
        bye = inside_of(by_alice, alice, "BYE")
        assert bye.uri == f"{BOB};gr={DESK}"
        await alice.send(bye)
        arrived = await back.request_in("BYE")
        assert (arrived.call_id, arrived.from_.tag) == (came.call_id, came.from_.tag)
        await back.reply(arrived, 200)
        assert (await alice.final(method="BYE")).status == 200
        await mobile.silent()


@on_loop
async def test_ack_of_a_call_reaches_the_device_by_its_gruu(pool: Network) -> None:
    async with pool:
        alice, desk = await pool.phone("alice", FE1), await device(pool, FE2)
        desk.contact = f"<{await temporary(desk)}>"
        came, _, by_alice = await talking(alice, desk)
        assert (await desk.request_in("ACK")).call_id == came.call_id
        by_desk = Dialog.of_callee(came, desk.tag)
        for dialog, sender, receiver in ((by_alice, alice, desk), (by_desk, desk, alice)):
            await sender.send(inside_of(dialog, sender, "INFO"))
            await receiver.reply(await receiver.request_in("INFO"), 200)
            assert (await sender.final(method="INFO")).status == 200


@on_loop
async def test_gruu_of_another_user_in_a_dialog_leads_to_the_other_side_only(pool: Network) -> None:
    """It is forwarded as the Contact that it says it is, and resolved to no user."""
    async with pool:
        alice, desk = await pool.phone("alice", FE1), await device(pool, FE1)
        carol = await device(pool, FE1, MOBILE, user="carol")
        desk.contact = f"<sip:carol@example.test;gr={MOBILE}>"
        _, _, by_alice = await talking(alice, desk)
        assert (await desk.request_in("ACK")).uri == f"sip:carol@example.test;gr={MOBILE}"
        await alice.send(inside_of(by_alice, alice, "BYE"))
        assert (await desk.request_in("BYE")).uri == f"sip:carol@example.test;gr={MOBILE}"
        await carol.silent()


@pytest.mark.parametrize("kind", ["public", "temporary"])
@on_loop
async def test_attended_transfer_to_a_gruu_replaces_the_call_on_that_device(pool: Network, kind: str) -> None:
    """The transferor talks to carol and to bob's desk, and refers carol to that with Replaces (RFC 3515, RFC 3891)."""
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE2)
        desk = await device(pool, FE1)
        if kind == "temporary":
            desk.contact = f"<{await temporary(desk)}>"
        came, _, by_alice = await talking(alice, desk)
        await desk.request_in("ACK")
        _, _, with_carol = await talking(alice, carol)
        await carol.request_in("ACK")
        mobile = await device(pool, FE2, MOBILE)
        replaces = f"{came.call_id}%3Bto-tag%3D{desk.tag}%3Bfrom-tag%3D{alice.tag}"
        refer = inside_of(with_carol, alice, "REFER")
        refer.append("refer-to", f"<{by_alice.target}?Replaces={replaces}>")
        await alice.send(refer)
        referred = await carol.request_in("REFER")
        await carol.reply(referred, 202)
        target = NameAddr.parse(referred.values("refer-to")[0]).uri.partition("?")[0]
        value = f"{came.call_id};to-tag={desk.tag};from-tag={alice.tag}"
        await carol.send(carol.request("INVITE", target, [("replaces", value), ("require", "replaces")]))
        taken = await desk.request_in("INVITE")
        assert taken.values("replaces") == [value]
        await desk.reply(taken, 200)
        assert (await carol.final(method="INVITE")).status == 200
        await mobile.silent()


@on_loop
async def test_gruu_is_reached_from_another_pool(two_pools: Network) -> None:
    """A temporary GRUU names its pool; other pools can read only this."""
    async with two_pools:
        alice, desk = await two_pools.phone("alice", FE1), await device(two_pools, FE3)
        mobile = await device(two_pools, FE4, MOBILE)
        await reached(alice, f"{BOB};gr={DESK}", desk)
        hidden = await temporary(desk)
        await reached(alice, hidden, desk)
        await temporary(desk)
        assert await told(alice, hidden) == 480
        await mobile.silent()


@on_loop
async def test_gruu_is_reached_by_a_partner(federation: Network) -> None:
    async with federation:
        erin, desk = await federation.phone("erin", PARTNER_FE), await device(federation, FE1)
        for uri in (f"{BOB};gr={DESK}", await temporary(desk)):
            await reached(erin, uri, desk)
        assert EDGE in federation.nodes


@on_loop
async def test_answer_to_a_register_has_what_the_client_offered_to_understand(home: Network) -> None:
    async with home:
        bob = await home.peer(FE1, "bob")
        bob.contact = f'{bob.contact};+sip.instance="<{DESK}>";reg-id=1'
        route = f"<sip:127.0.0.1:{home.address(FE1)[1]};transport=tls;lr>"
        for _ in range(2):  # the second one is a refresh
            answer = await bob.register((*OFFERS, ("require", "path"), ("route", route)))
            assert answer.status == 200
            assert answer.values("service-route") == [route]
            assert answer.values("p-associated-uri") == [f"<{BOB}>"]
            assert (answer.values("require"), answer.values("flow-timer")) == (["outbound"], ["60"])
            assert answer.values("supported") == ["gruu, outbound, path"]
            [date], [path] = answer.values("date"), answer.values("path")
            assert date.endswith(" GMT")
            assert NameAddr.parse(path).sip_uri.has("ob")
            assert NameAddr.parse(path).sip_uri.host == FE1


@pytest.mark.parametrize(
    ("route", "given"),
    [
        ("<sip:example.test;transport=tls;lr>", "<sip:example.test;transport=tls;lr>"),
        ("<sip:example.test;transport=tls>", None),
        (None, "<sip:example.test;transport=tls;lr>"),
    ],
)
@on_loop
async def test_service_route_is_the_way_by_which_the_client_came(
    home: Network, route: str | None, given: str | None
) -> None:
    async with home:
        bob = await home.peer(FE1, "bob")
        answer = await bob.register([("route", route)] if route else [])
        assert answer.first("service-route") == given


@on_loop
async def test_flow_token_in_a_path_is_worth_nothing_to_its_client(pool: Network) -> None:
    """It leads down the client's own flow, and counts from servers of the pool only."""
    async with pool:
        bob, carol = await pool.peer(FE1, "bob"), await pool.phone("carol", FE1)
        [path] = (await bob.register(OFFERS)).values("path")
        for thief in (bob, carol):
            request = thief.request("MESSAGE", "sip:x@192.0.2.1", [("route", path)], sender=f"<sip:{thief.user}>;tag=1")
            assert (await thief.ask(request)).status == 403
        await bob.silent()
