"""What an operator does to a user while the user is logged in."""

from __future__ import annotations

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
