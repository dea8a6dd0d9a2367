"""A seal holds for the key of the pool, the user, the name and the text it was made for."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.valkey.rows.seal import Seal

KEY = bytes(range(32))
PARTS = (b"sip:alice@example.test", b"name", b"[1]")


def test_seal_holds_for_exactly_what_it_was_made_for() -> None:
    seal = Seal(KEY).of(*PARTS)
    assert len(seal) == 16
    assert Seal(KEY).holds(seal, *PARTS)


@pytest.mark.parametrize(
    "parts",
    [
        (b"sip:bob@example.test", b"name", b"[1]"),
        (b"sip:alice@example.test", b"other", b"[1]"),
        (b"sip:alice@example.test", b"name", b"[2]"),
        (b"sip:alice@example.testn", b"ame", b"[1]"),
        (b"sip:alice@example.test", b"name[", b"1]"),
    ],
)
def test_seal_holds_for_its_row_only(parts: tuple[bytes, bytes, bytes]) -> None:
    """Octets that move from one part to the next make another text."""
    assert not Seal(KEY).holds(Seal(KEY).of(*PARTS), *parts)


def test_key_of_another_pool_has_other_seals_and_another_print() -> None:
    ours, theirs = Seal(KEY), Seal(bytes(32))
    assert not theirs.holds(ours.of(*PARTS), *PARTS)
    assert ours.print != theirs.print
    assert ours.print == Seal(KEY).print
    assert KEY.hex() not in repr(ours)
