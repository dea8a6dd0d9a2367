"""A user whom an operator erases, by run: the history of this user is gone from the server's database, and no other."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from server.proxy.events.test_message_history import tell
from support.history import partners, texts
from support.managed import MGMT, Managed, build_published
from support.network import FE1
from support.running import on_loop, until

SAID = [b"secret " + bytes([97 + number]) * 900 for number in range(12)]


def rows(file: Path) -> dict[str, list[bytes]]:
    """What the database has of each owner, encrypted."""
    found: dict[str, list[bytes]] = {}
    with closing(sqlite3.connect(file)) as db:
        for owner, octets in db.execute("SELECT owner, octets FROM message_history ORDER BY at"):
            found.setdefault(owner, []).append(octets)
    return found


@on_loop
async def test_erased_user_leaves_no_octet_and_the_other_side_keeps_its_own(tmp_path: Path) -> None:
    """Also in pages that the database has freed. Afterwards the user writes again."""
    network = Managed(build_published(tmp_path / "m", history={"days": 30}), tmp_path)
    async with network:
        await network.start(MGMT, FE1)
        await network.acknowledged(1, FE1)
        await until(lambda: network.nodes[FE1].users.ready)
        alice, bob = [await network.phone(FE1, user) for user in ("alice", "bob")]
        for phone in (alice, bob):
            assert (await phone.register()).status == 200
        for text in SAID:
            assert await tell(alice, bob, text) == 200
        await until(lambda: network.nodes[FE1].events.history.kept == 2 * len(SAID))
        file = network.folder(FE1) / "state" / "messages.db"
        before = rows(file)
        assert [len(one) for one in before.values()] == [len(SAID)] * 2
        await network.type("user", "erase", "alice")
        await until(lambda: rows(file).keys() != before.keys())  # its server erases when it has the order
        after = rows(file)
        [gone] = before.keys() - after.keys()
        assert await partners(alice) == []
        assert len(await texts(bob, "alice@example.test")) == len(SAID)
        kept = b"".join(one.read_bytes() for one in file.parent.glob("messages.db*"))
        pieces = [octets[at : at + 32] for octets in before[gone] for at in range(0, len(octets) - 32, 64)]
        assert [piece in kept for piece in pieces].count(True) == 0
        [other] = after.values()
        assert other[0][:32] in kept
        assert await tell(alice, bob, b"again") == 200
        await until(lambda: network.nodes[FE1].events.history.kept == 2 * len(SAID) + 2)
        assert await texts(alice, "bob@example.test") == ["again"]
