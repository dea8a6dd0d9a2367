"""`sipmesh directory status`; with a running server: `tests/server/management/test_directory_follower.py`."""

from __future__ import annotations

import pytest

from support.directory_world import DirectoryWorld

pytestmark = pytest.mark.peer("openldap")


def test_status_needs_management_and_a_topology_with_a_directory(world: DirectoryWorld) -> None:
    assert "no management server runs here" in world.type("directory", "status").err
