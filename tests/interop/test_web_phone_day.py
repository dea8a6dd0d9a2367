"""A day of a user with the web phone: keys, delegates, do not disturb, devices, notifications and missed calls, in Chromium."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.phones import phone
from interop.web_phones import (
    ALICE,
    BOB,
    CAROL,
    GINA,
    PACKETS,
    Place,
    changed_rules,
    confirms,
    declines,
    dials,
    has_audio,
    left,
    logged_in,
    opened,
    other_side,
    refers,
    speaks,
    takes_call,
    told,
)
from sipmesh.client.dialog import Dialog
from sipmesh.demo.network import FE1, FE2
from sipmesh.sip.transaction.ack import cancel_for
from support.talking import inside_of

if TYPE_CHECKING:
    from interop.matrix.other_side import OtherSide
    from interop.phone_page import PhonePage

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

CLOSED = "document.getElementById('call').hidden"
SINKS = """
window.rings = [];
window.AudioContext = class extends AudioContext { constructor(given) { super(given); rings.push(this); } }; undefined"""
"""Has the page remember where it rings."""

TOLD = """
window.told = [];
window.Notification = class extends Notification { constructor(text, given) { super(text, given); told.push(text); } };
Object.defineProperty(document, 'hidden', {configurable: true, get: () => window.away ?? false}); undefined"""
"""Has the page remember its notifications. With *away* the user looks at another window."""


async def presses(page: PhonePage, keys: str) -> None:
    await page.press("keypad-open")
    for key in keys:
        await page.evaluate(f"document.querySelector('[data-key=\"{key}\"]').click(), undefined")


async def sets(page: PhonePage, field: str, value: str) -> None:
    """Choose an option of a field, as a person does."""
    chosen = (
        f"const c = document.getElementById({field!r}); c.value = {json.dumps(value)}; c.onchange(); return c.value;"
    )
    assert await page.evaluate(f"(() => {{ {chosen} }})()") == value


async def rings_and_stops(page: PhonePage, caller: OtherSide) -> None:
    """Have a call that is not answered."""
    invite = caller.invite(f"sip:{ALICE}", webrtc=True)
    await caller.send(invite)
    await page.shows("incoming", caller.user)
    await caller.send(cancel_for(invite))
    await page.until("document.getElementById('incoming').hidden")


@pytest.mark.parametrize("allow", ["INVITE, ACK, CANCEL, BYE, INFO", "INVITE, ACK, CANCEL, BYE"])
def test_keys_go_in_requests_if_the_other_side_takes_no_events_and_allows_them(
    place: Place, runner: asyncio.Runner, allow: str
) -> None:
    """Its session description has no telephone-event. Without INFO in Allow the page says that no key arrives."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], BOB) as bob:
            invite = bob.invite(f"sip:{ALICE}", webrtc=True)
            invite.append("allow", allow)
            await bob.send(invite)
            await alice.shows("incoming", BOB)
            await alice.press("answer")
            dialog = Dialog.of_caller(invite, await bob.outcome(invite))
            await bob.send(inside_of(dialog, bob, "ACK"))
            await speaks(alice, BOB)
            await presses(alice, "5")
            if "INFO" in allow:
                info = await bob.wait("INFO")
                assert (info.first("content-type"), info.body[:8]) == ("application/dtmf-relay", b"Signal=5")
                await bob.take(info)
            else:
                await alice.shows("status", "The other side takes no keys.")
            await bob.end(dialog)
            await alice.until(CLOSED)
        await left(alice)

    runner.run(play())


