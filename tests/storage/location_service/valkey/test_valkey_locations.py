"""A store that is away, full, forbidden, emptied or written by somebody else; what every store does is in `test_locations`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import hiredis
import pytest

from sipmesh.storage.location_service.lease_watch import MOST_MISSED
from sipmesh.storage.location_service.locations import StoredRows, Write, WriteResult
from sipmesh.storage.location_service.valkey import valkey_locations as module
from sipmesh.storage.location_service.valkey.connection import ANSWER_S
from sipmesh.storage.location_service.valkey.keys import Keys
from sipmesh.storage.location_service.valkey.settings import PASSWORD_VARIABLE
from sipmesh.storage.location_service.valkey.stored_row import MOST_ROWS, value_of
from storage.members import ALICE, BOB, ELSEWHERE, FE1, FE2, PHONE
from storage.valkey_members import ORGANISATION, POOL, ValkeyMember, settings_of, valkey_members
from support.valkey_server import ValkeyServer

pytestmark = pytest.mark.peer("valkey")
KEYS = Keys(ORGANISATION, POOL)
ROWS = KEYS.bindings(ALICE)
Begin = Callable[[str, int], ValkeyMember]


@pytest.fixture(name="begin")
def _begin(valkey: ValkeyServer) -> Iterator[Begin]:
    with valkey_members(valkey) as begin:
        yield begin


@pytest.fixture(name="fe1")
def _fe1(begin: Begin) -> ValkeyMember:
    return begin(FE1, 7)


@pytest.fixture(name="fe2")
def _fe2(begin: Begin) -> ValkeyMember:
    return begin(FE2, 3)


def asked(member: ValkeyMember, aor: str = ALICE) -> StoredRows | None:
    """What the store answers, None if it cannot."""
    told: list[StoredRows | None] = []
    member.store.find(aor, told.append)
    member.until(lambda: told)
    return told[0]


def begun(member: ValkeyMember) -> list[WriteResult | None]:
    """Begin to store alice's phone; gives what is told of it later."""
    told: list[WriteResult | None] = []
    member.store.write(Write(ALICE, (PHONE,), (), told.append))
    return told


def failing(member: ValkeyMember) -> str:
    """Wait until the store is told of, and give the reason."""
    member.until(lambda: member.told)
    return member.told[-1]


def test_store_that_was_never_there_is_told_once_and_used_when_it_comes(valkey: ValkeyServer) -> None:
    """A server starts meanwhile."""
    valkey.kill()
    with valkey_members(valkey, connects=False) as begin:
        fe1 = begin(FE1, 7)
        told = begun(fe1)
        assert asked(fe1) is None
        assert f"valkey://127.0.0.1:{valkey.port}: " in failing(fe1)
        assert not told
        assert fe1.store.health.failures
        valkey.start()
        fe1.until(lambda: told)
        assert fe1.rows() == [PHONE]
        assert len(fe1.told) == 2
        assert fe1.told[-1] == "working"
        assert fe1.store.health.failing_since is None


def test_store_that_hangs_is_left_after_the_time_of_a_reply(fe1: ValkeyMember, valkey: ValkeyServer) -> None:
    valkey.hang()
    try:
        began = fe1.loop.time()
        assert asked(fe1) is None
        assert fe1.loop.time() - began < 10 * ANSWER_S
        told = begun(fe1)
        assert "no answer" in failing(fe1) or "does not answer" in failing(fe1)
    finally:
        valkey.go_on()
    fe1.until(lambda: told)
    assert fe1.rows() == [PHONE]


def test_full_store_refuses_what_is_new_and_still_says_what_it_has(fe1: ValkeyMember, valkey: ValkeyServer) -> None:
    """Nothing is half made: the row that was to give way stays until the new one is there."""
    fe1.write([PHONE])
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    told: list[WriteResult | None] = []
    newer = replace(PHONE, contact="sip:alice@127.0.0.1:9", instance=None, token="newer")
    fe1.store.write(Write(ALICE, (newer,), (PHONE,), told.append))
    assert "OOM" in failing(fe1)
    assert fe1.rows() == [PHONE]
    valkey.ask("CONFIG", "SET", "maxmemory", "0")
    fe1.until(lambda: told)
    assert fe1.rows() == [newer]


def test_idle_server_notices_a_full_store_and_its_end(fe1: ValkeyMember, valkey: ValkeyServer) -> None:
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    assert "OOM" in failing(fe1)
    valkey.ask("CONFIG", "SET", "maxmemory", "0")
    fe1.until(lambda: fe1.told[-1] == "working")


