"""Rules of calls with a real phone at each end: baresip calls a user who has forwarded, here and over two organisations."""

from __future__ import annotations

import asyncio

import pytest

from interop.baresip import Baresip
from interop.phones import phone
from sipmesh.demo.network import FE1, FE2, PARTNER_FE, DemoNetwork
from sipmesh.storage.users.call_rule_edit import CallRuleEdit
from sipmesh.storage.users.user_database import Users

pytestmark = pytest.mark.peer("baresip")

PACKETS = 20


async def forward(network: DemoNetwork, to: str) -> None:
    """Have calls of emil go *to* while no phone of emil is registered, and wait until the servers know it."""
    loaded = network.example.load()
    users = Users(loaded.users_url)
    CallRuleEdit(users, loaded.topology).change("emil@example.test", {"away": to})
    users.close()
    for server in (FE1, FE2):
        await network.ask(server, "users-changed")


async def talk(network: DemoNetwork, caller: Baresip, callee: Baresip, to: str) -> str:
    async with caller, callee:
        await caller.registered()
        await callee.registered()
        await forward(network, to)
        await caller.command("dial", "sip:emil@example.test")
        await caller.event("CALL_ESTABLISHED")
        await callee.event("CALL_ESTABLISHED")
        await caller.hears(PACKETS)
        await callee.command("hangup")
        await caller.event("CALL_CLOSED")
    return callee.log


def test_call_is_forwarded_to_a_phone_of_a_partner(network: DemoNetwork, runner: asyncio.Runner) -> None:
    dora, fritz = phone(network, "dora", FE1), phone(network, "fritz", PARTNER_FE)
    runner.run(talk(network, dora, fritz, "fritz@partner.test"))


def test_call_of_a_partner_is_forwarded_and_shows_who_was_called_and_why(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    fritz, dora = phone(network, "fritz", PARTNER_FE), phone(network, "dora", FE1)
    log = runner.run(talk(network, fritz, dora, "dora"))
    assert "<sip:emil@example.test>;index=1" in log
    assert "<sip:dora@example.test;cause=503>;index=1.1;mp=1" in log
