"""PJSIP calls phones of other makes and is called by them, with SRTP; its other features are in the matrix."""

from __future__ import annotations

import asyncio

import pytest

from interop.baresip import Baresip
from interop.hosts_file import require_namespaces
from interop.linphone import Linphone
from interop.phones import phone
from interop.pjsua import LOOK_AGAIN_S, PATIENCE_S, Pjsua
from sipmesh.demo.network import FE1, FE2, PARTNER_FE, DemoNetwork
from sipmesh.trust.evidence import LinkKind
from support.tiers import wide_after

pytestmark = pytest.mark.peer("pjsua2")

PACKETS = 50
"""One second of audio."""
HEARD_OCTETS = 20_000
"""Of one second at 8 kHz with 16 bits, and more than the header of the file."""


@pytest.fixture(scope="module", autouse=True)
def _hosts_of_its_own() -> None:
    require_namespaces()


def pjsua(network: DemoNetwork) -> Pjsua:
    """A phone of gina's at the first front end."""
    example = network.example
    server = f"{FE1}:{example.ports[FE1][LinkKind.CLIENT]}"
    folder = network.folder / f"p{len(list(network.folder.iterdir()))}"
    return Pjsua(folder, "gina", "gina-secret", example.domain, server, anchor=example.root)


async def hears(other: Baresip) -> None:
    """Wait until the other phone has written down a second of what it has heard."""
    heard = other.folder / "heard.wav"
    async with asyncio.timeout(PATIENCE_S):
        while not heard.exists() or heard.stat().st_size < HEARD_OCTETS:
            await asyncio.sleep(LOOK_AGAIN_S)


@pytest.mark.peer("baresip")
@pytest.mark.parametrize(
    ("user", "server"), wide_after(1, [("emil", FE2), ("fritz", PARTNER_FE)]), ids=["ours", "a partner"]
)
@pytest.mark.wide
def test_it_talks_with_baresip_over_srtp(network: DemoNetwork, runner: asyncio.Runner, user: str, server: str) -> None:
    """Each calls the other, and each hears the other. With SDES: its wheel is built without DTLS."""
    gina, other = pjsua(network), phone(network, user, server)

    async def play() -> None:
        async with gina, other:
            await gina.registered()
            await other.registered()
            await gina.do("call", uri=f"sip:{other.user}@{other.domain}")
            await other.event("CALL_ESTABLISHED")
            await gina.hears(PACKETS)
            await hears(other)
            await gina.do("hang_up")
            await other.event("CALL_CLOSED")
            await other.command("dial", "sip:gina@example.test")
            await other.event("CALL_ESTABLISHED")
            await gina.hears(PACKETS)
            await other.command("hangup")

    runner.run(play())


@pytest.mark.peer("linphone")
@pytest.mark.wide
def test_it_talks_with_linphone_over_srtp(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """In both directions."""
    example = network.example
    server = f"{FE1}:{example.ports[FE1][LinkKind.CLIENT]}"
    gina = pjsua(network)
    dora = Linphone(network.folder / "lp", "dora", "dora-secret", example.domain, server, anchor=example.root)

    async def play() -> None:
        async with gina, dora:
            await gina.registered()
            await dora.registered()
            await gina.do("call", uri="sip:dora@example.test")
            await dora.talk()
            await gina.hears(PACKETS)
            await dora.hears()
            await gina.do("hang_up")
            await dora.says("No current call", "call-status")
            await dora.command("call sip:gina@example.test")
            await dora.talk()
            await gina.hears(PACKETS)
            await dora.hears()
            await dora.command("terminate")

    runner.run(play())
