"""A management server learns that it leads, or does not any more, and says so once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sql

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.errors import NotLeadingError, OperatorError
from sipmesh.server.management.pool.leadership import Leadership
from support.running import LOOK_AGAIN_S, on_loop, until
from support.telling import Told

A, B = "mgmt1.example.test", "mgmt2.example.test"
AWAY = "management database cannot be used: nothing can be published or revoked"


class Candidate:
    """Notes what it gets."""

    version = 7

    def __init__(self) -> None:
        self.told: list[str] = []

    async def lead(self) -> None:
        self.told.append("lead")

    async def follow(self) -> None:
        self.told.append("follow")

    def step_down(self) -> None:
        self.told.append("step down")


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Database:
    return Database(tmp_path / "x.db", "things")


def expire(database: Database) -> None:
    with database.engine.begin() as db:
        db.execute(sql.text("UPDATE management_lease SET until = until - 10"))


@on_loop
async def test_second_server_follows_until_the_first_does_not_renew_its_lease(database: Database) -> None:
    first, second = Candidate(), Candidate()
    told = Told()
    leader = Leadership(Lease(database, A), first, told.log)
    follower = Leadership(Lease(database, B), second, told.log)
    assert (leader.leads, follower.leads) == (True, False)
    await follower.keep()
    await leader.keep()
    assert (first.told, second.told) == ([], ["follow"])
    expire(database)
    await follower.keep()
    await leader.keep()
    assert (leader.leads, follower.leads, leader.is_ready) == (False, True, False)
    await until(lambda: follower.is_ready)
    assert (first.told, second.told) == (["step down", "follow"], ["follow", "follow", "lead"])
    assert [line["fencing"] for line in told.events("leads the management pool")] == [2]


@pytest.mark.wide
@on_loop
async def test_leader_whose_event_loop_is_busy_keeps_its_lease(database: Database) -> None:
    """Such as with the certificates of many servers, after a new root: this test keeps the loop to itself."""
    lease, other = Lease(database, A), Lease(database, B)
    leader = Leadership(lease, Candidate(), Told().log)
    leader.begin()
    expire(database)
    looks = threading.Event()
    while (state := other.state()) is None or state.is_free:
        looks.wait(LOOK_AGAIN_S)
    assert not other.claim()
    await leader.keep()
    assert (leader.leads, lease.fencing) == (True, 1)
    await leader.release()
    assert other.claim()
    leader.close()


@on_loop
async def test_leader_that_stops_lets_the_other_lead_at_once(database: Database) -> None:
    leader = Leadership(Lease(database, A), Candidate(), Told().log)
    follower = Leadership(Lease(database, B), Candidate(), Told().log)
    await follower.release()
    await follower.keep()
    assert not follower.leads
    await leader.release()
    await follower.keep()
    assert follower.leads


@on_loop
async def test_database_that_is_away_is_logged_once_and_changes_nothing(database: Database) -> None:
    candidate, told = Candidate(), Told()
    lease = Lease(database, A)
    leader = Leadership(lease, candidate, told.log)
    claim, lease_class = Lease.claim, type(lease)

    def away(_: Lease) -> bool:
        raise OperatorError("it is away")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(lease_class, "claim", away)
        for _ in range(3):
            await leader.keep()
    assert (leader.leads, leader.fault, candidate.told) == (True, "it is away", [])
    assert len(list(told.events(AWAY))) == 1
    assert lease_class.claim is claim
    await leader.keep()
    assert leader.fault == ""


@on_loop
async def test_only_management_server_leads_without_a_database(database: Database) -> None:
    candidate = Candidate()
    alone = Leadership(Lease(database), candidate, Told().log)
    await alone.keep()
    await alone.release()
    assert (alone.leads, candidate.told) == (True, [])


def test_no_other_part_of_the_process_of_a_follower_takes_the_lease(database: Database) -> None:
    """Such as the check of the CRLs: the server would lead without knowing it."""
    leader, follower = Lease(database, A), Lease(database, B)
    for lease in (leader, follower):
        Leadership(lease, Candidate(), Told().log)
    expire(database)
    refused: Callable[[], None] = follower.must_lead
    with pytest.raises(NotLeadingError):
        refused()
    assert follower.claim()
