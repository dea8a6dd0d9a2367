"""The features of the matrix: each is a scenario that a phone plays with another side whose every message is checked.

A scenario returns what was seen, in a few words. It fails if something else was seen.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from interop.matrix.device import LOOK_AGAIN_S, Device, NotOfferedError
from interop.matrix.other_side import OtherSide
from interop.matrix.stage import NUMBER, WRONG_NAME, Stage
from sipmesh.demo.network import EDGE, EXAMPLE, FE1, FE2, PARTNER, PARTNER_FE
from sipmesh.server.admin.replies import CLIENT_REFUSALS, USER
from sipmesh.sip.message import Request
from support.talking import inside_of

Scenario = Callable[[Stage, str], Awaitable[str]]
ALICE, BOB, ERIN = f"sip:alice@{EXAMPLE}", f"sip:bob@{EXAMPLE}", f"sip:erin@{PARTNER}"
FEATURES: dict[str, Scenario] = {}
HIDDEN = "<sip:anonymous@anonymous.invalid>;tag=hidden"
SECOND = timedelta(seconds=1)
PIDF = (
    b'<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="%s"><tuple id="x"><status><basic>open'
    b"</basic></status></tuple></presence>"
)


def feature(name: str) -> Callable[[Scenario], Scenario]:
    """Add a scenario to the matrix under its *name*."""

    def add(scenario: Scenario) -> Scenario:
        FEATURES[name] = scenario
        return scenario

    return add


def address(stage: Stage, make: str) -> str:
    """The address of the phone's user."""
    return f"sip:{stage.user(make)}@{EXAMPLE}"


# Registration


@feature("version")
async def says_what_it_is(stage: Stage, make: str) -> str:
    """As its User-Agent has it, or the phone itself says."""
    async with stage.phone(make) as phone:
        found = await stage.registered(make)
        return await phone.version() or found.user_agent


@feature("register")
async def registers(stage: Stage, make: str) -> str:
    """It logs in; the cell has the version of TLS and the digest algorithm."""
    async with stage.phone(make):
        found = await stage.registered(make)
    assert found.tls is not None
    return f"{found.tls.version}, {found.digest}"


@feature("refresh")
async def refreshes(stage: Stage, make: str) -> str:
    """It registers again by itself before its registration ends."""
    async with stage.phone(make, expires_s=60):
        first = await stage.registered(make)
        ends = first.expires
        assert ends is not None
        second = await stage.until(lambda rows: bool(rows) and (rows[0].expires or ends) - ends > SECOND, make)
        assert second.link == first.link
    return "yes"


@feature("wrong password is explained")
async def fails_to_log_in(stage: Stage, make: str) -> str:
    """`sipmesh explain USER` names the reason."""
    user = stage.locked_out(make)
    async with stage.phone(make, user=user, password="wrong"):
        while not (found := await stage.network.result_of(USER, FE1, user=f"sip:{user}@{EXAMPLE}")).failures:
            await asyncio.sleep(LOOK_AGAIN_S)
    assert found.failures[0].class_ == "wrong-password"
    return found.failures[0].flaw


@feature("de-register")
async def ends_its_registration(stage: Stage, make: str) -> str:
    """It ends its registration."""
    async with stage.phone(make) as phone:
        await stage.registered(make)
        await phone.unregister()
        await stage.gone(make)
    return "yes"


@feature("outbound (RFC 5626)")
async def has_a_flow(stage: Stage, make: str) -> str:
    """It registers with `reg-id`, and the answer tells it the Flow-Timer."""
    async with stage.phone(make, outbound=True) as phone:
        await stage.registered(make)
        if "reg-id=" not in sent_register(await phone.trace()):
            raise NotOfferedError
        await phone.shows("Flow-Timer: 60")
    return "yes"


@feature("GRUU (RFC 5627)")
async def is_reached_by_its_gruu(stage: Stage, make: str) -> str:
    """It asks for a GRUU, and a request to it arrives."""
    async with stage.phone(make, outbound=True) as phone, stage.other() as alice:
        await stage.registered(make)
        register = sent_register(await phone.trace())
        if "gruu" not in register or "+sip.instance" not in register:
            raise NotOfferedError
        await phone.shows("pub-gruu=")
        found = re.search(r'pub-gruu="([^"]+)"', await phone.trace())
        assert found is not None
        asked = alice.request("OPTIONS", found[1])
        await alice.send(asked)
        return str((await alice.outcome(asked)).status)


