from __future__ import annotations

from collections.abc import Iterator

import pytest

from sipmesh.storage.users.user_database import Users


@pytest.fixture(name="users")
def _users(url: str) -> Iterator[Users]:
    """The users as the commands see them."""
    users = Users(url)
    yield users
    users.close()


@pytest.fixture(name="server")
def _server(url: str, users: Users) -> Iterator[Users]:
    """The same users as a running server sees them."""
    server = Users(url)
    yield server
    server.close()