@pytest.mark.peer("baresip")
def test_phone_hears_the_keys_and_is_held_and_transferred(place: Place, runner: asyncio.Runner) -> None:
    """Alice calls the baresip of gina, presses keys, holds, goes on, and sends gina to carol."""
    desk = phone(place[0], "gina", FE1, records=False, talks=True, media="dtls_srtp", ice=True)

    async def play() -> None:
        alice, carol = await logged_in(place, ALICE), await logged_in(place, CAROL, FE2)
        async with desk:
            await desk.registered()
            await dials(alice, "gina")
            await desk.event("CALL_ESTABLISHED")
            await speaks(alice, GINA)
            await alice.media(PACKETS)
            await presses(alice, "7")
            assert (await desk.event("CALL_DTMF_START"))["param"] == "7"
            for state in ("On hold", "Connected"):
                await alice.press("hold")
                await alice.shows("call-state", state)
                await alice.until("!document.getElementById('hold').disabled")  # the other side has agreed
            assert desk.log.count("a=sendonly") == 1
            await desk.hears((await desk.counted())["received"] + PACKETS)
            await alice.press("transfer-open")
            await alice.fill("transfer-to", "carol")
            await alice.submit("transfer-form")
            await carol.shows("incoming", GINA)
            await carol.press("answer")
            await speaks(carol, GINA)
            await alice.until(CLOSED)
            await carol.press("hang-up")
            await desk.event("CALL_CLOSED")
        await left(alice, carol)

    runner.run(play())


def test_delegate_calls_for_another_user_who_has_named_it(place: Place, runner: asyncio.Runner) -> None:
    """Both are shown, and only such users are offered. Without the rule the same request is refused."""

    async def play() -> None:
        await changed_rules(place[0], "bob", delegates=("none",))
        async with await other_side(place[0], GINA) as gina:
            carol = await logged_in(place, CAROL)
            await carol.until("document.getElementById('on-behalf').hidden")
            await left(carol)
            await changed_rules(place[0], "bob", delegates=("carol",))
            carol = await logged_in(place, CAROL)
            await carol.shows("on-behalf", BOB)
            await sets(carol, "call-for", BOB)
            assert await carol.evaluate("document.getElementById('hide').disabled")
            await dials(carol, "gina")
            invite = await gina.wait("INVITE")
            assert invite.items("p-asserted-identity") == [f"<sip:{BOB}>"]
            assert (invite.first("from") or "").startswith(f'"carol for bob" <sip:{CAROL}>')
            await carol.shows("call-proof", f"For {BOB}")
            await gina.take(invite, 486)
            await carol.shows("messages", "This user is busy.")
            await changed_rules(place[0], "bob", delegates=("none",))
            await dials(carol, "gina")
            await carol.shows("messages", "The server refuses this.")
            await sets(carol, "call-for", "")
            await dials(carol, "gina")
            own = await gina.wait("INVITE")
            assert own.items("p-asserted-identity") == [f"<sip:{CAROL}>"]
            await gina.take(own, 486)
            await left(carol)

    runner.run(play())


@pytest.mark.parametrize("hidden", [False, True])
def test_delegate_picks_up_a_call_that_rings_at_the_user(place: Place, runner: asyncio.Runner, *, hidden: bool) -> None:
    """Three pages. The caller sees that bob is spoken for. The page of bob stops ringing, and counts no missed call.

    The call of a caller who hides is shown to no delegate.
    """

    async def play() -> None:
        await changed_rules(place[0], "bob", delegates=("carol",))
        alice, bob, carol = [
            await logged_in(place, ALICE),
            await logged_in(place, BOB, FE2),
            await logged_in(place, CAROL),
        ]
        await carol.until(f"[...document.getElementById('call-for').options].some(one => one.value === {BOB!r})")
        await dials(alice, "bob")
        await bob.shows("incoming", ALICE)
        assert await carol.evaluate("document.getElementById('pickups').hidden")  # bob is no contact
        await alice.press("hang-up")
        await bob.until("document.getElementById('incoming').hidden")
        await carol.add_contact("bob")
        await carol.sees(BOB, "open")
        await confirms(bob, "clear-calls")
        await alice.evaluate(f"document.getElementById('hide').checked = {json.dumps(hidden)}, undefined")
        await dials(alice, "bob")
        await bob.shows("incoming", "Hidden caller" if hidden else ALICE)
        if hidden:
            assert await carol.evaluate("document.getElementById('pickups').hidden")
            await alice.press("hang-up")
        else:
            await carol.shows("pickups", f"{ALICE} calls {BOB}")
            await carol.evaluate("document.querySelector('#pickups button').click(), undefined")
            await speaks(carol, ALICE)
            await speaks(alice, BOB)
            figures = [await page.media(PACKETS) for page in (alice, carol)]
            assert all(map(has_audio, figures)), figures
            await bob.until("document.getElementById('incoming').hidden")
            assert await bob.text("missed") == ""
            await carol.until("document.getElementById('pickups').hidden")
            await carol.press("hang-up")
        await alice.until(CLOSED)
        await alice.evaluate("document.getElementById('hide').checked = false, undefined")
        await changed_rules(place[0], "bob", delegates=("none",))
        await left(alice, bob, carol)

    runner.run(play())