@feature("second flow, when a server dies")
async def is_reached_by_its_second_flow(stage: Stage, make: str) -> str:
    """It registers at both front ends; one is killed, and the phone is called and hangs up."""
    async with stage.phone(make, outbound=True, second=FE2) as phone, stage.other() as alice:
        await stage.registered(make, FE1)
        await stage.registered(make, FE2)
        await stage.kill(FE1)
        try:
            await takes_a_call(stage, make, phone, alice)
        finally:
            await stage.network.start(FE1)
    return "yes"


def sent_register(trace: str) -> str:
    """Give the first REGISTER in the messages of a phone."""
    return re.split(r"\r?\n\r?\n", trace[trace.index("REGISTER sip:") :])[0]


# Calls


async def called_by(stage: Stage, make: str, user: str, server: str, uri: str) -> None:
    """The phone calls *uri*, and the other side hangs up."""
    async with stage.phone(make) as phone, stage.other(user, server) as other:
        await stage.registered(make)
        await phone.call(uri)
        await other.end(await other.called())


async def takes_a_call(stage: Stage, make: str, phone: Device, other: OtherSide) -> None:
    """The other side calls the phone, and the phone hangs up."""
    before = (await phone.trace()).count("ACK sip:")
    await other.call(address(stage, make), webrtc=phone.webrtc)
    while (await phone.trace()).count("ACK sip:") <= before:
        await asyncio.sleep(LOOK_AGAIN_S)
    await phone.hang_up()
    await other.take(await other.wait("BYE"))


@feature("call out")
async def calls(stage: Stage, make: str) -> str:
    """Across two front ends."""
    await called_by(stage, make, "alice", FE2, ALICE)
    return "yes"


@feature("call in")
async def is_called(stage: Stage, make: str) -> str:
    """Across two front ends."""
    async with stage.phone(make) as phone, stage.other() as alice:
        await stage.registered(make)
        await takes_a_call(stage, make, phone, alice)
    return "yes"


@feature("hold and resume")
async def holds(stage: Stage, make: str) -> str:
    """Each is an offer inside the call; the direction is in its SDP."""
    async with stage.phone(make) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.call(ALICE)
        dialog = await alice.called()
        await phone.shows("ACK sip:")
        await phone.hold()
        held = await offer(alice)
        assert b"a=sendonly" in held.body or b"a=inactive" in held.body
        await phone.resume()
        resumed = await offer(alice)
        assert b"a=sendonly" not in resumed.body
        await alice.end(dialog)
    return "sendonly" if b"a=sendonly" in held.body else "inactive"


async def offer(other: OtherSide) -> Request:
    """Wait for a re-INVITE, and answer it."""
    asked = await other.wait("INVITE")
    await other.take(asked)
    await other.wait("ACK")
    return asked


@feature("DTMF by INFO")
async def sends_a_digit(stage: Stage, make: str) -> str:
    """The INFO has the digit."""
    async with stage.phone(make) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.call(ALICE)
        dialog = await alice.called()
        await phone.shows("ACK sip:")
        await phone.dtmf("5")
        info = await alice.wait("INFO")
        await alice.take(info)
        assert b"5" in info.body
        await alice.end(dialog)
    return str(info.first("content-type"))


@feature("blind transfer")
async def transfers(stage: Stage, make: str) -> str:
    """It sends REFER, and gets the NOTIFY about it."""
    async with stage.phone(make) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.call(ALICE)
        dialog = await alice.called()
        await phone.shows("ACK sip:")
        await phone.transfer(BOB)
        refer = await alice.wait("REFER")
        assert "bob@" in str(refer.first("refer-to"))
        await alice.take(refer, 202)
        told = with_sipfrag(inside_of(dialog, alice, "NOTIFY"))
        await alice.send(told)
        return f"NOTIFY {(await alice.outcome(told)).status}"


def with_sipfrag(notify: Request) -> Request:
    """Let a NOTIFY say that the transfer has succeeded."""
    notify.append("event", "refer")
    notify.append("subscription-state", "terminated;reason=noresource")
    notify.append("content-type", "message/sipfrag")
    notify.body = b"SIP/2.0 200 OK\r\n"
    notify.replace("content-length", str(len(notify.body)))
    return notify


