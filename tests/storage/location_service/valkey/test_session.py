"""How the store does, and what is reported to its owner."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.valkey.replies import ignored
from sipmesh.storage.location_service.valkey.session import TOLD_AFTER_S, TRY_AGAIN_S
from storage.valkey_parts import NOW, Parts


def test_nothing_is_sent_without_a_connection(parts: Parts) -> None:
    parts.session.send([(("PING",), ignored)])
    parts.session.abort("why")
    assert not parts.connection.sent
    assert not parts.connection.reasons
    parts.connected().session.send([(("PING",), ignored)])
    parts.session.abort("why")
    assert parts.connection.names == ["PING"]
    assert parts.connection.reasons == ["why"]


def test_each_failure_waits_longer_until_the_longest(parts: Parts) -> None:
    waits = []
    for _ in range(len(TRY_AGAIN_S) + 1):
        parts.session.failed("away")
        waits.append(parts.session.try_again_s())
    assert waits == [*TRY_AGAIN_S, TRY_AGAIN_S[-1]]
    parts.session.worked()
    parts.session.failed("away")
    assert parts.session.try_again_s() == TRY_AGAIN_S[0]


def test_failure_gives_up_lookups_and_is_written_without_control_characters(parts: Parts) -> None:
    parts.session.failed("away\x1b[2J")
    assert parts.told == ["given up"]
    assert parts.session.health.last_error.startswith("valkey://store: away")
    assert "\x1b" not in parts.session.health.last_error


@pytest.mark.parametrize(("after_s", "told"), [(TOLD_AFTER_S - 0.1, False), (TOLD_AFTER_S, True)])
def test_failure_is_reported_once_it_has_lasted(parts: Parts, after_s: float, *, told: bool) -> None:
    parts.session.failed("away")
    for _ in range(2):
        parts.session.tell_failing(NOW + after_s)
    assert [line for line in parts.told if line.startswith("failing")] == (
        ["failing: valkey://store: away"] if told else []
    )
    parts.session.worked()
    assert (parts.told[-1] == "working") is told


def test_success_ends_the_failure_and_counts_what_was_made(parts: Parts) -> None:
    parts.session.failed("away")
    parts.session.worked(3, batches=1)
    health = parts.session.health
    assert (health.failing_since, health.failures, health.writes, health.batches) == (None, 0, 3, 1)
    parts.session.tell_failing(NOW + 100)
    assert parts.told == ["given up"]


def test_rows_are_stored_again_once_for_each_loss(parts: Parts) -> None:
    parts.connected()
    parts.session.forgotten()
    parts.session.forgotten()
    assert parts.told == ["forgotten"]
    assert not parts.session.is_restored
