"""Header fields and bodies at which a phone answers, rings in another way or fetches a URL, and does not ask its user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from attacks.test_unsolicited_notify import CAROL, SENDERS
from sipmesh.sip.message import Request
from support.descriptions import with_body
from support.network import BOT, FE1, FE2, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

ORDERS = [
    ("answer-mode", "Auto;require"),
    ("priv-answer-mode", "Auto"),
    ("p-auto-answer", "normal"),
    ("call-info", "<sip:example.test>;answer-after=0"),
    ("call-info", "<http://192.0.2.99/here.png>;purpose=icon"),
    ("alert-info", "<http://192.0.2.99/here.wav>;info=alert-autoanswer"),
    ("alert-info", "Auto Answer"),
    ("error-info", "<sip:900123@premium.test>"),
    ("policy-contact", "<https://192.0.2.99/policy>"),
]
ORDER_NAMES = {name for name, _ in ORDERS}
ELSEWHERE = 'message/external-body; access-type="URL"; URL="http://192.0.2.99/here.png"'
IN_PARTS = b"--b\r\nContent-Type: " + ELSEWHERE.encode() + b"\r\n\r\nContent-Type: image/png\r\n\r\n\r\n--b--\r\n"


def orders_in(message: Request) -> set[str]:
    return {name for name in ORDER_NAMES if message.has(name)}


def elsewhere(peer: Peer) -> list[Request]:
    """A message whose content is elsewhere, and one with such a part."""
    whole = with_body(peer.request("MESSAGE", CAROL), b"Content-Type: image/png\r\n\r\n", ELSEWHERE)
    return [whole, with_body(peer.request("MESSAGE", CAROL), IN_PARTS, "multipart/mixed; boundary=b")]


@pytest.mark.parametrize("sender", wide_after(3, SENDERS))
@on_loop
async def test_user_orders_no_phone_to_answer_or_fetch(
    remote: Network, sender: Callable[[Network], Awaitable[Peer]]
) -> None:
    """The call itself arrives, without these fields: also inside the call, and in what the phone answers to a call."""
    async with remote:
        carol, peer = await remote.phone("carol", FE2), await sender(remote)
        invite = peer.request("INVITE", CAROL, [*ORDERS, ("subject", "kept")])
        await peer.send(invite)
        came = await carol.request_in("INVITE")
        assert (orders_in(came), came.first("subject")) == (set(), "kept")
        await carol.reply(came, 486, ORDERS)
        await carol.request_in("ACK")
        refused = await peer.final()
        assert {name for name in ORDER_NAMES if refused.has(name)} == set()
        _, _, dialog = await talking(peer, carol)
        await carol.request_in("ACK")
        again = inside_of(dialog, peer, "INFO")
        for name, value in ORDERS:
            again.append(name, value)
        await peer.send(again)
        came = await carol.request_in("INFO")
        assert orders_in(came) == set()
        await carol.reply(came, 200)


@pytest.mark.parametrize("sender", wide_after(3, SENDERS))
@on_loop
async def test_user_names_no_place_that_a_phone_fetches(
    remote: Network, sender: Callable[[Network], Awaitable[Peer]]
) -> None:
    """The control has the same parts, with their content."""
    async with remote:
        carol, peer = await remote.phone("carol", FE2), await sender(remote)
        for asked in elsewhere(peer):
            assert (await peer.ask(asked)).status == 415
        await carol.silent()
        own = IN_PARTS.replace(ELSEWHERE.encode(), b"text/plain")
        await peer.send(with_body(peer.request("MESSAGE", CAROL), own, "multipart/mixed; boundary=b"))
        came = await carol.request_in("MESSAGE")
        assert came.body == own
        await carol.reply(came, 200)
        assert (await peer.final()).status == 200


@on_loop
async def test_parameter_of_the_request_uri_reaches_no_phone(pool: Network) -> None:
    """Some phones answer ``;intercom=true`` by themselves. The Request-URI becomes the Contact that is registered."""
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE1)
        contact = carol.contact[1:-1]
        for uri in (f"{CAROL};intercom=true", f"{contact};intercom=true"):
            await alice.send(alice.request("INVITE", uri, to=f"<{CAROL}>"))
            came = await carol.request_in("INVITE")
            assert came.uri == contact
            await carol.reply(came, 486)
            await carol.request_in("ACK")
            assert (await alice.final()).status == 486


@on_loop
async def test_application_may_have_phones_answer_and_fetch(pool: Network) -> None:
    """An intercom that the topology names as an application; the phone is at another server."""
    pool.let_application_speak()
    async with pool:
        carol, bot = await pool.phone("carol", FE2), await pool.peer(FE1, "alice", BOT)
        await bot.send(bot.request("INVITE", CAROL, ORDERS))
        came = await carol.request_in("INVITE")
        assert orders_in(came) == ORDER_NAMES
        await carol.reply(came, 486)
        await carol.request_in("ACK")
        assert (await bot.final()).status == 486
        for asked in elsewhere(bot):
            await bot.send(asked)
            await carol.reply(await carol.request_in("MESSAGE"), 200)
            assert (await bot.final(method="MESSAGE")).status == 200
