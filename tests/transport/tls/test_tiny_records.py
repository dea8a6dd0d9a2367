"""Which records of a ClientHello are tiny, and how many there are."""

from __future__ import annotations

import pytest

from sipmesh.transport.tls.tiny_records import MOST_TINY, TINY, tiny_records


def records(length: int, count: int) -> bytes:
    """So many records of a handshake message, each with *length* octets of it."""
    return (b"\x16\x03\x01" + length.to_bytes(2) + bytes(length)) * count


@pytest.mark.parametrize(("length", "count"), [(0, 7), (1, 7), (TINY - 1, 7), (TINY, 0), (16_384, 0)])
def test_record_of_few_octets_is_tiny(length: int, count: int) -> None:
    assert tiny_records(records(length, 7)) == count


@pytest.mark.parametrize("cut", range(1, 6))
def test_records_are_found_from_inside_another_one(cut: int) -> None:
    """OpenSSL has read the beginning of a record with what came before."""
    assert tiny_records(records(1, 7)[cut:]) == 6


def test_count_ends_behind_the_limit() -> None:
    assert tiny_records(records(1, 9 * MOST_TINY)) == MOST_TINY + 1
    assert tiny_records(records(16_384, 1) + records(1, 3)) == 3


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x01\x00", b"INVITE sip:bob@example.test SIP/2.0", bytes(99)])
def test_anything_else_has_no_records(data: bytes) -> None:
    assert tiny_records(data) == 0
