"""Leases are renewed, those of servers that are gone end, and their rows are swept."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.lease_watch import MOST_MISSED, RENEW_EVERY_S
from sipmesh.storage.location_service.valkey.servers.lease_keeper import MOST_SWEEPS, LeaseKeeper
from storage.members import FE1, FE2
from storage.valkey_parts import IDENTITY, NOW, Parts, entry, named

AGE = f"{IDENTITY} 1700000000".encode()


class Keeping:
    """The lease of fe1 beside fe2; *waiting* are its writes."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.waiting = parts, list[str]()
        parts.table.replace({FE2.encode(): entry()})
        self.keeper = LeaseKeeper(parts.session, parts.commands, parts.servers, FE1, self.waiting)

    def renew(self, reply: object) -> list[str]:
        """Renew the lease; the store answers *reply*. Gives the names of the commands that follow."""
        self.parts.loop.now += RENEW_EVERY_S
        self.keeper.tick(self.parts.loop.now)
        self.parts.connection.answer(b"OK", name="CLIENT")
        self.parts.connection.answer(reply, name="renew")
        return self.parts.connection.names


@pytest.fixture(name="keeping")
def _keeping(parts: Parts) -> Keeping:
    return Keeping(parts.connected())


def test_lease_is_renewed_every_two_seconds_and_at_once_on_a_new_connection(keeping: Keeping) -> None:
    sent = keeping.parts.connection.names
    for now, renewals in ((NOW, 1), (NOW + RENEW_EVERY_S - 0.1, 1), (NOW + RENEW_EVERY_S, 2)):
        keeping.keeper.tick(now)
        sent = keeping.parts.connection.names
        assert sent.count("renew") == renewals
    keeping.keeper.joined()
    keeping.keeper.tick(NOW + RENEW_EVERY_S)
    assert keeping.parts.connection.names.count("renew") == len(sent) // 2 + 1


def test_what_is_read_for_a_renewal_is_not_followed(keeping: Keeping) -> None:
    keeping.keeper.tick(NOW)
    assert [words[:3] if named(words) == "CLIENT" else named(words) for words, _ in keeping.parts.connection.sent] == [
        ("CLIENT", "CACHING", "NO"),
        "renew",
    ]


def test_renewal_shows_that_the_store_works_once_no_write_waits(keeping: Keeping) -> None:
    keeping.parts.session.failed("away")
    keeping.waiting.append("a write")
    keeping.renew([1, 0, AGE, [b"1"]])
    assert keeping.parts.session.health.failures == 1
    keeping.waiting.clear()
    keeping.renew([1, 0, AGE, [b"2"]])
    assert keeping.parts.session.health.failures == 0


@pytest.mark.parametrize("reply", [[0, 0, AGE, [b"1"]], [1, 0, b"2" * 32 + b" 1", [b"1"]]])
def test_server_that_the_store_does_not_know_connects_again(keeping: Keeping, reply: object) -> None:
    keeping.renew(reply)
    assert keeping.parts.connection.reasons == ["another server has ended our lease"]


def test_server_that_misses_fifteen_renewals_is_ended(keeping: Keeping) -> None:
    for _ in range(MOST_MISSED):
        assert keeping.renew([1, 0, AGE, [b"5"]]) == []
    assert keeping.renew([1, 0, AGE, [b"5"]]) == ["end", "servers"]
    assert keeping.parts.connection.sent[0][0][-2:] == (FE2, 3)
    keeping.parts.connection.answer(1)
    keeping.parts.connection.answer([], name="servers")
    assert keeping.parts.table.incarnations() == {}


def test_server_that_renews_its_lease_is_not_ended(keeping: Keeping) -> None:
    for count in range(MOST_MISSED * 2):
        assert keeping.renew([1, 0, AGE, [b"%d" % count]]) == []


def test_lease_that_is_no_number_is_passed_over(keeping: Keeping) -> None:
    for _ in range(MOST_MISSED * 2):
        assert keeping.renew([1, 0, AGE, [b"x"]]) == []


def test_rows_of_servers_that_have_ended_are_swept_a_bounded_number_of_times(keeping: Keeping) -> None:
    assert keeping.renew([1, 1, AGE, [b"1"]]) == ["sweep"]
    for _ in range(MOST_SWEEPS - 1):
        keeping.parts.connection.answer(1, name="sweep")
        assert keeping.parts.connection.names == ["sweep"]
    keeping.parts.connection.answer(1, name="sweep")
    assert keeping.parts.connection.names == []


def test_sweeping_ends_when_nothing_is_left_or_the_store_refuses(keeping: Keeping) -> None:
    for reply in (0, Exception("NOPERM")):
        assert keeping.renew([1, 1, AGE, [b"1"]]) == ["sweep"]
        keeping.parts.connection.answer(reply, name="sweep")
        assert keeping.parts.connection.names == []


def test_refused_renewal_is_a_failure_and_a_lost_one_is_none(keeping: Keeping) -> None:
    keeping.renew(ConnectionError("gone"))
    assert keeping.parts.session.health.failures == 0
    keeping.renew(Exception("OOM"))
    assert "OOM" in keeping.parts.session.health.last_error
