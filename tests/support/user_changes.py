"""What an operator does to users: to one who is logged in, and to a network with many."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sipmesh.demo.organisation import Organisation
from sipmesh.storage.users.user_database import Users
from support.network import FE3, FE4, POOL, Network


async def change_bob(network: Network, change: str) -> None:
    """Give bob another password, remove him, or move him to the first pool; the servers of his pool read it at once."""
    users = Users(network.organisations[0].load().users_url)
    if change == "password":
        users.set_password("bob@example.test", "another")
    elif change == "remove":
        users.remove("bob@example.test")
    else:
        users.move("bob@example.test", POOL)
    users.close()
    for name in (FE3, FE4):
        await network.nodes[name].user_updates.refresh()


def add_rows_of_users(organisation: Organisation, count: int) -> None:
    """Add users as the database has them: to compute so many password hashes takes minutes."""
    file = organisation.load().users_file
    assert file is not None
    with closing(sqlite3.connect(file)) as db, db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM users LIMIT 1").fetchone())
        marks = ", ".join(f":{name}" for name in row)
        db.executemany(
            f"INSERT INTO users VALUES ({marks})",  # noqa: S608 - the columns of the table
            ({**row, "aor": f"sip:user{number:05}@example.test"} for number in range(count)),
        )
