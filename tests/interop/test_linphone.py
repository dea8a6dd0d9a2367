"""linphone, another real phone: everything that it sends outside a dialog carries a preloaded Route that names its server."""

from __future__ import annotations

import asyncio

import pytest

from interop.baresip import Baresip
from interop.hosts_file import require_namespaces
from interop.linphone import Linphone
from interop.phones import phone
from sipmesh.client.dialog import Dialog
from sipmesh.demo.network import FE1, FE2, PARTNER_FE, DemoNetwork
from sipmesh.demo.ports import HOST
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES
from support.peer import Peer
from support.running import until
from support.talking import inside_of
from support.tiers import wide_after

pytestmark = pytest.mark.peer("baresip", "linphone")

COMPOSING = (
    b'<?xml version="1.0" encoding="UTF-8"?><isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">'
    b"<state>active</state><refresh>60</refresh></isComposing>"
)
TEXT = ("content-type", "text/plain")


@pytest.fixture(scope="module", autouse=True)
def _hosts_of_its_own() -> None:
    require_namespaces()


def linphone(network: DemoNetwork) -> Linphone:
    """A phone of dora's at the first front end."""
    example = network.example
    server = f"{FE1}:{example.ports[FE1][LinkKind.CLIENT]}"
    folder = network.folder / f"l{len(list(network.folder.iterdir()))}"
    return Linphone(folder, "dora", "dora-secret", example.domain, server, anchor=example.root)


async def talking(dora: Linphone, other: Baresip) -> None:
    """Wait until both have the call and media runs, which is SRTP or nothing."""
    await other.event("CALL_ESTABLISHED")
    await dora.says("LinphoneCallStreamsRunning", "call-status")


async def paused(dora: Linphone, other: Baresip) -> None:
    """Hold and resume: a re-INVITE each."""
    for command, state in (("call-pause", "LinphoneCallPaused"), ("call-resume", "LinphoneCallStreamsRunning")):
        other.events.clear()
        await dora.command(f"{command} 1")
        await other.event("CALL_REMOTE_SDP")
        await dora.says(f"State: {state}\n", "call-status 1")


@pytest.mark.parametrize(
    ("user", "server"), wide_after(1, [("emil", FE2), ("fritz", PARTNER_FE)]), ids=["ours", "a partner"]
)
@pytest.mark.wide
def test_it_calls_and_is_called_and_both_sides_hang_up(
    network: DemoNetwork, runner: asyncio.Runner, user: str, server: str
) -> None:
    dora, other = linphone(network), phone(network, user, server, records=False)

    async def play() -> None:
        async with dora, other:
            await other.registered()
            await dora.registered()
            await dora.command(f"call sip:{other.user}@{other.domain}")
            await talking(dora, other)
            await paused(dora, other)
            await dora.command("terminate")
            await other.event("CALL_CLOSED")
            await other.command("dial", "sip:dora@example.test")
            await talking(dora, other)
            await other.command("hangup")
            await dora.says("No current call", "call-status")

    runner.run(play())
    invite = dora.log.index("\nINVITE sip:")
    assert f"\nRoute: <sip:{FE1}:" in dora.log[invite : dora.log.index("\n\n", invite)].replace("\r", "")


@pytest.mark.parametrize("kind", ["linphone", "baresip"])
def test_contact_of_a_call_is_an_address_to_which_another_user_may_be_transferred(
    network: DemoNetwork, runner: asyncio.Runner, kind: str
) -> None:
    """Linphone writes the GRUU there that it has got, and baresip the Contact that it has registered, with another port."""
    phone_ = linphone(network) if kind == "linphone" else phone(network, "emil", FE1, records=False)

    async def play() -> str:
        async with phone_, await user_of(network, "alice") as alice, await user_of(network, "bob") as bob:
            await phone_.registered()
            described = [("content-type", "application/sdp")]
            invite = alice.request("INVITE", f"sip:{phone_.user}@example.test", described, SDES)
            await alice.send(invite)
            answer = await alice.final()
            assert answer.status == 200
            dialog = Dialog.of_caller(invite, answer)
            assert (await bob.ask(bob.request("OPTIONS", dialog.target))).status == 200
            for method in ("ACK", "BYE"):
                await alice.send(inside_of(dialog, alice, method))
            assert (await alice.final(method="BYE")).status == 200
            return dialog.target

    target = runner.run(play())
    assert (";gr=urn:uuid:" in target) is (kind == "linphone")


async def user_of(network: DemoNetwork, user: str) -> Peer:
    """A peer that has registered *user* at the first front end."""
    peer = await Peer.open((HOST, network.example.ports[FE1][LinkKind.CLIENT]), f"{user}@example.test")
    assert (await peer.register()).status == 200
    return peer


async def receipt_at(alice: Peer) -> Request:
    """Wait for a receipt of linphone; the answer to what alice has sent may come before it."""
    while True:
        came = await alice.receive()
        if isinstance(came, Request):
            await alice.reply(came, 200)
            return came


def test_linphone_gets_typing_and_sends_receipts_that_wait_for_no_phone(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    """RFC 3994, RFC 5438. The receipt for a user without a phone is refused, and does not come at the next registration."""
    dora = linphone(network)

    async def play() -> None:
        async with dora, await user_of(network, "alice") as alice:
            await dora.registered()
            to = f"sip:{dora.user}@example.test"
            typing = [("content-type", "application/im-iscomposing+xml")]
            assert (await alice.ask(alice.request("MESSAGE", to, typing, COMPOSING))).status == 200
            await alice.send(alice.request("MESSAGE", to, [TEXT], b"hello"))
            receipt = await receipt_at(alice)
            assert (receipt.first("content-type"), receipt.from_.aor) == ("message/imdn+xml", to)
            gone = alice.request("REGISTER", "sip:example.test", [("expires", "0")], to=f"<sip:{alice.user}>")
            assert (await alice.ask(gone)).status == 200
            assert (await alice.ask(alice.request("MESSAGE", to, [TEXT], b"again"))).status == 200
            await until(lambda: "SIP/2.0 480" in dora.log)
            assert (await alice.register()).status == 200
            await alice.silent()

    runner.run(play())
    assert "<state>active</state>" in dora.log
