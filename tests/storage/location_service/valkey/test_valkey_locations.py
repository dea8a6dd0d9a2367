"""A store that is away, full, forbidden, emptied or written by another client; what every store does is in `test_locations`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import hiredis
import pytest

from sipmesh.storage.location_service.lease_watch import MOST_MISSED
from sipmesh.storage.location_service.locations import StoredRows, Write, WriteResult
from sipmesh.storage.location_service.valkey import session as session_module
from sipmesh.storage.location_service.valkey import valkey_locations as module
from sipmesh.storage.location_service.valkey.commands import MOST_FIELDS, MOST_PROCESSES
from sipmesh.storage.location_service.valkey.connection import ANSWER_S, StoreConnection
from sipmesh.storage.location_service.valkey.keys import Keys
from sipmesh.storage.location_service.valkey.rows.seal import Seal
from sipmesh.storage.location_service.valkey.rows.stored_row import MOST_ROWS, REMOVAL_COUNTS_S, value_of
from sipmesh.storage.location_service.valkey.servers import later_process, lease_keeper, server_watch
from sipmesh.storage.location_service.valkey.session import StoreSession
from sipmesh.storage.location_service.valkey.settings import PASSWORD_VARIABLE
from sipmesh.storage.location_service.valkey.valkey_locations import TICK_S
from storage.members import ALICE, BOB, ELSEWHERE, FE1, FE2, PATIENCE_S, PHONE
from storage.valkey_members import ORGANISATION, POOL, POOL_KEY, SEAL, ValkeyMember, valkey_members
from support.pool_user import add_pool_user
from support.running import LOOK_AGAIN_S
from support.tiers import wide_after
from support.valkey_server import ValkeyServer

pytestmark = pytest.mark.peer("valkey")
KEYS = Keys(ORGANISATION, POOL, POOL_KEY)
ROWS = KEYS.bindings(ALICE)
PHONE_OF_LATER = replace(PHONE, incarnation=8, call_id="later")
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


def until_found(member: ValkeyMember, holds: Callable[[StoredRows], object]) -> None:
    """Ask for alice until the answer is as wanted; several servers share the loop, which runs meanwhile."""
    ends = time.monotonic() + PATIENCE_S
    while (found := asked(member)) is None or not holds(found):
        assert time.monotonic() < ends, found
        member.loop.run_until_complete(asyncio.sleep(LOOK_AGAIN_S / 10))


def session_of(member: ValkeyMember) -> StoreSession:
    """What the parts of a server know of the store."""
    assert member.store._session is not None
    return member.store._session


def begun(member: ValkeyMember) -> list[WriteResult | None]:
    """Begin to store alice's phone; gives what is reported later."""
    told: list[WriteResult | None] = []
    member.store.write(Write(ALICE, (PHONE,), (), told.append))
    return told


def failing(member: ValkeyMember) -> str:
    """Wait until the store is reported, and give the reason."""
    member.until(lambda: member.told)
    return member.told[-1]


@pytest.mark.wide
def test_store_that_was_never_there_is_reported_once_and_used_when_it_comes(valkey: ValkeyServer) -> None:
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


@pytest.mark.wide
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


@pytest.mark.wide
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


@pytest.mark.wide
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
    monkeypatch.setattr(lease_keeper, "RENEW_EVERY_S", 0.001)
    monkeypatch.setattr(module, "TICK_S", 0.001)
    fe1.write([PHONE, replace(PHONE, instance=None)])
    assert len(fe2.rows()) == 2
    session = session_of(fe1)
    assert session.ready is not None
    fe1.store._task.cancel() if fe1.store._task else None
    fe1.store._timer.cancel() if fe1.store._timer else None
    session.abort("killed")
    fe2.until(
        lambda: (
            fe2.store._leases.watch._missed.get(FE1, ((0, 0), 0))[1] >= MOST_MISSED
            or not fe2.store._servers.table.incarnations()
        )
    )
    fe2.until(lambda: not fe2.store._servers.table.incarnations())
    assert fe2.rows() == []
    fe2.until(lambda: not valkey.ask("EXISTS", ROWS))


@pytest.mark.wide
def test_later_process_of_a_server_replaces_the_earlier_one(begin: Begin, fe1: ValkeyMember) -> None:
    begin(FE1, 8)
    told = begun(fe1)
    assert "a later process" in failing(fe1)
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
    return b"9 " + value_of(replace(PHONE, **changes), SEAL)  # type: ignore[arg-type]