def test_page_gives_its_ringing_call_to_no_one_but_who_speaks_for_the_callee(
    place: Place, runner: asyncio.Runner
) -> None:
    """Gina knows the identifiers of the call of alice to bob, and is no delegate of bob."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], BOB) as bob, await other_side(place[0], GINA) as gina:
            await dials(alice, "bob")
            rings = await bob.wait("INVITE")
            await bob.take(rings, 180)
            await alice.shows("call-state", "Ringing")
            invite = gina.invite(f"sip:{ALICE}", webrtc=True)
            tag = rings.from_.tag
            invite.append("replaces", f"{rings.call_id};to-tag={tag};from-tag={bob.tag};early-only")
            await gina.send(invite)
            assert (await gina.outcome(invite)).status == 486
            await bob.take(rings)
            await speaks(alice, BOB)
            await alice.press("hang-up")
            await bob.take(await bob.wait("BYE"))
        await left(alice)

    runner.run(play())


def test_call_that_another_user_has_led_here_says_for_whom_it_is(place: Place, runner: asyncio.Runner) -> None:
    """The phone of alice rings beside that of bob. A caller who writes the field itself is not believed."""

    async def play() -> None:
        await changed_rules(place[0], "bob", also=("alice",))
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
        async with await other_side(place[0], CAROL) as carol:
            calling = asyncio.create_task(carol.call(f"sip:{BOB}", webrtc=True))
            await bob.shows("incoming", CAROL)
            await alice.shows("incoming", f"For {BOB}")
            await alice.press("answer")
            dialog = await calling
            await alice.shows("call-proof", f"For {BOB}")
            await bob.until("document.getElementById('incoming').hidden")
            await carol.end(dialog)
            await alice.until(CLOSED)
            assert await bob.text("missed") == ""
            lie = carol.invite(f"sip:{ALICE}", webrtc=True)
            lie.append("history-info", f"<sip:{GINA}>;index=1, <sip:{ALICE};cause=302>;index=1.1;mp=1")
            await carol.send(lie)
            await alice.shows("incoming", CAROL)
            assert "For" not in await alice.text("incoming-proof")
            await alice.press("decline")
            assert (await carol.outcome(lie)).status == 486
        await changed_rules(place[0], "bob", also=("none",))
        await left(alice, bob)

    runner.run(play())


def test_user_who_does_not_want_to_be_disturbed_is_not(place: Place, runner: asyncio.Runner) -> None:
    """The caller hears that the user is busy, and the call is missed. A reload does not forget the choice; others see it."""

    async def play() -> None:
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
        await confirms(alice, "clear-calls")
        await bob.add_contact("alice")
        await sets(alice, "presence", "quiet")
        await bob.until(
            f"document.querySelector('[data-address=\"{ALICE}\"] .state').innerText.includes('Do not disturb')"
        )
        await alice.press("log-out")
        await alice.go(await alice.evaluate("location.href"))
        await alice.log_in(ALICE, "alice-secret")
        await alice.shows("phone", ALICE)
        assert await alice.evaluate("document.getElementById('presence').value") == "quiet"
        async with await other_side(place[0], CAROL) as carol:
            invite = carol.invite(f"sip:{ALICE}", webrtc=True)
            await carol.send(invite)
            assert (await carol.outcome(invite)).status == 486
            await alice.until("document.getElementById('missed').innerText.startsWith('1')")
            assert not await alice.evaluate("document.getElementById('incoming').checkVisibility()")
            await sets(alice, "presence", "available")
            await rings_and_stops(alice, carol)
        await left(alice, bob)

    runner.run(play())


def test_missed_calls_are_counted_in_the_title_until_they_are_seen(place: Place, runner: asyncio.Runner) -> None:
    """Also over a reload."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        await confirms(alice, "clear-calls")
        async with await other_side(place[0], BOB) as bob:
            await rings_and_stops(alice, bob)
        await declines(alice, "clear-calls", "cannot be brought back")
        assert await alice.evaluate("document.title") == "(1) Web phone"
        await alice.press("log-out")
        assert await alice.evaluate("document.title") == "Web phone"
        await alice.go(await alice.evaluate("location.href"))
        await alice.log_in(ALICE, "alice-secret")
        await alice.until("document.title === '(1) Web phone'")
        await alice.press("tab-calls")
        assert await alice.evaluate("document.title") == "Web phone"
        assert await alice.text("missed") == ""
        await left(alice)

    runner.run(play())


