"""Real phones with DTLS-SRTP, whose organisations sign the fingerprints and require signatures (RFC 8224)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from interop.baresip import Baresip
from interop.phones import phone, started
from sipmesh.demo.network import FE1, PARTNER_FE, DemoNetwork
from support.tiers import wide_after

pytestmark = pytest.mark.peer("baresip")


@pytest.fixture(name="signing", scope="module")
def _signing(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    """The demo's two organisations, of which each requires that the other signs."""
    network = runner.run(started(tmp_path_factory.mktemp("s"), identity="required"))
    yield network
    runner.run(network.stop())


@pytest.mark.parametrize(("first", "second"), wide_after(1, [("dora", "fritz"), ("fritz", "dora")]))
@pytest.mark.wide
def test_call_with_dtls_srtp_is_signed_on_its_way(
    signing: DemoNetwork, runner: asyncio.Runner, first: str, second: str
) -> None:
    where = {"dora": FE1, "fritz": PARTNER_FE}
    caller, callee = (phone(signing, user, where[user], media="dtls_srtp", records=False) for user in (first, second))

    async def play(caller: Baresip, callee: Baresip) -> None:
        async with caller, callee:
            await caller.registered()
            await callee.registered()
            await caller.command("dial", f"sip:{callee.user}@{callee.domain}")
            await caller.event("CALL_ESTABLISHED")
            await callee.event("CALL_ESTABLISHED")
            await caller.command("hangup")
            await callee.event("CALL_CLOSED")

    runner.run(play(caller, callee))
    invite = callee.log.partition("INVITE sip:")[2].partition("a=fingerprint:")[0]
    assert f";info=<sip:{caller.domain}>;alg=ES256" in invite
