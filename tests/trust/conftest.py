"""One network for all tests of this room: nothing in it changes."""

from __future__ import annotations

import pytest

from trust.network import Network


@pytest.fixture(scope="session", name="net")
def _net() -> Network:
    return Network()
