"""What a row of the ledger says, and which rows cannot be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.errors import LocalError
from sipmesh.pki.ledger.records import UNREADABLE_ROW, can_be_listed, read_list_record, read_record, write_instant

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROW: dict[str, Any] = {
    "serial": "abc",
    "issuer": "issuing",
    "kind": "server",
    "names": '["fe1.example.test"]',
    "not_before": NOON.isoformat(),
    "not_after": (NOON + timedelta(days=1)).isoformat(),
    "der": b"der",
    "revoked_at": None,
    "reason": None,
}


def test_row_of_a_certificate_is_read_whole() -> None:
    record = read_record(SimpleNamespace(**ROW))
    assert (record.serial_hex, record.names, record.der) == ("abc", ("fe1.example.test",), b"der")
    assert (record.not_before, record.not_after) == (NOON, NOON + timedelta(days=1))
    assert repr(record) == "<Record abc server fe1.example.test issued>"
    assert repr(replace(record, der=None)).endswith("abandoned>")
    assert repr(replace(record, revoked_at=NOON)).endswith("revoked>")


@pytest.mark.parametrize(
    "change",
    [
        {"names": "[]"},
        {"names": "x"},
        {"serial": "0"},
        {"serial": "f" * 40},
        {"not_after": "2026-01-01"},
        {"not_after": "9999-12-31T23:59:59+00:00"},
        {"revoked_at": "x"},
    ],
)
def test_row_that_was_changed_is_not_read(change: dict[str, Any]) -> None:
    with pytest.raises(UNREADABLE_ROW):
        read_record(SimpleNamespace(**(ROW | change)))


def test_row_of_a_crl_is_read_whole() -> None:
    row = SimpleNamespace(
        issuer="root", number=3, this_update=NOON.isoformat(), next_update=NOON.isoformat(), revoked=2
    )
    record = read_list_record(row)
    assert (record.issuer, record.number, record.this_update, record.revoked) == ("root", 3, NOON, 2)


def test_certificate_may_be_valid_until_it_expires_or_is_revoked() -> None:
    record = read_record(SimpleNamespace(**ROW))
    assert record.may_be_valid(NOON)
    assert not record.may_be_valid(NOON + timedelta(days=1))
    assert not replace(record, revoked_at=NOON).may_be_valid(NOON)
    assert replace(record, der=None).may_be_valid(NOON + timedelta(days=9)), "its validity is not known"


def test_instant_without_a_timezone_is_a_local_error() -> None:
    assert write_instant(NOON) == "2026-11-24T12:00:00+00:00"
    with pytest.raises(LocalError, match="timezone"):
        write_instant(NOON.replace(tzinfo=None))


@pytest.mark.parametrize(("serial", "can"), [(0, False), (-1, False), (1, True), (2**159 - 1, True), (2**159, False)])
def test_serial_number_has_at_most_twenty_octets(serial: int, *, can: bool) -> None:
    """RFC 5280 4.1.2.2."""
    assert can_be_listed(serial) is can