def test_rows_of_another_writer_of_the_store_are_read_by_the_rules(
    fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer
) -> None:
    """Only rows of servers that live, in the incarnation that they have, of the pool; and what does not fit is passed over."""
    fe1.write([PHONE])
    stranger = replace(PHONE, instance="<urn:uuid:9>")
    for number, changes in enumerate(
        ({"server": "evil.test"}, {"incarnation": 6}, {"token": "a b"}, {"contact": "tel:1"}, {"q": 7.0})
    ):
        one = replace(stranger, instance=f"<urn:uuid:9{number}>", **changes)  # type: ignore[arg-type]
        valkey.ask("HSET", ROWS, one.key.name, b"9 " + value_of(one, SEAL))
    valkey.ask("HSET", ROWS, "nonsense", b"\xff" * 100, b"\x00", b"", "", "")
    assert fe2.rows() == [PHONE]
    valkey.ask("HSET", ROWS, stranger.key.name, b"9 " + value_of(stranger, SEAL))
    assert len(fe2.rows()) == 2


def test_rows_of_one_user_have_a_bound(fe2: ValkeyMember, fe1: ValkeyMember, valkey: ValkeyServer) -> None:
    fe1.write([PHONE])
    for number in range(MOST_ROWS + 1):
        one = replace(PHONE, instance=f"<urn:uuid:{number}>")
        valkey.ask("HSET", ROWS, one.key.name, b"%d " % number + value_of(one, SEAL))
    assert len(fe2.rows()) == MOST_ROWS


