"""A new user gets the name of a removed user, while the servers that have stored messages for that user do not run."""

from __future__ import annotations

import pytest

from server.proxy.events.test_message_delivery import take
from server.proxy.events.test_message_storing import BOB, say
from sipmesh.sip.digest import Algorithm
from support.managed import MGMT, Managed
from support.network import FE1, POOL
from support.running import on_loop, until


def digests(managed: Managed) -> set[Algorithm]:
    """The digests of bob that the front end knows."""
    verifier = managed.nodes[FE1].users.verifier(BOB)
    return set(verifier.ha1) if verifier is not None else set()


@pytest.mark.parametrize("is_another", [True, False], ids=["another person", "the same person"])
@on_loop
async def test_messages_of_a_removed_user_do_not_reach_the_next_user_of_the_name(
    managed: Managed, *, is_another: bool
) -> None:
    """The server learns of both changes at once. A user with another password has all messages."""
    async with managed:
        await managed.start(MGMT, FE1)
        await until(lambda: managed.nodes[FE1].users.verifier(BOB))
        alice = await managed.phone(FE1, "alice")
        assert (await alice.register()).status == 200
        assert await say(alice, b"for the first bob") == 202
        await managed.stop(FE1)
        given = ("--digest", "md5", "--password-stdin")
        if is_another:
            await managed.type("user", "remove", "bob")
            await managed.type("user", "add", "bob", "--pool", POOL, *given, typed="bob-secret")
        else:
            await managed.type("user", "password", "bob", *given, typed="bob-secret")
        await managed.start(FE1)
        await until(lambda: digests(managed) == {Algorithm.MD5})
        bob, alice = await managed.phone(FE1, "bob"), await managed.phone(FE1, "alice")
        assert (await alice.register()).status == 200
        assert await say(alice, b"for bob") == 202
        assert (await bob.register()).status == 200
        came = [(await take(bob)).body for _ in range(1 if is_another else 2)]
        assert came == ([b"for bob"] if is_another else [b"for the first bob", b"for bob"])
        await bob.silent()
