"""What is known of the servers, and when a user without rows is not registered."""

from __future__ import annotations

import pytest

from sipmesh.routing.registrar.binding import WORKER_MARK
from sipmesh.storage.location_service.valkey.connection import MalformedReplyError
from sipmesh.storage.location_service.valkey.servers.server_watch import MOST_NAMED, SERVERS_EVERY_S
from storage.members import ALICE, FE2
from storage.valkey_parts import NOW, OTHER_SEAL, Parts, entry


def test_change_of_the_servers_is_read_at_once_and_marks_every_row(parts: Parts) -> None:
    before = parts.versions.of(ALICE)
    parts.connected().servers.changed(parts.connection)
    assert parts.versions.of(ALICE) != before
    parts.connection.answer([FE2.encode(), entry()], name="servers")
    assert parts.table.incarnations() == {FE2: 3}


def test_second_change_that_comes_too_soon_is_read_with_the_next_tick(parts: Parts) -> None:
    """Until then no server is reported as away."""
    parts.connected().servers.changed(parts.connection)
    parts.connection.answer([], name="servers")
    assert parts.servers.is_settled
    parts.loop.now = NOW + SERVERS_EVERY_S / 2
    parts.servers.changed(parts.connection)
    assert parts.connection.names == []
    assert not parts.servers.is_settled
    parts.servers.tick(parts.connection)
    assert parts.connection.names == ["servers"]
    assert parts.servers.is_settled
    parts.servers.tick(parts.connection)
    assert parts.connection.names == ["servers"]


def test_change_after_the_interval_is_read_at_once(parts: Parts) -> None:
    parts.servers.changed(parts.connection)
    parts.loop.now = NOW + SERVERS_EVERY_S
    parts.servers.changed(parts.connection)
    assert parts.connection.names == ["servers", "servers"]


def test_user_without_rows_may_be_registered_while_ours_are_not_stored(parts: Parts) -> None:
    assert not parts.servers.is_settled
    assert parts.connected().servers.is_settled
    parts.session.is_restored = False
    assert not parts.servers.is_settled


def test_new_connection_has_every_row_read_again(parts: Parts) -> None:
    parts.connected().servers.changed(parts.connection)
    parts.servers.changed(parts.connection)
    before = parts.versions.of(ALICE)
    parts.servers.joined()
    assert parts.versions.of(ALICE) != before
    assert parts.servers.is_settled


def test_servers_with_another_key_are_named_to_the_operator(parts: Parts) -> None:
    parts.servers.accept([FE2.encode(), entry(OTHER_SEAL)])
    assert FE2 in parts.session.health.warning
    assert "pool1.example.test.dialog-key" in parts.session.health.warning
    assert not parts.servers.share_one_key
    parts.servers.accept([FE2.encode(), entry()])
    assert parts.session.health.warning == ""
    assert parts.servers.share_one_key


def test_of_many_servers_with_another_key_three_are_named(parts: Parts) -> None:
    names = [f"{FE2}{WORKER_MARK}{number}" for number in range(1, MOST_NAMED + 2)]
    octets = [part for name in names for part in (name.encode(), entry(OTHER_SEAL))]
    parts.servers.accept(octets)
    if not parts.table.incarnations():
        pytest.fail("the names are not those of workers")
    assert parts.session.health.warning.count(FE2) == MOST_NAMED


def test_error_leaves_the_table_and_nonsense_does_not_fit(parts: Parts) -> None:
    parts.servers.accept([FE2.encode(), entry()])
    parts.servers.was_read(Exception("NOPERM"))
    assert parts.table.incarnations() == {FE2: 3}
    with pytest.raises(MalformedReplyError):
        parts.servers.was_read([1])
