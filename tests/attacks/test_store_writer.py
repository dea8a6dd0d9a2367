"""An attacker who can write to the store of a pool makes users unreachable for a moment at most, and gets no identity by it.

The seal of a row is made with a key that the store does not have. An attacker with that key too, such as the administrator of one
host, sends requests down the wrong flow, and gets no identity by it either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.registrar.binding import Binding
from sipmesh.storage.location_service.valkey.keys import Keys
from sipmesh.storage.location_service.valkey.rows.seal import Seal
from sipmesh.storage.location_service.valkey.rows.stored_row import read_row, value_of
from support.network import EXAMPLE, FE1, FE2, POOL
from support.peer import Peer
from support.running import on_loop, until
from support.tiers import wide_after
from support.two_hosts import POOL_KEY, TwoHosts
from support.valkey_server import ValkeyServer

pytestmark = pytest.mark.peer("valkey")
ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
KEYS = Keys(EXAMPLE, POOL, POOL_KEY)
ROWS = KEYS.bindings(BOB)
AWAY = {480, 503}
"""The answer about a user whose row a client has removed, until the server of the user has stored it again."""


def key_of(network: TwoHosts) -> Seal:
    """The seal of the pool, for a client that has its key."""
    return Seal((network.of(FE1).folder / "state" / f"{POOL}.dialog-key").read_bytes())


def stolen(valkey: ValkeyServer, seal: Seal, aor: str = BOB) -> Binding:
    """The row of a user, as the attacker reads it."""
    found = valkey.ask("HGETALL", KEYS.bindings(aor))
    assert isinstance(found, list)
    row = read_row(aor, found[0], found[1], seal)
    assert row is not None
    return row.row


def written(valkey: ValkeyServer, row: Binding, seal: Seal) -> None:
    """Have the attacker put a row in place of all rows of its user."""
    valkey.ask("DEL", KEYS.bindings(row.aor))
    valkey.ask("HSET", KEYS.bindings(row.aor), row.key.name, b"99 " + value_of(row, seal))


async def message(sender: Peer, user: str) -> int:
    return (await sender.ask(sender.request("MESSAGE", user))).status


async def found_again(sender: Peer, receiver: Peer) -> set[int]:
    """Send messages until one arrives; gives the statuses before it."""
    statuses = set[int]()
    answering = asyncio.create_task(_answer_one(receiver))
    while (status := await message(sender, f"sip:{receiver.user}")) != 200:
        statuses.add(status)
        await asyncio.sleep(0)
    await answering
    return statuses


async def _answer_one(phone: Peer) -> None:
    await phone.reply(await phone.request_in("MESSAGE"), 200)


def removed(valkey: ValkeyServer) -> None:
    valkey.ask("DEL", ROWS)


def removed_unseen(valkey: ValkeyServer) -> None:
    """No server gets a notification: each reads its rows again once it is connected again."""
    valkey.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    valkey.ask("DEL", ROWS)


def emptied(valkey: ValkeyServer) -> None:
    """One key after the other: unlike FLUSHALL, it is not told as such."""
    keys = valkey.ask("KEYS", KEYS.prefix + b"*")
    assert isinstance(keys, list)
    for key in keys:
        valkey.ask("DEL", key)


def without_seal(valkey: ValkeyServer) -> None:
    written(valkey, replace(ROW, token="A" * 40), Seal(b"guessed"))


def of_another_server(valkey: ValkeyServer) -> None:
    """A row that would not give way to what bob registers: of a server that lives, under the highest CSeq."""
    name, value = fields(valkey)
    valkey.ask("HSET", ROWS, name, value.replace(FE2.encode(), FE1.encode()))


def of_another_user(valkey: ValkeyServer) -> None:
    """What is stored of alice, under the name of bob's device and under its own."""
    name, _ = fields(valkey)
    other, value = fields(valkey, ALICE)
    valkey.ask("DEL", ROWS)
    valkey.ask("HSET", ROWS, name, value, other, value)


def many(valkey: ValkeyServer) -> None:
    valkey.ask("HSET", ROWS, *[f"{number}" for number in range(2_000)])


def fields(valkey: ValkeyServer, aor: str = BOB) -> tuple[bytes, bytes]:
    """Name and value of the only row of a user."""
    found = valkey.ask("HGETALL", KEYS.bindings(aor))
    assert isinstance(found, list)
    return found[0], found[1]


ROW = Binding(BOB, "sip:bob@192.0.2.66", None, None, 1.0, "c", 2**50, FE2, 1, 1, "t", 0.0)


@pytest.mark.parametrize(
    "attack", wide_after(3, [removed, without_seal, of_another_server, removed_unseen, emptied, of_another_user, many])
)
@on_loop
async def test_row_that_a_client_removes_or_replaces_is_stored_again_without_any_phone(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer, attack: Callable[[ValkeyServer], None]
) -> None:
    """No other phone gets anything meanwhile."""
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        carol, alice, bob = [
            await network.phone(name, server) for name, server in (("carol", FE1), ("alice", FE1), ("bob", FE2))
        ]
        for _ in range(3):
            attack(valkey)
            assert await found_again(carol, bob) <= AWAY
        await alice.silent()
        assert (await bob.register()).status == 200
        await until(lambda: valkey.ask("HLEN", ROWS) == 1)


