"""What a user does in and beside a call at the web phone, in Chromium: with other web phones, and peers that see each message."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from interop.web_phones import (
    ALICE,
    ANSWERED,
    BOB,
    CAROL,
    GINA,
    PACKETS,
    WHO,
    Place,
    at_phone,
    confirms,
    dials,
    has_audio,
    left,
    logged_in,
    other_side,
    speaks,
    takes_call,
    talking,
)
from sipmesh.demo.network import FE2
from sipmesh.sip.message import respond
from sipmesh.sip.transaction.ack import cancel_for

pytestmark = [pytest.mark.soak, pytest.mark.peer("chromium"), pytest.mark.peer("certutil"), pytest.mark.peer("npm")]

TITLE = "document.title"


def test_name_and_number_are_called_in_the_own_domain(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], BOB) as bob:
            await dials(alice, "bob")
            invite = await bob.wait("INVITE")
            assert invite.to.uri == f"sip:{BOB}"
            await bob.take(invite, 486)
            await alice.shows("messages", "This user is busy.")
            await dials(alice, "+49 (30) 123-45")
            await alice.shows("with", "+493012345@example.test")
            await alice.shows("messages", "There is no such user.")
            await dials(alice, "bob; transport=udp")
            await alice.shows("target-error", "Write a name")
        await left(alice)

    runner.run(play())


def test_call_is_held_and_goes_on(place: Place, runner: asyncio.Runner) -> None:
    """Each side sees that the other holds."""

    async def play() -> None:
        alice, bob = await talking(place)
        await alice.press("hold")
        await alice.shows("call-state", "On hold")
        await bob.shows("call-state", "The other side has put you on hold")
        await alice.press("hold")
        await bob.shows("call-state", "Connected")
        figures = await bob.media(PACKETS)
        assert has_audio(figures), figures
        await bob.press("hang-up")
        await alice.until("document.getElementById('call').hidden")
        await left(alice, bob)

    runner.run(play())


def test_keys_are_sent_as_events_in_the_audio(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice, bob = await talking(place)
        sent = "connections.at(-1).getSenders()[0].dtmf"
        await alice.evaluate(
            f"window.keys = '', {sent}.addEventListener('tonechange', (e) => (keys += e.tone)), undefined"
        )
        await alice.press("keypad-open")
        for key in "1#":
            await alice.evaluate(f"document.querySelector('[data-key=\"{key}\"]').click(), undefined")
        await alice.until("keys === '1#'")
        assert await alice.text("pressed") == "1#"
        await alice.press("hang-up")
        await bob.until("document.getElementById('call').hidden")
        await left(alice, bob)

    runner.run(play())


def test_second_call_waits_and_both_are_swapped(place: Place, runner: asyncio.Runner) -> None:
    """A third caller hears that the user is busy. When the call that is shown ends, the other one is there, still on hold."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with (
            await other_side(place[0], BOB) as bob,
            await other_side(place[0], CAROL) as carol,
            await other_side(place[0], GINA) as gina,
        ):
            first = await takes_call(alice, bob)
            await speaks(alice, BOB)
            calling = asyncio.create_task(carol.call(f"sip:{ALICE}", webrtc=True))
            await alice.shows("incoming", CAROL)
            assert await alice.evaluate(TITLE) == f"{CAROL} calls"
            await alice.press("answer")
            held = await bob.wait("INVITE")
            assert b"a=sendonly" in held.body or b"a=inactive" in held.body
            await bob.take(held)
            second = await calling
            await speaks(alice, CAROL)
            assert await alice.evaluate(TITLE) == "Web phone"
            await alice.shows("parked", BOB)
            invite = gina.invite(f"sip:{ALICE}", webrtc=True)
            await gina.send(invite)
            assert (await gina.outcome(invite)).status == 486
            await alice.press("swap")
            await carol.take(await carol.wait("INVITE"))
            await bob.take(await bob.wait("INVITE"))
            await speaks(alice, BOB)
            await bob.end(first)
            await alice.shows("call-state", "On hold")
            assert await alice.evaluate(WHO) == CAROL
            await carol.end(second)
            await alice.until("document.getElementById('call').hidden")
        await left(alice)

    runner.run(play())


def test_user_sends_the_other_side_to_a_third_one(place: Place, runner: asyncio.Runner) -> None:
    """Alice transfers bob to carol: he agrees, and the call of alice ends once carol has answered."""

    async def play() -> None:
        carol = await logged_in(place, CAROL)
        alice, bob = await talking(place)
        await alice.press("transfer-open")
        await alice.fill("transfer-to", "carol")
        await alice.submit("transfer-form")
        await bob.shows("question", f"{ALICE} asks you to leave this call, and to call {CAROL}.")
        await bob.press("agree")
        await carol.shows("incoming", BOB)
        await carol.press("answer")
        await bob.shows("call-proof", ANSWERED)
        await alice.until("document.getElementById('call').hidden")
        figures = await carol.media(PACKETS)
        assert has_audio(figures), figures
        await carol.press("hang-up")
        await bob.until("document.getElementById('call').hidden")
        await left(alice, bob, carol)

    runner.run(play())


