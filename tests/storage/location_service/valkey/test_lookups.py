"""Lookups are asked together, and each gets its rows or hears that the store cannot be read."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.locations import StoredRows
from sipmesh.storage.location_service.valkey.lookups import Lookups
from sipmesh.storage.location_service.valkey.rows.stored_row import value_of
from storage.members import ALICE, BOB, FE2, PHONE
from storage.valkey_parts import SEAL, WALL, Parts, entry, named

NAME = PHONE.key.name.encode()
VALUE = b"1 " + value_of(PHONE, SEAL)


class Asked:
    """Lookups of fe1, and what they have brought."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.found = parts, list[StoredRows | None]()
        self.lookups = Lookups(parts.session, parts.commands, parts.reader, parts.versions, parts.servers, lambda: WALL)

    def ask(self, reply: object, aor: str = ALICE) -> StoredRows | None:
        """Look one user up; the store answers *reply*."""
        self.lookups.add(aor, self.found.append)
        self.parts.connection.send(self.lookups.due())
        self.parts.connection.answer(reply, name="read")
        return self.found[-1]


@pytest.fixture(name="asked")
def _asked(parts: Parts) -> Asked:
    return Asked(parts.connected())


def test_all_lookups_that_wait_are_sent_together_and_once(asked: Asked) -> None:
    asked.lookups.add(ALICE, asked.found.append)
    asked.lookups.add(BOB, asked.found.append)
    assert [named(words) for words, _ in asked.lookups.due()] == ["read", "read"]
    assert asked.lookups.due() == []


def test_lookup_gets_the_rows_with_the_version_of_their_slot(asked: Asked) -> None:
    asked.parts.table.replace({FE2.encode(): entry()})
    asked.parts.versions.mark(ALICE)
    found = asked.ask([NAME, VALUE])
    assert found is not None
    assert found.rows == (PHONE,)
    assert found.version == asked.parts.versions.of(ALICE)
    assert (found.remembered, found.complete, found.removed) == (True, True, frozenset())


@pytest.mark.parametrize("reply", [None, ConnectionError("gone"), Exception("NOPERM")])
def test_lookup_without_an_answer_gets_nothing(asked: Asked, reply: object) -> None:
    assert asked.ask(reply) is None


def test_lookups_that_are_given_up_get_nothing(asked: Asked) -> None:
    asked.lookups.add(ALICE, asked.found.append)
    asked.lookups.give_up()
    assert asked.found == [None]
    assert asked.lookups.due() == []


def test_row_that_no_server_of_the_pool_has_written_is_removed_as_it_was_seen(asked: Asked) -> None:
    assert asked.ask([b"x", b"nonsense", NAME, VALUE]) is not None
    assert asked.parts.connection.names == ["purge"]
    assert asked.parts.connection.sent[0][0][-2:] == (b"x", b"nonsense")


def test_nothing_is_removed_while_a_server_seals_with_another_key(asked: Asked) -> None:
    """It is a mistake of the operator, not an attack."""
    asked.parts.has_other_key()
    found = asked.ask([b"x", b"nonsense"])
    assert found is not None
    assert not found.complete
    assert not asked.parts.connection.sent
