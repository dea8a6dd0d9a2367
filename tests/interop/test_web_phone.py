"""The web phone in Chromium, as front ends serve it: two browsers, a phone, a caller of a partner, and an attacker."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from interop.baresip import Baresip
from interop.chromium import WebPhone
from interop.coturn import Coturn
from interop.matrix.other_side import OtherSide
from interop.phones import phone
from interop.web_phones import (
    ALICE,
    ANSWERED,
    BOB,
    CAROL,
    ERIN,
    GINA,
    PACKETS,
    Place,
    at_phone,
    has_audio,
    left,
    logged_in,
    opened,
    other_side,
    refers,
    takes_call,
    told,
)
from sipmesh.client.dialog import Dialog
from sipmesh.demo.network import FE1, FE2, PARTNER_FE
from sipmesh.demo.people import connect
from sipmesh.server.web_phone.files import BUNDLE, read_pages
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request
from sipmesh.sip.transaction.ack import cancel_for
from support.descriptions import DTLS, SDP, with_body
from support.talking import inside_of
from support.web_peer import web_address

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

MARKUP = "<img src=x onerror=injected++><script>injected++</script>"
INJECTED = "injected + document.querySelectorAll('#phone img, #phone script, #phone iframe').length"
IMPATIENT = (
    "window.patient = setTimeout, window.setTimeout = (act, ms) => patient(act, ms === 60000 ? 0 : ms), undefined"
)
"""Has the minute of a question end at once."""


def test_two_browsers_see_each_other_write_and_call(place: Place, runner: asyncio.Runner) -> None:
    """Each at its own front end; the media go from browser to browser."""

    async def play() -> None:
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
        await alice.add_contact(BOB)
        await alice.sees(BOB, "open")
        await alice.add_contact("carol@example.test")
        await alice.sees("carol@example.test", "closed")
        await alice.choose(BOB)
        await alice.write("h\u00e9llo \u2713")
        await bob.sees(ALICE, "open")  # who has written is in the list
        await bob.choose(ALICE)
        await bob.shows("messages", "h\u00e9llo \u2713")
        await bob.write("hello back")
        await alice.shows("messages", "hello back")
        await alice.press("dial")
        await bob.shows("incoming", ALICE)
        await bob.shows("incoming", "Your organisation")
        await bob.press("answer")
        for page in (alice, bob):
            await page.shows("call-state", "Connected")
        await alice.shows("call-proof", ANSWERED)
        figures = [await page.media(PACKETS) for page in (alice, bob)]
        assert all(map(has_audio, figures)), figures
        print("web phone calls web phone", figures)  # noqa: T201 - `make soak` shows what was seen with -s
        for page in (alice, bob):
            await page.shows("call-media", "encrypted")
        await alice.press("mute")
        await alice.until("connections.at(-1).getSenders().every(sender => !sender.track.enabled)")
        await alice.press("mute")
        await alice.until("connections.at(-1).getSenders().every(sender => sender.track.enabled)")
        await bob.press("hang-up")
        await alice.shows("messages", "The call has ended.")
        await left(bob)
        await alice.sees(BOB, "closed")
        await left(alice)

    runner.run(play())


@pytest.mark.peer("coturn")
def test_media_pass_through_a_turn_server_where_no_direct_path_works(
    place: Place, runner: asyncio.Runner, coturn: Coturn
) -> None:
    """The passwords for coturn come from the front end."""

    async def play() -> None:
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
        for page in (alice, bob):
            await page.evaluate("window.relayOnly = true")
        await alice.add_contact(BOB)
        await alice.choose(BOB)
        await alice.press("dial")
        await bob.shows("incoming", ALICE)
        await bob.press("answer")
        figures = [await page.media(PACKETS) for page in (alice, bob)]
        assert all(map(has_audio, figures)), figures
        assert {figure["relay"] for figure in figures} == {coturn.url}
        print("web phones with nothing but coturn between them", figures)  # noqa: T201 - `make soak` shows what was seen with -s
        await bob.press("hang-up")
        await left(alice, bob)

    runner.run(play())


def test_page_follows_a_transfer_and_says_who_has_answered(place: Place, runner: asyncio.Runner) -> None:
    """Bob sends alice to carol. Before carol answers, no user is named. The call with bob ends."""

    async def play() -> None:
        alice, carol = await logged_in(place, ALICE), await logged_in(place, CAROL, FE2)
        async with await other_side(place[0], BOB) as bob:
            dialog = await takes_call(alice, bob)
            await refers(bob, dialog, CAROL)
            await alice.shows("question", f"{BOB} asks you to leave this call, and to call {CAROL}.")
            await alice.press("agree")
            await carol.shows("incoming", ALICE)
            await alice.shows("call-proof", f"{BOB} transfers this call.")
            await carol.press("answer")
            await alice.shows("call-proof", ANSWERED)
            assert await alice.evaluate("document.querySelector('#call-proof .who').innerText") == CAROL
            await bob.take(await bob.wait("BYE"))
            figures = [await page.media(PACKETS) for page in (alice, carol)]
            assert all(map(has_audio, figures)), figures
            await carol.press("hang-up")
            await alice.until("document.getElementById('call').hidden")
        await left(alice, carol)

    runner.run(play())


def test_page_goes_on_with_its_call_if_a_transfer_fails(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], BOB) as bob:
            dialog = await takes_call(alice, bob)
            await refers(bob, dialog, "nobody@example.test")
            await alice.shows("question", "nobody@example.test")
            await alice.press("agree")
            await told(bob, b"404")
            await alice.until(f"document.querySelector('#call-proof .who').innerText === {BOB!r}")
            await alice.press("hang-up")
            await bob.take(await bob.wait("BYE"))
        await left(alice)

    runner.run(play())


def test_page_calls_no_party_that_its_user_refuses(place: Place, runner: asyncio.Runner) -> None:
    """A second question is refused at once, one without an answer after its time, and an open one when the call ends."""

    async def play() -> None:
        alice, carol = await logged_in(place, ALICE), await logged_in(place, CAROL, FE2)
        async with await other_side(place[0], BOB) as bob:
            dialog = await takes_call(alice, bob)
            await refers(bob, dialog, CAROL)
            await alice.shows("question", CAROL)
            await refers(bob, dialog, GINA)
            await told(bob, b"603")
            assert GINA not in await alice.text("question")
            await alice.press("refuse")
            await told(bob, b"603")
            await alice.evaluate(IMPATIENT)
            await refers(bob, dialog, CAROL)
            await told(bob, b"603")
            await alice.until("document.getElementById('question').hidden")
            await alice.evaluate("window.setTimeout = patient, undefined")
            await refers(bob, dialog, CAROL)
            await alice.shows("question", CAROL)
            assert await alice.evaluate("connections.length") == 1
            assert not await carol.evaluate("document.getElementById('incoming').checkVisibility()")
            await alice.press("hang-up")
            await bob.take(await bob.wait("BYE"))
            await alice.until("document.getElementById('question').hidden")
        await left(alice, carol)

    runner.run(play())


def test_padlock_follows_the_identity_of_a_request_inside_the_call(place: Place, runner: asyncio.Runner) -> None:
    """RFC 4916: a telephone adapter with two users says with a re-INVITE that the other one talks now."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], GINA) as adapter:
            adapter.user = BOB
            assert (await adapter.register()).status == 200
            dialog = await takes_call(alice, adapter)
            await alice.until(f"document.querySelector('#call-proof .who').innerText === {BOB!r}")
            again = with_body(inside_of(dialog, adapter, "INVITE"), adapter.describe(webrtc=True))
            again.replace("from", f"<sip:{GINA}>;tag={adapter.tag}")
            await adapter.send(again)
            assert (await adapter.outcome(again)).status == 200
            await alice.until(f"document.querySelector('#call-proof .who').innerText === {GINA!r}")
            await alice.press("hang-up")
            await adapter.take(await adapter.wait("BYE"))
        await left(alice)

    runner.run(play())


