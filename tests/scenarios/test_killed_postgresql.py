"""PostgreSQL is killed and started again while users write: they hear that it cannot be done now, then it works by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from attacks.test_told_places import CONTACT, says_no_place
from server.invitations.test_file_pages import FIELDS, upload
from server.invitations.test_leading_server import ask, asked, ticket_of_alice, two_hosts
from server.proxy.events.test_message_history import tell
from sipmesh.topology.document.parts.files import FILES
from sipmesh.topology.document.parts.invitations import RULES
from support.account_tickets import LIST
from support.history import asked as query
from support.history import erase, keep_history, read, texts
from support.invited import Answer
from support.managed import MGMT
from support.network import FE1, Network
from support.pool import Pool
from support.postgres import Cluster
from support.running import on_loop, until

pytestmark = pytest.mark.peer("postgresql")

FILE = {name.replace("_", "-"): value for name, value in FIELDS.items()}


async def changes(pool: Pool, ticket: str, name: str) -> list[Answer]:
    """Keep a contact, change rules, send a file, and read the contacts."""
    login = {"Authorization": f"Bearer {ticket}"}
    return [
        await asked(pool, MGMT, "PUT", f"{LIST}/{name}", json={**CONTACT, "name": name}, headers=login),
        await asked(pool, MGMT, "PUT", RULES, json={"always": "bob"}, headers=login),
        await asked(pool, MGMT, "POST", FILES, data=upload(name.encode()), headers={**login, **FILE}),
        await asked(pool, MGMT, "GET", LIST, headers=login),
    ]


@pytest.mark.wide
@on_loop
async def test_contacts_rules_and_files_are_written_again_once_it_runs(
    tmp_path: Path, postgres_url: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered with success is there afterwards. No server was started again."""
    async with two_hosts(tmp_path, postgres_url, monkeypatch) as pool:
        ticket = await asyncio.to_thread(ticket_of_alice, pool.network.organisation.load())
        login = {"Authorization": f"Bearer {ticket}"}
        before = await changes(pool, ticket, "before")
        assert [answer.status for answer in before] == [201, 200, 200, 200]
        cluster.kill()
        away = await changes(pool, ticket, "meanwhile")
        assert [answer.status for answer in away] == [503] * 4
        assert all(answer.headers["Retry-After"] and says_no_place(answer.text, cluster.folder) for answer in away)
        assert "cannot be used" in pool.network.told[MGMT].last("request not served")["why"]
        cluster.start()
        assert [answer.status for answer in await changes(pool, ticket, "after")] == [201, 200, 200, 200]
        kept = (await ask(pool, MGMT, "GET", LIST, headers=login))[1]
        assert [name in kept for name in ("before", "meanwhile", "after")] == [True, False, True]
        link = before[2].text.partition(f"{FILES}/")[2].partition('"')[0]
        assert await ask(pool, MGMT, "GET", f"{FILES}/{link}") == (200, "before")


@pytest.mark.wide
@on_loop
async def test_history_is_kept_again_once_it_runs_and_no_message_waits_for_it(
    home: Network, postgres_url: str, cluster: Cluster
) -> None:
    document: dict[str, Any] = home.organisations[0].document
    document["storage"] = {**document.get("storage", {}), "messages": Cluster.public(postgres_url)}
    keep_history(home)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        history = home.nodes[FE1].events.history
        assert await tell(alice, bob, b"before") == 200
        await until(lambda: history.kept == 2)
        cluster.kill()
        assert await tell(alice, bob, b"meanwhile") == 200
        await until(lambda: history.lost == 2)
        assert await read(alice, query()) == {"unavailable": True}
        assert await erase(alice, "*") == 503
        cluster.start()
        assert await tell(alice, bob, b"after") == 200
        await until(lambda: history.kept == 4)
        assert await texts(bob, "alice@example.test") == ["after", "before"]
        history.sweep()
        assert home.told[FE1].last("entries of message histories were lost")["entries"] == 2