@pytest.fixture(name="is_quick")
def _is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed, and what is overdue is looked at, all the time."""
    monkeypatch.setattr(lease_keeper, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr(module, "TICK_S", 0.01)
    monkeypatch.setattr(session_module, "TRY_AGAIN_S", (0.01,))


LONG = b"x" * (9 << 20)
POISONS: dict[str, tuple[tuple[str | bytes, ...], ...]] = {
    "lease that is no number": (("HSET", KEYS.leases, FE1, "x"),),
    "lease that cannot be counted up": (("HSET", KEYS.leases, FE1, str(2**63 - 1)),),
    "lease of another server that is long": (("HSET", KEYS.leases, FE2, LONG),),
    "more leases than processes": (("HSET", KEYS.leases, *[f"{n}" for n in range(2 * MOST_PROCESSES + 2)]),),
    "more servers than there are": (("HSET", KEYS.servers, *[f"{n}" for n in range(2 * MOST_PROCESSES + 2)]),),
    "entry that is long": (("HSET", KEYS.servers, "x", LONG), ("HSET", KEYS.servers, FE1, LONG)),
    "entry with a number of many digits": (("HSET", KEYS.servers, FE1, b"9" * 400 + b" " + b"a" * 40 + b" 1 00 0"),),
    "name of a server that is long": (("HSET", KEYS.servers, LONG, f"9 {'a' * 40} 1 {SEAL.print} 0"),),
    "identity that is none": (("SET", KEYS.identity, "me"),),
    "identity that is long": (("SET", KEYS.identity, LONG),),
    "identity of a time that never was": (("SET", KEYS.identity, "0" * 32 + " " + "9" * 400),),
    "no identity": (("DEL", KEYS.identity),),
    "row that is long": (("HSET", ROWS, "x", LONG),),
    "more rows than a user has": (("HSET", ROWS, *[f"{n}" for n in range(2 * MOST_FIELDS + 2)]),),
    "name of a row that is long": (("HSET", ROWS, LONG, "1"),),
    "servers to sweep that never were": (
        ("SADD", KEYS.dead, "evil.test", LONG),
        ("SET", KEYS.prefix + b"dead:evil.test", "1"),
    ),
    "users to sweep that are no users": (
        ("SADD", KEYS.dead, FE1),
        ("SADD", KEYS.prefix + f"dead:{FE1}".encode(), LONG, "x"),
    ),
}
KINDS: tuple[tuple[str | bytes, ...], ...] = (
    ("SET", b"\xff" * 40),
    ("LPUSH", b"x"),
    ("HSET", b"x", b"y"),
    ("SADD", b"../../x"),
)
DEAD = KEYS.prefix + f"dead:{FE1}".encode()
for key in (ROWS, KEYS.servers, KEYS.identity, KEYS.leases, KEYS.dead, KEYS.rows_of(FE1), DEAD):
    for kind, *rest in KINDS:
        POISONS[f"{key[len(KEYS.prefix) :].decode()} of another kind, by {kind!r}"] = (("DEL", key), (kind, key, *rest))


@pytest.mark.usefixtures("is_quick")
@pytest.mark.parametrize("poison", wide_after(10, POISONS))
def test_any_written_value_stops_no_server_and_heals_by_itself(
    begin: Begin, fe1: ValkeyMember, valkey: ValkeyServer, poison: str
) -> None:
    """An attacker writes to the store once. No operator cleans up. A running server and a new one have all that they need."""
    fe1.write([replace(PHONE, aor=BOB)])
    for words in POISONS[poison]:
        valkey.ask(*words)
    told = begun(fe1)
    fe1.until(lambda: told)
    assert told[0] is not None
    fe1.restores.append(lambda: fe1.store.write(Write(ALICE, (PHONE,), (), lambda _: None, restores=True)))
    fe2 = begin(FE2, 3)
    until_found(fe2, lambda found: found.rows == (PHONE,))
    fe1.until(lambda: fe1.store.is_settled and fe2.store.is_settled)
    again = begin(FE1, 8)
    until_found(again, lambda found: found.complete)
    assert not [line for line in fe1.told if "stop one of the two" in line]


@pytest.mark.usefixtures("is_quick")
@pytest.mark.parametrize("known", [f"9999999999999999 {'a' * 40} 1 {SEAL.print} 0", f"8 {'a' * 40} 1 00 0"])
def test_entry_of_a_later_process_that_does_not_run_gives_way(
    fe1: ValkeyMember, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    """The later process of `test_later_process_of_a_server_replaces_the_earlier_one` renews its lease, and keeps its place."""
    monkeypatch.setattr(later_process, "GONE_S", 0.2)
    valkey.ask("HSET", KEYS.servers, FE1, known)
    told = begun(fe1)
    fe1.until(lambda: told)
    assert told[0] is not None
    assert fe1.rows() == [PHONE]


@pytest.mark.usefixtures("is_quick")
@pytest.mark.wide
def test_later_process_that_renews_its_lease_keeps_its_place(
    begin: Begin, fe1: ValkeyMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_process, "GONE_S", 0.5)
    later, refusals = begin(FE1, 8), list[str]()
    monkeypatch.setattr(session_of(fe1), "failed", refusals.append)
    begun(fe1)
    later.until(lambda: len(refusals) > MOST_MISSED * 4)
    assert later.write([PHONE_OF_LATER]) is not None
    assert later.rows() == [PHONE_OF_LATER]


@pytest.mark.parametrize(
    "false",
    [
        b"1 " + value_of(replace(PHONE, server="evil.test", cseq=2**50), Seal(b"no key of ours")),
        b"1 " + value_of(replace(ELSEWHERE, call_id=PHONE.call_id, cseq=2**50), Seal(b"no key of ours")),
        b'1 AAAAAAAAAAAAAAAA ["removed",1]',
        b'1 AAAAAAAAAAAAAAAA [null,null,null,null,"one",1e308,{},{},null,null]',
        b"1 " + value_of(replace(PHONE, server="evil.test", incarnation=0, cseq=2**50), SEAL),
    ],
)
@pytest.mark.parametrize("restores", wide_after(1, [False, True]))
def test_row_of_no_server_of_the_pool_gives_way_with_any_cseq(
    fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer, false: bytes, *, restores: bool
) -> None:
    """A row that fe2 has stored does not give way to an older one."""
    valkey.ask("HSET", ROWS, PHONE.key.name, false)
    assert fe2.rows() == []
    result = fe1.write([PHONE], restores=restores)
    assert result is not None
    assert not result.lost
    assert fe2.rows() == [PHONE]
    newer = replace(ELSEWHERE, aor=BOB, call_id=PHONE.call_id, cseq=2)
    assert fe2.write([newer]) is not None
    result = fe1.write([replace(PHONE, aor=BOB)], restores=restores)
    assert result is not None
    assert len(result.lost) == 1


def test_row_that_no_server_of_the_pool_has_written_is_removed_when_it_is_read(
    fe1: ValkeyMember, valkey: ValkeyServer
) -> None:
    fe1.write([PHONE])
    valkey.ask("HSET", ROWS, "x", b"1 " + value_of(PHONE, Seal(b"no key of ours")), "y", "nonsense")
    assert fe1.rows() == [PHONE]
    until_found(fe1, lambda _: valkey.ask("HLEN", ROWS) == 1)


def test_removed_row_of_another_server_leaves_a_removal_that_its_server_reads(
    fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer
) -> None:
    """Only if a REGISTER has removed it; a row that no other server knows leaves nothing."""
    fe1.write([PHONE])
    fe2.write(drop=[PHONE], unregisters=True)
    found = asked(fe1)
    assert found is not None
    assert (found.rows, found.removed) == ((), frozenset({PHONE.key.name}))
    assert ALICE in fe1.changes
    fe1.write([PHONE])
    fe2.write(drop=[PHONE])
    assert not valkey.ask("EXISTS", ROWS)
    fe1.write([PHONE])
    fe1.write(drop=[PHONE], unregisters=True)
    assert not valkey.ask("EXISTS", ROWS)


def test_row_that_has_replaced_another_leaves_a_removal_too(fe1: ValkeyMember, fe2: ValkeyMember) -> None:
    """The first server may have its row aside."""
    fe1.write([PHONE])
    fe2.write([ELSEWHERE])
    fe2.write(drop=[ELSEWHERE], unregisters=True)
    found = asked(fe1)
    assert found is not None
    assert found.removed == frozenset({PHONE.key.name})
    again = fe1.write([PHONE], restores=True)
    assert again is not None
    assert again.lost
    made = fe1.write([PHONE])
    assert made is not None
    assert fe2.rows() == [PHONE]


def test_removal_ends_after_a_minute(fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer) -> None:
    fe1.write([PHONE])
    fe2.write(drop=[PHONE], unregisters=True)
    fe1.store._lookups._wall = lambda: time.time() + REMOVAL_COUNTS_S + 2
    until_found(fe1, lambda found: not found.removed and not valkey.ask("EXISTS", ROWS))


def test_servers_that_a_client_changes_all_the_time_are_read_now_and_then(
    fe1: ValkeyMember, fe2: ValkeyMember, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a change was read, no server is reported as away. The last change is always read."""
    fe2.write([ELSEWHERE])
    reads = 0
    read_servers = fe1.store._servers.read

    def counted(connection: StoreConnection) -> None:
        nonlocal reads
        reads += 1
        read_servers(connection)

    monkeypatch.setattr(fe1.store._servers, "read", counted)
    monkeypatch.setattr(server_watch, "SERVERS_EVERY_S", 1_000.0)
    monkeypatch.setattr(module, "TICK_S", 1_000.0)
    for number in range(20):
        valkey.ask("HSET", KEYS.servers, "evil.test", number)
        asked(fe1)
    found = asked(fe1)
    assert found is not None
    assert not found.complete
    assert reads <= 2  # with the tick that was due
    valkey.ask("HDEL", KEYS.servers, "evil.test")
    monkeypatch.setattr(module, "TICK_S", TICK_S)
    fe1.store._tick(session_of(fe1))
    until_found(fe1, lambda found: found.complete and found.rows == (ELSEWHERE,))