def replacing(sender: OtherSide, dialog: Dialog) -> Request:
    """An INVITE to the page by which *sender* wants to take the place of the other side of *dialog* (RFC 3891)."""
    invite = sender.invite(f"sip:{ALICE}", webrtc=True)
    to_tag, from_tag = NameAddr.parse(dialog.remote).tag, NameAddr.parse(dialog.local).tag
    invite.append("replaces", f"{dialog.call_id};to-tag={to_tag};from-tag={from_tag}")
    return invite


def test_page_is_the_target_of_an_attended_transfer(place: Place, runner: asyncio.Runner) -> None:
    """Gina takes the place of bob: INVITE with Replaces. The padlock names her, and the call with bob ends."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], BOB) as bob, await other_side(place[0], GINA) as gina:
            dialog = await takes_call(alice, bob)
            invite = replacing(gina, dialog)
            await gina.send(invite)
            await alice.shows("question", f"wants to take the place of {BOB} in this call.")
            assert await alice.evaluate("document.querySelector('#question .who').innerText") == GINA
            await alice.press("agree")
            answer = await gina.outcome(invite)
            assert answer.status == 200
            taken = Dialog.of_caller(invite, answer)
            await gina.send(inside_of(taken, gina, "ACK"))
            await bob.take(await bob.wait("BYE"))
            await alice.until(f"document.querySelector('#call-proof .who').innerText === {GINA!r}")
            await gina.end(taken)
            await alice.until("document.getElementById('call').hidden")
        await left(alice)

    runner.run(play())


def test_page_lets_no_party_into_its_call_that_its_user_refuses(place: Place, runner: asyncio.Runner) -> None:
    """Gina knows the identifiers of the call with bob, which goes on."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], BOB) as bob, await other_side(place[0], GINA) as gina:
            dialog = await takes_call(alice, bob)
            invite = replacing(gina, dialog)
            await gina.send(invite)
            await alice.shows("question", GINA)
            await alice.press("refuse")
            assert (await gina.outcome(invite)).status == 486
            assert await alice.evaluate("document.querySelector('#call-proof .who').innerText") == BOB
            await alice.press("hang-up")
            await bob.take(await bob.wait("BYE"))
        await left(alice)

    runner.run(play())


