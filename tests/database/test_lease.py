"""The lease: one leader, a number that only rises, and no write of a leader that was overtaken."""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql

from sipmesh.database import lease as lease_module
from sipmesh.database.connection import Database, DatabaseTimeouts
from sipmesh.database.lease import Lease
from sipmesh.database.number_ceilings import FENCING_NUMBERS
from sipmesh.errors import NotLeadingError, OperatorError
from storage.databases import BOTH, POSTGRESQL
from support.tiers import wide_after

A, B = "mgmt1.example.test", "mgmt2.example.test"


@pytest.fixture(name="database", params=BOTH)
def _database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    url = request.getfixturevalue("postgres_url") if request.param == POSTGRESQL else f"sqlite:///{tmp_path}/x.db"
    return Database(str(url), "things")


def expire(database: Database) -> None:
    """Let more than `LEASE_S` pass."""
    with database.engine.begin() as db:
        db.execute(sql.text("UPDATE management_lease SET until = until - 10"))


def write(database: Database, lease: Lease) -> int:
    """Run a transaction that writes."""
    with database.border(), database.engine.begin() as db:
        return lease.enter(db)


def test_first_server_leads_until_its_lease_expires(database: Database) -> None:
    first, second = Lease(database, A), Lease(database, B)
    assert first.claim()
    assert not second.claim()
    assert first.claim()
    expire(database)
    assert second.claim()
    assert not first.claim()
    assert (first.fencing, second.fencing) == (0, 2)
    state = second.state()
    assert state is not None
    assert (state.holder, state.fencing) == (B, 2)
    assert 0 < state.left_s <= lease_module.LEASE_S


def test_overtaken_leader_writes_nothing_and_learns_who_leads(database: Database) -> None:
    first, second = Lease(database, A), Lease(database, B)
    assert first.claim()
    assert write(database, first) == 1
    expire(database)
    assert second.claim()
    with pytest.raises(NotLeadingError, match=f"{B} leads the management pool, with fencing number 2; run .* {B}"):
        write(database, first)
    assert write(database, second) == 2


def test_leader_whose_lease_has_expired_goes_on_if_no_other_server_leads(database: Database) -> None:
    """No other server has written meanwhile, so its number may stay."""
    first = Lease(database, A)
    assert first.claim()
    expire(database)
    assert write(database, first) == 1
    assert first.claim()
    assert first.fencing == 1


@pytest.mark.peer("postgresql")
def test_leader_that_writes_for_longer_than_its_lease_goes_on_leading(postgres_url: str) -> None:
    """It renews the lease meanwhile, and another server neither waits for the transaction nor takes the lease after it."""
    database = Database(postgres_url, "things", DatabaseTimeouts(lock_s=0.2))
    first, second = Lease(database, A), Lease(database, B)
    assert first.claim()
    with database.engine.begin() as db:
        assert first.enter(db) == 1
        expire(database)
        assert not second.claim()
        assert (first.renew(), first.claim()) == (True, True)
        expire(database)
        with database.engine.begin() as other:
            assert first.enter(other) == 1  # writers do not wait for each other
        assert first.renew()
    assert not second.claim()
    expire(database)
    assert second.claim()
    assert second.fencing == 2


def test_only_a_lease_that_is_ours_and_not_released_is_renewed(database: Database) -> None:
    first, second = Lease(database, A), Lease(database, B)
    assert not first.renew()
    assert first.claim()
    expire(database)
    assert (second.renew(), first.renew()) == (False, True)
    assert not second.claim()
    with database.engine.begin() as db:
        db.execute(sql.text("UPDATE management_lease SET until = 0"))  # as `release` does, in another thread
    assert not first.renew()
    assert second.claim()
    assert not first.renew()
    assert not Lease(database).renew()


def test_number_that_was_overtaken_is_never_used_again(database: Database) -> None:
    first, second = Lease(database, A), Lease(database, B)
    numbers = []
    for _ in range(2):
        for lease in (first, second):
            assert lease.claim()
            numbers.append(lease.fencing)
            expire(database)
    assert numbers == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("holder", "until"),
    wide_after(
        2, [(A, 4e9), ("nobody.example.test", math.inf), (A, math.inf), (A, -math.inf), ("nobody.example.test", 4e9)]
    ),
)
def test_lease_that_ends_later_than_any_leader_writes_is_free(database: Database, holder: str, until: float) -> None:
    """Otherwise a client of the database could keep every server from leading for ever. Control: a lease as it is written."""
    first, second = Lease(database, A), Lease(database, B)
    assert first.claim()
    assert not second.claim()
    with database.engine.begin() as db:
        change = sql.text("UPDATE management_lease SET until = :until, holder = :holder")
        db.execute(change, {"until": until, "holder": holder})
    assert second.claim()
    assert second.fencing == 2
    with pytest.raises(NotLeadingError, match=B):
        write(database, first)
    assert not first.claim()


@pytest.mark.peer("postgresql")
def test_end_that_is_no_number_makes_the_lease_free(postgres_url: str) -> None:
    """PostgreSQL stores NaN; SQLite stores no row without a number."""
    database = Database(postgres_url, "things")
    first, second = Lease(database, A), Lease(database, B)
    assert first.claim()
    with database.engine.begin() as db:
        db.exec_driver_sql("UPDATE management_lease SET until = 'NaN'")
    assert second.claim()


def test_released_lease_is_free_at_once(database: Database) -> None:
    first, second = Lease(database, A), Lease(database, B)
    assert first.claim()
    second.release()
    assert not second.claim()
    first.release()
    assert second.claim()
    assert second.fencing == 2


