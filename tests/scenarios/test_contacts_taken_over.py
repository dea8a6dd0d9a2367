"""The contacts and files of a user whose home pool is taken over, changed, or has another server: the list is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.proxy.events.test_notifier import watch
from support.account_tickets import ALICE, BOB, LIST, TicketPage
from support.contacts import DavPhone, vcard
from support.managed import second_pool
from support.network import FE1, FE2, FE3, POOL, POOL2
from support.running import on_loop, until, within

ENTRY = {"address": "dave@example.test", "numbers": [], "groups": []}


def paired(backup: str) -> Any:
    """Change the topology: POOL has this backup pool, "" for none."""

    def change(document: dict[str, Any]) -> None:
        pool = next(pool for pool in document["pools"] if pool["name"] == POOL)
        pool |= {"backup_pool": backup, "takeover_after": 2}
        for key in () if backup else ("backup_pool", "takeover_after"):
            del pool[key]

    return change


def without(server: str) -> Any:
    """Change the topology: a server is gone."""

    def change(document: dict[str, Any]) -> None:
        for pool in document["pools"]:
            pool["servers"] = [one for one in pool["servers"] if one["name"] != server]

    return change


async def ticket_at(page: TicketPage, server: str, user: str = ALICE) -> str:
    """Have a phone of *user* log in at *server*, and give the ticket in its profile."""
    await until(lambda: page.network.nodes[server].homes.verifier(user) is not None)
    async with await page.network.phone(server, user.removeprefix("sip:").partition("@")[0]) as phone:
        assert (await phone.register()).status == 200
        _, notify = await watch(phone, user, "ua-profile")
        return str(json.loads(notify.body)["account"].get("ticket", ""))


async def names(page: TicketPage, ticket: str) -> list[str]:
    answer = await page.ask(ticket)
    assert answer.status == 200, answer.text
    return [one["name"] for one in json.loads(answer.text)["contacts"]]


async def keeps(page: TicketPage, ticket: str, name: str) -> int:
    return (await page.ask(ticket, "PUT", f"{LIST}/{name}", json={"name": name, **ENTRY})).status


@pytest.mark.wide
@within(90.0)
async def test_list_is_the_same_while_the_backup_pool_serves_its_user_and_afterwards(tmp_path: Path) -> None:
    """The backup pool speaks for the users of the pool as long as the topology says so, and for no others."""
    async with TicketPage.opened(tmp_path, second_pool()) as page:
        network = page.network
        await network.start(FE1, FE3)
        await network.publish(paired(POOL2))
        before = await ticket_at(page, FE1)
        assert await keeps(page, before, "one") == 201
        phone = await DavPhone.set_up(network, page.person)
        await network.stop(FE1)
        await until(lambda: network.nodes[FE3].takeovers.pools)
        meanwhile = await ticket_at(page, FE3)
        assert await names(page, meanwhile) == ["one"]
        assert await keeps(page, meanwhile, "two") == 201
        assert await phone.put("three", vcard("three", "dave@example.test")) == 201
        await network.start(FE1)
        again = await ticket_at(page, FE1)
        assert await names(page, again) == ["one", "three", "two"]
        await network.publish(paired(""))
        assert (await page.ask(meanwhile)).status == 401
        assert await names(page, again) == ["one", "three", "two"]


@on_loop
async def test_list_stays_with_a_user_who_moves_and_with_a_pool_whose_server_is_replaced(tmp_path: Path) -> None:
    """The tickets of the earlier pool, and those of the server that is gone, end."""
    async with TicketPage.opened(tmp_path, second_pool()) as page:
        network = page.network
        await network.start(FE1)
        gone = await ticket_at(page, FE1)  # alone: one server of a pool makes the profiles of a user
        assert await keeps(page, gone, "one") == 201
        await network.stop(FE1)
        await network.publish(without(FE1))
        await network.start(FE2)
        stays, other = [await ticket_at(page, FE2, user) for user in (ALICE, BOB)]
        assert (await page.ask(gone)).status == 401
        assert await names(page, stays) == ["one"]
        users = page.users()
        users.move(ALICE, POOL2)
        users.close()
        assert [(await page.ask(ticket)).status for ticket in (stays, other)] == [401, 200]
        await network.start(FE3)
        moved = await ticket_at(page, FE3)
        assert await names(page, moved) == ["one"]
        assert await keeps(page, moved, "two") == 201
