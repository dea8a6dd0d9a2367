"""What the tests of parts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.valkey_parts import Parts, parts_of_fe1


@pytest.fixture(name="parts")
def _parts() -> Iterator[Parts]:
    """The parts of fe1, not connected."""
    with parts_of_fe1() as parts:
        yield parts
