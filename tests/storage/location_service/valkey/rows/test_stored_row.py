"""A row that any writer of the store could have written is a row in each part, or no row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.routing.registrar.binding import Binding
from sipmesh.storage.location_service.valkey.rows.seal import Seal
from sipmesh.storage.location_service.valkey.rows.stored_row import (
    LONGEST_VALUE,
    REMOVAL_COUNTS_S,
    StoredRow,
    read_removal,
    read_row,
    removal_of,
    value_of,
)
from storage.members import ALICE, BOB, PHONE
from storage.valkey_members import SEAL
from support.examples import examples

NAME = PHONE.key.name.encode()
CONTACT, INSTANCE, REG_ID, Q, CALL_ID, CSEQ, SERVER, INCARNATION, FLOW, TOKEN, AGENT, INTERVAL = range(12)


def written(row: Binding = PHONE) -> bytes:
    """The value of a row, without its number."""
    return value_of(row, SEAL)


def sealed(text: bytes, name: bytes = NAME) -> bytes:
    """A text with the seal of the pool: what a server of the pool could write by mistake."""
    return SEAL.of(ALICE.encode(), name, text) + b" " + text


def values_of() -> list[Any]:
    """The values of the row of alice's phone."""
    return list(json.loads(written().partition(b" ")[2]))


def changed(place: int, value: object) -> bytes:
    """The row of alice's phone with one value changed."""
    values = values_of()
    values[place] = value
    return b"7 " + sealed(json.dumps(values).encode())


def read(name: bytes, value: bytes) -> StoredRow | None:
    """Read a row of alice."""
    return read_row(ALICE, name, value, SEAL)


def test_row_is_read_back_as_it_was_written() -> None:
    stored = read(NAME, b"7 " + written())
    assert stored is not None
    assert (stored.number, stored.row) == (7, PHONE)


@pytest.mark.parametrize("row", [replace(PHONE, instance=None, reg_id=None), replace(PHONE, user_agent="Тел", q=0.5)])
def test_other_rows_are_read_back_too(row: object) -> None:
    assert isinstance(row, type(PHONE))
    stored = read(row.key.name.encode(), b"1 " + written(row))
    assert stored is not None
    assert stored.row == row


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (CONTACT, "tel:+49"),
        (CONTACT, "sip:a@b>\r\nEvil: 1"),
        (CONTACT, "sip:a b@c"),
        (CONTACT, 7),
        (CONTACT, ""),
        (INSTANCE, "<urn:uuid:2>"),  # of another name
        (INSTANCE, 'x"'),
        (REG_ID, -1),
        (REG_ID, True),
        (Q, 1.1),
        (Q, -0.1),
        (Q, float("nan")),
        (Q, float("inf")),
        (Q, "1"),
        (CALL_ID, "a\r\nb"),
        (CALL_ID, ""),
        (CALL_ID, "x" * 1_025),
        (CSEQ, -1),
        (CSEQ, 2**53),
        (CSEQ, 1.5),
        (SERVER, None),
        (INCARNATION, "7"),
        (FLOW, [1]),
        (TOKEN, "a b"),
        (TOKEN, "x" * 145),
        (TOKEN, "x@evil.test;lr>,<sip:"),
        (AGENT, "a\nb"),
        (AGENT, None),
        (INTERVAL, -1),
    ],
)
def test_value_that_does_not_fit_makes_no_row(place: int, value: object) -> None:
    assert read(NAME, changed(place, value)) is None


@pytest.mark.parametrize(("end", "is_row"), [("\ud800", False), ("é", True)])
@pytest.mark.parametrize("part", [INSTANCE, AGENT])
def test_text_that_has_no_octets_makes_no_row(part: int, end: str, *, is_row: bool) -> None:
    """A surrogate that JSON has escaped could not be written into a message."""
    values = values_of()
    values[part] += end
    name = f"{values[INSTANCE]};{values[REG_ID]}".encode("utf-8", "backslashreplace")
    assert (read(name, b"7 " + sealed(json.dumps(values).encode(), name)) is not None) is is_row


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"7",
        b"7 ",
        b"7 " + sealed(b"{}"),
        b"7 " + sealed(b"[]"),
        b"7 " + sealed(b"[1]"),
        b"-7 " + written(),
        b"7" * 17 + b" " + written(),
        b"7x " + written(),
        b"7 " + written() + b"x",
        b"7 " + written().partition(b" ")[2],
        b"7 " + sealed(b"[" * 4_000 + b"]"),
        b"7 " + sealed(b"[" + b" " * LONGEST_VALUE + b"]"),
        b"7 " + sealed(b"[\xff]"),
        b"7 " + sealed(b"[1e999999]"),
        b"7 " + sealed(b"[" + b"9" * 5_000 + b"]"),
    ],
)
def test_octets_that_are_no_row_make_none(value: bytes) -> None:
    assert read(NAME, value) is None


@pytest.mark.parametrize("mark", [b"7 ", b"7d "])
def test_row_of_another_user_or_pool_is_none(mark: bytes) -> None:
    """The seal holds for one user, one name and the key of one pool."""
    value = mark + written()
    assert read_row(ALICE, NAME, value, SEAL) is not None
    assert read_row(BOB, NAME, value, SEAL) is None
    assert read_row(ALICE, NAME, value, Seal(b"another pool")) is None
    assert read_row(ALICE, NAME, value.replace(b"baresip", b"Baresip"), SEAL) is None


@pytest.mark.parametrize(("late_s", "counts"), [(0, True), (REMOVAL_COUNTS_S, True), (REMOVAL_COUNTS_S + 1, False)])
def test_removal_counts_for_a_minute_by_the_clocks_of_two_servers(late_s: int, *, counts: bool) -> None:
    value = removal_of(PHONE, 1_000_000.9, SEAL)
    for now in (1_000_000 + late_s, 1_000_000 - late_s):
        assert read_removal(ALICE, NAME, value, SEAL, now) is counts
    assert read(NAME, value) is None


def test_removal_is_of_one_row_and_of_a_server_of_the_pool() -> None:
    value, now = removal_of(PHONE, 1_000_000, SEAL), 1_000_000
    assert not read_removal(BOB, NAME, value, SEAL, now)
    assert not read_removal(ALICE, b"another", value, SEAL, now)
    assert not read_removal(ALICE, NAME, value, Seal(b"another pool"), now)
    assert not read_removal(ALICE, NAME, b"7 " + written(), SEAL, now)
    assert not read_removal(ALICE, NAME, b"", SEAL, now)


def test_row_under_another_name_is_none() -> None:
    """A name says which device a row replaces."""
    assert read(b"another", b"7 " + sealed(written().partition(b" ")[2], b"another")) is None


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


@examples(60, 5_000, deadline=None)
@given(st.lists(VALUES, max_size=13), st.binary(max_size=40))
def test_any_value_is_a_row_or_none(values: list[object], octets: bytes) -> None:
    read(NAME, b"1 " + sealed(json.dumps(values).encode()))
    read(octets, octets)
