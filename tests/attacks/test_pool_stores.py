"""Two pools in one Valkey, each with the ACL user that the how-to page makes: neither reaches what is of the other.

The attacker has the login of the first pool, or one of its servers with all its files.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.status_report import status_of as status_report
from sipmesh.storage.location_service.valkey import scripts
from sipmesh.storage.location_service.valkey.keys import Keys
from support.network import EXAMPLE, FE1, FE2, FE3, FE4, POOL, POOL2, copied
from support.running import on_loop, until
from support.talking import reaches
from support.valkey_network import ValkeyNetwork, give_store, pool_entry
from support.valkey_server import StoreClient, ValkeyServer

pytestmark = pytest.mark.peer("valkey")
BOB, DORA = "sip:bob@example.test", "sip:dora@example.test"
Command = tuple[str | int | bytes, ...]


@dataclass
class TwoStores(ValkeyNetwork):
    """Two pools with stores of their own. *hosts* are servers with a folder of their own."""

    hosts: dict[str, Organisation] = field(default_factory=dict)

    def of(self, name: str) -> Organisation:
        """The folder of a server."""
        return self.hosts.get(name) or super().of(name)


@pytest.fixture(name="stores")
def _stores(two_pools_model: Organisation, tmp_path: Path, valkey: ValkeyServer) -> TwoStores:
    organisation = copied(two_pools_model, tmp_path / "e")
    for pool in (POOL, POOL2):
        give_store(organisation, pool, valkey, password_of(pool))
    valkey.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    return TwoStores((organisation,), starts=(FE1, FE2, FE3, FE4))


def password_of(pool: str) -> str:
    return f"password-of-{pool}"


def keys_of(network: TwoStores, pool: str) -> Keys:
    """The keys of a pool, for a client with the key of the pool."""
    key = (network.organisations[0].folder / "state" / f"{pool}.dialog-key").read_bytes()
    return Keys(EXAMPLE, pool, key)


def on_keys(keys: Keys, mine: bytes) -> Iterator[Command]:
    """Commands that read or change what is of a pool, whose right is given; *mine* is a key of the attacker."""
    rows = keys.bindings(BOB)
    yield from (("HGETALL", rows), ("HLEN", rows), ("HGET", keys.servers, FE3), ("GET", keys.identity))
    yield from (("SCARD", keys.rows_of(FE3)), ("SRANDMEMBER", keys.rows_of(FE3)), ("SPOP", keys.rows_of(FE3)))
    yield from (("HSET", rows, "x", "y"), ("HDEL", rows, "x"), ("DEL", rows), ("SET", keys.identity, "x"))
    yield from (("SADD", keys.dead, FE3), ("SREM", keys.dead, FE3), ("HINCRBY", keys.leases, FE3, 1))
    yield from (("RENAME", rows, mine), ("RENAME", mine, rows), ("SUNIONSTORE", mine, keys.rows_of(FE3)))
    yield from (("SUNIONSTORE", keys.rows_of(FE3), mine), ("DEL", mine, rows))


def without_right(keys: Keys, mine: bytes) -> Iterator[Command]:
    """Commands that find keys, listen, or concern all clients, which no pool may use."""
    rows = keys.bindings(BOB)
    yield from (("KEYS", "*"), ("SCAN", 0), ("RANDOMKEY",), ("DBSIZE",), ("HSCAN", rows, 0), ("SSCAN", mine, 0))
    yield from (("EXISTS", rows), ("TYPE", rows), ("DUMP", rows), ("OBJECT", "ENCODING", rows), ("TOUCH", rows))
    yield from (("COPY", rows, mine), ("MOVE", rows, 1), ("SORT", mine, "BY", rows, "GET", rows), ("EXPIRE", rows, 1))
    yield from (
        ("MEMORY", "USAGE", rows),
        ("WATCH", rows),
        ("GETEX", keys.identity),
        ("UNLINK", rows),
        ("SMEMBERS", mine),
    )
    yield from (("SUBSCRIBE", "__redis__:invalidate"), ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", rows), ("PUBLISH", "x", "y"))
    yield from (("SUBSCRIBE", b"__keyspace@0__:" + rows), ("MONITOR",), ("CLIENT", "LIST"), ("CLIENT", "PAUSE", 1))
    yield from (("CLIENT", "KILL", "TYPE", "normal"), ("FLUSHALL",), ("FLUSHDB",), ("SWAPDB", 0, 1), ("SHUTDOWN",))
    yield from (("CONFIG", "GET", "*"), ("ACL", "LIST"), ("ACL", "SETUSER", POOL, "allkeys"), ("SCRIPT", "FLUSH"))
    yield from (("EVAL", "return 1", 0), ("FUNCTION", "LOAD", "x"), ("REPLICAOF", "NO", "ONE"))
    yield from (("MIGRATE", "127.0.0.1", 1, rows, 0, 1), ("SLOWLOG", "GET"), ("LATENCY", "LATEST"), ("MODULE", "LIST"))


def scripts_on(keys: Keys, mine: bytes) -> Iterator[tuple[str, Command]]:
    """Scripts with what follows their name: those of servers, those that hide the key, and those that find keys."""
    rows = keys.bindings(BOB)
    yield scripts.READ, (1, rows, 64, 1 << 20)
    yield scripts.PURGE, (1, rows, "x", "y")
    yield scripts.SERVERS, (1, keys.servers, 64)
    yield scripts.END, (2, keys.servers, keys.leases, keys.prefix, FE3, 1)
    yield scripts.SWEEP, (2, keys.servers, keys.dead, keys.prefix, 10)
    yield "return redis.call('HGETALL', ARGV[1])", (0, rows)
    yield "return redis.call('HGETALL', ARGV[1])", (1, mine, rows)
    yield "redis.call('SELECT', 1) return redis.call('KEYS', '*')", (0,)
    yield "redis.setresp(3) return redis.call('SCAN', 0)", (0,)
    yield "return redis.call('PUBLISH', 'x', 'y')", (0,)


def is_refused(reply: object) -> bool:
    """Whether the store has refused for want of a right, and for no other reason."""
    return isinstance(reply, Exception) and ("NOPERM" in str(reply) or "ACL failure" in str(reply))


def content(valkey: ValkeyServer, keys: Keys) -> dict[bytes, object]:
    """What is of a pool, but for its leases, as the administrator of the store sees it."""
    found = valkey.ask("KEYS", keys.prefix.replace(b"{", b"\\{").replace(b"}", b"\\}") + b"*")
    assert isinstance(found, list)
    return {key: valkey.ask("DUMP", key) for key in found if key != keys.leases}


@on_loop
async def test_login_of_a_pool_reaches_nothing_of_another_pool(stores: TwoStores, valkey: ValkeyServer) -> None:
    async with stores as network:
        await network.connected()
        bob, alice = await network.phone("bob", FE3), await network.phone("alice", FE1)
        ours, theirs = keys_of(network, POOL), keys_of(network, POOL2)
        before, mine = content(valkey, theirs), ours.prefix + b"loot"
        assert theirs.bindings(BOB) in before
        with valkey.client(POOL, password_of(POOL)) as attacker:
            commands = [*on_keys(theirs, mine), *without_right(theirs, mine), *called(attacker, theirs, mine)]
            replies = {repr(words): attacker.ask(*words) for words in commands}
            assert {words: reply for words, reply in replies.items() if not is_refused(reply)} == {}
            assert attacker.ask("HGETALL", ours.bindings("sip:alice@example.test"))
        with valkey.client(POOL2, password_of(POOL2)) as rightful:
            assert rightful.ask("HGETALL", theirs.bindings(BOB))
        assert content(valkey, theirs) == before
        await reaches(alice, bob)
        await reaches(bob, alice)


def called(attacker: StoreClient, keys: Keys, mine: bytes) -> Sequence[Command]:
    """Load the scripts; gives the commands that call them."""
    loaded = [(attacker.ask("SCRIPT", "LOAD", script), rest) for script, rest in scripts_on(keys, mine)]
    assert all(isinstance(digest, bytes) for digest, _ in loaded)
    return [("EVALSHA", digest, *rest) for digest, rest in loaded if isinstance(digest, bytes)]


@on_loop
async def test_login_of_a_pool_that_follows_changes_learns_of_no_user_of_another_pool(
    stores: TwoStores, valkey: ValkeyServer
) -> None:
    """The store asks for no right on keys there. What it tells is that rows have changed, and not whose."""
    async with stores as network:
        await network.connected()
        theirs = keys_of(network, POOL2)
        with valkey.client(POOL, password_of(POOL)) as attacker:
            assert attacker.ask("CLIENT", "TRACKING", "ON", "BCAST") == b"OK"
            assert (await network.phone("bob", FE3)).user
            assert (await network.phone("dora", FE4)).user
            attacker.ask("PING")
            heard = b" ".join(key for _, keys in attacker.pushes for key in keys)
            assert theirs.bindings(BOB) in heard
            assert theirs.bindings(DORA) in heard
            assert not [name for name in (b"bob", b"dora") if name in heard]


@on_loop
async def test_pool_that_another_pool_tracks_and_sends_false_changes_goes_on(
    stores: TwoStores, valkey: ValkeyServer
) -> None:
    """The attacker has its news sent to each connection of the store, those of the other pool among them."""
    async with stores as network:
        await network.connected()
        bob, dora = await network.phone("bob", FE3), await network.phone("dora", FE4)
        for number in range(1, 100):
            with valkey.client(POOL, password_of(POOL)) as attacker:
                attacker.ask("CLIENT", "TRACKING", "ON", "REDIRECT", number, "BCAST")
                attacker.ask("SET", keys_of(network, POOL).prefix + b"x", "y")
        await reaches(dora, bob)
        await reaches(bob, dora)
        assert status_report(network.nodes[FE3]).bindings_fault == ""


@on_loop
async def test_server_that_is_given_the_name_of_another_pool_reaches_nothing_of_it(
    stores: TwoStores, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Its own copy of the topology says that it is of the other pool. It has the login of its own pool only."""
    organisation = stores.organisations[0]
    stores.hosts[FE1] = in_other_pool(organisation, tmp_path / "h")
    stores.starts = (FE2, FE3, FE4)
    async with stores as network:
        await network.connected(FE3, FE4)
        bob, dora = await network.phone("bob", FE3), await network.phone("dora", FE4)
        before = content(valkey, keys_of(network, POOL2))
        thief = network.start(FE1)
        await until(lambda: "NOPERM" in status_report(thief).bindings_fault)
        assert POOL2.encode() in thief.locations._commands.keys.prefix  # type: ignore[attr-defined]  # it did try
        stranger = await network.peer(FE1, "bob")
        assert (await stranger.register()).status == 503
        assert (await stranger.ask(stranger.request("MESSAGE", BOB))).status in {401, 407, 503}
        assert content(valkey, keys_of(network, POOL2)) == before
        await reaches(dora, bob)
        await reaches(bob, dora)
        await bob.silent()


def in_other_pool(organisation: Organisation, folder: Path) -> Organisation:
    """The first server on a host of its own: its topology has it in the second pool, with the login that it has."""
    host = copied_host(organisation, folder)
    first, second = pool_entry(host, POOL), pool_entry(host, POOL2)
    moved = [server for server in first["servers"] if server["name"] == FE1]
    first["servers"] = [server for server in first["servers"] if server["name"] != FE1]
    second["servers"] = [*second["servers"], *moved]
    second["storage"] = first["storage"]
    (folder / "secrets" / POOL2).unlink()
    host.write()
    return host


def copied_host(organisation: Organisation, folder: Path) -> Organisation:
    """The same organisation in a folder of its own, on the same ports."""
    shutil.copytree(organisation.folder, folder)
    return replace(organisation, folder=folder, document=copy.deepcopy(organisation.document))