def test_call_goes_on_if_the_other_side_stays(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice, bob = await talking(place)
        await alice.press("transfer-open")
        await alice.fill("transfer-to", "carol")
        await alice.submit("transfer-form")
        await bob.shows("question", CAROL)
        await bob.press("refuse")
        await alice.shows("messages", "The transfer did not work. The call goes on.")
        await speaks(alice, BOB)
        await alice.press("hang-up")
        await bob.until("document.getElementById('call').hidden")
        await left(alice, bob)

    runner.run(play())


@pytest.mark.parametrize("calls_first", [True, False], ids=["caller", "callee"])
def test_user_connects_both_other_sides(place: Place, runner: asyncio.Runner, *, calls_first: bool) -> None:
    """An attended transfer: bob takes the place of alice at carol. Either of them may have called."""

    async def play() -> None:
        carol = await logged_in(place, CAROL)
        alice, bob = await talking(place)
        if calls_first:
            await dials(alice, "carol")
            await carol.shows("incoming", ALICE)
            await carol.press("answer")
        else:
            await dials(carol, "alice")
            await alice.shows("incoming", CAROL)
            await alice.press("answer")
        await speaks(alice, CAROL)
        await alice.press("connect")
        await bob.shows("question", CAROL)
        await bob.press("agree")
        await carol.shows("question", "wants to take the place of")
        await carol.press("agree")
        for page, other in ((bob, CAROL), (carol, BOB)):
            await speaks(page, other)
        await alice.until("document.getElementById('call').hidden && document.getElementById('parked').hidden")
        figures = await carol.media(PACKETS)
        assert has_audio(figures), figures
        await bob.press("hang-up")
        await carol.until("document.getElementById('call').hidden")
        await left(alice, bob, carol)

    runner.run(play())


def test_calls_are_kept_over_a_reload_and_missed_calls_are_counted(
    place: Place, runner: asyncio.Runner, tmp_path: Path
) -> None:
    """A call that another device has answered is not missed. The user clears the list, and nothing is left in the browser."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        await confirms(alice, "clear-calls")
        async with await other_side(place[0], BOB) as bob:
            dialog = await takes_call(alice, bob)
            await speaks(alice, BOB)
            await bob.end(dialog)
            await alice.until("document.getElementById('call').hidden")
            missed = bob.invite(f"sip:{ALICE}", webrtc=True)
            await bob.send(missed)
            await alice.shows("incoming", BOB)
            async with await at_phone(place[0], ALICE) as mobile:
                again = bob.invite(f"sip:{ALICE}", webrtc=True)
                await bob.send(again)  # the page rings already, and answers this one with 486
                ringing = await mobile.request_in("INVITE")
                await mobile.reply(ringing, 486)
            await bob.send(cancel_for(missed))
            await alice.until("document.getElementById('incoming').hidden")
        await alice.until("document.querySelectorAll('#calls li').length === 3")
        assert await alice.text("missed") == "2"
        await alice.press("log-out")
        await alice.go(await alice.evaluate("location.href"))
        await alice.log_in(ALICE, "alice-secret")
        await alice.shows("phone", ALICE)
        await alice.press("tab-calls")
        await alice.shows("list-calls", BOB)
        await alice.resize(1280, 800)
        await alice.picture(tmp_path / "calls.png")
        kinds = "[...document.querySelectorAll('#calls button')].map(button => button.className)"
        assert await alice.evaluate(kinds) == ["missed", "missed", "in"]
        await confirms(alice, "clear-calls")
        await alice.shows("no-calls")
        assert await alice.evaluate("localStorage.getItem('sipmesh-calls alice@example.test')") is None
        await left(alice)

    runner.run(play())


def test_others_see_what_the_user_says_of_itself(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
        await bob.add_contact("alice")
        await bob.sees(ALICE, "open")
        for choice, shown in (("busy", "available: Busy"), ("available", "available"), ("away", "Away")):
            choose = f"const c = document.getElementById('presence'); c.value = {choice!r}; c.onchange();"
            await alice.evaluate(f"(() => {{ {choose} }})()")
            look = f"document.querySelector('[data-address=\"{ALICE}\"] .state').innerText"
            await bob.until(
                f"{look}.includes({shown!r}) && ({look}.includes(':') === {shown != 'available'})".replace(
                    "True", "true"
                ).replace("False", "false")
            )
        await alice.evaluate(
            "(() => { const c = document.getElementById('presence'); c.value = 'available'; c.onchange(); })()"
        )
        await left(alice, bob)

    runner.run(play())


def test_user_calls_without_a_name(place: Place, runner: asyncio.Runner) -> None:
    """The receiver sees neither address nor name; without the tick it sees both."""

    async def play() -> None:
        alice, bob = await logged_in(place, ALICE), await logged_in(place, BOB, FE2)
        for hidden, shown in ((True, "Hidden caller"), (False, ALICE)):
            await alice.evaluate(f"document.getElementById('hide').checked = {json.dumps(hidden)}, undefined")
            await dials(alice, "bob")
            await bob.shows("incoming", shown)
            assert ("alice" in await bob.text("incoming")) is not hidden
            await bob.press("answer")
            await bob.shows("call-state", "Connected")
            await alice.press("hang-up")
            await bob.until("document.getElementById('call').hidden")
        await left(alice, bob)

    runner.run(play())


def test_message_for_a_user_who_is_away_is_said_to_be_stored(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice = await logged_in(place, ALICE)
        await alice.add_contact("carol")
        await alice.choose(CAROL)
        await alice.write("for later")
        await alice.shows("messages", "Stored: it is delivered when the other side logs in.")
        async with await at_phone(place[0], CAROL) as carol:
            message = await carol.request_in("MESSAGE")
            assert message.body == b"for later"
            await carol.send(respond(message, 200, to_tag=carol.tag))
        async with await at_phone(place[0], BOB) as bob:
            await alice.add_contact("bob")
            await alice.choose(BOB)
            await alice.write("for now")
            message = await bob.request_in("MESSAGE")
            await bob.send(respond(message, 200, to_tag=bob.tag))
            await alice.shows("messages", "for now")
            assert "Stored" not in await alice.text("messages")
        await left(alice)

    runner.run(play())


def test_user_changes_the_microphone_in_a_call(place: Place, runner: asyncio.Runner) -> None:
    """The track of the call is that of the microphone that was chosen; muted stays muted."""

    async def play() -> None:
        alice = await logged_in(place, ALICE)
        async with await other_side(place[0], BOB) as bob:
            dialog = await takes_call(alice, bob)
            await speaks(alice, BOB)
            await alice.press("mute")
            await alice.until("document.getElementById('microphone').options.length > 1")
            field = "document.getElementById('microphone')"
            chosen = await alice.evaluate(f"(m => (m.selectedIndex = 1, m.onchange(), m.value))({field})")
            track = "connections.at(-1).getSenders()[0].track"
            await alice.until(f"{track}.getSettings().deviceId === {json.dumps(chosen)}")
            assert await alice.evaluate(f"{track}.enabled") is False
            assert json.loads(await alice.evaluate("localStorage.getItem('sipmesh-devices')"))["microphone"] == chosen
            await bob.end(dialog)
            await alice.until("document.getElementById('call').hidden")
        await left(alice)

    runner.run(play())


def test_browser_keeps_nothing_that_the_user_has_forgotten(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice = await logged_in(place, ALICE)
        await alice.add_contact("bob")
        await dials(alice, "nobody")
        await alice.shows("messages", "There is no such user.")
        assert await alice.evaluate("localStorage.length") > 0
        await alice.press("settings-open")
        await alice.press("forget")
        await alice.press("confirm-yes")
        await alice.until("localStorage.length === 0")
        assert await alice.evaluate("document.querySelectorAll('#contacts li, #calls li').length") == 0
        await left(alice)

    runner.run(play())


def test_page_asks_before_it_is_left_in_a_call(place: Place, runner: asyncio.Runner) -> None:
    async def play() -> None:
        alice = await logged_in(place, ALICE)
        asks = "(e => (dispatchEvent(e), e.defaultPrevented))(new Event('beforeunload', {cancelable: true}))"
        assert await alice.evaluate(asks) is False
        async with await other_side(place[0], BOB) as bob:
            dialog = await takes_call(alice, bob)
            await speaks(alice, BOB)
            assert await alice.evaluate(asks) is True
            await bob.end(dialog)
            await alice.until("document.getElementById('call').hidden")
        assert await alice.evaluate(asks) is False
        await left(alice)

    runner.run(play())


@pytest.mark.parametrize("width", [400, 1280])
def test_call_with_keypad_and_a_second_call_fits_the_window(
    place: Place, runner: asyncio.Runner, tmp_path: Path, width: int
) -> None:
    async def play() -> None:
        alice = await logged_in(place, ALICE)
        await alice.resize(width, 900, dark=width == 400)
        async with await other_side(place[0], BOB) as bob, await other_side(place[0], CAROL) as carol:
            await takes_call(alice, bob)
            await speaks(alice, BOB)
            calling = asyncio.create_task(carol.call(f"sip:{ALICE}", webrtc=True))
            await alice.shows("incoming", CAROL)
            await alice.picture(tmp_path / f"waiting-{width}.png")
            await alice.press("answer")
            await bob.take(await bob.wait("INVITE"))
            await calling
            await speaks(alice, CAROL)
            for button in ("keypad-open", "transfer-open", "settings-open", "tab-calls"):
                await alice.press(button)
            await alice.picture(tmp_path / f"call-{width}.png")
            assert await alice.evaluate("document.documentElement.scrollWidth") <= width
            await alice.press("hang-up")
            await carol.take(await carol.wait("BYE"))
            await alice.press("hang-up")
            await bob.take(await bob.wait("BYE"))
        await left(alice)

    runner.run(play())