@feature("is transferred")
async def follows_a_transfer(stage: Stage, make: str) -> str:
    """The other side sends REFER; the phone calls the third."""
    async with stage.phone(make) as phone, stage.other() as alice, stage.other("bob", FE1) as bob:
        await stage.registered(make)
        await phone.call(ALICE)
        dialog = await alice.called()
        await phone.shows("ACK sip:")
        refer = inside_of(dialog, alice, "REFER")
        refer.append("refer-to", f"<{BOB}>")
        await alice.send(refer)
        status = (await alice.outcome(refer)).status
        if status >= 300:
            raise NotOfferedError(f"REFER gets {status}")
        await bob.end(await bob.called())
    return "yes"


@feature("attended transfer")
async def connects_its_calls(stage: Stage, make: str) -> str:
    """Two calls; REFER with Replaces, whose target is the Contact of the third (or its address)."""
    async with stage.phone(make) as phone, stage.other() as alice, stage.other("bob", FE1) as bob:
        await stage.registered(make)
        await phone.call(ALICE)
        await alice.called()
        await phone.shows("ACK sip:")
        await phone.hold()
        await offer(alice)
        await phone.call(BOB)
        held = await bob.called()
        await phone.shows(f"Call-ID: {held.call_id}")
        await phone.connect_calls()
        refer = await alice.wait("REFER")
        assert "Replaces=" in str(refer.first("refer-to")), refer.first("refer-to")
        await alice.take(refer, 202)
        target = str(refer.first("refer-to")).partition("<")[2].partition("?")[0].partition(">")[0]
        probe = alice.request("OPTIONS", target)
        await alice.send(probe)
        await bob.take(await bob.wait("OPTIONS"))
        return f"target {(await alice.outcome(probe)).status}"


@feature("attended transfer of three phones")
async def connects_two_phones(stage: Stage, make: str) -> str:
    """It calls two phones of its make and connects them: the first calls the second with Replaces, and they hear each other.

    The second ends the call that is replaced.
    """
    if make == "baresip":
        raise NotOfferedError
    async with (
        stage.phone(make) as phone,
        stage.phone(make, user="alice") as first,
        stage.phone(make, user="bob") as second,
    ):
        for user in (stage.user(make), "alice", "bob"):
            await stage.is_there(user)
        await phone.call(ALICE)
        await first.shows("ACK sip:")
        await phone.hold()
        await first.shows("ACK sip:", 2)
        await phone.call(BOB)
        await second.shows("ACK sip:")
        await phone.connect_calls()
        await second.shows("Replaces: ")
        await second.shows("BYE sip:")
        for one in (first, second):
            await one.talk()
        for one in (first, second):
            await one.hears()
        await first.hang_up()
    return "yes"


@feature("two devices ring, one answers")
async def stops_ringing(stage: Stage, make: str) -> str:
    """The phone rings; another device of its user takes the call; the phone gets CANCEL and answers 487."""
    user = stage.user(make)
    async with stage.phone(make, answers=False) as phone, stage.other(user) as second, stage.other() as alice:
        await stage.registered(make)
        invite = alice.invite(address(stage, make), webrtc=phone.webrtc)
        await alice.send(invite)
        forked = await second.wait("INVITE")
        await phone.shows(" 180 ")
        await second.take(forked)
        assert (await alice.outcome(invite)).status == 200
        await phone.shows("SIP/2.0 487")
        await phone.shows("CANCEL sip:")
    return "yes"


@feature("caller gives up")
async def gives_up(stage: Stage, make: str) -> str:
    """The phone hangs up while the other side rings: CANCEL."""
    async with stage.phone(make) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.call(ALICE)
        invite = await alice.wait("INVITE")
        await alice.take(invite, 180)
        await phone.shows("SIP/2.0 180")
        await phone.hang_up()
        await alice.take(await alice.wait("CANCEL"))
        await alice.take(invite, 487)
        await alice.wait("ACK")
    return "yes"


@feature("call with a hidden number")
async def hides(stage: Stage, make: str) -> str:
    """The callee sees no name of the caller."""
    async with stage.phone(make, hidden=True) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.call_hidden(ALICE)
        invite = await alice.wait("INVITE")
        await alice.take(invite, 603)
    assert not invite.has("p-asserted-identity")
    assert "anonymous" in str(invite.first("from"))
    assert stage.user(make).encode() not in invite.encode(), invite.encode().decode()
    return "yes"


@feature("hidden caller calls in")
async def is_called_by_nobody(stage: Stage, make: str) -> str:
    """The phone takes the call, and ends it."""
    async with stage.phone(make) as phone, stage.other() as alice:
        await stage.registered(make)
        await alice.call(address(stage, make), webrtc=phone.webrtc, sender=HIDDEN)
        await phone.shows("ACK sip:")
        await phone.hang_up()
        await alice.take(await alice.wait("BYE"))
        assert "alice@" not in await phone.trace()
    return "yes"


