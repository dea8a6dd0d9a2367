"""What the parts of the event state receive: removed users, other topologies, faults of the database."""

from __future__ import annotations

from math import inf

from server.proxy.events.test_message_delivery import is_over, stored, take
from server.proxy.events.test_message_storing import BOB, limited, say
from sipmesh.errors import OperatorError
from sipmesh.server.admin.status_report import status_of
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.load import load
from support.network import FE1, Network
from support.running import on_loop, until


@on_loop
async def test_messages_of_a_removed_user_go_before_another_user_gets_the_name(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"secret") == await say(alice, b"hello", to="sip:carol@example.test") == 202
        users = Users(home.organisations[0].load().users_url)
        users.remove("bob@example.test")
        await node.user_updates.refresh()
        node.events._look_at = 0.0
        node.events.sweep()
        await until(lambda: stored(home) == [b"hello"])
        users.add("bob@example.test", "bob-secret")
        users.close()
        await node.user_updates.refresh()
        await (await home.phone("bob", FE1)).silent()
        assert node.events.messages_waiting == 1


@on_loop
async def test_messages_of_a_removed_user_go_also_if_the_name_is_given_away_at_once(home: Network) -> None:
    """The server looks at the database every two seconds, and `user add` is typed sooner."""
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"secret") == await say(alice, b"hello", to="sip:carol@example.test") == 202
        node.events._look_at = inf
        users = Users(home.organisations[0].load().users_url)
        users.set_password("carol@example.test", "another")
        users.remove("bob@example.test")
        await node.user_updates.refresh()
        users.add("bob@example.test", "bob-secret")
        users.close()
        await node.user_updates.refresh()
        await (await home.phone("bob", FE1)).silent()
        assert stored(home) == [b"hello"]


@on_loop
async def test_limits_of_a_new_topology_count_at_once(home: Network) -> None:
    async with home:
        alice, node = await home.phone("alice", FE1), home.nodes[FE1]
        assert await say(alice, b"1") == 202
        limited(home.organisations[0], per_user=1)
        node.put_in_force(load(home.organisations[0].file))
        assert await say(alice, b"2") == 480
        assert (await take(await home.phone("bob", FE1))).body == b"1"
        await is_over(node)


@on_loop
async def test_fault_of_the_database_is_logged_and_its_end_too(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        node.events.store_failing(OperatorError("no room"))
        assert status_of(node).messages_fault == "no room"
        node.events.store_working()
        events = [line["event"] for line in home.told[FE1].lines]
        assert events[-2:] == ["messages cannot be stored", "messages can be stored again"]


@on_loop
async def test_invite_and_a_user_who_is_registered_are_not_for_the_database(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        assert (await alice.ask(alice.request("INVITE", BOB))).status == 480
        bob = await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", BOB))
        await take(bob)
        assert (await alice.final()).status == 200
