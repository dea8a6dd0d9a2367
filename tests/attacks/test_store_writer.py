"""Who can write to the store of a pool sends requests down the wrong flow at most, and becomes nobody by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.registrar.binding import Binding
from sipmesh.storage.location_service.valkey.keys import Keys
from sipmesh.storage.location_service.valkey.stored_row import read_row, value_of
from support.network import EXAMPLE, FE1, FE2, POOL
from support.peer import Peer
from support.running import on_loop
from support.two_hosts import TwoHosts
from support.valkey_server import ValkeyServer

pytestmark = pytest.mark.peer("valkey")
ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
KEYS = Keys(EXAMPLE, POOL)


def stolen(valkey: ValkeyServer, aor: str) -> Binding:
    """The row of a user, as the attacker reads it."""
    found = valkey.ask("HGETALL", KEYS.bindings(aor))
    assert isinstance(found, list)
    row = read_row(aor, found[0], found[1])
    assert row is not None
    return row.row


def written(valkey: ValkeyServer, row: Binding) -> None:
    """Have the attacker put a row in place of all rows of its user."""
    valkey.ask("DEL", KEYS.bindings(row.aor))
    valkey.ask("HSET", KEYS.bindings(row.aor), row.key.name, b"99 " + value_of(row))


async def message(sender: Peer, user: str) -> int:
    return (await sender.ask(sender.request("MESSAGE", user))).status


@pytest.mark.parametrize(
    "forge",
    [
        lambda row: replace(row, token=row.token[:-1] + ("A" if row.token[-1] != "A" else "B")),
        lambda row: replace(row, token="A" * len(row.token)),
        lambda row: replace(row, token="x"),
    ],
)
@on_loop
async def test_token_that_the_server_did_not_make_leads_nowhere(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer, forge: Callable[[Binding], Binding]
) -> None:
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        honest = stolen(valkey, BOB)
        written(valkey, forge(honest))
        assert await message(carol, BOB) in {403, 404, 480, 481, 503}
        await bob.silent()
        written(valkey, honest)
        await carol.send(carol.request("MESSAGE", BOB))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await carol.final()).status == 200


@on_loop
async def test_row_with_the_flow_of_another_user_gives_nobody_an_identity(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """The wrong phone gets the request; it is still from who has sent it, and its answer names nobody else.

    The row of alice counts as replaced, until she registers again.
    """
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        carol, alice, bob = [
            await network.phone(name, server) for name, server in (("carol", FE1), ("alice", FE1), ("bob", FE2))
        ]
        of_bob = stolen(valkey, BOB)
        written(valkey, replace(of_bob, aor=ALICE))
        await carol.send(carol.request("MESSAGE", ALICE))
        came = await bob.request_in("MESSAGE")
        assert came.uri == of_bob.contact
        assert [value.partition(">")[0] for value in came.values("p-asserted-identity")] == ["<sip:carol@example.test"]
        await bob.reply(came, 200, (("P-Asserted-Identity", "<sip:alice@example.test>"),))
        answer = await carol.final()
        assert (answer.status, list(answer.values("p-asserted-identity"))) == (200, [])
        assert await message_from(bob, "alice", carol) in {403, 407}
        assert (await alice.register()).status == 200
        await carol.send(carol.request("MESSAGE", ALICE))
        await alice.reply(await alice.request_in("MESSAGE"), 200)
        assert (await carol.final()).status == 200


async def message_from(sender: Peer, name: str, to: Peer) -> int:
    """Send a message in the name of another user, and give the status."""
    own, sender.user = sender.user, f"{name}@{EXAMPLE}"
    try:
        return await message(sender, f"sip:{to.user}")
    finally:
        sender.user = own


@pytest.mark.parametrize("changes", [{"server": "evil.test"}, {"server": "edge1.example.test"}, {"incarnation": 1}])
@on_loop
async def test_row_names_no_server_but_those_of_the_pool(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer, changes: dict[str, object]
) -> None:
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        written(valkey, replace(stolen(valkey, BOB), **changes))  # type: ignore[arg-type]
        assert await message(carol, BOB) == 480
        await bob.silent()


@on_loop
async def test_contact_in_the_store_is_never_resolved(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """It becomes the Request-URI on the flow that the token names, whatever host it has."""
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        written(valkey, replace(stolen(valkey, BOB), contact="sip:bob@192.0.2.66:5061;transport=udp", instance=None))
        await carol.send(carol.request("MESSAGE", BOB))
        came = await bob.request_in("MESSAGE")
        await bob.reply(came, 200)
        assert (await carol.final()).status == 200
        assert [value.partition(">")[0] for value in came.values("p-asserted-identity")] == ["<sip:carol@example.test"]