async def refused(sender: OtherSide, dialog: Dialog) -> int:
    """Let *sender* want the place of the other side; gives the status of the answer."""
    invite = replacing(sender, dialog)
    await sender.send(invite)
    return (await sender.outcome(invite)).status


def test_question_ends_with_the_request_that_it_is_about(place: Place, runner: asyncio.Runner) -> None:
    """Gina cancels before alice has answered. For a moment no other question is asked: alice may be about to agree."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], BOB) as bob, await other_side(place[0], GINA) as gina:
            dialog = await takes_call(alice, bob)
            invite = replacing(gina, dialog)
            await gina.send(invite)
            await alice.shows("question", GINA)
            assert await refused(gina, dialog) == 486
            await gina.send(cancel_for(invite))
            assert (await gina.outcome(invite)).status == 487
            await alice.until("document.getElementById('question').hidden")
            assert await refused(gina, dialog) == 486
            await alice.evaluate("document.getElementById('agree').click(), undefined")
            assert await alice.evaluate("document.querySelector('#call-proof .who').innerText") == BOB
            assert await alice.evaluate("connections.length") == 1
            await bob.end(dialog)
        await left(alice)

    runner.run(play())


async def page_of(place: Place, user: str) -> WebPhone:
    """A page with JsSIP, at which *user* has logged in."""
    network, browser = place
    page = await browser.page("jssip")
    await page.start(f"wss://{FE1}:{web_address(network.example, FE1)[1]}", user, "example.test")
    await page.until("registered")
    return page


def test_page_with_jssip_takes_its_question_back(place: Place, runner: asyncio.Runner) -> None:
    """Bob connects carol and alice; carol's page calls alice with Replaces, and hangs up before alice has answered."""

    async def play() -> None:
        alice, bob, carol = await logged_in(place, ALICE), await page_of(place, "bob"), await page_of(place, "carol")
        await bob.call(f"sip:{CAROL}")
        await bob.until("confirmed")
        await bob.call(f"sip:{ALICE}")
        await alice.shows("incoming", BOB)
        await alice.press("answer")
        await bob.until("confirmed")
        await bob.do("connectCalls")
        await alice.shows("question", CAROL)
        await carol.hang_up()
        await alice.until("document.getElementById('question').hidden")
        assert await alice.evaluate("document.querySelector('#call-proof .who').innerText") == BOB
        assert "SIP/2.0 487" in await carol.trace()
        figures = await alice.media(PACKETS)
        assert has_audio(figures), figures
        await alice.press("hang-up")
        for page in (bob, carol):
            await page.close()
        await left(alice)

    runner.run(play())


def test_called_user_declines_and_the_caller_sees_it(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB)
        await alice.add_contact(BOB)
        await alice.choose(BOB)
        await alice.press("dial")
        await bob.shows("incoming", ALICE)
        await bob.press("decline")
        await alice.shows("messages", "This user is busy.")
        await alice.press("dial")
        await bob.shows("incoming", ALICE)
        await alice.press("hang-up")
        await bob.shows("status", "You have missed a call.")
        await left(bob)
        await alice.press("dial")
        await alice.shows("messages", "This user is not there at the moment.")
        await left(alice)

    runner.run(play())


