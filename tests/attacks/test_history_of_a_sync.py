"""A user gets the name of another user whom the same sync of a directory has added: of that history nothing comes with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.proxy.events.test_message_history import ALICE, tell
from server.proxy.events.test_message_storing import say
from sipmesh.storage.users.directory_entry import DirectoryEntry, DirectoryStep, StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.user_database import Users
from support.call_rules import refreshed
from support.history import keep_history, kept, partners, texts
from support.network import FE1, Network
from support.running import on_loop

DIRK, DORA = "sip:dirk@example.test", "sip:dora@example.test"


@pytest.mark.parametrize("how", ["renamed", "alias"])
@on_loop
async def test_user_of_the_same_sync_gets_no_history_with_the_name(home: Network, how: str) -> None:
    """Servers learn both changes at once: they were away, or the second came soon after the first."""
    keep_history(home)
    users = Users(home.organisations[0].load().users_url)
    links = DirectoryLinks(users)
    entries = [DirectoryEntry("1", DIRK), DirectoryEntry("2", DORA)]
    links.take([DirectoryStep(StepKind.ADD, entry, None) for entry in entries], datetime.now(UTC))
    for aor in (DIRK, DORA):
        users.set_password(aor[4:], f"{aor[4:8]}-secret")
    async with home:
        alice, dirk, dora = [await home.phone(name, FE1) for name in ("alice", "dirk", "dora")]
        assert await tell(alice, dirk, b"for dirk", to=DIRK) == 200
        assert await tell(alice, dora, b"for dora", to=DORA) == 200
        await kept(home, 4)
        users.remove(DIRK[4:])
        if how == "alias":
            users.add_alias(DORA[4:], DIRK[4:])
        else:
            renamed = DirectoryEntry("2", DIRK)
            links.take([DirectoryStep(StepKind.RENAME, renamed, links.link_of(DORA))], datetime.now(UTC))
            users.set_password(DIRK[4:], "dirk-secret")
        await refreshed(home)
        later = await home.phone("dora" if how == "alias" else "dirk", FE1)
        assert await texts(later, ALICE[4:]) == ["for dora"]
        assert await partners(later) == [ALICE[4:]]
    users.close()


@on_loop
async def test_user_of_the_same_sync_gets_no_stored_message_with_the_name(home: Network) -> None:
    users = Users(home.organisations[0].load().users_url)
    links = DirectoryLinks(users)
    entries = [DirectoryEntry("1", DIRK), DirectoryEntry("2", DORA)]
    links.take([DirectoryStep(StepKind.ADD, entry, None) for entry in entries], datetime.now(UTC))
    async with home:
        alice = await home.phone("alice", FE1)
        assert await say(alice, b"for dirk", to=DIRK) == 202
        users.remove(DIRK[4:])
        renamed = DirectoryEntry("2", DIRK)
        links.take([DirectoryStep(StepKind.RENAME, renamed, links.link_of(DORA))], datetime.now(UTC))
        users.set_password(DIRK[4:], "dirk-secret")
        users.close()
        await refreshed(home)
        assert await say(alice, b"for who was dora", to=DIRK) == 202
        later = await home.phone("dirk", FE1)
        request = await later.request_in("MESSAGE")
        assert request.body == b"for who was dora"
        await later.reply(request, 200)
