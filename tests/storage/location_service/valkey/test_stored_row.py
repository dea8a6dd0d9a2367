"""A row that any writer of the store could have written is a row in each part, or no row."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.storage.location_service.valkey.stored_row import LONGEST_VALUE, read_row, value_of
from storage.members import ALICE, PHONE
from support.examples import examples

NAME = PHONE.key.name.encode()
CONTACT, INSTANCE, REG_ID, Q, CALL_ID, CSEQ, SERVER, INCARNATION, FLOW, TOKEN, AGENT, INTERVAL = range(12)


def changed(place: int, value: object) -> bytes:
    """The row of alice's phone with one value changed."""
    values = json.loads(value_of(PHONE))
    values[place] = value
    return b"7 " + json.dumps(values).encode()


def test_row_is_read_back_as_it_was_written() -> None:
    stored = read_row(ALICE, NAME, b"7 " + value_of(PHONE))
    assert stored is not None
    assert (stored.number, stored.row) == (7, PHONE)


@pytest.mark.parametrize("row", [replace(PHONE, instance=None, reg_id=None), replace(PHONE, user_agent="Тел", q=0.5)])
def test_other_rows_are_read_back_too(row: object) -> None:
    assert isinstance(row, type(PHONE))
    stored = read_row(ALICE, row.key.name.encode(), b"1 " + value_of(row))
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
    assert read_row(ALICE, NAME, changed(place, value)) is None


@pytest.mark.parametrize(("end", "is_row"), [("\ud800", False), ("é", True)])
@pytest.mark.parametrize("part", [INSTANCE, AGENT])
def test_text_that_has_no_octets_makes_no_row(part: int, end: str, *, is_row: bool) -> None:
    """A surrogate that JSON has escaped could not be written into a message."""
    values = json.loads(value_of(PHONE))
    values[part] += end
    name = f"{values[INSTANCE]};{values[REG_ID]}".encode("utf-8", "backslashreplace")
    assert (read_row(ALICE, name, b"7 " + json.dumps(values).encode()) is not None) is is_row


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"7",
        b"7 ",
        b"7 {}",
        b"7 []",
        b"7 [1]",
        b"-7 " + value_of(PHONE),
        b"7" * 17 + b" " + value_of(PHONE),
        b"7 " + value_of(PHONE) + b"x",
        b"7 " + b"[" * 4_000 + b"]",
        b"7 [" + b" " * LONGEST_VALUE + b"]",
        b"7 [\xff]",
        b"7 [1e999999]",
        b"7 [" + b"9" * 5_000 + b"]",
    ],
)
def test_octets_that_are_no_row_make_none(value: bytes) -> None:
    assert read_row(ALICE, NAME, value) is None


def test_row_under_another_name_is_none() -> None:
    """A name says which device a row replaces."""
    assert read_row(ALICE, b"another", b"7 " + value_of(PHONE)) is None


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


@examples(60, 5_000, deadline=None)
@given(st.lists(VALUES, max_size=13), st.binary(max_size=40))
def test_any_value_is_a_row_or_none(values: list[object], octets: bytes) -> None:
    read_row(ALICE, NAME, b"1 " + json.dumps(values).encode())
    read_row(ALICE, octets, octets)
