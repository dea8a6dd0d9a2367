"""Which of the values of one user count, and in which order."""

from __future__ import annotations

from dataclasses import replace

from sipmesh.routing.registrar.binding import Binding
from sipmesh.storage.location_service.valkey.rows.stored_row import MOST_ROWS, removal_of, value_of
from sipmesh.storage.location_service.valkey.rows.user_rows import RowReader
from sipmesh.storage.location_service.valkey.servers.server_table import ServerTable
from storage.members import ALICE, ELSEWHERE, FE1, FE2, PHONE
from storage.valkey_parts import INCARNATION, OTHER_SEAL, SEAL, WALL, entry


def reader() -> RowReader:
    """The reader of fe1, beside which fe2 runs in its third incarnation."""
    table = ServerTable(FE1, frozenset({FE1, FE2}))
    table.replace({FE2.encode(): entry()})
    return RowReader(SEAL, table, FE1, INCARNATION)


def stored(*rows: Binding) -> dict[bytes, bytes]:
    """Rows as the store has them, in the order in which they were stored."""
    return {row.key.name.encode(): b"%d " % at + value_of(row, SEAL) for at, row in enumerate(rows, 1)}


def test_higher_q_comes_first_and_the_newest_of_equals() -> None:
    old, new = replace(PHONE, instance="<urn:uuid:1>"), replace(PHONE, instance="<urn:uuid:2>")
    low = replace(PHONE, instance="<urn:uuid:3>", q=0.5)
    assert reader().read(ALICE, stored(low, old, new), WALL).live == (new, old, low)


def test_rows_of_an_incarnation_that_has_ended_do_not_count() -> None:
    later = replace(ELSEWHERE, instance="<urn:uuid:1>", incarnation=4)
    ended = replace(PHONE, instance="<urn:uuid:2>", incarnation=INCARNATION - 1)
    stranger = replace(PHONE, instance="<urn:uuid:3>", server="fe9.example.test")
    assert reader().read(ALICE, stored(ELSEWHERE, later, ended, stranger), WALL).live == (ELSEWHERE,)


def test_rows_of_one_user_have_a_bound() -> None:
    rows = [replace(PHONE, instance=f"<urn:uuid:{number}>") for number in range(MOST_ROWS + 1)]
    assert reader().read(ALICE, stored(*rows), WALL).live == tuple(reversed(rows[1:]))


def test_removal_is_named_and_no_row() -> None:
    name = PHONE.key.name.encode()
    values = {name: removal_of(PHONE, WALL, SEAL)}
    rows = reader().read(ALICE, values, WALL)
    assert rows == ((), frozenset({PHONE.key.name}), {})
    assert reader().foreign(ALICE, values, WALL) == {}


def test_value_with_the_seal_of_another_key_is_foreign() -> None:
    own, foreign = stored(PHONE), {b"x": b"1 " + value_of(PHONE, OTHER_SEAL)}
    rows = reader().read(ALICE, {**own, **foreign}, WALL)
    assert (rows.live, rows.removed, rows.foreign) == ((PHONE,), frozenset(), foreign)
    assert reader().foreign(ALICE, {**own, **foreign}, WALL) == foreign