def test_store_that_was_emptied_has_our_rows_again(fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer) -> None:
    fe1.write([PHONE])
    fe1.restores.append(lambda: fe1.store.write(Write(ALICE, (PHONE,), (), lambda _: None, restores=True)))
    identity = fe1.store.identity
    valkey.ask("FLUSHALL")
    fe2.until(lambda: fe2.store.identity not in {identity, ""} and fe2.store.is_settled)
    assert fe2.rows() == [PHONE]
    assert fe1.store.identity == fe2.store.identity


def test_another_node_that_lacks_the_last_rows_gets_them(
    fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer
) -> None:
    """As after a failover: its servers are those of the old node, and its rows those of a second ago."""
    fe1.write([PHONE])
    fe1.restores.append(lambda: fe1.store.write(Write(ALICE, (PHONE,), (), lambda _: None, restores=True)))
    entries = valkey.ask("HGETALL", KEYS.servers)
    identity = valkey.ask("GET", KEYS.identity)
    assert isinstance(entries, list)
    assert isinstance(identity, bytes)
    valkey.kill()
    valkey.start()
    valkey.ask("HSET", KEYS.servers, *entries)
    valkey.ask("SET", KEYS.identity, identity)
    found = asked_when_up(fe2)
    assert found.rows == (PHONE,) or not found.complete
    fe2.until(lambda: fe2.store.is_settled)
    assert fe2.rows() == [PHONE]


def asked_when_up(member: ValkeyMember) -> StoredRows:
    """Read alice's rows as soon as the store can be asked."""
    while True:
        member.connected()
        found = asked(member)
        if found is not None:
            return found


def test_server_whose_lease_was_ended_stores_its_rows_again(
    fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer
) -> None:
    """As after it was stopped for half a minute."""
    fe1.write([PHONE])
    fe1.restores.append(lambda: fe1.store.write(Write(ALICE, (PHONE,), (), lambda _: None, restores=True)))
    fe2.rows()
    valkey.ask("HDEL", KEYS.servers, FE1)
    fe1.write([replace(PHONE, aor=BOB)])
    fe1.until(lambda: "forgotten" in fe1.told and fe1.store.is_settled)
    assert fe2.rows() == [PHONE]