@feature("call to a number")
async def dials_a_number(stage: Stage, make: str) -> str:
    """`sip:+49...;user=phone`, with separators as people dial them."""
    await called_by(stage, make, "alice", FE2, f"sip:+49-30-555@{EXAMPLE};user=phone")
    return NUMBER


@feature("call to a tel: URI")
async def dials_a_tel_uri(stage: Stage, make: str) -> str:
    """`tel:+49...`."""
    async with stage.phone(make) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.call(f"tel:{NUMBER}")
        await phone.shows("INVITE ")
        if not re.search(r"INVITE tel:", await phone.trace()):
            raise NotOfferedError
        await alice.end(await alice.called())
    return "yes"


# Messages and events


@feature("MESSAGE out and in")
async def writes(stage: Stage, make: str) -> str:
    """Across two front ends, in both directions."""
    async with stage.phone(make, friend=ALICE) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.message(ALICE, "from-a-phone")
        message = await written(alice)
        assert message.body == b"from-a-phone", message.body
        status = await write(alice, address(stage, make), b"to-a-phone")
        await phone.shows("to-a-phone")
    return str(status)


async def written(other: OtherSide) -> Request:
    """Wait for a message with text; a message that says that a user is typing is passed over."""
    while True:
        message = await other.wait("MESSAGE")
        await other.take(message)
        if str(message.first("content-type")).startswith("text/plain"):
            return message


async def write(other: OtherSide, uri: str, text: bytes) -> int:
    """Write to a user; gives the status of the answer."""
    message = other.request("MESSAGE", uri, [("content-type", "text/plain")], text)
    await other.send(message)
    return (await other.outcome(message)).status


@feature("MESSAGE while it is off")
async def gets_what_has_waited(stage: Stage, make: str) -> str:
    """202 to the sender, and the message at the next login."""
    await stage.gone(make)
    async with stage.other() as alice:
        status = await write(alice, address(stage, make), b"has-waited")
        assert status == 202, status
        async with stage.phone(make) as phone:
            await phone.shows("has-waited")
    return "yes"


@feature("watches presence")
async def watches(stage: Stage, make: str) -> str:
    """SUBSCRIBE; the NOTIFY has what the other side publishes."""
    async with stage.other() as alice:
        await publish(alice, ALICE)
        async with stage.phone(make, watches=True, friend=ALICE) as phone:
            await stage.registered(make)
            await sees(phone, ALICE)
    return "yes"


async def publish(other: OtherSide, uri: str) -> None:
    """Let the other side, which is *uri*, publish that it is there."""
    headers = [("event", "presence"), ("expires", "600"), ("content-type", "application/pidf+xml")]
    published = other.request("PUBLISH", uri, headers, PIDF % uri.encode())
    await other.send(published)
    assert (await other.outcome(published)).status == 200


async def sees(phone: Device, uri: str) -> None:
    """Let the phone watch *uri*, and wait until it hears that this user is there."""
    await phone.watch(uri)
    await phone.shows("NOTIFY sip:")
    await phone.shows("<basic>open")


@feature("publishes presence")
async def publishes(stage: Stage, make: str) -> str:
    """PUBLISH; the other side sees it."""
    async with stage.phone(make, watches=True) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.publish()
        await is_seen(alice, address(stage, make))
    return "yes"


async def is_seen(other: OtherSide, uri: str) -> None:
    """Let the other side watch *uri*, and wait until it hears that this user is there."""
    headers = [("event", "presence"), ("expires", "600"), ("accept", "application/pidf+xml")]
    await other.send(other.request("SUBSCRIBE", uri, headers))
    while b"open" not in (notify := await other.wait("NOTIFY")).body:
        await other.take(notify)
    await other.take(notify)


@feature("presence across the federation")
async def watches_a_partner(stage: Stage, make: str) -> str:
    """It watches a user of the partner, who watches it; both organisations allow that. A user is there once it has registered."""
    async with stage.other("erin", PARTNER_FE) as erin:
        await publish(erin, ERIN)
        async with stage.phone(make, watches=True, friend=ERIN) as phone:
            await stage.registered(make)
            await sees(phone, ERIN)
            await is_seen(erin, address(stage, make))
    return "yes"