def test_servers_with_different_keys_inform_the_operator_and_report_no_server_as_away(
    valkey: ValkeyServer, fe1: ValkeyMember
) -> None:
    """Rows of the other server are left alone: it is a mistake of the operator, not an attack."""
    fe1.write([PHONE])
    with valkey_members(valkey, pool_key=bytes(32)) as begin:
        fe2 = begin(FE2, 3)
        found = asked(fe2)
        assert found is not None
        assert (found.rows, found.complete) == ((), False)
        assert FE1 in fe2.store.health.warning
        assert "dialog-key" in fe2.store.health.warning
        fe1.until(lambda: FE2 in fe1.store.health.warning)
        assert fe1.rows() == [PHONE]
    fe1.until(lambda: not fe1.store.health.warning)


def test_pool_cannot_reach_the_keys_of_another_pool(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule of the ACL is that of the how-to page; the pool itself has all that it needs."""
    add_pool_user(valkey, ORGANISATION, POOL, "pool1", "secret")
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    with valkey_members(valkey, user="pool1") as begin:
        fe1, fe2 = begin(FE1, 7), begin(FE2, 3)
        fe1.write([PHONE])
        assert fe2.rows() == [PHONE]
        fe2.write([ELSEWHERE])
        assert fe1.rows() == [ELSEWHERE]
        fe2.store.close()
        fe1.until(lambda: not fe1.store._servers.table.incarnations())
    with valkey_members(valkey, user="pool1", pool="pool2.example.test", connects=False) as begin:
        assert "NOPERM" in failing(begin(FE1, 7))


@pytest.mark.wide
def test_user_of_the_store_without_a_right_is_reported_and_heals(
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


def test_hiredis_distinguishes_errors_from_replies() -> None:
    """The parser is a library: what `connection` relies on."""
    reader = hiredis.Reader(notEnoughData=...)
    reader.feed(b"-ERR x\r\n>1\r\n+push\r\n%1\r\n+a\r\n:1\r\n")
    error, push, mapped = reader.gets(), reader.gets(), reader.gets()
    assert isinstance(error, Exception)
    assert isinstance(push, hiredis.PushNotification)
    assert mapped == {b"a": 1}