def test_phone_rings_and_speaks_where_the_user_has_chosen(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice = await logged_in(place, ALICE)
        await alice.evaluate(SINKS)
        async with await other_side(place[0], BOB) as bob:
            dialog = await takes_call(alice, bob)  # after which the browser names its devices
            await speaks(alice, BOB)
            await alice.until("document.getElementById('ringer').options.length > 1")
            options = "[...document.getElementById('ringer').options].map(option => option.value)"
            first, *_, last = [value for value in await alice.evaluate(options) if value]
            await sets(alice, "ringer", first)
            await alice.until(f"rings.at(-1).sinkId === {json.dumps(first)}")
            await sets(alice, "speaker", last)
            await alice.until(f"document.getElementById('heard').sinkId === {json.dumps(last)}")
            await bob.end(dialog)
            await alice.until(CLOSED)
            await rings_and_stops(alice, bob)
            assert await alice.evaluate("[rings.length, rings[0].sinkId, rings[0].state]") == [1, first, "running"]
        kept = json.loads(await alice.evaluate("localStorage.getItem('sipmesh-devices')"))
        assert (kept["ringer"], kept["speaker"]) == (first, last)
        await left(alice)

    runner.run(play())


def test_browser_tells_of_calls_and_messages_while_the_user_looks_elsewhere(
    place: Place, runner: asyncio.Runner
) -> None:
    """Who calls or writes, never what; and nothing to a user who looks at the page, or does not want to be disturbed."""

    async def play() -> None:
        network = place[0]
        alice = await logged_in(place, ALICE)
        await alice.evaluate(TOLD)
        await alice.allow("notifications")
        await alice.press("notify")
        await alice.shows("phone")
        async with await other_side(network, BOB) as bob:

            async def writes() -> None:
                body = b"the secret plan"
                message = bob.request("MESSAGE", f"sip:{ALICE}", [("content-type", "text/plain")], body)
                await bob.send(message)
                assert (await bob.outcome(message)).status == 200

            await writes()
            assert await alice.evaluate("told") == []
            await alice.evaluate("window.away = true")
            await writes()
            await rings_and_stops(alice, bob)
            assert await alice.evaluate("told") == [f"Message from {BOB}", f"{BOB} calls"]
            await sets(alice, "presence", "quiet")
            await writes()
            assert len(await alice.evaluate("told")) == 2
            await sets(alice, "presence", "available")
        await left(alice)

    runner.run(play())


def test_phone_is_back_by_itself_after_its_front_end_was_restarted(place: Place, runner: asyncio.Runner) -> None:
    """Others see again what its user says of itself, its contacts are watched, and it is called."""

    async def play() -> None:
        network = place[0]
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
        await sets(bob, "presence", "busy")
        await bob.add_contact("alice")
        await alice.add_contact("bob")
        state = f"document.querySelector('[data-address=\"{BOB}\"] .state').innerText"
        await alice.until(f"{state} === 'available: Busy'")
        server = network.servers[FE2]
        server.terminate()
        await server.ended()
        await bob.shows("me-state", "connecting")
        await bob.sees(ALICE, "unknown")
        await alice.until(f"{state} !== 'available: Busy'")
        await network.start(FE2)
        await bob.shows("me-state", "connected")
        await bob.sees(ALICE, "open")
        await alice.until(f"{state} === 'available: Busy'")
        await dials(alice, "bob")
        await bob.shows("incoming", ALICE)
        await bob.press("answer")
        await speaks(alice, BOB)
        await bob.press("hang-up")
        await alice.until(CLOSED)
        await sets(bob, "presence", "available")
        await left(alice, bob)

    runner.run(play())


async def finds(page: PhonePage, typed: str) -> None:
    await page.fill("find", typed)
    await page.submit("find-form")


def test_user_finds_others_by_a_part_of_their_name(place: Place, runner: asyncio.Runner) -> None:
    """A user who is unlisted, or of a partner, is not found. Who searches without end has to wait."""

    async def play() -> None:
        await changed_rules(place[0], "gina", unlisted=True)
        alice, hasty = await logged_in(place, ALICE), await logged_in(place, CAROL)
        await alice.press("tab-find")
        await finds(alice, "bo")
        await alice.shows("find-state", "Write 3 letters or digits at least.")
        await finds(alice, "bob")
        await alice.shows("found", BOB)
        await alice.evaluate("document.querySelector('#found button').click(), undefined")
        await alice.shows("with", BOB)
        for typed in ("gina", "erin", "<b>x", "a;id=1"):
            await finds(alice, typed)
            await alice.shows("find-state", "There is no such user.")
            assert await alice.text("found") == ""
        await changed_rules(place[0], "gina", unlisted=False)
        await finds(alice, "gin")
        await alice.shows("found", GINA)
        await hasty.press("tab-find")
        for _ in range(21):
            await finds(hasty, "bob")
            await hasty.until("document.getElementById('find-state').innerText !== 'Searching\u2026'")
        await hasty.shows("find-state", "You have searched too often")
        await left(alice, hasty)

    runner.run(play())


MARKUP = "<b>Bold</b><img src=x>"
DAY = (
    (BOB, "Lunch at noon?"),
    (BOB, "I am in the canteen, third table on the left."),
    (CAROL, f"The plan is signed. {MARKUP}"),
)


NARROW = 400
TOUCHED_PX = 40
SMALL = f"""[...document.querySelectorAll('button, select, input:not([type=checkbox]), .choice, summary')].filter(
  one => one.checkVisibility() && one.getBoundingClientRect().height < {TOUCHED_PX}).map(one => one.id || one.innerText)"""
"""What a finger misses."""


COVERED = """(() => { const banner = document.getElementById('status').getBoundingClientRect();
  return [...document.querySelectorAll('button, select, input')].filter(one => { const at = one.getBoundingClientRect();
    return !scrollY && one.checkVisibility() && at.top < banner.bottom && at.bottom > banner.top && at.left < banner.right
      && at.right > banner.left; }).map(one => one.id); })()"""
"""What is under the message at the top of the page."""


def next_picture(folder: Path, name: str) -> Path:
    return folder / f"{len(list(folder.iterdir())) + 1:02}-{name}.png"


async def looks(page: PhonePage, folder: Path, name: str) -> None:
    """Take a picture, and judge what it shows: nothing is cut off, and a person with a screen reader or a keyboard can use it."""
    await page.picture(next_picture(folder, name))
    if await page.evaluate("innerWidth") <= NARROW:
        assert await page.evaluate(SMALL) == [], name
    assert await page.evaluate(COVERED) == [], name
    assert await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, name
    assert await page.faults() == [], name


async def morning(page: PhonePage, folder: Path, bob: OtherSide, carol: OtherSide) -> None:
    """Contacts are added; they write, and are answered. One of them is away."""
    for name in ("bob", "carol", "gina", "erin@partner.test"):
        await page.add_contact(name)
    for sender, text in DAY:
        peer = {BOB: bob, CAROL: carol}[sender]
        message = peer.request("MESSAGE", f"sip:{ALICE}", [("content-type", "text/plain")], text.encode())
        await peer.send(message)
        assert (await peer.outcome(message)).status == 200
    await looks(page, folder, "contacts")
    await page.choose(BOB)
    await page.write("Five minutes.")
    await bob.take(await bob.wait("MESSAGE"))
    await page.choose(CAROL)
    await page.shows("messages", MARKUP)
    await page.choose(GINA)
    await page.write("Call me when you are back.")
    await page.shows("messages", "Stored")
    await looks(page, folder, "stored")
    await page.choose(BOB)
    await looks(page, folder, "messages")


async def noon(page: PhonePage, folder: Path, bob: OtherSide, carol: OtherSide) -> None:
    """Two calls at the same time, and a third call that is not answered."""
    ringing = bob.invite(f"sip:{ALICE}", webrtc=True)
    ringing.append("allow", "INVITE, ACK, CANCEL, BYE, INFO")
    await bob.send(ringing)
    await page.shows("incoming", BOB)
    await looks(page, folder, "ringing")
    await page.press("answer")
    dialog = Dialog.of_caller(ringing, await bob.outcome(ringing))
    await bob.send(inside_of(dialog, bob, "ACK"))
    await speaks(page, BOB)
    await presses(page, "12#")
    for _ in "12#":
        await bob.take(await bob.wait("INFO"))
    await page.press("transfer-open")
    await looks(page, folder, "call")
    calling = asyncio.create_task(carol.call(f"sip:{ALICE}", webrtc=True))
    await page.shows("incoming", CAROL)
    await looks(page, folder, "waiting")
    await page.press("answer")
    await bob.take(await bob.wait("INVITE"))
    second = await calling
    await speaks(page, CAROL)
    await page.press("mute")
    await looks(page, folder, "two-calls")
    await carol.end(second)
    await page.shows("call-state", "On hold")
    await looks(page, folder, "on-hold")
    await page.press("hold")
    await bob.take(await bob.wait("INVITE"))
    await speaks(page, BOB)
    await refers(bob, dialog, GINA)
    await page.shows("question", GINA)
    await looks(page, folder, "question")
    await page.press("refuse")
    await told(bob, b"603")
    await bob.end(dialog)
    await page.until(CLOSED)
    hidden = carol.invite(f"sip:{ALICE}", webrtc=True)
    hidden.append("privacy", "id")
    await carol.send(hidden)
    await page.shows("incoming", "Hidden caller")
    await looks(page, folder, "hidden-caller")
    await page.press("decline")
    assert (await carol.outcome(hidden)).status == 486
    await rings_and_stops(page, carol)


async def evening(page: PhonePage, folder: Path) -> None:
    """The missed call, the list of calls, and the settings."""
    await page.press("back")
    await looks(page, folder, "missed")
    await page.press("tab-calls")
    await looks(page, folder, "calls")
    await page.press("tab-find")
    await looks(page, folder, "find")
    await finds(page, "bob")
    await page.shows("found", BOB)
    await looks(page, folder, "found")
    await page.press("settings-open")
    await page.shows("rules", f"When you do not answer, your calls go to {BOB}")
    await page.shows("rules", "Blocked: @partner.test")
    await sets(page, "presence", "quiet")
    await looks(page, folder, "settings")
    await sets(page, "presence", "available")
    await page.press("forget")
    await looks(page, folder, "forget")
    await page.press("confirm-yes")


@pytest.mark.parametrize(("width", "dark"), [(320, False), (400, True), (400, False), (1280, False), (1280, True)])
def test_day_of_a_user_fits_each_window(
    place: Place, runner: asyncio.Runner, tmp_path: Path, width: int, *, dark: bool
) -> None:
    """Each picture is as wide as its window, and without a fault that axe-core finds. PICTURES is a folder for them."""
    folder = Path(os.environ.get("PICTURES", tmp_path)) / f"{width}-{'dark' if dark else 'light'}"
    folder.mkdir(parents=True, exist_ok=True)

    async def play() -> None:
        await changed_rules(place[0], "carol", delegates=("alice",))
        page = await opened(place)
        await page.resize(width, 800, dark=dark)
        await looks(page, folder, "login")
        await page.log_in(ALICE, "alice-secret")
        await page.shows("phone", ALICE)
        await confirms(page, "clear-calls")
        await looks(page, folder, "first-time")
        async with await other_side(place[0], BOB) as bob, await other_side(place[0], CAROL) as carol:
            await morning(page, folder, bob, carol)
            await noon(page, folder, bob, carol)
        await changed_rules(place[0], "alice", no_answer="bob", callers={"@partner.test": "block"})
        await evening(page, folder)
        await changed_rules(place[0], "alice", no_answer="none", callers={"@partner.test": "none"})
        await page.shows("rules", "Your phones ring")
        await changed_rules(place[0], "carol", delegates=("none",))
        await left(page)

    runner.run(play())
