"""Which row a later registration replaces."""

from __future__ import annotations

import pytest

from routing.messages import BOB, row
from sipmesh.routing.registrar.binding import BindingKey, Changes, row_name

CONTACT = "sip:bob@192.0.2.9:49152"
URN = "<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"


@pytest.mark.parametrize(
    ("instance", "reg_id", "name"),
    [
        (None, None, CONTACT),
        (None, 1, CONTACT),
        (URN, None, f"{URN.lower()};0"),
        (URN, 2, f"{URN.lower()};2"),
    ],
)
def test_row_is_named_by_the_instance_else_by_the_contact(instance: str | None, reg_id: int | None, name: str) -> None:
    """RFC 5626 section 6; a UUID is compared without case (RFC 9562 section 4)."""
    assert row_name(CONTACT, instance, reg_id) == name


def test_key_is_of_one_address_of_record() -> None:
    assert row(CONTACT).key == BindingKey(BOB, CONTACT)
    assert row(CONTACT, instance=URN).key == row("sip:bob@192.0.2.77", instance=URN.lower()).key


def test_changes_that_change_nothing_are_false() -> None:
    assert not Changes()
    assert Changes(put=(row(),))
    assert Changes(drop=(row().key,))
