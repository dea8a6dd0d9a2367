"""The words of each command. What the scripts do with them is tested in `test_scripts`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.storage.location_service.locations import Write
from sipmesh.storage.location_service.valkey.commands import MOST_FIELDS, MOST_OCTETS, MOST_PROCESSES, SWEPT_AT_A_TIME
from sipmesh.storage.location_service.valkey.keys import Keys
from sipmesh.storage.location_service.valkey.rows.stored_row import read_removal, value_of
from storage.members import ALICE, FE1, FE2, PHONE
from storage.valkey_parts import INCARNATION, POOL, POOL_KEY, RUN, SEAL, WALL, Parts, named

KEYS = Keys("Example", POOL, POOL_KEY)
PRINT = f"{SEAL.print} 0"


def nothing(_result: object) -> None:
    """Say nothing."""


def test_entry_says_who_we_are_and_that_our_rows_are_there(parts: Parts) -> None:
    words = parts.commands.join(complete=True, ended="8 5")
    assert named(words) == "join"
    assert words[2:10] == (3, KEYS.servers, KEYS.identity, KEYS.leases, KEYS.prefix, FE1, INCARNATION, RUN)
    assert (words[10], words[11], words[13]) == (1, PRINT, "8 5")


def test_each_entry_offers_another_random_identity(parts: Parts) -> None:
    """The store takes it if it has none."""
    first, second = (parts.commands.join(complete=False, ended="")[12] for _ in range(2))
    assert isinstance(first, str)
    assert len(first) == 32
    assert first != second


def test_a_read_has_bounds(parts: Parts) -> None:
    assert parts.commands.read(ALICE)[2:] == (1, KEYS.bindings(ALICE), MOST_FIELDS, MOST_OCTETS)
    assert parts.commands.servers()[2:] == (1, KEYS.servers, MOST_PROCESSES)
    assert parts.commands.sweep()[2:] == (2, KEYS.servers, KEYS.dead, KEYS.prefix, SWEPT_AT_A_TIME)


def test_write_names_each_row_as_it_is_stored(parts: Parts) -> None:
    words = parts.commands.write(Write(ALICE, (PHONE,), (), nothing, restores=True), WALL)
    assert words[2:6] == (3, KEYS.servers, KEYS.bindings(ALICE), KEYS.rows_of(FE1))
    assert words[6:10] == (FE1, INCARNATION, RUN, PRINT)
    assert words[10:13] == (KEYS.hidden(ALICE), 1, 0)
    assert words[13:] == (PHONE.key.name, value_of(PHONE, SEAL), PHONE.call_id, PHONE.cseq, PHONE.token)


@pytest.mark.parametrize("unregisters", [True, False])
def test_dropped_row_leaves_a_removal_only_if_a_user_has_removed_it(parts: Parts, *, unregisters: bool) -> None:
    words = parts.commands.write(Write(ALICE, (), (PHONE,), nothing, unregisters=unregisters), WALL)
    assert words[10:13] == (KEYS.hidden(ALICE), 0, 1)
    name, token, left = words[13:]
    assert (name, token) == (PHONE.key.name, PHONE.token)
    assert isinstance(left, bytes)
    assert bool(left) is unregisters
    if left:
        assert read_removal(ALICE, PHONE.key.name.encode(), left, SEAL, WALL)


def test_text_that_is_no_utf_8_is_written_as_escapes(parts: Parts) -> None:
    odd = replace(PHONE, instance="<urn:x:\udcff>")
    words = parts.commands.write(Write(ALICE, (odd,), (), nothing), WALL)
    assert "\\udcff" in str(words[13])


def test_purge_names_each_row_with_the_value_that_it_had(parts: Parts) -> None:
    words = parts.commands.purge(ALICE, {b"x": b"1", b"y": b"2"})
    assert words[2:] == (1, KEYS.bindings(ALICE), b"x", b"1", b"y", b"2")


def test_renewal_asks_for_the_leases_of_others(parts: Parts) -> None:
    words = parts.commands.renew([FE2])
    assert words[2:7] == (4, KEYS.servers, KEYS.leases, KEYS.dead, KEYS.identity)
    assert words[7:] == (FE1, INCARNATION, RUN, PRINT, MOST_PROCESSES, FE2)


def test_our_own_incarnation_ends_as_that_of_another(parts: Parts) -> None:
    assert parts.commands.end_own() == parts.commands.end(FE1, INCARNATION)
    assert parts.commands.end(FE2, 3)[2:] == (2, KEYS.servers, KEYS.leases, KEYS.prefix, FE2, 3)