@feature("message waiting")
async def asks_for_waiting_messages(stage: Stage, make: str) -> str:
    """SUBSCRIBE to message-summary; the NOTIFY is answered with 200."""
    async with stage.phone(make, watches=True) as phone:
        await stage.registered(make)
        await phone.ask_waiting()
        await phone.shows("Messages-Waiting: ")
    return "yes"


@feature("reg event (RFC 3680)")
async def watches_registrations(stage: Stage, make: str) -> str:
    """SUBSCRIBE to the user's own registrations."""
    async with stage.phone(make) as phone:
        await stage.registered(make)
        await phone.watch_registrations()
        await phone.shows("<reginfo")
    return "yes"


@feature("OPTIONS in")
async def is_asked(stage: Stage, make: str) -> str:
    """The phone answers."""
    async with stage.phone(make), stage.other() as alice:
        await stage.registered(make)
        asked = alice.request("OPTIONS", address(stage, make))
        await alice.send(asked)
        return str((await alice.outcome(asked)).status)


@feature("OPTIONS out")
async def asks(stage: Stage, make: str) -> str:
    """The other side gets it, and the phone the answer."""
    async with stage.phone(make) as phone, stage.other() as alice:
        await stage.registered(make)
        await phone.options(ALICE)
        await alice.take(await alice.wait("OPTIONS"))
    return "yes"


# Where it is


@feature("remote user at an edge")
async def is_outside(stage: Stage, make: str) -> str:
    """It logs in at the client port of the edge, calls, and is called."""
    async with stage.phone(make, EDGE) as phone, stage.other() as alice:
        await stage.registered(make, EDGE)
        await phone.call(ALICE)
        await alice.end(await alice.called())
        await takes_a_call(stage, make, phone, alice)
    return "yes"


@feature("calls across the federation")
async def calls_a_partner(stage: Stage, make: str) -> str:
    """It calls a user of the partner, and is called."""
    async with stage.phone(make) as phone, stage.other("erin", PARTNER_FE) as erin:
        await stage.registered(make)
        await phone.call(ERIN)
        await erin.end(await erin.called())
        await takes_a_call(stage, make, phone, erin)
    return "yes"


# Security


@feature("media in the clear is refused")
async def may_not_talk_in_the_clear(stage: Stage, make: str) -> str:
    """Its offer without encryption gets 488."""
    if stage.is_page(make):
        raise NotOfferedError("always encrypted")
    async with stage.phone(make, secure=False) as phone, stage.other():
        await stage.registered(make)
        await phone.call(ALICE)
        await phone.shows("SIP/2.0 488")
        await phone.shows("m=audio")
    return "488"


async def refused(stage: Stage, make: str, **settings: object) -> str:
    """The phone closes the link: gives the reason that the server has seen."""
    before = len(await refusals(stage))
    async with stage.phone(make, **settings):  # type: ignore[arg-type]
        while len(found := await refusals(stage)) <= before:
            await asyncio.sleep(LOOK_AGAIN_S)
        assert not await stage.bindings(make)
    return found[0]


async def refusals(stage: Stage) -> list[str]:
    """What front end 1 has seen of phones that failed before they said anything, newest first."""
    found = await stage.network.result_of(CLIENT_REFUSALS, FE1)
    return [row.reason for row in found for _ in range(row.count)]


@feature("refuses a server with another name")
async def checks_the_name(stage: Stage, make: str) -> str:
    """DNS leads another name to the front end."""
    return await refused(stage, make, name=WRONG_NAME)


@feature("refuses a server of another CA")
async def checks_the_chain(stage: Stage, make: str) -> str:
    """The phone trusts another root."""
    if stage.is_page(make):
        return await refused(stage, make, name=FE1)  # under this name, the certificate is of our CA
    return await refused(stage, make, anchor=stage.network.partner.root)


@feature("server given by its IP address")
async def connects_to_an_address(stage: Stage, make: str) -> str:
    """Front end 1 has a certificate of our CA with the address, and front end 2 one of the public CA."""
    server = FE2 if stage.is_page(make) else FE1
    async with stage.phone(make, server, name="127.0.0.1"):
        await stage.registered(make, server)
    return "yes"


@feature("phone that supports RSA only")
async def meets_rsa(stage: Stage, make: str) -> str:
    """Front end 2 has a certificate with an RSA key beside its own."""
    if stage.is_page(make):
        raise NotOfferedError
    async with stage.phone(make, FE2, rsa_only=True):
        found = await stage.registered(make, FE2)
    assert found.tls is not None
    return str(found.tls.cipher)
