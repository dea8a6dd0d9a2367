"""The web phone in Chromium, as front ends of the demo serve it, and those whom it talks to: what its tests share."""

from __future__ import annotations

import asyncio
import json

from interop.chromium import Chromium
from interop.matrix.other_side import OtherSide
from interop.phone_page import PhonePage
from sipmesh.client.dialog import Dialog
from sipmesh.demo.network import FE1, FE2, DemoNetwork
from sipmesh.trust.evidence import LinkKind
from support.call_rules import change_rules
from support.peer import Peer
from support.talking import inside_of
from support.web_peer import web_address

ALICE, BOB, ERIN, GINA = "alice@example.test", "bob@example.test", "erin@partner.test", "gina@example.test"
CAROL = "carol@example.test"
ANSWERED = "Your organisation, example.test. Your server has proved that this user has answered."
WHO = "document.querySelector('#call-proof .who').innerText"
PACKETS = 60
"""More than a second of audio in each direction."""

SECRET = b"secret of coturn"

Place = tuple[DemoNetwork, Chromium]


async def opened(place: Place, server: str = FE1) -> PhonePage:
    network, browser = place
    return await PhonePage.open(browser, f"https://{server}:{web_address(network.example, server)[1]}/phone")


async def logged_in(place: Place, address: str, server: str = FE1) -> PhonePage:
    page = await opened(place, server)
    await page.log_in(address, f"{address.partition('@')[0]}-secret")
    await page.shows("phone", address)
    return page


async def at_phone(network: DemoNetwork, user: str) -> Peer:
    """A phone of *user* over TLS, at the first front end, that writes what it likes."""
    peer = await Peer.open(network.example.address(FE1, LinkKind.CLIENT), user)
    assert (await peer.register()).status == 200
    return peer


async def other_side(network: DemoNetwork, user: str) -> OtherSide:
    """The same, with the session descriptions of a browser."""
    peer = await OtherSide.open(network.example.address(FE1, LinkKind.CLIENT), user)
    assert (await peer.register()).status == 200
    return peer


async def changed_rules(network: DemoNetwork, user: str, **asked: object) -> None:
    """Change the rules of *user*, and let the front ends read them."""
    await asyncio.to_thread(lambda: change_rules(network.example, user, **asked))
    for server in (FE1, FE2):
        await network.ask(server, "users-changed")


async def dials(page: PhonePage, typed: str) -> None:
    """Call what the user types."""
    await page.fill("target", typed)
    await page.submit("dial-form")


async def confirms(page: PhonePage, button: str, asked: str = "") -> None:
    """Press a *button*, read what the page asks then, and agree."""
    await page.press(button)
    await page.shows("confirm", asked)
    await page.press("confirm-yes")


async def declines(page: PhonePage, button: str, asked: str) -> None:
    """Press a *button*, read what the page asks then, and keep everything."""
    await page.press(button)
    await page.shows("confirm", asked)
    await page.press("confirm-no")


async def speaks(page: PhonePage, address: str) -> None:
    """Wait until the page shows the call with *address*, and it is up."""
    await page.until(f"{WHO} === {json.dumps(address)}")
    await page.shows("call-state", "Connected")


async def refers(bob: OtherSide, dialog: Dialog, target: str) -> None:
    """Send the page to *target*; it accepts the REFER, and asks its user."""
    refer = inside_of(dialog, bob, "REFER")
    refer.append("refer-to", f"<sip:{target}>")
    await bob.send(refer)
    assert (await bob.outcome(refer)).status == 202


async def told(bob: OtherSide, status: bytes) -> None:
    """Wait for the NOTIFY with this status of a transfer."""
    while status not in (notify := await bob.wait("NOTIFY")).body:
        await bob.take(notify)
    await bob.take(notify)


async def talking(place: Place) -> tuple[PhonePage, PhonePage]:
    """Have alice, at one front end, call bob, at the other; gives their pages once the call is up."""
    alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
    await dials(alice, "bob")
    await bob.shows("incoming", ALICE)
    await bob.press("answer")
    await speaks(alice, BOB)
    return alice, bob


async def takes_call(page: PhonePage, caller: OtherSide) -> Dialog:
    """Have the page called, and let it answer; gives the dialog of the caller."""
    calling = asyncio.create_task(caller.call(f"sip:{ALICE}", webrtc=True))
    await page.shows("incoming", caller.user)
    await page.press("answer")
    return await calling


async def left(*pages: PhonePage) -> None:
    for page in pages:
        await page.press("log-out")
        await page.shows("login")


def has_audio(figures: dict[str, object]) -> bool:
    sent, received = int(str(figures["sent"])), int(str(figures["received"]))
    return sent > 1_000 and received > 1_000 and figures["dtls"] == "connected" and "SRTP" in str(figures["srtp"])