def test_rows_of_a_server_that_was_killed_end_and_are_swept(
    fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY_S", 0.001)
    monkeypatch.setattr(module, "TICK_S", 0.001)
    fe1.write([PHONE, replace(PHONE, instance=None)])
    assert len(fe2.rows()) == 2
    assert fe1.store._ready is not None
    fe1.store._task.cancel() if fe1.store._task else None
    fe1.store._timer.cancel() if fe1.store._timer else None
    fe1.store._ready.abort("killed")
    fe2.until(
        lambda: fe2.store._leases._missed.get(FE1, ((0, 0), 0))[1] >= MOST_MISSED or not fe2.store._table.incarnations()
    )
    fe2.until(lambda: not fe2.store._table.incarnations())
    assert fe2.rows() == []
    fe2.until(lambda: not valkey.ask("EXISTS", ROWS))


def test_later_process_of_a_server_replaces_the_earlier_one(begin: Begin, fe1: ValkeyMember) -> None:
    begin(FE1, 8)
    told = begun(fe1)
    assert "REPLACED" in failing(fe1)
    assert not told


def test_write_whose_reply_was_lost_is_made_once(fe1: ValkeyMember, valkey: ValkeyServer) -> None:
    """Made again under the same Call-ID and CSeq, it is no older registration."""
    fe1.write([PHONE])
    made = fe1.write([PHONE])
    assert made is not None
    assert not made.lost
    told = begun(fe1)
    fe1.loop.run_until_complete(asyncio.sleep(0))
    valkey.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    fe1.until(lambda: told)
    assert told[0] is not None
    assert not told[0].lost


def row(**changes: object) -> bytes:
    """A value as the store has it."""
    return b"9 " + value_of(replace(PHONE, **changes))  # type: ignore[arg-type]


def test_rows_of_somebody_who_writes_to_the_store_are_read_by_the_rules(
    fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer
) -> None:
    """Only rows of servers that live, in the incarnation that they have, of the pool; and what does not fit is passed over."""
    fe1.write([PHONE])
    stranger = replace(PHONE, instance="<urn:uuid:9>")
    for number, changes in enumerate(
        ({"server": "evil.test"}, {"incarnation": 6}, {"token": "a b"}, {"contact": "tel:1"}, {"q": 7.0})
    ):
        one = replace(stranger, instance=f"<urn:uuid:9{number}>", **changes)  # type: ignore[arg-type]
        valkey.ask("HSET", ROWS, one.key.name, b"9 " + value_of(one))
    valkey.ask("HSET", ROWS, "nonsense", b"\xff" * 100, b"\x00", b"", "", "")
    assert fe2.rows() == [PHONE]
    valkey.ask("HSET", ROWS, stranger.key.name, b"9 " + value_of(stranger))
    assert len(fe2.rows()) == 2


def test_rows_of_one_user_have_a_bound(fe2: ValkeyMember, fe1: ValkeyMember, valkey: ValkeyServer) -> None:
    fe1.write([PHONE])
    for number in range(MOST_ROWS + 1):
        one = replace(PHONE, instance=f"<urn:uuid:{number}>")
        valkey.ask("HSET", ROWS, one.key.name, b"%d " % number + value_of(one))
    assert len(fe2.rows()) == MOST_ROWS


@pytest.mark.parametrize("key", [ROWS, KEYS.servers, KEYS.identity, KEYS.leases, KEYS.number, KEYS.dead])
@pytest.mark.parametrize(
    "command", [("SET", b"\xff" * 40), ("LPUSH", b"x"), ("HSET", b"x", b"y"), ("SADD", b"../../x")]
)
def test_key_of_another_kind_stops_nobody(
    begin: Begin, fe1: ValkeyMember, valkey: ValkeyServer, key: bytes, command: tuple[str | bytes, ...]
) -> None:
    """Servers go on to ask and to try; all is well once the key is gone."""
    valkey.ask("DEL", key)
    valkey.ask(command[0], key, *command[1:])
    told = begun(fe1)
    for _ in range(3):
        asked(fe1)
    fe1.until(lambda: told or fe1.store.health.failures)
    valkey.ask("FLUSHALL")
    fe1.until(lambda: told)
    fe1.until(lambda: fe1.store.is_connected)
    assert asked(begin(FE2, 3)) is not None


def test_pool_cannot_reach_the_keys_of_another_pool(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule of the ACL is that of the how-to page; the pool itself has all that it needs."""
    rules = ("~sipmesh:{Example/pool1.example.test}:*", "-@all", "+@connection", "+@hash", "+@set", "+@string")
    more = ("+evalsha", "+script|load", "+info", "+time", "+exists", "+rename", "+del", "-client|kill")
    valkey.ask("ACL", "SETUSER", "pool1", "on", f">{'secret'}", *rules, *more)
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    with valkey_members(valkey, user="pool1") as begin:
        fe1, fe2 = begin(FE1, 7), begin(FE2, 3)
        fe1.write([PHONE])
        assert fe2.rows() == [PHONE]
        fe2.write([ELSEWHERE])
        assert fe1.rows() == [ELSEWHERE]
        fe2.store.close()
        fe1.until(lambda: not fe1.store._table.incarnations())
    with valkey_members(valkey, user="pool1", pool="pool2.example.test", connects=False) as begin:
        assert "NOPERM" in failing(begin(FE1, 7))


def test_user_of_the_store_without_a_right_is_told_and_heals(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.ask("ACL", "SETUSER", "pool1", "on", ">secret", "~*", "+@all", "-evalsha")
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    with valkey_members(valkey, user="pool1", connects=False) as begin:
        fe1 = begin(FE1, 7)
        assert "NOPERM" in failing(fe1)
        assert "secret" not in str(fe1.told) + fe1.store.health.last_error
        valkey.ask("ACL", "SETUSER", "pool1", "+evalsha")
        fe1.connected()


def test_hiredis_tells_errors_from_replies() -> None:
    """The parser is a library: what `connection` relies on."""
    reader = hiredis.Reader(notEnoughData=...)
    reader.feed(b"-ERR x\r\n>1\r\n+push\r\n%1\r\n+a\r\n:1\r\n")
    error, push, mapped = reader.gets(), reader.gets(), reader.gets()
    assert isinstance(error, Exception)
    assert isinstance(push, hiredis.PushNotification)
    assert mapped == {b"a": 1}


def test_settings_of_a_test_name_no_secret(valkey: ValkeyServer) -> None:
    assert repr(module.ValkeyLocations(settings_of(valkey))) == f"<ValkeyLocations valkey://127.0.0.1:{valkey.port}>"