def test_command_acts_for_the_server_of_its_host_only(database: Database) -> None:
    server, here, there = Lease(database, A), Lease(database, A), Lease(database, B)
    assert server.claim()
    here.must_lead()
    assert write(database, here) == 1
    with pytest.raises(NotLeadingError, match=A):
        there.must_lead()
    expire(database)
    there.must_lead()
    assert there.fencing == 2


def test_each_server_reports_what_it_has_in_force(database: Database) -> None:
    first, second = Lease(database, A), Lease(database, B)
    assert first.claim()
    right = datetime.now(UTC)
    first.report(7, right)
    second.report(6, right)
    members = second.report(8, right + timedelta(hours=1))
    assert [(one.server, one.fencing, one.version) for one in members] == [(A, 1, 7), (B, 0, 8)]
    assert all(0 <= one.heard_s < 60 for one in members)
    assert [round(one.ahead_s / 3600) for one in members] == [0, 1]


def test_one_of_many_servers_leads(database: Database) -> None:
    leases = [Lease(database, f"mgmt{n}.example.test") for n in range(4)]
    with ThreadPoolExecutor(4) as workers:
        assert sorted(workers.map(Lease.claim, leases)) == [False, False, False, True]


def test_only_management_server_needs_no_lease(database: Database) -> None:
    lease = Lease(database)
    assert (lease.claim(), lease.is_of_pool, lease.state()) == (True, False, None)
    lease.must_lead()
    assert write(database, lease) == 0
    assert lease.jump(1000) == 1000
    assert Lease(database).fencing == 1000
    pool = Lease(database, A)
    assert pool.claim()
    assert pool.fencing == 1001


def test_number_is_above_what_this_host_has_seen_for_any_value_in_the_database(database: Database) -> None:
    first, second = Lease(database, A), Lease(database, B)
    assert first.claim()
    with database.engine.begin() as db:
        db.execute(sql.text("UPDATE management_lease SET fencing = 9"))
    first.fencing = first.floor = 9
    assert (first.claim(), first.fencing) == (True, 9)
    with database.engine.begin() as db:
        db.execute(sql.text("UPDATE management_lease SET fencing = 2"))
    first.fencing = 0
    assert (first.claim(), first.fencing) == (True, 10)
    with database.engine.begin() as db:
        db.execute(sql.text("DELETE FROM management_lease"))
    second.floor = 10
    assert (second.claim(), second.fencing) == (True, 11)


def raised(database: Database, number: int) -> None:
    """Set the number as a client that can write to the database."""
    Lease(database)  # it creates the table
    with database.engine.begin() as db:
        db.execute(sql.text("DELETE FROM management_lease"))
        row = {"number": number}
        db.execute(sql.text("INSERT INTO management_lease VALUES (1, '', :number, 0, 0)"), row)


@pytest.mark.parametrize("holder", [A, ""])
def test_number_that_no_leader_can_have_is_refused_until_it_is_repaired(database: Database, holder: str) -> None:
    raised(database, 5)
    lease = Lease(database, holder)
    assert lease.claim()
    before = write(database, lease)
    raised(database, 2**53 - 2)
    why = rf"fencing number \d+ is beyond .* set `fencing` of management_lease to {before}"
    for act in (lambda: write(database, lease), lambda: lease.jump(1), *([lease.claim] if holder else [])):
        with pytest.raises(OperatorError, match=why):
            act()
    assert lease.fencing == before
    assert Lease(database, holder).fencing == 0
    raised(database, before)
    lease = Lease(database, holder)
    assert lease.claim()
    assert write(database, lease) == (before + 1 if holder else before)


def test_number_after_the_highest_that_this_host_has_seen_counts_under_any_clock(database: Database) -> None:
    """A leader had it before the clock was set back."""
    top = FENCING_NUMBERS.at(datetime.now(UTC)) + 1_000
    raised(database, top)
    lease = Lease(database, A)
    with pytest.raises(OperatorError):
        lease.claim()
    lease.floor = top
    assert (lease.claim(), lease.fencing) == (True, top + 1)


@pytest.mark.peer("postgresql")
def test_claim_of_another_thread_does_not_end_the_lease_while_the_number_is_raised(postgres_url: str) -> None:
    """It saw the number before beside the new one in memory: the server stopped leading, and `--overtake` failed."""
    database = Database(postgres_url, "things")
    lease, claims = Lease(database, A), list[Future[bool]]()
    assert lease.claim()
    with ThreadPoolExecutor(1) as thread:

        @sql.event.listens_for(database.engine, "commit")
        def claim_meanwhile(_: sql.Connection) -> None:
            if not claims:
                claims.append(thread.submit(lease.claim))
                wait(claims, 0.1)

        assert lease.overtake(7) == 8
        assert claims[0].result()
    assert lease.fencing == 8
    database.close()


@pytest.mark.parametrize("holder", [A, ""])
def test_leader_overtakes_a_number_that_servers_have_seen(database: Database, holder: str) -> None:
    lease, other = Lease(database, holder), Lease(database, B)
    assert lease.claim()
    assert lease.overtake(7) == 8
    assert write(database, lease) == 8
    assert lease.overtake(3) == 8
    assert lease.claim()
    assert (lease.fencing, Lease(database, holder).fencing) == (8, 0 if holder else 8)
    if holder:
        with pytest.raises(NotLeadingError):
            other.overtake(9)
        lease.release()
    assert other.claim()
    assert other.fencing == 9