@on_loop
async def test_old_row_of_a_device_that_has_moved_costs_it_no_call_for_long(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """Its seal is right. The server that it names does not have its link any more, and says so to a server that uses it."""
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        carol = await network.phone("carol", FE1)
        there, bob = await network.peer(FE2, "bob"), await network.peer(FE1, "bob")
        for link in (there, bob):
            link.contact += ';+sip.instance="<urn:uuid:00000000-0000-0000-0000-000000000001>"'
        assert (await there.register()).status == 200
        name, value = fields(valkey)
        assert (await bob.register()).status == 200
        assert await found_again(carol, bob) == set()
        await there.__aexit__()
        await until(lambda: len(network.nodes[FE2].registrations.here(9, ("", ""))) == 0)
        valkey.ask("HSET", ROWS, name, value)
        assert await found_again(carol, bob) <= AWAY | {404, 430}


def planted_while_away(valkey: ValkeyServer, octets: int) -> None:
    """Disconnect all servers, remove the entry of one, and write a row of bob that does not give way to its own."""
    name, _ = fields(valkey)
    entry = valkey.ask("HGET", KEYS.servers, FE1)
    assert isinstance(entry, bytes)
    begin = f'1 AAAAAAAAAAAAAAAA ["sip:bob@192.0.2.66",null,null,1,"c",9,"{FE1}",{entry.split()[0].decode()},1,"t","'
    script = (
        "redis.call('HDEL', KEYS[1], ARGV[1]) "
        "redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. string.rep('x', tonumber(ARGV[4])) .. '\",60]')"
    )
    valkey.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    valkey.ask("EVAL", script, 2, KEYS.servers, ROWS, FE2, name, begin, octets)


@pytest.mark.parametrize("octets", [7_000, 9_000_000])
@on_loop
async def test_row_of_any_length_does_not_keep_a_server_out_that_stores_its_rows_again(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer, octets: int
) -> None:
    """It stores them before it reads any, and the reply has what does not give way to them."""
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        planted_while_away(valkey, octets)
        await until(lambda: valkey.ask("HLEN", ROWS) and len(fields(valkey)[1]) < 1_000)  # removed, then stored
        await network.connected()
        assert await found_again(carol, bob) <= AWAY


@on_loop
async def test_row_that_a_register_at_another_server_has_removed_stays_removed(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """The server that has the link sees who has removed it. A row that another client has removed is back at once."""
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        valkey.ask("DEL", ROWS)
        await until(lambda: valkey.ask("HLEN", ROWS))
        other = await network.peer(FE1, "bob")
        other.contact = "*"
        assert (await other.register((("expires", "0"),))).status == 200
        await until(lambda: not network.nodes[FE2].registrations.is_here(BOB))
        assert await message(carol, BOB) == 480
        await bob.silent()
        assert (await bob.register()).status == 200
        assert await found_again(carol, bob) == set()


@pytest.mark.parametrize(
    "forge",
    [
        lambda row: replace(row, token=row.token[:-1] + ("A" if row.token[-1] != "A" else "B")),
        lambda row: replace(row, token="A" * len(row.token)),
        lambda row: replace(row, token="x"),
    ],
)
@on_loop
async def test_token_that_the_server_did_not_make_leads_nowhere_even_under_a_seal(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer, forge: Callable[[Binding], Binding]
) -> None:
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        seal = key_of(network)
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        written(valkey, forge(stolen(valkey, seal)), seal)
        assert await found_again(carol, bob) <= {403, 404, 480, 481, 503}


@on_loop
async def test_row_with_the_flow_of_another_user_gives_no_identity_even_under_a_seal(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """The wrong phone gets the request; it is still from who has sent it, and its answer names no other user."""
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        seal = key_of(network)
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        of_bob = stolen(valkey, seal)
        written(valkey, replace(of_bob, aor=ALICE), seal)
        await carol.send(carol.request("MESSAGE", ALICE))
        came = await bob.request_in("MESSAGE")
        assert came.uri == of_bob.contact
        assert [value.partition(">")[0] for value in came.values("p-asserted-identity")] == ["<sip:carol@example.test"]
        await bob.reply(came, 200, (("P-Asserted-Identity", "<sip:alice@example.test>"),))
        answer = await carol.final()
        assert (answer.status, list(answer.values("p-asserted-identity"))) == (200, [])
        assert await message_from(bob, "alice", carol) in {403, 407}
        valkey.ask("DEL", KEYS.bindings(ALICE))
        assert await found_again(carol, await network.phone("alice", FE1)) == set()


async def message_from(sender: Peer, name: str, to: Peer) -> int:
    """Send a message in the name of another user, and give the status."""
    own, sender.user = sender.user, f"{name}@{EXAMPLE}"
    try:
        return await message(sender, f"sip:{to.user}")
    finally:
        sender.user = own


@pytest.mark.parametrize("changes", [{"server": "evil.test"}, {"server": "edge1.example.test"}, {"incarnation": 1}])
@on_loop
async def test_row_names_no_server_but_those_of_the_pool_even_under_a_seal(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer, changes: dict[str, object]
) -> None:
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        seal = key_of(network)
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        written(valkey, replace(stolen(valkey, seal), **changes), seal)  # type: ignore[arg-type]
        assert await found_again(carol, bob) <= AWAY


@on_loop
async def test_contact_in_the_store_is_never_resolved(
    example: Organisation, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """It becomes the Request-URI on the flow that the token names, with any host."""
    async with TwoHosts.of_pool(example, tmp_path, valkey) as network:
        await network.connected()
        seal = key_of(network)
        carol, bob = await network.phone("carol", FE1), await network.phone("bob", FE2)
        row = stolen(valkey, seal)
        more = replace(row, contact="sip:bob@192.0.2.66:5061;transport=udp", instance=None, q=1.0)
        valkey.ask("HSET", ROWS, more.key.name, b"99 " + value_of(more, seal))
        await carol.send(carol.request("OPTIONS", BOB))
        for _ in range(2):
            came = await bob.request_in("OPTIONS")
            [asserted] = came.values("p-asserted-identity")
            assert asserted.partition(">")[0] == "<sip:carol@example.test"
            await bob.reply(came, 486)
        assert (await carol.final()).status == 486
