"""Changes of users come into force on one server: links whose login is no longer valid close."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_document import UserDocument
from support.network import FE1, Network
from support.running import on_loop


@on_loop
async def test_changed_password_closes_the_link_of_that_user_only(home: Network, example: Organisation) -> None:
    async with home:
        alice, bob = await home.agent("alice", FE1), await home.agent("bob", FE1)
        updates = home.nodes[FE1].user_updates
        assert await updates.refresh() == 0
        users = Users(example.load().users_url)
        users.set_password("alice@example.test", "another")
        users.close()
        assert await updates.refresh() == 1
        await alice.gone()
        assert (await bob.options()).status == 200


@on_loop
async def test_server_with_a_database_takes_no_document(home: Network) -> None:
    """Its users are those of the database: management sends it none."""
    async with home:
        updates = home.nodes[FE1].user_updates
        assert (updates.number, updates.accept_document(UserDocument("example.test", "pool1.example.test", 1))) == (
            0,
            0,
        )
        assert repr(updates).endswith("number 0>")


@on_loop
async def test_database_that_cannot_be_read_leaves_the_users_in_force(home: Network, example: Organisation) -> None:
    async with home:
        alice, updates = await home.agent("alice", FE1), home.nodes[FE1].user_updates
        file = example.folder / "users.db"
        home.nodes[FE1].users.close()
        file.rename(file.with_suffix(".away"))
        file.mkdir()
        assert await updates.refresh() == 0
        [line] = home.told[FE1].events("user database cannot be read: the known users stay in force")
        assert line["why"]
        assert (await alice.options()).status == 200