def test_wrong_password_is_reported_in_a_sentence(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        page = await opened(place)
        for address in (ALICE, "nobody@example.test"):  # the text does not say whether the user exists
            await page.log_in(address, "wrong")
            await page.shows("login-error", "The address or the password is wrong.")
            assert not await page.evaluate("document.getElementById('phone').checkVisibility()")
        await page.log_in("no address", "wrong")
        await page.shows("login-error", "Write your address, such as alice@example.com.")
        await page.log_in(ALICE, "alice-secret")
        await page.shows("phone", ALICE)
        await left(page)

    runner.run(play())


def test_caller_of_a_partner_shows_its_organisation(place: Place, runner: asyncio.Runner) -> None:
    """The organisation is what the edge has proved. What a caller writes of itself is shown as its own words."""

    async def play() -> None:
        network = place[0]
        alice = await logged_in(place, ALICE)
        erin = await connect(network, "erin", PARTNER_FE)
        async with erin:
            assert (await erin.register()).ok
            assert (await erin.message(f"sip:{ALICE}", "from a partner")).ok
            await alice.choose(ERIN)
            await alice.shows("messages", "from a partner")
            call = erin.invite(f"sip:{ALICE}", DTLS)
            await alice.shows("incoming", ERIN)
            await alice.shows("incoming", "Organisation partner.test. Proved by your server.")
            await alice.shows("incoming", "partner.test has signed this call and the keys of its audio.")
            await call.cancel()
            await alice.until("document.getElementById('incoming').hidden")
        await left(alice)

    runner.run(play())


def test_claims_of_a_caller_do_not_change_the_padlock(place: Place, runner: asyncio.Runner) -> None:
    """Bob writes the name, the subject and the asserted identity of another user. The padlock says bob."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await at_phone(place[0], BOB) as bob:
            claims = [
                ("p-asserted-identity", f"<sip:{ERIN}>"),
                ("verified-identity", f"<sip:{BOB}>"),
                ("remote-party-id", f"<sip:{ERIN}>"),
                ("subject", "the bank"),
                ("content-type", SDP),
            ]
            sender = f'"{ERIN}" <sip:{BOB}>;tag={bob.tag}'
            invite = bob.request("INVITE", f"sip:{ALICE}", claims, DTLS, sender=sender)
            await bob.send(invite)
            await alice.shows("incoming", f"Calls itself: \u201c{ERIN}\u201d (not checked)")
            await alice.shows("incoming", "Subject: \u201cthe bank\u201d (not checked)")
            who = await alice.evaluate("document.querySelector('#incoming .who').innerText")
            assert who == BOB
            assert "Your organisation, example.test" in await alice.text("incoming")
            assert "signed" not in await alice.text("incoming")
            await alice.press("decline")
            assert (await bob.final(method="INVITE")).status == 486
            hidden = [("privacy", "id"), ("content-type", SDP)]
            await bob.send(bob.request("INVITE", f"sip:{ALICE}", hidden, DTLS))
            await alice.shows("incoming", "Hidden caller")
            assert BOB not in await alice.text("incoming")
            await alice.press("decline")
        await left(alice)

    runner.run(play())


NOTE = MARKUP.replace("<", "&lt;").replace(">", "&gt;")
PIDF = (
    f'<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{BOB}">'
    f'<tuple id="t1"><status><basic>open</basic></status><note>{NOTE}</note></tuple></presence>'
)


def test_markup_of_an_attacker_is_text(place: Place, runner: asyncio.Runner) -> None:
    """Display name, subject, message, note of presence, reason phrase and session description; each is shown, and none runs."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await at_phone(place[0], BOB) as bob:
            published = [("event", "presence"), ("expires", "600"), ("content-type", "application/pidf+xml")]
            assert (await bob.ask(bob.request("PUBLISH", f"sip:{BOB}", published, PIDF.encode()))).status == 200
            await alice.add_contact(BOB)
            await alice.shows("contacts", MARKUP)
            sender = f'"{MARKUP}" <sip:{BOB}>;tag={bob.tag}'
            written = [("subject", MARKUP), ("content-type", "text/plain")]
            await bob.ask(bob.request("MESSAGE", f"sip:{ALICE}", written, f"text {MARKUP}".encode(), sender=sender))
            await alice.choose(BOB)
            await alice.shows("messages", f"text {MARKUP}")
            await alice.shows("messages", f"Subject: {MARKUP}")
            html = [("content-type", "text/html")]
            await bob.ask(bob.request("MESSAGE", f"sip:{ALICE}", html, f"page {MARKUP}".encode()))
            await alice.shows("messages", "(a message of the type text/html")
            called = [("subject", MARKUP), ("content-type", SDP)]
            offer = DTLS.replace(b"s=-", f"s={MARKUP}".encode())
            await bob.send(bob.request("INVITE", f"sip:{ALICE}", called, offer, sender=sender))
            await alice.shows("incoming", f"Calls itself: \u201c{MARKUP}\u201d (not checked)")
            await alice.shows("incoming", f"Subject: \u201c{MARKUP}\u201d")
            await alice.press("answer")  # which reads the session description
            await alice.until("document.getElementById('incoming').hidden")
            assert await alice.evaluate(INJECTED) == 0
        await left(alice)

    runner.run(play())


def test_page_refuses_markup_and_scripts_even_of_its_own(place: Place, runner: asyncio.Runner) -> None:
    """What would be the second barrier, if a text was ever made into HTML: Trusted Types, and no inline script."""

    async def play() -> None:
        page = await opened(place)
        tried = (
            "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'made'; } catch (e) { return e.name; } })()"
        )
        assert await page.evaluate(tried) == "TypeError"
        inline = "document.createElement('button').setAttribute('onclick', 'injected++')"
        assert await page.evaluate(tried.replace("document.body.innerHTML = '<b>x</b>'", inline)) == "TypeError"
        assert await page.evaluate("injected") == 0
        elsewhere = "fetch('https://example.com/').then(() => 'sent', e => e.name)"
        assert await page.evaluate(elsewhere) == "TypeError"

    runner.run(play())


@pytest.mark.peer("baresip")
def test_web_phone_and_baresip_call_each_other(place: Place, runner: asyncio.Runner) -> None:
    network = place[0]
    gina = phone(network, "gina", FE1, tone=440, friend=f"sip:{ALICE}", media="dtls_srtp", ice=True)

    async def play(gina: Baresip) -> None:
        alice = await logged_in(place, ALICE)
        async with gina:
            await gina.registered()
            await alice.add_contact(GINA)
            await alice.choose(GINA)
            await alice.write("to a phone")
            assert (await gina.event("MESSAGE"))["body"] == "to a phone"
            await alice.press("dial")
            await gina.event("CALL_ESTABLISHED")
            await alice.shows("call-state", "Connected")
            figures = await alice.media(PACKETS)
            assert has_audio(figures), figures
            print("web phone calls baresip", figures)  # noqa: T201 - as above
            await alice.press("hang-up")
            await gina.event("CALL_CLOSED")
            await gina.command("dial", f"sip:{ALICE}")
            await alice.shows("incoming", GINA)
            await alice.press("answer")
            await gina.event("CALL_ESTABLISHED")
            await alice.shows("call-state", "Connected")
            assert has_audio(await alice.media(PACKETS))
            await gina.command("hangup")
            await alice.shows("messages", "The call has ended.")
        await left(alice)

    runner.run(play(gina))


@pytest.mark.parametrize("width", [400, 1280])
def test_page_fits_its_window_and_names_its_fields(
    place: Place, runner: asyncio.Runner, tmp_path: Path, width: int
) -> None:
    """No page is wider than the window; a screen reader has a name for each field and button; the keyboard reaches them."""

    async def play() -> None:
        page = await opened(place)
        await page.resize(width, 800, dark=width == 400)
        await page.log_in(ALICE, "alice-secret")
        await page.shows("phone", ALICE)
        await page.add_contact(f"{'x' * 60}@example.test")
        await page.choose(f"{'x' * 60}@example.test")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        fields = "[...document.querySelectorAll('input:not([hidden])')].filter(f => !f.labels.length).map(f => f.id)"
        assert await page.evaluate(fields) == []
        names = "button => (button.innerText || button.getAttribute('aria-label') || '').trim()"
        assert (
            await page.evaluate(
                f"[...document.querySelectorAll('button')].filter(b => !({names})(b) && b.checkVisibility()).length"
            )
            == 0
        )
        reached = "[...document.querySelectorAll('button, input, a')].every(e => e.tabIndex === 0)"
        assert await page.evaluate(reached)
        await page.picture(tmp_path / "page.png")
        await left(page)

    runner.run(play())


def test_built_script_makes_no_html_of_text_and_is_small() -> None:
    pages = read_pages(BUNDLE)
    script = next(page for path, page in pages.items() if path.endswith(".js"))
    assert b"innerHTML" not in gzip.decompress(script.body)
    assert len(script.body) < 80_000  # JsSIP is 56,000 of them
