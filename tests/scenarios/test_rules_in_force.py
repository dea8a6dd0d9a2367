"""A change of the rules of a user's calls counts at each server of the home pool, by whichever way it was made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.account_tickets import ALICE, TicketPage
from support.console import Visitor
from support.network import FE1, FE2
from support.peer import Peer
from support.running import on_loop, until

IN_FORCE_S = 10.0
"""The promise is a second (docs/howto/users.md); ten times of it is allowed here."""

Change = Callable[[TicketPage, dict[str, bool]], Awaitable[None]]


async def by_command(page: TicketPage, rules: dict[str, bool]) -> None:
    flag = "--do-not-disturb" if rules["do_not_disturb"] else "--no-do-not-disturb"
    await page.network.type("user", "rules", "set", "alice", flag)


async def by_api(page: TicketPage, rules: dict[str, bool]) -> None:
    async with Visitor(page.network, "otto-token") as operator:
        answer = await operator.ask("POST", "/api/v1/user/rules/change", json={"user": "alice", **rules})
        assert answer.status == 200, answer.text


async def by_web_phone(page: TicketPage, rules: dict[str, bool]) -> None:
    answer = await page.ask(page.ticket(), "PUT", "/rules", json=rules)
    assert answer.status == 200, answer.text


async def become(status: int, callers: list[Peer]) -> None:
    """Call alice until each caller gets *status*."""
    async with asyncio.timeout(IN_FORCE_S):
        for caller in callers:
            while (await caller.ask(caller.request("INVITE", ALICE))).status != status:
                await asyncio.sleep(0.1)


@pytest.mark.wide
@pytest.mark.parametrize("change", [by_command, by_api, by_web_phone])
@on_loop
async def test_change_of_a_rule_is_in_force_at_all_servers_of_the_home_pool(tmp_path: Path, change: Change) -> None:
    """Alice has no phone: her callers get 480, and 486 once she does not want to be disturbed."""
    async with TicketPage.opened(tmp_path) as page:
        network, callers = page.network, list[Peer]()
        await network.start(FE1, FE2)
        for server in (FE1, FE2):
            await until(lambda node=network.nodes[server]: node.users.ready)  # type: ignore[misc]
            callers.append(await network.phone(server, "bob"))
            assert (await callers[-1].register()).status == 200
        await become(480, callers)
        await change(page, {"do_not_disturb": True})
        await become(486, callers)
        await change(page, {"do_not_disturb": False})
        await become(480, callers)
