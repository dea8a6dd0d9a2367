"""Writes over a connection that a test answers: what the callers get, and when."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.locations import Write, WriteResult
from sipmesh.storage.location_service.valkey.commands import Words
from sipmesh.storage.location_service.valkey.rows.stored_row import value_of
from sipmesh.storage.location_service.valkey.session import TRY_AGAIN_S
from sipmesh.storage.location_service.valkey.store_writer import LEAVES_NODE, StoreWriter
from storage.members import ALICE, PHONE
from storage.valkey_parts import NOW, SEAL, WALL, Parts

NAME = PHONE.key.name.encode()
HELD = b"1 " + value_of(PHONE, SEAL)


class Writing:
    """The writer of fe1, and what its writes have led to."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.connection = parts, parts.connection
        self.done: list[WriteResult | None] = []
        self.flushes = 0
        self.writer = StoreWriter(
            parts.session,
            parts.commands,
            parts.reader,
            parts.versions,
            parts.servers,
            lambda: WALL,
            self._flush_soon,
        )

    def _flush_soon(self) -> None:
        self.flushes += 1

    def write(self, count: int = 1) -> Writing:
        """Queue writes of alice's phone, and send what is due."""
        for _ in range(count):
            self.writer.queue.add(Write(ALICE, (PHONE,), (), self.done.append))
        return self.send()

    def send(self) -> Writing:
        """Send what is due."""
        self.connection.send(self.writer.due(self._enter))
        return self

    def _enter(self) -> Words:
        return self.parts.commands.join(complete=True, ended="")


@pytest.fixture(name="writing")
def _writing(parts: Parts) -> Writing:
    return Writing(parts.connected())


def test_write_is_acknowledged_once_all_others_were_notified(writing: Writing) -> None:
    """The store sends its news before it reads the next command."""
    writing.write()
    writing.connection.answer([0])
    assert not writing.done
    assert writing.connection.names == ["PING"]
    writing.connection.answer(b"PONG")
    version = writing.parts.versions.of(ALICE)
    assert writing.done == [WriteResult(frozenset(), version, version)]


def test_batch_is_acknowledged_as_a_whole_and_the_next_one_follows(writing: Writing) -> None:
    writing.write(2)
    writing.write()
    assert writing.connection.names == ["write", "write"]
    writing.connection.answer([0])
    assert writing.connection.names == ["write"]
    writing.connection.answer([0])
    assert writing.flushes == 1
    writing.connection.answer(b"PONG")
    assert len(writing.done) == 2
    assert writing.send().connection.names == ["write"]
    assert (writing.parts.session.health.batches, writing.parts.session.health.writes) == (1, 2)


def test_row_that_gave_way_to_a_newer_registration_is_named(writing: Writing) -> None:
    writing.write()
    writing.connection.answer([0, NAME, HELD])
    writing.connection.answer(b"PONG")
    assert writing.done[0] is not None
    assert writing.done[0].lost == {PHONE.key}


def test_row_that_no_server_has_written_is_removed_and_the_write_is_made_once_more(writing: Writing) -> None:
    writing.write()
    writing.connection.answer([0, NAME, b"nonsense"])
    assert writing.connection.names == ["purge", "write"]
    writing.connection.answer(1)
    writing.connection.answer([0, NAME, b"nonsense"])
    assert writing.connection.names == ["PING"]


def test_write_is_not_repeated_while_a_server_seals_with_another_key(writing: Writing) -> None:
    writing.parts.has_other_key()
    writing.write()
    writing.connection.answer([0, NAME, b"nonsense"])
    assert writing.connection.names == ["PING"]


def test_store_that_has_forgotten_us_gets_our_rows_again(writing: Writing) -> None:
    writing.write()
    writing.connection.answer([1])
    assert writing.parts.told == ["forgotten"]


@pytest.mark.parametrize("reason", LEAVES_NODE)
def test_node_that_cannot_be_written_is_left(writing: Writing, reason: str) -> None:
    writing.write()
    writing.connection.answer(Exception(f"{reason} why"))
    assert writing.connection.reasons == [f"{reason} why"]
    assert not writing.done


def test_write_that_the_store_refuses_is_tried_again_after_a_moment(writing: Writing) -> None:
    writing.write()
    writing.connection.answer(Exception("OOM"))
    assert writing.parts.session.health.failures == 1
    assert writing.send().connection.names == []
    writing.parts.loop.now = NOW + TRY_AGAIN_S[0]
    assert writing.send().connection.names == ["write"]


def test_lost_connection_acknowledges_what_was_made_and_sends_the_rest_again(writing: Writing) -> None:
    writing.write(2)
    writing.connection.answer([0])
    writing.connection.answer(ConnectionError("gone"))
    writing.parts.session.ready = None
    writing.writer.connection_lost()
    assert len(writing.done) == 1
    writing.connection.sent.clear()
    assert writing.send().connection.names == ["write"]


def test_mark_is_sent_after_the_rows_before_it(writing: Writing) -> None:
    writing.parts.session.is_restored = False
    writing.write()
    writing.writer.queue.mark()
    assert writing.send().connection.names == ["write"]
    writing.connection.answer([0])
    writing.connection.answer(b"PONG")
    assert writing.send().connection.names == ["join"]
    writing.connection.answer(Exception("OOM"))
    assert not writing.parts.session.is_restored
    assert writing.send().connection.names == ["join"]
    writing.connection.answer([b"entry", b"identity", 1])
    assert writing.parts.session.is_restored


def test_new_connection_forgets_the_mark_and_tries_at_once(writing: Writing) -> None:
    """The store may have lost the rows again that were before the mark."""
    writing.write()
    writing.connection.answer(Exception("OOM"))
    writing.writer.queue.mark()
    writing.writer.joined()
    assert writing.send().connection.names == ["write"]
    writing.connection.answer([0])
    writing.connection.answer(b"PONG")
    assert writing.send().connection.names == []
